//! What follows from the end of a task attempt.
//!
//! A report may be late, repeated or come from an executor that was given up. The first success of a partition
//! counts, whoever reports it, because results of all attempts are the same and land under the same name
//! (invariant A); every other report about an attempt that is not alive is dropped.

use std::time::Duration;

use wire::failure::{FailureCause, KillReason, TaskFailure};
use wire::id::{ExecutorId, TaskAttemptId};
use wire::message::TaskReport;

use crate::attempts::Attempt;
use crate::core::Driver;
use crate::event::Effect;
use crate::failures::FailureRecord;
use crate::index::{AttemptIx, StageIx};
use crate::journal::fact::AttemptFact;
use crate::resume::name_of_id;
use crate::task_set::{Completion, TaskState};
use wire::task::TaskMetrics;

/// Reports say how long a task took to this much, rounded down.
const REPORTED_TO: Duration = Duration::from_millis(1);

impl Driver {
    pub(crate) fn on_task_started(&mut self, executor: &ExecutorId, id: TaskAttemptId) {
        let now = self.now;
        let Some(index) = self.live_attempt(executor, id) else {
            return;
        };
        self.note_begun(index);
        if let Some(attempt) = self.attempts.get_mut(index) {
            attempt.started = true;
            attempt.seen_at = now;
        }
    }

    pub(crate) fn on_task_finished(
        &mut self,
        executor: &ExecutorId,
        report: &TaskReport,
        effects: &mut Vec<Effect>,
    ) {
        let live = self.live_attempt(executor, report.id);
        if let Some(index) = live {
            self.note_finish(executor, report);
            self.tell_end(index, report.outcome.as_ref().copied(), report.metrics);
        }
        match (&report.outcome, live) {
            (Ok(()), Some(index)) => self.on_success(index, report, effects),
            (Ok(()), None) => self.on_late_success(executor, report, effects),
            (Err(failure), Some(index)) => self.end_attempt(index, failure, effects),
            (Err(_), None) => {}
        }
    }

    fn note_finish(&mut self, executor: &ExecutorId, report: &TaskReport) {
        if let Some(index) = self.executors.find(executor) {
            self.note_fact(|_| AttemptFact::Finished {
                executor: index.number(),
                id: name_of_id(report.id),
                metrics: report.metrics,
                outcome: report.outcome.clone(),
            });
        }
    }

    /// The live attempt of an id on an executor.
    pub(crate) fn live_attempt(&self, executor: &ExecutorId, id: TaskAttemptId) -> Option<AttemptIx> {
        let index = StageIx::from_number(id.stage.stage);
        let mut next = self.stages.get(index)?.tasks.as_ref()?.get(id.partition)?.live;
        while let Some(index) = next {
            let attempt = self.attempts.get(index)?;
            if attempt.number == id.attempt && attempt.stage_attempt == id.stage.stage_attempt {
                return (self.executors[attempt.executor].id == *executor).then_some(index);
            }
            next = attempt.sibling;
        }
        None
    }

    fn on_success(&mut self, index: AttemptIx, report: &TaskReport, effects: &mut Vec<Effect>) {
        let Some(attempt) = self.retire(index) else {
            return;
        };
        self.executors[attempt.executor].succeeded += 1;
        if !self.stages[attempt.stage].accepts(attempt.stage_attempt) {
            return;
        }
        let took = self.now.saturating_sub(attempt.launched_at);
        let result = Completion {
            place: Some(attempt.executor),
            launched_at: attempt.launched_at,
            took,
            worked: took.min(report.metrics.wall + REPORTED_TO),
        };
        self.finish_task(attempt.stage, attempt.partition, result, report, effects);
    }

