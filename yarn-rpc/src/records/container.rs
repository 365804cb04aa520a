//! Containers: granted, running, ended.

use super::{
    RecordError, Resource,
    ids::{required, unsigned},
};
use crate::proto::yarn as pb;
use hadoop::credentials::Token;
use hadoop::ids::{ContainerId, NodeId};
use std::fmt;

/// How urgent a request is within its application: a **lower** number is served first.
/// Priority 0 is what the ResourceManager uses for the ApplicationMaster itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(pub u32);

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Chosen by the application, echoed in every container granted for the request; the sound way to match the two.
/// Within one priority and one such id there is one size of container only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationRequestId(pub i64);

impl AllocationRequestId {
    /// What a request has that sets none.
    pub const UNSET: Self = Self(-1);
}

impl fmt::Display for AllocationRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether the container is sure of its resources once granted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExecutionType {
    /// The usual kind.
    #[default]
    Guaranteed,
    /// May queue at the node, and is killed when a guaranteed one needs the room.
    Opportunistic,
}

impl From<ExecutionType> for pb::ExecutionTypeProto {
    fn from(kind: ExecutionType) -> Self {
        match kind {
            ExecutionType::Guaranteed => Self::Guaranteed,
            ExecutionType::Opportunistic => Self::Opportunistic,
        }
    }
}

impl From<pb::ExecutionTypeProto> for ExecutionType {
    fn from(kind: pb::ExecutionTypeProto) -> Self {
        match kind {
            pb::ExecutionTypeProto::Guaranteed => Self::Guaranteed,
            pb::ExecutionTypeProto::Opportunistic => Self::Opportunistic,
        }
    }
}

/// A granted container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// Where it is; also the address to start it at.
    pub node: NodeId,
    /// `host:port` of that node's web pages.
    pub node_http_address: String,
    /// Its size after rounding.
    pub resource: Resource,
    /// The priority it was asked with.
    pub priority: Priority,
    /// The id it was asked with.
    pub allocation_request_id: AllocationRequestId,
    /// Guaranteed or not.
    pub execution_type: ExecutionType,
    /// Raised by every update of the container.
    pub version: i32,
    /// To be shown to the NodeManager verbatim. Absent in containers of earlier attempts.
    pub token: Option<Token>,
}

impl TryFrom<&pb::ContainerProto> for Container {
    type Error = RecordError;

    fn try_from(container: &pb::ContainerProto) -> Result<Self, RecordError> {
        let priority = container.priority.as_ref().map_or(0, pb::PriorityProto::priority);
        Ok(Self {
            id: required(container.id.as_ref(), "container id")?.try_into()?,
            node: required(container.node_id.as_ref(), "nodeId")?.try_into()?,
            node_http_address: container.node_http_address().to_owned(),
            resource: container
                .resource
                .as_ref()
                .map(Resource::from)
                .unwrap_or_default(),
            priority: Priority(unsigned(i64::from(priority), "priority")?),
            allocation_request_id: AllocationRequestId(container.allocation_request_id()),
            execution_type: container.execution_type().into(),
            version: container.version(),
            token: container.container_token.as_ref().map(Into::into),
        })
    }
}

impl From<&Container> for pb::ContainerProto {
    fn from(container: &Container) -> Self {
        let priority = i32::try_from(container.priority.0).unwrap_or(i32::MAX);
        Self {
            id: Some(container.id.into()),
            node_id: Some((&container.node).into()),
            node_http_address: Some(container.node_http_address.clone()),
            resource: Some((&container.resource).into()),
            priority: Some(pb::PriorityProto {
                priority: Some(priority),
            }),
            container_token: container.token.as_ref().map(Into::into),
            execution_type: Some(pb::ExecutionTypeProto::from(container.execution_type) as i32),
            allocation_request_id: Some(container.allocation_request_id.0),
            version: Some(container.version),
            allocation_tags: Vec::new(),
        }
    }
}

/// The three states a status can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContainerState {
    /// Not sent by any known release.
    New,
    /// From the acceptance of the start until clean-up ends, **not** "the process runs".
    Running,
    /// Over.
    Complete,
}

/// What a NodeManager does with a container right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContainerSubState {
    /// New, localizing or queued.
    Scheduled,
    /// The process is up (also while it is being killed).
    Running,
    /// Paused in favour of another.
    Paused,
    /// Ended or failed to localize; cleaning up.
    Completing,
    /// Cleaned up.
    Done,
}

impl From<pb::ContainerSubStateProto> for ContainerSubState {
    fn from(state: pb::ContainerSubStateProto) -> Self {
        match state {
            pb::ContainerSubStateProto::CssScheduled => Self::Scheduled,
            pb::ContainerSubStateProto::CssRunning => Self::Running,
            pb::ContainerSubStateProto::CssPaused => Self::Paused,
            pb::ContainerSubStateProto::CssCompleting => Self::Completing,
            pb::ContainerSubStateProto::CssDone => Self::Done,
        }
    }
}

/// A container's state, from the ResourceManager (ended ones) or a NodeManager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerStatus {
    /// Which container; may belong to an earlier attempt of the application.
    pub id: ContainerId,
    /// Its state.
    pub state: ContainerState,
    /// Finer state; NodeManagers only.
    pub sub_state: Option<ContainerSubState>,
    /// 0..=255 is the process's own code, negative values are YARN's (-100 aborted, -102 preempted, …),
    /// -1000 means not ended or never started.
    pub exit_status: i32,
    /// Text for a person: file tails, causes.
    pub diagnostics: String,
    /// Its size, when told.
    pub capability: Option<Resource>,
}

impl TryFrom<&pb::ContainerStatusProto> for ContainerStatus {
    type Error = RecordError;

    fn try_from(status: &pb::ContainerStatusProto) -> Result<Self, RecordError> {
        let state = match status.state() {
            pb::ContainerStateProto::CNew => ContainerState::New,
            pb::ContainerStateProto::CRunning => ContainerState::Running,
            pb::ContainerStateProto::CComplete => ContainerState::Complete,
        };
        let sub_state = status.container_sub_state;
        Ok(Self {
            id: required(status.container_id.as_ref(), "container_id")?.try_into()?,
            state,
            sub_state: sub_state
                .and_then(|s| pb::ContainerSubStateProto::try_from(s).ok())
                .map(Into::into),
            exit_status: status.exit_status(),
            diagnostics: status.diagnostics().to_owned(),
            capability: status.capability.as_ref().map(Into::into),
        })
    }
}

/// The token that opens connections to one NodeManager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NmToken {
    /// The NodeManager it is good for.
    pub node: NodeId,
    /// The token.
    pub token: Token,
}

impl TryFrom<&pb::NmTokenProto> for NmToken {
    type Error = RecordError;

    fn try_from(token: &pb::NmTokenProto) -> Result<Self, RecordError> {
        Ok(Self {
            node: required(token.node_id.as_ref(), "nodeId")?.try_into()?,
            token: required(token.token.as_ref(), "token")?.into(),
        })
    }
}
