//! Why a task attempt or an executor failed, typed from where it is seen to where it is judged and shown.
//!
//! Two questions are answered here and nowhere else: does a failure count against its task
//! ([`TaskFailure::counts_for_task`]), and does a loss count against the budget of executor failures and against
//! its node ([`ExecutorLoss::counts_for_budget`]). Neutral causes never raise a count (invariant C).

use std::fmt;
use std::time::Duration;

/// What the guard of an executor writes to standard error, followed by a number, when the kernel ended processes for
/// want of memory while the executor ran. The launcher's side looks for these words.
pub const OOM_WORDS: &str = "the kernel's out-of-memory killer ended";

/// Why a running task was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KillReason {
    /// Another attempt of the same partition succeeded.
    OtherAttemptWon,
    /// Its stage is over or was given up.
    StageEnded,
    /// Its job reached a verdict.
    JobEnded,
    /// A person asked for it.
    ByUser,
    /// Its executor is leaving.
    ExecutorStopping,
}

impl fmt::Display for KillReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherAttemptWon => "another attempt won",
            Self::StageEnded => "its stage ended",
            Self::JobEnded => "its job ended",
            Self::ByUser => "a user asked for it",
            Self::ExecutorStopping => "its executor was stopping",
        })
    }
}

/// Why an executor is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum ExecutorLoss {
    /// YARN took the container for another application.
    Preempted,
    /// We gave the container back.
    Released,
    /// The node was lost, or the container ended with it.
    NodeLost,
    /// The node's disks failed.
    DisksFailed,
    /// The ResourceManager ordered the end of the container.
    KilledByRm,
    /// We stopped it.
    KilledByUs,
    /// The node is being taken out of service.
    Decommissioned,
    /// The application ended.
    ApplicationEnded,
    /// The process ended by itself with this exit code.
    Exited(i32),
    /// The process was ended by this signal, which neither YARN nor we had sent.
    Signalled(i32),
    /// YARN ended it above its limit of physical memory.
    PhysicalMemory,
    /// YARN ended it above its limit of virtual memory.
    VirtualMemory,
    /// Its files could not be localized.
    LocalizationFailed,
    /// The NodeManager refused or failed to start it.
    StartFailed,
    /// It was started and never registered.
    NeverRegistered,
    /// It sent no heartbeat for too long.
    Silent,
    /// YARN ended it because of the size of its logs.
    ExcessLogs,
    /// Nothing is known.
    Unknown,
}

impl ExecutorLoss {
    /// One of each kind, for what must have an answer to every one; numbers stand for all numbers.
    pub const ONE_OF_EACH: [Self; 18] = [
        Self::Preempted,
        Self::Released,
        Self::NodeLost,
        Self::DisksFailed,
        Self::KilledByRm,
        Self::KilledByUs,
        Self::Decommissioned,
        Self::ApplicationEnded,
        Self::Exited(1),
        Self::Signalled(9),
        Self::PhysicalMemory,
        Self::VirtualMemory,
        Self::LocalizationFailed,
        Self::StartFailed,
        Self::NeverRegistered,
        Self::Silent,
        Self::ExcessLogs,
        Self::Unknown,
    ];

    /// Whether the loss counts for the budget of executor failures and as a strike against its node.
    #[must_use]
    pub fn counts_for_budget(self) -> bool {
        match self {
            Self::Preempted
            | Self::Released
            | Self::NodeLost
            | Self::DisksFailed
            | Self::KilledByRm
            | Self::KilledByUs
            | Self::Decommissioned
            | Self::ApplicationEnded
            | Self::Exited(0) => false,
            Self::Exited(_)
            | Self::Signalled(_)
            | Self::PhysicalMemory
            | Self::VirtualMemory
            | Self::LocalizationFailed
            | Self::StartFailed
            | Self::NeverRegistered
            | Self::Silent
            | Self::ExcessLogs
            | Self::Unknown => true,
        }
    }

    /// Whether a task that was running there is to blame: the executor ended by itself or of memory.
    #[must_use]
    pub fn counts_for_tasks(self) -> bool {
        self.counts_for_budget()
            && !matches!(self, Self::LocalizationFailed | Self::StartFailed | Self::Silent)
    }
}

