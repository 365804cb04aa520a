//! `/api/v1/drawloom/…`: what Spark has no name for.

use std::time::Duration;

use driver::view::ExecutorView;
use serde_json::{Value, json};

use super::{Scene, page};
use crate::configuration::Entry;
use crate::summary::{ExecutorCounts, ExecutorLine, JobSummary, StageSummary, Summary, TaskCounts};
use launcher::record::Record;

/// Every name that is answered.
#[cfg(test)]
pub(super) const NAMES: [&str; 7] = [
    "summary",
    "executors",
    "launch-timeline",
    "failures",
    "dossiers",
    "pending",
    "configuration",
];

/// The answer to a name; nothing when there is no such name.
pub(super) fn answer(scene: &Scene<'_>, name: &str) -> Option<Value> {
    match name {
        "summary" => serde_json::to_value(summary(scene)).ok(),
        "executors" => serde_json::to_value(executors(scene)).ok(),
        "launch-timeline" => Some(launch_timeline(scene)),
        "failures" => Some(failures(scene)),
        "dossiers" => serde_json::to_value(scene.shelf.iter().collect::<Vec<_>>()).ok(),
        "pending" => Some(pending(scene)),
        "configuration" => serde_json::to_value(configuration(scene)).ok(),
        _ => None,
    }
}

/// How the application is doing.
pub(super) fn summary(scene: &Scene<'_>) -> Summary {
    let snapshot = scene.driver.snapshot();
    let counts = scene.launcher.counts();
    Summary {
        application: scene.environment.application(),
        name: scene.plan.name.clone(),
        attempt: scene.environment.epoch().0,
        build: scene.environment.running_build.clone(),
        protocol: wire::version::PROTOCOL.to_string(),
        state: scene.state().to_owned(),
        executors: ExecutorCounts {
            wanted: counts.target,
            starting: counts.starting + counts.started,
            registered: counts.registered,
            lost: scene.notes.executors_lost(),
        },
        tasks: TaskCounts::of(&snapshot.stages),
        jobs: snapshot
            .jobs
            .iter()
            .map(|job| JobSummary::of(job, &snapshot.stages))
            .collect(),
        stages: snapshot.stages.iter().map(StageSummary::of).collect(),
        failures: scene.notes.iter().cloned().collect(),
    }
}

/// The executors that are there.
fn executors(scene: &Scene<'_>) -> Vec<ExecutorLine> {
    let snapshot = scene.driver.snapshot();
    let present = snapshot.executors.iter().filter(|view| view.gone.is_none());
    let line = |view: &ExecutorView| {
        let vital = scene.vitals.of(&view.id).cloned().unwrap_or_default();
        let silent = scene.now.saturating_sub(view.last_heard);
        ExecutorLine {
            id: view.id.to_string(),
            host: view.host.clone(),
            state: page::executor_words(view.status),
            slots: view.slots,
            used_slots: view.used_slots,
            succeeded: view.succeeded,
            failed: view.failed,
            memory: vital.resident + vital.tasks_resident,
            memory_limit: vital.memory,
            silent_ms: u64::try_from(silent.as_millis()).unwrap_or(u64::MAX),
        }
    };
    present.map(line).collect()
}

/// Every container with the milliseconds since the start of the process at which it reached each phase.
fn launch_timeline(scene: &Scene<'_>) -> Value {
    let records = scene.launcher.history().chain(scene.launcher.records());
    json!({
        "startedUnixMs": scene.unix_ms(Duration::ZERO),
        "containers": records.map(record).collect::<Vec<_>>(),
    })
}

fn record(record: &Record) -> Value {
    let ms = |at: Duration| u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
    let times = &record.times;
    json!({
        "executor": record.executor.as_str(),
        "node": record.node.as_str(),
        "phase": record.phase.word(),
        "askedMs": ms(times.asked),
        "grantedMs": ms(times.granted),
        "startedMs": times.started.map(ms),
        "registeredMs": times.registered.map(ms),
        "endedMs": times.ended.map(ms),
        "exitStatus": record.exit_status,
        "cause": cause(record),
        "detail": record.detail,
    })
}

fn cause(record: &Record) -> Option<String> {
    record.phase.loss().map(|loss| loss.to_string())
}

/// The latest failures with what the driver knows of them.
fn failures(scene: &Scene<'_>) -> Value {
    let snapshot = scene.driver.snapshot();
    let tasks = snapshot.failures.iter().map(|failure| {
        json!({
            "unixMs": scene.unix_ms(failure.at),
            "stage": failure.stage,
            "task": failure.id.partition,
            "attempt": failure.id.attempt,
            "executor": failure.executor.as_str(),
            "host": failure.host,
            "counts": failure.counts,
            "cause": failure.cause,
            "stderrTail": failure.stderr_tail,
        })
    });
    let lost = scene.launcher.history().filter(|gone| cause(gone).is_some());
    json!({
        "total": snapshot.failures_total,
        "tasks": tasks.collect::<Vec<_>>(),
        "executors": lost.map(record).collect::<Vec<_>>(),
    })
}

/// The settings, those that look like secrets hidden.
fn configuration(scene: &Scene<'_>) -> Vec<Entry> {
    scene.configuration.iter().map(Entry::shown).collect()
}

/// Why executors are missing, with the asks of the moment.
fn pending(scene: &Scene<'_>) -> Value {
    let asks: serde_json::Map<_, _> = scene
        .launcher
        .asks()
        .map(|(name, count)| (name.to_owned(), count.into()))
        .collect();
    let excluded: Vec<_> = scene
        .launcher
        .avoided()
        .map(|(node, _)| node.to_string())
        .collect();
    json!({
        "why": scene.launcher.why_pending(scene.now),
        "asks": asks,
        "excludedNodes": excluded,
    })
}
