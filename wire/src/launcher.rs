//! What driver and launcher say to each other: in process in cluster mode, over the gateway in client mode.
//!
//! The driver knows executors, the launcher knows containers; an executor's id is its container's id. Wants are
//! absolute totals, never differences, so a message may be lost, repeated or come late.

use std::collections::BTreeMap;

use crate::failure::ExecutorLoss;
use crate::id::ExecutorId;

/// The wanted number of executors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecutorTarget {
    /// How many in all.
    pub executors: u32,
    /// How many pending tasks would like to run on each host.
    pub hosts: BTreeMap<String, u32>,
}

/// From driver to launcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LauncherCommand {
    /// Hold this many executors from now on.
    SetTarget(ExecutorTarget),
    /// End this executor's container. Its slot counts towards the target again.
    StopExecutor {
        /// Which.
        executor: ExecutorId,
        /// What the driver blames, for the books and the log.
        loss: ExecutorLoss,
    },
}

/// From launcher to driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LauncherReport {
    /// The container of an executor ended, or never came up.
    ExecutorGone {
        /// Which.
        executor: ExecutorId,
        /// Why.
        loss: ExecutorLoss,
        /// YARN's diagnostics or our own words.
        detail: String,
    },
    /// The ResourceManager answered.
    ResourceManagerHeard,
    /// Executors cannot be had any more; the text says why and what to do.
    Hopeless(String),
}
