//! Nodes and what is free on them.

use hadoop::ids::{ContainerId, NodeId};
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::{NodeState, Resource};

use super::calculator::{add, less};
use crate::UnixMs;
use crate::tokens::ContainerGrant;

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

/// What a node says of a container when it registers (`NMContainerStatus`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerReport {
    /// What it was started with.
    pub grant: ContainerGrant,
    /// Exit status and diagnostics if it has ended and nobody said yet that he knows.
    pub end: Option<(i32, String)>,
}

impl ContainerReport {
    /// Which container.
    #[must_use]
    pub fn id(&self) -> ContainerId {
        self.grant.container
    }
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
    /// How it is.
    pub state: NodeState,
    /// Why it is unhealthy, if it is.
    pub health: String,
    /// When it is given up, if it is silent; or out, if it is being taken out.
    pub deadline_ms: Option<UnixMs>,
}

impl Node {
    pub(super) fn new(facts: NodeFacts) -> Self {
        Self {
            facts,
            used: Resource::default(),
            containers: 0,
            state: NodeState::Running,
            health: String::new(),
            deadline_ms: None,
        }
    }

    /// The name by which asks and blacklists mean this node. Several nodes share a host here, so the port is in it
    /// (`yarn.scheduler.include-port-in-node-name`).
    #[must_use]
    pub fn name(&self) -> String {
        self.facts.id.to_string()
    }

    /// Whether containers on it may run: it has joined, and is neither lost nor out.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.state, NodeState::Running | NodeState::Decommissioning)
    }

    /// Whether it may be given containers.
    #[must_use]
    pub fn takes_containers(&self) -> bool {
        self.state == NodeState::Running
    }

    /// What nobody holds and may be given.
    #[must_use]
    pub fn free(&self) -> Resource {
        if !self.takes_containers() {
            return Resource::default();
        }
        less(&self.facts.total, &self.used)
    }

    /// MiB that nobody holds and that may be given.
    #[must_use]
    pub fn free_memory_mb(&self) -> u64 {
        self.free().memory_mb
    }

    /// The state's name, as REST and Java have it.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        self.wire_state().as_str_name().trim_start_matches("NS_")
    }

    fn wire_state(&self) -> pb::NodeStateProto {
        match self.state {
            NodeState::New | NodeState::Unknown => pb::NodeStateProto::NsNew,
            NodeState::Running => pb::NodeStateProto::NsRunning,
            NodeState::Unhealthy => pb::NodeStateProto::NsUnhealthy,
            NodeState::Decommissioned => pb::NodeStateProto::NsDecommissioned,
            NodeState::Lost => pb::NodeStateProto::NsLost,
            NodeState::Rebooted => pb::NodeStateProto::NsRebooted,
            NodeState::Decommissioning => pb::NodeStateProto::NsDecommissioning,
            NodeState::Shutdown => pb::NodeStateProto::NsShutdown,
        }
    }

    fn update(&self) -> pb::NodeUpdateTypeProto {
        match self.state {
            NodeState::Running => pb::NodeUpdateTypeProto::NodeUsable,
            NodeState::Decommissioning => pb::NodeUpdateTypeProto::NodeDecommissioning,
            _ => pb::NodeUpdateTypeProto::NodeUnusable,
        }
    }

    pub(super) fn take(&mut self, resource: &Resource) {
        add(&mut self.used, resource);
        self.containers += 1;
    }

    pub(super) fn give_back(&mut self, resource: &Resource) {
        self.used = less(&self.used, resource);
        self.containers = self.containers.saturating_sub(1);
    }

    /// As ApplicationMasters and clients hear of it.
    pub(crate) fn report(&self) -> pb::NodeReportProto {
        pb::NodeReportProto {
            node_id: Some((&self.facts.id).into()),
            http_address: Some(self.facts.http_address.clone()),
            rack_name: Some(self.facts.rack.clone()),
            used: Some((&self.used).into()),
            capability: Some((&self.facts.total).into()),
            num_containers: i32::try_from(self.containers).ok(),
            node_state: Some(self.wire_state() as i32),
            health_report: Some(self.health.clone()),
            node_update_type: Some(self.update() as i32),
            ..Default::default()
        }
    }
}
