//! The auditor: sees every event and effect, keeps books of its own, and compares. Its complaints name the invariant
//! by the letter of the product contract.

mod containers;
mod fence;
mod outputs;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use driver::core::Driver;
use driver::event::{Effect, Event, Verdict};
use driver::plan::AppPlan;
use driver::view::{JobStatus, StageStatus};
use launcher::core::Launcher;
use launcher::record::Phase;
use wire::failure::{ExecutorLoss, KillReason};
use wire::id::{BootNonce, ExecutorId, StageKey, TaskAttemptId};
use wire::message::TaskReport;

use crate::plans::fits_together;

use containers::Containers;
pub(crate) use fence::speaker;
use outputs::Outputs;
use wanted::Signs;

/// No permission to commit is given when the ResourceManager was not heard for longer.
const RM_WINDOW: Duration = Duration::from_secs(10);

/// What an invariant's breach looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's letter in the product contract.
    pub letter: char,
    /// What was seen.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {}: {}", self.letter, self.text)
    }
}

/// The books.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    pub(crate) violation: Option<Violation>,
    /// Attempts that occupy slots, and whether the driver knows that they run.
    live: BTreeMap<ExecutorId, BTreeMap<TaskAttemptId, bool>>,
    /// Attempts of gangs that were told to end: the driver may have given them up or wait for their reports.
    uncertain: BTreeSet<TaskAttemptId>,
    granted: BTreeMap<(u32, u32), TaskAttemptId>,
    succeeded: BTreeSet<(u32, u32)>,
    counted: BTreeMap<(u32, u32), u32>,
    /// Of each task: executors that were lost with it, running or not, in a way that tasks are blamed for.
    lost_with: BTreeMap<(u32, u32), u32>,
    losses: u64,
    gone: BTreeSet<ExecutorId>,
    /// The life of each executor that registered last.
    boots: BTreeMap<ExecutorId, BootNonce>,
    unread: BTreeMap<u32, u32>,
    outputs: Outputs,
    containers: Containers,
    signs: Signs,
    begun: BTreeSet<u32>,
    complete: BTreeSet<u32>,
    committed: BTreeSet<u32>,
    abandoned: BTreeSet<u32>,
    rm_heard: Option<Duration>,
    /// Why a failure is deserved that no count explains.
    excuses: Vec<String>,
    pub(crate) verdict: Option<Verdict>,
    /// Since when a container is told of by the ResourceManager and not held by the launcher, or the other way.
    disagreements: BTreeMap<ExecutorId, Duration>,
}

impl Audit {
    pub(crate) fn complain(&mut self, letter: char, text: String) {
        self.violation.get_or_insert(Violation { letter, text });
    }

    fn check(&mut self, holds: bool, letter: char, text: impl FnOnce() -> String) {
        if !holds {
            self.complain(letter, text());
        }
    }

    /// Something was done to the application that may end it.
    pub(crate) fn excuse(&mut self, why: &str) {
        self.excuses.push(why.to_owned());
    }

    // The driver's events.

    pub(crate) fn hear(&mut self, now: Duration, event: &Event, plan: &AppPlan) {
        self.hear_signs(now, event);
        match event {
            Event::TaskFinished { executor, report } => self.hear_report(executor, report, plan),
            Event::ExecutorLost { executor, loss } => self.forget(executor, *loss),
            Event::OutputUnreadable { executor, id, source } => {
                let live = self.live.get_mut(executor);
                if live.is_some_and(|live| live.remove(id).is_some()) {
                    self.outputs.lose(source);
                    *self.unread.entry(id.stage.stage).or_default() += 1;
                }
            }
            Event::TasksReturned { executor, ids } => {
                let live = self.live.entry(executor.clone()).or_default();
                live.retain(|id, _| !ids.contains(id));
            }
            Event::TaskStarted { executor, id } => self.started(executor, *id),
            Event::HeartbeatReceived { executor, running } => {
                let begun = running.iter().filter(|task| !task.waiting);
                begun.for_each(|task| self.started(executor, task.id));
            }
            Event::ExecutorRegistered(registration) => {
                self.hear_life(&registration.executor, registration.boot);
                let running = registration.running.iter();
                running.for_each(|id| self.started(&registration.executor, *id));
            }
            Event::StageCommitted {
                stage,
                result: Ok(()),
            } => {
                self.complete.insert(stage.stage);
            }
            Event::StageCommitted { result: Err(why), .. } | Event::StagePlanned { tasks: Err(why), .. } => {
                self.excuse(why);
            }
            Event::ResourceManagerHeard { ago } => self.rm_heard = self.rm_heard.max(now.checked_sub(*ago)),
            Event::LauncherGaveUp { reason } | Event::RoomLacked { reason, .. } => self.excuse(reason),
            _ => {}
        }
    }

