//! What the daemons answer, read leniently.
//!
//! Every model reads the shapes of Hadoop 3.3, 3.4 and 3.5. Fields this crate has no use for are skipped,
//! unknown names of states are kept as text, and what may be absent is an `Option` or empty. Times are
//! milliseconds since the epoch, 0 while they have not come; memory is in MiB.

mod app;
mod attempt;
mod cluster;
mod container;
mod log_file;
mod name;
mod node;
mod resource;
mod scheduler;
mod timeout;

pub use app::{AppReport, AppState, FinalStatus, NewApplication, PendingAsk};
pub use attempt::{Attempt, AttemptState};
pub use cluster::{ClusterInfo, ClusterMetrics, HaState};
pub use container::{Container, ContainerState, NodeContainer, Signal};
pub use log_file::{AggregationType, LogFile, LogFiles};
pub use node::{Node, NodeState};
pub use resource::{Resource, ResourceLimit};
pub use scheduler::{Activities, Queue, QueueAcl, QueueUser, Scheduler};
pub use timeout::{Timeout, TimeoutKind};

pub(crate) use app::{PriorityAnswer, QueueAnswer, StateAnswer};

#[cfg(test)]
mod tests;