impl fmt::Display for ExecutorLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Exited(code) => return write!(f, "exited with code {code}"),
            Self::Signalled(signal) => return write!(f, "ended by {}", SignalName(*signal)),
            Self::Preempted => "preempted by YARN",
            Self::Released => "released",
            Self::NodeLost => "its node was lost",
            Self::DisksFailed => "its node's disks failed",
            Self::KilledByRm => "ended by the ResourceManager",
            Self::KilledByUs => "stopped by the ApplicationMaster",
            Self::Decommissioned => "its node was decommissioned",
            Self::ApplicationEnded => "the application ended",
            Self::PhysicalMemory => "used more physical memory than its container has",
            Self::VirtualMemory => "used more virtual memory than its container has",
            Self::LocalizationFailed => "its files could not be localized",
            Self::StartFailed => "the NodeManager could not start it",
            Self::NeverRegistered => "never registered",
            Self::Silent => "sent no heartbeat",
            Self::ExcessLogs => "wrote more logs than YARN allows",
            Self::Unknown => "lost for an unknown reason",
        };
        f.write_str(text)
    }
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// Why a task attempt did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureCause {
    /// The command ended with this code, not 0.
    ExitCode(i32),
    /// The command was ended by a signal that we had not sent.
    Signal {
        /// The signal's number.
        signal: i32,
        /// Whether a core was dumped.
        core_dumped: bool,
    },
    /// It ran longer than its stage allows.
    Timeout(Duration),
    /// It used more memory than its stage allows.
    MemoryLimit {
        /// The limit in bytes.
        limit: u64,
        /// The most that was seen, in bytes.
        peak: u64,
    },
    /// The executor and its tasks together used more memory than their container has, and this task the most of them.
    ContainerMemory {
        /// The container's memory in bytes.
        limit: u64,
        /// What all of them used, in bytes.
        used: u64,
        /// What this task used, in bytes.
        own: u64,
    },
    /// The kernel ended it for want of memory.
    OutOfMemory {
        /// The most that was seen, in bytes.
        peak: u64,
    },
    /// Its command could not be started.
    StartFailed(String),
    /// An input could not be read.
    InputFailed {
        /// The input.
        uri: String,
        /// Why.
        message: String,
    },
    /// Its output could not be written or put in place.
    OutputFailed {
        /// The output.
        path: String,
        /// Why.
        message: String,
    },
    /// It was told to end.
    Killed(KillReason),
    /// Another attempt had the right to commit.
    CommitDenied,
    /// Its executor is gone.
    ExecutorLost {
        /// Why.
        loss: ExecutorLoss,
        /// Whether the task had been reported as running.
        started: bool,
    },
    /// Its function panicked, with this message.
    Panicked(String),
    /// Its function gave back an error.
    FunctionFailed(String),
    /// None of the above; from a peer that knows more causes than we do.
    Unclassified(String),
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExitCode(code) => write!(f, "exit code {code}"),
            Self::Signal { signal, core_dumped } => {
                let core = if *core_dumped { ", core dumped" } else { "" };
                write!(f, "ended by {}{core}", SignalName(*signal))
            }
            Self::Timeout(limit) => write!(f, "ran longer than its timeout of {limit:?}"),
            Self::MemoryLimit { limit, peak } => {
                write!(
                    f,
                    "used {} MiB of memory, its limit is {} MiB",
                    mib(*peak),
                    mib(*limit)
                )
            }
            Self::ContainerMemory { limit, used, own } => write!(
                f,
                "used {} MiB of memory, the most in a container of {} MiB that was full at {} MiB",
                mib(*own),
                mib(*limit),
                mib(*used)
            ),
            Self::OutOfMemory { peak } => write!(
                f,
                "ended by the kernel's out-of-memory killer; it had used {} MiB when last seen",
                mib(*peak)
            ),
            Self::StartFailed(message) => write!(f, "could not be started: {message}"),
            Self::InputFailed { uri, message } => write!(f, "could not read {uri}: {message}"),
            Self::OutputFailed { path, message } => write!(f, "could not write {path}: {message}"),
            Self::Killed(reason) => write!(f, "ended because {reason}"),
            Self::CommitDenied => f.write_str("another attempt committed this partition"),
            Self::ExecutorLost { loss, .. } => write!(f, "executor lost: {loss}"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::FunctionFailed(message) => write!(f, "failed: {message}"),
            Self::Unclassified(message) => f.write_str(message),
        }
    }
}

