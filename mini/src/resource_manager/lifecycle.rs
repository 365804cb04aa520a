//! Beginnings and ends: of nodes, applications, attempts and containers.

use std::collections::BTreeMap;

use hadoop::ids::{ApplicationId, ContainerId, NodeId};
use yarn_rpc::proto::yarn as pb;

use super::application::{
    Application, ApplicationState, Attempt, AttemptState, FinalStatus, Granted, Submission,
};
use super::node::{Node, NodeFacts};
use super::{Effect, Effects, QUEUE, ResourceManager, texts};
use crate::UnixMs;

/// `ContainerExitStatus.ABORTED`: given back, expired, or its node was lost.
pub(super) const ABORTED: i32 = -100;
/// `ContainerExitStatus.PREEMPTED`.
const PREEMPTED: i32 = -102;
/// Exit statuses that are not the ApplicationMaster's fault (`RMAppAttemptImpl.shouldCountTowardsMaxAttemptRetry`):
/// aborted, disks failed, preempted, killed by the ResourceManager.
const NOT_COUNTED: [i32; 4] = [ABORTED, -101, PREEMPTED, -106];
/// YARN cuts longer application types.
const LONGEST_TYPE: usize = 20;

type Nodes = BTreeMap<NodeId, Node>;

impl ResourceManager {
    pub(super) fn node_joined(&mut self, now: UnixMs, facts: NodeFacts, effects: &mut Effects) {
        let node = Node::new(facts);
        self.announce(&node);
        self.nodes.insert(node.facts.id.clone(), node);
        self.schedule_at_once(now, effects);
    }

    pub(super) fn node_lost(&mut self, now: UnixMs, id: &NodeId, effects: &mut Effects) {
        let Some(node) = self.nodes.get_mut(id) else {
            return;
        };
        node.lost = true;
        let node = node.clone();
        self.announce(&node);
        let applications = self.applications.values();
        let containers = applications.flat_map(|application| application.containers.values());
        let there: Vec<ContainerId> = containers
            .filter(|one| one.node == *id)
            .map(|one| one.id)
            .collect();
        for container in there {
            self.container_ended(now, container, ABORTED, texts::NODE_LOST, effects);
        }
    }

    /// Registered ApplicationMasters hear of nodes that come and go.
    fn announce(&mut self, node: &Node) {
        for application in self.applications.values_mut() {
            let current = application.attempts.last_mut();
            if let Some(attempt) = current.filter(|attempt| attempt.state == AttemptState::Running) {
                attempt.updated_nodes.push(node.report());
                attempt.tokens_sent.remove(&node.facts.id);
            }
        }
    }

    /// A second submission under the same id is as good as the first.
    pub(super) fn submitted(
        &mut self,
        now: UnixMs,
        user: String,
        mut what: Submission,
        effects: &mut Effects,
    ) {
        if self.applications.contains_key(&what.id) {
            return;
        }
        what.application_type = what.application_type.chars().take(LONGEST_TYPE).collect();
        what.resource = self.normalised(&what.resource);
        let mut application = new_application(now, user, what);
        let queue = application
            .submission
            .queue
            .clone()
            .unwrap_or_else(|| "default".to_owned());
        if queue == "default" || queue == QUEUE {
            let first = application.id.attempt(1);
            application.attempts.push(Attempt::new(first, now));
        } else {
            application.state = ApplicationState::Failed;
            application.final_status = FinalStatus::AppFailed;
            application.finished_ms = now;
            application.diagnostics = texts::unknown_queue(application.id, &application.user, &queue);
        }
        self.applications.insert(application.id, application);
        self.schedule_at_once(now, effects);
    }

    pub(super) fn kill(&mut self, now: UnixMs, id: ApplicationId, text: String, effects: &mut Effects) {
        let Some(application) = self.applications.get_mut(&id) else {
            return;
        };
        if application.state.is_final() || application.state == ApplicationState::Finishing {
            return;
        }
        application.state = ApplicationState::Killed;
        application.final_status = FinalStatus::AppKilled;
        application.diagnostics = text;
        end(application, &mut self.nodes, AttemptState::Killed, now, effects);
        self.schedule_at_once(now, effects);
    }

