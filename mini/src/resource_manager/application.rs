//! Applications and their attempts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hadoop::ids::{ApplicationAttemptId, ApplicationId, ContainerId, NodeId};
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::{ContainerLaunchContext, Resource};

use super::asks::AskTable;
use super::calculator::add;
use super::preemption::Preemption;
use crate::UnixMs;

/// What is submitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The id to run under.
    pub id: ApplicationId,
    /// Name.
    pub name: String,
    /// Type, cut to 20 characters by the ResourceManager.
    pub application_type: String,
    /// Queue as asked for; none means `default`.
    pub queue: Option<String>,
    /// Priority as asked for; -1 if none was.
    pub priority: i32,
    /// Tags.
    pub tags: Vec<String>,
    /// How many attempts it wants; 0 for as many as the cluster gives.
    pub max_attempts: u32,
    /// Whether containers outlive the attempt that started them.
    pub keep_containers: bool,
    /// Failures older than this do not count, in milliseconds; 0 or less: all count.
    pub failures_validity_ms: i64,
    /// Size of the ApplicationMaster's container.
    pub resource: Resource,
    /// What the ApplicationMaster's container runs.
    pub context: Arc<ContainerLaunchContext>,
}

/// How an ApplicationMaster says that it went.
pub type FinalStatus = pb::FinalApplicationStatusProto;

/// How far an application is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApplicationState {
    /// Waits for its ApplicationMaster.
    Accepted,
    /// Its ApplicationMaster has registered.
    Running,
    /// Its ApplicationMaster has unregistered and not ended yet. Shown as finished.
    Finishing,
    /// Ended as its ApplicationMaster said.
    Finished,
    /// Given up, or never begun.
    Failed,
    /// Killed.
    Killed,
}

impl ApplicationState {
    /// Whether it is over.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
    }
}

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttemptState {
    /// Waits for a container.
    Scheduled,
    /// Its container is being started.
    Launched,
    /// Registered.
    Running,
    /// Unregistered, the process has not ended.
    Finishing,
    /// Ended after it unregistered.
    Finished,
    /// Ended without unregistering.
    Failed,
    /// Killed.
    Killed,
}

impl AttemptState {
    /// Whether it is over.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
    }

    /// Whether it must be heard of regularly.
    pub(super) fn is_watched(self) -> bool {
        matches!(self, Self::Launched | Self::Running | Self::Finishing)
    }
}

/// A registered ApplicationMaster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// Host it says it is at.
    pub host: String,
    /// Port there, -1 for none.
    pub rpc_port: i32,
    /// Where its pages are; empty for nowhere.
    pub tracking_url: String,
}

/// An attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its id.
    pub id: ApplicationAttemptId,
    /// How far it is.
    pub state: AttemptState,
    /// Its ApplicationMaster's container, once there is one, and the node's id and web address.
    pub container: Option<(ContainerId, NodeId, String)>,
    /// The ApplicationMaster, once it has registered.
    pub master: Option<Master>,
    /// When it was made.
    pub started_ms: UnixMs,
    /// When it ended, 0 before.
    pub finished_ms: UnixMs,
    /// What was said of its end.
    pub diagnostics: String,
    /// What it waits for.
    pub asks: AskTable,
    /// Names of nodes where it wants nothing.
    pub blacklist: BTreeSet<String>,
    /// Whether its end counts against the attempts.
    pub(super) counts: bool,
    pub(super) heard_ms: UnixMs,
    pub(super) next_container: u64,
    pub(super) last_response: Option<pb::AllocateResponseProto>,
    /// Ends that it was not told yet.
    pub(super) completed: Vec<EndedContainer>,
    /// Ends in the last answer; whoever asks again has had it.
    pub(super) told: Vec<EndedContainer>,
    /// Containers of earlier attempts that were found again after this one had begun.
    pub(super) found: Vec<ContainerId>,
    /// Releases of containers whose nodes have not come back since a restart.
    pub(super) releases: BTreeSet<ContainerId>,
    /// Containers that were resized since the last answer, and requests that were refused.
    pub(super) updated: Vec<pb::UpdatedContainerProto>,
    pub(super) update_errors: Vec<pb::UpdateContainerErrorProto>,
    pub(super) updated_nodes: Vec<pb::NodeReportProto>,
    pub(super) tokens_sent: BTreeSet<NodeId>,
}

/// A container's end, and the node that is to hear that it is known.
pub(super) type EndedContainer = (Option<NodeId>, pb::ContainerStatusProto);