    fn started(&mut self, executor: &ExecutorId, id: TaskAttemptId) {
        if let Some(started) = self.live.get_mut(executor).and_then(|live| live.get_mut(&id)) {
            *started = true;
        }
    }

    fn hear_report(&mut self, executor: &ExecutorId, report: &TaskReport, plan: &AppPlan) {
        let id = report.id;
        let keeps = plan.stages[id.stage.stage as usize].scheduling.keeps_output;
        if keeps && self.gone.contains(executor) {
            return;
        }
        let live = self.live.get_mut(executor);
        let was_live = live.is_some_and(|live| live.remove(&id).is_some());
        let partition = (id.stage.stage, id.partition);
        self.granted.retain(|_, holder| *holder != id);
        match &report.outcome {
            Ok(()) => {
                self.succeeded.insert(partition);
                if keeps {
                    self.outputs.keep(executor, partition);
                }
                self.complete_quiet_stage(id.stage.stage, plan);
            }
            Err(failure) if was_live && failure.counts_for_task() => {
                *self.counted.entry(partition).or_default() += 1;
            }
            Err(_) => {}
        }
    }

    /// A stage without output is complete with its last task.
    fn complete_quiet_stage(&mut self, stage: u32, plan: &AppPlan) {
        let of = &plan.stages[stage as usize];
        let done = self.succeeded.range((stage, 0)..(stage + 1, 0)).count() as u64;
        if of.output.is_none() && done == of.source.known_tasks() {
            self.complete.insert(stage);
        }
    }

    fn forget(&mut self, executor: &ExecutorId, loss: ExecutorLoss) {
        self.gone.insert(executor.clone());
        self.lose_attempts(executor, loss);
    }

    fn lose_attempts(&mut self, executor: &ExecutorId, loss: ExecutorLoss) {
        self.outputs.lose(executor);
        for (id, started) in self.live.remove(executor).unwrap_or_default() {
            self.granted.retain(|_, holder| *holder != id);
            if loss.counts_for_tasks() {
                let lost_with = self.lost_with.entry((id.stage.stage, id.partition));
                *lost_with.or_default() += 1;
            }
            if loss.counts_for_tasks() && started {
                *self.counted.entry((id.stage.stage, id.partition)).or_default() += 1;
            }
        }
    }

    // The driver's effects.

    /// A gang starts whole or not at all: looks at everything that one event led to.
    pub(crate) fn see_gangs(&mut self, effects: &[Effect], plan: &AppPlan) {
        let mut started: BTreeMap<StageKey, u64> = BTreeMap::new();
        for effect in effects {
            if let Effect::Launch { tasks, .. } = effect {
                for task in tasks {
                    *started.entry(task.id.stage).or_default() += 1;
                }
            }
        }
        for (key, started) in started {
            let stage = &plan.stages[key.stage as usize];
            let whole = !stage.scheduling.gang || started == stage.source.known_tasks();
            self.check(whole, 'B', || {
                format!("{started} tasks of gang {key} start without the others")
            });
        }
    }

    pub(crate) fn see(&mut self, now: Duration, effect: &Effect, plan: &AppPlan) {
        self.see_signs(now, effect, plan);
        let over = self.verdict.is_some();
        self.check(!over, 'E', || format!("an effect after the verdict: {effect:?}"));
        match effect {
            Effect::PlanStage { stage } => {
                self.begun.insert(stage.stage);
            }
            Effect::Launch { executor, tasks, .. } => {
                let gone = self.gone.contains(executor);
                self.check(!gone, 'F', || format!("a launch on {executor}, which is gone"));
                for task in tasks {
                    self.see_launch(executor, task.id, plan);
                }
            }
            Effect::Cancel {
                executor,
                id,
                reason: KillReason::StageEnded,
            } => self.see_end(executor, *id, plan),
            Effect::DecideCommit {
                id,
                granted: true,
                executor,
            } => self.see_grant(now, executor, *id),
            Effect::StopExecutor { executor, loss } => self.forget(executor, *loss),
            Effect::CommitStage { stage } => {
                self.check_window(now, "a stage");
                let first = self.committed.insert(stage.stage);
                self.check(first, 'A', || format!("stage {stage} is committed twice"));
            }
            Effect::AbandonStage { stage } => {
                self.abandoned.insert(stage.stage);
            }
            Effect::Finish(verdict) => self.verdict = Some(verdict.clone()),
            Effect::KeepResult { .. }
            | Effect::Cancel { .. }
            | Effect::Recall { .. }
            | Effect::DecideCommit { .. }
            | Effect::SetTarget(_)
            | Effect::Record(_) => {}
        }
    }

