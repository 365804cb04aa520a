//! The session's books on attempts: what was ordered, what is held, what waits, what was reported.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use wire::failure::{FailureCause, KillReason, TaskFailure};
use wire::id::TaskAttemptId;
use wire::message::ExecutorMessage;
use wire::task::{StageSpec, TaskSpec};

use super::{Effect, Session, TaskEnd};
use crate::shares::Share;

/// An attempt that has not begun because the slots are in use.
#[derive(Debug)]
pub(super) struct Waiting {
    stage: Arc<StageSpec>,
    task: TaskSpec,
}

impl Waiting {
    pub(super) fn id(&self) -> TaskAttemptId {
        self.task.id
    }
}

/// An attempt that has begun.
#[derive(Debug)]
pub(super) struct Running {
    /// Its process, once there is one.
    pub(super) pid: Option<u32>,
    /// Its slots; none once they are lent.
    pub(super) cores: u32,
    /// What it has besides; nothing once that is lent.
    pub(super) share: Share,
}

impl Session {
    pub(super) fn launch(&mut self, stages: Vec<StageSpec>, tasks: Vec<TaskSpec>, effects: &mut Vec<Effect>) {
        self.stages
            .extend(stages.into_iter().map(|stage| (stage.key, Arc::new(stage))));
        for task in tasks {
            if !self.held.insert(task.id) {
                tracing::debug!(id = %task.id, "ordered again");
                continue;
            }
            match self.stages.get(&task.id.stage).cloned() {
                Some(stage) => self.waiting.push_back(Waiting { stage, task }),
                None => self.refuse_launch(task.id, effects),
            }
        }
        self.begin_waiting(effects);
    }

    /// Begins what waits, in order, as far as there are slots and what else it needs. One that is wider than all slots takes them all.
    fn begin_waiting(&mut self, effects: &mut Vec<Effect>) {
        while let Some(first) = self.waiting.front() {
            let cores = first.stage.cores.clamp(1, self.hello.slots.max(1));
            if cores > self.free {
                return;
            }
            let Some(share) = self.shares.take(&first.stage) else {
                return;
            };
            let Some(Waiting { stage, task }) = self.waiting.pop_front() else {
                return;
            };
            self.free -= cores;
            let running = Running {
                pid: None,
                cores,
                share: share.clone(),
            };
            self.running.insert(task.id, running);
            effects.push(Effect::Launch {
                epoch: self.epoch,
                stage,
                task,
                share,
            });
        }
    }

    fn refuse_launch(&mut self, id: TaskAttemptId, effects: &mut Vec<Effect>) {
        let message = format!("the ApplicationMaster did not describe stage {}", id.stage);
        let failure = TaskFailure::new(FailureCause::StartFailed(message));
        self.report(id, TaskEnd::unbegun(failure), effects);
    }

    pub(super) fn cancel(
        &mut self,
        id: TaskAttemptId,
        reason: KillReason,
        grace: Duration,
        effects: &mut Vec<Effect>,
    ) {
        if self.running.contains_key(&id) {
            effects.push(Effect::Cancel { id, reason, grace });
        } else if let Some(place) = self.waiting.iter().position(|waiting| waiting.task.id == id) {
            self.waiting.remove(place);
            let failure = TaskFailure::new(FailureCause::Killed(reason));
            self.report(id, TaskEnd::unbegun(failure), effects);
            self.begin_waiting(effects);
        }
    }

    /// Gives back those of these attempts that have not begun.
    pub(super) fn recall(&mut self, ids: &[TaskAttemptId], effects: &mut Vec<Effect>) {
        let wanted: BTreeSet<_> = ids.iter().copied().collect();
        self.give_back(|id| wanted.contains(&id), effects);
        self.begin_waiting(effects);
    }

    /// Gives back everything that has not begun.
    pub(super) fn give_back_all(&mut self, effects: &mut Vec<Effect>) {
        if !self.waiting.is_empty() {
            self.give_back(|_| true, effects);
        }
    }

    fn give_back(&mut self, wanted: impl Fn(TaskAttemptId) -> bool, effects: &mut Vec<Effect>) {
        let all = std::mem::take(&mut self.waiting);
        let (back, rest): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(|waiting| wanted(waiting.task.id));
        self.waiting = rest;
        let ids: Vec<_> = back.into_iter().map(|waiting| waiting.task.id).collect();
        ids.iter().for_each(|id| {
            self.held.remove(id);
        });
        if self.is_heard() {
            self.send(ExecutorMessage::Returned { ids }, effects);
        }
    }

    pub(super) fn task_started(&mut self, id: TaskAttemptId, pid: u32, effects: &mut Vec<Effect>) {
        let Some(known) = self.running.get_mut(&id) else {
            return;
        };
        known.pid = Some(pid);
        if self.is_heard() {
            self.send(ExecutorMessage::TaskStarted { id, pid }, effects);
        }
    }

    pub(super) fn commit_wanted(&mut self, id: TaskAttemptId, effects: &mut Vec<Effect>) {
        if !self.running.contains_key(&id) {
            return;
        }
        self.awaiting_commit.insert(id);
        if self.is_heard() {
            self.send(ExecutorMessage::CommitRequest { id }, effects);
        }
    }

    /// Gives the slots of attempts that wait for leave to commit to others: they have no process any more, and nobody
    /// is there to give leave.
    pub(super) fn lend_slots(&mut self, effects: &mut Vec<Effect>) {
        for id in &self.awaiting_commit {
            if let Some(running) = self.running.get_mut(id) {
                self.free += std::mem::take(&mut running.cores);
                self.shares.give_back(std::mem::take(&mut running.share));
            }
        }
        self.begin_waiting(effects);
    }

    pub(super) fn task_ended(&mut self, id: TaskAttemptId, end: TaskEnd, effects: &mut Vec<Effect>) {
        let Some(running) = self.running.remove(&id) else {
            return;
        };
        self.free += running.cores;
        self.shares.give_back(running.share);
        self.awaiting_commit.remove(&id);
        self.begin_waiting(effects);
        self.report(id, end, effects);
        self.leave_when_empty(effects);
    }
}
