//! Random applications: what is to be run, on which cluster, and how kind the world is to it.

use std::collections::BTreeMap;
use std::time::Duration;

use driver::plan::{
    AppPlan, BodyPlan, ExecutorPlan, FeedPlan, OutputPlan, Settings, StagePlan, TaskSource, VERSION,
};
use driver::policy::{
    ElasticPlan, ExclusionPlan, JobPlan, Placement, PoolMode, PoolPlan, PrefetchPlan, Scheduling,
    SpeculationPlan, StageScheduling,
};

use wire::id::TaskAttemptId;

use crate::dice::Dice;

/// A node of the modelled cluster.
#[derive(Debug, Clone)]
pub(crate) struct NodePlan {
    pub(crate) host: String,
    pub(crate) rack: String,
    /// Executors that fit.
    pub(crate) room: u32,
    /// How many times slower than others.
    pub(crate) slow: u32,
}

/// All that is random about a run from its beginning.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) plan: AppPlan,
    pub(crate) nodes: Vec<NodePlan>,
    /// Whether asks name nodes with their port.
    pub(crate) include_port: bool,
    /// Faults that will be injected.
    pub(crate) faults: u32,
    /// Containers that others take away, one every few seconds: as many as make whatever is bounded reach its bound.
    pub(crate) taken: u32,
    /// Tasks (stage, partition) that fail whenever they run.
    pub(crate) poisoned: Option<(u32, u32)>,
    /// A task (stage, partition) that ends its executor whenever it runs, before anybody knows that it has begun.
    pub(crate) deadly: Option<(u32, u32)>,
    /// The longest that a task usually runs, in milliseconds.
    pub(crate) longest_task: u32,
}

impl Scenario {
    /// Whether a deadly task is found before others are blamed for what it did: whoever ran beside it is blamed at most
    /// twice, as nothing else goes wrong. Not so in gangs, which are not kept apart.
    pub(crate) fn blames_whom_it_should(&self) -> bool {
        let settings = &self.plan.settings;
        let executors = settings.executor_max_failures.is_none_or(|most| most > 2);
        let gang = |(stage, _): (u32, u32)| self.plan.stages[stage as usize].scheduling.gang;
        self.faults == 0 && !self.deadly.is_some_and(gang) && settings.task_max_failures > 2 && executors
    }

    pub(crate) fn of(dice: &mut Dice) -> Self {
        let mut nodes = nodes(dice);
        let plan = plan(dice, &nodes);
        let stages = u32::try_from(plan.stages.len()).unwrap_or(0);
        let stage = dice.below(stages);
        let tasks = u32::try_from(plan.stages[stage as usize].source.known_tasks()).unwrap_or(0);
        let poisoned = (tasks > 0 && dice.percent(5)).then(|| (stage, dice.below(tasks)));
        let deadly = (tasks > 0 && poisoned.is_none() && dice.percent(4)).then(|| (stage, dice.below(tasks)));
        let stormy = dice.below(300) == 0;
        if stormy {
            // Long tasks on a slow node would not be done in a day.
            nodes.iter_mut().for_each(|node| node.slow = 1);
        }
        let usual = if dice.percent(50) { 900 } else { 20_000 };
        Self {
            plan,
            nodes,
            include_port: dice.percent(30),
            faults: if dice.percent(15) { 0 } else { dice.between(1, 14) },
            poisoned: poisoned.filter(|_| !stormy),
            deadly: deadly.filter(|_| !stormy),
            taken: if stormy { 400 } else { 0 },
            longest_task: if stormy { 300_000 } else { usual },
        }
    }
}

fn nodes(dice: &mut Dice) -> Vec<NodePlan> {
    let racks = dice.between(1, 2);
    let count = dice.between(1, 5);
    let node = |number: u32, dice: &mut Dice| NodePlan {
        host: format!("h{number}"),
        rack: format!("/r{}", number % racks),
        room: dice.between(1, 5),
        slow: if dice.percent(10) { 8 } else { 1 },
    };
    (0..count).map(|number| node(number, dice)).collect()
}

fn plan(dice: &mut Dice, nodes: &[NodePlan]) -> AppPlan {
    let room: u32 = nodes.iter().map(|node| node.room).sum();
    let instances = dice.between(1, room.min(6));
    let cores = dice.between(1, 3);
    let scheduling = scheduling(dice, instances);
    let most = scheduling.elastic.map_or(instances, |elastic| elastic.max);
    let jobs = u32::try_from(scheduling.jobs.len()).unwrap_or(1).max(1);
    let mut stages: Vec<StagePlan> = Vec::new();
    for number in 0..dice.between(1, 6) {
        let made = stage(dice, number, &stages, (cores, most), jobs);
        stages.push(made);
    }
    AppPlan {
        version: VERSION,
        name: "simulated".to_owned(),
        executors: ExecutorPlan {
            instances,
            memory_mib: MEMORY_MIB,
            cores,
            resources: BTreeMap::from([(DEVICE.to_owned(), DEVICES)]),
            shares_memory: true,
        },
        env: [].into(),
        files: Vec::new(),
        stages,
        settings: settings(dice),
        scheduling,
    }
}

/// Whether one executor has room for all these attempts at once.
pub(crate) fn fits_together<'a>(
    plan: &AppPlan,
    attempts: impl IntoIterator<Item = &'a TaskAttemptId>,
) -> bool {
    let (mut slots, mut spare) = (plan.executors.cores, plan.executors.amounts());
    attempts.into_iter().all(|id| {
        let stage = &plan.stages[id.stage.stage as usize];
        let room = stage.cores <= slots && spare.holds(&stage.needs());
        slots = slots.saturating_sub(stage.cores);
        spare.take(&stage.needs());
        room
    })
}

