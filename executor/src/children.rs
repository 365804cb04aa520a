//! The one place that starts child processes of the executor and waits for them.
//!
//! The executor is a child subreaper, so it has children it never started, and must wait for any child. A status
//! must then find its way to the one that waits for it: [`Children`] owns that table. Starting a process and
//! waiting for one exclude each other, so no status arrives before its process is in the table.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, WaitOptions};
use tokio::sync::oneshot;

use crate::process_table::{Process, ProcessTable, extinguish, own_children, own_pid, send_signal, ticks};

/// How a child ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exit {
    /// Code or signal.
    pub(crate) status: ExitStatus,
    /// Processor time in user mode of the child and of those it had waited for itself, to 10 ms.
    pub(crate) cpu_user: Duration,
    /// The same in the kernel.
    pub(crate) cpu_system: Duration,
}

/// A child that was started.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: i32,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
    /// Gets the end of the process; fails only when the executor is going down.
    pub(crate) exit: oneshot::Receiver<Exit>,
}

#[derive(Debug, Default)]
struct Table {
    waiting: BTreeMap<i32, oneshot::Sender<Exit>>,
    /// Children whose tasks are not settled: they, or processes they left behind, may run.
    unsettled: BTreeSet<i32>,
    /// This process as it was after the last child was waited for: nothing else adds to its account of children.
    account: Option<Process>,
    closed: bool,
}

/// The children of this process.
#[derive(Debug, Default)]
pub(crate) struct Children {
    table: Mutex<Table>,
}

impl Children {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a process.
    ///
    /// # Errors
    /// Those of [`Command::spawn`], and [`io::ErrorKind::Interrupted`] after [`Children::extinguish`].
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let mut table = self.table();
        if table.closed {
            return Err(io::Error::new(
                io::ErrorKind::Interrupted,
                "the executor is ending",
            ));
        }
        let mut child = command.spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let (sender, exit) = oneshot::channel();
        table.waiting.insert(pid, sender);
        table.unsettled.insert(pid);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        Ok(Child {
            pid,
            stdin,
            stdout,
            stderr,
            exit,
        })
    }

    /// Waits for every child that has ended, without blocking. To be called at each SIGCHLD.
    pub(crate) fn reap(&self) {
        while self.reap_one() {}
    }

    fn reap_one(&self) -> bool {
        let mut table = self.table();
        let before = table.account.take().or_else(Process::this);
        table.account = before;
        let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) else {
            return false;
        };
        table.account = Process::this();
        if let Some(waiting) = table.waiting.remove(&pid.as_raw_nonzero().get()) {
            let (cpu_user, cpu_system) = spent_between(before, table.account);
            let status = ExitStatus::from_raw(status.as_raw());
            // Nobody waits any more when the task was given up meanwhile.
            let _ = waiting.send(Exit {
                status,
                cpu_user,
                cpu_system,
            });
        }
        true
    }

    /// Whether no child of this process is anything but the first process of a task that runs: then nothing is left
    /// of tasks whose first process has ended, because what they leave behind becomes our child (we are a child
    /// subreaper). False, too, when the kernel does not say.
    pub(crate) fn leaves_nothing_behind(&self) -> bool {
        let table = self.table();
        own_children().is_some_and(|children| children.iter().all(|pid| table.waiting.contains_key(pid)))
    }

    /// All that is known to belong to the task of this child is gone. When that is so for every task, whatever still
    /// descends from this process belongs to none and is killed.
    pub(crate) fn settle(&self, pid: i32) {
        let mut table = self.table();
        table.unsettled.remove(&pid);
        if table.unsettled.is_empty() && has_children() {
            let strays = ProcessTable::scan().descendants(own_pid());
            strays
                .iter()
                .for_each(|process| send_signal(process.pid, Signal::KILL));
        }
    }

    /// Starts nothing more and kills everything that descends from this process.
    pub(crate) fn extinguish(&self, limit: Duration) -> bool {
        self.table().closed = true;
        extinguish(limit, || self.reap())
    }
}

/// Whether this process has any child, alive or not.
fn has_children() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(rustix::process::waitid(WaitId::All, look), Err(Errno::CHILD))
}

/// The kernel adds a child's time to its parent's account when it is waited for; nothing else is waited for in
/// between, so the difference is that child's.
fn spent_between(before: Option<Process>, after: Option<Process>) -> (Duration, Duration) {
    let (Some(before), Some(after)) = (before, after) else {
        return (Duration::ZERO, Duration::ZERO);
    };
    let user = after
        .children_user_ticks
        .saturating_sub(before.children_user_ticks);
    let system = after
        .children_system_ticks
        .saturating_sub(before.children_system_ticks);
    (ticks(user), ticks(system))
}
