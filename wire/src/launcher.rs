//! What driver and launcher say to each other: in process in cluster mode, over the gateway in client mode.
//!
//! The driver knows executors, the launcher knows containers; an executor's id is its container's id. The launcher's
//! side also holds the executors' connections, so what executors and driver say to each other passes here, too,
//! unchanged ([`LauncherReport::Heard`], [`LauncherCommand::Tell`]).
//!
//! Wants are absolute totals, never differences, so a message may be lost, repeated or come late. In client mode the
//! driver's connection may break between any two messages: a driver that comes back is told again which executors
//! are gone, and every executor registers anew, with what it runs and every report that nobody has acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use crate::failure::ExecutorLoss;
use crate::id::{BootNonce, ExecutorId, TaskAttemptId};
use crate::message::{ExecutorMessage, GatewayMessage, Refusal};
use crate::version::Version;

/// The wanted number of executors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecutorTarget {
    /// How many in all.
    pub executors: u32,
    /// How many pending tasks would like to run on each host.
    pub hosts: BTreeMap<String, u32>,
    /// Nodes that new executors should not be on, by the names that executors registered with.
    pub avoid: BTreeSet<String>,
    /// The fewest that something could begin with: one, or as many as hold a gang that waits. 0 of a driver that does
    /// not say.
    pub needed: u32,
}

/// How the application ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every stage is done.
    Succeeded,
    /// It failed of the job's own doing; the text is the decisive cause.
    Failed(String),
    /// Somebody ended it.
    Killed(String),
}

/// Who registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The executor.
    pub executor: ExecutorId,
    /// Its life.
    pub boot: BootNonce,
    /// Its node.
    pub host: String,
    /// Its slots.
    pub slots: u32,
    /// What it is running already.
    pub running: Vec<TaskAttemptId>,
}

/// From driver to launcher.
#[derive(Debug, Clone, PartialEq)]
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
    /// Pass this on to an executor; lost when it has no connection.
    Tell {
        /// To whom.
        executor: ExecutorId,
        /// What.
        message: GatewayMessage,
    },
    /// Show this as the state of the driver, which is elsewhere: JSON as the pages understand it.
    Show(Bytes),
    /// Finished tasks of those that are known, for the ResourceManager; told more often than everything is shown.
    Progress {
        /// Finished tasks.
        done: u64,
        /// Known tasks.
        known: u64,
    },
    /// The application has its verdict: end it so. Nothing follows.
    Finish(Verdict),
}

/// From launcher to driver.
#[derive(Debug, Clone, PartialEq)]
pub enum LauncherReport {
    /// An executor passed the gateway's checks, for the first time or again.
    ExecutorRegistered(Registration),
    /// An executor said something.
    Heard {
        /// Who.
        executor: ExecutorId,
        /// What.
        message: ExecutorMessage,
    },
    /// An executor's connection ended. A hint only: the cause follows, or it connects again.
    ExecutorDisconnected {
        /// Which.
        executor: ExecutorId,
    },
    /// The container of an executor ended, or never came up.
    ExecutorGone {
        /// Which.
        executor: ExecutorId,
        /// Why.
        loss: ExecutorLoss,
        /// YARN's diagnostics or our own words.
        detail: String,
    },
    /// YARN is going to take executors away: these, and `more` of the driver's choice.
    DrainWanted {
        /// Which.
        executors: Vec<ExecutorId>,
        /// How many others in all.
        more: u32,
        /// Why.
        loss: ExecutorLoss,
    },
    /// The ResourceManager answered what it was asked so long ago.
    ResourceManagerHeard {
        /// Since the question, which is the moment that the answer is known to be true of.
        ago: Duration,
    },
    /// Executors cannot be had any more; the text says why and what to do.
    Hopeless(String),
    /// The nodes of the cluster have for long had room for too few executors. More are still asked for: what can begin with
    /// these goes on, and nodes may come. Said again when it lasts.
    NoRoom {
        /// Why, and what to do.
        reason: String,
        /// How many there is room for, those that are held included.
        room: u32,
    },
}

/// From a driver in the client to the gateway.
#[derive(Debug, Clone, PartialEq)]
pub enum DriverMessage {
    /// The first frame of a connection.
    Hello(DriverHello),
    /// Still alive.
    Heartbeat,
    /// For the launcher.
    Command(LauncherCommand),
}

/// From the gateway to a driver in the client.
#[derive(Debug, Clone, PartialEq)]
pub enum LauncherMessage {
    /// The driver is the one that the application waits for.
    Welcome(DriverWelcome),
    /// It is not; the connection ends.
    Refused {
        /// The kind of refusal.
        reason: Refusal,
        /// For people.
        message: String,
    },
    /// Still alive.
    Heartbeat,
    /// For the driver.
    Report(LauncherReport),
    /// The verdict has arrived and is on its way to the ResourceManager; the driver is not needed any more.
    Concluded,
}

/// Who a driver in the client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverHello {
    /// The protocol version it speaks.
    pub protocol: Version,
    /// The SHA-256 of its executable, in hexadecimal.
    pub build: String,
    /// The application that it drives.
    pub application: String,
}

/// What a driver is told when it is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverWelcome {
    /// How often to send a heartbeat.
    pub heartbeat: Duration,
    /// How long either side may be silent before the connection is given up.
    pub silence: Duration,
    /// How long the application waits for a driver that is gone.
    pub reconnect: Duration,
}
