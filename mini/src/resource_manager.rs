//! The ResourceManager without sockets, clock or randomness.
//!
//! Owns applications, their attempts, what is asked, granted and given back, and the nodes with what is free on them.
//! [`ResourceManager::handle`] takes what happened and appends what is to be done; the shell carries that out.
//!
//! Invariants, which the property test checks after every event: a node's used resources are the sum of its
//! containers' (a); no node is used beyond what it has (b); an application that has ended holds nothing (c); a response
//! id rises by one with every heartbeat that is not a repetition (d).

mod application;
mod asks;
mod calculator;
mod check;
mod expiry;
mod lifecycle;
mod master;
mod node;
mod preemption;
mod recovery;
mod schedule;
mod texts;
mod tracker;
mod updates;

#[cfg(test)]
mod tests;

pub use application::{
    Application, ApplicationState, Attempt, AttemptState, FinalStatus, Granted, Master, Submission,
};
pub use asks::{AskTable, Locality, OpenAsk};
pub use calculator::Calculator;
pub(crate) use check::{check_label, check_size};
pub use node::{ContainerReport, Node, NodeFacts};
pub use preemption::Contract;
pub use recovery::Recovery;

use std::collections::BTreeMap;
use std::sync::Arc;

use hadoop::credentials::Token;
use hadoop::ids::{ApplicationAttemptId, ApplicationId, ContainerId, NodeId};
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::{ContainerLaunchContext, NodeState, Resource};

use crate::UnixMs;
use crate::failure::Failure;
use crate::options::Pacing;
use crate::tokens::{Keys, TokenKind};

/// The one queue there is, as releases since 3.4 name it.
pub const QUEUE: &str = "root.default";

/// What does not change while the ResourceManager runs. Times are in milliseconds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// When it was started; part of every application's id.
    pub started_ms: UnixMs,
    /// When grants are made.
    pub pacing: Pacing,
    /// Memory is rounded up to multiples of this, in MiB (`yarn.scheduler.minimum-allocation-mb`).
    pub minimum_memory_mb: u64,
    /// The largest container.
    pub maximum: Resource,
    /// How containers are counted.
    pub calculator: Calculator,
    /// `yarn.resourcemanager.am.max-attempts`.
    pub max_attempts: u32,
    /// `yarn.am.liveness-monitor.expiry-interval-ms`.
    pub master_expiry_ms: u64,
    /// `yarn.resourcemanager.rm.container-allocation.expiry-interval-ms`.
    pub container_expiry_ms: u64,
    /// `yarn.nm.liveness-monitor.expiry-interval-ms`.
    pub node_expiry_ms: u64,
    /// `yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms`.
    pub recovery_wait_ms: u64,
    /// `host:port` of the web pages, for links.
    pub web_address: String,
}

/// What happens to the ResourceManager.
#[derive(Debug, Clone)]
pub enum Event {
    /// A node offers its resources, and says what it runs.
    NodeJoined {
        /// What it is.
        facts: NodeFacts,
        /// Containers that run, and those whose end nobody acknowledged.
        containers: Vec<ContainerReport>,
    },
    /// A node's turn to be given containers, where grants are paced by heartbeats.
    NodeHeartbeat(NodeId),
    /// A node is gone with everything on it.
    NodeLost(NodeId),
    /// A node ends in good order and says so.
    NodeStopped(NodeId),
    /// A node is not heard of any more.
    NodeSilent(NodeId),
    /// A node says that it is ill, or well again.
    NodeHealth {
        /// Which.
        node: NodeId,
        /// What ails it.
        problem: Option<String>,
    },
    /// A node is to be taken out of service.
    NodeDecommissioned {
        /// Which.
        node: NodeId,
        /// How long its containers may take to end, in milliseconds; none: not at all.
        timeout_ms: Option<u64>,
    },
    /// A node that is being taken out is to stay.
    NodeRecommissioned(NodeId),
    /// Somebody submits an application.
    Submitted {
        /// Who.
        user: String,
        /// What.
        submission: Box<Submission>,
    },
    /// Somebody wants an application dead.
    KillRequested {
        /// Which.
        application: ApplicationId,
        /// Who.
        user: String,
        /// Why.
        diagnostics: Option<String>,
    },
    /// Somebody says until when an application may live.
    LifetimeSet {
        /// Which.
        application: ApplicationId,
        /// Until when.
        expires_ms: UnixMs,
    },
    /// An ApplicationMaster calls; answered by [`Effect::Answer`].
    MasterCalled {
        /// Who, as its token says.
        attempt: ApplicationAttemptId,
        /// The key of that token.
        key: i32,
        /// What.
        call: Box<MasterCall>,
    },
    /// A NodeManager has the container's process.
    ContainerStarted {
        /// Which.
        container: ContainerId,
        /// Where.
        node: NodeId,
    },
    /// A container has ended.
    ContainerEnded {
        /// Which.
        container: ContainerId,
        /// Exit code, or one of YARN's own below zero.
        exit_status: i32,
        /// What the NodeManager says of it.
        diagnostics: String,
    },
    /// A node was shown the token of an increased container.
    IncreaseConfirmed {
        /// Which.
        container: ContainerId,
        /// The version that the token names.
        version: i32,
    },
    /// A container is taken from its application, as a scheduler does that wants the room for others.
    ContainerPreempted(ContainerId),
    /// The same, said beforehand.
    PreemptionAnnounced {
        /// Which; those of ApplicationMasters are left alone.
        containers: Vec<ContainerId>,
        /// Whether the application may give others instead.
        contract: Contract,
        /// Time until they are taken, in milliseconds.
        grace_ms: u64,
    },
    /// Tokens of ApplicationMasters get a new key; it becomes the only one after one and a half times the silence that
    /// is granted to them (`AMRMTokenSecretManager`). Keys of nodes and containers change at once.
    KeyRolled(TokenKind),
    /// A rolled key of ApplicationMasters becomes the only one before its time.
    KeyActivated,
    /// No token of this kind that was made until now is good any more.
    TokensExpired(TokenKind),
    /// The ResourceManager begins again, or another one takes over.
    Restarted {
        /// What is left.
        recovery: Recovery,
        /// `host:port` of its web pages.
        web_address: String,
    },
    /// [`ResourceManager::next_deadline`] has come.
    DeadlineReached,
}

