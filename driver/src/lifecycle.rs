//! How stages begin and end.

use wire::id::StageKey;
use wire::launcher::ExecutorTarget;

use crate::core::{Driver, Life};
use crate::event::{Effect, TaskInput};
use crate::index::StageIx;
use crate::job::JobState;
use crate::stage::Phase;
use crate::task_set::TaskSet;

impl Driver {
    pub(crate) fn on_started(&mut self, effects: &mut Vec<Effect>) {
        if self.life != Life::New {
            return;
        }
        self.life = Life::Running;
        self.gate.start(self.now);
        if let Some(problem) = self.plan.problems().into_iter().next() {
            for job in (0..).take(self.jobs.len()) {
                self.fail_job(job, problem.to_string(), effects);
            }
            return;
        }
        let target = ExecutorTarget {
            executors: self.wanted_executors(),
            ..ExecutorTarget::default()
        };
        effects.push(Effect::SetTarget(target));
        self.ready.extend(self.stages.indexes());
        self.finish_empty_jobs();
    }

    /// How many executors are wanted.
    pub(crate) fn wanted_executors(&self) -> u32 {
        self.plan.executors.instances
    }

    fn finish_empty_jobs(&mut self) {
        let empty = self.jobs.iter_mut().filter(|job| job.open_stages == 0);
        empty.for_each(|job| job.state = JobState::Succeeded);
    }

    /// Begins those of the stages in `ready` that wait for nothing.
    pub(crate) fn begin_ready_stages(&mut self, effects: &mut Vec<Effect>) {
        for index in std::mem::take(&mut self.ready) {
            let stage = &mut self.stages[index];
            if stage.phase == Phase::Waiting && stage.waits_for == 0 {
                stage.phase = Phase::Planning;
                stage.times.submitted = Some(self.now);
                effects.push(Effect::PlanStage { stage: stage.key });
            }
        }
    }

    /// The stage of a key, if the key is that of its present attempt and it is in this phase.
    fn stage_in(&self, key: StageKey, phase: Phase) -> Option<StageIx> {
        let index = StageIx::from_number(key.stage);
        let stage = self.stages.get(index)?;
        (stage.key == key && stage.phase == phase).then_some(index)
    }

    pub(crate) fn on_stage_planned(
        &mut self,
        key: StageKey,
        tasks: Result<Vec<TaskInput>, String>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(index) = self.stage_in(key, Phase::Planning) else {
            return;
        };
        match tasks {
            Ok(tasks) => self.begin_tasks(index, &tasks, effects),
            Err(message) => {
                let cause = format!("stage {} could not be planned: {message}", self.stage_name(index));
                self.fail_job(key.job, cause, effects);
            }
        }
    }

    fn begin_tasks(&mut self, index: StageIx, tasks: &[TaskInput], effects: &mut Vec<Effect>) {
        let stage = &mut self.stages[index];
        stage.tasks = Some(TaskSet::new(tasks));
        stage.phase = Phase::Running;
        if tasks.is_empty() {
            self.complete_stage(index, effects);
            return;
        }
        self.queue.set_pending(index, stage.key, true);
        self.offers.everyone();
    }

    /// All tasks of a stage are done: its output is next.
    pub(crate) fn complete_stage(&mut self, index: StageIx, effects: &mut Vec<Effect>) {
        let stage = &mut self.stages[index];
        stage.phase = Phase::Complete;
        self.queue.set_pending(index, stage.key, false);
        if let Some(tasks) = &mut stage.tasks {
            tasks.shed();
        }
        if self.plan.stages[index.number() as usize].output.is_none() {
            self.finish_stage(index);
        } else {
            self.commit_stages(effects);
        }
    }

    /// Has the output of complete stages marked, as long as the ResourceManager is heard.
    pub(crate) fn commit_stages(&mut self, effects: &mut Vec<Effect>) {
        if !self.commits.may_commit(self.now) {
            return;
        }
        for index in self.stages.indexes() {
            let stage = &mut self.stages[index];
            if stage.phase == Phase::Complete {
                stage.phase = Phase::Committing;
                effects.push(Effect::CommitStage { stage: stage.key });
            }
        }
    }

    pub(crate) fn on_stage_committed(
        &mut self,
        key: StageKey,
        result: Result<(), String>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(index) = self.stage_in(key, Phase::Committing) else {
            return;
        };
        match result {
            Ok(()) => self.finish_stage(index),
            Err(message) => {
                let cause = format!(
                    "the output of stage {} could not be committed: {message}",
                    self.stage_name(index)
                );
                self.fail_job(key.job, cause, effects);
            }
        }
    }

    fn finish_stage(&mut self, index: StageIx) {
        let stage = &mut self.stages[index];
        stage.phase = Phase::Done;
        stage.times.completed = Some(self.now);
        let job = &mut self.jobs[stage.key.job as usize];
        job.open_stages -= 1;
        if job.open_stages == 0 {
            job.state = JobState::Succeeded;
        }
        for follower in self.stages[index].followers.clone() {
            self.stages[follower].waits_for -= 1;
            self.ready.push(follower);
        }
    }

    pub(crate) fn stage_name(&self, index: StageIx) -> &str {
        &self.plan.stages[index.number() as usize].name
    }
}
