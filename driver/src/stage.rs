//! A stage: where it is between waiting for others and having its output marked as complete.

use std::collections::BTreeMap;
use std::time::Duration;

use wire::amounts::Amounts;
use wire::id::StageKey;
use wire::task::{Counter, TaskMetrics};

use crate::assignment::Sweep;
use crate::index::StageIx;
use crate::locality::LocalityCounts;
use crate::plan::{AppPlan, StagePlan, TaskSource};
use crate::task_set::TaskSet;

/// The most counters that are kept of a stage.
const MOST_STAGE_COUNTERS: usize = 1000;

/// Where a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Others have to be done before.
    Waiting,
    /// Its tasks are being found.
    Planning,
    /// Its tasks run.
    Running,
    /// Its tasks are done; its output is to be marked once the ResourceManager is heard.
    Complete,
    /// Its output is being marked.
    Committing,
    Done,
    /// Its job ended before it.
    Abandoned,
}

/// One stage.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) key: StageKey,
    pub(crate) phase: Phase,
    /// Stages that wait for this one.
    pub(crate) followers: Vec<StageIx>,
    /// How many stages it still waits for.
    pub(crate) waits_for: u32,
    /// Stages whose partitions precede those of this one, and those whose partitions follow.
    pub(crate) with: Vec<StageIx>,
    pub(crate) with_followers: Vec<StageIx>,
    /// All of its tasks start together or none.
    pub(crate) gang: bool,
    /// Its results stay on the executors that made them.
    pub(crate) keeps_output: bool,
    /// Attempts of the stage that a failure ended, in a row.
    pub(crate) failed_attempts: u32,
    pub(crate) tasks: Option<TaskSet>,
    /// Slots of each task.
    pub(crate) cores: u32,
    /// What each task needs besides slots.
    pub(crate) needs: Amounts,
    pub(crate) max_failures: u32,
    pub(crate) times: StageTimes,
    pub(crate) totals: TaskMetrics,
    /// What the attempts have counted that made its results.
    pub(crate) counters: Counters,
    /// When the last copy was begun because of what a task had reported about its progress.
    pub(crate) copied_at: Option<Duration>,
    /// How near its attempts were to what they read.
    pub(crate) placed: LocalityCounts,
    /// How far the current round of offers has come with it.
    pub(crate) sweep: Sweep,
}

/// What several attempts have counted together, by group and name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters(pub(crate) BTreeMap<(String, String), i64>);

impl Counters {
    /// Adds what an attempt has counted; more names than [`MOST_STAGE_COUNTERS`] are not kept.
    pub(crate) fn add(&mut self, counters: &[Counter]) {
        for counter in counters {
            let key = (counter.group.clone(), counter.name.clone());
            if self.0.len() < MOST_STAGE_COUNTERS || self.0.contains_key(&key) {
                let total = self.0.entry(key).or_insert(0);
                *total = total.saturating_add(counter.value);
            }
        }
    }
}

/// When a stage came to each phase.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StageTimes {
    pub(crate) submitted: Option<Duration>,
    pub(crate) first_launch: Option<Duration>,
    pub(crate) completed: Option<Duration>,
}

impl Stage {
    fn new(index: StageIx, plan: &StagePlan, default_failures: u32) -> Self {
        Self {
            key: StageKey {
                job: plan.scheduling.job,
                stage: index.number(),
                stage_attempt: 0,
            },
            phase: Phase::Waiting,
            followers: Vec::new(),
            waits_for: 0,
            with: plan
                .scheduling
                .with
                .iter()
                .map(|&before| StageIx::from_number(before))
                .collect(),
            with_followers: Vec::new(),
            gang: plan.scheduling.gang,
            keeps_output: plan.scheduling.keeps_output,
            failed_attempts: 0,
            tasks: None,
            cores: plan.cores.max(1),
            needs: plan.needs(),
            max_failures: plan.max_failures.unwrap_or(default_failures).max(1),
            times: StageTimes::default(),
            totals: TaskMetrics::default(),
            counters: Counters::default(),
            copied_at: None,
            placed: LocalityCounts::default(),
            sweep: Sweep::new(),
        }
    }

    /// Whether its tasks may be launched.
    pub(crate) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Whether the result of a task of one of its attempts is of use: all but gangs keep what earlier ones made.
    pub(crate) fn accepts(&self, stage_attempt: u32) -> bool {
        if self.gang {
            stage_attempt == self.key.stage_attempt
        } else {
            stage_attempt <= self.key.stage_attempt
        }
    }

    /// Whether its shell may have made something for it that is not final.
    pub(crate) fn is_begun(&self) -> bool {
        matches!(
            self.phase,
            Phase::Planning | Phase::Running | Phase::Complete | Phase::Committing
        )
    }

    pub(crate) fn add_metrics(&mut self, metrics: &TaskMetrics) {
        let totals = &mut self.totals;
        totals.wall += metrics.wall;
        totals.cpu_user += metrics.cpu_user;
        totals.cpu_system += metrics.cpu_system;
        totals.peak_resident = totals.peak_resident.max(metrics.peak_resident);
        totals.input_bytes = totals.input_bytes.saturating_add(metrics.input_bytes);
        totals.output_bytes = totals.output_bytes.saturating_add(metrics.output_bytes);
        totals.stderr_bytes = totals.stderr_bytes.saturating_add(metrics.stderr_bytes);
    }

    /// Whether it is known which tasks it has.
    pub(crate) fn is_planned(&self) -> bool {
        self.tasks.is_some()
    }

    /// Its finished tasks, and all of them as far as they are known.
    pub(crate) fn progress(&self, source: &TaskSource) -> (u64, u64) {
        let Some(tasks) = &self.tasks else {
            return (0, source.known_tasks());
        };
        (u64::from(tasks.done()), u64::from(tasks.total()))
    }
}

/// The stages of a plan without problems, each knowing who waits for it.
pub(crate) fn of_plan(plan: &AppPlan) -> Vec<Stage> {
    let failures = plan.settings.task_max_failures;
    let numbered = (0..).map(StageIx::from_number).zip(&plan.stages);
    let mut stages: Vec<_> = numbered
        .map(|(index, stage)| Stage::new(index, stage, failures))
        .collect();
    for (index, stage) in (0..).map(StageIx::from_number).zip(&plan.stages) {
        for &before in &stage.after {
            stages[before as usize].followers.push(index);
            stages[index.number() as usize].waits_for += 1;
        }
        for &before in &stage.scheduling.with {
            stages[before as usize].with_followers.push(index);
        }
    }
    stages
}
