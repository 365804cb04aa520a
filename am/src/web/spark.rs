//! `/api/v1/applications…` in the shape of Spark's REST API, so that its readers work: same names, same units, only
//! fields that mean something here.

use std::time::Duration;

use driver::view::{
    CounterView, ExecutorStatus, ExecutorView, FailureView, JobStatus, JobView, Level, Snapshot, StageStatus,
    StageView, TaskOrder, TaskStatus, TaskView,
};
use serde_json::{Value, json};
use wire::task::TaskMetrics;

use super::{Request, Scene, date, quantiles};
use crate::configuration::Entry;
use crate::history::{locality, pool};

/// Rows of a task list unless the request says otherwise, as in Spark.
const ROWS: u32 = 20;
/// The most rows of a task list.
const MOST_ROWS: u32 = 1000;

/// The answer to the path below `/api/v1`; nothing when there is no such thing. Spark leaves out what it does not
/// know, and so does this.
pub(super) fn answer(scene: &Scene<'_>, path: &[&str], request: &Request) -> Option<Value> {
    found_at(scene, path, request).map(without_nulls)
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let known = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(known.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(values) => values.into_iter().map(without_nulls).collect(),
        value => value,
    }
}

fn found_at(scene: &Scene<'_>, path: &[&str], request: &Request) -> Option<Value> {
    match path {
        ["version"] => Some(json!({ "spark": concat!("drawloom ", env!("CARGO_PKG_VERSION")) })),
        ["applications"] => Some(json!([application(scene)])),
        ["applications", id, rest @ ..] if *id == scene.environment.application() => {
            of_application(scene, without_attempt(scene, rest), request)
        }
        _ => None,
    }
}

/// Spark puts the attempt behind the application when there are several; ours answers to its own number.
fn without_attempt<'a, 'b>(scene: &Scene<'_>, path: &'a [&'b str]) -> &'a [&'b str] {
    match path {
        [attempt, rest @ ..] if *attempt == scene.environment.epoch().to_string() => rest,
        path => path,
    }
}

fn of_application(scene: &Scene<'_>, path: &[&str], request: &Request) -> Option<Value> {
    let snapshot = scene.driver.snapshot();
    match path {
        [] => Some(application(scene)),
        ["jobs"] => Some(
            snapshot
                .jobs
                .iter()
                .map(|view| job(scene, &snapshot, view))
                .collect(),
        ),
        ["jobs", id] => {
            let id: u32 = id.parse().ok()?;
            snapshot
                .jobs
                .iter()
                .find(|view| view.job == id)
                .map(|view| job(scene, &snapshot, view))
        }
        ["stages"] => Some(
            snapshot
                .stages
                .iter()
                .rev()
                .map(|view| stage(scene, view))
                .collect(),
        ),
        ["stages", id] => Some(json!([stage(scene, find(&snapshot, id)?)])),
        ["stages", id, attempt] => found(&snapshot, id, attempt).map(|view| stage(scene, view)),
        ["stages", id, attempt, "taskList"] => {
            found(&snapshot, id, attempt).map(|view| task_list(scene, view, request))
        }
        ["stages", id, attempt, "taskSummary"] => {
            found(&snapshot, id, attempt).and_then(|view| task_summary(scene, view, request))
        }
        ["environment"] => Some(environment(scene)),
        ["storage", "rdd"] | ["allmiscellaneousprocess"] => Some(json!([])),
        ["executors"] => Some(executors(scene, &snapshot, |view| view.gone.is_none())),
        ["allexecutors"] => Some(executors(scene, &snapshot, |_| true)),
        _ => None,
    }
}

fn find<'a>(snapshot: &'a Snapshot, id: &str) -> Option<&'a StageView> {
    let id: u32 = id.parse().ok()?;
    snapshot.stages.iter().find(|stage| stage.key.stage == id)
}

