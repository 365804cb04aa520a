//! The lines of an event log, as Spark's `JsonProtocol` writes them and its History Server reads them.
//!
//! What the reader insists on: `"Event"` is the first key and nothing stands between `{` and it, numbers are numbers,
//! the values of property maps are texts, and names of localities are Spark's own. Keys that are left out here take
//! their default there.

use std::collections::BTreeMap;
use std::time::Duration;

use driver::plan::AppPlan;
use driver::view::Level;
use serde_json::{Map, Value, json};
use wire::failure::{FailureCause, TaskFailure};
use wire::id::{ExecutorId, TaskAttemptId};
use wire::task::TaskMetrics;

use super::Who;
use crate::configuration::Entry;
use crate::launch::LaunchFile;

/// The class name under which Spark would report a failure that is none of its own kinds.
const FAILURE_CLASS: &str = "drawloom.TaskFailure";

/// One line: the event's name, then its other keys.
pub(super) fn line(event: &str, fields: &Value) -> Vec<u8> {
    let fields = fields.to_string();
    let separator = if fields == "{}" { "" } else { "," };
    let mut line = format!("{{\"Event\":\"SparkListener{event}\"{separator}").into_bytes();
    line.extend_from_slice(&fields.as_bytes()[1..]);
    line.push(b'\n');
    line
}

/// The lines that a log begins with; the listing of the History Server looks no further.
pub(super) fn header(plan: &AppPlan, launch: &LaunchFile, who: &Who, started: u64) -> Vec<u8> {
    let version = concat!("drawloom-", env!("CARGO_PKG_VERSION"));
    let mut application = json!({
        "App Name": plan.name,
        "App ID": who.application,
        "Timestamp": started,
        "User": launch.user,
    });
    if let Some(attempt) = who.attempt {
        application["App Attempt ID"] = attempt.to_string().into();
    }
    let mut lines = line("LogStart", &json!({ "Spark Version": version }));
    lines.extend(block_manager("driver", &who.host, None, started));
    lines.extend(line(
        "EnvironmentUpdate",
        &json!({
            "JVM Information": { "Java Version": "none", "Java Home": "none", "Scala Version": "none" },
            "Spark Properties": spark_properties(plan, launch, who),
            "Hadoop Properties": {},
            "System Properties": origins(&launch.configuration),
            "Metrics Properties": {},
            "Classpath Entries": {},
        }),
    ));
    lines.extend(line("ApplicationStart", &application));
    lines
}

