//! How an application's work is ordered, placed, repeated and scaled: the parts of a plan that say so.
//!
//! Every type has a default that is the documented one, and a plan without these parts means just that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The scheduling of an application.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Scheduling {
    /// `scheduler.mode`: the order between the pools of the application.
    pub mode: PoolMode,
    /// The pools below the root.
    pub pools: Vec<PoolPlan>,
    /// The jobs; none means one job without a name.
    pub jobs: Vec<JobPlan>,
    /// How long a task waits for a better place.
    pub locality: LocalityWaits,
    /// What executors are sent ahead of their free slots.
    pub prefetch: PrefetchPlan,
    /// Which executor of equally good ones gets a task.
    pub placement: Placement,
    /// Which executors and nodes are left out after failures.
    pub exclusion: ExclusionPlan,
    /// Second copies of slow tasks.
    pub speculation: SpeculationPlan,
    /// The executors follow the backlog; otherwise their number is fixed.
    pub elastic: Option<ElasticPlan>,
    /// The only executor is in the ApplicationMaster's container, and none is asked of YARN. The driver makes no
    /// difference; whoever starts executors does.
    pub uber: bool,
}

/// The scheduling of one stage.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct StageScheduling {
    /// The job it belongs to, an index in [`Scheduling::jobs`]; edges stay within one job.
    pub job: u32,
    /// The pool of its tasks, by name; none: that of its job.
    pub pool: Option<String>,
    /// Stages whose partition of the same number must be done before a task starts.
    pub with: Vec<u32>,
    /// All tasks start together or none does, and a failure of one restarts all.
    pub gang: bool,
    /// Its result stays on the executors that made it, and is lost with them.
    pub keeps_output: bool,
}

/// One job of an application.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct JobPlan {
    /// Its name.
    pub name: String,
    /// The pool of its stages, by name; none: the root.
    pub pool: Option<String>,
    /// Jobs that must have succeeded before it begins, as indexes in [`Scheduling::jobs`].
    pub after: Vec<u32>,
}

/// The order of what is inside a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolMode {
    /// The lower job first, then the lower stage.
    #[default]
    Fifo,
    /// The one furthest below its share first, as Spark's fair scheduler orders.
    Fair,
}

/// A pool of task sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct PoolPlan {
    /// Its name, unique in the plan.
    pub name: String,
    /// The pool it is in, by name; none: the root.
    pub parent: Option<String>,
    /// The order inside it.
    pub mode: PoolMode,
    /// Its share in relation to its neighbours.
    pub weight: u32,
    /// Running tasks below which it goes before its neighbours.
    pub min_share: u32,
}

impl Default for PoolPlan {
    fn default() -> Self {
        Self {
            name: String::new(),
            parent: None,
            mode: PoolMode::Fifo,
            weight: 1,
            min_share: 0,
        }
    }
}

/// `locality.wait`: how long tasks wait at each level for a place that good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct LocalityWaits {
    /// For the executor that holds the input.
    pub process: Duration,
    /// For a node that holds the input.
    pub node: Duration,
    /// For the rack of such a node.
    pub rack: Duration,
}

impl Default for LocalityWaits {
    fn default() -> Self {
        let wait = Duration::from_secs(3);
        Self {
            process: wait,
            node: wait,
            rack: wait,
        }
    }
}

/// `scheduler.prefetch` and `am.recovery.reserve`: what executors are sent ahead of their free slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct PrefetchPlan {
    /// How much work an executor may hold that it has not begun, in time; zero sends nothing ahead.
    pub horizon: Duration,
    /// How much, in time, is to keep its slots busy while the ApplicationMaster is replaced; zero is none.
    pub reserve: Duration,
}

impl Default for PrefetchPlan {
    fn default() -> Self {
        Self {
            horizon: Duration::from_millis(250),
            reserve: Duration::from_secs(5),
        }
    }
}

impl PrefetchPlan {
    /// Every executor is sent what it has free slots for, and nothing else.
    pub const NONE: Self = Self {
        horizon: Duration::ZERO,
        reserve: Duration::ZERO,
    };

    /// Whether anything is sent ahead.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        *self != Self::NONE
    }
}

/// Which executor of equally good ones gets a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// The one with the most free slots: work is spread.
    #[default]
    Spread,
    /// The one with the fewest: idle executors can go.
    Pack,
}

/// `exclude.*`: who gets no more tasks after failures there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ExclusionPlan {
    /// Whether anybody is excluded at all.
    pub enabled: bool,
    /// How long an exclusion at application scope lasts.
    pub timeout: Duration,
    /// Failures of one task on one executor that keep it from going there.
    pub task_per_executor: u32,
    /// Failures of one task on executors of one node that keep it from going there.
    pub task_per_node: u32,
    /// Failed tasks of one stage on one executor that exclude it for the stage.
    pub stage_per_executor: u32,
    /// Executors of one node excluded for a stage that exclude the node for it.
    pub stage_per_node: u32,
    /// Failed tasks of successful stages on one executor that exclude it for the application.
    pub app_per_executor: u32,
    /// Excluded executors of one node that exclude the node for the application.
    pub app_per_node: u32,
}

impl Default for ExclusionPlan {
    fn default() -> Self {
        Self {
            enabled: true,
            timeout: Duration::from_secs(600),
            task_per_executor: 1,
            task_per_node: 2,
            stage_per_executor: 2,
            stage_per_node: 2,
            app_per_executor: 2,
            app_per_node: 2,
        }
    }
}

/// `speculation.*`: second copies of tasks that run much longer than their neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct SpeculationPlan {
    /// Whether there are any.
    pub enabled: bool,
    /// How often slow tasks are looked for.
    pub interval: Duration,
    /// The share of a stage's tasks that must be done before.
    pub quantile: f64,
    /// How many times the median of finished tasks is slow.
    pub multiplier: f64,
    /// A task that has run for less is never slow.
    pub min_runtime: Duration,
}

impl Default for SpeculationPlan {
    fn default() -> Self {
        Self {
            enabled: false,
            interval: Duration::from_millis(100),
            quantile: 0.9,
            multiplier: 3.0,
            min_runtime: Duration::from_millis(100),
        }
    }
}

/// Executors that follow the backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ElasticPlan {
    /// Never fewer.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// How long an executor may be without work before it is released.
    pub idle_timeout: Duration,
    /// How long tasks must have been waiting before the first executors are added, and between further steps.
    pub backlog_timeout: Duration,
}

impl Default for ElasticPlan {
    fn default() -> Self {
        Self {
            min: 0,
            max: 1,
            idle_timeout: Duration::from_secs(60),
            backlog_timeout: Duration::from_secs(1),
        }
    }
}
