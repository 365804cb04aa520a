//! The guard: the process that YARN starts, and the parent of the executor proper.
//!
//! It exists so that no task outlives its executor, whichever of the two is killed with SIGKILL:
//! - it is a child subreaper, so when the executor dies the executor's descendants become its own, and it kills
//!   them before it ends as the executor did;
//! - it holds the write end of a pipe that is the executor's standard input; the executor reads end-of-file when
//!   the guard dies, and kills its descendants itself.
//!
//! The guard stays in the process group that YARN signals, passes signals on, and does nothing else: no runtime, no
//! connection, no memory to speak of. The executor is in a session of its own.
//!
//! In the ApplicationMaster's container the guard is a child of that process, and ends with it.

use std::env::ArgsOs;
use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::SigSet;
use rustix::process::{Signal, WaitOptions};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::ending::Ending;
use crate::oom;
use crate::process_table::{extinguish, send_signal};
use crate::settings::Environment;

/// Set in the environment of the executor proper, and taken out of that of its tasks.
pub(crate) const SESSION_VARIABLE: &str = "DRAWLOOM_EXECUTOR_SESSION";

/// What the executor proper is called in lists of processes. The launcher calls the guard otherwise, so that whoever
/// kills executors by their name does not take both at once, which nothing of a task would be cleaned up after.
const EXECUTOR_NAME: &str = "drawloom";

/// How many heaps the C library may make, and what the container said about it, which is what tasks get to see.
/// Each heap takes 64 MiB of addresses for a start, and YARN may count those (`yarn.nodemanager.vmem-check-enabled`).
const ARENAS_VARIABLE: &str = "MALLOC_ARENA_MAX";
const ARENAS_FOR_TASKS_VARIABLE: &str = "DRAWLOOM_MALLOC_ARENA_MAX";
const ARENAS: &str = "1";

/// How long orphaned processes may take to die of SIGKILL before the guard gives up on them.
const EXTINCTION_LIMIT: Duration = Duration::from_secs(8);

/// Runs the guard until the executor has ended and nothing of it is left. Gives the executor's own end.
///
/// # Errors
/// When the executor cannot be started.
pub(crate) fn run() -> anyhow::Result<Ending> {
    unblock_signals();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .context("cannot become a subreaper")?;
    let mut signals =
        Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGCHLD]).context("cannot handle signals")?;
    // Held until the end: the executor takes its closing for our death.
    let (lifeline, held) = io::pipe().context("cannot make a pipe")?;
    let executor = start_executor(Stdio::from(lifeline)).context("cannot start the executor process")?;
    if std::env::var_os(wire::environment::LIFELINE).is_some() {
        end_with_standard_input(executor)?;
    }
    let (began, kills) = (Instant::now(), oom::kills());
    let status = watch(executor, &mut signals);
    if let Some(words) = last_words(status, began.elapsed(), oom::kills().saturating_sub(kills)) {
        crate::tell(words);
    }
    extinguish(EXTINCTION_LIMIT, || while reap().is_some() {});
    drop(held);
    Ok(Ending::from(status))
}

/// Whoever started us holds the other end of our standard input, and nothing of the executor may outlive it: an
/// ApplicationMaster whose container the executor shares, and which YARN does not end by itself.
fn end_with_standard_input(executor: i32) -> anyhow::Result<()> {
    let wait = move || {
        let mut nothing = Vec::new();
        drop(io::stdin().lock().read_to_end(&mut nothing));
        send_signal(executor, Signal::KILL);
    };
    let thread = std::thread::Builder::new().name("lifeline".to_owned());
    thread
        .spawn(wait)
        .map(drop)
        .context("cannot start the thread lifeline")
}

fn start_executor(stdin: Stdio) -> io::Result<i32> {
    let (program, arguments) = this_program();
    let mut command = Command::new(&program);
    command.arg0(EXECUTOR_NAME).args(arguments.skip(1));
    command
        .env(
            ARENAS_FOR_TASKS_VARIABLE,
            std::env::var_os(ARENAS_VARIABLE).unwrap_or_default(),
        )
        .env(ARENAS_VARIABLE, ARENAS)
        .env(SESSION_VARIABLE, "1")
        .env_remove(wire::environment::LIFELINE)
        .stdin(stdin);
    let child = command.spawn()?;
    i32::try_from(child.id()).map_err(io::Error::other)
}