/// What Spark's History Server needs to know, and ours below `drawloom.`.
fn spark_properties(plan: &AppPlan, launch: &LaunchFile, who: &Who) -> BTreeMap<String, String> {
    let mode = if who.attempt.is_some() {
        "cluster"
    } else {
        "client"
    };
    let mut properties: BTreeMap<String, String> = [
        ("spark.app.id", who.application.as_str()),
        ("spark.app.name", plan.name.as_str()),
        ("spark.master", "yarn"),
        ("spark.submit.deployMode", mode),
        ("spark.yarn.queue", launch.queue.as_str()),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    properties.insert(
        "spark.executor.instances".to_owned(),
        plan.executors.instances.to_string(),
    );
    properties.insert(
        "spark.executor.cores".to_owned(),
        plan.executors.cores.to_string(),
    );
    properties.insert(
        "spark.executor.memory".to_owned(),
        format!("{}m", plan.executors.memory_mib),
    );
    add_acls(&mut properties, "view", launch.acls.view.as_deref());
    add_acls(&mut properties, "modify", launch.acls.modify.as_deref());
    let own = launch.configuration.iter().map(Entry::shown);
    properties.extend(own.map(|entry| (format!("drawloom.{}", entry.key), entry.value)));
    properties
}

/// Hadoop's lists are users, a blank, groups; Spark has a property for each.
fn add_acls(properties: &mut BTreeMap<String, String>, kind: &str, list: Option<&str>) {
    let Some(list) = list else { return };
    let (users, groups) = list.split_once(' ').unwrap_or((list, ""));
    let lists = [("acls", users.trim()), ("acls.groups", groups.trim())];
    let named = lists.into_iter().filter(|(_, names)| !names.is_empty());
    properties
        .extend(named.map(|(name, names)| (format!("spark.{}.{name}", prefix(kind)), names.to_owned())));
}

fn prefix(kind: &str) -> &str {
    if kind == "view" { "ui.view" } else { "modify" }
}

fn origins(configuration: &[Entry]) -> BTreeMap<String, String> {
    let origin = |entry: &Entry| (format!("drawloom.{}.origin", entry.key), entry.origin.clone());
    configuration.iter().map(origin).collect()
}

/// What the History Server takes as the sign that an executor can hold something, and its address from. A port has to
/// be one (`BlockManagerId`), and executors listen on none: shown is that of the NodeManager's pages. A host has to be
/// one too, and names of nodes may carry a port (`yarn.scheduler.include-port-in-node-name`).
fn block_manager(executor: &str, host: &str, node_http: Option<&str>, at: u64) -> Vec<u8> {
    let port = node_http.and_then(|http| http.rsplit_once(':')?.1.parse::<u16>().ok());
    let host = host.split(':').next().unwrap_or_default();
    line(
        "BlockManagerAdded",
        &json!({
            "Block Manager ID": { "Executor ID": executor, "Host": host, "Port": port.filter(|port| *port > 0).unwrap_or(1) },
            "Maximum Memory": 0,
            "Timestamp": at,
            "Maximum Onheap Memory": 0,
            "Maximum Offheap Memory": 0,
        }),
    )
}

/// An executor and where YARN shows its logs.
pub(super) fn executor_added(
    executor: &ExecutorId,
    host: &str,
    slots: u32,
    at: u64,
    node_http: Option<&str>,
    user: &str,
) -> Vec<u8> {
    let mut urls = Map::new();
    let mut attributes = Map::new();
    if let Some(http) = node_http.filter(|http| !http.is_empty()) {
        for file in ["stderr", "stdout"] {
            urls.insert(file.to_owned(), log_url(http, executor, user, file).into());
        }
        attributes.insert("NM_HTTP_ADDRESS".to_owned(), http.into());
        attributes.insert("HTTP_SCHEME".to_owned(), "http://".into());
    }
    attributes.insert("CONTAINER_ID".to_owned(), executor.as_str().into());
    attributes.insert("USER".to_owned(), user.into());
    attributes.insert("LOG_FILES".to_owned(), "stderr,stdout".into());
    attributes.insert("NM_HOST".to_owned(), host.into());
    let mut lines = line(
        "ExecutorAdded",
        &json!({
            "Timestamp": at,
            "Executor ID": executor.as_str(),
            "Executor Info": {
                "Host": host,
                "Total Cores": slots,
                "Log Urls": urls,
                "Attributes": attributes,
                "Resources": {},
                "Resource Profile Id": 0,
                "Registration Time": at,
            },
        }),
    );
    lines.extend(block_manager(executor.as_str(), host, node_http, at));
    lines
}

/// Where a NodeManager shows a file of a container.
pub(crate) fn log_url(node_http: &str, container: &ExecutorId, user: &str, file: &str) -> String {
    format!("http://{node_http}/node/containerlogs/{container}/{user}/{file}?start=-4096")
}

/// A stage as its events show it.
#[derive(Debug, Clone)]
pub(super) struct StageInfo<'a> {
    pub(super) stage: u32,
    pub(super) attempt: u32,
    pub(super) name: &'a str,
    pub(super) tasks: u64,
    pub(super) parents: &'a [u32],
    pub(super) submitted: Option<u64>,
    pub(super) completed: Option<u64>,
    pub(super) failure: Option<&'a str>,
}

impl StageInfo<'_> {
    pub(super) fn json(&self) -> Value {
        let mut info = json!({
            "Stage ID": self.stage,
            "Stage Attempt ID": self.attempt,
            "Stage Name": self.name,
            "Number of Tasks": self.tasks,
            "RDD Info": [self.rdd()],
            "Parent IDs": self.parents,
            "Details": "",
            "Accumulables": [],
            "Resource Profile Id": 0,
        });
        let times = [
            ("Submission Time", self.submitted),
            ("Completion Time", self.completed),
        ];
        for (key, time) in times {
            if let Some(time) = time {
                info[key] = time.into();
            }
        }
        if let Some(failure) = self.failure {
            info["Failure Reason"] = failure.into();
        }
        info
    }

    /// One for each stage, so that the picture of the stages has boxes and arrows.
    fn rdd(&self) -> Value {
        let scope = json!({ "id": self.stage.to_string(), "name": self.name });
        json!({
            "RDD ID": self.stage,
            "Name": self.name,
            "Scope": scope.to_string(),
            "Callsite": self.name,
            "Parent IDs": self.parents,
            "Storage Level": {
                "Use Disk": false, "Use Memory": false, "Use Off Heap": false,
                "Deserialized": false, "Replication": 1,
            },
            "Barrier": false,
            "DeterministicLevel": "DETERMINATE",
            "Number of Partitions": self.tasks,
            "Number of Cached Partitions": 0,
            "Memory Size": 0,
            "Disk Size": 0,
        })
    }
}

/// An attempt of a task as its events show it.
#[derive(Debug, Clone)]
pub(super) struct TaskInfo<'a> {
    /// Its number in the log.
    pub(super) number: u64,
    pub(super) id: TaskAttemptId,
    pub(super) executor: &'a str,
    pub(super) host: &'a str,
    pub(super) level: Level,
    pub(super) copy: bool,
    pub(super) launched: u64,
}