    /// A success of an attempt that was given up: good if the partition is still open.
    fn on_late_success(&mut self, executor: &ExecutorId, report: &TaskReport, effects: &mut Vec<Effect>) {
        let index = StageIx::from_number(report.id.stage.stage);
        let place = self.executors.find(executor);
        let useful = self.stages.get(index).is_some_and(|stage| {
            let task = stage
                .tasks
                .as_ref()
                .and_then(|tasks| tasks.get(report.id.partition));
            // What is done is noted once, however often its executor tells.
            let issued = task
                .is_some_and(|task| task.state != TaskState::Done && report.id.attempt < task.next_attempt);
            let there = place.is_some_and(|place| !self.executors[place].is_gone());
            let same = stage.key.job == report.id.stage.job && stage.accepts(report.id.stage.stage_attempt);
            issued && same && place.is_some() && (there || !stage.keeps_output)
        });
        if !useful {
            return;
        }
        self.note_finish(executor, report);
        if let Some(place) = place {
            self.tell_late_success(place, report.id, report.metrics);
        }
        let result = Completion {
            place,
            launched_at: self.now.saturating_sub(report.metrics.wall),
            took: report.metrics.wall,
            worked: report.metrics.wall,
        };
        self.finish_task(index, report.id.partition, result, report, effects);
    }

    fn finish_task(
        &mut self,
        index: StageIx,
        partition: u32,
        result: Completion,
        report: &TaskReport,
        effects: &mut Vec<Effect>,
    ) {
        let stage = &mut self.stages[index];
        if !stage.is_running() {
            return;
        }
        let Some(tasks) = stage.tasks.as_mut() else {
            return;
        };
        if !tasks.finish(partition, result) {
            return;
        }
        let (complete, exhausted) = (tasks.is_complete(), !tasks.wants_slots());
        let others = tasks.get(partition).and_then(|task| task.live);
        stage.add_metrics(&report.metrics);
        stage.counters.add(&report.counters);
        if self.plan.stages[index.number() as usize].body.is_function() {
            let stage = self.stages[index].key;
            effects.push(Effect::KeepResult { stage, partition });
        }
        if exhausted {
            self.queue.set_pending(index, false);
        }
        self.cancel_attempts(others, KillReason::OtherAttemptWon, effects);
        for follower in self.stages[index].with_followers.clone() {
            self.unblock_ready(follower, std::iter::once(partition));
        }
        if complete {
            self.complete_stage(index, effects);
        }
    }

    /// Somebody wants the attempts of a task ended. That counts against nothing, and the task runs again.
    pub(crate) fn on_task_kill_requested(&mut self, stage: u32, partition: u32, effects: &mut Vec<Effect>) {
        let stage = self.stages.get(StageIx::from_number(stage));
        let task = stage.and_then(|stage| stage.tasks.as_ref()?.get(partition));
        let live = task.and_then(|task| task.live);
        self.cancel_attempts(live, KillReason::ByUser, effects);
    }

    /// Cancels an attempt and its siblings.
    fn cancel_attempts(&mut self, first: Option<AttemptIx>, reason: KillReason, effects: &mut Vec<Effect>) {
        let mut next = first;
        while let Some(index) = next {
            next = self.attempts.get(index).and_then(|attempt| attempt.sibling);
            self.cancel(index, reason, effects);
        }
    }

    /// Has an attempt ended; its slots are free once its executor says that it is.
    pub(crate) fn cancel(&mut self, index: AttemptIx, reason: KillReason, effects: &mut Vec<Effect>) {
        let Some(attempt) = self.attempts.get_mut(index) else {
            return;
        };
        if attempt.cancelled.is_none() && !self.executors[attempt.executor].is_gone() {
            attempt.cancelled = Some(reason);
            self.push_cancel(index, reason, effects);
        }
    }

    pub(crate) fn push_cancel(&self, index: AttemptIx, reason: KillReason, effects: &mut Vec<Effect>) {
        let Some(attempt) = self.attempts.get(index) else {
            return;
        };
        effects.push(Effect::Cancel {
            executor: self.executors[attempt.executor].id.clone(),
            id: attempt.id(self.stages[attempt.stage].key.job),
            reason,
        });
    }

