//! Who may put a partition's result in place.
//!
//! The first live attempt of a partition that asks has the right until it ends. No right is given unless the
//! ResourceManager was heard within [`CONTACT`]: when it was not, another ApplicationMaster may have taken over. What
//! counts is when it was asked: the answer may have waited for a process that stood still.
//! A request that comes at such a time waits. (MapReduce's ApplicationMaster has the same window,
//! `yarn.app.mapreduce.am.job.committer.commit-window`.)

use std::time::Duration;

use wire::id::{ExecutorId, TaskAttemptId};

use crate::attempts::CommitState;
use crate::core::Driver;
use crate::event::Effect;
use crate::index::{AttemptIx, StageIx};
use crate::task_set::TaskState;

/// How long the ResourceManager may have been silent when a commit is granted.
pub const CONTACT: Duration = Duration::from_secs(10);

/// What all decisions share.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    /// When the ResourceManager was last heard.
    heard: Option<Duration>,
    /// Attempts whose request waits; entries may be out of date.
    held: Vec<AttemptIx>,
}

impl Commits {
    pub(crate) fn may_commit(&self, now: Duration) -> bool {
        self.heard.is_some_and(|heard| now <= heard + CONTACT)
    }
}

impl Driver {
    pub(crate) fn on_resource_manager_heard(&mut self, ago: Duration, effects: &mut Vec<Effect>) {
        self.commits.heard = self.commits.heard.max(self.now.checked_sub(ago));
        if !self.commits.may_commit(self.now) {
            return;
        }
        for index in std::mem::take(&mut self.commits.held) {
            let held = self
                .attempts
                .get(index)
                .is_some_and(|attempt| attempt.commit == CommitState::Held);
            if held {
                self.decide_commit(index, effects);
            }
        }
        self.commit_stages(effects);
    }

    pub(crate) fn on_commit_requested(
        &mut self,
        executor: &ExecutorId,
        id: TaskAttemptId,
        effects: &mut Vec<Effect>,
    ) {
        let Some(index) = self
            .live_attempt(executor, id)
            .filter(|&index| self.may_ask(index))
        else {
            push_decision(executor, id, false, effects);
            return;
        };
        if self.commits.may_commit(self.now) {
            self.decide_commit(index, effects);
        } else {
            self.hold_commit(index);
        }
    }

    /// Whether the result of an attempt is wanted at all.
    fn may_ask(&self, index: AttemptIx) -> bool {
        self.attempts.get(index).is_some_and(|attempt| {
            let stage = &self.stages[attempt.stage];
            let task = stage
                .tasks
                .as_ref()
                .and_then(|tasks| tasks.get(attempt.partition));
            let open = task.is_some_and(|task| task.state != TaskState::Done);
            attempt.cancelled.is_none() && stage.is_running() && open
        })
    }

    /// Keeps a request until the ResourceManager is heard. Whoever asks again has not heard of a right it was given.
    fn hold_commit(&mut self, index: AttemptIx) {
        let Some(attempt) = self.attempts.get_mut(index) else {
            return;
        };
        if attempt.commit != CommitState::Held {
            attempt.commit = CommitState::Held;
            self.commits.held.push(index);
        }
    }

    fn decide_commit(&mut self, index: AttemptIx, effects: &mut Vec<Effect>) {
        let Some(attempt) = self.attempts.get(index) else {
            return;
        };
        let (stage, partition, executor) = (attempt.stage, attempt.partition, attempt.executor);
        let id = attempt.id(self.stages[stage].key.job);
        let granted = self.may_ask(index)
            && self
                .committer(stage, partition)
                .is_none_or(|holder| holder == index);
        if let Some(attempt) = self.attempts.get_mut(index) {
            attempt.commit = if granted {
                CommitState::Granted
            } else {
                CommitState::NotAsked
            };
        }
        push_decision(&self.executors[executor].id, id, granted, effects);
    }

    /// The attempt that has the right to commit a partition.
    fn committer(&self, stage: StageIx, partition: u32) -> Option<AttemptIx> {
        let mut next = self.stages[stage].tasks.as_ref()?.get(partition)?.live;
        while let Some(index) = next {
            let attempt = self.attempts.get(index)?;
            if attempt.commit == CommitState::Granted {
                return Some(index);
            }
            next = attempt.sibling;
        }
        None
    }
}

fn push_decision(executor: &ExecutorId, id: TaskAttemptId, granted: bool, effects: &mut Vec<Effect>) {
    effects.push(Effect::DecideCommit {
        executor: executor.clone(),
        id,
        granted,
    });
}
