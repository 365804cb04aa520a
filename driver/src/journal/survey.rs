//! What a recovered core knows, for the shell that has to decide how to go on.

use std::time::Duration;

use wire::id::{BootNonce, ExecutorId, StageKey, TaskAttemptId};

use crate::core::{Driver, Life};
use crate::event::Verdict;
use crate::stage::Phase;

/// What was going on when the last record was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Whether the application had begun.
    pub started: bool,
    /// The verdict, if it was given.
    pub verdict: Option<Verdict>,
    /// The time of the last record, on the clock of [`Driver::handle`].
    pub at: Duration,
    /// Tasks that are done, and tasks that are known.
    pub progress: (u64, u64),
    /// The executors that had registered and were not lost.
    pub executors: Vec<KnownExecutor>,
    /// Functions that are done and whose results have not been put in place, by stage and partition: what they gave
    /// back is for the shell to have.
    pub results: Vec<(u32, u32)>,
    /// Stages whose output was being marked as complete; it is marked again, which does no harm.
    pub committing: Vec<StageKey>,
}

/// An executor of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownExecutor {
    /// Its id.
    pub executor: ExecutorId,
    /// Its life.
    pub boot: BootNonce,
    /// Its node.
    pub host: String,
    /// Its slots.
    pub slots: u32,
    /// The attempts that it may be running.
    pub running: Vec<TaskAttemptId>,
}

impl Driver {
    /// What is known; meant for a core that was just recovered.
    #[must_use]
    pub fn survey(&self) -> Survey {
        let committing = self
            .stages
            .iter()
            .filter(|(_, stage)| stage.phase == Phase::Committing);
        Survey {
            started: self.life != Life::New,
            verdict: self.is_finished().then(|| self.verdict()),
            at: self.now,
            progress: self.progress(),
            executors: self.known_executors(),
            results: self.results_wanted().collect(),
            committing: committing.map(|(_, stage)| stage.key).collect(),
        }
    }

    fn known_executors(&self) -> Vec<KnownExecutor> {
        let known = self.executors.iter_present().map(|(_, executor)| {
            let live = executor.held().filter_map(|index| self.attempts.get(index));
            KnownExecutor {
                executor: executor.id.clone(),
                boot: executor.boot,
                host: self.executors.hosts.name(executor.host).to_owned(),
                slots: executor.slots,
                running: live
                    .map(|attempt| attempt.id(self.stages[attempt.stage].key.job))
                    .collect(),
            }
        });
        known.collect()
    }
}
