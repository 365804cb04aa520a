//! What happens to jobs, stages, tasks and executors, told for those who write it down for people.
//!
//! Unlike the facts of the [`journal`](crate::journal), which are what a later core needs, this is what an observer
//! would have seen: each attempt that got a slot and how it ended, each stage that had tasks to run, the end of each
//! job. A core tells it from [`Driver::tell_history`] on; replay is silent. The shell takes it after every event, so
//! nothing is kept here (J).

use std::time::Duration;

use wire::failure::{ExecutorLoss, TaskFailure};
use wire::id::{ExecutorId, StageKey, TaskAttemptId};
use wire::task::TaskMetrics;

use crate::core::Driver;
use crate::index::{AttemptIx, ExecutorIx, StageIx};
use crate::view::Level;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// An executor registered.
    ExecutorAdded {
        /// Which.
        executor: ExecutorId,
        /// Its node.
        host: String,
        /// Its slots.
        slots: u32,
    },
    /// An executor is gone.
    ExecutorRemoved {
        /// Which.
        executor: ExecutorId,
        /// Why.
        loss: ExecutorLoss,
    },
    /// A stage, or another attempt of it, has tasks to run.
    StageBegan {
        /// Which.
        stage: StageKey,
        /// How many tasks.
        tasks: u32,
    },
    /// That is over. The attempts of its tasks may end later.
    StageEnded {
        /// Which.
        stage: StageKey,
        /// Why it did not succeed.
        failure: Option<String>,
    },
    /// An attempt got its slots.
    TaskLaunched {
        /// Which.
        id: TaskAttemptId,
        /// Where, and on which node.
        place: (ExecutorId, String),
        /// How near its data.
        level: Level,
        /// Whether another attempt of the task is alive.
        copy: bool,
    },
    /// An attempt ended. One that had never got slots is told of only here.
    TaskEnded {
        /// Which.
        id: TaskAttemptId,
        /// Where, and on which node.
        place: (ExecutorId, String),
        /// When it was launched.
        launched: Duration,
        /// How near its data it was.
        level: Level,
        /// How it ended.
        outcome: Result<(), Box<TaskFailure>>,
        /// What it used.
        metrics: TaskMetrics,
    },
    /// An attempt was given back before it began, whether or not it had slots.
    TaskReturned {
        /// Which.
        id: TaskAttemptId,
    },
    /// A job ended; it may never have begun.
    JobEnded {
        /// Which.
        job: u32,
        /// Why it did not succeed.
        failure: Option<String>,
    },
}

/// What was not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Chronicle {
    enabled: bool,
    told: Vec<Happening>,
}

impl Driver {
    /// Has it tell what happens.
    pub fn tell_history(&mut self) {
        self.chronicle.enabled = true;
    }

    /// What happened in the last call of [`Driver::handle`], in order.
    pub fn take_history(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.chronicle.told)
    }

    pub(crate) fn tell(&mut self, happening: impl FnOnce(&Self) -> Happening) {
        if self.chronicle.enabled && !self.replaying {
            let happening = happening(self);
            self.chronicle.told.push(happening);
        }
    }

    fn place(&self, executor: ExecutorIx) -> (ExecutorId, String) {
        let executor = &self.executors[executor];
        let host = self.executors.hosts.name(executor.host).to_owned();
        (executor.id.clone(), host)
    }

    /// An attempt has slots.
    pub(crate) fn tell_launch(&mut self, index: AttemptIx) {
        if let Some(attempt) = self.attempts.get(index) {
            let (stage, executor, level) = (attempt.stage, attempt.executor, attempt.level);
            let (id, copy) = (attempt.id(self.stages[stage].key.job), attempt.sibling.is_some());
            self.tell(|driver| Happening::TaskLaunched {
                id,
                place: driver.place(executor),
                level,
                copy,
            });
        }
    }

    /// A live attempt is about to be taken out.
    pub(crate) fn tell_end(
        &mut self,
        index: AttemptIx,
        outcome: Result<(), &TaskFailure>,
        metrics: TaskMetrics,
    ) {
        if let Some(attempt) = self.attempts.get(index) {
            let (stage, executor, level) = (attempt.stage, attempt.executor, attempt.level);
            let (id, launched) = (attempt.id(self.stages[stage].key.job), attempt.launched_at);
            self.tell(|driver| Happening::TaskEnded {
                id,
                place: driver.place(executor),
                launched,
                level,
                outcome: outcome.map_err(|failure| Box::new(failure.clone())),
                metrics,
            });
        }
    }

    /// A live attempt is about to be taken out unbegun.
    pub(crate) fn tell_return(&mut self, index: AttemptIx) {
        if let Some(attempt) = self.attempts.get(index) {
            let id = attempt.id(self.stages[attempt.stage].key.job);
            self.tell(|_| Happening::TaskReturned { id });
        }
    }

    /// An attempt that was given up has succeeded after all.
    pub(crate) fn tell_late_success(
        &mut self,
        executor: ExecutorIx,
        id: TaskAttemptId,
        metrics: TaskMetrics,
    ) {
        self.tell(|driver| Happening::TaskEnded {
            id,
            place: driver.place(executor),
            launched: driver.now.saturating_sub(metrics.wall),
            level: Level::Any,
            outcome: Ok(()),
            metrics,
        });
    }

    /// A stage has so many tasks to run.
    pub(crate) fn tell_stage_began(&mut self, index: StageIx) {
        self.tell(|driver| {
            let stage = &driver.stages[index];
            let open = |tasks: &crate::task_set::TaskSet| tasks.total() - tasks.done();
            Happening::StageBegan {
                stage: stage.key,
                tasks: stage.tasks.as_ref().map_or(0, open),
            }
        });
    }

    /// A stage is over, if it had begun.
    pub(crate) fn tell_stage_ended(&mut self, index: StageIx, failure: Option<String>) {
        if self.stages[index].tasks.is_some() {
            self.tell(|driver| Happening::StageEnded {
                stage: driver.stages[index].key,
                failure,
            });
        }
    }
}
