//! The one place that starts child processes of the executor and waits for them.
//!
//! The executor is a child subreaper, so it has children it never started, and must wait for any child. A status
//! must then find its way to the one that waits for it: [`Children`] owns that table. Starting a process takes most of
//! what a short command takes, so several may be started at once while others are waited for; a status that arrives
//! before its process is in the table is kept for the starts that were under way.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, WaitOptions};
use tokio::sync::oneshot;

use crate::process_table::{Adopted, ProcessTable, extinguish, own_pid, send_signal};

/// How long to wait before children are looked for again when the system will not say which have ended.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How a child ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exit {
    /// Code or signal.
    pub(crate) status: ExitStatus,
    /// Processor time in user mode of the child and of those it had waited for itself.
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

/// Processor time in user mode and in the kernel.
type Spent = (Duration, Duration);

/// A process that is being started: the number of the start.
type Start = u64;

#[derive(Debug, Default)]
struct Table {
    waiting: BTreeMap<i32, oneshot::Sender<Exit>>,
    /// Children whose tasks are not settled: they, or processes they left behind, may run.
    unsettled: BTreeSet<i32>,
    /// Starts so far.
    starts: Start,
    /// Those that are under way.
    starting: BTreeSet<Start>,
    /// Ends that nobody waited for while processes were being started, with the number of starts until then: a
    /// process of an earlier start may be meant. Forgotten when every start that may is over.
    early: BTreeMap<i32, (Start, Exit)>,
    /// Children that were started so far.
    born: u64,
    /// Processor time of all children that were waited for so far.
    spent: Spent,
    closed: bool,
}

impl Table {
    /// A start begins.
    fn begin(&mut self) -> io::Result<Start> {
        if self.closed {
            let ending = "the executor is ending";
            return Err(io::Error::new(io::ErrorKind::Interrupted, ending));
        }
        self.starts += 1;
        self.starting.insert(self.starts);
        Ok(self.starts)
    }

    /// A start is over, and `child` is there if it was successful.
    fn finish(&mut self, start: Start, child: Option<(i32, oneshot::Sender<Exit>)>) {
        if let Some((pid, sender)) = child {
            self.born += 1;
            self.unsettled.insert(pid);
            match self.early.remove(&pid) {
                // The number was in use before, by another process.
                Some((until, exit)) if until >= start => deliver(sender, exit),
                _ => drop(self.waiting.insert(pid, sender)),
            }
        }
        self.starting.remove(&start);
        let first = self.starting.first().copied();
        self.early
            .retain(|_, (until, _)| first.is_some_and(|first| first <= *until));
    }

    /// A child was waited for.
    fn ended(&mut self, pid: i32, exit: Exit) {
        match self.waiting.remove(&pid) {
            Some(sender) => deliver(sender, exit),
            None if self.starting.is_empty() => {}
            None => drop(self.early.insert(pid, (self.starts, exit))),
        }
    }
}

/// The end of a start, whichever way it comes about.
struct Over<'a> {
    children: &'a Children,
    start: Start,
    child: Option<(i32, oneshot::Sender<Exit>)>,
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.children.table().finish(self.start, self.child.take());
        self.children.started.notify_all();
    }
}

/// Nobody waits any more when the task was given up meanwhile.
fn deliver(sender: oneshot::Sender<Exit>, exit: Exit) {
    let _ = sender.send(exit);
}

/// The children of this process.
#[derive(Debug, Default)]
pub(crate) struct Children {
    table: Mutex<Table>,
    /// A start is over.
    started: Condvar,
    adopted: Adopted,
}

