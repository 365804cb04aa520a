//! The session's books on attempts: what was ordered, what is held, what waits, what was reported.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use wire::failure::{FailureCause, KillReason, TaskFailure};
use wire::id::TaskAttemptId;
use wire::message::ExecutorMessage;
use wire::task::{Body, StageSpec, TaskSpec};

use super::{BRISK, Effect, Session, State, TaskEnd};
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

/// An attempt that was launched.
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

    /// Begins what waits, in order, as far as there are slots and what else it needs, and hands over what may go ahead.
    /// One that is wider than all slots takes them all.
    fn begin_waiting(&mut self, effects: &mut Vec<Effect>) {
        while let Some(first) = self.waiting.front() {
            let cores = first.stage.cores.clamp(1, self.hello.slots.max(1));
            let ahead = i64::from(cores) > self.unclaimed();
            if ahead && !self.may_go_ahead(first) {
                return;
            }
            let Some(share) = self.shares.take(&first.stage) else {
                return;
            };
            let Some(Waiting { stage, task }) = self.waiting.pop_front() else {
                return;
            };
            let running = Running {
                pid: None,
                cores,
                share: share.clone(),
            };
            self.ahead.insert(task.id, running);
            if !ahead {
                self.begun(task.id);
            }
            effects.push(Effect::Launch {
                epoch: self.epoch,
                stage,
                task,
                share,
                ahead,
            });
        }
    }

    /// Slots for which nobody waits in the pool.
    fn unclaimed(&self) -> i64 {
        let claimed: i64 = self.ahead.values().map(|one| i64::from(one.cores)).sum();
        self.free - claimed
    }

    /// Whether an attempt may be launched before it has a slot: attempts are short, there are plenty, and whichever ends
    /// first leaves just the slot that this one needs; what it needs besides is set aside for it. The time of a function
    /// counts from its launch, so it must not have a limit.
    fn may_go_ahead(&self, next: &Waiting) -> bool {
        let Waiting { stage, task } = next;
        let limited = matches!(stage.body, Body::Function(_)) && stage.timeout.is_some();
        self.brisk
            && self.has_plenty()
            && matches!(self.state, State::Serving { .. })
            && u32::try_from(self.ahead.len()).is_ok_and(|ahead| ahead < self.hello.slots)
            && stage.cores <= 1
            && !limited
            && self.awaiting_commit.is_empty()
            && self.running.keys().all(|id| id.stage == task.id.stage)
    }

    /// An attempt that was launched ahead has a slot.
    pub(super) fn begun(&mut self, id: TaskAttemptId) {
        if let Some(running) = self.ahead.remove(&id) {
            self.free -= i64::from(running.cores);
            self.running.insert(id, running);
        }
    }

    /// An attempt that was launched ahead is given back.
    pub(super) fn retracted(&mut self, id: TaskAttemptId, effects: &mut Vec<Effect>) {
        let Some(running) = self.ahead.remove(&id) else {
            return;
        };
        self.shares.give_back(running.share);
        self.held.remove(&id);
        if self.is_heard() {
            self.send(ExecutorMessage::Returned { ids: vec![id] }, effects);
        }
        self.leave_when_empty(effects);
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
        if self.running.contains_key(&id) || self.ahead.contains_key(&id) {
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
        let ahead = self.ahead.keys().filter(|id| wanted.contains(id));
        effects.extend(ahead.copied().map(Effect::Retract));
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
            if let Some(running) = self.running.get_mut(id).filter(|running| running.cores > 0) {
                self.free += i64::from(std::mem::take(&mut running.cores));
                self.shares.give_back(std::mem::take(&mut running.share));
                effects.push(Effect::Lend(*id));
            }
        }
        self.begin_waiting(effects);
    }

    /// An attempt is over, and `next` has begun in its place.
    pub(super) fn task_ended(
        &mut self,
        id: TaskAttemptId,
        end: TaskEnd,
        next: Option<TaskAttemptId>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(next) = next {
            self.begun(next);
        }
        let begun = self.running.remove(&id);
        if let Some(running) = &begun {
            self.free += i64::from(running.cores);
            self.brisk = end.metrics.wall <= BRISK;
        }
        let Some(ended) = begun.or_else(|| self.ahead.remove(&id)) else {
            return;
        };
        self.shares.give_back(ended.share);
        self.awaiting_commit.remove(&id);
        self.begin_waiting(effects);
        self.report(id, end, effects);
        self.leave_when_empty(effects);
    }
}
