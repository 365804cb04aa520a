//! From records back to a core.

use wire::failure::{ExecutorLoss, TaskFailure};
use wire::id::{BootNonce, StageKey, TaskAttemptId};
use wire::message::TaskReport;
use wire::task::TaskMetrics;

use super::VERSION;
use super::codec::{Damaged, Reader};
use super::fact::{ApplicationFact, AttemptFact, AttemptName, ExecutorFact, Fact, StageFact};
use crate::core::{Driver, Life};
use crate::event::{Effect, Registration};
use crate::index::{AttemptIx, ExecutorIx, Ix, StageIx};
use crate::plan::AppPlan;
use crate::stage::Phase;

/// Why a journal cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// A record is of a later format.
    #[error("{what} is of format {found}; this build reads formats up to {VERSION}")]
    Version {
        /// Checkpoint or entry.
        what: String,
        /// Its format.
        found: u64,
    },
    /// A record does not fit the plan or the records before it.
    #[error("{what} does not fit what is before it: {problem}")]
    Damaged {
        /// Checkpoint or entry.
        what: String,
        /// What is wrong.
        problem: String,
    },
}

impl Driver {
    /// The core that wrote these entries, in their order, after the checkpoint if there is one.
    ///
    /// Only its durable state comes back: see [`Driver::survey`]. If the application had begun, it sleeps until
    /// [`Event::Resumed`](crate::event::Event::Resumed). It does not keep a journal until it is told to.
    ///
    /// # Errors
    /// [`RecoverError`] when a record is of a later build, or is not of this plan.
    pub fn recover<E: AsRef<[u8]>>(
        plan: AppPlan,
        checkpoint: Option<&[u8]>,
        entries: impl IntoIterator<Item = E>,
    ) -> Result<Self, RecoverError> {
        let mut driver = Self::new(plan);
        driver.offers.everyone();
        driver.replaying = true;
        if let Some(checkpoint) = checkpoint {
            driver.restore(checkpoint)?;
        }
        let mut effects = Vec::new();
        for (number, entry) in entries.into_iter().enumerate() {
            let name = || format!("entry {number}");
            driver.replay(entry.as_ref(), &name, &mut effects)?;
            effects.clear();
        }
        driver.replaying = false;
        driver.recovered = true;
        Ok(driver)
    }

    fn replay(
        &mut self,
        entry: &[u8],
        name: &dyn Fn() -> String,
        effects: &mut Vec<Effect>,
    ) -> Result<(), RecoverError> {
        let damaged = |damage: Damaged| RecoverError::Damaged {
            what: name(),
            problem: damage.0,
        };
        let mut reader = Reader::new(entry);
        check_version(&mut reader, VERSION, name)?;
        self.now = reader.time().map_err(damaged)?;
        while !reader.is_empty() {
            let fact = Fact::read(&mut reader).map_err(damaged)?;
            self.end_due_exclusions();
            self.apply(fact, effects).map_err(damaged)?;
        }
        Ok(())
    }

    fn end_due_exclusions(&mut self) {
        if self.exclusions.next_end().is_some_and(|end| end <= self.now) {
            self.end_exclusions();
        }
    }

    /// The transition of a fact.
    fn apply(&mut self, fact: Fact, effects: &mut Vec<Effect>) -> Result<(), Damaged> {
        match fact {
            Fact::Application(fact) => self.apply_to_application(fact, effects),
            Fact::Executor(fact) => self.apply_to_executors(fact, effects),
            Fact::Stage(fact) => self.apply_to_stage(fact, effects),
            Fact::Attempt(fact) => self.apply_to_attempt(fact, effects),
        }
    }

