//! How stages begin and end.

use wire::id::StageKey;

use crate::core::{Driver, Life};
use crate::event::{Effect, TaskInput};
use crate::history::Happening;
use crate::index::{ExecutorIx, StageIx};
use crate::job::JobState;
use crate::journal::fact::{ApplicationFact, StageFact};
use crate::locality::Locality;
use crate::stage::Phase;
use crate::task_set::{TaskSet, TaskState};
use crate::timers::Timer;

impl Driver {
    pub(crate) fn on_started(&mut self, effects: &mut Vec<Effect>) {
        if self.life != Life::New {
            return;
        }
        self.note_fact(|_| ApplicationFact::Started);
        self.life = Life::Running;
        self.recovered = false;
        self.gate.start(self.now);
        if let Some(problem) = self.plan.problems().into_iter().next() {
            for job in (0..).take(self.jobs.len()) {
                self.fail_job(job, problem.to_string(), effects);
            }
            return;
        }
        self.update_demand(effects);
        self.ready.extend(self.stages.indexes());
        self.finish_empty_jobs();
    }

    /// The application begins and fails at once, so that its journal holds the verdict and no attempt tries again.
    pub(crate) fn on_refused(&mut self, cause: &str, effects: &mut Vec<Effect>) {
        if self.life != Life::New {
            return;
        }
        self.on_started(effects);
        for job in (0..).take(self.jobs.len()) {
            let cause = cause.to_owned();
            self.note_fact(|_| ApplicationFact::JobFailed {
                job,
                cause: cause.clone(),
            });
            self.fail_job(job, cause, effects);
        }
    }

    fn finish_empty_jobs(&mut self) {
        for job in 0..self.jobs.len() {
            self.succeed_if_done(job);
        }
    }

    /// Ends a job well when nothing is left to do, and lets those begin that come after it.
    fn succeed_if_done(&mut self, number: usize) {
        let job = &mut self.jobs[number];
        if !job.is_running() || job.open_stages > 0 || job.waits_for > 0 {
            return;
        }
        job.state = JobState::Succeeded;
        let followers = job.followers.clone();
        self.tell(|_| Happening::JobEnded {
            job: u32::try_from(number).unwrap_or(u32::MAX),
            failure: None,
        });
        for follower in followers {
            self.jobs[follower as usize].waits_for -= 1;
            let of_job = |&index: &StageIx| self.stages[index].key.job == follower;
            self.ready.extend(self.stages.indexes().filter(of_job));
            self.succeed_if_done(follower as usize);
        }
    }

    /// Begins those of the stages in `ready` that wait for nothing.
    pub(crate) fn begin_ready_stages(&mut self, effects: &mut Vec<Effect>) {
        for index in std::mem::take(&mut self.ready) {
            if !self.is_ready(index) {
                continue;
            }
            let stage = index.number();
            self.note_fact(|_| StageFact::Begun { stage });
            self.begin_stage(index, effects);
        }
    }

    pub(crate) fn begin_stage(&mut self, index: StageIx, effects: &mut Vec<Effect>) {
        let stage = &mut self.stages[index];
        stage.phase = Phase::Planning;
        stage.times.submitted = Some(self.now);
        effects.push(Effect::PlanStage { stage: stage.key });
    }

    fn is_ready(&self, index: StageIx) -> bool {
        let stage = &self.stages[index];
        let planned = |&before: &StageIx| self.stages[before].tasks.is_some();
        let begun = self.jobs[stage.key.job as usize].waits_for == 0;
        begun && stage.phase == Phase::Waiting && stage.waits_for == 0 && stage.with.iter().all(planned)
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
        self.note_fact(|_| StageFact::Planned {
            stage: key,
            tasks: tasks.clone(),
        });
        match tasks {
            Ok(tasks) => self.begin_tasks(index, &tasks, effects),
            Err(message) => {
                let cause = format!("stage {} could not be planned: {message}", self.stage_name(index));
                self.fail_job(key.job, cause, effects);
            }
        }
    }

    fn begin_tasks(&mut self, index: StageIx, tasks: &[TaskInput], effects: &mut Vec<Effect>) {
        if let Some(cause) = self.impossible(index, tasks.len()) {
            self.fail_job(self.stages[index].key.job, cause, effects);
            return;
        }
        let set = self.new_task_set(index, tasks);
        let stage = &mut self.stages[index];
        stage.tasks = Some(set);
        stage.phase = Phase::Running;
        self.ready.extend(&stage.with_followers);
        self.tell_stage_began(index);
        self.unblock_ready(index, (0..).take(tasks.len()));
        self.demand.note_wishes();
        if tasks.is_empty() {
            self.complete_stage(index, effects);
        } else {
            self.offer_stage(index);
            self.give_way(index, effects);
        }
    }

    fn new_task_set(&mut self, index: StageIx, tasks: &[TaskInput]) -> TaskSet {
        let stage = &self.stages[index];
        let follows = !stage.with.is_empty();
        let mut set = TaskSet::new(tasks, follows);
        if !stage.gang {
            let hosts = &mut self.executors.hosts;
            if let Some(locality) = Locality::new(tasks, hosts, follows, self.now) {
                set.place_by(locality, &self.executors);
            }
        }
        if self.plan.scheduling.speculation.enabled {
            set.keep_durations();
        }
        set
    }

