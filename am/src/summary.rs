//! The answer of `/api/v1/drawloom/summary`: how the application is doing, on one page.
//!
//! The status page, `drawloom submit` and `drawloom status` show what is here; so the type is shared with the client.
//! Additive only: a field that is absent takes its default.

use std::collections::BTreeMap;

use driver::view::{CounterView, JobStatus, JobView, LocalityCounts, Snapshot, StageStatus, StageView};
use serde::{Deserialize, Serialize};

/// The path below the tracking URL.
pub const PATH: &str = "api/v1/drawloom/summary";

/// The most [`Summary::failures`] that are kept: the latest.
pub const MAX_FAILURES: usize = 50;

/// How the application is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Summary {
    /// The application's id.
    pub application: String,
    /// Its name.
    pub name: String,
    /// The attempt that answers, from 1.
    pub attempt: u32,
    /// The SHA-256 of the executable that answers.
    pub build: String,
    /// The version of the protocol that it speaks with executors.
    pub protocol: String,
    /// `running`, `succeeded`, `failed` or `killed`.
    pub state: String,
    /// Its executors.
    pub executors: ExecutorCounts,
    /// Its tasks; stages whose tasks are not known yet count none.
    pub tasks: TaskCounts,
    /// Its jobs, in the order of the job file.
    pub jobs: Vec<JobSummary>,
    /// Its stages, in the order of the job file.
    pub stages: Vec<StageSummary>,
    /// Failed task attempts and lost executors, the latest last.
    pub failures: Vec<FailureNote>,
}

/// Executors by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ExecutorCounts {
    /// How many there should be.
    pub wanted: u32,
    /// Containers that were granted and are not registered yet.
    pub starting: u32,
    /// Registered and alive.
    pub registered: u32,
    /// Lost so far.
    pub lost: u32,
}

/// Tasks by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TaskCounts {
    /// All that are known.
    pub total: u32,
    /// Done.
    pub finished: u32,
    /// Running now.
    pub running: u32,
    /// Attempts that failed.
    pub failed_attempts: u32,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct JobSummary {
    /// Its number, from 0.
    pub job: u32,
    /// Its name.
    pub name: String,
    /// `waiting`, `running`, `succeeded`, `failed` or `killed`.
    pub state: String,
    /// Why it failed or who ended it; empty when neither is so.
    pub cause: String,
    /// What the tasks of all its stages have counted together, those that run as far as they are, in the order of
    /// groups and names.
    pub counters: Vec<CounterTotal>,
}

impl JobSummary {
    /// A job as the driver sees it, with its stages among `stages`.
    #[must_use]
    pub fn of(job: &JobView, stages: &[StageView]) -> Self {
        let state = match job.status {
            JobStatus::Waiting => "waiting",
            JobStatus::Running => "running",
            JobStatus::Succeeded => "succeeded",
            JobStatus::Failed => "failed",
            JobStatus::Killed => "killed",
        };
        Self {
            job: job.job,
            name: job.name.clone(),
            state: state.to_owned(),
            cause: job.cause.clone().unwrap_or_default(),
            counters: job_counters(job.job, stages),
        }
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state.as_str(), "waiting" | "running")
    }
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct StageSummary {
    /// Its name.
    pub name: String,
    /// The number of its job.
    pub job: u32,
    /// `waiting`, `planning`, `running`, `committing`, `done` or `failed`.
    pub state: String,
    /// Its tasks.
    pub tasks: TaskCounts,
    /// What its tasks have counted together, those that run as far as they are.
    pub counters: Vec<CounterTotal>,
    /// How near its attempts were to what they read.
    pub placed: LocalityCounts,
}

/// A named number.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CounterTotal {
    /// What it belongs to.
    pub group: String,
    /// Its name in the group.
    pub name: String,
    /// Its value.
    pub value: i64,
}

/// The path of the answer with an [`ExecutorLine`] for each executor that is there.
pub const EXECUTORS_PATH: &str = "api/v1/drawloom/executors";

/// One executor, as `drawloom top` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ExecutorLine {
    /// Its id.
    pub id: String,
    /// Its node.
    pub host: String,
    /// `alive`, `silent`, `disconnected`, or why it gets no tasks.
    pub state: String,
    /// Its slots.
    pub slots: u32,
    /// Slots in use.
    pub used_slots: u32,
    /// Attempts that succeeded there.
    pub succeeded: u32,
    /// Attempts that failed there and counted.
    pub failed: u32,
    /// Memory of executor and tasks when last heard, in bytes.
    pub memory: u64,
    /// Memory of its container, in bytes.
    pub memory_limit: u64,
    /// Since it was last heard, in milliseconds.
    pub silent_ms: u64,
}

