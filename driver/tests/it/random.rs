//! Whole runs in random order: the invariants hold after every step and every run has a verdict.

use std::time::Duration;

use driver::plan::{AppPlan, StagePlan};
use driver::policy::{
    ElasticPlan, ExclusionPlan, JobPlan, Placement, PoolMode, PoolPlan, PrefetchPlan, Scheduling,
    SpeculationPlan, StageScheduling,
};
use proptest::prelude::*;

use crate::rig::{after, plan, stage, with_output};
use crate::world::World;

/// What a stage of a random plan is made of.
#[derive(Debug, Clone)]
struct Traits {
    tasks: u32,
    output: bool,
    after: u8,
    with: u8,
    width: u32,
    job: u32,
    gang: bool,
    keeps: bool,
    /// Of an executor's.
    memory: Option<u64>,
    gpus: u64,
}

/// What an executor has of them.
const GPUS: u64 = 2;

fn any_traits() -> impl Strategy<Value = Traits> {
    let edges = (any::<u8>(), prop_oneof![3 => Just(0u8), 1 => any::<u8>()]);
    let numbers = (prop_oneof![3 => 0u32..7, 1 => 7u32..60], 1u32..3, 0u32..2);
    let special = (prop::bool::weighted(0.15), prop::bool::weighted(0.3));
    let needs = (
        prop::option::weighted(0.2, 1u64..9),
        prop_oneof![4 => Just(0u64), 1 => 1..=GPUS],
    );
    (numbers, any::<bool>(), edges, special, needs).prop_map(
        |((tasks, width, job), output, (after, with), (gang, keeps), (memory, gpus))| Traits {
            tasks,
            output,
            after,
            with,
            width,
            job,
            gang,
            keeps,
            memory,
            gpus,
        },
    )
}

fn any_scheduling() -> impl Strategy<Value = Scheduling> {
    let speculation = prop::bool::ANY.prop_map(|enabled| SpeculationPlan {
        enabled,
        quantile: 0.3,
        multiplier: 1.0,
        ..SpeculationPlan::default()
    });
    let elastic = prop::option::weighted(0.3, (0u32..3, 0u32..3));
    let elastic = elastic.prop_map(|bounds| {
        bounds.map(|(min, more)| ElasticPlan {
            min,
            max: (min + more).max(2),
            ..ElasticPlan::default()
        })
    });
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (switches, speculation, elastic).prop_map(|((fair, pack, exclude, ahead), speculation, elastic)| {
        Scheduling {
            prefetch: PrefetchPlan {
                horizon: Duration::from_secs(if ahead { 30 } else { 0 }),
                reserve: Duration::from_secs(if pack { 20 } else { 0 }),
            },
            mode: if fair { PoolMode::Fair } else { PoolMode::Fifo },
            pools: pools(),
            jobs: vec![job("p"), job("q")],
            placement: if pack { Placement::Pack } else { Placement::Spread },
            speculation,
            elastic,
            exclusion: ExclusionPlan {
                enabled: exclude,
                ..ExclusionPlan::default()
            },
            ..Scheduling::default()
        }
    })
}

fn pools() -> Vec<PoolPlan> {
    let pool = |name: &str, parent: Option<&str>, weight, min_share| PoolPlan {
        name: name.to_owned(),
        parent: parent.map(str::to_owned),
        mode: PoolMode::Fair,
        weight,
        min_share,
    };
    vec![
        pool("p", None, 1, 1),
        pool("q", Some("r"), 3, 0),
        pool("r", None, 2, 0),
    ]
}

fn job(pool: &str) -> JobPlan {
    JobPlan {
        name: format!("job-in-{pool}"),
        pool: Some(pool.to_owned()),
        after: Vec::new(),
    }
}

pub(crate) fn any_plan() -> impl Strategy<Value = AppPlan> {
    let stages = prop::collection::vec(any_traits(), 1..6);
    (1u32..4, 2u32..4, stages, any_scheduling()).prop_map(|(instances, cores, traits, scheduling)| {
        let slots = cores * scheduling.elastic.map_or(instances, |elastic| elastic.max);
        let stages = (0..traits.len()).map(|number| any_stage(number, &traits, cores, slots));
        let mut plan = plan(instances, cores, stages.collect());
        plan.executors.resources.insert("gpu".to_owned(), GPUS);
        plan.settings.min_registered_ratio = 0.8;
        plan.scheduling = scheduling;
        plan
    })
}

fn any_stage(number: usize, traits: &[Traits], cores: u32, slots: u32) -> StagePlan {
    let own = &traits[number];
    let earlier =
        |bits: u8| (0..number).filter(move |&other| bits >> other & 1 == 1 && traits[other].job == own.job);
    let after_edges: Vec<_> = earlier(own.after)
        .map(|other| u32::try_from(other).unwrap())
        .collect();
    let with = earlier(own.with & !own.after)
        .filter(|&other| traits[other].tasks == own.tasks && !traits[other].gang);
    let mut made = after(stage(&format!("s{number}"), own.tasks), &after_edges);
    made.cores = own.width.min(cores);
    made.memory_mib = own.memory.map(|eighths| eighths * 64);
    made.resources.insert("gpu".to_owned(), own.gpus);
    made.scheduling = StageScheduling {
        job: own.job,
        with: with.map(|other| u32::try_from(other).unwrap()).collect(),
        ..StageScheduling::default()
    };
    let others = [own.memory.map(|eighths| 8 / eighths), GPUS.checked_div(own.gpus)];
    let each = others
        .into_iter()
        .flatten()
        .fold(u64::from(cores / made.cores), u64::min);
    let room = slots / cores * u32::try_from(each).unwrap();
    made.scheduling.gang = own.gang && own.tasks <= room && made.scheduling.with.is_empty();
    made.scheduling.keeps_output = own.keeps && !own.output && !made.scheduling.gang;
    if own.output { with_output(made) } else { made }
}

fn run(plan: AppPlan, faults: u32, tape: &[u32]) {
    let mut world = World::new(plan, faults, 3);
    for &choice in tape {
        world.step(choice);
    }
    world.settle();
    world.check_verdict();
}

proptest! {
    #[test]
    fn every_run_without_faults_succeeds(plan in any_plan(), tape in prop::collection::vec(any::<u32>(), 0..200)) {
        run(plan, 0, &tape);
    }

    #[test]
    fn every_run_has_a_verdict_and_the_invariants_hold(
        plan in any_plan(),
        faults in 0u32..12,
        tape in prop::collection::vec(any::<u32>(), 0..600),
    ) {
        run(plan, faults, &tape);
    }
}
