//! What a cluster may be told at its start.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use hadoop::sasl::Qop;
use yarn_rpc::records::Resource;

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
    /// Cores each NodeManager says it has. Without [`Options::node_resources`] they do not limit anything, as with
    /// Hadoop's default calculator.
    pub node_cores: u32,
    /// What each NodeManager has besides, by name (`yarn.resource-types`, `yarn.nodemanager.resource-type.NAME`). With any,
    /// containers are counted by all that they have, as `DominantResourceCalculator` does.
    pub node_resources: BTreeMap<String, i64>,
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
    /// Silence after which a node is given up (`yarn.nm.liveness-monitor.expiry-interval-ms`).
    pub node_expiry: Duration,
    /// Time after a restart of the ResourceManager in which nothing is granted, so that nodes can tell what they run
    /// (`yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms`).
    pub recovery_wait: Duration,
    /// Whether there are two ResourceManagers, the second one as the standby of the first.
    pub high_availability: bool,
    /// How often containers' memory is looked at, so that those that use too much are killed. None, as with Hadoop's
    /// defaults: never (`yarn.nodemanager.resource.memory.enforced` keeps its monitor from it).
    pub memory_check: Option<Duration>,
    /// The address to listen at. One that other hosts reach needs [`Options::exposed`].
    pub bind: IpAddr,
    /// Whether others than this user on this machine may reach the cluster, who then can run anything in his name.
    pub exposed: bool,
    /// Protections that the RPC services offer (`hadoop.rpc.protection`).
    pub protection: Vec<Qop>,
    /// Containers that are tasks of this process instead of processes.
    pub light: Option<LightContainers>,
    /// Where everything is kept. None: a directory of its own below the system's for temporary files, removed at
    /// the end.
    pub directory: Option<PathBuf>,
}

impl Options {
    /// What each NodeManager has to give.
    pub(crate) fn node_total(&self) -> Resource {
        Resource {
            others: self.node_resources.clone(),
            ..Resource::new(self.node_memory_mb, self.node_cores)
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 2,
            node_memory_mb: 4096,
            node_cores: 4,
            node_resources: BTreeMap::new(),
            pacing: Pacing::Immediate,
            minimum_memory_mb: 64,
            max_attempts: 2,
            master_expiry: Duration::from_secs(600),
            container_expiry: Duration::from_secs(600),
            node_expiry: Duration::from_secs(600),
            recovery_wait: Duration::ZERO,
            high_availability: false,
            memory_check: None,
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            exposed: false,
            protection: vec![Qop::Auth],
            light: None,
            directory: None,
        }
    }
}
