//! What executors say of themselves: process, memory, processor time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wire::id::{ExecutorId, TaskAttemptId};
use wire::message::{Heartbeat, Hello};

/// The latest word of one executor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vital {
    /// Its process.
    pub pid: u32,
    /// Memory of its container, in bytes.
    pub memory: u64,
    /// Memory of the executor process, in bytes.
    pub resident: u64,
    /// Processor time of the executor process.
    pub cpu: Duration,
    /// Memory of its tasks, in bytes.
    pub tasks_resident: u64,
    /// The most that executor and tasks were seen to use together, in bytes.
    pub peak: u64,
    /// The most of the executor process alone, in bytes.
    pub own_peak: u64,
    /// When its process began, by its node's clock; nothing when that was before our own start.
    pub process_began: Option<Duration>,
    /// When its first task ran.
    pub first_task: Option<Duration>,
    /// Attempts that run there.
    pub tasks: BTreeSet<TaskAttemptId>,
}

/// The latest word of every executor that is connected or was.
#[derive(Debug, Default)]
pub struct Vitals {
    by_executor: BTreeMap<ExecutorId, Vital>,
}

impl Vitals {
    /// An executor introduced itself.
    pub fn registered(&mut self, hello: &Hello, process_began: Option<Duration>) {
        let vital = self.by_executor.entry(hello.executor.clone()).or_default();
        vital.pid = hello.pid;
        vital.memory = hello.memory;
        vital.process_began = process_began;
    }

    /// An executor runs a task; `true` when it is its first.
    pub fn took_task(&mut self, executor: &ExecutorId, id: TaskAttemptId, now: Duration) -> bool {
        let Some(vital) = self.by_executor.get_mut(executor) else {
            return false;
        };
        let first = vital.first_task.is_none();
        vital.first_task.get_or_insert(now);
        vital.tasks.insert(id);
        first
    }

    /// A task of an executor has ended.
    pub fn ended_task(&mut self, executor: &ExecutorId, id: TaskAttemptId) {
        if let Some(vital) = self.by_executor.get_mut(executor) {
            vital.tasks.remove(&id);
        }
    }

    /// An executor gave a sign of life.
    pub fn heard(&mut self, executor: &ExecutorId, heartbeat: &Heartbeat) {
        let Some(vital) = self.by_executor.get_mut(executor) else {
            return;
        };
        vital.resident = heartbeat.resident;
        vital.cpu = heartbeat.cpu;
        vital.tasks_resident = heartbeat.running.iter().map(|task| task.resident).sum();
        let begun = heartbeat.running.iter().filter(|task| !task.waiting);
        vital.tasks = begun.map(|task| task.id).collect();
        let together = vital.resident + vital.tasks_resident;
        vital.peak = vital.peak.max(heartbeat.peak).max(together);
        vital.own_peak = vital.own_peak.max(vital.resident);
    }

    /// An executor is gone.
    pub fn forget(&mut self, executor: &ExecutorId) {
        self.by_executor.remove(executor);
    }

    /// The latest word of an executor.
    #[must_use]
    pub fn of(&self, executor: &ExecutorId) -> Option<&Vital> {
        self.by_executor.get(executor)
    }
}
