//! Results that stay on the executors that made them, and what happens when they are lost before they were read.
//!
//! Only what is missing is made again, as another attempt of the stage that made it; stages that read it wait for
//! that and keep what they have. A stage that cannot read its input several attempts in a row ends its job. These
//! are the rules of Spark's `DAGScheduler` for outputs without an external shuffle service. Nothing moves data yet:
//! this is the model that a data plane needs.

use wire::failure::{ExecutorLoss, FailureCause, TaskFailure};
use wire::id::{ExecutorId, TaskAttemptId};
use wire::task::TaskMetrics;

use crate::core::Driver;
use crate::event::Effect;
use crate::executors::Liveness;
use crate::index::{AttemptIx, ExecutorIx, StageIx};
use crate::journal::fact::AttemptFact;
use crate::resume::name_of_id;
use crate::stage::Phase;
use crate::task_set::{Task, TaskState};

impl Driver {
    /// An attempt could not read what another stage had left on an executor.
    pub(crate) fn on_output_unreadable(
        &mut self,
        executor: &ExecutorId,
        id: TaskAttemptId,
        source: &ExecutorId,
        effects: &mut Vec<Effect>,
    ) {
        let (Some(attempt), Some(source)) = (self.live_attempt(executor, id), self.executors.find(source))
        else {
            return;
        };
        if let Some(reader) = self.executors.find(executor) {
            self.note_fact(|_| AttemptFact::Unreadable {
                executor: reader.number(),
                id: name_of_id(id),
                source: source.number(),
            });
        }
        let innocent = self.was_overtaken(attempt, source);
        self.forget_outputs(source);
        self.recover_outputs();
        self.end_reader(attempt, source, effects);
        let stage = StageIx::from_number(id.stage.stage);
        if self.stages[stage].is_running() && self.stages[stage].key == id.stage {
            self.end_stage_attempt(stage, source, innocent, effects);
        }
    }

    /// Whether an attempt was on its way when the executor it reads from was taken out of service.
    fn was_overtaken(&self, reader: AttemptIx, source: ExecutorIx) -> bool {
        let launched = self.attempts.get(reader).map(|attempt| attempt.launched_at);
        match self.executors[source].liveness {
            Liveness::Gone {
                loss: ExecutorLoss::Decommissioned,
                at,
            } => launched.is_some_and(|launched| launched <= at),
            _ => false,
        }
    }

    /// The attempt runs again, and that does not count against it.
    fn end_reader(&mut self, index: AttemptIx, source: ExecutorIx, effects: &mut Vec<Effect>) {
        let uri = format!("the output left on {}", self.executors[source].id);
        let message = "it is not there".to_owned();
        let failure = TaskFailure::new(FailureCause::InputFailed { uri, message });
        self.tell_end(index, Err(&failure), TaskMetrics::default());
        let Some(attempt) = self.retire(index) else {
            return;
        };
        if self.is_open(&attempt) {
            self.note_failure(&attempt, &failure, false);
            self.run_again(&attempt, effects);
        }
    }

    /// The present attempt of a stage has failed to read its input. That counts unless a decommissioned node was the
    /// reason.
    fn end_stage_attempt(
        &mut self,
        index: StageIx,
        source: ExecutorIx,
        innocent: bool,
        effects: &mut Vec<Effect>,
    ) {
        let limit = self.plan.settings.stage_max_attempts;
        let unread = format!("its input on {} could not be read", self.executors[source].id);
        self.tell_stage_ended(index, Some(unread));
        self.begin_stage_attempt(index);
        self.tell_stage_began(index);
        let stage = &mut self.stages[index];
        stage.failed_attempts += u32::from(!innocent);
        let (job, failed) = (stage.key.job, stage.failed_attempts);
        if failed >= limit {
            let (name, source) = (self.stage_name(index), &self.executors[source].id);
            let cause =
                format!("stage {name} could not read its input in {failed} attempts, last from {source}");
            self.fail_job(job, cause, effects);
        }
    }

    /// What an executor is said to hold is not there.
    fn forget_outputs(&mut self, source: ExecutorIx) {
        for index in self.stages.indexes() {
            let stage = &mut self.stages[index];
            if let Some(tasks) = stage.tasks.as_mut().filter(|_| stage.keeps_output) {
                tasks.forget_place(source);
            }
        }
    }

