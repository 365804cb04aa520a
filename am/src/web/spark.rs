//! `/api/v1/applications…` in the shape of Spark's REST API, so that its readers work: same names, same units, only
//! fields that mean something here.

use std::time::Duration;

use driver::view::{
    CounterView, ExecutorStatus, ExecutorView, JobStatus, JobView, Level, Snapshot, StageStatus, StageView,
    TaskStatus, TaskView,
};
use serde_json::{Value, json};
use wire::task::TaskMetrics;

use super::{Request, Scene, date};

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
        "schedulingPool": "default",
        "rddIds": [],
        "accumulatorUpdates": accumulators(view),
        "killedTasksSummary": {},
        "resourceProfileId": 0,
    })
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

/// Tasks that were launched, by partition; `offset` and `length` as in Spark.
fn task_list(scene: &Scene<'_>, view: &StageView, request: &Request) -> Value {
    let from = request.number("offset").unwrap_or(0);
    let length = request.number("length").unwrap_or(ROWS).min(MOST_ROWS);
    let tasks = scene.driver.tasks(view.key.stage, from, length as usize);
    tasks
        .iter()
        .filter(|task| task.launched.is_some())
        .map(|view| task(scene, view))
        .collect()
}

/// `TaskLocality` of Spark.
fn locality(level: Option<Level>) -> &'static str {
    match level {
        Some(Level::Process) => "PROCESS_LOCAL",
        Some(Level::Node) => "NODE_LOCAL",
        Some(Level::NoPreference) => "NO_PREF",
        Some(Level::Rack) => "RACK_LOCAL",
        Some(Level::Any) | None => "ANY",
    }
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
        "taskLocality": locality(view.level),
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
