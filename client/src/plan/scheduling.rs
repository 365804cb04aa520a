//! The scheduling part of a plan: pools, edges between partitions, gangs, and the settings that go with them.

use driver::policy::{
    ElasticPlan, ExclusionPlan, LocalityWaits, Placement, PoolMode, PoolPlan, PrefetchPlan, Scheduling,
    SpeculationPlan, StageScheduling,
};

use crate::job::{JobFile, PoolFile, StageFile};
use crate::settings::Resolved;

use super::value;

/// Of the whole application.
pub(super) fn of_job(job: &JobFile, settings: &Resolved) -> Scheduling {
    let wait = settings.duration("locality.wait");
    Scheduling {
        mode: mode(settings.text("scheduler.mode") == "fair"),
        pools: job.pools.iter().map(pool).collect(),
        jobs: Vec::new(),
        locality: LocalityWaits {
            process: wait,
            node: wait,
            rack: wait,
        },
        prefetch: PrefetchPlan {
            horizon: settings.duration("scheduler.prefetch"),
        },
        placement: match settings.text("scheduler.placement") {
            "pack" => Placement::Pack,
            _ => Placement::Spread,
        },
        exclusion: ExclusionPlan {
            enabled: settings.flag("exclude.enabled"),
            timeout: settings.duration("exclude.timeout"),
            ..ExclusionPlan::default()
        },
        speculation: SpeculationPlan {
            enabled: settings.flag("speculation.enabled"),
            quantile: settings.ratio("speculation.quantile"),
            multiplier: settings.factor("speculation.multiplier"),
            ..SpeculationPlan::default()
        },
        elastic: elastic(settings),
    }
}

/// Executors are elastic when a maximum is set.
fn elastic(settings: &Resolved) -> Option<ElasticPlan> {
    settings.optional("executors.max")?;
    Some(ElasticPlan {
        min: settings.count("executors.min"),
        max: settings.count("executors.max"),
        idle_timeout: settings.duration("executors.idle-timeout"),
        ..ElasticPlan::default()
    })
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
        job: 0,
        pool: value(&stage.pool),
        with: super::indexes(job, &stage.with),
        gang: value(&stage.barrier).unwrap_or(false),
        keeps_output: false,
    }
}