/// Gives tasks what the container was given, not what was set for the executor alone.
pub(crate) fn restore_for_tasks(environment: &mut Environment) {
    if let Some(value) = environment.remove(OsStr::new(ARENAS_FOR_TASKS_VARIABLE)) {
        environment.insert(ARENAS_VARIABLE.into(), value);
    }
    environment.retain(|name, value| name != ARENAS_VARIABLE || !value.is_empty());
}

/// This executable and the arguments it was started with. The file may have been replaced meanwhile; the link in
/// `/proc` still leads to it, but gives the process an ugly name.
fn this_program() -> (PathBuf, ArgsOs) {
    let path = std::env::current_exe().ok().filter(|path| path.exists());
    (
        path.unwrap_or_else(|| "/proc/self/exe".into()),
        std::env::args_os(),
    )
}

/// Passes signals on until the executor has ended.
fn watch(executor: i32, signals: &mut Signals) -> ExitStatus {
    for signal in signals.forever() {
        if signal != SIGCHLD {
            Signal::from_named_raw(signal)
                .into_iter()
                .for_each(|signal| send_signal(executor, signal));
        }
        while let Some((pid, status)) = reap() {
            if pid == executor {
                return status;
            }
        }
    }
    ExitStatus::from_raw(SIGTERM)
}

/// What is said of an executor that did not end in good order; it can no longer say it itself.
fn last_words(status: ExitStatus, lived: Duration, kills: u64) -> Option<String> {
    let how = match (status.code(), status.signal()) {
        (Some(0), _) | (None, Some(SIGTERM)) => return None,
        (Some(code), _) => format!("exited with code {code}"),
        (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
    };
    let lived = lived.as_secs_f64();
    let memory = match kills {
        0 => String::new(),
        kills => format!(
            "; meanwhile {} {kills} processes of this machine",
            wire::failure::OOM_WORDS
        ),
    };
    Some(format!("guard: the executor {how} after {lived:.1} s{memory}"))
}

fn reap() -> Option<(i32, ExitStatus)> {
    let (pid, status) = rustix::process::wait(WaitOptions::NOHANG).ok().flatten()?;
    Some((pid.as_raw_nonzero().get(), ExitStatus::from_raw(status.as_raw())))
}

/// Children of a NodeManager inherit SIGQUIT blocked (the JVM blocks it in the threads that start processes), and
/// then a dump cannot be asked for. The mask is passed on, so the executor and its tasks get rid of it here too.
fn unblock_signals() {
    let mut quit = SigSet::empty();
    quit.add(nix::sys::signal::Signal::SIGQUIT);
    if let Err(error) = quit.thread_unblock() {
        crate::tell(format_args!("SIGQUIT stays blocked: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unexpected_end_is_talked_about() {
        let words = |raw, kills| last_words(ExitStatus::from_raw(raw), Duration::from_secs(2), kills);
        assert_eq!(words(0, 0), None);
        assert_eq!(words(SIGTERM, 1), None);
        assert_eq!(
            words(9, 0).unwrap(),
            "guard: the executor was ended by signal 9 after 2.0 s"
        );
        assert_eq!(
            words(7 << 8, 3).unwrap(),
            "guard: the executor exited with code 7 after 2.0 s; meanwhile the kernel's out-of-memory killer ended 3 \
             processes of this machine"
        );
    }

    #[test]
    fn tasks_see_the_limit_of_heaps_that_the_container_was_given() {
        let seen = |container: &str| {
            let mut environment: Environment = [
                (ARENAS_VARIABLE.into(), ARENAS.into()),
                (ARENAS_FOR_TASKS_VARIABLE.into(), container.into()),
            ]
            .into();
            restore_for_tasks(&mut environment);
            environment.into_values().collect::<Vec<_>>()
        };
        assert_eq!(seen("4"), ["4"]);
        assert_eq!(seen(""), [""; 0]);
    }
}
