//! Nodes as the ResourceManager reports them.

use super::{RecordError, Resource, ids::required};
use crate::proto::yarn as pb;
use hadoop::ids::NodeId;

/// What the ResourceManager thinks of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeState {
    /// Known, not yet heard of.
    New,
    /// Usable.
    Running,
    /// Its health script or its disks complain.
    Unhealthy,
    /// Taken out.
    Decommissioned,
    /// No heartbeat for the expiry interval. Its processes may live on.
    Lost,
    /// Came back under the same name.
    Rebooted,
    /// Being taken out: running containers may end, no new ones come.
    Decommissioning,
    /// Ended in an orderly way.
    Shutdown,
    /// A state of a later release.
    Unknown,
}

impl NodeState {
    /// Whether containers may still be started there.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::New | Self::Running | Self::Unknown)
    }
}

impl From<pb::NodeStateProto> for NodeState {
    fn from(state: pb::NodeStateProto) -> Self {
        match state {
            pb::NodeStateProto::NsNew => Self::New,
            pb::NodeStateProto::NsRunning => Self::Running,
            pb::NodeStateProto::NsUnhealthy => Self::Unhealthy,
            pb::NodeStateProto::NsDecommissioned => Self::Decommissioned,
            pb::NodeStateProto::NsLost => Self::Lost,
            pb::NodeStateProto::NsRebooted => Self::Rebooted,
            pb::NodeStateProto::NsDecommissioning => Self::Decommissioning,
            pb::NodeStateProto::NsShutdown => Self::Shutdown,
        }
    }
}

/// A node whose state or size changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    /// The address of its NodeManager.
    pub id: NodeId,
    /// Its state now.
    pub state: NodeState,
    /// Rack name such as `/default-rack`.
    pub rack: Option<String>,
    /// `host:port` of the NodeManager's web pages.
    pub http_address: Option<String>,
    /// All it has.
    pub capability: Option<Resource>,
    /// What containers hold.
    pub used: Option<Resource>,
    /// Why it is unhealthy, if it is.
    pub health_report: String,
    /// Its labels.
    pub labels: Vec<String>,
}

impl TryFrom<&pb::NodeReportProto> for NodeReport {
    type Error = RecordError;

    fn try_from(report: &pb::NodeReportProto) -> Result<Self, RecordError> {
        let state = report
            .node_state
            .and_then(|state| pb::NodeStateProto::try_from(state).ok());
        Ok(Self {
            id: required(report.node_id.as_ref(), "nodeId")?.try_into()?,
            state: state.map_or(NodeState::Unknown, Into::into),
            rack: report.rack_name.clone(),
            http_address: report.http_address.clone(),
            capability: report.capability.as_ref().map(Into::into),
            used: report.used.as_ref().map(Into::into),
            health_report: report.health_report().to_owned(),
            labels: report.node_labels.clone(),
        })
    }
}
