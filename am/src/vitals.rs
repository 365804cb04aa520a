//! What executors say of themselves: process, memory, processor time.

use std::collections::BTreeMap;
use std::time::Duration;

use wire::id::ExecutorId;
use wire::message::{Heartbeat, Hello};

/// The latest word of one executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
}

/// The latest word of every executor that is connected or was.
#[derive(Debug, Default)]
pub struct Vitals {
    by_executor: BTreeMap<ExecutorId, Vital>,
}

impl Vitals {
    /// An executor introduced itself.
    pub fn registered(&mut self, hello: &Hello) {
        let vital = self.by_executor.entry(hello.executor.clone()).or_default();
        vital.pid = hello.pid;
        vital.memory = hello.memory;
    }

    /// An executor gave a sign of life.
    pub fn heard(&mut self, executor: &ExecutorId, heartbeat: &Heartbeat) {
        let Some(vital) = self.by_executor.get_mut(executor) else {
            return;
        };
        vital.resident = heartbeat.resident;
        vital.cpu = heartbeat.cpu;
        vital.tasks_resident = heartbeat.running.iter().map(|task| task.resident).sum();
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
