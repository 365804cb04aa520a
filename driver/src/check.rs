//! What makes a plan impossible to run, found before anything is asked of a cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::plan::{AppPlan, Settings, StagePlan, TaskSource, VERSION};
use crate::policy::PoolPlan;

/// A reason why a plan cannot run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanProblem {
    /// Written by another release.
    #[error(
        "the plan has version {found}, this release reads version {VERSION}: submit with the release that runs it"
    )]
    Version {
        /// What the plan says.
        found: u32,
    },
    /// An edge to a stage that there is not.
    #[error("stage {stage} waits for stage number {number}, the plan has no such stage")]
    UnknownStage {
        /// The stage that waits.
        stage: String,
        /// The number it names.
        number: u32,
    },
    /// Stages that wait for each other.
    #[error("these stages wait for each other: {}", .stages.join(", "))]
    Cycle {
        /// Their names.
        stages: Vec<String>,
    },
    /// Tasks that fit on no executor.
    #[error(
        "each task of stage {stage} takes {wanted} cores, an executor has {offered}: lower the stage's `cores` or raise those of `executors`"
    )]
    TooManyCores {
        /// The stage.
        stage: String,
        /// Slots a task takes.
        wanted: u32,
        /// Slots an executor has.
        offered: u32,
    },
    /// Tasks that need more memory than an executor has.
    #[error(
        "each task of stage {stage} may use {wanted} MiB, an executor has {offered} MiB: lower the stage's `memory` or raise that of `executors`"
    )]
    TooMuchMemory {
        /// The stage.
        stage: String,
        /// What a task may use.
        wanted: u64,
        /// What an executor has.
        offered: u64,
    },
    /// Tasks that need more of another resource than an executor has.
    #[error(
        "each task of stage {stage} takes {wanted} of {resource}, an executor has {offered}: lower it in the stage's `resources` or raise it in those of `executors`"
    )]
    TooMuchOfResource {
        /// The stage.
        stage: String,
        /// The name of the resource.
        resource: String,
        /// What a task takes.
        wanted: u64,
        /// What an executor has.
        offered: u64,
    },
    /// Tasks, and never an executor.
    #[error("no executors are asked for: set `instances` of `executors` to at least 1")]
    NoExecutors,
    /// A stage of a job that there is not.
    #[error("stage {stage} belongs to job number {number}, the plan has {jobs}")]
    UnknownJob {
        /// The stage.
        stage: String,
        /// The job it names.
        number: u32,
        /// How many there are.
        jobs: usize,
    },
    /// An edge between jobs.
    #[error("stage {stage} waits for stage {before} of another job: edges stay within one job")]
    EdgeBetweenJobs {
        /// The stage that waits.
        stage: String,
        /// What it waits for.
        before: String,
    },
    /// A one-to-one edge between stages of different size.
    #[error(
        "stage {stage} has {tasks} tasks and goes `with` stage {before}, which has {others}: both need the same number"
    )]
    UnequalEdge {
        /// The stage whose tasks wait.
        stage: String,
        /// How many it has.
        tasks: u64,
        /// The stage they wait for.
        before: String,
        /// How many that one has.
        others: u64,
    },
    /// A job that comes after one that there is not.
    #[error("job {job} comes after job number {number}, the plan has {jobs}")]
    UnknownJobBefore {
        /// The job that waits.
        job: String,
        /// The number it names.
        number: u32,
        /// How many there are.
        jobs: usize,
    },
    /// Jobs that wait for each other.
    #[error("these jobs wait for each other: {}", .jobs.join(", "))]
    JobCycle {
        /// Their names.
        jobs: Vec<String>,
    },
    /// A pool that there is not.
    #[error("{user} uses pool {pool}, which is not among `pools`")]
    UnknownPool {
        /// What uses it.
        user: PoolUser,
        /// The name.
        pool: String,
    },
    /// Two pools of one name.
    #[error("there are two pools named {pool}")]
    PoolTwice {
        /// The name.
        pool: String,
    },
    /// Pools inside each other.
    #[error("pool {pool} is inside itself")]
    PoolCycle {
        /// One of them.
        pool: String,
    },
    /// Guaranteed slots that will never be there.
    #[error(
        "pool {pool} has a min-share of {wanted}, all executors together have {offered} slots: lower it, or ask for more executors"
    )]
    MinShareTooLarge {
        /// The pool.
        pool: String,
        /// Its min-share.
        wanted: u64,
        /// All slots.
        offered: u64,
    },
    /// A gang that will never start.
    #[error(
        "stage {stage} is a gang of {wanted} tasks, all executors together have room for {offered}: a gang starts whole or not at all"
    )]
    GangTooLarge {
        /// The stage.
        stage: String,
        /// Its tasks.
        wanted: u64,
        /// How many of them fit on all executors.
        offered: u64,
    },
    /// Results that would have to be in two places, or lost as a whole.
    #[error("stage {stage} keeps its result on executors: it can neither have an `output` nor be a gang")]
    KeptOutput {
        /// The stage.
        stage: String,
    },
    /// Every executor would be under suspicion, or given up before it is.
    #[error(
        "executor.heartbeat.interval is {interval:?}, .suspect {suspect:?} and .dead {dead:?}: the first must be below the second, and that not above the third"
    )]
    HeartbeatOrder {
        /// From one sign of life to the next.
        interval: Duration,
        /// Silence that makes an executor suspect.
        suspect: Duration,
        /// Silence after which it is given up.
        dead: Duration,
    },
    /// Bounds that exclude each other.
    #[error("executors: min {min} is above max {max}")]
    ElasticBounds {
        /// The lower bound.
        min: u32,
        /// The upper bound.
        max: u32,
    },
}

