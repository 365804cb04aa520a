//! The session's books on attempts: what was ordered, what is held, what waits, what was reported.

use std::sync::Arc;
use std::time::Duration;

use wire::failure::{FailureCause, KillReason, TaskFailure};
use wire::id::TaskAttemptId;
use wire::message::{ExecutorMessage, TaskReport};
use wire::task::{StageSpec, TaskMetrics, TaskSpec};

use super::{Effect, Session};

impl Session {
    pub(super) fn launch(&mut self, stages: Vec<StageSpec>, tasks: Vec<TaskSpec>, effects: &mut Vec<Effect>) {
        self.stages
            .extend(stages.into_iter().map(|stage| (stage.key, Arc::new(stage))));
        for task in tasks {
            if self.is_held(task.id) {
                tracing::debug!(id = %task.id, "ordered again");
                continue;
            }
            self.running.insert(task.id, None);
            match self.stages.get(&task.id.stage).cloned() {
                Some(stage) => effects.push(Effect::Launch {
                    epoch: self.epoch,
                    stage,
                    task,
                }),
                None => self.refuse_launch(task.id, effects),
            }
        }
    }

    fn is_held(&self, id: TaskAttemptId) -> bool {
        self.running.contains_key(&id) || self.unacknowledged.values().any(|report| report.id == id)
    }

    fn refuse_launch(&mut self, id: TaskAttemptId, effects: &mut Vec<Effect>) {
        let message = format!("the ApplicationMaster did not describe stage {}", id.stage);
        let failure = TaskFailure::new(FailureCause::StartFailed(message));
        self.task_ended(id, TaskMetrics::default(), Err(failure), effects);
    }

    pub(super) fn cancel(
        &self,
        id: TaskAttemptId,
        reason: KillReason,
        grace: Duration,
        effects: &mut Vec<Effect>,
    ) {
        if self.running.contains_key(&id) {
            effects.push(Effect::Cancel { id, reason, grace });
        }
    }

    pub(super) fn task_started(&mut self, id: TaskAttemptId, pid: u32, effects: &mut Vec<Effect>) {
        let Some(known) = self.running.get_mut(&id) else {
            return;
        };
        *known = Some(pid);
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

    pub(super) fn task_ended(
        &mut self,
        id: TaskAttemptId,
        metrics: TaskMetrics,
        outcome: Result<(), TaskFailure>,
        effects: &mut Vec<Effect>,
    ) {
        if self.running.remove(&id).is_none() {
            return;
        }
        self.awaiting_commit.remove(&id);
        self.reports += 1;
        let report = TaskReport {
            sequence: self.reports,
            id,
            metrics,
            outcome,
        };
        self.unacknowledged.insert(report.sequence, report.clone());
        if self.is_heard() {
            self.send(ExecutorMessage::TaskFinished(report), effects);
        }
        self.leave_when_empty(effects);
    }
}
