//! What a cluster may be told at its start.

use std::path::PathBuf;
use std::time::Duration;

use hadoop::sasl::Qop;

use crate::node_manager::LightContainers;

/// When asks are granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pacing {
    /// In the answer to the heartbeat that asks, as far as there is room.
    Immediate,
    /// When a node's turn comes, as the Capacity Scheduler does by default: containers on nodes or in racks that
    /// were named as many as fit, others one per turn.
    NodeHeartbeats(Duration),
}

/// A cluster to start. `Options::default()` is what a newcomer gets.
#[derive(Debug, Clone)]
pub struct Options {
    /// NodeManagers.
    pub nodes: usize,
    /// What each NodeManager gives to containers, in MiB.
    pub node_memory_mb: u64,
    /// Cores each NodeManager says it has. They do not limit anything, as with Hadoop's default calculator.
    pub node_cores: u32,
    /// When asks are granted.
    pub pacing: Pacing,
    /// Container memory is rounded up to multiples of this, in MiB.
    pub minimum_memory_mb: u64,
    /// The most attempts of an application.
    pub max_attempts: u32,
    /// Silence after which an ApplicationMaster is given up.
    pub master_expiry: Duration,
    /// Time between a grant and its start after which it is taken back.
    pub container_expiry: Duration,
    /// Protections that the RPC services offer (`hadoop.rpc.protection`).
    pub protection: Vec<Qop>,
    /// Containers that are tasks of this process instead of processes.
    pub light: Option<LightContainers>,
    /// Where everything is kept. None: a directory of its own below the system's for temporary files, removed at
    /// the end.
    pub directory: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 2,
            node_memory_mb: 4096,
            node_cores: 4,
            pacing: Pacing::Immediate,
            minimum_memory_mb: 64,
            max_attempts: 2,
            master_expiry: Duration::from_secs(600),
            container_expiry: Duration::from_secs(600),
            protection: vec![Qop::Auth],
            light: None,
            directory: None,
        }
    }
}
