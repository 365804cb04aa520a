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
use std::time::Duration;

/// Two copies of everything, on two DataNodes. Every test leaves all daemons at work.
static HADOOP: Shared = Shared::new(|| {
    Hadoop::builder()
        .nodes(3)
        .datanodes(2)
        .property(Site::Hdfs, "dfs.replication", 2)
        // A DataNode that is gone is given no block after some seconds.
        .property(Site::Hdfs, "dfs.namenode.heartbeat.recheck-interval", 1000)
        .property(Site::Yarn, "yarn.resourcemanager.am.max-attempts", 4)
});

/// How long a ResourceManager waits for those that are silent, where a test waits for that.
const EXPIRY: Duration = Duration::from_secs(15);

/// Nodes that are silent are soon given up, and applications remembered when the ResourceManager is started again. Every
/// test leaves all daemons at work.
static IMPATIENT: Shared = Shared::new(|| {
    Hadoop::builder()
        .nodes(3)
        .am_expiry(EXPIRY)
        .node_expiry(EXPIRY)
        .rm_recovery(true)
});

/// Two ResourceManagers, of which one test ends the first. An ApplicationMaster that is silent is soon given up, and its
/// node is not.
static PAIR: Shared = Shared::new(|| {
    Hadoop::builder()
        .nodes(2)
        .am_expiry(EXPIRY)
        .high_availability(true)
});
