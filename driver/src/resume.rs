//! How an application goes on after its ApplicationMaster was lost.
//!
//! The recovered core knows what was done and who may be doing what. Executors that YARN no longer has are taken
//! away without blame. The others are awaited: while one of them may be running anything, nothing is launched, so
//! that no running task is started a second time; [`crate::gate`] opens when all have registered again or their
//! time is over. One that registers says what it runs, and that is the truth.

use std::collections::BTreeSet;
use std::time::Duration;

use wire::failure::ExecutorLoss;
use wire::id::{ExecutorId, StageKey, TaskAttemptId};

use crate::attempts::{Attempt, CommitState};
use crate::core::{Driver, Life};
use crate::event::Effect;
use crate::executors::Liveness;
use crate::index::{AttemptIx, ExecutorIx, StageIx};
use crate::journal::checkpoint::name_of;
use crate::journal::fact::{ApplicationFact, AttemptFact};
use crate::stage::{Phase, Stage};
use crate::task_set::TaskState;

impl Driver {
    pub(crate) fn on_resumed(
        &mut self,
        present: &[ExecutorId],
        patience: Duration,
        lost: Vec<(u32, u32)>,
        effects: &mut Vec<Effect>,
    ) {
        if !std::mem::take(&mut self.recovered) || self.life != Life::Running {
            return;
        }
        self.resumed = true;
        self.reopen_commits();
        self.redo_functions(&lost);
        self.note_fact(|_| ApplicationFact::Resumed { lost: Some(lost) });
        self.forget_plans_of_the_moment();
        self.part_from_absent(present, effects);
        self.await_known(patience);
        self.gate
            .reopen(self.now, present.iter().cloned().collect(), patience);
        self.watch_for_slow_tasks();
        for index in self.stages.indexes() {
            self.resume_stage(index, effects);
        }
    }

    /// Marking an output as complete was begun; whether it was done is not known, and doing it again is harmless.
    pub(crate) fn reopen_commits(&mut self) {
        for index in self.stages.indexes() {
            let stage = &mut self.stages[index];
            if stage.phase == Phase::Committing {
                stage.phase = Phase::Complete;
            }
        }
    }

    /// Calls functions again whose results are lost.
    pub(crate) fn redo_functions(&mut self, lost: &[(u32, u32)]) {
        let wanted: BTreeSet<_> = self.results_wanted().collect();
        for &(stage, partition) in lost.iter().filter(|task| wanted.contains(task)) {
            let stage = &mut self.stages[StageIx::from_number(stage)];
            if let Some(tasks) = stage.tasks.as_mut() {
                stage.phase = Phase::Running;
                tasks.reopen(partition, &self.executors);
            }
        }
    }

    /// Functions that are done and whose results have not been put in place, by stage and partition.
    pub(crate) fn results_wanted(&self) -> impl Iterator<Item = (u32, u32)> {
        let open = |phase| matches!(phase, Phase::Running | Phase::Complete | Phase::Committing);
        let stages = self.stages.iter().filter(move |(index, stage)| {
            open(stage.phase) && self.plan.stages[index.number() as usize].body.is_function()
        });
        stages.flat_map(|(index, stage)| {
            let tasks = stage.tasks.iter();
            let done = tasks.flat_map(|tasks| (0..tasks.total()).filter(|&task| tasks.is_done(task)));
            done.map(move |partition| (index.number(), partition))
        })
    }

    /// Drops what replay has left of decisions that were about to be carried out.
    fn forget_plans_of_the_moment(&mut self) {
        for index in self.stages.indexes() {
            if let Some(tasks) = &mut self.stages[index].tasks {
                tasks.relist();
            }
        }
        self.ready.extend(self.stages.indexes());
        self.demand.forget_asked();
        self.offers.everyone();
    }

    fn part_from_absent(&mut self, present: &[ExecutorId], effects: &mut Vec<Effect>) {
        let present: BTreeSet<_> = present.iter().collect();
        let known = self.executors.iter_present();
        let absent: Vec<_> = known
            .filter(|(_, executor)| !present.contains(&executor.id))
            .map(|(index, _)| index)
            .collect();
        for index in absent {
            self.remove_executor(index, ExecutorLoss::KilledByRm, effects);
        }
    }

    fn await_known(&mut self, patience: Duration) {
        let awaited: Vec<_> = self.executors.iter_present().map(|(index, _)| index).collect();
        for index in awaited {
            for attempt in self.executors[index].held().collect::<Vec<_>>() {
                if let Some(attempt) = self.attempts.get_mut(attempt) {
                    attempt.seen_at = self.now;
                }
            }
            self.executors[index].last_heard = self.now;
            self.executors[index].idle_since = self.now;
            // Given up when its patience is over, as if it had been disconnected until then.
            let since = (self.now + patience).saturating_sub(self.plan.settings.heartbeat_suspect);
            self.executors
                .set_liveness(index, Liveness::Disconnected { since });
            self.forget_recalls(index);
            self.watch_from(index);
        }
    }