    /// A container that nobody holds any more, because it was released or its application ended meanwhile, is killed.
    pub(super) fn container_started(&mut self, id: ContainerId, node: NodeId, effects: &mut Effects) {
        let application = self.applications.get_mut(&id.application());
        match application.and_then(|application| application.containers.get_mut(&id)) {
            Some(container) => {
                container.running = true;
                container.expires_ms = None;
            }
            None => effects.push(Effect::KillContainer { node, container: id }),
        }
    }

    pub(super) fn container_ended(
        &mut self,
        now: UnixMs,
        id: ContainerId,
        exit: i32,
        diagnostics: &str,
        effects: &mut Effects,
    ) {
        let Some(application) = self.applications.get_mut(&id.application()) else {
            return;
        };
        let Some(container) = give_back(application, &mut self.nodes, now, id) else {
            return;
        };
        if container.is_master {
            self.master_ended(now, id, exit, diagnostics, effects);
        } else {
            report_end(application, &container, exit, diagnostics);
        }
        self.schedule_at_once(now, effects);
    }

    fn master_ended(&mut self, now: UnixMs, id: ContainerId, exit: i32, text: &str, effects: &mut Effects) {
        let web = self.settings.web_address.clone();
        let Some(application) = self.applications.get_mut(&id.application()) else {
            return;
        };
        match application.attempts.last() {
            Some(current) if current.id != id.attempt => {}
            Some(current) if current.state == AttemptState::Finishing => {
                self.finished(now, id.application(), effects);
            }
            Some(current) if !current.state.is_final() => {
                let cause = texts::master_exited(current.id, exit, text, &web);
                self.attempt_failed(now, id.application(), exit, &cause, effects);
            }
            _ => {}
        }
    }

    /// The end of an application whose ApplicationMaster had unregistered.
    fn finished(&mut self, now: UnixMs, id: ApplicationId, effects: &mut Effects) {
        let Some(application) = self.applications.get_mut(&id) else {
            return;
        };
        application.state = ApplicationState::Finished;
        end(application, &mut self.nodes, AttemptState::Finished, now, effects);
    }

    fn attempt_failed(
        &mut self,
        now: UnixMs,
        id: ApplicationId,
        exit: i32,
        cause: &str,
        effects: &mut Effects,
    ) {
        let cluster_max = self.settings.max_attempts;
        let Some(application) = self.applications.get_mut(&id) else {
            return;
        };
        if let Some(attempt) = application.attempts.last_mut() {
            attempt.state = AttemptState::Failed;
            attempt.finished_ms = now;
            cause.clone_into(&mut attempt.diagnostics);
            attempt.counts = !NOT_COUNTED.contains(&exit);
        }
        let failures = failures(application, now);
        let wanted = application.submission.max_attempts;
        let most = if wanted == 0 {
            cluster_max
        } else {
            wanted.min(cluster_max)
        };
        if failures >= most as usize {
            application.state = ApplicationState::Failed;
            application.final_status = FinalStatus::AppFailed;
            application.diagnostics = texts::given_up(id, failures, cause);
            end(application, &mut self.nodes, AttemptState::Failed, now, effects);
        } else {
            next_attempt(application, &mut self.nodes, now, effects);
        }
    }

    /// Takes back what was not used in time, and gives up whoever was not heard of.
    pub(super) fn expire(&mut self, now: UnixMs, effects: &mut Effects) {
        let due = |application: &&Application| self.deadline_of(application).is_some_and(|at| at <= now);
        let alive = self
            .applications
            .values()
            .filter(|application| !application.state.is_final());
        let ids: Vec<ApplicationId> = alive.filter(due).map(|application| application.id).collect();
        for id in ids {
            self.expire_lifetime(now, id, effects);
            self.expire_grants(now, id, effects);
            self.expire_master(now, id, effects);
        }
        self.schedule_at_once(now, effects);
    }