/// `ApplicationMasterProtocol`.
#[derive(Debug, Clone)]
pub enum MasterCall {
    /// `registerApplicationMaster`.
    Register(pb::RegisterApplicationMasterRequestProto),
    /// `allocate`.
    Allocate(pb::AllocateRequestProto),
    /// `finishApplicationMaster`.
    Finish(pb::FinishApplicationMasterRequestProto),
}

/// The answer to a [`MasterCall`].
#[derive(Debug, Clone, PartialEq)]
pub enum MasterAnswer {
    /// To `registerApplicationMaster`.
    Registered(Box<pb::RegisterApplicationMasterResponseProto>),
    /// To `allocate`.
    Allocated(Box<pb::AllocateResponseProto>),
    /// To `finishApplicationMaster`.
    Finished(pb::FinishApplicationMasterResponseProto),
}

/// What the ResourceManager wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Answer the call of this event.
    Answer(Box<Result<MasterAnswer, Failure>>),
    /// Start the container of an ApplicationMaster.
    StartMaster {
        /// Where.
        node: NodeId,
        /// Which attempt.
        attempt: ApplicationAttemptId,
        /// With what right.
        token: Token,
        /// What; the attempt's own token is not in it yet.
        context: Arc<ContainerLaunchContext>,
        /// When the application was submitted.
        submitted_ms: UnixMs,
    },
    /// End a container.
    KillContainer {
        /// Where.
        node: NodeId,
        /// Which.
        container: ContainerId,
    },
    /// The ApplicationMaster knows of the container's end: its node need not.
    ForgetContainer {
        /// Where.
        node: NodeId,
        /// Which.
        container: ContainerId,
    },
    /// End whatever an application still has, everywhere, and its files.
    EndApplication(ApplicationId),
}

/// The effects of an event, in order.
pub type Effects = Vec<Effect>;

/// See the [module](self).
#[derive(Debug)]
pub struct ResourceManager {
    settings: Settings,
    keys: Arc<Keys>,
    next_application: u32,
    /// How often it has recovered; part of the ids of containers.
    epoch: u32,
    /// Until when nothing is granted after a restart.
    resumes_ms: Option<UnixMs>,
    /// When a rolled key of ApplicationMasters becomes the only one.
    activates_ms: Option<UnixMs>,
    applications: BTreeMap<ApplicationId, Application>,
    nodes: BTreeMap<NodeId, Node>,
}

impl ResourceManager {
    /// A ResourceManager without nodes and applications.
    #[must_use]
    pub fn new(settings: Settings, keys: Arc<Keys>) -> Self {
        Self {
            settings,
            keys,
            next_application: 1,
            epoch: 0,
            resumes_ms: None,
            activates_ms: None,
            applications: BTreeMap::new(),
            nodes: BTreeMap::new(),
        }
    }

