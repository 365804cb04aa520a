//! The cluster as a whole.

use serde::Deserialize;

use super::name::names;
use crate::lenient;

names! {
    /// What a ResourceManager is in its group.
    HaState {
        /// Coming up. Seen for a moment while submissions already work.
        Initializing = "INITIALIZING",
        /// The one that decides; also a ResourceManager that is alone.
        Active = "ACTIVE",
        /// One that waits.
        Standby = "STANDBY",
        /// Going down.
        Stopping = "STOPPING",
    }
}

/// Name, release and state of a ResourceManager.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ClusterInfo {
    /// When it started; the timestamp of the ids it gives.
    #[serde(default, deserialize_with = "lenient::number")]
    pub id: u64,
    /// The same, as a time.
    #[serde(default, deserialize_with = "lenient::number")]
    pub started_on: u64,
    /// Its life as a service, for example `STARTED`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub state: String,
    /// What it is in its group.
    #[serde(default, deserialize_with = "lenient::some_parsed")]
    pub ha_state: Option<HaState>,
    /// Release of YARN, for example `3.4.3`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub resource_manager_version: String,
    /// Release of Hadoop.
    #[serde(default, deserialize_with = "lenient::text")]
    pub hadoop_version: String,
}

/// Counts over the whole cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ClusterMetrics {
    /// Applications ever submitted.
    #[serde(deserialize_with = "lenient::number")]
    pub apps_submitted: u64,
    /// Applications that finished.
    #[serde(deserialize_with = "lenient::number")]
    pub apps_completed: u64,
    /// Applications that wait.
    #[serde(deserialize_with = "lenient::number")]
    pub apps_pending: u64,
    /// Applications that run.
    #[serde(deserialize_with = "lenient::number")]
    pub apps_running: u64,
    /// Applications that failed.
    #[serde(deserialize_with = "lenient::number")]
    pub apps_failed: u64,
    /// Applications that were killed.
    #[serde(deserialize_with = "lenient::number")]
    pub apps_killed: u64,
    /// Memory nobody holds.
    #[serde(rename = "availableMB", deserialize_with = "lenient::number")]
    pub available_mb: u64,
    /// Memory held.
    #[serde(rename = "allocatedMB", deserialize_with = "lenient::number")]
    pub allocated_mb: u64,
    /// Memory set aside for asks that do not fit yet.
    #[serde(rename = "reservedMB", deserialize_with = "lenient::number")]
    pub reserved_mb: u64,
    /// Memory asked for and not given.
    #[serde(rename = "pendingMB", deserialize_with = "lenient::number")]
    pub pending_mb: u64,
    /// All memory.
    #[serde(rename = "totalMB", deserialize_with = "lenient::number")]
    pub total_mb: u64,
    /// Cores nobody holds.
    #[serde(deserialize_with = "lenient::number")]
    pub available_virtual_cores: u64,
    /// Cores held.
    #[serde(deserialize_with = "lenient::number")]
    pub allocated_virtual_cores: u64,
    /// Cores asked for and not given.
    #[serde(deserialize_with = "lenient::number")]
    pub pending_virtual_cores: u64,
    /// All cores.
    #[serde(deserialize_with = "lenient::number")]
    pub total_virtual_cores: u64,
    /// Containers held.
    #[serde(deserialize_with = "lenient::number")]
    pub containers_allocated: u64,
    /// Containers asked for and not given.
    #[serde(deserialize_with = "lenient::number")]
    pub containers_pending: u64,
    /// Nodes known.
    #[serde(deserialize_with = "lenient::number")]
    pub total_nodes: u32,
    /// Nodes that take containers.
    #[serde(deserialize_with = "lenient::number")]
    pub active_nodes: u32,
    /// Nodes that fell silent.
    #[serde(deserialize_with = "lenient::number")]
    pub lost_nodes: u32,
    /// Nodes that are ill.
    #[serde(deserialize_with = "lenient::number")]
    pub unhealthy_nodes: u32,
    /// Nodes out of service.
    #[serde(deserialize_with = "lenient::number")]
    pub decommissioned_nodes: u32,
}