fn found<'a>(snapshot: &'a Snapshot, id: &str, attempt: &str) -> Option<&'a StageView> {
    let attempt: u32 = attempt.parse().ok()?;
    find(snapshot, id).filter(|stage| stage.key.stage_attempt == attempt)
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn application(scene: &Scene<'_>) -> Value {
    let (start, now) = (scene.unix_ms(Duration::ZERO), scene.unix_ms(scene.now));
    let completed = scene.verdict.is_some();
    // Spark gives a running application the second before 1970 as its end.
    let end = if completed {
        date::spark(now)
    } else {
        "1969-12-31T23:59:59.999GMT".to_owned()
    };
    json!({
        "id": scene.environment.application(),
        "name": scene.plan.name,
        "attempts": [{
            "attemptId": scene.environment.epoch().to_string(),
            "startTime": date::spark(start),
            "endTime": end,
            "lastUpdated": date::spark(now),
            "duration": ms(scene.now),
            "sparkUser": scene.environment.user,
            "completed": completed,
            "appSparkVersion": concat!("drawloom ", env!("CARGO_PKG_VERSION")),
            "startTimeEpoch": start,
            "endTimeEpoch": if completed { i64::try_from(now).unwrap_or(i64::MAX) } else { -1 },
            "lastUpdatedEpoch": now,
        }],
    })
}

fn job(scene: &Scene<'_>, snapshot: &Snapshot, view: &JobView) -> Value {
    let stages = || snapshot.stages.iter().filter(|stage| stage.key.job == view.job);
    let sum = |count: fn(&StageView) -> u64| stages().map(count).sum::<u64>();
    let with = |status: StageStatus| stages().filter(|stage| stage.status == status).count();
    let time = |at: Option<Duration>| at.map(|at| date::spark(scene.unix_ms(at)));
    let completion = (view.status != JobStatus::Running)
        .then(|| stages().filter_map(|stage| stage.completed).max())
        .flatten();
    json!({
        "jobId": view.job,
        "name": view.name,
        "submissionTime": time(stages().filter_map(|stage| stage.submitted).min()),
        "completionTime": time(completion),
        "stageIds": stages().map(|stage| stage.key.stage).collect::<Vec<_>>(),
        "jobTags": [],
        "status": job_status(view.status),
        "numTasks": sum(|stage| stage.tasks),
        "numActiveTasks": sum(|stage| stage.running.into()),
        "numCompletedTasks": sum(|stage| stage.succeeded.into()),
        "numSkippedTasks": 0,
        "numFailedTasks": sum(|stage| stage.failed.into()),
        "numKilledTasks": 0,
        "numCompletedIndices": sum(|stage| stage.succeeded.into()),
        "numActiveStages": with(StageStatus::Running),
        "numCompletedStages": with(StageStatus::Done),
        "numSkippedStages": 0,
        "numFailedStages": with(StageStatus::Abandoned),
        "killedTasksSummary": {},
    })
}

fn job_status(status: JobStatus) -> &'static str {
    match status {
        // Spark has no name for a job that is not submitted yet.
        JobStatus::Waiting => "UNKNOWN",
        JobStatus::Running => "RUNNING",
        JobStatus::Succeeded => "SUCCEEDED",
        JobStatus::Failed | JobStatus::Killed => "FAILED",
    }
}

fn stage(scene: &Scene<'_>, view: &StageView) -> Value {
    let time = |at: Option<Duration>| at.map(|at| date::spark(scene.unix_ms(at)));
    let totals = &view.totals;
    json!({
        "status": stage_status(view.status),
        "stageId": view.key.stage,
        "attemptId": view.key.stage_attempt,
        "numTasks": view.tasks,
        "numActiveTasks": view.running,
        "numCompleteTasks": view.succeeded,
        "numFailedTasks": view.failed,
        "numKilledTasks": 0,
        "numCompletedIndices": view.succeeded,
        "submissionTime": time(view.submitted),
        "firstTaskLaunchedTime": time(view.first_launch),
        "completionTime": time(view.completed),
        "executorRunTime": ms(totals.wall),
        "executorCpuTime": cpu_nanos(totals),
        "inputBytes": totals.input_bytes,
        "inputRecords": 0,
        "outputBytes": totals.output_bytes,
        "outputRecords": 0,
        "shuffleReadBytes": 0,
        "shuffleWriteBytes": 0,
        "memoryBytesSpilled": 0,
        "diskBytesSpilled": 0,
        "name": view.name,
        "details": "",
        "schedulingPool": pool_of(scene, view),
        "rddIds": [],
        "accumulatorUpdates": accumulators(view),
        "killedTasksSummary": {},
        "resourceProfileId": 0,
    })
}

