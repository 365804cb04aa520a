//! What goes into the session and what comes out of it.

use std::sync::Arc;
use std::time::Duration;

use wire::failure::{FailureCause, KillReason, TaskFailure};
use wire::id::{Epoch, TaskAttemptId};
use wire::message::{Envelope, ExecutorMessage, GatewayMessage, TaskReport};
use wire::task::{Counter, StageSpec, TaskMetrics, TaskResult, TaskSpec};

use crate::ending::Ending;
use crate::reports::{Kept, Stored};
use crate::shares::Share;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) struct TaskEnd {
    pub(crate) metrics: TaskMetrics,
    pub(crate) outcome: Result<(), TaskFailure>,
    /// Of a function that succeeded.
    pub(crate) result: Option<TaskResult>,
    pub(crate) counters: Vec<Counter>,
    /// Where result and counters are.
    pub(crate) kept: Kept,
}

impl TaskEnd {
    /// The end of an attempt that counted nothing and gave nothing back.
    pub(crate) fn new(metrics: TaskMetrics, outcome: Result<(), TaskFailure>) -> Self {
        Self {
            metrics,
            outcome,
            result: None,
            counters: Vec::new(),
            kept: Kept::Small,
        }
    }

    /// The end of an attempt that never began.
    pub(crate) fn unbegun(failure: TaskFailure) -> Self {
        Self::new(TaskMetrics::default(), Err(failure))
    }
}

/// What happened.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most events are ends of attempts, the largest"
)]
pub(crate) enum Event {
    /// The connection that was asked for stands.
    Connected,
    /// It could not be made, or is gone.
    ConnectionLost(String),
    /// The application has ended, as was learned while looking for its ApplicationMaster.
    ApplicationOver(String),
    /// A frame arrived.
    Received(Envelope<GatewayMessage>),
    /// An attempt's command runs.
    TaskStarted { id: TaskAttemptId, pid: u32 },
    /// An attempt's result is complete.
    CommitWanted { id: TaskAttemptId },
    /// An attempt is over, its processes are gone; `next`, which was launched ahead, has begun in its place.
    TaskEnded {
        id: TaskAttemptId,
        end: TaskEnd,
        next: Option<TaskAttemptId>,
    },
    /// An attempt that was launched ahead has begun other than by the end of another one: a slot was free, or lent.
    Begun { id: TaskAttemptId },
    /// An attempt that was launched ahead has not begun, and will not.
    Retracted { id: TaskAttemptId },
    /// A report was read from the disk, or why it cannot be.
    ReportRead {
        sequence: u64,
        report: Result<Box<TaskReport>, String>,
    },
    /// A function goes on although it was to return; only the process can be ended.
    TaskStuck { id: TaskAttemptId, cause: FailureCause },
    /// The process was told to end by this signal.
    Stopped { signal: i32 },
    /// A deadline passed.
    Tick,
}

/// How the ApplicationMaster to dial is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// It is where it was said to be.
    Known,
    /// A connection that held is lost: its ApplicationMaster may be another one now, somewhere else.
    Begin,
    /// It was not found by the last search.
    Continue,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// Make a connection.
    Dial(Lookup),
    /// Send a frame.
    Send(Envelope<ExecutorMessage>),
    /// Read a report from the disk: [`Event::ReportRead`].
    ReadReport { sequence: u64, stored: Arc<Stored> },
    /// Send a heartbeat about these attempts; the shell knows what they use.
    SendHeartbeat {
        epoch: Epoch,
        sequence: u64,
        running: Vec<TaskAttemptId>,
        /// Those that have not begun.
        waiting: Vec<TaskAttemptId>,
    },
    /// Drop the connection.
    Disconnect,
    /// Run an attempt: now, or `ahead`, which is when another one ends.
    Launch {
        epoch: Epoch,
        stage: Arc<StageSpec>,
        task: TaskSpec,
        share: Share,
        ahead: bool,
    },
    /// The slots of an attempt that has no process are lent: one that was launched ahead may begin, [`Event::Begun`].
    Lend(TaskAttemptId),
    /// Take an attempt that was launched ahead back if it has not begun: [`Event::Retracted`].
    Retract(TaskAttemptId),
    /// End an attempt.
    Cancel {
        id: TaskAttemptId,
        reason: KillReason,
        grace: Duration,
    },
    /// Pass on the answer to a request to commit.
    DecideCommit { id: TaskAttemptId, granted: bool },
    /// Flush what is to be sent and end the process.
    Leave(Ending),
}
