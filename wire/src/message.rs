//! The executor protocol as values.
//!
//! An executor dials the gateway, sends [`Hello`] and waits for [`Welcome`] or [`GatewayMessage::Refused`]. After a welcome it
//! sends heartbeats and reports; a report of a finished task is kept and sent again on every new connection until
//! it is acknowledged. Every frame carries the epoch and the executor's boot nonce.

use std::time::Duration;

use crate::failure::{KillReason, TaskFailure};
use crate::id::{BootNonce, Epoch, ExecutorId, TaskAttemptId};
use crate::launcher::DriverMessage;
use crate::task::{Counter, StageSpec, TaskMetrics, TaskResult, TaskSpec};
use crate::version::Version;

/// A message with what every frame carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope<M> {
    /// The application attempt; of an executor: the highest it has seen.
    pub epoch: Epoch,
    /// The executor's boot nonce.
    pub boot: BootNonce,
    /// The message.
    pub message: M,
}

/// From whoever dials the gateway.
#[derive(Debug, Clone, PartialEq)]
pub enum DialerMessage {
    /// From an executor.
    Executor(ExecutorMessage),
    /// From a driver in the client.
    Driver(DriverMessage),
}

/// From executor to gateway.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecutorMessage {
    /// The first frame of a connection.
    Hello(Hello),
    /// Still alive.
    Heartbeat(Heartbeat),
    /// The attempt's process runs.
    TaskStarted {
        /// Which.
        id: TaskAttemptId,
        /// Its process.
        pid: u32,
    },
    /// The attempt ended.
    TaskFinished(Box<TaskReport>),
    /// The attempt's result is complete and waits for permission to be put in place.
    CommitRequest {
        /// Which.
        id: TaskAttemptId,
    },
    /// The answer to [`GatewayMessage::Recall`]: these had not begun, are no longer held and may run elsewhere.
    Returned {
        /// Which.
        ids: Vec<TaskAttemptId>,
    },
    /// The executor leaves on its own account.
    Goodbye {
        /// Why, for people.
        reason: String,
    },
}

/// From gateway to executor.
#[derive(Debug, Clone, PartialEq)]
pub enum GatewayMessage {
    /// The executor is one of ours.
    Welcome(Welcome),
    /// It is not; the connection ends. Only [`Refusal::Ending`] and [`Refusal::Fenced`] are worth a last word.
    Refused {
        /// The kind of refusal.
        reason: Refusal,
        /// For people.
        message: String,
    },
    /// Run these.
    Launch {
        /// Stages that this executor was not told of on this connection.
        stages: Vec<StageSpec>,
        /// The tasks.
        tasks: Vec<TaskSpec>,
    },
    /// End an attempt.
    Cancel {
        /// Which.
        id: TaskAttemptId,
        /// Why.
        reason: KillReason,
        /// How long its processes may take after SIGTERM.
        grace: Duration,
    },
    /// Give back those of these that have not begun; answered by [`ExecutorMessage::Returned`].
    Recall {
        /// Which.
        ids: Vec<TaskAttemptId>,
    },
    /// The answer to a request to commit.
    CommitDecision {
        /// Which attempt.
        id: TaskAttemptId,
        /// Whether it may put its result in place.
        granted: bool,
    },
    /// These reports are safe with us.
    Acknowledge {
        /// [`TaskReport::sequence`] of each.
        sequences: Vec<u64>,
    },
    /// Leave.
    Shutdown {
        /// Why, for people.
        reason: String,
        /// How long tasks may take to end.
        grace: Duration,
    },
}

/// Who an executor is.
#[derive(Debug, Clone, PartialEq)]
pub struct Hello {
    /// The protocol version it speaks.
    pub protocol: Version,
    /// The SHA-256 of its executable, in hexadecimal.
    pub build: String,
    /// The application it was started for.
    pub application: String,
    /// Its id.
    pub executor: ExecutorId,
    /// The node it runs on, as YARN names it.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// How many slots it has.
    pub slots: u32,
    /// The memory of its container, in bytes.
    pub memory: u64,
    /// When its process started, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// Attempts that it is running now.
    pub running: Vec<TaskAttemptId>,
}

/// What an executor is told when it is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// How often to send a heartbeat.
    pub heartbeat: Duration,
    /// How long the gateway may be silent before the connection is given up.
    pub silence: Duration,
    /// How long to wait for another ApplicationMaster when this one is gone.
    pub am_lost_ttl: Duration,
}

/// Why an executor is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// It speaks another protocol.
    ProtocolVersion,
    /// It is another build.
    Build,
    /// No container of ours has that id.
    UnknownExecutor,
    /// It was declared dead, or another life of the same container is registered.
    Fenced,
    /// It belongs to another application.
    WrongApplication,
    /// The application is ending.
    Ending,
    /// A reason that this version does not know.
    Unspecified,
}

/// An attempt that an executor holds, as of now.
#[derive(Debug, Clone, PartialEq)]
pub struct RunningTask {
    /// Which.
    pub id: TaskAttemptId,
    /// Memory of all its processes, in bytes.
    pub resident: u64,
    /// How far it is, 0 to 1; 0 when it does not say.
    pub progress: f32,
    /// It waits for a slot of its executor and has not begun.
    pub waiting: bool,
    /// What it says about itself, for people; empty when it says nothing.
    pub status: String,
    /// What it has counted so far, at most [`crate::task::MOST_COUNTERS`]; empty when it counts nothing, or when the
    /// heartbeat has no room for more.
    pub counters: Vec<Counter>,
}

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heartbeat {
    /// Rising.
    pub sequence: u64,
    /// What runs.
    pub running: Vec<RunningTask>,
    /// Memory of the executor process itself, in bytes.
    pub resident: u64,
    /// Processor time of the executor process so far.
    pub cpu: Duration,
    /// The most that the executor and its tasks were seen to use together, in bytes; 0 when not said.
    pub peak: u64,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskReport {
    /// Rising over the life of the executor; acknowledged by this number.
    pub sequence: u64,
    /// Which attempt.
    pub id: TaskAttemptId,
    /// What it used.
    pub metrics: TaskMetrics,
    /// `Ok` when its result, if it has one, is in place.
    pub outcome: Result<(), TaskFailure>,
    /// What a function gave back; none of commands and of attempts that failed.
    pub result: Option<TaskResult>,
    /// What it counted, at most [`crate::task::MOST_COUNTERS`].
    pub counters: Vec<Counter>,
}
