//! Containers, as the ResourceManager and as a NodeManager see them.

use hadoop::ids::ContainerId;
use serde::Deserialize;

use super::name::names;
use crate::lenient;

names! {
    /// The state of a container.
    ContainerState {
        /// Not yet started.
        New = "NEW",
        /// Started, or about to be.
        Running = "RUNNING",
        /// Ended.
        Complete = "COMPLETE",
        /// A NodeManager fetches its files.
        Localizing = "LOCALIZING",
        /// A NodeManager has it in line.
        Scheduled = "SCHEDULED",
        /// A NodeManager cleans up after it.
        Done = "DONE",
    }
}

names! {
    /// What can be sent to a container.
    Signal {
        /// SIGQUIT: a JVM prints its threads. A process that does not block or handle it dies.
        OutputThreadDump = "OUTPUT_THREAD_DUMP",
        /// SIGTERM.
        GracefulShutdown = "GRACEFUL_SHUTDOWN",
        /// SIGKILL.
        ForcefulShutdown = "FORCEFUL_SHUTDOWN",
    }
}

/// A container as the ResourceManager reports it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Container {
    /// The id.
    #[serde(rename = "containerId", deserialize_with = "lenient::parsed")]
    pub id: ContainerId,
    /// The state.
    #[serde(rename = "containerState", default, deserialize_with = "lenient::some_parsed")]
    pub state: Option<ContainerState>,
    /// The exit status. It means something only once the container is complete: before, releases write
    /// 0 or -1000.
    #[serde(
        rename = "containerExitStatus",
        default,
        deserialize_with = "lenient::some_signed"
    )]
    pub exit_status: Option<i32>,
    /// What was said of it.
    #[serde(rename = "diagnosticsInfo", default, deserialize_with = "lenient::text")]
    pub diagnostics: String,
    /// Memory granted.
    #[serde(rename = "allocatedMB", default, deserialize_with = "lenient::number")]
    pub allocated_mb: u64,
    /// Cores granted.
    #[serde(rename = "allocatedVCores", default, deserialize_with = "lenient::number")]
    pub allocated_vcores: u32,
    /// Id (`host:port`) of the node.
    #[serde(rename = "assignedNodeId", default, deserialize_with = "lenient::some_text")]
    pub node_id: Option<String>,
    /// Web address of the node: `http://host:port`.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub node_http_address: Option<String>,
    /// Page with the logs.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub log_url: Option<String>,
    /// The priority it was asked with.
    #[serde(default, deserialize_with = "lenient::number")]
    pub priority: i32,
    /// When it was granted.
    #[serde(default, deserialize_with = "lenient::number")]
    pub started_time: u64,
    /// When it ended.
    #[serde(default, deserialize_with = "lenient::number")]
    pub finished_time: u64,
}

/// A container as its NodeManager reports it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NodeContainer {
    /// The id.
    #[serde(deserialize_with = "lenient::parsed")]
    pub id: ContainerId,
    /// The state.
    #[serde(default, deserialize_with = "lenient::some_parsed")]
    pub state: Option<ContainerState>,
    /// The exit code; -1000 while it runs.
    #[serde(default, deserialize_with = "lenient::some_signed")]
    pub exit_code: Option<i32>,
    /// What was said of it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub diagnostics: String,
    /// The user it runs for.
    #[serde(default, deserialize_with = "lenient::text")]
    pub user: String,
    /// Memory granted.
    #[serde(rename = "totalMemoryNeededMB", default, deserialize_with = "lenient::number")]
    pub memory_mb: u64,
    /// Cores granted.
    #[serde(rename = "totalVCoresNeeded", default, deserialize_with = "lenient::number")]
    pub vcores: u32,
    /// Page with the logs.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub container_logs_link: Option<String>,
    /// Names of its log files.
    #[serde(default, deserialize_with = "lenient::texts")]
    pub container_log_files: Vec<String>,
}
