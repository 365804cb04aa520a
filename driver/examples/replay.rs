//! How large a journal of many finished tasks is, and how long its replay takes: `replay [TASKS]`.

#![expect(clippy::disallowed_methods, reason = "a measurement looks at the clock")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use driver::core::Driver;
use driver::event::{Effect, Event, Registration, TaskInput};
use driver::plan::{AppPlan, BodyPlan, ExecutorPlan, FeedPlan, Settings, StagePlan, TaskSource, VERSION};
use driver::policy::{Scheduling, StageScheduling};
use wire::id::{BootNonce, ExecutorId, StageKey, TaskAttemptId};
use wire::message::TaskReport;
use wire::task::TaskMetrics;

const SLOTS: u32 = 400;
const STAGE: StageKey = StageKey {
    job: 0,
    stage: 0,
    stage_attempt: 0,
};

fn main() {
    let tasks = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let tasks: u32 = tasks.unwrap_or(1_000_000);
    let (entries, checkpoint) = record(tasks);
    let bytes: usize = entries.iter().map(Vec::len).sum();
    println!(
        "{tasks} tasks: {} entries, {bytes} bytes, {} a task",
        entries.len(),
        bytes / tasks as usize
    );
    println!(
        "checkpoint: {} bytes, {} a task",
        checkpoint.len(),
        checkpoint.len() / tasks as usize
    );
    let begun = Instant::now();
    let core = Driver::recover(plan(tasks), None, &entries).expect("our own entries");
    println!(
        "replay of all entries: {:?}, {} tasks done",
        begun.elapsed(),
        core.progress().0
    );
    let begun = Instant::now();
    let core = Driver::recover(plan(tasks), Some(&checkpoint), &entries[..0]).expect("our own checkpoint");
    println!(
        "replay of the checkpoint: {:?}, {} tasks done",
        begun.elapsed(),
        core.progress().0
    );
}

/// Runs all tasks on one executor; gives the entries and the checkpoint when all but the last are done.
fn record(tasks: u32) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut driver = Driver::new(plan(tasks));
    driver.keep_journal();
    let executor: ExecutorId = "container_1700000000000_0001_01_000002".parse().expect("an id");
    let mut entries = Vec::new();
    let mut now = Duration::ZERO;
    let mut send = |driver: &mut Driver, event| {
        now += Duration::from_micros(10);
        let mut effects = Vec::new();
        driver.handle(now, event, &mut effects);
        entries.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Record(entry) => Some(entry.bytes),
            _ => None,
        }));
    };
    send(&mut driver, Event::Started);
    let inputs = vec![TaskInput::default(); tasks as usize];
    let planned = Event::StagePlanned {
        stage: STAGE,
        tasks: Ok(inputs),
    };
    send(&mut driver, planned);
    let registration = Registration {
        executor: executor.clone(),
        boot: BootNonce(1),
        host: "node-1".to_owned(),
        slots: SLOTS,
        running: Vec::new(),
    };
    send(&mut driver, Event::ExecutorRegistered(registration));
    for partition in 0..tasks - 1 {
        send(&mut driver, finished(&executor, partition));
    }
    (entries, driver.checkpoint())
}

fn finished(executor: &ExecutorId, partition: u32) -> Event {
    let id = TaskAttemptId {
        stage: STAGE,
        partition,
        attempt: 0,
    };
    let metrics = TaskMetrics {
        wall: Duration::from_millis(1_000 + u64::from(partition % 97)),
        cpu_user: Duration::from_millis(800),
        cpu_system: Duration::from_millis(90),
        peak_resident: 48 << 20,
        input_bytes: 128 << 20,
        output_bytes: 3 << 20,
        stderr_bytes: 0,
    };
    let report = TaskReport {
        sequence: u64::from(partition) + 1,
        id,
        metrics,
        outcome: Ok(()),
        result: None,
        counters: Vec::new(),
    };
    Event::TaskFinished {
        executor: executor.clone(),
        report: Box::new(report),
    }
}

fn plan(tasks: u32) -> AppPlan {
    AppPlan {
        version: VERSION,
        name: "replay".to_owned(),
        executors: ExecutorPlan {
            instances: 1,
            memory_mib: 512,
            cores: SLOTS,
            resources: BTreeMap::new(),
            shares_memory: true,
        },
        env: BTreeMap::new(),
        files: Vec::new(),
        stages: vec![StagePlan {
            name: "all".to_owned(),
            after: Vec::new(),
            source: TaskSource::Tasks(tasks),
            body: BodyPlan::Command(vec!["true".to_owned()]),
            env: BTreeMap::new(),
            feed: FeedPlan::None,
            output: None,
            cores: 1,
            memory_mib: None,
            resources: BTreeMap::new(),
            timeout: None,
            max_failures: None,
            scheduling: StageScheduling::default(),
        }],
        settings: Settings::default(),
        scheduling: Scheduling::default(),
    }
}
