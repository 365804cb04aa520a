//! The processes of a container: a session of their own, like those of Hadoop's `DefaultContainerExecutor`.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use yarn_rpc::am_nm::ContainerSignal;

use super::memory;
use super::script::SCRIPT_NAME;

/// `yarn.nodemanager.sleep-delay-before-sigkill.ms`.
const GRACE: Duration = Duration::from_millis(250);

/// A process group with everything in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    leader: Pid,
}

impl Group {
    pub(super) fn leader(self) -> i32 {
        self.leader.as_raw_nonzero().get()
    }

    /// Stops all processes of the container where they stand, or lets them go on. Those that were begun while others
    /// were stopped are found by looking again.
    pub(super) fn set_frozen(self, frozen: bool) {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        self.send(signal);
        let mut met = BTreeSet::new();
        loop {
            let mut fresh = memory::tree(self.leader());
            fresh.retain(|process| met.insert(process.pid));
            if fresh.is_empty() {
                return;
            }
            for pid in fresh.iter().filter_map(|process| Pid::from_raw(process.pid)) {
                if let Err(error) = rustix::process::kill_process(pid, signal) {
                    tracing::trace!(%error, %pid, "no signal was sent");
                }
            }
        }
    }

    /// Ends it while its leader has not been waited for. A leader that is only about to make the group is meant, too.
    pub(super) fn kill_with_leader(self) {
        self.kill();
        if let Err(error) = rustix::process::kill_process(self.leader, Signal::KILL) {
            tracing::trace!(%error, leader = self.leader(), "no signal was sent");
        }
    }

    /// Ends it; one that is gone is no error.
    pub(super) fn kill(self) {
        self.send(Signal::KILL);
    }

    fn send(self, signal: Signal) {
        if let Err(error) = kill_process_group(self.leader, signal) {
            tracing::trace!(%error, group = self.leader(), "no signal was sent");
        }
    }

    /// Sends a signal that somebody asked for; gives the names of command and signal.
    pub(super) fn signal(self, signal: ContainerSignal) -> (&'static str, &'static str) {
        let (signal, names) = match signal {
            ContainerSignal::ThreadDump => (Signal::QUIT, ("OUTPUT_THREAD_DUMP", "SIGQUIT")),
            ContainerSignal::Graceful => (Signal::TERM, ("GRACEFUL_SHUTDOWN", "SIGTERM")),
            ContainerSignal::Forceful => (Signal::KILL, ("FORCEFUL_SHUTDOWN", "SIGKILL")),
        };
        self.send(signal);
        names
    }
}

/// A started launch script and what became of it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Group,
}

impl Process {
    /// Starts the launch script in `work` with an empty environment.
    pub(super) fn start(work: &Path) -> std::io::Result<Self> {
        let child = match spawn(Command::new("setsid").arg("/bin/bash"), work) {
            // Without the program a process group must do, as in Hadoop.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                spawn(Command::new("/bin/bash").process_group(0), work)?
            }
            child => child?,
        };
        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let leader = id.ok_or_else(|| std::io::Error::other("the process ended before it was seen"))?;
        Ok(Self {
            child,
            group: Group { leader },
        })
    }

    pub(super) fn group(&self) -> Group {
        self.group
    }

    /// Waits for the end; a signal is 128 and its number, as shells have it.
    pub(super) async fn exit(&mut self) -> i32 {
        self.child.wait().await.map_or(-1, code)
    }

    /// Asks, waits a moment, insists.
    pub(super) async fn terminate(&mut self) -> i32 {
        self.group.send(Signal::TERM);
        if let Ok(exit) = timeout(GRACE, self.exit()).await {
            return exit;
        }
        self.group.kill_with_leader();
        self.exit().await
    }
}

fn spawn(command: &mut Command, work: &Path) -> std::io::Result<Child> {
    command.arg(work.join(SCRIPT_NAME)).current_dir(work);
    command.env_clear().env("PATH", SEARCH).kill_on_drop(true);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn()
}

/// Where `setsid` is looked for, and what bash takes for its default when nothing else is said.
const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:.";

fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(-1)
}
