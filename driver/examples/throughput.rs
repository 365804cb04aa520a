//! How fast the driver core is and how much memory a task costs, with no-op tasks that always succeed.
//!
//! Prints one line of JSON a combination of tasks and executors. A transition is a launch, a start or a success.
//! Memory is what the process's allocator holds for the driver, measured by a counting allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use driver::core::Driver;
use driver::event::{Effect, Event, Registration, TaskInput};
use driver::plan::{AppPlan, BodyPlan, ExecutorPlan, FeedPlan, Settings, StagePlan, TaskSource, VERSION};
use driver::policy::{JobPlan, PoolMode, PoolPlan, Scheduling, StageScheduling};
use wire::id::{BootNonce, ExecutorId, StageKey, TaskAttemptId};
use wire::message::TaskReport;
use wire::task::TaskMetrics;

/// Counts the bytes that are allocated.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe by nature; this one only counts"
)]
// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What is measured.
struct Case {
    order: &'static str,
    mode: PoolMode,
    stages: u32,
    tasks: u32,
    executors: u32,
}

fn main() {
    let case = |tasks, executors| Case {
        order: "fifo",
        mode: PoolMode::Fifo,
        stages: 1,
        tasks,
        executors,
    };
    for tasks in [10_000, 100_000, 1_000_000] {
        for executors in [10, 100, 1_000, 10_000] {
            measure(&case(tasks, executors));
        }
    }
    for (order, mode) in [("fifo", PoolMode::Fifo), ("fair", PoolMode::Fair)] {
        measure(&Case {
            order,
            mode,
            stages: 1_000,
            tasks: 1_000_000,
            executors: 100,
        });
    }
}

fn measure(case: &Case) {
    let (mut run, pending) = Run::new(case);
    let before = HELD.load(Ordering::Relaxed) - pending;
    run.register(0..1);
    #[expect(
        clippy::disallowed_methods,
        reason = "a benchmark measures time; the core does not"
    )]
    let start = std::time::Instant::now();
    let transitions = run.run_all();
    let took = start.elapsed();
    run.effects = Vec::new();
    run.running = Vec::new();
    let done = HELD.load(Ordering::Relaxed).saturating_sub(before);
    let tasks = case.tasks as usize;
    println!(
        "{{\"order\":\"{}\",\"stages\":{},\"tasks\":{tasks},\"executors\":{},\"transitions\":{transitions},\
         \"seconds\":{:.3},\"transitions_per_second\":{:.0},\"bytes_per_pending_task\":{},\"bytes_per_finished_task\":{}}}",
        case.order,
        case.stages,
        case.executors,
        took.as_secs_f64(),
        f64::from(transitions) / took.as_secs_f64(),
        pending / tasks,
        done / tasks,
    );
}

/// A driver and the executors that do nothing, successfully.
struct Run {
    driver: Driver,
    effects: Vec<Effect>,
    running: Vec<(ExecutorId, TaskAttemptId)>,
    now: Duration,
}

impl Run {
    /// A started run whose tasks are all pending for want of one executor, and the bytes that they take.
    fn new(case: &Case) -> (Self, usize) {
        let mut run = Self {
            driver: Driver::new(plan(case)),
            effects: Vec::new(),
            running: Vec::new(),
            now: Duration::ZERO,
        };
        run.send(Event::Started);
        run.register(1..case.executors);
        let executors = HELD.load(Ordering::Relaxed);
        for stage in 0..case.stages {
            let key = StageKey {
                job: if case.mode == PoolMode::Fair { stage } else { 0 },
                stage,
                stage_attempt: 0,
            };
            let tasks = vec![TaskInput::default(); (case.tasks / case.stages) as usize];
            run.send(Event::StagePlanned {
                stage: key,
                tasks: Ok(tasks),
            });
        }
        run.effects = Vec::new();
        (run, HELD.load(Ordering::Relaxed).saturating_sub(executors))
    }

    fn register(&mut self, executors: std::ops::Range<u32>) {
        for number in executors {
            let name = format!("container_e17_1410901177871_0001_01_{number:06}");
            self.send(Event::ExecutorRegistered(Registration {
                executor: name.parse().expect("a container id is an executor id"),
                boot: BootNonce(1),
                host: format!("host-{}", number % 1_000),
                slots: 4,
                running: Vec::new(),
            }));
        }
    }

    fn send(&mut self, event: Event) {
        self.now += Duration::from_nanos(100);
        self.driver.handle(self.now, event, &mut self.effects);
    }

    /// Runs every task; the number of transitions that took.
    fn run_all(&mut self) -> u32 {
        let mut transitions = 0;
        while !self.driver.is_finished() {
            self.collect_launches();
            for (executor, id) in std::mem::take(&mut self.running) {
                transitions += 3;
                self.send(Event::TaskStarted {
                    executor: executor.clone(),
                    id,
                });
                self.send(Event::TaskFinished {
                    executor,
                    report: report(id),
                });
            }
        }
        transitions
    }

    fn collect_launches(&mut self) {
        for effect in self.effects.drain(..) {
            if let Effect::Launch { executor, tasks, .. } = effect {
                let launched = tasks.into_iter().map(|task| (executor.clone(), task.id));
                self.running.extend(launched);
            }
        }
    }
}

fn report(id: TaskAttemptId) -> Box<TaskReport> {
    Box::new(TaskReport {
        sequence: 1,
        id,
        metrics: TaskMetrics::default(),
        outcome: Ok(()),
        result: None,
        counters: Vec::new(),
    })
}

fn plan(case: &Case) -> AppPlan {
    let fair = case.mode == PoolMode::Fair;
    let job = |number| JobPlan {
        name: format!("job-{number}"),
        pool: Some(format!("pool-{}", number % 10)),
        after: Vec::new(),
    };
    let pool = |number: u32| PoolPlan {
        name: format!("pool-{number}"),
        mode: PoolMode::Fair,
        weight: number + 1,
        ..PoolPlan::default()
    };
    AppPlan {
        version: VERSION,
        name: "throughput".to_owned(),
        executors: ExecutorPlan {
            instances: case.executors,
            memory_mib: 512,
            cores: 4,
            resources: BTreeMap::new(),
            shares_memory: true,
        },
        env: BTreeMap::new(),
        files: Vec::new(),
        stages: (0..case.stages).map(|number| stage(case, number)).collect(),
        settings: Settings {
            min_registered_ratio: 1.0,
            ..Settings::default()
        },
        scheduling: Scheduling {
            mode: case.mode,
            jobs: if fair {
                (0..case.stages).map(job).collect()
            } else {
                Vec::new()
            },
            pools: if fair {
                (0..10).map(pool).collect()
            } else {
                Vec::new()
            },
            ..Scheduling::default()
        },
    }
}

fn stage(case: &Case, number: u32) -> StagePlan {
    StagePlan {
        name: format!("stage-{number}"),
        after: Vec::new(),
        source: TaskSource::Tasks(case.tasks / case.stages),
        body: BodyPlan::Command(vec!["true".to_owned()]),
        env: BTreeMap::new(),
        feed: FeedPlan::None,
        output: None,
        cores: 1,
        memory_mib: None,
        resources: BTreeMap::new(),
        timeout: None,
        max_failures: None,
        scheduling: StageScheduling {
            job: if case.mode == PoolMode::Fair { number } else { 0 },
            ..StageScheduling::default()
        },
    }
}
