//! The launcher core: from a wanted number of executors to containers that run them.
//!
//! Problem: YARN gives containers when it likes, on nodes it likes, sometimes more than are wanted, and takes them
//! away for a dozen reasons. The driver only wants "that many executors". In between stands this core: it owns the
//! ask table, every container from its grant to its end, the budget of failures and the nodes that are avoided.
//! It knows neither tokens nor sockets nor clocks: [`core::Launcher::handle`] takes the time and an [`Event`] and
//! pushes [`Effect`]s; the shell around it answers start effects with events. Time is counted from the start of the
//! process.
//!
//! A container goes through these phases, each with its time and, where something is awaited, its deadline:
//!
//! ```text
//! asked ─▶ granted = start sent ─▶ started ─▶ registered ─▶ gone
//!              │  (surplus: released)   ├─ files still being fetched: waited for on
//!              │                        └─ never registered ─▶ stopping ─▶ gone
//!              └─ start failed ─▶ stopping ─▶ gone
//! ```
//!
//! A launcher that follows another one, whose ApplicationMaster is gone, asks for nothing until it has been told what
//! still runs ([`Event::ContainersHandedOver`]). Such containers are *adopted*: held, and given up when their
//! executors are not heard of in time.
//!
//! Invariants:
//! - D: containers held plus asked for never exceed the target; what was granted above it is released in the same
//!   step. A container that is being stopped is no longer held.
//! - Every granted container is in the table until YARN reports its end or it was given up after repeated releases.
//! - Every end is reported to the driver once and counted at most once; a neutral cause never counts (C).
//! - E: while something is missing there is an ask, a deferred relaunch with a deadline, or a verdict. An ask that no node
//!   could serve, even if nothing else ran on it, is reported when that has lasted, and stays: nodes may come.
//!
//! Asks are shaped ([`asks`]) because of how schedulers serve them: with a share for each node, its rack and `*`
//! together, a wave of containers arrives within one heartbeat of the nodes; with `*` alone the CapacityScheduler
//! gives one container per node and heartbeat.

pub mod asks;
mod balance;
pub mod budget;
pub mod classify;
mod containers;
pub mod core;
mod drain;
pub mod nodes;
pub mod record;
pub mod view;

use std::time::Duration;

use wire::failure::ExecutorLoss;
use wire::id::ExecutorId;
use wire::launcher::{ExecutorTarget, LauncherReport};

use self::nodes::{NodeFacts, NodeName};

