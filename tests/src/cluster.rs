//! What a suite sees of a cluster when it runs on both: on a real Hadoop and on the embedded one.
//!
//! Which one it is, the run decides (`cargo xtask test --on mini`), so that the same test code is held against both;
//! where they differ, the embedded one is wrong. A test that needs what only a real Hadoop has stands in a module
//! `on_hadoop` of its suite, which says what that is, and which runs on the embedded cluster leave out.

use crate::embedded::Embedded;
use crate::hadoop::{self, ContainerOnDisk, Hadoop};
use crate::http::Response;
use serde_json::Value;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;

/// See the module.
pub trait Cluster: Debug + Sync {
    /// The folder of everything this cluster writes.
    fn dir(&self) -> &Path;

    /// What `HADOOP_CONF_DIR` should be for a client.
    fn conf_dir(&self) -> PathBuf;

    /// A document of the active ResourceManager's REST, such as `/ws/v1/cluster/apps`.
    ///
    /// # Errors
    /// Fails when no ResourceManager answers 200 with JSON.
    fn rm_get(&self, path: &str) -> anyhow::Result<Value>;

    /// Sends JSON to the first ResourceManager.
    ///
    /// # Errors
    /// Fails when it does not answer; a status that means refusal is an answer.
    fn rm_send(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Response>;

    /// Kills an application without any part of ours.
    ///
    /// # Errors
    /// Fails with the words of who refuses.
    fn kill_application(&self, id: &str) -> anyhow::Result<()>;

    /// Every container that has a log folder, by node.
    fn containers_on_disk(&self) -> Vec<ContainerOnDisk>;

    /// `yarn.nodemanager.local-dirs` of each node.
    fn local_dirs(&self) -> Vec<PathBuf>;

    /// A person's home directory on the default file system.
    fn home(&self, user: &str) -> String;

    /// Names of what is in a directory of the default file system, in order; none when there is no such directory.
    ///
    /// # Errors
    /// Fails when it cannot be read.
    fn list(&self, path: &str) -> anyhow::Result<Option<Vec<String>>>;

    /// Has what a failed test has left dead or frozen work again, for the tests after it.
    fn repair(&self) {}

    /// The last lines of every log, for messages.
    fn tails(&self, lines: usize) -> String;

    /// The real cluster, if it is that.
    fn as_hadoop(&self) -> Option<&Hadoop>;
}

impl dyn Cluster + '_ {
    /// A guard for a test on a shared cluster.
    #[must_use]
    pub fn tails_on_panic(&self) -> TailsOnPanic<'_> {
        TailsOnPanic(self)
    }
}

/// Prints the cluster's log tails when the thread that holds it panics, and has the cluster work for other tests.
#[derive(Debug)]
pub struct TailsOnPanic<'a>(pub(crate) &'a dyn Cluster);

impl Drop for TailsOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.0.tails(30));
            self.0.repair();
        }
    }
}

/// The two clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A real Hadoop.
    Hadoop,
    /// `drawloom mini`.
    Mini,
}

impl Kind {
    /// Of the suites that run on both.
    ///
    /// # Panics
    /// When the variable `TEST_CLUSTER` names no cluster.
    #[must_use]
    pub fn of_run() -> Self {
        match std::env::var("TEST_CLUSTER").as_deref() {
            Err(_) | Ok("hadoop") => Self::Hadoop,
            Ok("mini") => Self::Mini,
            Ok(other) => panic!("TEST_CLUSTER is {other:?}; it is hadoop or mini"),
        }
    }
}

/// The cluster of a suite that runs on both; started at its first use and ended with the test process.
///
/// ```no_run
/// use harness::cluster::OfRun;
/// use harness::hadoop::Hadoop;
///
/// static CLUSTER: OfRun = OfRun::new(|| Hadoop::builder().nodes(2));
///
/// fn jobs_are_listed() {
///     let cluster = CLUSTER.get();
///     let _tails = cluster.tails_on_panic();
///     assert!(cluster.rm_get("/ws/v1/cluster/apps").is_ok());
/// }
/// ```
#[derive(Debug)]
pub struct OfRun {
    hadoop: hadoop::Shared,
    embedded: OnceLock<Result<Embedded, String>>,
}

impl OfRun {
    /// A cluster with these options, not started yet. The embedded one takes of them how many nodes there are.
    #[must_use]
    pub const fn new(options: fn() -> hadoop::Builder) -> Self {
        Self {
            hadoop: hadoop::Shared::new(options),
            embedded: OnceLock::new(),
        }
    }

    /// The running cluster.
    ///
    /// # Panics
    /// When it cannot be started; the attempt is made once and every test of the suite fails with its reason.
    pub fn get(&self) -> &dyn Cluster {
        match Kind::of_run() {
            Kind::Hadoop => self.hadoop.get(),
            Kind::Mini => match self.embedded.get_or_init(|| self.embed()) {
                Ok(embedded) => embedded,
                Err(error) => panic!("the suite's embedded cluster did not start: {error}"),
            },
        }
    }

    fn embed(&self) -> Result<Embedded, String> {
        Embedded::start(self.hadoop.nodes()).map_err(|error| format!("{error:#}"))
    }

    /// The real cluster, for a test of `on_hadoop`.
    ///
    /// # Panics
    /// As [`OfRun::get`], and when the run is on the embedded cluster.
    pub fn hadoop(&self) -> &Hadoop {
        let cluster = self.get();
        cluster
            .as_hadoop()
            .expect("a test of `on_hadoop` is left out on the embedded cluster")
    }
}
