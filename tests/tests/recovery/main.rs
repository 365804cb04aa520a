//! The ApplicationMaster dies on a real Hadoop with HDFS, in every way that we know of: executors go on, no finished
//! task is run again, no running one is restarted, the application succeeds; and where it cannot go on it says why.
//!
//! | module | what happens |
//! |---|---|
//! | `killed` | the process is killed, at different times and again, or replaced on order |
//! | `lost` | with it goes its node or the ResourceManager, or it only stands still |
//! | `journal` | the file system of the journal fails |
//! | `attempts` | which causes another attempt is made for |
//! | `measured` | ignored: the same at the size of docs/reliability.md, with figures |

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attempts;
mod journal;
mod killed;
mod lost;
mod many;
mod measured;
mod past;

use harness::hadoop::{Hadoop, Shared, Site};

/// For tests that leave its daemons alone.
static HADOOP: Shared = Shared::new(|| {
    Hadoop::builder()
        .nodes(3)
        .property(Site::Yarn, "yarn.resourcemanager.am.max-attempts", 4)
});