    /// Why a stage of so many tasks can never run.
    fn impossible(&self, index: StageIx, tasks: usize) -> Option<String> {
        let plan = &self.plan.stages[index.number() as usize];
        let gang = plan
            .scheduling
            .gang
            .then(|| self.plan.gang_too_large(plan, tasks as u64));
        let too_large = gang.flatten().map(|problem| problem.to_string());
        too_large.or_else(|| self.unequal_partner(index, tasks))
    }

    /// What is wrong with one-to-one edges between stages of different size.
    fn unequal_partner(&self, index: StageIx, tasks: usize) -> Option<String> {
        let partners = self.stages[index]
            .with
            .iter()
            .map(|&before| (before, &self.stages[before]));
        let sized = partners.filter_map(|(before, stage)| Some((before, stage.tasks.as_ref()?.total())));
        let (before, total) = sized.into_iter().find(|&(_, total)| total as usize != tasks)?;
        let (name, other) = (self.stage_name(index), self.stage_name(before));
        Some(format!(
            "stage {name} has {tasks} tasks and goes with stage {other}, which has {total}: both need the same number"
        ))
    }

    /// Frees tasks whose predecessors are all done.
    pub(crate) fn unblock_ready(&mut self, index: StageIx, partitions: impl Iterator<Item = u32>) {
        if self.stages[index].with.is_empty() {
            return;
        }
        for partition in partitions {
            if let Some(near) = self.predecessors_place(index, partition)
                && let Some(tasks) = &mut self.stages[index].tasks
            {
                tasks.unblock(partition, near, &self.executors);
            }
        }
        if self.stages[index].is_running() {
            self.offer_stage(index);
        }
    }

    /// Where the predecessors of a task ran; none unless all of them are done.
    pub(crate) fn predecessors_place(&self, index: StageIx, partition: u32) -> Option<Option<ExecutorIx>> {
        let mut place = None;
        for &before in &self.stages[index].with {
            let task = self.stages[before].tasks.as_ref()?.get(partition)?;
            if task.state != TaskState::Done {
                return None;
            }
            place = task
                .place
                .filter(|&executor| !self.executors[executor].is_gone())
                .or(place);
        }
        Some(place)
    }

    /// Lets a stage have free slots if it has a use for them.
    pub(crate) fn offer_stage(&mut self, index: StageIx) {
        let stage = &self.stages[index];
        let wants = stage.waits_for == 0 && stage.tasks.as_ref().is_some_and(TaskSet::wants_slots);
        self.queue.set_pending(index, wants);
        if wants {
            self.offers.everyone();
        }
    }

    /// All tasks of a stage are done: its output is next.
    pub(crate) fn complete_stage(&mut self, index: StageIx, effects: &mut Vec<Effect>) {
        let stage = &mut self.stages[index];
        stage.phase = Phase::Complete;
        self.queue.set_pending(index, false);
        self.timers.clear(Timer::Locality(index));
        self.strike_executors(index);
        let stage = &mut self.stages[index];
        stage.failed_attempts = 0;
        let again = stage.keeps_output || self.plan.stages[index.number() as usize].body.is_function();
        if let Some(tasks) = stage.tasks.as_mut().filter(|_| !again) {
            tasks.shed();
        }
        self.demand.note_wishes();
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
            if self.stages[index].phase == Phase::Complete {
                let stage = index.number();
                self.note_fact(|_| StageFact::CommitStarted { stage });
                let stage = &mut self.stages[index];
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
        self.note_fact(|_| StageFact::Committed {
            stage: key,
            result: result.clone(),
        });
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

    pub(crate) fn on_stage_failed(&mut self, key: StageKey, cause: &str, effects: &mut Vec<Effect>) {
        if let Some(index) = self.stage_in(key, Phase::Running) {
            let cause = format!("stage {} failed: {cause}", self.stage_name(index));
            self.note_fact(|_| ApplicationFact::JobFailed {
                job: key.job,
                cause: cause.clone(),
            });
            self.fail_job(key.job, cause, effects);
        }
    }

    fn finish_stage(&mut self, index: StageIx) {
        let stage = &mut self.stages[index];
        stage.phase = Phase::Done;
        stage.times.completed = Some(self.now);
        let job = stage.key.job as usize;
        self.tell_stage_ended(index, None);
        self.jobs[job].open_stages -= 1;
        self.succeed_if_done(job);
        for follower in self.stages[index].followers.clone() {
            self.stages[follower].waits_for -= 1;
            self.ready.push(follower);
            if self.stages[follower].is_running() {
                self.offer_stage(follower);
            }
        }
        self.shed_read_outputs(index);
        self.tell_no_more(index);
    }

    pub(crate) fn stage_name(&self, index: StageIx) -> &str {
        &self.plan.stages[index.number() as usize].name
    }
}