impl TaskInfo<'_> {
    fn json(&self, finished: u64, failed: bool, killed: bool) -> Value {
        json!({
            "Task ID": self.number,
            "Index": self.id.partition,
            "Attempt": self.id.attempt,
            "Partition ID": self.id.partition,
            "Launch Time": self.launched,
            "Executor ID": self.executor,
            "Host": self.host,
            "Locality": locality(self.level),
            "Speculative": self.copy,
            "Getting Result Time": 0,
            "Finish Time": finished,
            "Failed": failed,
            "Killed": killed,
            "Accumulables": [],
        })
    }

    pub(super) fn start(&self) -> Vec<u8> {
        line(
            "TaskStart",
            &json!({
                "Stage ID": self.id.stage.stage,
                "Stage Attempt ID": self.id.stage.stage_attempt,
                "Task Info": self.json(0, false, false),
            }),
        )
    }

    pub(super) fn end(&self, at: u64, end: &End<'_>, metrics: &TaskMetrics) -> Vec<u8> {
        let (failed, killed) = (end.is_failure(), end.is_kill());
        line(
            "TaskEnd",
            &json!({
                "Stage ID": self.id.stage.stage,
                "Stage Attempt ID": self.id.stage.stage_attempt,
                "Task Type": "ResultTask",
                "Task End Reason": end.json(self),
                "Task Info": self.json(at.max(1), failed, killed),
                "Task Executor Metrics": {},
                "Task Metrics": task_metrics(metrics),
            }),
        )
    }
}

/// The name of a level in Spark's `TaskLocality`.
pub(crate) fn locality(level: Level) -> &'static str {
    match level {
        Level::Process => "PROCESS_LOCAL",
        Level::Node => "NODE_LOCAL",
        Level::NoPreference => "NO_PREF",
        Level::Rack => "RACK_LOCAL",
        Level::Any => "ANY",
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum End<'a> {
    Success,
    Failure(&'a TaskFailure),
    Kill(&'a str),
}

impl End<'_> {
    /// Spark counts what was told to end, and what was not allowed to commit, as killed.
    fn is_kill(&self) -> bool {
        match self {
            Self::Success => false,
            Self::Kill(_) => true,
            Self::Failure(failure) => {
                matches!(
                    failure.cause,
                    FailureCause::Killed(_) | FailureCause::CommitDenied
                )
            }
        }
    }

    fn is_failure(&self) -> bool {
        matches!(self, Self::Failure(_)) && !self.is_kill()
    }

    fn json(&self, task: &TaskInfo<'_>) -> Value {
        match self {
            Self::Success => json!({ "Reason": "Success" }),
            Self::Kill(why) => killed(why),
            Self::Failure(failure) => failure_json(failure, task),
        }
    }
}

fn killed(why: &str) -> Value {
    json!({ "Reason": "TaskKilled", "Kill Reason": why, "Accumulator Updates": [] })
}

fn failure_json(failure: &TaskFailure, task: &TaskInfo<'_>) -> Value {
    match &failure.cause {
        FailureCause::Killed(reason) => killed(&reason.to_string()),
        FailureCause::CommitDenied => json!({
            "Reason": "TaskCommitDenied",
            "Job ID": task.id.stage.job,
            "Partition ID": task.id.partition,
            "Attempt Number": task.id.attempt,
        }),
        FailureCause::ExecutorLost { loss, started } => json!({
            "Reason": "ExecutorLostFailure",
            "Executor ID": task.executor,
            "Exit Caused By App": *started && loss.counts_for_tasks(),
            "Loss Reason": loss.to_string(),
        }),
        cause => json!({
            "Reason": "ExceptionFailure",
            "Class Name": FAILURE_CLASS,
            "Description": cause.to_string(),
            "Stack Trace": [],
            "Full Stack Trace": format!("{cause}\n{}", failure.stderr_tail),
            "Accumulator Updates": [],
        }),
    }
}

fn task_metrics(metrics: &TaskMetrics) -> Value {
    let cpu = metrics.cpu_user + metrics.cpu_system;
    json!({
        "Executor Deserialize Time": 0,
        "Executor Deserialize CPU Time": 0,
        "Executor Run Time": millis(metrics.wall),
        "Executor CPU Time": u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX),
        "Peak Execution Memory": metrics.peak_resident,
        "Result Size": 0,
        "JVM GC Time": 0,
        "Result Serialization Time": 0,
        "Memory Bytes Spilled": 0,
        "Disk Bytes Spilled": 0,
        "Input Metrics": { "Bytes Read": metrics.input_bytes, "Records Read": 0 },
        "Output Metrics": { "Bytes Written": metrics.output_bytes, "Records Written": 0 },
        "Updated Blocks": [],
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
