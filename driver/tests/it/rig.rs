//! A driver with short words for what a test does to it.

use std::collections::BTreeMap;
use std::time::Duration;

use driver::core::Driver;
use driver::event::{Effect, Event, Registration, TaskInput, Verdict};
use driver::plan::{
    AppPlan, BodyPlan, ExecutorPlan, FeedPlan, OutputPlan, Settings, StagePlan, TaskSource, VERSION,
};
use driver::policy::{PrefetchPlan, Scheduling, StageScheduling};
use driver::view::{StageView, TaskView};
use wire::failure::{ExecutorLoss, FailureCause, TaskFailure};
use wire::id::{BootNonce, ExecutorId, StageKey, TaskAttemptId};
use wire::message::{RunningTask, TaskReport};
use wire::task::TaskMetrics;

/// The ResourceManager has answered just now.
pub(crate) const HEARD: Event = Event::ResourceManagerHeard { ago: Duration::ZERO };

/// A plan of these stages on this many executors of this many slots, without a gate.
pub(crate) fn plan(instances: u32, cores: u32, stages: Vec<StagePlan>) -> AppPlan {
    AppPlan {
        version: VERSION,
        name: "app".to_owned(),
        executors: ExecutorPlan {
            instances,
            memory_mib: 512,
            cores,
            resources: BTreeMap::new(),
            shares_memory: true,
        },
        env: std::collections::BTreeMap::new(),
        files: Vec::new(),
        stages,
        settings: Settings {
            min_registered_ratio: 0.0,
            ..Settings::default()
        },
        scheduling: Scheduling {
            prefetch: PrefetchPlan::NONE,
            ..Scheduling::default()
        },
    }
}

/// A stage of this many tasks without output.
pub(crate) fn stage(name: &str, tasks: u32) -> StagePlan {
    StagePlan {
        name: name.to_owned(),
        after: Vec::new(),
        source: TaskSource::Tasks(tasks),
        body: BodyPlan::Command(vec!["true".to_owned()]),
        env: std::collections::BTreeMap::new(),
        feed: FeedPlan::None,
        output: None,
        cores: 1,
        memory_mib: None,
        resources: BTreeMap::new(),
        timeout: None,
        max_failures: None,
        scheduling: StageScheduling::default(),
    }
}

pub(crate) fn with_output(mut stage: StagePlan) -> StagePlan {
    stage.output = Some(OutputPlan {
        uri: format!("hdfs:///out/{}", stage.name),
        overwrite: false,
        directory: false,
    });
    stage
}

pub(crate) fn after(mut stage: StagePlan, before: &[u32]) -> StagePlan {
    stage.after = before.to_vec();
    stage
}

pub(crate) fn executor(name: &str) -> ExecutorId {
    name.parse().unwrap()
}

/// Attempt `attempt` of task `partition` of the first attempt of a stage of the first job.
pub(crate) fn id(stage: u32, partition: u32, attempt: u32) -> TaskAttemptId {
    TaskAttemptId {
        stage: key(stage),
        partition,
        attempt,
    }
}

