//! What the client asks an application to do, resolved: the content of the staged file `plan.json`.
//!
//! The client checks a job file and turns it into an [`AppPlan`]; the ApplicationMaster runs it. Inputs are kept as
//! paths: which tasks a stage has is found out when it becomes ready, because a stage may read what another wrote.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use wire::amounts::{Amounts, MEMORY};

use crate::policy::{Scheduling, StageScheduling};

/// The version of the plan's format; another one is refused.
pub const VERSION: u32 = 1;

/// A whole application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppPlan {
    /// [`VERSION`].
    pub version: u32,
    /// The application's name.
    pub name: String,
    /// The executors to ask for.
    pub executors: ExecutorPlan,
    /// Variables for every task.
    pub env: BTreeMap<String, String>,
    /// Names in the container's directory that every task's directory gets too.
    pub files: Vec<String>,
    /// The stages, in the order of the job file; edges and [`wire::id::StageKey::stage`] are indexes in this list.
    pub stages: Vec<StagePlan>,
    /// Limits and intervals.
    pub settings: Settings,
    /// How work is ordered, placed, repeated and scaled.
    #[serde(default)]
    pub scheduling: Scheduling,
}

/// The executors of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorPlan {
    /// How many.
    pub instances: u32,
    /// Container memory of each, in MiB.
    pub memory_mib: u64,
    /// Task slots of each, and virtual cores asked of YARN.
    pub cores: u32,
    /// What else is asked of YARN for each, by the cluster's names (`yarn.io/gpu`), in the unit that it declares.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, u64>,
    /// Whether tasks set the memory of their stage aside. Absent in plans of earlier builds, for which it was no more
    /// than a limit: their journals hold tasks beside each other that would not fit.
    #[serde(default)]
    pub shares_memory: bool,
}

impl ExecutorPlan {
    /// What each has besides slots.
    #[must_use]
    pub fn amounts(&self) -> Amounts {
        let others = self
            .resources
            .iter()
            .map(|(name, &amount)| (name.clone(), amount));
        let memory = if self.shares_memory {
            self.memory_mib << 20
        } else {
            u64::MAX
        };
        others.chain([(MEMORY.to_owned(), memory)]).collect()
    }

    /// How many tasks of a stage fit on one executor beside each other.
    #[must_use]
    pub fn places(&self, stage: &StagePlan) -> u32 {
        let slots = self.cores / stage.cores.max(1);
        let others = self.amounts().places(&stage.needs());
        u32::try_from(others).unwrap_or(u32::MAX).min(slots)
    }
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StagePlan {
    /// Its name, unique in the plan.
    pub name: String,
    /// Stages that must be done before it starts; earlier or later in the list, without a cycle.
    pub after: Vec<u32>,
    /// Where its tasks come from.
    pub source: TaskSource,
    /// What each task runs.
    pub body: BodyPlan,
    /// Variables for its tasks, over those of the application.
    pub env: BTreeMap<String, String>,
    /// How input arrives.
    pub feed: FeedPlan,
    /// Where the result goes.
    pub output: Option<OutputPlan>,
    /// Slots that each task takes.
    pub cores: u32,
    /// Memory limit of each task, in MiB; as much is set aside for it.
    pub memory_mib: Option<u64>,
    /// What each task has of [`ExecutorPlan::resources`], by the same names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, u64>,
    /// How long an attempt may run.
    pub timeout: Option<Duration>,
    /// Failed attempts of one task that fail the job, instead of [`Settings::task_max_failures`].
    pub max_failures: Option<u32>,
    /// Its job, pool, one-to-one edges and special rules.
    #[serde(default)]
    pub scheduling: StageScheduling,
}

impl StagePlan {
    /// What each task needs of what its executor has besides slots.
    #[must_use]
    pub fn needs(&self) -> Amounts {
        let others = self
            .resources
            .iter()
            .map(|(name, &amount)| (name.clone(), amount));
        let memory = self.memory_mib.map(|mib| (MEMORY.to_owned(), mib << 20));
        others.chain(memory).collect()
    }
}

/// Where a stage's tasks come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskSource {
    /// That many tasks without input.
    Tasks(u32),
    /// One task an item.
    Items(Vec<String>),
    /// Files.
    Inputs {
        /// Files, globs and directories, as absolute URIs.
        paths: Vec<String>,
        /// Deal the inputs into this many tasks, in order; else one task an input or split.
        groups: Option<u32>,
        /// Cut files above this size at line ends, in bytes.
        split: Option<u64>,
    },
}

/// What a task runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyPlan {
    /// A program and its arguments.
    Command(Vec<String>),
    /// A script for `bash -c`.
    Shell(String),
    /// A function that the binary has registered, by its name; a task's argument is its item, as JSON.
    Function(String),
}