    /// An attempt is over without success.
    pub(crate) fn end_attempt(&mut self, index: AttemptIx, failure: &TaskFailure, effects: &mut Vec<Effect>) {
        let Some(attempt) = self.retire(index) else {
            return;
        };
        if !self.is_open(&attempt) {
            self.offer_gang(attempt.stage);
            return;
        }
        let counts = failure.counts_for_task();
        if attempt.cancelled.is_none() || counts {
            self.note_failure(&attempt, failure, counts);
        }
        if counts {
            self.count_failure(&attempt, failure, effects);
        }
        if self.stages[attempt.stage].is_running() {
            self.run_again(&attempt, effects);
        }
    }

    /// Whether the result of an attempt is still wanted.
    pub(crate) fn is_open(&self, attempt: &Attempt) -> bool {
        let stage = &self.stages[attempt.stage];
        let task = stage
            .tasks
            .as_ref()
            .and_then(|tasks| tasks.get(attempt.partition));
        let open = task.is_some_and(|task| task.state != TaskState::Done);
        stage.is_running() && open && stage.accepts(attempt.stage_attempt)
    }

    pub(crate) fn note_failure(&mut self, attempt: &Attempt, failure: &TaskFailure, counts: bool) {
        let stage = &mut self.stages[attempt.stage];
        let job = stage.key.job;
        if let Some(tasks) = &mut stage.tasks {
            tasks.failed += 1;
        }
        self.failures
            .record(FailureRecord::new(self.now, attempt, job, counts, failure));
    }

    /// Raises the count of a task, and ends its job when that was one too many.
    fn count_failure(&mut self, attempt: &Attempt, failure: &TaskFailure, effects: &mut Vec<Effect>) {
        self.executors[attempt.executor].failed += 1;
        self.strike(attempt);
        self.recall_all(attempt.executor, effects);
        let stage = &mut self.stages[attempt.stage];
        let (job, limit) = (stage.key.job, stage.max_failures);
        let Some(task) = stage
            .tasks
            .as_mut()
            .and_then(|tasks| tasks.get_mut(attempt.partition))
        else {
            return;
        };
        task.failures = task.failures.saturating_add(1);
        let failures = u32::from(task.failures);
        stage.failed_attempts += u32::from(stage.gang);
        if failures >= limit || stage.gang && stage.failed_attempts >= self.plan.settings.stage_max_attempts {
            let cause = self.decisive_cause(attempt, failures, failure);
            self.fail_job(job, cause, effects);
        }
    }

    /// Has a task run again unless another attempt of it is alive.
    pub(crate) fn run_again(&mut self, attempt: &Attempt, effects: &mut Vec<Effect>) {
        let stage = &mut self.stages[attempt.stage];
        if stage.gang {
            self.restart_gang(attempt.stage, effects);
            return;
        }
        let Some(tasks) = &mut stage.tasks else {
            return;
        };
        if tasks
            .get(attempt.partition)
            .is_some_and(|task| task.live.is_none())
        {
            tasks.requeue(attempt.partition, &self.executors);
            self.block_unready(attempt.stage, attempt.partition);
            self.offer_stage(attempt.stage);
        }
    }

    /// A gang may be able to start once the last of its cancelled tasks is over.
    fn offer_gang(&mut self, stage: StageIx) {
        if self.stages[stage].gang {
            self.offers.everyone();
        }
    }

    /// An attempt went missing without fault of its own.
    pub(crate) fn vanish(&mut self, index: AttemptIx, effects: &mut Vec<Effect>) {
        self.push_cancel(index, KillReason::StageEnded, effects);
        let failure = TaskFailure::new(FailureCause::Killed(KillReason::StageEnded));
        self.tell_end(index, Err(&failure), TaskMetrics::default());
        self.end_attempt(index, &failure, effects);
    }
}