    /// Has lost outputs made again that are still to be read.
    pub(crate) fn recover_outputs(&mut self) {
        for index in self.stages.indexes() {
            if self.stages[index].keeps_output {
                self.recover_output(index);
            }
        }
    }

    fn recover_output(&mut self, index: StageIx) {
        let lost = self.lost_partitions(index);
        if lost.is_empty() || !self.is_output_needed(index) {
            return;
        }
        let again = self.stages[index].phase == Phase::Done;
        self.reopen_stage(index);
        for partition in lost {
            self.reopen_task(index, partition);
        }
        if again {
            self.tell_stage_began(index);
        }
        let edges: Vec<_> = self.plan.stages[index.number() as usize]
            .edges()
            .copied()
            .collect();
        for before in edges {
            self.recover_output(StageIx::from_number(before));
        }
        self.offer_stage(index);
    }

    /// Whether the result of a stage stays on executors and is still to be read.
    pub(crate) fn is_output_needed(&self, index: StageIx) -> bool {
        let stage = &self.stages[index];
        let mut readers = stage.followers.iter().chain(&stage.with_followers);
        let reads = |phase: Phase| matches!(phase, Phase::Waiting | Phase::Planning | Phase::Running);
        stage.keeps_output && readers.any(|&reader| reads(self.stages[reader].phase))
    }

    fn lost_partitions(&self, index: StageIx) -> Vec<u32> {
        let tasks = self.stages[index]
            .tasks
            .as_ref()
            .map_or(&[][..], |tasks| tasks.tasks());
        let gone = |task: &Task| task.place.is_none_or(|place| self.executors[place].is_gone());
        let lost = (0..)
            .zip(tasks)
            .filter(|(_, task)| task.state == TaskState::Done && gone(task));
        lost.map(|(partition, _)| partition).collect()
    }

    /// Begins another attempt of a stage that was done; those who read it wait.
    fn reopen_stage(&mut self, index: StageIx) {
        let stage = &mut self.stages[index];
        if stage.phase != Phase::Done {
            return;
        }
        stage.phase = Phase::Running;
        stage.times.completed = None;
        self.jobs[stage.key.job as usize].open_stages += 1;
        self.begin_stage_attempt(index);
        for reader in self.stages[index].followers.clone() {
            self.stages[reader].waits_for += 1;
            self.queue.set_pending(reader, false);
        }
    }

    fn reopen_task(&mut self, index: StageIx, partition: u32) {
        if let Some(tasks) = &mut self.stages[index].tasks {
            tasks.reopen(partition, &self.executors);
        }
        self.block_unready(index, partition);
        for follower in self.stages[index].with_followers.clone() {
            self.block_unready(follower, partition);
        }
    }

    /// Holds a pending task back whose predecessor is not done.
    pub(crate) fn block_unready(&mut self, index: StageIx, partition: u32) {
        if !self.stages[index].with.is_empty()
            && self.predecessors_place(index, partition).is_none()
            && let Some(tasks) = &mut self.stages[index].tasks
        {
            tasks.block(partition);
        }
    }

    /// Whether an executor holds a result that is still to be read.
    pub(crate) fn holds_output(&self, executor: ExecutorIx) -> bool {
        let kept = self.stages.iter().filter(|(_, stage)| stage.keeps_output);
        let needed = kept.filter(|&(index, _)| self.is_output_needed(index));
        let mut tasks = needed.filter_map(|(_, stage)| stage.tasks.as_ref());
        tasks.any(|tasks| tasks.tasks().iter().any(|task| task.place == Some(executor)))
    }

    /// Lets go of what was kept to make outputs again that nobody will read any more.
    pub(crate) fn shed_read_outputs(&mut self, reader: StageIx) {
        let edges: Vec<_> = self.plan.stages[reader.number() as usize]
            .edges()
            .copied()
            .collect();
        for before in edges.into_iter().map(StageIx::from_number) {
            let done = self.stages[before].phase == Phase::Done && !self.is_output_needed(before);
            if let Some(tasks) = self.stages[before].tasks.as_mut().filter(|_| done) {
                tasks.shed();
            }
        }
    }
}
