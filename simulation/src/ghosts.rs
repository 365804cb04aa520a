//! What executors say that were given up. The gateway lets them in no more, but what it had passed on waits in a queue
//! behind the decision to give them up, and in client mode the driver is on another machine: it comes late, and the
//! driver must not heed it.

use std::collections::BTreeMap;

use driver::event::{Effect, Event as DriverEvent, Registration};
use wire::failure::{FailureCause, TaskFailure};
use wire::id::{BootNonce, ExecutorId, TaskAttemptId};
use wire::message::{RunningTask, TaskReport};
use wire::task::TaskMetrics;

use crate::world::{Happening, World};

/// What is needed to speak for those that are gone.
#[derive(Debug, Default)]
pub(crate) struct Ghosts {
    registrations: BTreeMap<ExecutorId, Registration>,
    /// What each was ordered to do.
    orders: BTreeMap<ExecutorId, Vec<TaskAttemptId>>,
}

impl Ghosts {
    /// Notes who an executor is.
    pub(crate) fn meet(&mut self, event: &DriverEvent) {
        if let DriverEvent::ExecutorRegistered(registration) = event {
            let executor = registration.executor.clone();
            self.registrations.insert(executor, registration.clone());
        }
    }

    /// The life of an executor that registered last.
    pub(crate) fn boot(&self, executor: &ExecutorId) -> u64 {
        let known = self.registrations.get(executor);
        known.map_or(0, |registration| registration.boot.0)
    }

    /// Notes what an executor was given.
    pub(crate) fn give(&mut self, effect: &Effect) {
        if let Effect::Launch { executor, tasks, .. } = effect {
            let orders = self.orders.entry(executor.clone()).or_default();
            orders.extend(tasks.iter().map(|task| task.id));
        }
    }
}

impl World {
    /// Somebody is given up, and may not have said its last word.
    pub(crate) fn bury(&mut self, executor: &ExecutorId) {
        if self.dice.percent(50) {
            return;
        }
        for _ in 0..self.dice.between(1, 5) {
            let executor = executor.clone();
            self.soon(0, 90_000, Happening::Haunt(executor));
        }
    }

    pub(crate) fn haunt(&mut self, executor: &ExecutorId) {
        let event = self.last_words(executor);
        self.tell_driver(event);
    }

    fn last_words(&mut self, executor: &ExecutorId) -> DriverEvent {
        let orders = self.ghosts.orders.get(executor).cloned().unwrap_or_default();
        let Some(id) = self.dice.pick(&orders).copied() else {
            return self.return_of(executor, Vec::new());
        };
        let executor = executor.clone();
        match self.dice.below(8) {
            0 => self.return_of(&executor, orders),
            1 => DriverEvent::HeartbeatReceived {
                executor,
                running: orders.into_iter().map(running).collect(),
            },
            2 => DriverEvent::TaskStarted { executor, id },
            3 => DriverEvent::CommitRequested { executor, id },
            4 => DriverEvent::TasksReturned {
                executor,
                ids: vec![id],
            },
            5 => DriverEvent::OutputUnreadable {
                source: executor.clone(),
                executor,
                id,
            },
            _ => DriverEvent::TaskFinished {
                executor,
                report: Box::new(self.last_report(id)),
            },
        }
    }

    /// It comes back as the life it was.
    fn return_of(&mut self, executor: &ExecutorId, running: Vec<TaskAttemptId>) -> DriverEvent {
        let known = self.ghosts.registrations.get(executor).cloned();
        let registration = known.unwrap_or_else(|| Registration {
            executor: executor.clone(),
            boot: BootNonce(self.dice.number()),
            host: String::new(),
            slots: self.scenario.plan.executors.cores,
            running: Vec::new(),
        });
        DriverEvent::ExecutorRegistered(Registration {
            running,
            ..registration
        })
    }

    /// Nobody says that a result is in place which is not.
    fn last_report(&mut self, id: TaskAttemptId) -> TaskReport {
        let quiet = self.scenario.plan.stages[id.stage.stage as usize]
            .output
            .is_none();
        let there = quiet || self.placed.contains(&(id.stage.stage, id.partition));
        let succeeded = there && self.dice.percent(70);
        TaskReport {
            sequence: u64::MAX,
            id,
            metrics: TaskMetrics::default(),
            outcome: if succeeded {
                Ok(())
            } else {
                Err(TaskFailure::new(FailureCause::ExitCode(1)))
            },
            result: None,
            counters: Vec::new(),
        }
    }
}

fn running(id: TaskAttemptId) -> RunningTask {
    RunningTask {
        id,
        resident: 1,
        progress: 0.5,
        waiting: false,
        status: String::new(),
        counters: Vec::new(),
    }
}