fn settings(dice: &mut Dice) -> Settings {
    Settings {
        task_max_failures: dice.between(1, 4),
        stage_max_attempts: dice.between(2, 4),
        executor_max_failures: dice.percent(30).then(|| dice.between(1, 5)),
        min_registered_ratio: f64::from(dice.between(0, 10)) / 10.0,
        ..Settings::default()
    }
}

fn scheduling(dice: &mut Dice, instances: u32) -> Scheduling {
    let pools = if dice.percent(40) { pools(dice) } else { Vec::new() };
    let pool = |dice: &mut Dice| Some(dice.pick(&pools)?.name.clone());
    let jobs = (0..dice.between(1, 3)).map(|number| JobPlan {
        name: format!("job-{number}"),
        pool: pool(dice),
        after: (0..number).filter(|_| dice.percent(20)).collect(),
    });
    let jobs = jobs.collect();
    Scheduling {
        mode: if dice.percent(50) {
            PoolMode::Fair
        } else {
            PoolMode::Fifo
        },
        jobs,
        pools,
        placement: if dice.percent(50) {
            Placement::Pack
        } else {
            Placement::Spread
        },
        exclusion: ExclusionPlan {
            enabled: dice.percent(70),
            timeout: dice.seconds(30, 600),
            ..ExclusionPlan::default()
        },
        speculation: SpeculationPlan {
            enabled: dice.percent(30),
            quantile: 0.3,
            multiplier: 1.5,
            ..SpeculationPlan::default()
        },
        prefetch: PrefetchPlan {
            horizon: if dice.percent(40) {
                Duration::ZERO
            } else {
                dice.millis(100, 20_000)
            },
            reserve: if dice.percent(40) {
                Duration::ZERO
            } else {
                dice.millis(100, 20_000)
            },
        },
        elastic: dice.percent(30).then(|| elastic(dice, instances)),
        ..Scheduling::default()
    }
}

fn elastic(dice: &mut Dice, instances: u32) -> ElasticPlan {
    ElasticPlan {
        min: dice.between(0, instances),
        max: instances,
        idle_timeout: dice.seconds(1, 60),
        backlog_timeout: Duration::from_secs(1),
    }
}

fn pools(dice: &mut Dice) -> Vec<PoolPlan> {
    let names = ["a", "b", "c"];
    let pool = |(number, name): (usize, &&str), dice: &mut Dice| PoolPlan {
        name: (*name).to_owned(),
        parent: (number == 2).then(|| "a".to_owned()),
        mode: if dice.percent(50) {
            PoolMode::Fair
        } else {
            PoolMode::Fifo
        },
        weight: dice.between(1, 3),
        min_share: dice.below(2),
    };
    names.iter().enumerate().map(|entry| pool(entry, dice)).collect()
}

/// Memory of an executor.
const MEMORY_MIB: u64 = 1024;
/// What an executor has besides.
const DEVICE: &str = "sim.io/device";
const DEVICES: u64 = 2;

/// One more stage after those there are; it fits on `(cores, executors)`.
fn stage(
    dice: &mut Dice,
    number: u32,
    earlier: &[StagePlan],
    (cores, executors): (u32, u32),
    jobs: u32,
) -> StagePlan {
    let job = dice.below(jobs);
    let before: Vec<u32> = (0..)
        .zip(earlier)
        .filter(|(_, stage)| stage.scheduling.job == job)
        .map(|(index, _)| index)
        .collect();
    let tasks_before = |index: u32| earlier[index as usize].source.known_tasks();
    let with = dice.pick(&before).copied().filter(|_| dice.percent(25));
    let with = with.filter(|&index| !earlier[index as usize].scheduling.gang);
    let after = before
        .into_iter()
        .filter(|&index| Some(index) != with && dice.percent(35));
    let after: Vec<_> = after.collect();
    let width = dice.between(1, cores);
    let tasks = match with {
        Some(index) => u32::try_from(tasks_before(index)).unwrap_or(0),
        None if dice.percent(5) => 0,
        None if dice.percent(10) => dice.between(20, 60),
        None => dice.between(1, 10),
    };
    let devices = if dice.percent(15) { dice.below(3) } else { 0 };
    let memory = dice
        .percent(15)
        .then(|| u64::from(dice.between(1, 8)) * MEMORY_MIB / 8);
    let others = memory.map_or(u64::MAX, |memory| MEMORY_MIB / memory);
    let others = others.min(DEVICES.checked_div(devices.into()).unwrap_or(u64::MAX));
    let places = u64::from(executors) * u64::from(cores / width).min(others);
    let gang = with.is_none() && dice.percent(12) && u64::from(tasks) <= places;
    let output = dice.percent(50);
    let keeps = !gang && !output && dice.percent(40);
    StagePlan {
        name: format!("s{number}"),
        after,
        source: TaskSource::Tasks(tasks),
        body: BodyPlan::Shell("true".to_owned()),
        env: [].into(),
        feed: FeedPlan::None,
        output: output.then(|| OutputPlan {
            uri: format!("sim:///out/{number}"),
            overwrite: false,
            directory: false,
        }),
        cores: width,
        memory_mib: memory,
        resources: BTreeMap::from([(DEVICE.to_owned(), devices.into())]),
        timeout: None,
        max_failures: None,
        scheduling: StageScheduling {
            job,
            with: with.into_iter().collect(),
            gang,
            keeps_output: keeps,
            ..StageScheduling::default()
        },
    }
}