fn pool_of<'a>(scene: &Scene<'a>, view: &StageView) -> &'a str {
    let stage = scene.plan.stages.get(view.key.stage as usize);
    stage.map_or("default", |stage| pool(scene.plan, &stage.scheduling))
}

/// Counters, which Spark calls accumulators.
fn accumulators(view: &StageView) -> Value {
    let numbered = (0..).zip(&view.counters);
    let one = |(id, counter): (u32, &CounterView)| {
        json!({
            "id": id,
            "name": format!("{}.{}", counter.group, counter.name),
            "value": counter.value.to_string(),
        })
    };
    numbered.map(one).collect()
}

/// Spark counts processor time in nanoseconds.
fn cpu_nanos(metrics: &TaskMetrics) -> u64 {
    u64::try_from((metrics.cpu_user + metrics.cpu_system).as_nanos()).unwrap_or(u64::MAX)
}

fn stage_status(status: StageStatus) -> &'static str {
    match status {
        StageStatus::Waiting | StageStatus::Planning => "PENDING",
        StageStatus::Running | StageStatus::Committing => "ACTIVE",
        StageStatus::Done => "COMPLETE",
        StageStatus::Abandoned => "FAILED",
    }
}

/// Tasks that were launched, with `offset`, `length`, `sortBy` and `status` as in Spark. Failed attempts are the latest
/// that are remembered.
fn task_list(scene: &Scene<'_>, view: &StageView, request: &Request) -> Value {
    let from = request.number("offset").unwrap_or(0) as usize;
    let length = request.number("length").unwrap_or(ROWS).min(MOST_ROWS) as usize;
    let order = match request.parameter("sortBy") {
        Some("-runtime" | "decreasing_runtime" | "DECREASING_RUNTIME") => TaskOrder::SlowestFirst,
        Some("runtime" | "+runtime" | "increasing_runtime" | "INCREASING_RUNTIME") => {
            TaskOrder::QuickestFirst
        }
        _ => TaskOrder::Partition,
    };
    let status = request.parameter("status").map(str::to_ascii_lowercase);
    let status = match status.as_deref() {
        Some("failed") => return failed_tasks(scene, view, from, length),
        Some("success") => Some(TaskStatus::Succeeded),
        Some("running") => Some(TaskStatus::Running),
        Some("killed" | "unknown") => return json!([]),
        _ => None,
    };
    let (tasks, _) = scene
        .driver
        .find_tasks(view.key.stage, status, order, from, length);
    let launched = tasks.iter().filter(|task| task.launched.is_some());
    launched.map(|view| task(scene, view)).collect()
}

fn failed_tasks(scene: &Scene<'_>, view: &StageView, from: usize, length: usize) -> Value {
    let snapshot = scene.driver.snapshot();
    let of_stage = snapshot
        .failures
        .iter()
        .filter(|failure| failure.id.stage == view.key);
    let one = |failure: &FailureView| {
        json!({
            "taskId": failure.id.partition,
            "index": failure.id.partition,
            "attempt": failure.id.attempt,
            "partitionId": failure.id.partition,
            "executorId": failure.executor.as_str(),
            "host": failure.host,
            "status": "FAILED",
            "taskLocality": "ANY",
            "speculative": false,
            "accumulatorUpdates": [],
            "errorMessage": format!("{}\n{}", failure.cause, failure.stderr_tail),
            "executorLogs": {},
            "schedulerDelay": 0,
            "gettingResultTime": 0,
        })
    };
    of_stage.skip(from).take(length).map(one).collect()
}

/// How long tasks took, at the `quantiles` that are asked for.
fn task_summary(scene: &Scene<'_>, view: &StageView, request: &Request) -> Option<Value> {
    let asked = request
        .parameter("quantiles")
        .unwrap_or("0.05,0.25,0.5,0.75,0.95");
    let at: Vec<f64> = asked
        .split(',')
        .filter_map(|part| part.trim().parse().ok())
        .collect();
    let valid = at.iter().all(|part| (0.0..=1.0).contains(part)) && !at.is_empty() && at.len() <= 100;
    let sorted = scene.driver.task_durations(view.key.stage);
    let took = quantiles(&sorted, &at);
    (valid && !took.is_empty()).then(|| {
        let took: Vec<f64> = took.into_iter().map(f64::from).collect();
        json!({ "quantiles": at, "duration": took, "executorRunTime": took })
    })
}

