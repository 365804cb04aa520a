//! Nodes and what is free on them.

use hadoop::ids::NodeId;
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::Resource;

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// Address of its containers' service.
    pub id: NodeId,
    /// `host:port` of its web server.
    pub http_address: String,
    /// Rack.
    pub rack: String,
    /// What it has to give.
    pub total: Resource,
}

/// A node.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it says of itself.
    pub facts: NodeFacts,
    /// What containers on it hold.
    pub used: Resource,
    /// How many containers hold that.
    pub containers: u32,
    /// Whether it is gone.
    pub lost: bool,
}

impl Node {
    pub(super) fn new(facts: NodeFacts) -> Self {
        Self {
            facts,
            used: Resource::default(),
            containers: 0,
            lost: false,
        }
    }

    /// The name by which asks and blacklists mean this node. Several nodes share a host here, so the port is in it
    /// (`yarn.scheduler.include-port-in-node-name`).
    #[must_use]
    pub fn name(&self) -> String {
        self.facts.id.to_string()
    }

    /// MiB that nobody holds.
    #[must_use]
    pub fn free_memory_mb(&self) -> u64 {
        if self.lost {
            return 0;
        }
        self.facts.total.memory_mb.saturating_sub(self.used.memory_mb)
    }

    pub(super) fn take(&mut self, resource: &Resource) {
        self.used.memory_mb += resource.memory_mb;
        self.used.vcores += resource.vcores;
        self.containers += 1;
    }

    pub(super) fn give_back(&mut self, resource: &Resource) {
        self.used.memory_mb = self.used.memory_mb.saturating_sub(resource.memory_mb);
        self.used.vcores = self.used.vcores.saturating_sub(resource.vcores);
        self.containers = self.containers.saturating_sub(1);
    }

    /// As ApplicationMasters hear of it.
    pub(super) fn report(&self) -> pb::NodeReportProto {
        let state = match self.lost {
            true => pb::NodeStateProto::NsLost,
            false => pb::NodeStateProto::NsRunning,
        };
        pb::NodeReportProto {
            node_id: Some((&self.facts.id).into()),
            http_address: Some(self.facts.http_address.clone()),
            rack_name: Some(self.facts.rack.clone()),
            used: Some((&self.used).into()),
            capability: Some((&self.facts.total).into()),
            num_containers: i32::try_from(self.containers).ok(),
            node_state: Some(state as i32),
            ..Default::default()
        }
    }
}