impl Children {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a process.
    ///
    /// The command has no `pre_exec`, user or group of its own, so that `std` starts it with `posix_spawn`: after a fork
    /// it would wait by itself for a child that cannot be executed, and panic when [`Children::watch`] had done so.
    ///
    /// # Errors
    /// Those of [`Command::spawn`], and [`io::ErrorKind::Interrupted`] after [`Children::extinguish`].
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let start = self.table().begin()?;
        let mut over = Over {
            children: self,
            start,
            child: None,
        };
        let spawned = command
            .spawn()
            .and_then(|child| Ok((i32::try_from(child.id()).map_err(io::Error::other)?, child)));
        let (pid, mut child) = spawned?;
        let (sender, exit) = oneshot::channel();
        over.child = Some((pid, sender));
        drop(over);
        Ok(Child {
            pid,
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            exit,
        })
    }

    /// Waits for children, one after the other as they end, for ever.
    pub(crate) fn watch(&self) -> ! {
        let mut born = 0;
        loop {
            match rustix::process::waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(_) => _ = self.reap_one(),
                Err(Errno::INTR) => {}
                Err(Errno::CHILD) => born = self.wait_for_another(born),
                Err(error) => {
                    tracing::error!(%error, "the system does not say which processes have ended");
                    thread::sleep(TRY_AGAIN);
                }
            }
        }
    }

    /// Waits until more children were started than so many, and gives their number.
    fn wait_for_another(&self, born: u64) -> u64 {
        let mut table = self.table();
        while table.born == born {
            table = self.started.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
        table.born
    }

    /// Waits for every child that has ended, without blocking.
    pub(crate) fn reap(&self) {
        while self.reap_one() {}
    }

    fn reap_one(&self) -> bool {
        let mut table = self.table();
        let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) else {
            return false;
        };
        // Only here is a child waited for, so the difference is that child's.
        let spent = spent_by_children();
        let before = std::mem::replace(&mut table.spent, spent);
        let exit = Exit {
            status: ExitStatus::from_raw(status.as_raw()),
            cpu_user: spent.0.saturating_sub(before.0),
            cpu_system: spent.1.saturating_sub(before.1),
        };
        table.ended(pid.as_raw_nonzero().get(), exit);
        true
    }

    /// Whether no child of this process is anything but the first process of a task that runs: then nothing is left
    /// of tasks whose first process has ended, because what they leave behind becomes our child (we are a child
    /// subreaper). False, too, when the kernel does not say.
    pub(crate) fn leaves_nothing_behind(&self) -> bool {
        let table = self.table();
        // Nobody is waited for meanwhile: the kernel leaves children out when one goes while it lists them.
        let Some(adopted) = self.adopted.list() else {
            return false;
        };
        adopted.iter().all(|pid| table.waiting.contains_key(pid))
    }

    /// All that is known to belong to the task of this child is gone. When that is so for every task, whatever still
    /// descends from this process belongs to none and is killed.
    pub(crate) fn settle(&self, pid: i32) {
        let mut table = self.table();
        table.unsettled.remove(&pid);
        // What is being started is in no list yet.
        if table.unsettled.is_empty() && table.starting.is_empty() && has_children() {
            let strays = ProcessTable::scan().descendants(own_pid());
            strays
                .iter()
                .for_each(|process| send_signal(process.pid, Signal::KILL));
        }
    }

    /// Starts nothing more and kills everything that descends from this process.
    pub(crate) fn extinguish(&self, limit: Duration) -> bool {
        self.close(Instant::now() + limit);
        extinguish(limit, || self.reap())
    }

    /// Begins no further start, and waits until those under way are over.
    fn close(&self, deadline: Instant) {
        let mut table = self.table();
        table.closed = true;
        while !table.starting.is_empty() && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            let waited = self.started.wait_timeout(table, left);
            table = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Whether this process has any child, alive or not.
fn has_children() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(rustix::process::waitid(WaitId::All, look), Err(Errno::CHILD))
}

/// Processor time of all children that were waited for.
fn spent_by_children() -> Spent {
    let time = |value: TimeVal| {
        let [seconds, micros] =
            [value.tv_sec(), value.tv_usec()].map(|part| u64::try_from(part).unwrap_or(0));
        Duration::from_secs(seconds) + Duration::from_micros(micros)
    };
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or((Duration::ZERO, Duration::ZERO), |usage| {
        (time(usage.user_time()), time(usage.system_time()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: i32) -> Exit {
        Exit {
            status: ExitStatus::from_raw(code << 8),
            cpu_user: Duration::ZERO,
            cpu_system: Duration::ZERO,
        }
    }

    fn code(exit: &mut oneshot::Receiver<Exit>) -> Option<i32> {
        exit.try_recv().ok()?.status.code()
    }

    #[test]
    fn an_end_that_is_seen_before_the_start_is_over_is_not_lost() {
        let mut table = Table::default();
        let start = table.begin().unwrap();
        table.ended(7, exit(3));
        let (sender, mut end) = oneshot::channel();
        table.finish(start, Some((7, sender)));
        assert_eq!(code(&mut end), Some(3));
        assert!(table.waiting.is_empty() && table.early.is_empty());
    }

    #[test]
    fn an_end_from_before_a_start_is_that_of_another_process() {
        let mut table = Table::default();
        let first = table.begin().unwrap();
        table.ended(7, exit(127));
        let second = table.begin().unwrap();
        let (sender, mut end) = oneshot::channel();
        table.finish(second, Some((7, sender)));
        assert_eq!(code(&mut end), None);
        table.ended(7, exit(0));
        assert_eq!(code(&mut end), Some(0));
        table.finish(first, None);
        assert!(table.early.is_empty(), "a start that failed is forgotten");
    }

    #[test]
    fn nothing_is_started_while_the_executor_ends() {
        let mut table = Table {
            closed: true,
            ..Table::default()
        };
        assert_eq!(table.begin().unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