/// The settings; those that look like secrets are hidden.
fn environment(scene: &Scene<'_>) -> Value {
    let shown = || scene.configuration.iter().map(Entry::shown);
    let own = shown().map(|entry| json!([format!("drawloom.{}", entry.key), entry.value]));
    let origins = shown().map(|entry| json!([format!("drawloom.{}.origin", entry.key), entry.origin]));
    let basics = [
        ("spark.app.id", scene.environment.application()),
        ("spark.app.name", scene.plan.name.clone()),
        ("spark.master", "yarn".to_owned()),
        ("spark.submit.deployMode", scene.driver.deploy_mode().to_owned()),
    ];
    let basics = basics.map(|(key, value)| json!([key, value]));
    json!({
        "runtime": { "javaVersion": "none", "javaHome": "none", "scalaVersion": "none" },
        "sparkProperties": basics.into_iter().chain(own).collect::<Vec<_>>(),
        "hadoopProperties": [],
        "systemProperties": origins.collect::<Vec<_>>(),
        "metricsProperties": [],
        "classpathEntries": [],
        "resourceProfiles": [],
    })
}

fn task(scene: &Scene<'_>, view: &TaskView) -> Value {
    json!({
        "taskId": view.partition,
        "index": view.partition,
        "attempt": view.attempts.saturating_sub(1),
        "partitionId": view.partition,
        "launchTime": view.launched.map(|at| date::spark(scene.unix_ms(at))),
        "duration": view.took.map(ms),
        "executorId": view.executor.as_ref().map(ToString::to_string),
        "host": view.host,
        "status": if view.status == TaskStatus::Succeeded { "SUCCESS" } else { "RUNNING" },
        "taskLocality": locality(view.level.unwrap_or(Level::Any)),
        "speculative": false,
        "accumulatorUpdates": [],
        "executorLogs": {},
        "schedulerDelay": 0,
        "gettingResultTime": 0,
    })
}

fn executors(scene: &Scene<'_>, snapshot: &Snapshot, shown: fn(&ExecutorView) -> bool) -> Value {
    let shown = snapshot.executors.iter().filter(|view| shown(view));
    shown.map(|view| executor(scene, view)).collect()
}

fn executor(scene: &Scene<'_>, view: &ExecutorView) -> Value {
    let vital = scene.vitals.of(&view.id).cloned().unwrap_or_default();
    let excluded = view.status == ExecutorStatus::Excluded;
    let lived = view.gone.unwrap_or(scene.now).saturating_sub(view.registered);
    json!({
        "id": view.id.as_str(),
        "hostPort": view.host,
        "isActive": view.gone.is_none(),
        "rddBlocks": 0,
        "memoryUsed": vital.resident + vital.tasks_resident,
        "diskUsed": 0,
        "totalCores": view.slots,
        "maxTasks": view.slots,
        "activeTasks": view.running,
        "failedTasks": view.failed,
        "completedTasks": view.succeeded,
        "totalTasks": view.running + view.failed + view.succeeded,
        "totalDuration": ms(lived),
        "totalGCTime": 0,
        "totalInputBytes": 0,
        "totalShuffleRead": 0,
        "totalShuffleWrite": 0,
        "isBlacklisted": excluded,
        "maxMemory": vital.memory,
        "addTime": date::spark(scene.unix_ms(view.registered)),
        "removeTime": view.gone.map(|at| date::spark(scene.unix_ms(at))),
        "removeReason": removal(view.status),
        "executorLogs": logs(scene, view),
        "blacklistedInStages": [],
        "attributes": {},
        "resources": {},
        "resourceProfileId": 0,
        "isExcluded": excluded,
        "excludedInStages": [],
    })
}

fn removal(status: ExecutorStatus) -> Option<String> {
    match status {
        ExecutorStatus::Gone(loss) => Some(loss.to_string()),
        _ => None,
    }
}

fn logs(scene: &Scene<'_>, view: &ExecutorView) -> Value {
    let record = scene.launcher.remembered(&view.id);
    let url = |file: &str| Some((file.to_owned(), Value::from(scene.log_url(record?, file)?)));
    ["stderr", "stdout"]
        .into_iter()
        .filter_map(url)
        .collect::<serde_json::Map<_, _>>()
        .into()
}