    fn see_end(&mut self, executor: &ExecutorId, id: TaskAttemptId, plan: &AppPlan) {
        self.granted.retain(|_, holder| *holder != id);
        if plan.stages[id.stage.stage as usize].scheduling.gang {
            self.uncertain.insert(id);
        } else {
            self.live.get_mut(executor).and_then(|live| live.remove(&id));
        }
    }

    fn check_window(&mut self, now: Duration, what: &str) {
        let silent = self.rm_heard.map(|heard| now.saturating_sub(heard));
        let fresh = silent.is_some_and(|silent| silent <= RM_WINDOW);
        self.check(fresh, 'A', || {
            format!("{what} may commit and the ResourceManager has been silent for {silent:?}")
        });
    }

    fn see_grant(&mut self, now: Duration, executor: &ExecutorId, id: TaskAttemptId) {
        self.check_window(now, "a task");
        let gone = self.gone.contains(executor);
        self.check(!gone, 'F', || {
            format!("{id} may commit on {executor}, which is gone")
        });
        let partition = (id.stage.stage, id.partition);
        let holder = *self.granted.entry(partition).or_insert(id);
        self.check(holder == id, 'A', || format!("both {holder} and {id} may commit"));
    }

    fn see_launch(&mut self, executor: &ExecutorId, id: TaskAttemptId, plan: &AppPlan) {
        let stage = &plan.stages[id.stage.stage as usize];
        let repeats = stage.scheduling.gang || stage.scheduling.keeps_output;
        let done = self.succeeded.contains(&(id.stage.stage, id.partition));
        self.check(!done || repeats, 'A', || {
            format!("{id} is done and launched again")
        });
        for &before in &stage.scheduling.with {
            let ready = self.succeeded.contains(&(before, id.partition));
            self.check(ready, 'A', || {
                format!("{id} runs before {before}/{}", id.partition)
            });
        }
        let job = plan.scheduling.jobs.get(id.stage.job as usize);
        let jobs_before = job.map_or(&[][..], |job| &job.after);
        for (number, before) in (0..).zip(&plan.stages) {
            let ready = !jobs_before.contains(&before.scheduling.job)
                || self.complete.contains(&number)
                || before.source.known_tasks() == 0;
            self.check(ready, 'A', || {
                format!("{id} runs before job {} is done", before.scheduling.job)
            });
        }
        for before in &stage.after {
            let ready =
                self.complete.contains(before) || plan.stages[*before as usize].source.known_tasks() == 0;
            self.check(ready, 'A', || {
                format!("{id} runs before stage {before} is complete")
            });
        }
        self.check_sources(id, plan);
        self.check_copies(id, plan);
        let live = self.live.entry(executor.clone()).or_default();
        let new = live.insert(id, false).is_none();
        let certain = live.keys().filter(|id| !self.uncertain.contains(id));
        let fits = fits_together(plan, certain);
        self.check(new, 'B', || format!("{id} is launched twice"));
        let ahead = plan.scheduling.prefetch.is_wanted();
        self.check(ahead || fits, 'B', || format!("{executor} has no room for {id}"));
    }

    fn check_copies(&mut self, id: TaskAttemptId, plan: &AppPlan) {
        let stage = &plan.stages[id.stage.stage as usize];
        let same =
            |other: &&TaskAttemptId| (other.stage.stage, other.partition) == (id.stage.stage, id.partition);
        let live = self.live.values().flat_map(BTreeMap::keys);
        let certain = live.filter(|other| !self.uncertain.contains(other));
        let copies = certain.filter(same).count();
        let most = usize::from(plan.scheduling.speculation.enabled || stage.scheduling.keeps_output);
        self.check(copies <= most, 'B', || {
            format!("{} live attempts with {id}", copies + 1)
        });
    }