    fn apply_to_application(
        &mut self,
        fact: ApplicationFact,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Damaged> {
        match fact {
            ApplicationFact::Started => self.on_started(effects),
            ApplicationFact::Resumed { lost } => {
                self.reopen_commits();
                let lost = lost.unwrap_or_else(|| self.results_wanted().collect());
                self.redo_functions(&lost);
            }
            ApplicationFact::JobFailed { job, cause } => {
                self.known_job(job)?;
                self.fail_job(job, cause, effects);
            }
            ApplicationFact::Killed { job: None, by } => self.on_kill_requested(&by, effects),
            ApplicationFact::Killed { job: Some(job), by } => self.on_job_kill_requested(job, by, effects),
            ApplicationFact::Concluded => self.life = Life::Finished,
        }
        Ok(())
    }

    fn apply_to_executors(&mut self, fact: ExecutorFact, effects: &mut Vec<Effect>) -> Result<(), Damaged> {
        match fact {
            ExecutorFact::Admitted {
                executor,
                boot,
                host,
                slots,
            } => self.replay_admitted(&executor, boot, host, slots),
            ExecutorFact::Removed {
                executor,
                loss,
                started,
            } => self.replay_removed(executor, loss, &started, effects),
            ExecutorFact::Stillborn { executor } => {
                self.executors.note_stillborn(&parsed(&executor)?);
                Ok(())
            }
            ExecutorFact::Forgotten { executors } => self.replay_forgotten(executors),
        }
    }

    fn apply_to_stage(&mut self, fact: StageFact, effects: &mut Vec<Effect>) -> Result<(), Damaged> {
        match fact {
            StageFact::Begun { stage } => {
                let stage = self.known_stage(stage)?;
                self.begin_stage(stage, effects);
            }
            StageFact::Planned { stage, tasks } => {
                self.known_stage(stage.stage)?;
                self.on_stage_planned(stage, tasks, effects);
            }
            StageFact::CommitStarted { stage } => {
                let stage = self.known_stage(stage)?;
                self.stages[stage].phase = Phase::Committing;
            }
            StageFact::Committed { stage, result } => self.on_stage_committed(stage, result, effects),
        }
        Ok(())
    }

    fn apply_to_attempt(&mut self, fact: AttemptFact, effects: &mut Vec<Effect>) -> Result<(), Damaged> {
        match fact {
            AttemptFact::Launched {
                stage,
                partition,
                executor,
                queued,
            } => self.replay_launched(stage, partition, executor, queued)?,
            AttemptFact::Adopted { executor, id, queued } => self.replay_adopted(executor, id, queued)?,
            AttemptFact::Seated { executor, id } => {
                let attempt = self.known_attempt(executor, id)?;
                self.seat(attempt);
            }
            AttemptFact::Returned { executor, id } => {
                let attempt = self.known_attempt(executor, id)?;
                self.take_back(attempt, effects);
            }
            AttemptFact::Finished {
                executor,
                id,
                metrics,
                outcome,
            } => self.replay_finished(executor, id, (metrics, outcome), effects)?,
            AttemptFact::Vanished { executor, id } => {
                let attempt = self.known_attempt(executor, id)?;
                self.vanish(attempt, effects);
            }
            AttemptFact::Unreadable { executor, id, source } => {
                let executor = self.executors[self.known_executor(executor)?].id.clone();
                let source = self.executors[self.known_executor(source)?].id.clone();
                let id = self.full_id(id)?;
                self.on_output_unreadable(&executor, id, &source, effects);
            }
        }
        Ok(())
    }

    fn replay_adopted(&mut self, executor: u32, id: AttemptName, queued: bool) -> Result<(), Damaged> {
        let executor = self.known_executor(executor)?;
        let id = self.full_id(id)?;
        if !queued && !self.has_room(executor, StageIx::from_number(id.stage.stage)) {
            return Err(Damaged::new(format!("attempt {id} has no place")));
        }
        self.adopt(executor, id, queued);
        Ok(())
    }

    fn replay_finished(
        &mut self,
        executor: u32,
        id: AttemptName,
        (metrics, outcome): (TaskMetrics, Result<(), TaskFailure>),
        effects: &mut Vec<Effect>,
    ) -> Result<(), Damaged> {
        let executor = self.executors[self.known_executor(executor)?].id.clone();
        let report = TaskReport {
            sequence: 0,
            id: self.full_id(id)?,
            metrics,
            outcome,
            result: None,
            counters: Vec::new(),
        };
        self.on_task_finished(&executor, &report, effects);
        Ok(())
    }

    fn replay_admitted(
        &mut self,
        executor: &str,
        boot: BootNonce,
        host: String,
        slots: u32,
    ) -> Result<(), Damaged> {
        let executor = parsed(executor)?;
        if self.executors.find_present(&executor).is_some() {
            return Err(Damaged::new(format!("executor {executor} comes twice")));
        }
        self.take_in(&Registration {
            executor,
            boot,
            host,
            slots,
            running: Vec::new(),
        });
        Ok(())
    }

    fn replay_removed(
        &mut self,
        executor: u32,
        loss: ExecutorLoss,
        started: &[bool],
        effects: &mut Vec<Effect>,
    ) -> Result<(), Damaged> {
        let index = self.known_executor(executor)?;
        if self.executors[index].is_gone() {
            return Err(Damaged::new(format!("executor number {executor} goes twice")));
        }
        let attempts: Vec<_> = self.executors[index].held().collect();
        for (attempt, &started) in attempts.into_iter().zip(started) {
            if let Some(attempt) = self.attempts.get_mut(attempt) {
                attempt.started = started;
            }
        }
        self.remove_executor(index, loss, effects);
        Ok(())
    }

    fn replay_forgotten(&mut self, executors: Vec<u32>) -> Result<(), Damaged> {
        let known = executors
            .into_iter()
            .map(|executor| self.known_executor(executor));
        let known: Vec<_> = known.collect::<Result<_, _>>()?;
        let named = self.named_executors();
        if known
            .iter()
            .any(|&index| !self.executors[index].is_gone() || named[index.get()])
        {
            return Err(Damaged::new("an executor is forgotten that is needed"));
        }
        self.forget_executors(&known);
        Ok(())
    }

    fn replay_launched(
        &mut self,
        stage: u32,
        partition: u32,
        executor: u32,
        queued: bool,
    ) -> Result<(), Damaged> {
        let (index, executor) = (self.known_stage(stage)?, self.known_executor(executor)?);
        let there = !self.executors[executor].is_gone();
        let room = there && (queued || self.has_room(executor, index));
        let tasks = self.stages[index].tasks.as_mut().filter(|_| room);
        let tasks = tasks.filter(|tasks| partition < tasks.total());
        let Some(tasks) = tasks else {
            return Err(Damaged::new(format!(
                "task {partition} of stage {stage} has no place"
            )));
        };
        tasks.claim(partition);
        self.launch(index, partition, executor, queued);
        Ok(())
    }

    fn known_job(&self, job: u32) -> Result<(), Damaged> {
        if (job as usize) < self.jobs.len() {
            return Ok(());
        }
        Err(Damaged::new(format!("there is no job {job}")))
    }

    fn known_stage(&self, stage: u32) -> Result<StageIx, Damaged> {
        let index = StageIx::from_number(stage);
        let known = self.stages.get(index).map(|_| index);
        known.ok_or_else(|| Damaged::new(format!("there is no stage {stage}")))
    }

    pub(super) fn known_executor(&self, executor: u32) -> Result<ExecutorIx, Damaged> {
        let index = ExecutorIx::new(executor as usize);
        if self.executors.knows(index) {
            return Ok(index);
        }
        Err(Damaged::new(format!("there is no executor number {executor}")))
    }

    pub(super) fn full_id(&self, id: AttemptName) -> Result<TaskAttemptId, Damaged> {
        let stage = self.known_stage(id.stage)?;
        Ok(TaskAttemptId {
            stage: StageKey {
                stage_attempt: id.stage_attempt,
                ..self.stages[stage].key
            },
            partition: id.partition,
            attempt: id.number,
        })
    }

    fn known_attempt(&self, executor: u32, id: AttemptName) -> Result<AttemptIx, Damaged> {
        let executor = &self.executors[self.known_executor(executor)?].id;
        let id = self.full_id(id)?;
        let live = self.live_attempt(executor, id);
        live.ok_or_else(|| Damaged::new(format!("attempt {id} does not run on {executor}")))
    }
}

pub(super) fn parsed(executor: &str) -> Result<wire::id::ExecutorId, Damaged> {
    executor
        .parse()
        .map_err(|error: wire::id::InvalidId| Damaged::new(error.to_string()))
}

/// The formats of checkpoints and entries are counted apart.
pub(super) fn check_version(
    reader: &mut Reader<'_>,
    latest: u8,
    name: &dyn Fn() -> String,
) -> Result<(), RecoverError> {
    match reader.number() {
        Ok(version) if (1..=u64::from(latest)).contains(&version) => Ok(()),
        Ok(found) => Err(RecoverError::Version { what: name(), found }),
        Err(damage) => Err(RecoverError::Damaged {
            what: name(),
            problem: damage.0,
        }),
    }
}
