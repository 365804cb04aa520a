//! The executor: a process in a YARN container that dials its ApplicationMaster and runs tasks as child processes.
//!
//! Started by the launcher as the hidden role `executor` of the binary, with what it needs to know in the
//! environment ([`wire::environment`]). It is two processes, so that no task outlives it, whichever is killed: the guard,
//! which YARN knows, and the executor proper, its child (see the module `guard`).
//!
//! | module | what it is |
//! |---|---|
//! | `guard` | the container's main process: passes signals on, cleans up after the executor |
//! | `process` | threads and end of the executor proper |
//! | `session` | the conversation with the ApplicationMaster, a pure machine |
//! | `link`, `gateway` | the loop and the TLS connection around it |
//! | `pace` | what is said a moment later, together with more |
//! | `discovery` | where to dial, also when another ApplicationMaster has taken over |
//! | [`functions`] | Rust functions that a program registers as tasks |
//! | `task` | running attempts: directory, command, input, result, logs, process tree |
//! | `oom` | whether the kernel ended processes for want of memory |
//! | `children`, `process_table` | waiting for child processes; who descends from whom |
//! | `reports` | room for what finished attempts have to report, in memory and on the disk |
//! | `said` | progress, status and counters that tasks report about themselves |
//! | `board` | what is going on, for heartbeats and dumps |
//!
//! # Exit codes
//! What YARN shows for the container; see [`Ending`]: 0 told to leave, 64 wrong environment, 69 no
//! ApplicationMaster, 75 a function did not return in time, 76 refused by it; after SIGTERM the process dies of it (143), so that YARN keeps its own
//! reason for stopping the container.

mod backoff;
mod board;
mod children;
mod devices;
mod discovery;
mod ending;
pub mod functions;
pub mod gateway;
mod guard;
mod link;
mod oom;
mod pace;
mod process;
mod process_table;
mod reports;
mod said;
mod session;
mod settings;
mod shares;
mod storage;
mod task;

pub use ending::Ending;
pub use settings::SettingsError;
pub use task::directory::log_name;
pub use task::log::LATER_PARTS;

/// Runs the role `executor` of the binary: first as the guard, which starts the same program with the same
/// arguments again, then in that child as the executor proper. Returns how the process has to end; the caller
/// applies it: `executor::run_from_env().apply()`. What kept it from beginning is printed to standard error, which
/// YARN collects. To be called on the main thread before any other thread is started.
/// `functions` are those that tasks may call.
#[must_use]
pub fn run_from_env(functions: functions::Functions) -> Ending {
    let ended = if std::env::var_os(guard::SESSION_VARIABLE).is_some() {
        process::run(functions)
    } else {
        guard::run()
    };
    ended.unwrap_or_else(|error| explain(&error))
}

/// Whether an executor has started this process to call a function.
#[must_use]
pub fn is_asked_for_function() -> bool {
    std::env::var_os(task::isolated::DIRECTORY_VARIABLE).is_some()
}

/// Runs the role `function` of the binary: one call of a function in a process of its own, whose memory can be
/// limited. Started by an executor only.
#[must_use]
pub fn run_function(functions: &functions::Functions) -> Ending {
    task::isolated::run(functions)
}

/// Says a line on standard error, which is a file on a disk that may be full: what is done next is done all the same
/// (`eprintln!` panics then).
pub(crate) fn tell(line: impl std::fmt::Display) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{line}\n").as_bytes());
}

fn explain(error: &anyhow::Error) -> Ending {
    tell(format_args!("error: the executor cannot begin\ncause: {error:#}"));
    if error.downcast_ref::<SettingsError>().is_some() {
        Ending::BAD_ENVIRONMENT
    } else {
        Ending::INTERNAL
    }
}
