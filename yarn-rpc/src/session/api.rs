//! What goes into and comes out of an ApplicationMaster session.

use crate::records::{
    AclAccess, AllocationRequestId, Container, ContainerStatus, NodeReport, Priority, Resource,
};
use hadoop::ids::ContainerId;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What the ResourceManager keeps one count for.
///
/// To ask for a node in a rack, set three asks with the same priority and allocation request id: the node, its rack
/// and [`ANY`](AskKey::ANY). Without the rack the containers come from elsewhere; without `*` none comes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskKey {
    /// Lower is served first; 0 is the ApplicationMaster's own.
    pub priority: Priority,
    /// Returned with every container; use a distinct one per container size.
    pub allocation_request_id: AllocationRequestId,
    /// A host name, a rack such as `/default-rack`, or `*`.
    pub resource_name: String,
}

impl AskKey {
    /// The resource name for "anywhere".
    pub const ANY: &'static str = "*";

    /// A key for anywhere.
    pub fn any(priority: Priority, allocation_request_id: AllocationRequestId) -> Self {
        Self::named(priority, allocation_request_id, Self::ANY)
    }

    /// A key for a host or rack.
    pub fn named(priority: Priority, allocation_request_id: AllocationRequestId, name: &str) -> Self {
        Self {
            priority,
            allocation_request_id,
            resource_name: name.to_owned(),
        }
    }
}

impl fmt::Display for AskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (priority {}, id {})",
            self.resource_name, self.priority, self.allocation_request_id
        )
    }
}

/// How many containers are **outstanding now** under one key: not a delta, and not how many were ever wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The key.
    pub key: AskKey,
    /// Size of each container. All resource names of one (priority, allocation request id) share one size.
    pub capability: Resource,
    /// Outstanding containers; 0 takes the ask back.
    pub count: u32,
    /// Whether the scheduler may go elsewhere. For "this node only" set it false on the rack and on `*`.
    pub relax_locality: bool,
    /// Node label; allowed on `*` only.
    pub node_label: Option<String>,
}

/// A point in the stream of [`SessionEvent`]s that changed outstanding counts (grants, and grants taken back).
///
/// Counts are absolute, so a count computed before a grant was seen would ask for that container again. Every
/// [`SessionCommand::SetAsk`] therefore says which events its count has taken into account; the session subtracts
/// what was granted since. Copy the number of the last event you handled; start with the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantSeq(pub u64);

/// How an application ends, as the ResourceManager's pages show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FinalStatus {
    /// All well.
    Succeeded,
    /// It failed.
    Failed,
    /// Somebody ended it.
    Killed,
}

/// What the owner wants of the session. Commands take effect with the next heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionCommand {
    /// Sets how many containers are outstanding under a key.
    SetAsk {
        /// Key, size and count.
        ask: Ask,
        /// The last event the count accounts for.
        as_of: GrantSeq,
    },
    /// Gives a container back, started or not; repeated by the session until it is reported completed. Also to be
    /// sent for a container whose start was refused, **before** the ask that replaces it: otherwise a restart of
    /// the ResourceManager, which voids the same container, would make the session replace it once more.
    Release(ContainerId),
    /// A NodeManager accepted the start of this container. Containers granted but not started do not survive a
    /// restart of the ResourceManager; see [`SessionEvent::Resynced`].
    Started(ContainerId),
    /// Changes the hosts and racks on which nothing shall be granted.
    Blacklist {
        /// Names to add.
        add: Vec<String>,
        /// Names to remove.
        remove: Vec<String>,
    },
    /// Progress in 0.0..=1.0, shown by the ResourceManager.
    Progress(f32),
    /// Changes the intervals between heartbeats, from the next one on.
    SetIntervals {
        /// [`Pacing::pending`](super::Pacing::pending).
        pending: Duration,
        /// [`Pacing::idle`](super::Pacing::idle).
        idle: Duration,
    },
    /// A new tracking URL, used by the ResourceManager's proxy at once.
    TrackingUrl(String),
    /// Heartbeat soon, and at the fast pace again.
    Nudge,
    /// Ends the application. The session stops after [`SessionEvent::Unregistered`].
    Unregister {
        /// The verdict.
        status: FinalStatus,
        /// Shown to the user.
        diagnostics: String,
        /// Where the proxy sends people from now on; `None` for the ResourceManager's own page.
        tracking_url: Option<String>,
    },
}