/// What is in a pool, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolUser {
    /// A stage.
    Stage(String),
    /// A job.
    Job(String),
    /// A pool.
    Pool(String),
}

impl fmt::Display for PoolUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage(name) => write!(f, "stage {name}"),
            Self::Job(name) => write!(f, "job {name}"),
            Self::Pool(name) => write!(f, "pool {name}"),
        }
    }
}

impl PlanProblem {
    /// The stage that it is about, by name.
    #[must_use]
    pub fn stage(&self) -> Option<&str> {
        match self {
            Self::UnknownStage { stage, .. }
            | Self::TooManyCores { stage, .. }
            | Self::TooMuchMemory { stage, .. }
            | Self::TooMuchOfResource { stage, .. }
            | Self::UnknownJob { stage, .. }
            | Self::EdgeBetweenJobs { stage, .. }
            | Self::UnequalEdge { stage, .. }
            | Self::GangTooLarge { stage, .. }
            | Self::KeptOutput { stage } => Some(stage),
            Self::Cycle { stages } => stages.first().map(String::as_str),
            Self::Version { .. }
            | Self::NoExecutors
            | Self::UnknownJobBefore { .. }
            | Self::JobCycle { .. }
            | Self::UnknownPool { .. }
            | Self::PoolTwice { .. }
            | Self::PoolCycle { .. }
            | Self::MinShareTooLarge { .. }
            | Self::HeartbeatOrder { .. }
            | Self::ElasticBounds { .. } => None,
        }
    }
}

impl PlanProblem {
    /// Whether it depends on how many executors there are and how large they are.
    #[must_use]
    pub fn is_about_size(&self) -> bool {
        matches!(
            self,
            Self::TooManyCores { .. }
                | Self::TooMuchMemory { .. }
                | Self::TooMuchOfResource { .. }
                | Self::NoExecutors
                | Self::MinShareTooLarge { .. }
                | Self::GangTooLarge { .. }
                | Self::ElasticBounds { .. }
        )
    }

    /// The pool that it is about, by name, if that one is defined in the plan.
    #[must_use]
    pub fn pool(&self) -> Option<&str> {
        match self {
            Self::PoolTwice { pool } | Self::PoolCycle { pool } | Self::MinShareTooLarge { pool, .. } => {
                Some(pool)
            }
            _ => None,
        }
    }
}

impl AppPlan {
    /// Everything that makes the plan impossible to run; empty when it can.
    #[must_use]
    pub fn problems(&self) -> Vec<PlanProblem> {
        if self.version != VERSION {
            return vec![PlanProblem::Version { found: self.version }];
        }
        let mut problems = Vec::new();
        check_executors(self, &mut problems);
        for stage in &self.stages {
            check_edges(self, stage, &mut problems);
            check_size(self, stage, &mut problems);
            check_job(self, stage, &mut problems);
        }
        check_pools(self, &mut problems);
        check_job_order(self, &mut problems);
        problems.extend(find_cycle(self));
        problems
    }

    /// Times of heartbeats that do not fit each other. Only a new plan is refused for them: such plans have been
    /// accepted before, and run.
    #[must_use]
    pub fn heartbeat_problem(&self) -> Option<PlanProblem> {
        let Settings {
            heartbeat_interval: interval,
            heartbeat_suspect: suspect,
            heartbeat_dead: dead,
            ..
        } = self.settings;
        (interval >= suspect || suspect > dead).then_some(PlanProblem::HeartbeatOrder {
            interval,
            suspect,
            dead,
        })
    }