    /// Takes an event at `now` and appends what is to be done.
    pub fn handle(&mut self, now: UnixMs, event: Event, effects: &mut Effects) {
        match event {
            Event::NodeJoined { facts, containers } => self.node_joined(now, facts, &containers, effects),
            Event::NodeHeartbeat(node) => self.node_heartbeat(now, &node, effects),
            Event::NodeLost(node) => self.node_gone(now, &node, NodeState::Lost, effects),
            Event::NodeStopped(node) => self.node_gone(now, &node, NodeState::Shutdown, effects),
            Event::NodeSilent(node) => self.node_silent(now, &node),
            Event::NodeHealth { node, problem } => self.node_health(now, &node, problem, effects),
            Event::NodeDecommissioned { node, timeout_ms } => {
                self.decommission(now, &node, timeout_ms, effects);
            }
            Event::NodeRecommissioned(node) => self.recommission(now, &node, effects),
            Event::Submitted { user, submission } => self.submitted(now, user, *submission, effects),
            Event::KillRequested {
                application,
                user,
                diagnostics,
            } => {
                let text = texts::killed(application, &user, diagnostics.as_deref());
                self.kill(now, application, text, effects);
            }
            Event::LifetimeSet {
                application,
                expires_ms,
            } => {
                if let Some(application) = self.applications.get_mut(&application) {
                    application.lifetime_expires_ms = Some(expires_ms);
                }
            }
            Event::MasterCalled { attempt, key, call } => {
                let answer = self.master_called(now, (attempt, key), &call, effects);
                effects.push(Effect::Answer(Box::new(answer)));
            }
            Event::ContainerStarted { container, node } => self.container_started(container, &node, effects),
            Event::ContainerEnded {
                container,
                exit_status,
                diagnostics,
            } => {
                self.container_ended(now, container, exit_status, &diagnostics, effects);
            }
            Event::IncreaseConfirmed { container, version } => self.increase_confirmed(container, version),
            Event::ContainerPreempted(container) => self.preempted(now, container, effects),
            Event::PreemptionAnnounced {
                containers,
                contract,
                grace_ms,
            } => self.announce_preemption(now, &containers, contract, grace_ms),
            Event::KeyRolled(kind) => self.key_rolled(now, kind),
            Event::KeyActivated => {
                self.activates_ms = None;
                self.keys.activate(TokenKind::Master);
            }
            Event::TokensExpired(kind) => self.tokens_expired(kind),
            Event::Restarted {
                recovery,
                web_address,
            } => self.restarted(now, recovery, web_address),
            Event::DeadlineReached => self.expire(now, effects),
        }
        self.leave_if_empty(now, effects);
    }

    fn key_rolled(&mut self, now: UnixMs, kind: TokenKind) {
        self.keys.roll(kind);
        match kind {
            TokenKind::Master => {
                let delay = self.settings.master_expiry_ms.saturating_mul(3) / 2;
                self.activates_ms = Some(now.saturating_add(delay));
            }
            TokenKind::Node => self.forget_sent_tokens(),
            TokenKind::Container => {}
        }
    }

    fn tokens_expired(&mut self, kind: TokenKind) {
        self.keys.expire(kind);
        match kind {
            TokenKind::Master => self.activates_ms = None,
            TokenKind::Node => self.forget_sent_tokens(),
            TokenKind::Container => {}
        }
    }

    /// With the next container on it, an attempt gets a token for a node again (`NMTokenSecretManagerInRM`).
    fn forget_sent_tokens(&mut self) {
        for application in self.applications.values_mut() {
            if let Some(attempt) = application.attempts.last_mut() {
                attempt.tokens_sent.clear();
            }
        }
    }

    /// An id for a new application (`new-application`).
    pub fn new_application_id(&mut self) -> ApplicationId {
        let id = ApplicationId::new(self.settings.started_ms, self.next_application);
        self.next_application += 1;
        id
    }

    /// Whether the attempt's token may open connections.
    #[must_use]
    pub fn knows_attempt(&self, attempt: ApplicationAttemptId) -> bool {
        let application = self.applications.get(&attempt.application);
        let current = application.and_then(|application| application.attempts.last());
        current.is_some_and(|current| current.id == attempt && !current.state.is_final())
    }

    /// What does not change.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// All applications by id.
    pub fn applications(&self) -> impl Iterator<Item = &Application> {
        self.applications.values()
    }

    /// One application.
    #[must_use]
    pub fn application(&self, id: ApplicationId) -> Option<&Application> {
        self.applications.get(&id)
    }

    /// All nodes, lost ones too, by id.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// The largest container that can be had now.
    #[must_use]
    pub fn maximum(&self) -> &Resource {
        &self.settings.maximum
    }

    fn normalised(&self, asked: &Resource) -> Resource {
        let (step, maximum) = (self.settings.minimum_memory_mb.max(1), &self.settings.maximum);
        self.settings.calculator.normalise(asked, step, maximum)
    }
}