    fn expire_lifetime(&mut self, now: UnixMs, id: ApplicationId, effects: &mut Effects) {
        let expires = self
            .applications
            .get(&id)
            .and_then(|application| application.lifetime_expires_ms);
        if expires.is_some_and(|at| at <= now) {
            if let Some(application) = self.applications.get_mut(&id) {
                application.lifetime_expires_ms = None;
            }
            self.kill(now, id, texts::LIFETIME_OVER.to_owned(), effects);
        }
    }

    fn expire_grants(&mut self, now: UnixMs, id: ApplicationId, effects: &mut Effects) {
        let Some(application) = self.applications.get(&id) else {
            return;
        };
        let expired = |container: &&Granted| container.expires_ms.is_some_and(|at| at <= now);
        let expired: Vec<ContainerId> = application
            .containers
            .values()
            .filter(expired)
            .map(|one| one.id)
            .collect();
        for container in expired {
            self.take_away(now, container, (ABORTED, texts::EXPIRED), effects);
        }
    }

    fn expire_master(&mut self, now: UnixMs, id: ApplicationId, effects: &mut Effects) {
        let patience = self.settings.master_expiry_ms;
        let Some(application) = self.applications.get_mut(&id) else {
            return;
        };
        let Some(attempt) = application.attempts.last() else {
            return;
        };
        if !attempt.state.is_watched() || attempt.heard_ms + patience > now {
            return;
        }
        let (attempt, state) = (attempt.id, attempt.state);
        let master = application
            .containers
            .values()
            .find(|one| one.is_master)
            .map(|one| one.id);
        if let Some(container) = master.and_then(|id| give_back(application, &mut self.nodes, now, id)) {
            effects.push(kill_of(&container));
        }
        if state == AttemptState::Finishing {
            self.finished(now, id, effects);
        } else {
            self.attempt_failed(now, id, 0, &texts::master_timed_out(attempt), effects);
        }
    }

    /// As a restart with recovery leaves it: ApplicationMasters must register and ask again, what they had not started
    /// is gone without a word.
    pub(super) fn restarted(&mut self, now: UnixMs) {
        self.settings.started_ms = now;
        let reports: Vec<_> = self
            .nodes
            .values()
            .filter(|node| !node.lost)
            .map(Node::report)
            .collect();
        for application in self.applications.values_mut() {
            let unstarted = application
                .containers
                .values()
                .filter(|one| !one.running && !one.is_master);
            let unstarted: Vec<ContainerId> = unstarted.map(|one| one.id).collect();
            for id in unstarted {
                give_back(application, &mut self.nodes, now, id);
            }
            let current = application.attempts.last_mut();
            if let Some(attempt) = current.filter(|attempt| attempt.state == AttemptState::Running) {
                attempt.forget_registration(now);
                attempt.updated_nodes.clone_from(&reports);
                application.state = ApplicationState::Accepted;
            }
        }
    }

    /// An ApplicationMaster's container is left alone.
    pub(super) fn preempted(&mut self, now: UnixMs, id: ContainerId, effects: &mut Effects) {
        let application = self.applications.get(&id.application());
        let container = application.and_then(|application| application.containers.get(&id));
        if container.is_some_and(|container| !container.is_master) {
            self.take_away(now, id, (PREEMPTED, texts::PREEMPTED), effects);
        }
    }

    /// Ends a container that is not an ApplicationMaster's on the ResourceManager's own account.
    pub(super) fn take_away(
        &mut self,
        now: UnixMs,
        id: ContainerId,
        end: (i32, &str),
        effects: &mut Effects,
    ) {
        let Some(application) = self.applications.get_mut(&id.application()) else {
            return;
        };
        let Some(container) = give_back(application, &mut self.nodes, now, id) else {
            return;
        };
        report_end(application, &container, end.0, end.1);
        effects.push(kill_of(&container));
    }
}

