//! The answer of `/api/v1/drawloom/summary`: how the application is doing, on one page.
//!
//! The status page, `drawloom submit` and `drawloom status` show what is here; so the type is shared with the client.
//! Additive only: a field that is absent takes its default.

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
    /// `running`, `succeeded`, `failed` or `killed`.
    pub state: String,
    /// Its executors.
    pub executors: ExecutorCounts,
    /// Its tasks; stages whose tasks are not known yet count none.
    pub tasks: TaskCounts,
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

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct StageSummary {
    /// Its name.
    pub name: String,
    /// `waiting`, `planning`, `running`, `committing`, `done` or `failed`.
    pub state: String,
    /// Its tasks.
    pub tasks: TaskCounts,
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