/// What the session tells its owner, in this order within one answer of the ResourceManager.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEvent {
    /// The attempt is registered; asks are heard from now on.
    Registered(Registration),
    /// The ResourceManager had forgotten us; we are registered again and everything outstanding is sent again.
    Resynced {
        /// Granted, not reported [`Started`](SessionCommand::Started): void. The session asks for them again by
        /// itself, that is, the counts of their keys have risen; forget the containers.
        dropped: Vec<ContainerId>,
        /// Containers the ResourceManager knows of, possibly a part of what runs; merge by id.
        recovered: Vec<Container>,
        /// See [`GrantSeq`].
        seq: GrantSeq,
    },
    /// Containers of earlier attempts (or of this one before a resync) that were found later.
    Recovered(Vec<Container>),
    /// Containers have ended, each reported once. May name containers of earlier attempts that nobody mentioned.
    Completed(Vec<ContainerStatus>),
    /// New containers. Their NodeManagers' tokens are already stored.
    Allocated {
        /// The containers.
        containers: Vec<Container>,
        /// See [`GrantSeq`].
        seq: GrantSeq,
    },
    /// Nodes changed state or size.
    NodesUpdated(Vec<NodeReport>),
    /// The scheduler wants containers back.
    Preemption {
        /// These will be killed.
        strict: Vec<ContainerId>,
        /// Candidates; others of the same size may be given instead.
        negotiable: Vec<ContainerId>,
    },
    /// Room left, sent when it changed.
    Headroom {
        /// What the user and the queue might still get; not a promise.
        available: Resource,
        /// Active NodeManagers.
        cluster_nodes: u32,
    },
    /// The ResourceManager refuses an ask; it is removed from the table.
    AskRefused {
        /// Which.
        key: AskKey,
        /// The ResourceManager's words.
        message: String,
    },
    /// Blacklist additions were refused and are forgotten.
    BlacklistRefused {
        /// Which.
        names: Vec<String>,
        /// The ResourceManager's words.
        message: String,
    },
    /// Releases were refused and are forgotten.
    ReleaseRefused {
        /// Which.
        containers: Vec<ContainerId>,
        /// The ResourceManager's words.
        message: String,
    },
    /// The ResourceManager answered. Silence is the absence of this event.
    RmContact {
        /// When it was asked ([`SessionHandle::instant`](super::SessionHandle::instant)): the answer may have waited
        /// for a process that stood still, and says nothing of the time since.
        asked: Duration,
    },
    /// A call failed and will be tried again.
    CallFailed {
        /// `registerApplicationMaster`, `allocate` or `finishApplicationMaster`.
        method: &'static str,
        /// The cause with its chain.
        message: String,
    },
    /// Another attempt has taken over, or the ResourceManager does not know this one any more. Stop everything
    /// without unregistering. The session is over.
    Superseded {
        /// The ResourceManager's words.
        reason: String,
    },
    /// The final status is stored by the ResourceManager. The session is over.
    Unregistered,
}

/// What the ResourceManager says at registration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registration {
    /// Largest container of the queue. `None` when the answer was lost and the ResourceManager only says
    /// "already registered".
    pub maximum: Option<Resource>,
    /// Full path of the queue (`root.default`; `default` on 3.3).
    pub queue: String,
    /// Containers of earlier attempts that still run.
    pub previous: Vec<Container>,
    /// Who may view and modify.
    pub acls: BTreeMap<AclAccess, String>,
    /// Whether cores count in scheduling (otherwise granted containers show one core).
    pub schedules_cores: bool,
}