pub(crate) fn key(stage: u32) -> StageKey {
    StageKey {
        job: 0,
        stage,
        stage_attempt: 0,
    }
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A failure that counts.
pub(crate) fn exit(code: i32) -> TaskFailure {
    TaskFailure::new(FailureCause::ExitCode(code))
}

/// A driver and the clock it is told.
pub(crate) struct Rig {
    pub(crate) driver: Driver,
    pub(crate) now: Duration,
    /// Answer requests to plan and commit stages at once.
    pub(crate) obliging: bool,
    pub(crate) verdict: Option<Verdict>,
    /// Preferred nodes by partition, of every stage.
    pub(crate) hosts: Vec<Vec<String>>,
    /// What running tasks say of their progress, by partition.
    pub(crate) progress: BTreeMap<u32, f32>,
}

impl Rig {
    /// A started driver whose ResourceManager was heard.
    pub(crate) fn new(plan: AppPlan) -> Self {
        let mut rig = Self::unstarted(plan);
        rig.send(HEARD);
        rig.send(Event::Started);
        rig
    }

    pub(crate) fn unstarted(plan: AppPlan) -> Self {
        Self {
            driver: Driver::new(plan),
            now: Duration::ZERO,
            obliging: true,
            verdict: None,
            hosts: Vec::new(),
            progress: BTreeMap::new(),
        }
    }

    /// Sends an event and gives what is to be done, having answered what it can.
    pub(crate) fn send(&mut self, event: Event) -> Vec<Effect> {
        let mut all = Vec::new();
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let mut effects = Vec::new();
            self.driver.handle(self.now, event, &mut effects);
            for effect in &effects {
                assert!(self.verdict.is_none(), "an effect after the verdict: {effect:?}");
                events.extend(self.answer(effect));
            }
            all.extend(effects);
        }
        all
    }

    fn answer(&mut self, effect: &Effect) -> Option<Event> {
        match effect {
            Effect::PlanStage { stage } if self.obliging => Some(self.planned(*stage)),
            Effect::CommitStage { stage } if self.obliging => Some(Event::StageCommitted {
                stage: *stage,
                result: Ok(()),
            }),
            Effect::Finish(verdict) => {
                self.verdict = Some(verdict.clone());
                None
            }
            _ => None,
        }
    }

    fn planned(&self, stage: StageKey) -> Event {
        let snapshot = self.driver.snapshot();
        let tasks = snapshot.stages[stage.stage as usize].tasks;
        let input = |partition: u64| TaskInput {
            hosts: self
                .hosts
                .get(usize::try_from(partition).unwrap())
                .cloned()
                .unwrap_or_default(),
            ..TaskInput::default()
        };
        Event::StagePlanned {
            stage,
            tasks: Ok((0..tasks).map(input).collect()),
        }
    }

    /// Later: everybody who is alive sends a heartbeat on the way, once a second.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Effect> {
        let mut effects = Vec::new();
        let end = self.now + time;
        while self.now < end {
            self.now = end.min(self.now + seconds(1));
            for name in self.live() {
                effects.extend(self.beat(&name));
            }
            effects.extend(self.send(Event::DeadlineReached));
        }
        effects
    }

    /// Later, without a sign of life from anybody.
    pub(crate) fn silence(&mut self, time: Duration) -> Vec<Effect> {
        self.now += time;
        self.send(Event::DeadlineReached)
    }

    fn live(&self) -> Vec<String> {
        let executors = self.driver.snapshot().executors;
        let live = executors.iter().filter(|executor| executor.gone.is_none());
        live.map(|executor| executor.id.to_string()).collect()
    }

    /// A heartbeat that says what the driver believes.
    pub(crate) fn beat(&mut self, name: &str) -> Vec<Effect> {
        let mut running = Vec::new();
        for stage in self.driver.snapshot().stages {
            let tasks = self.driver.tasks(stage.key.stage, 0, usize::MAX);
            let here = tasks
                .iter()
                .filter(|task| task.executor.as_ref().is_some_and(|id| id.as_str() == name));
            let here = here.filter(|task| task.took.is_some() && task.progress < 1.0);
            running.extend(here.map(|task| RunningTask {
                id: TaskAttemptId {
                    stage: stage.key,
                    partition: task.partition,
                    attempt: task.attempts - 1,
                },
                resident: 0,
                progress: self.progress.get(&task.partition).copied().unwrap_or(0.0),
                waiting: false,
                status: String::new(),
                counters: Vec::new(),
            }));
        }
        self.send(Event::HeartbeatReceived {
            executor: executor(name),
            running,
        })
    }

    pub(crate) fn register(&mut self, name: &str, slots: u32) -> Vec<Effect> {
        self.register_on(name, slots, &format!("host-of-{name}"))
    }

    pub(crate) fn register_on(&mut self, name: &str, slots: u32, host: &str) -> Vec<Effect> {
        self.register_with(name, slots, host, &[])
    }

    /// An executor registers that runs these attempts or holds their reports.
    pub(crate) fn register_with(
        &mut self,
        name: &str,
        slots: u32,
        host: &str,
        running: &[TaskAttemptId],
    ) -> Vec<Effect> {
        self.send(Event::ExecutorRegistered(Registration {
            executor: executor(name),
            boot: BootNonce(1),
            host: host.to_owned(),
            slots,
            running: running.to_vec(),
        }))
    }

    pub(crate) fn started(&mut self, name: &str, id: TaskAttemptId) -> Vec<Effect> {
        let executor = executor(name);
        self.send(Event::TaskStarted { executor, id })
    }

    pub(crate) fn succeed(&mut self, name: &str, id: TaskAttemptId) -> Vec<Effect> {
        self.finish(name, id, Ok(()))
    }

    pub(crate) fn fail(&mut self, name: &str, id: TaskAttemptId, failure: TaskFailure) -> Vec<Effect> {
        self.finish(name, id, Err(failure))
    }

    fn finish(&mut self, name: &str, id: TaskAttemptId, outcome: Result<(), TaskFailure>) -> Vec<Effect> {
        self.send(Event::TaskFinished {
            executor: executor(name),
            report: Box::new(TaskReport {
                sequence: 1,
                id,
                metrics: TaskMetrics {
                    // As long as the driver saw it run.
                    wall: self.now,
                    ..TaskMetrics::default()
                },
                outcome,
                result: None,
                counters: Vec::new(),
            }),
        })
    }

    pub(crate) fn lose(&mut self, name: &str, loss: ExecutorLoss) -> Vec<Effect> {
        let executor = executor(name);
        self.send(Event::ExecutorLost { executor, loss })
    }

    pub(crate) fn ask_commit(&mut self, name: &str, id: TaskAttemptId) -> Vec<Effect> {
        let executor = executor(name);
        self.send(Event::CommitRequested { executor, id })
    }

    pub(crate) fn stage(&self, stage: u32) -> StageView {
        self.driver.snapshot().stages[stage as usize].clone()
    }

    pub(crate) fn task(&self, stage: u32, partition: u32) -> TaskView {
        self.driver.tasks(stage, partition, 1).remove(0)
    }
}

/// The launches among effects, as executor and attempt.
pub(crate) fn launches(effects: &[Effect]) -> Vec<(String, TaskAttemptId)> {
    let packets = effects.iter().filter_map(|effect| match effect {
        Effect::Launch { executor, tasks, .. } => Some((executor, tasks)),
        _ => None,
    });
    packets
        .flat_map(|(executor, tasks)| tasks.iter().map(|task| (executor.to_string(), task.id)))
        .collect()
}

/// The decisions about commits among effects.
pub(crate) fn decisions(effects: &[Effect]) -> Vec<(TaskAttemptId, bool)> {
    let decisions = effects.iter().filter_map(|effect| match effect {
        Effect::DecideCommit { id, granted, .. } => Some((*id, *granted)),
        _ => None,
    });
    decisions.collect()
}

/// The cancelled attempts among effects.
pub(crate) fn cancels(effects: &[Effect]) -> Vec<TaskAttemptId> {
    let cancels = effects.iter().filter_map(|effect| match effect {
        Effect::Cancel { id, .. } => Some(*id),
        _ => None,
    });
    cancels.collect()
}
