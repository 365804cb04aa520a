//! Nodes of the cluster.

use serde::Deserialize;

use super::name::names;
use crate::lenient;

names! {
    /// The state of a node.
    NodeState {
        /// Known, not yet registered.
        New = "NEW",
        /// Takes containers.
        Running = "RUNNING",
        /// Its health check fails; takes no containers.
        Unhealthy = "UNHEALTHY",
        /// Taken out of service.
        Decommissioned = "DECOMMISSIONED",
        /// Being taken out of service.
        Decommissioning = "DECOMMISSIONING",
        /// Silent for too long.
        Lost = "LOST",
        /// Came back under the same id.
        Rebooted = "REBOOTED",
        /// Went down in an orderly way.
        Shutdown = "SHUTDOWN",
    }
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Node {
    /// The id, `host:port`.
    pub id: String,
    /// The rack.
    #[serde(default, deserialize_with = "lenient::text")]
    pub rack: String,
    /// The state.
    pub state: NodeState,
    /// The host name, as the ResourceManager resolved it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub node_host_name: String,
    /// Web address, `host:port`. Absent for nodes that are gone.
    #[serde(rename = "nodeHTTPAddress", default, deserialize_with = "lenient::some_text")]
    pub node_http_address: Option<String>,
    /// What the health check said; empty if all is well.
    #[serde(default, deserialize_with = "lenient::text")]
    pub health_report: String,
    /// Hadoop release of the node.
    #[serde(default, deserialize_with = "lenient::text")]
    pub version: String,
    /// Containers on it.
    #[serde(default, deserialize_with = "lenient::number")]
    pub num_containers: u32,
    /// Memory in use.
    #[serde(rename = "usedMemoryMB", default, deserialize_with = "lenient::number")]
    pub used_memory_mb: u64,
    /// Memory left.
    #[serde(rename = "availMemoryMB", default, deserialize_with = "lenient::number")]
    pub available_memory_mb: u64,
    /// Cores in use.
    #[serde(default, deserialize_with = "lenient::number")]
    pub used_virtual_cores: u32,
    /// Cores left.
    #[serde(default, deserialize_with = "lenient::number")]
    pub available_virtual_cores: u32,
    /// Its labels.
    #[serde(default, deserialize_with = "lenient::texts")]
    pub node_labels: Vec<String>,
}