    /// One-to-one edges between stages whose sizes are known and differ. Only a new plan is refused for them: of one that
    /// runs just the job fails that has such an edge, once its tasks are planned.
    #[must_use]
    pub fn unequal_edges(&self) -> Vec<PlanProblem> {
        let edges = self.stages.iter().flat_map(|stage| {
            let before = stage.scheduling.with.iter();
            before.map(move |&number| (stage, number))
        });
        let unequal = |(stage, number): (&StagePlan, u32)| {
            let before = self.stages.get(number as usize)?;
            let (tasks, others) = (stage.source.known_tasks(), before.source.known_tasks());
            (tasks != others && tasks > 0 && others > 0).then(|| PlanProblem::UnequalEdge {
                stage: stage.name.clone(),
                tasks,
                before: before.name.clone(),
                others,
            })
        };
        edges.filter_map(unequal).collect()
    }

    /// The most executors that the plan will ever hold.
    pub(crate) fn most_executors(&self) -> u32 {
        self.scheduling
            .elastic
            .map_or(self.executors.instances, |elastic| elastic.max)
    }

    /// Whether a gang of so many tasks can never start.
    pub(crate) fn gang_too_large(&self, stage: &StagePlan, tasks: u64) -> Option<PlanProblem> {
        let offered = u64::from(self.most_executors()) * u64::from(self.executors.places(stage));
        (tasks > offered).then(|| PlanProblem::GangTooLarge {
            stage: stage.name.clone(),
            wanted: tasks,
            offered,
        })
    }

    fn all_slots(&self) -> u64 {
        u64::from(self.most_executors()) * u64::from(self.executors.cores)
    }
}

fn check_executors(plan: &AppPlan, problems: &mut Vec<PlanProblem>) {
    if let Some(elastic) = plan
        .scheduling
        .elastic
        .filter(|elastic| elastic.min > elastic.max)
    {
        let (min, max) = (elastic.min, elastic.max);
        problems.push(PlanProblem::ElasticBounds { min, max });
    }
    if plan.most_executors() == 0 && !plan.stages.is_empty() {
        problems.push(PlanProblem::NoExecutors);
    }
}

fn check_edges(plan: &AppPlan, stage: &StagePlan, problems: &mut Vec<PlanProblem>) {
    for &number in stage.edges() {
        let Some(before) = plan.stages.get(number as usize) else {
            let stage = stage.name.clone();
            problems.push(PlanProblem::UnknownStage { stage, number });
            continue;
        };
        if before.scheduling.job != stage.scheduling.job {
            problems.push(PlanProblem::EdgeBetweenJobs {
                stage: stage.name.clone(),
                before: before.name.clone(),
            });
        }
    }
}

fn check_size(plan: &AppPlan, stage: &StagePlan, problems: &mut Vec<PlanProblem>) {
    let name = || stage.name.clone();
    let (wanted, offered) = (stage.cores, plan.executors.cores);
    if wanted > offered {
        let stage = name();
        problems.push(PlanProblem::TooManyCores {
            stage,
            wanted,
            offered,
        });
    }
    let offered = plan.executors.memory_mib;
    if let Some(wanted) = stage.memory_mib.filter(|&wanted| wanted > offered) {
        let stage = name();
        problems.push(PlanProblem::TooMuchMemory {
            stage,
            wanted,
            offered,
        });
    }
    for (resource, &wanted) in &stage.resources {
        let offered = plan.executors.resources.get(resource).copied().unwrap_or(0);
        if wanted > offered {
            problems.push(PlanProblem::TooMuchOfResource {
                stage: name(),
                resource: resource.clone(),
                wanted,
                offered,
            });
        }
    }
    if stage.scheduling.keeps_output && (stage.output.is_some() || stage.scheduling.gang) {
        problems.push(PlanProblem::KeptOutput { stage: name() });
    }
    if stage.scheduling.gang {
        problems.extend(plan.gang_too_large(stage, stage.source.known_tasks()));
    }
}

fn check_job(plan: &AppPlan, stage: &StagePlan, problems: &mut Vec<PlanProblem>) {
    let jobs = plan.scheduling.jobs.len().max(1);
    let number = stage.scheduling.job;
    if number as usize >= jobs {
        let stage = stage.name.clone();
        problems.push(PlanProblem::UnknownJob { stage, number, jobs });
    }
}

fn check_pools(plan: &AppPlan, problems: &mut Vec<PlanProblem>) {
    let mut pools = BTreeMap::new();
    for pool in &plan.scheduling.pools {
        if pools.insert(pool.name.as_str(), pool).is_some() {
            let pool = pool.name.clone();
            problems.push(PlanProblem::PoolTwice { pool });
        }
    }
    for (user, pool) in pools_used(plan) {
        if !pools.contains_key(pool) {
            let pool = pool.to_owned();
            problems.push(PlanProblem::UnknownPool { user, pool });
        }
    }
    for pool in pools.values() {
        check_pool(plan, pool, &pools, problems);
    }
}