    /// The launcher tells of a loss.
    pub(crate) fn see_loss(&mut self, loss: ExecutorLoss) {
        self.losses += u64::from(loss.counts_for_budget());
    }

    // States.

    /// What holds after every step.
    pub(crate) fn compare(&mut self, driver: &Driver, launcher: &Launcher, plan: &AppPlan) {
        self.compare_launcher(launcher, plan);
        self.compare_draining();
        let snapshot = driver.snapshot();
        self.check(snapshot.failures.len() <= 128, 'J', || {
            "the log of failures grows".to_owned()
        });
        for executor in &snapshot.executors {
            let live = self.live.get(&executor.id);
            let most = live.map_or(0, BTreeMap::len);
            let open = |live: &BTreeMap<TaskAttemptId, bool>| {
                live.keys().filter(|id| !self.uncertain.contains(id)).count()
            };
            // What waits in the queue of an executor is not among what runs there.
            let queues = plan.scheduling.prefetch.is_wanted();
            let least = live.filter(|_| !queues).map_or(0, open);
            let running = executor.running as usize;
            let same = executor.gone.is_some() || (least..=most).contains(&running) || self.verdict.is_some();
            self.check(same, 'J', || {
                let (id, counted) = (&executor.id, executor.running);
                format!("{id} has {least} to {most} live attempts, the driver keeps {counted}")
            });
        }
        for stage in &snapshot.stages {
            let fits = u64::from(stage.pending) + u64::from(stage.succeeded) <= stage.tasks;
            let abandoned = stage.status == StageStatus::Abandoned;
            self.check(fits || abandoned, 'E', || {
                format!("tasks are counted twice: {stage:?}")
            });
        }
        if self.verdict.is_some() {
            let open = [JobStatus::Waiting, JobStatus::Running];
            let states = snapshot.jobs.iter().map(|job| job.status);
            let running = states.filter(|status| open.contains(status)).count();
            self.check(running == 0, 'H', || {
                format!("{running} jobs run after the verdict")
            });
        }
    }

    fn compare_launcher(&mut self, launcher: &Launcher, plan: &AppPlan) {
        self.compare_records(launcher);
        let (counts, totals) = (launcher.counts(), launcher.totals());
        let held = counts.starting + counts.started + counts.registered;
        // With a verdict the target is nothing, and what is held leaves by being told to.
        let bounded =
            held + counts.asked <= counts.target || self.verdict.is_some() || !self.excuses.is_empty();
        self.check(bounded, 'D', || {
            format!(
                "{held} held and {} asked for, {} wanted",
                counts.asked, counts.target
            )
        });
        let losses = self.losses;
        self.check(totals.failures <= losses, 'C', || {
            format!(
                "{} failures in the budget, {losses} losses that count",
                totals.failures
            )
        });
        let most = plan
            .scheduling
            .elastic
            .map_or(plan.executors.instances, |elastic| elastic.max);
        self.check(counts.target <= most, 'D', || {
            format!("{} wanted, at most {most}", counts.target)
        });
        let history = launcher.history().count();
        self.check(history <= 200, 'J', || {
            format!("{history} ended containers are kept")
        });
    }

    /// The failures that the driver holds against tasks are those that count.
    pub(crate) fn compare_counts(&mut self, driver: &Driver, plan: &AppPlan) {
        self.compare_done(driver, plan);
        for (stage, _) in (0..).zip(&plan.stages) {
            for task in driver.tasks(stage, 0, usize::MAX) {
                let counted = self.counted.get(&(stage, task.partition)).copied().unwrap_or(0);
                self.check(task.failures <= counted, 'C', || {
                    let partition = task.partition;
                    format!(
                        "task {stage}/{partition} has {} failures, {counted} count",
                        task.failures
                    )
                });
            }
        }
    }

