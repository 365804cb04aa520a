//! The processes of one attempt: which they are, what they use, and how they are ended.
//!
//! The executor is a child subreaper, so everything a task starts stays below it. A process belongs to a task when
//! its parent does, when it is in the process group or session of the task's first process, when it carries the
//! task's id in its environment, when it works in the task's directory, or when it was once seen to belong. A
//! process that hid all of that before anybody looked is ended when no task runs, at the latest with the executor.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::process_table::{Process, ProcessTable, own_pid, proc_file, send_signal};

/// How long processes may take to die of SIGKILL before they are left to the end of the executor.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// The processes of an attempt.
#[derive(Debug)]
pub(crate) struct TaskTree {
    /// The first process; it leads the task's process group.
    leader: i32,
    marker: Vec<u8>,
    directory: PathBuf,
    /// By pid and start time, so that a number used again is not mistaken.
    seen: Mutex<BTreeSet<(i32, u64)>>,
}

impl TaskTree {
    /// The tree of the process `leader`; `marker` is `NAME=VALUE` in the environment of its descendants.
    pub(crate) fn new(leader: i32, marker: &str, directory: PathBuf) -> Self {
        Self {
            leader,
            marker: marker.as_bytes().to_vec(),
            directory,
            seen: Mutex::default(),
        }
    }

    /// The members that are alive.
    fn members(&self, table: &ProcessTable) -> Vec<Process> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pids = BTreeSet::new();
        let alive = table.descendants(own_pid());
        // Parents come before their children.
        let members: Vec<Process> = alive
            .into_iter()
            .filter(|process| {
                let known = pids.contains(&process.parent) || seen.contains(&process.identity());
                let belongs = known || self.is_own(process);
                belongs && pids.insert(process.pid)
            })
            .collect();
        *seen = members.iter().map(Process::identity).collect();
        members
    }

    fn is_own(&self, process: &Process) -> bool {
        [process.pid, process.group, process.session].contains(&self.leader)
            || (process.parent == own_pid() && (self.is_marked(process.pid) || self.works_here(process.pid)))
    }

    fn is_marked(&self, pid: i32) -> bool {
        let environment = fs::read(proc_file(pid, "environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == self.marker)
    }

    fn works_here(&self, pid: i32) -> bool {
        fs::read_link(proc_file(pid, "cwd")).is_ok_and(|path| path.starts_with(&self.directory))
    }

    /// The memory of all members together, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.members(&ProcessTable::below(own_pid()))
            .iter()
            .map(Process::resident)
            .sum()
    }

    /// The memory of all members together, in bytes, where a page that several share counts once: slower.
    pub(crate) fn proportional(&self) -> u64 {
        let members = self.members(&ProcessTable::below(own_pid()));
        let memory = |process: &Process| process.proportional().unwrap_or_else(|| process.resident());
        members.iter().map(memory).sum()
    }

    /// Whether no member is alive.
    pub(crate) fn is_empty(&self) -> bool {
        self.members(&ProcessTable::scan()).is_empty()
    }

    /// Sends a signal to every member.
    pub(crate) fn signal(&self, signal: Signal) {
        let members = self.members(&ProcessTable::scan());
        // The group first: it takes those that are being started right now.
        if members.iter().any(|process| process.group == self.leader)
            && let Some(group) = Pid::from_raw(self.leader)
        {
            let _ = kill_process_group(group, signal);
        }
        let others = members.iter().filter(|process| process.group != self.leader);
        others.for_each(|process| send_signal(process.pid, signal));
    }

    /// Asks all members to end, and kills those that are still there after `grace`.
    pub(crate) async fn end(&self, grace: Duration) {
        if !grace.is_zero() {
            self.signal(Signal::TERM);
            // A stopped process would not notice.
            self.signal(Signal::CONT);
            self.wait_empty(grace).await;
        }
        self.kill().await;
    }

    /// Kills all members.
    pub(crate) async fn kill(&self) {
        let deadline = Instant::now() + KILL_LIMIT;
        while !self.is_empty() {
            if Instant::now() >= deadline {
                tracing::warn!(leader = self.leader, "processes of a task outlive SIGKILL");
                return;
            }
            self.signal(Signal::KILL);
            self.wait_empty(Duration::from_millis(20)).await;
        }
    }

    async fn wait_empty(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_millis(1);
        while Instant::now() < deadline && !self.is_empty() {
            tokio::time::sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}