/// Every use of a pool by name.
fn pools_used(plan: &AppPlan) -> Vec<(PoolUser, &str)> {
    let stages = plan
        .stages
        .iter()
        .map(|stage| (PoolUser::Stage(stage.name.clone()), &stage.scheduling.pool));
    let jobs = plan
        .scheduling
        .jobs
        .iter()
        .map(|job| (PoolUser::Job(job.name.clone()), &job.pool));
    let pools = plan
        .scheduling
        .pools
        .iter()
        .map(|pool| (PoolUser::Pool(pool.name.clone()), &pool.parent));
    let all = stages.chain(jobs).chain(pools);
    all.filter_map(|(user, pool)| Some((user, pool.as_deref()?)))
        .collect()
}

fn check_pool(
    plan: &AppPlan,
    pool: &PoolPlan,
    pools: &BTreeMap<&str, &PoolPlan>,
    problems: &mut Vec<PlanProblem>,
) {
    let (wanted, offered) = (u64::from(pool.min_share), plan.all_slots());
    if wanted > offered {
        let pool = pool.name.clone();
        problems.push(PlanProblem::MinShareTooLarge {
            pool,
            wanted,
            offered,
        });
    }
    let mut above = pool.parent.as_deref();
    for _ in 0..pools.len() {
        let Some(parent) = above.and_then(|name| pools.get(name)) else {
            return;
        };
        above = parent.parent.as_deref();
    }
    if above.is_some() {
        let pool = pool.name.clone();
        problems.push(PlanProblem::PoolCycle { pool });
    }
}

/// The stages that can never begin because they wait for each other, or for those that do.
fn find_cycle(plan: &AppPlan) -> Option<PlanProblem> {
    let count = plan.stages.len();
    let known = |stage: &StagePlan| -> Vec<usize> {
        let edges = stage.edges().map(|&edge| edge as usize);
        edges.filter(|&edge| edge < count).collect()
    };
    let waits: Vec<_> = plan.stages.iter().map(known).collect();
    let stages = named(stuck(&waits), |index| plan.stages[index].name.clone());
    (!stages.is_empty()).then_some(PlanProblem::Cycle { stages })
}

fn check_job_order(plan: &AppPlan, problems: &mut Vec<PlanProblem>) {
    let jobs = &plan.scheduling.jobs;
    for job in jobs {
        let unknown = job.after.iter().filter(|&&number| number as usize >= jobs.len());
        problems.extend(unknown.map(|&number| PlanProblem::UnknownJobBefore {
            job: job.name.clone(),
            number,
            jobs: jobs.len(),
        }));
    }
    let known = |after: &[u32]| -> Vec<usize> {
        let all = after.iter().map(|&number| number as usize);
        all.filter(|&number| number < jobs.len()).collect()
    };
    let waits: Vec<_> = jobs.iter().map(|job| known(&job.after)).collect();
    let names = named(stuck(&waits), |index| jobs[index].name.clone());
    if !names.is_empty() {
        problems.push(PlanProblem::JobCycle { jobs: names });
    }
}

fn named(indexes: Vec<usize>, name: impl Fn(usize) -> String) -> Vec<String> {
    indexes.into_iter().map(name).collect()
}

/// Those that can never begin when each waits for the others in its list.
fn stuck(waits_for: &[Vec<usize>]) -> Vec<usize> {
    let count = waits_for.len();
    let mut waits: Vec<_> = waits_for.iter().map(Vec::len).collect();
    let mut followers = vec![Vec::new(); count];
    for (index, befores) in waits_for.iter().enumerate() {
        for &before in befores {
            followers[before].push(index);
        }
    }
    let mut ready: Vec<_> = (0..count).filter(|&index| waits[index] == 0).collect();
    while let Some(index) = ready.pop() {
        for &follower in &followers[index] {
            waits[follower] -= 1;
            ready.extend((waits[follower] == 0).then_some(follower));
        }
    }
    (0..count).filter(|&index| waits[index] > 0).collect()
}

impl StagePlan {
    /// The stages it waits for, in whichever way.
    pub fn edges(&self) -> impl Iterator<Item = &u32> {
        self.after.iter().chain(&self.scheduling.with)
    }
}

impl TaskSource {
    /// How many tasks there are as far as that is known without looking at files.
    #[must_use]
    pub fn known_tasks(&self) -> u64 {
        match self {
            Self::Tasks(tasks) => u64::from(*tasks),
            Self::Items(items) => items.len() as u64,
            Self::Inputs { .. } => 0,
        }
    }
}