impl BodyPlan {
    /// Whether it is a function, whose results the driver gathers.
    #[must_use]
    pub fn is_function(&self) -> bool {
        matches!(self, Self::Function(_))
    }
}

/// How input reaches a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeedPlan {
    /// On standard input.
    #[default]
    Stdin,
    /// As a local file.
    File,
    /// By name only.
    None,
}

/// Where a stage's result goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputPlan {
    /// The directory, as an absolute URI.
    pub uri: String,
    /// Whether an existing directory is replaced.
    pub overwrite: bool,
    /// Whether the result is a directory a task and not its standard output.
    pub directory: bool,
}

/// Limits and intervals; the defaults are the documented ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Settings {
    /// `task.max-failures`: failed attempts of one task that fail the job.
    pub task_max_failures: u32,
    /// `stage.max-attempts`.
    pub stage_max_attempts: u32,
    /// `executor.heartbeat.interval`.
    pub heartbeat_interval: Duration,
    /// `executor.heartbeat.suspect`: silence after which an executor gets no new tasks.
    pub heartbeat_suspect: Duration,
    /// `executor.heartbeat.dead`: silence after which it is fenced and replaced.
    pub heartbeat_dead: Duration,
    /// `executor.register.timeout`: from container start to registration.
    pub register_timeout: Duration,
    /// `executor.max-failures`; none: the larger of 3 and twice the executors.
    pub executor_max_failures: Option<u32>,
    /// `executor.failures.validity-interval`: older losses are forgotten.
    pub executor_failures_validity: Duration,
    /// `executor.relaunch.backoff.initial` and `.max`, per node.
    pub relaunch_backoff: (Duration, Duration),
    /// `rm.heartbeat.pending` and `.idle`.
    pub rm_heartbeat: (Duration, Duration),
    /// `executor.am-lost-ttl`.
    pub am_lost_ttl: Duration,
    /// `scheduler.min-registered-ratio`: share of the executors to wait for before the first task.
    pub min_registered_ratio: f64,
    /// `scheduler.max-registered-wait`: the longest wait for them.
    pub max_registered_wait: Duration,
    /// `client.reconnect`: how long the application waits for a driver in the client that is gone.
    pub client_reconnect: Duration,
    /// `results.max-size`: bytes that the results of the functions of one stage may have together.
    pub results_max: u64,
    /// `task.kill.grace`: between SIGTERM and SIGKILL of a task.
    pub kill_grace: Duration,
    /// `executor.memory.enforced`: whether a task is ended when its container is full.
    pub memory_enforced: bool,
    /// `am.recovery`: whether executors and what they did outlive the ApplicationMaster.
    #[serde(default = "yes")]
    pub recovery: bool,
    /// `am.max-attempts`.
    #[serde(default = "two")]
    pub am_max_attempts: u32,
    /// `executors.room-patience`: how long the nodes of the cluster may have room for fewer executors than something needs to begin.
    #[serde(default = "room_patience")]
    pub room_patience: Duration,
    /// `am.journal.patience`: how long the journal's file system may refuse before the attempt ends.
    #[serde(default = "journal_patience")]
    pub journal_patience: Duration,
    /// `am.rm-silence-max`; none: a share of the ResourceManager's own patience.
    #[serde(default)]
    pub rm_silence_max: Option<Duration>,
}

fn yes() -> bool {
    true
}

fn two() -> u32 {
    2
}

/// A NameNode that is restarted is back after some 20 s; the worst stall seen with DataNodes that died was 20 s.
fn journal_patience() -> Duration {
    Duration::from_secs(75)
}

/// As long as a ResourceManager takes to give a silent node up: whoever repairs one has as long again.
fn room_patience() -> Duration {
    Duration::from_secs(600)
}

impl Default for Settings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            task_max_failures: 4,
            stage_max_attempts: 4,
            heartbeat_interval: seconds(3),
            heartbeat_suspect: seconds(15),
            heartbeat_dead: seconds(60),
            register_timeout: seconds(120),
            executor_max_failures: None,
            executor_failures_validity: seconds(3600),
            relaunch_backoff: (Duration::from_millis(200), seconds(30)),
            rm_heartbeat: (Duration::from_millis(200), seconds(3)),
            am_lost_ttl: seconds(15 * 60),
            min_registered_ratio: 0.8,
            max_registered_wait: seconds(30),
            client_reconnect: seconds(60),
            results_max: 1 << 30,
            kill_grace: seconds(10),
            memory_enforced: true,
            recovery: true,
            am_max_attempts: 2,
            room_patience: room_patience(),
            journal_patience: journal_patience(),
            rm_silence_max: None,
        }
    }
}
