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
mod lifecycle;
mod master;
mod node;
mod schedule;
mod texts;

#[cfg(test)]
mod tests;

pub use application::{
    Application, ApplicationState, Attempt, AttemptState, FinalStatus, Granted, Master, Submission,
};
pub use asks::{AskTable, Locality, OpenAsk};
pub use node::{Node, NodeFacts};

use std::collections::BTreeMap;
use std::sync::Arc;

use hadoop::credentials::Token;
use hadoop::ids::{ApplicationAttemptId, ApplicationId, ContainerId, NodeId};
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::{ContainerLaunchContext, Resource};

use crate::UnixMs;
use crate::failure::Failure;
use crate::options::Pacing;
use crate::tokens::Keys;

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
    /// `yarn.resourcemanager.am.max-attempts`.
    pub max_attempts: u32,
    /// `yarn.am.liveness-monitor.expiry-interval-ms`.
    pub master_expiry_ms: u64,
    /// `yarn.resourcemanager.rm.container-allocation.expiry-interval-ms`.
    pub container_expiry_ms: u64,
    /// `host:port` of the web pages, for links.
    pub web_address: String,
}

/// What happens to the ResourceManager.
#[derive(Debug, Clone)]
pub enum Event {
    /// A node offers its resources.
    NodeJoined(NodeFacts),
    /// A node's turn to be given containers, where grants are paced by heartbeats.
    NodeHeartbeat(NodeId),
    /// A node is gone with everything on it.
    NodeLost(NodeId),
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
    /// A container is taken from its application, as a scheduler does that wants the room for others.
    ContainerPreempted(ContainerId),
    /// The ResourceManager loses its memory but for what it would have stored: applications, attempts, and what nodes
    /// report to run.
    Restarted,
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
            applications: BTreeMap::new(),
            nodes: BTreeMap::new(),
        }
    }

    /// Takes an event at `now` and appends what is to be done.
    pub fn handle(&mut self, now: UnixMs, event: Event, effects: &mut Effects) {
        match event {
            Event::NodeJoined(facts) => self.node_joined(now, facts, effects),
            Event::NodeHeartbeat(node) => self.node_heartbeat(now, &node, effects),
            Event::NodeLost(node) => self.node_lost(now, &node, effects),
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
            Event::MasterCalled { attempt, call } => {
                let answer = self.master_called(now, attempt, &call, effects);
                effects.push(Effect::Answer(Box::new(answer)));
            }
            Event::ContainerStarted { container, node } => self.container_started(container, node, effects),
            Event::ContainerEnded {
                container,
                exit_status,
                diagnostics,
            } => {
                self.container_ended(now, container, exit_status, &diagnostics, effects);
            }
            Event::ContainerPreempted(container) => self.preempted(now, container, effects),
            Event::Restarted => self.restarted(now),
            Event::DeadlineReached => self.expire(now, effects),
        }
    }

    /// The next moment at which something expires.
    #[must_use]
    pub fn next_deadline(&self) -> Option<UnixMs> {
        let alive = self
            .applications
            .values()
            .filter(|application| !application.state.is_final());
        alive
            .filter_map(|application| self.deadline_of(application))
            .min()
    }

    fn deadline_of(&self, application: &Application) -> Option<UnixMs> {
        let master = application
            .attempts
            .last()
            .filter(|attempt| attempt.state.is_watched());
        let master = master.map(|attempt| attempt.heard_ms + self.settings.master_expiry_ms);
        let grants = application
            .containers
            .values()
            .filter_map(|container| container.expires_ms);
        grants.chain(master).chain(application.lifetime_expires_ms).min()
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

    /// Rounds as `DefaultResourceCalculator` does: memory up, one core whatever was asked.
    fn normalised(&self, asked: &Resource) -> Resource {
        let step = self.settings.minimum_memory_mb.max(1);
        let memory = asked.memory_mb.max(1).div_ceil(step) * step;
        Resource::new(memory.min(self.settings.maximum.memory_mb), 1)
    }
}