impl Attempt {
    pub(super) fn new(id: ApplicationAttemptId, now: UnixMs) -> Self {
        Self {
            id,
            state: AttemptState::Scheduled,
            container: None,
            master: None,
            started_ms: now,
            finished_ms: 0,
            diagnostics: String::new(),
            asks: AskTable::default(),
            blacklist: BTreeSet::new(),
            counts: false,
            heard_ms: now,
            next_container: 1,
            last_response: None,
            completed: Vec::new(),
            told: Vec::new(),
            found: Vec::new(),
            releases: BTreeSet::new(),
            updated: Vec::new(),
            update_errors: Vec::new(),
            updated_nodes: Vec::new(),
            tokens_sent: BTreeSet::new(),
        }
    }

    /// What a ResourceManager that has restarted does not know any more.
    pub(super) fn forget_registration(&mut self, now: UnixMs) {
        if self.state == AttemptState::Running {
            self.state = AttemptState::Launched;
            self.master = None;
            self.last_response = None;
        }
        self.asks.clear();
        self.blacklist.clear();
        self.tokens_sent.clear();
        self.completed.clear();
        self.told.clear();
        self.found.clear();
        self.updated.clear();
        self.update_errors.clear();
        self.next_container = 1;
        self.heard_ms = now;
    }

    /// Takes over what an earlier attempt was not told, or perhaps did not hear (`transferStateFromAttempt`).
    pub(super) fn inherit(&mut self, last: &mut Self) {
        self.completed = std::mem::take(&mut last.completed);
        self.completed.append(&mut last.told);
        self.found = std::mem::take(&mut last.found);
        // `AppSchedulingInfo.transferStateFromPreviousAppSchedulingInfo`.
        self.blacklist = std::mem::take(&mut last.blacklist);
    }

    pub(super) fn new_container(&mut self, epoch: u32) -> ContainerId {
        let id = ContainerId::with_epoch(self.id, epoch, self.next_container);
        self.next_container += 1;
        id
    }
}

/// A container that somebody holds.
#[derive(Debug, Clone)]
pub struct Granted {
    /// Its id.
    pub id: ContainerId,
    /// Where it is.
    pub node: NodeId,
    /// Web address of the node.
    pub node_http_address: String,
    /// What it holds.
    pub resource: Resource,
    /// The priority it was asked with.
    pub priority: u32,
    /// The number it was asked with.
    pub allocation_request_id: i64,
    /// Whether it is the ApplicationMaster's.
    pub is_master: bool,
    /// When it was granted.
    pub granted_ms: UnixMs,
    /// Whether the ApplicationMaster has heard of it.
    pub pulled: bool,
    /// Whether the node runs it.
    pub running: bool,
    /// When it goes back unless the node runs it; set when the ApplicationMaster hears of it.
    pub expires_ms: Option<UnixMs>,
    /// Raised by every update.
    pub version: i32,
    /// What it held before an increase that its node has not confirmed, and until when that may take.
    pub increased: Option<(Resource, UnixMs)>,
}

/// An application.
#[derive(Debug, Clone)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// Who submitted it.
    pub user: String,
    /// What was submitted.
    pub submission: Submission,
    /// How far it is.
    pub state: ApplicationState,
    /// How it went.
    pub final_status: FinalStatus,
    /// 0.0 to 1.0.
    pub progress: f32,
    /// What is said of it.
    pub diagnostics: String,
    /// When it was submitted.
    pub started_ms: UnixMs,
    /// When its first ApplicationMaster was started, 0 before.
    pub launched_ms: UnixMs,
    /// When it ended, 0 before.
    pub finished_ms: UnixMs,
    /// When it will be killed.
    pub lifetime_expires_ms: Option<UnixMs>,
    /// Where its pages are after the end; empty for nowhere.
    pub final_tracking_url: String,
    /// All attempts; the last one is the current one.
    pub attempts: Vec<Attempt>,
    /// What it holds.
    pub containers: BTreeMap<ContainerId, Granted>,
    /// MiB × milliseconds of containers that have ended.
    pub memory_mb_ms: u64,
    /// Cores × milliseconds of containers that have ended.
    pub vcore_ms: u64,
    pub(super) finish_calls: u32,
    pub(super) preemption: Option<Preemption>,
}

impl Application {
    /// The current attempt, if there ever was one.
    #[must_use]
    pub fn current(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// What all its containers hold together.
    #[must_use]
    pub fn held(&self) -> Resource {
        let mut sum = Resource::default();
        for container in self.containers.values() {
            add(&mut sum, &container.resource);
        }
        sum
    }

    /// Memory and cores it has used over time until `now`, in MiB × seconds and cores × seconds.
    #[must_use]
    pub fn usage_seconds(&self, now: UnixMs) -> (u64, u64) {
        let (mut memory, mut cores) = (self.memory_mb_ms, self.vcore_ms);
        for container in self.containers.values() {
            let time = now.saturating_sub(container.granted_ms);
            memory += container.resource.memory_mb * time;
            cores += u64::from(container.resource.vcores) * time;
        }
        (memory / 1000, cores / 1000)
    }
}