/// Something that went wrong, whether or not it was made good.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FailureNote {
    /// When, in milliseconds since 1970.
    pub unix_ms: u64,
    /// `task` or `executor`.
    pub kind: String,
    /// What: `stage count, task 17, attempt 2` or a container id.
    pub subject: String,
    /// The node.
    pub host: String,
    /// Why.
    pub cause: String,
}

impl Summary {
    /// What the driver knows of it; its times count from `start_unix_ms`, in milliseconds since 1970. Whoever knows
    /// more of containers adds that.
    #[must_use]
    pub fn of_driver(snapshot: &Snapshot, start_unix_ms: u64) -> Self {
        let present = snapshot
            .executors
            .iter()
            .filter(|executor| executor.gone.is_none());
        let registered = u32::try_from(present.count()).unwrap_or(u32::MAX);
        let all = u32::try_from(snapshot.executors.len()).unwrap_or(u32::MAX);
        Self {
            name: snapshot.name.clone(),
            executors: ExecutorCounts {
                wanted: snapshot.wanted_executors,
                starting: 0,
                registered,
                lost: all - registered,
            },
            tasks: TaskCounts::of(&snapshot.stages),
            jobs: snapshot
                .jobs
                .iter()
                .map(|job| JobSummary::of(job, &snapshot.stages))
                .collect(),
            stages: snapshot.stages.iter().map(StageSummary::of).collect(),
            failures: task_failures(snapshot, start_unix_ms),
            ..Self::default()
        }
    }
}

fn task_failures(snapshot: &Snapshot, start_unix_ms: u64) -> Vec<FailureNote> {
    let counted = snapshot.failures.iter().rev().filter(|failure| failure.counts);
    let note = |failure: &driver::view::FailureView| FailureNote {
        unix_ms: start_unix_ms + u64::try_from(failure.at.as_millis()).unwrap_or(u64::MAX),
        kind: "task".to_owned(),
        subject: format!(
            "stage {}, task {}, attempt {}",
            failure.stage, failure.id.partition, failure.id.attempt
        ),
        host: failure.host.clone(),
        cause: failure.cause.clone(),
    };
    counted.map(note).collect()
}

impl TaskCounts {
    /// The tasks of all these stages.
    #[must_use]
    pub fn of(stages: &[StageView]) -> Self {
        let mut all = Self::default();
        for tasks in stages.iter().map(Self::of_stage) {
            all.total += tasks.total;
            all.finished += tasks.finished;
            all.running += tasks.running;
            all.failed_attempts += tasks.failed_attempts;
        }
        all
    }

    fn of_stage(stage: &StageView) -> Self {
        Self {
            total: u32::try_from(stage.tasks).unwrap_or(u32::MAX),
            finished: stage.succeeded,
            running: stage.running,
            failed_attempts: stage.failed,
        }
    }
}

impl StageSummary {
    /// A stage as the driver sees it.
    #[must_use]
    pub fn of(stage: &StageView) -> Self {
        Self {
            name: stage.name.clone(),
            job: stage.key.job,
            state: stage_word(stage.status).to_owned(),
            tasks: TaskCounts::of_stage(stage),
            counters: stage.counters.iter().map(CounterTotal::of).collect(),
            placed: stage.placed,
        }
    }
}

impl CounterTotal {
    fn of(counter: &CounterView) -> Self {
        Self {
            group: counter.group.clone(),
            name: counter.name.clone(),
            value: counter.value,
        }
    }
}

/// The counters of all stages of a job, added up by name.
#[must_use]
pub fn job_counters(job: u32, stages: &[StageView]) -> Vec<CounterTotal> {
    let mut totals: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    let own = stages.iter().filter(|stage| stage.key.job == job);
    for counter in own.flat_map(|stage| &stage.counters) {
        let total = totals.entry((&counter.group, &counter.name)).or_default();
        *total = total.saturating_add(counter.value);
    }
    let total = |((group, name), value): ((&str, &str), i64)| CounterTotal {
        group: group.to_owned(),
        name: name.to_owned(),
        value,
    };
    totals.into_iter().map(total).collect()
}

/// A stage's state in one word.
#[must_use]
pub fn stage_word(status: StageStatus) -> &'static str {
    match status {
        StageStatus::Waiting => "waiting",
        StageStatus::Planning => "planning",
        StageStatus::Running => "running",
        StageStatus::Committing => "committing",
        StageStatus::Done => "done",
        StageStatus::Abandoned => "failed",
    }
}
