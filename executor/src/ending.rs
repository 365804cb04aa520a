//! How a process of ours ends, and what its exit code tells YARN.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The end of a process: with a code, or by a signal that it raises against itself.
///
/// YARN keeps its own reason for stopping a container (preempted, killed by the ApplicationMaster) only when the
/// process dies of the signal it was sent; a process that catches SIGTERM and exits 0 is reported as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// `exit(code)`.
    Code(u8),
    /// Death by this signal.
    Signal(i32),
}

impl Ending {
    /// Told to leave by the ApplicationMaster, or no longer wanted.
    pub const DONE: Self = Self::Code(0);
    /// The environment does not say what an executor needs to know (`EX_USAGE`).
    pub const BAD_ENVIRONMENT: Self = Self::Code(64);
    /// No ApplicationMaster could be reached for as long as is allowed (`EX_UNAVAILABLE`).
    pub const UNREACHABLE: Self = Self::Code(69);
    /// An executor process that ended in a way that should not happen (`EX_SOFTWARE`).
    pub const INTERNAL: Self = Self::Code(70);
    /// A function did not return after its time was up, and only its process can be ended (`EX_TEMPFAIL`).
    pub const STUCK: Self = Self::Code(75);
    /// The ApplicationMaster refused us: other build, other protocol, other application (`EX_PROTOCOL`).
    pub const REFUSED: Self = Self::Code(76);

    /// Ends this process.
    pub fn apply(self) -> ! {
        match self {
            Self::Code(code) => std::process::exit(i32::from(code)),
            Self::Signal(signal) => die_of(signal),
        }
    }
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(u8::try_from(code).unwrap_or(u8::MAX)),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::INTERNAL,
        }
    }
}

fn die_of(signal: i32) -> ! {
    // Comes back only for a signal that does not end a process; a shell would then say 128 + signal.
    let survived = signal_hook::low_level::emulate_default_handler(signal);
    tracing::debug!(signal, ?survived, "still alive after raising a signal");
    std::process::exit(128 + signal)
}