/// What the launcher is told at its start and keeps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Container memory of an executor, in MiB, as asked.
    pub memory_mib: u64,
    /// Container memory of the ApplicationMaster, which runs on one of the nodes, in MiB.
    pub master_mib: u64,
    /// Virtual cores of an executor.
    pub cores: u32,
    /// Whether asks may name nodes and racks; not so with a node label.
    pub name_nodes: bool,
    /// From an accepted start to the executor's registration.
    pub register_timeout: Duration,
    /// Counted losses within the validity interval that end the application; none: the larger of 3 and twice the
    /// wanted executors.
    pub max_failures: Option<u32>,
    /// How long a counted loss is remembered.
    pub failures_validity: Duration,
    /// Whether all nodes of the cluster are told of at the beginning, as they are then. Otherwise some may be unknown that
    /// hold anything.
    pub nodes_listed: bool,
    /// How long the nodes of the cluster may have room for fewer executors than something needs to begin.
    pub room_patience: Duration,
    /// Wait before a node's second loss in a row is replaced, doubling to the second value.
    pub backoff: (Duration, Duration),
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The driver wants this many executors.
    TargetSet(ExecutorTarget),
    /// The driver wants this executor ended. Sent before a lower target that goes with it.
    StopRequested {
        /// Which.
        executor: ExecutorId,
        /// What it is blamed for.
        loss: ExecutorLoss,
    },
    /// The ResourceManager registered us and named the largest container it gives, in MiB.
    RmRegistered {
        /// The limit.
        max_memory_mib: u64,
    },
    /// The ResourceManager handed over what earlier attempts had started, at registration or later.
    ContainersHandedOver {
        /// What it knows to be running.
        running: Vec<Grant>,
        /// What we know to have run before; only what is not among the others counts. Its end, or that it still
        /// runs, may be reported soon.
        remembered: Vec<Grant>,
    },
    /// The ResourceManager granted containers, all of one answer.
    ContainersGranted(Vec<Grant>),
    /// The ResourceManager reported the end of a container.
    ContainerCompleted(Completion),
    /// The ResourceManager is going to take containers away, unless it gets as many others of the same size.
    PreemptionNoticed {
        /// These in any case.
        strict: Vec<ExecutorId>,
        /// As many as these.
        negotiable: Vec<ExecutorId>,
    },
    /// A node changed.
    NodeUpdated(NodeFacts),
    /// The ResourceManager refused the asks; its words.
    AskRefused {
        /// For people.
        message: String,
    },
    /// What the queue and the user may still have, in MiB.
    HeadroomChanged {
        /// Memory.
        memory_mib: u64,
    },
    /// The NodeManager took the container over.
    StartAccepted {
        /// Which.
        executor: ExecutorId,
    },
    /// The NodeManager did not.
    StartFailed {
        /// Which.
        executor: ExecutorId,
        /// What became of it.
        failure: StartFailure,
        /// For people.
        message: String,
    },
    /// The answer to [`Effect::QueryContainer`].
    ContainerQueried {
        /// Which.
        executor: ExecutorId,
        /// Its files are still being fetched, so its process has not begun. False also when the node does not say.
        localizing: bool,
    },
    /// The executor passed the gateway's checks.
    ExecutorRegistered {
        /// Which.
        executor: ExecutorId,
    },
    /// The ResourceManager had forgotten us; what it still counts as outstanding was sent to it again.
    Resynced {
        /// Granted and not started before: void.
        dropped: Vec<ExecutorId>,
    },
    /// The application has its verdict: nothing more is to be started.
    Ending,
    /// [`core::Launcher::next_deadline`] has passed.
    DeadlineReached,
}

/// A container given to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The container's id, which is the executor's.
    pub executor: ExecutorId,
    /// The node, named as asks name it.
    pub node: NodeName,
    /// Host and port of the NodeManager's pages; may be empty.
    pub node_http: String,
    /// The allocation request id that the ask had.
    pub allocation_request_id: i64,
}

/// A container's end as the ResourceManager reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Which.
    pub executor: ExecutorId,
    /// YARN's exit status (`ContainerExitStatus`).
    pub exit_status: i32,
    /// YARN's words.
    pub diagnostics: String,
}

/// Why a container could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFailure {
    /// The NodeManager refused it, or could not be reached in time.
    Node,
    /// The NodeManager says that its token has run out: because it was granted long ago, which is nobody's fault, or
    /// because the node's clock is ahead.
    Expired,
    /// It was granted before the ResourceManager restarted: nobody's fault.
    Stale,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// From now on ask for `count` containers at `name` (a node, a rack or `*`), in absolute numbers.
    SetAsk {
        /// The resource name.
        name: String,
        /// The number still wanted.
        count: u32,
    },
    /// Start the executor; answered by [`Event::StartAccepted`] or [`Event::StartFailed`].
    StartContainer {
        /// Which.
        executor: ExecutorId,
    },
    /// Ask the NodeManager how far the container is; answered by [`Event::ContainerQueried`].
    QueryContainer {
        /// Which.
        executor: ExecutorId,
    },
    /// Tell the NodeManager to end the container; no answer is awaited.
    StopContainer {
        /// Which.
        executor: ExecutorId,
    },
    /// Give the container back to the ResourceManager. One without a record is not named again.
    ReleaseContainer {
        /// Which.
        executor: ExecutorId,
    },
    /// Have the ResourceManager avoid some nodes and no longer avoid others.
    UpdateBlacklist {
        /// Nodes to avoid.
        additions: Vec<NodeName>,
        /// Nodes to use again.
        removals: Vec<NodeName>,
    },
    /// Talk to the ResourceManager soon: something is wanted from it.
    Nudge,
    /// Tell the driver.
    Report(LauncherReport),
}
