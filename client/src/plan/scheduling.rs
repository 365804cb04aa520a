//! The scheduling part of a plan: pools, edges between partitions, gangs, and the settings that go with them.

use std::time::Duration;

use driver::policy::{
    ElasticPlan, ExclusionPlan, JobPlan, LocalityWaits, Placement, PoolMode, PoolPlan, PrefetchPlan,
    Scheduling, SpeculationPlan, StageScheduling,
};

use crate::job::fields::Placed;
use crate::job::{JobEntry, JobFile, PoolFile, StageFile};
use crate::settings::Resolved;

use super::{allocation, value};

/// Of the whole application.
///
/// # Errors
/// Why the file of pools that a setting names cannot be used.
pub(super) fn of_job(job: &JobFile, settings: &Resolved) -> Result<Scheduling, String> {
    let pools = pools(job, settings)?;
    let named = |pool: &&PoolPlan| pool.name == allocation::DEFAULT;
    let from_file = settings.optional(allocation::SETTING).is_some();
    let default_pool = pools
        .iter()
        .find(named)
        .filter(|_| from_file)
        .map(|pool| pool.name.clone());
    let wait = |level| settings.duration(settings.optional(level).map_or("locality.wait", |_| level));
    Ok(Scheduling {
        mode: mode(settings.text("scheduler.mode") == "fair"),
        pools,
        jobs: jobs(job, default_pool),
        locality: LocalityWaits {
            process: wait("locality.wait.process"),
            node: wait("locality.wait.node"),
            rack: wait("locality.wait.rack"),
        },
        prefetch: PrefetchPlan {
            horizon: settings.duration("scheduler.prefetch"),
            reserve: match settings.text("am.recovery") {
                "on" => settings.duration("am.recovery.reserve"),
                _ => Duration::ZERO,
            },
        },
        placement: match settings.text("scheduler.placement") {
            "pack" => Placement::Pack,
            _ => Placement::Spread,
        },
        exclusion: exclusion(settings),
        speculation: SpeculationPlan {
            enabled: settings.flag("speculation.enabled"),
            interval: settings.duration("speculation.interval"),
            quantile: settings.ratio("speculation.quantile"),
            multiplier: settings.factor("speculation.multiplier"),
            min_runtime: settings.duration("speculation.min-runtime"),
        },
        elastic: elastic(settings),
        // Whether the job is small enough is known once its input was looked at.
        uber: false,
    })
}

/// The pools of the job file, and those of a Spark file of pools that it does not define itself.
fn pools(job: &JobFile, settings: &Resolved) -> Result<Vec<PoolPlan>, String> {
    let mut pools: Vec<_> = job.pools.iter().map(pool).collect();
    if let Some(file) = settings.optional(allocation::SETTING) {
        let more = allocation::read(&job.path, file)?;
        let new = |pool: &PoolPlan| job.pools.iter().all(|own| own.name.value != pool.name);
        pools.extend(more.into_iter().filter(new));
    }
    Ok(pools)
}

/// The jobs of the file; one without a name when it has only stages and nothing is to be said about it.
fn jobs(job: &JobFile, default_pool: Option<String>) -> Vec<JobPlan> {
    let index = |name: &Placed<String>| job.jobs.iter().position(|job| job.name.value == name.value);
    let plan = |entry: &JobEntry| JobPlan {
        name: entry.name.value.clone(),
        pool: value(&entry.pool).or(default_pool.clone()),
        after: entry
            .after
            .iter()
            .filter_map(index)
            .filter_map(|at| u32::try_from(at).ok())
            .collect(),
    };
    if job.jobs.is_empty() && default_pool.is_some() {
        let pool = default_pool;
        return vec![JobPlan {
            pool,
            ..JobPlan::default()
        }];
    }
    job.jobs.iter().map(plan).collect()
}

/// Executors are elastic when a maximum is set.
fn elastic(settings: &Resolved) -> Option<ElasticPlan> {
    settings.optional("executors.max")?;
    Some(ElasticPlan {
        min: settings.count("executors.min"),
        max: settings.count("executors.max"),
        idle_timeout: settings.duration("executors.idle-timeout"),
        backlog_timeout: settings.duration("executors.backlog-timeout"),
    })
}

fn exclusion(settings: &Resolved) -> ExclusionPlan {
    ExclusionPlan {
        enabled: settings.flag("exclude.enabled"),
        timeout: settings.duration("exclude.timeout"),
        task_per_executor: settings.count("exclude.task.per-executor"),
        task_per_node: settings.count("exclude.task.per-node"),
        stage_per_executor: settings.count("exclude.stage.per-executor"),
        stage_per_node: settings.count("exclude.stage.per-node"),
        app_per_executor: settings.count("exclude.application.per-executor"),
        app_per_node: settings.count("exclude.application.per-node"),
    }
}

fn mode(fair: bool) -> PoolMode {
    if fair { PoolMode::Fair } else { PoolMode::Fifo }
}

fn pool(pool: &PoolFile) -> PoolPlan {
    PoolPlan {
        name: pool.name.value.clone(),
        parent: value(&pool.parent),
        mode: mode(value(&pool.fair).unwrap_or(false)),
        weight: value(&pool.weight).unwrap_or(1),
        min_share: value(&pool.min_share).unwrap_or(0),
    }
}

/// Of one stage.
pub(super) fn of_stage(job: &JobFile, stage: &StageFile) -> StageScheduling {
    StageScheduling {
        job: stage.job,
        pool: value(&stage.pool),
        with: super::indexes(job, &stage.with),
        gang: value(&stage.barrier).unwrap_or(false),
        keeps_output: false,
    }
}