    fn resume_stage(&mut self, index: StageIx, effects: &mut Vec<Effect>) {
        let stage = &self.stages[index];
        match stage.phase {
            Phase::Planning => effects.push(Effect::PlanStage { stage: stage.key }),
            Phase::Running => self.offer_stage(index),
            Phase::Waiting | Phase::Complete | Phase::Committing | Phase::Done | Phase::Abandoned => {}
        }
    }

    /// An awaited executor is back: it runs what it says, and nothing else.
    pub(crate) fn reconcile(
        &mut self,
        index: ExecutorIx,
        running: &[TaskAttemptId],
        effects: &mut Vec<Effect>,
    ) {
        let known = self.executors[index].held();
        let missing = known.filter(|&attempt| {
            let live = self.attempts.get(attempt);
            live.is_none_or(|live| !running.contains(&live.id(self.stages[live.stage].key.job)))
        });
        for attempt in missing.collect::<Vec<_>>() {
            self.note_vanished(attempt);
            self.vanish(attempt, effects);
        }
        self.adopt_all(index, running);
    }

    /// Takes over attempts that the last ApplicationMaster had launched without leaving a trace. One that finds no
    /// free slot waits there in a queue, or is over and its report follows.
    pub(crate) fn adopt_all(&mut self, index: ExecutorIx, running: &[TaskAttemptId]) {
        for &id in running {
            if self.can_adopt(id) {
                let queued = !self.has_room(index, StageIx::from_number(id.stage.stage));
                self.note_fact(|_| AttemptFact::Adopted {
                    executor: index.number(),
                    id: name_of_id(id),
                    queued,
                });
                self.adopt(index, id, queued);
                self.watch_for_slow_tasks();
            }
        }
    }

    /// Whether a task of a stage could begin on an executor now.
    pub(crate) fn has_room(&self, executor: ExecutorIx, stage: StageIx) -> bool {
        let Stage { cores, needs, .. } = &self.stages[stage];
        self.executors[executor].has_room(*cores, needs)
    }

    /// Whether an attempt is one that the journal has lost, of a task whose result is wanted.
    fn can_adopt(&self, id: TaskAttemptId) -> bool {
        let stage = self.stages.get(StageIx::from_number(id.stage.stage));
        let Some(stage) = stage.filter(|stage| stage.is_running()) else {
            return false;
        };
        let task = stage.tasks.as_ref().and_then(|tasks| tasks.get(id.partition));
        // The end of an attempt with a smaller number is in the journal.
        let wanted =
            task.is_some_and(|task| task.state != TaskState::Done && id.attempt >= task.next_attempt);
        let same = stage.key.job == id.stage.job && stage.key.stage_attempt == id.stage.stage_attempt;
        wanted && same
    }

    pub(crate) fn adopt(&mut self, executor: ExecutorIx, id: TaskAttemptId, queued: bool) {
        let stage = StageIx::from_number(id.stage.stage);
        let Some(tasks) = self.stages[stage].tasks.as_mut() else {
            return;
        };
        tasks.claim(id.partition);
        let attempt = Attempt {
            stage_attempt: id.stage.stage_attempt,
            number: id.attempt,
            queued,
            started: !queued,
            commit: CommitState::NotAsked,
            ..self.new_attempt(stage, id.partition, executor)
        };
        self.insert_attempt(attempt);
    }

    /// The order to end an attempt may not have arrived.
    pub(crate) fn cancel_again(&mut self, index: ExecutorIx, effects: &mut Vec<Effect>) {
        for attempt in self.executors[index].held().collect::<Vec<_>>() {
            if let Some(reason) = self.attempts.get(attempt).and_then(|attempt| attempt.cancelled) {
                self.push_cancel(attempt, reason, effects);
            }
        }
    }

    /// Notes that an attempt is about to be given up as missing.
    pub(crate) fn note_vanished(&mut self, index: AttemptIx) {
        let Some(attempt) = self.attempts.get(index) else {
            return;
        };
        let (executor, id) = (attempt.executor.number(), name_of(attempt));
        self.note_fact(|_| AttemptFact::Vanished { executor, id });
    }
}

pub(crate) fn name_of_id(id: TaskAttemptId) -> crate::journal::fact::AttemptName {
    let StageKey {
        stage, stage_attempt, ..
    } = id.stage;
    crate::journal::fact::AttemptName {
        stage,
        stage_attempt,
        partition: id.partition,
        number: id.attempt,
    }
}