    /// What ResourceManager and launcher say of containers must come to agree: those that it told of, except those
    /// that it cannot know of.
    pub(crate) fn compare_containers(
        &mut self,
        now: Duration,
        (told, unknowable): (&BTreeSet<ExecutorId>, &BTreeSet<ExecutorId>),
        launcher: &Launcher,
        patience: (Duration, Duration),
    ) {
        let is_held = |phase: Phase| phase.is_live();
        let held: BTreeMap<_, _> = launcher
            .records()
            .filter(|record| is_held(record.phase))
            .map(|record| (&record.executor, record.phase))
            .collect();
        let mut since = BTreeMap::new();
        for executor in told.iter().filter(|executor| !held.contains_key(executor)) {
            since.insert(
                executor.clone(),
                (patience.0, "the ResourceManager has it, the launcher does not"),
            );
        }
        for (executor, phase) in held
            .into_iter()
            .filter(|(executor, _)| !told.contains(executor) && !unknowable.contains(executor))
        {
            let patience = if phase == Phase::Registered {
                patience.0
            } else {
                patience.1
            };
            since.insert(
                executor.clone(),
                (patience, "the launcher has it, the ResourceManager does not"),
            );
        }
        self.disagreements
            .retain(|executor, _| since.contains_key(executor));
        for (executor, (patience, what)) in since {
            let began = *self.disagreements.entry(executor.clone()).or_insert(now);
            self.check(now - began <= patience, 'G', || {
                format!("{executor} since {:?}: {what}", now - began)
            });
        }
    }

    /// The ResourceManager cannot be heard: nothing can come to agree.
    pub(crate) fn pause(&mut self) {
        self.disagreements.clear();
    }

    // The end.

    pub(crate) fn check_verdict(&mut self, plan: &AppPlan, placed: &BTreeSet<(u32, u32)>) {
        match self.verdict.clone() {
            None => self.complain('E', "no verdict".to_owned()),
            Some(Verdict::Succeeded) => self.check_success(plan, placed),
            Some(Verdict::Failed(cause)) => {
                let deserved = self.deserves_failure(plan);
                self.check(deserved, 'C', || {
                    format!("failed without a cause that counts: {cause}")
                });
            }
            Some(Verdict::Killed(_)) => {}
        }
        let open =
            |stage: &&u32| plan.stages[**stage as usize].output.is_some() && !self.complete.contains(stage);
        let left: Vec<_> = self
            .begun
            .iter()
            .filter(open)
            .filter(|stage| !self.abandoned.contains(stage))
            .collect();
        let text = format!("stages {left:?} were begun and neither completed nor abandoned");
        let tidy = left.is_empty();
        self.check(tidy, 'I', || text);
    }

    /// A task that ends every executor it is given to is found, and nothing else is blamed.
    pub(crate) fn check_blame(&mut self, deadly: u32) {
        if let Some(Verdict::Failed(cause)) = self.verdict.clone() {
            // What the ends of executors take along is missed by those who read it.
            let named =
                cause.contains(&format!("task {deadly} ")) || cause.contains("could not read its input");
            self.check(named, 'E', || {
                format!("task {deadly} ends executors, and is not named: {cause}")
            });
        }
    }

    fn check_success(&mut self, plan: &AppPlan, placed: &BTreeSet<(u32, u32)>) {
        for (number, stage) in (0..).zip(&plan.stages) {
            for partition in 0..u32::try_from(stage.source.known_tasks()).unwrap_or(0) {
                let done = self.succeeded.contains(&(number, partition));
                self.check(done, 'A', || format!("success without task {number}/{partition}"));
                let there = stage.output.is_none() || placed.contains(&(number, partition));
                self.check(there, 'A', || {
                    format!("success without part {partition} of stage {number}")
                });
            }
            let marked = stage.output.is_none() || self.committed.contains(&number);
            self.check(marked, 'A', || {
                format!("success without the mark of stage {number}")
            });
        }
    }

    fn deserves_failure(&self, plan: &AppPlan) -> bool {
        let limit = plan.settings.task_max_failures;
        let most = self.counted.values().copied().max().unwrap_or(0);
        let lost_with = self.lost_with.values().copied().max().unwrap_or(0);
        let unread = self.unread.values().copied().max().unwrap_or(0);
        let gangs = (0..).zip(&plan.stages).filter(|(_, stage)| stage.scheduling.gang);
        let worst_gang = gangs
            .map(|(number, _)| {
                self.counted
                    .range((number, 0)..(number + 1, 0))
                    .map(|(_, count)| count)
                    .sum()
            })
            .max()
            .unwrap_or(0u32);
        let excluded = plan.scheduling.exclusion.enabled && most > 0;
        most >= limit
            || lost_with > limit
            || worst_gang >= plan.settings.stage_max_attempts
            || unread >= plan.settings.stage_max_attempts
            || excluded
            || !self.excuses.is_empty()
    }
}