/// A failed task attempt: the cause and the last of what the command wrote to its standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFailure {
    /// Why.
    pub cause: FailureCause,
    /// The last lines of its standard error, at most [`TaskFailure::STDERR_TAIL`] bytes; may be empty.
    pub stderr_tail: String,
}

impl TaskFailure {
    /// The most that is kept of a task's standard error, in bytes.
    pub const STDERR_TAIL: usize = 4096;

    /// A failure without any standard error.
    #[must_use]
    pub fn new(cause: FailureCause) -> Self {
        Self {
            cause,
            stderr_tail: String::new(),
        }
    }

    /// Whether the failure counts towards `task.max-failures`.
    #[must_use]
    pub fn counts_for_task(&self) -> bool {
        match &self.cause {
            FailureCause::Killed(_) | FailureCause::CommitDenied => false,
            FailureCause::ExecutorLost { loss, started } => *started && loss.counts_for_tasks(),
            FailureCause::ExitCode(_)
            | FailureCause::Signal { .. }
            | FailureCause::Timeout(_)
            | FailureCause::MemoryLimit { .. }
            | FailureCause::ContainerMemory { .. }
            | FailureCause::OutOfMemory { .. }
            | FailureCause::StartFailed(_)
            | FailureCause::InputFailed { .. }
            | FailureCause::OutputFailed { .. }
            | FailureCause::Panicked(_)
            | FailureCause::FunctionFailed(_)
            | FailureCause::Unclassified(_) => true,
        }
    }
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

/// A signal by its usual name, or by number.
struct SignalName(i32);

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            1 => "SIGHUP",
            2 => "SIGINT",
            3 => "SIGQUIT",
            4 => "SIGILL",
            6 => "SIGABRT",
            7 => "SIGBUS",
            8 => "SIGFPE",
            9 => "SIGKILL",
            11 => "SIGSEGV",
            13 => "SIGPIPE",
            15 => "SIGTERM",
            24 => "SIGXCPU",
            25 => "SIGXFSZ",
            other => return write!(f, "signal {other}"),
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neutral_losses_count_for_nothing() {
        let neutral = [
            ExecutorLoss::Preempted,
            ExecutorLoss::Released,
            ExecutorLoss::NodeLost,
            ExecutorLoss::DisksFailed,
            ExecutorLoss::KilledByRm,
            ExecutorLoss::KilledByUs,
            ExecutorLoss::Decommissioned,
            ExecutorLoss::ApplicationEnded,
        ];
        for loss in neutral {
            assert!(!loss.counts_for_budget(), "{loss}");
            let cause = FailureCause::ExecutorLost { loss, started: true };
            assert!(!TaskFailure::new(cause).counts_for_task(), "{loss}");
        }
    }

    #[test]
    fn a_task_that_had_not_started_is_not_blamed_for_its_executor() {
        let lost = |started| {
            TaskFailure::new(FailureCause::ExecutorLost {
                loss: ExecutorLoss::Signalled(9),
                started,
            })
        };
        assert!(lost(true).counts_for_task());
        assert!(!lost(false).counts_for_task());
    }

    #[test]
    fn causes_read_as_sentences() {
        let cause = FailureCause::MemoryLimit {
            limit: 512 << 20,
            peak: 731 << 20,
        };
        assert_eq!(cause.to_string(), "used 731 MiB of memory, its limit is 512 MiB");
        let killed = FailureCause::Signal {
            signal: 9,
            core_dumped: false,
        };
        assert_eq!(killed.to_string(), "ended by SIGKILL");
    }
}