fn new_application(now: UnixMs, user: String, submission: Submission) -> Application {
    Application {
        id: submission.id,
        user,
        submission,
        state: ApplicationState::Accepted,
        final_status: FinalStatus::AppUndefined,
        progress: 0.0,
        diagnostics: String::new(),
        started_ms: now,
        launched_ms: 0,
        finished_ms: 0,
        lifetime_expires_ms: None,
        final_tracking_url: String::new(),
        attempts: Vec::new(),
        containers: BTreeMap::new(),
        memory_mb_ms: 0,
        vcore_ms: 0,
        finish_calls: 0,
    }
}

fn failures(application: &Application, now: UnixMs) -> usize {
    let validity = u64::try_from(application.submission.failures_validity_ms).unwrap_or(0);
    let recent = |attempt: &&Attempt| validity == 0 || attempt.finished_ms + validity > now;
    let counted = application.attempts.iter().filter(|attempt| attempt.counts);
    counted.filter(recent).count()
}

fn next_attempt(application: &mut Application, nodes: &mut Nodes, now: UnixMs, effects: &mut Effects) {
    let Some(last) = application.attempts.last_mut() else {
        return;
    };
    let mut next = Attempt::new(application.id.attempt(last.id.attempt + 1), now);
    last.asks.clear();
    if application.submission.keep_containers {
        next.completed = std::mem::take(&mut last.completed);
    }
    application.state = ApplicationState::Accepted;
    application.attempts.push(next);
    // What no ApplicationMaster has heard of cannot be handed on: its token was never sent.
    let keep = application.submission.keep_containers;
    let gone = |container: &&Granted| !keep || !container.pulled;
    let gone: Vec<ContainerId> = application
        .containers
        .values()
        .filter(gone)
        .map(|one| one.id)
        .collect();
    for id in gone {
        if let Some(container) = give_back(application, nodes, now, id) {
            effects.push(kill_of(&container));
        }
    }
}

/// The end of an application's life, whatever its kind: everything goes back.
fn end(app: &mut Application, nodes: &mut Nodes, state: AttemptState, now: UnixMs, effects: &mut Effects) {
    app.finished_ms = now;
    if let Some(attempt) = app.attempts.last_mut() {
        if !attempt.state.is_final() {
            attempt.state = state;
            attempt.finished_ms = now;
            attempt.diagnostics.clone_from(&app.diagnostics);
        }
        attempt.asks.clear();
    }
    let held: Vec<ContainerId> = app.containers.keys().copied().collect();
    for id in held {
        give_back(app, nodes, now, id);
    }
    effects.push(Effect::EndApplication(app.id));
}

fn kill_of(container: &Granted) -> Effect {
    Effect::KillContainer {
        node: container.node.clone(),
        container: container.id,
    }
}

fn give_back(app: &mut Application, nodes: &mut Nodes, now: UnixMs, id: ContainerId) -> Option<Granted> {
    let container = app.containers.remove(&id)?;
    let time = now.saturating_sub(container.granted_ms);
    app.memory_mb_ms += container.resource.memory_mb * time;
    app.vcore_ms += u64::from(container.resource.vcores) * time;
    if let Some(node) = nodes.get_mut(&container.node) {
        node.give_back(&container.resource);
    }
    Some(container)
}

fn report_end(application: &mut Application, container: &Granted, exit: i32, diagnostics: &str) {
    let Some(attempt) = application
        .attempts
        .last_mut()
        .filter(|attempt| !attempt.state.is_final())
    else {
        return;
    };
    let status = pb::ContainerStatusProto {
        container_id: Some(container.id.into()),
        state: Some(pb::ContainerStateProto::CComplete as i32),
        diagnostics: Some(diagnostics.to_owned()),
        exit_status: Some(exit),
        ..Default::default()
    };
    attempt
        .completed
        .push((container.running.then(|| container.node.clone()), status));
}
