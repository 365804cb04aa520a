//! What nodes say (`ResourceTrackerService`, `RMNodeImpl`): that they are there, what runs on them, what has ended.
//!
//! A node that joins reports its containers, and what it says is right: what it does not report is gone, what the
//! ResourceManager does not know is killed, what it has forgotten in a restart is known again.

use std::collections::BTreeSet;

use hadoop::ids::{ContainerId, NodeId};
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::NodeState;

use super::application::{Application, AttemptState, Granted};
use super::lifecycle::{ABORTED, give_back, report_end};
use super::node::{ContainerReport, Node, NodeFacts};
use super::{Effect, Effects, ResourceManager, texts};
use crate::UnixMs;

impl ResourceManager {
    /// A node registers: for the first time, after it or the ResourceManager was away, or after a restart of its own.
    pub(super) fn node_joined(
        &mut self,
        now: UnixMs,
        facts: NodeFacts,
        reports: &[ContainerReport],
        effects: &mut Effects,
    ) {
        let id = facts.id.clone();
        let first = !self.nodes.contains_key(&id);
        let known = self.nodes.get(&id).filter(|node| node.is_active());
        if known.is_none() {
            let node = Node::new(facts);
            self.announce(&node);
            self.nodes.insert(id.clone(), node);
        } else if let Some(node) = self
            .nodes
            .get_mut(&id)
            .filter(|node| node.state == NodeState::Running)
        {
            node.deadline_ms = None;
        }
        self.unreported(now, &id, reports, effects);
        for report in reports {
            self.reported(now, &id, report, first, effects);
        }
        self.schedule_at_once(now, effects);
    }

    /// What was running there and is not reported is lost; so is what was not started if nothing is reported at all,
    /// because such a node is removed and added again (`RMNodeImpl.ReconnectNodeTransition`).
    fn unreported(&mut self, now: UnixMs, node: &NodeId, reports: &[ContainerReport], effects: &mut Effects) {
        let reported: BTreeSet<ContainerId> = reports.iter().map(ContainerReport::id).collect();
        let gone = |one: &Granted| !reported.contains(&one.id) && (one.running || reported.is_empty());
        for container in self.on_node(node, gone) {
            self.container_ended(now, container, ABORTED, texts::NODE_LOST, effects);
        }
    }

    fn reported(
        &mut self,
        now: UnixMs,
        node: &NodeId,
        report: &ContainerReport,
        first: bool,
        effects: &mut Effects,
    ) {
        let id = report.id();
        let recovers = first && self.recovers(report);
        let known = self.holder(id).is_some();
        match &report.end {
            Some((exit, diagnostics)) if known => self.container_ended(now, id, *exit, diagnostics, effects),
            None if known => self.container_started(id, node, effects),
            Some((exit, diagnostics)) if recovers => {
                self.recover(now, node, report);
                self.container_ended(now, id, *exit, diagnostics, effects);
            }
            None if recovers => self.recover_running(now, node, report, effects),
            Some(_) => effects.push(forget(node, id)),
            None => effects.push(kill(node, id)),
        }
    }

    fn holder(&self, id: ContainerId) -> Option<&Application> {
        let application = self.applications.get(&id.application())?;
        application.containers.contains_key(&id).then_some(application)
    }

    /// Whether a container that is not known is one that a restart made unknown: only then nothing was said of its end
    /// (`AbstractYarnScheduler.recoverContainersOnNode`).
    fn recovers(&self, report: &ContainerReport) -> bool {
        let Some(application) = self.applications.get(&report.id().application()) else {
            return false;
        };
        let Some(current) = application.current() else {
            return false;
        };
        let is_older = report.grant.resource_manager < self.settings.started_ms;
        let may_stay = report.id().attempt == current.id || application.submission.keep_containers;
        is_older && may_stay && !application.state.is_final() && !current.state.is_final()
    }

    fn recover_running(
        &mut self,
        now: UnixMs,
        node: &NodeId,
        report: &ContainerReport,
        effects: &mut Effects,
    ) {
        self.recover(now, node, report);
        let id = report.id();
        let current = self
            .applications
            .get_mut(&id.application())
            .and_then(|application| application.attempts.last_mut());
        if current.is_some_and(|attempt| attempt.releases.remove(&id)) {
            self.take_away(now, id, (ABORTED, texts::RELEASED), effects);
        }
    }

    fn recover(&mut self, now: UnixMs, node_id: &NodeId, report: &ContainerReport) {
        let grant = &report.grant;
        let Some(application) = self.applications.get_mut(&grant.container.application()) else {
            return;
        };
        let Some(node) = self.nodes.get_mut(node_id) else {
            return;
        };
        node.take(&grant.resource);
        if let Some(attempt) = application.attempts.last_mut()
            && attempt.id != grant.container.attempt
        {
            attempt.found.push(grant.container);
        }
        let granted = Granted {
            id: grant.container,
            node: node_id.clone(),
            node_http_address: node.facts.http_address.clone(),
            resource: grant.resource.clone(),
            priority: grant.priority.0,
            allocation_request_id: grant.allocation_request_id,
            is_master: grant.is_master,
            granted_ms: grant.created_ms.min(now),
            pulled: true,
            running: true,
            expires_ms: None,
            version: grant.version,
            increased: None,
        };
        application.containers.insert(granted.id, granted);
    }

    /// A node falls silent; it is given up if that lasts.
    pub(super) fn node_silent(&mut self, now: UnixMs, id: &NodeId) {
        let deadline = now.saturating_add(self.settings.node_expiry_ms);
        if let Some(node) = self.nodes.get_mut(id).filter(|node| node.is_active()) {
            node.deadline_ms = Some(node.deadline_ms.map_or(deadline, |at| at.min(deadline)));
        }
    }

    /// A node's disks or its own checks complain, or do not any more. Its containers are lost to their applications
    /// at once (`NodeRemovedSchedulerEvent`).
    pub(super) fn node_health(
        &mut self,
        now: UnixMs,
        id: &NodeId,
        problem: Option<String>,
        effects: &mut Effects,
    ) {
        let Some(node) = self.nodes.get_mut(id) else {
            return;
        };
        match (problem, node.state) {
            (Some(problem), NodeState::Running | NodeState::Decommissioning) => {
                node.health = problem;
                self.node_gone(now, id, NodeState::Unhealthy, effects);
            }
            (None, NodeState::Unhealthy) => {
                node.health.clear();
                node.state = NodeState::Running;
                let node = node.clone();
                self.announce(&node);
                self.schedule_at_once(now, effects);
            }
            _ => {}
        }
    }

    /// A node is taken out: at once, or when its last container has ended or the time is over.
    pub(super) fn decommission(
        &mut self,
        now: UnixMs,
        id: &NodeId,
        timeout_ms: Option<u64>,
        effects: &mut Effects,
    ) {
        let Some(node) = self.nodes.get_mut(id).filter(|node| node.is_active()) else {
            return;
        };
        match timeout_ms.filter(|_| node.containers > 0) {
            None => self.node_gone(now, id, NodeState::Decommissioned, effects),
            Some(timeout) => {
                node.state = NodeState::Decommissioning;
                node.deadline_ms = Some(now.saturating_add(timeout));
                let node = node.clone();
                self.announce(&node);
            }
        }
    }

    /// A node that was being taken out stays.
    pub(super) fn recommission(&mut self, now: UnixMs, id: &NodeId, effects: &mut Effects) {
        let node = self.nodes.get_mut(id);
        let Some(node) = node.filter(|node| node.state == NodeState::Decommissioning) else {
            return;
        };
        (node.state, node.deadline_ms) = (NodeState::Running, None);
        let node = node.clone();
        self.announce(&node);
        self.schedule_at_once(now, effects);
    }

    /// A node gives nothing any more, and what it had is lost.
    pub(super) fn node_gone(&mut self, now: UnixMs, id: &NodeId, state: NodeState, effects: &mut Effects) {
        let Some(node) = self.nodes.get_mut(id) else {
            return;
        };
        (node.state, node.deadline_ms) = (state, None);
        let node = node.clone();
        self.announce(&node);
        for container in self.on_node(id, |_| true) {
            self.container_ended(now, container, ABORTED, texts::NODE_LOST, effects);
            effects.push(kill(id, container));
        }
    }

    fn on_node(&self, node: &NodeId, wanted: impl Fn(&Granted) -> bool) -> Vec<ContainerId> {
        let applications = self.applications.values();
        let containers = applications.flat_map(|application| application.containers.values());
        let there = containers.filter(|one| one.node == *node && wanted(one));
        there.map(|one| one.id).collect()
    }

    /// Registered ApplicationMasters hear of nodes that come and go.
    fn announce(&mut self, node: &Node) {
        for application in self.applications.values_mut() {
            let current = application.attempts.last_mut();
            let heard = |attempt: &&mut _| hears_of_nodes(attempt);
            if let Some(attempt) = current.filter(heard) {
                attempt.updated_nodes.push(node.report());
                attempt.tokens_sent.remove(&node.facts.id);
            }
        }
    }

    /// A container that nobody holds any more, because it was released or its application ended meanwhile, is killed.
    pub(super) fn container_started(&mut self, id: ContainerId, node: &NodeId, effects: &mut Effects) {
        let application = self.applications.get_mut(&id.application());
        match application.and_then(|application| application.containers.get_mut(&id)) {
            Some(container) => {
                container.running = true;
                container.expires_ms = None;
            }
            None => effects.push(kill(node, id)),
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
            effects.push(forget(&container.node, id));
            self.master_ended(now, id, exit, diagnostics, effects);
        } else {
            report_end(application, &container, exit, diagnostics);
        }
        self.schedule_at_once(now, effects);
    }

    /// A node that is being taken out is out when nothing runs on it any more (`DecommissioningNodesWatcher`).
    pub(super) fn leave_if_empty(&mut self, now: UnixMs, effects: &mut Effects) {
        let empty = |node: &&Node| node.state == NodeState::Decommissioning && node.containers == 0;
        let empty: Vec<NodeId> = self
            .nodes
            .values()
            .filter(empty)
            .map(|node| node.facts.id.clone())
            .collect();
        for node in empty {
            self.node_gone(now, &node, NodeState::Decommissioned, effects);
        }
    }
}

/// After a restart they hear of all nodes, even before they have registered again.
fn hears_of_nodes(attempt: &super::Attempt) -> bool {
    matches!(attempt.state, AttemptState::Running | AttemptState::Launched)
}

fn kill(node: &NodeId, container: ContainerId) -> Effect {
    Effect::KillContainer {
        node: node.clone(),
        container,
    }
}

fn forget(node: &NodeId, container: ContainerId) -> Effect {
    Effect::ForgetContainer {
        node: node.clone(),
        container,
    }
}

/// The status of an end, as ApplicationMasters get it.
pub(super) fn status(id: ContainerId, exit: i32, diagnostics: &str) -> pb::ContainerStatusProto {
    pb::ContainerStatusProto {
        container_id: Some(id.into()),
        state: Some(pb::ContainerStateProto::CComplete as i32),
        diagnostics: Some(diagnostics.to_owned()),
        exit_status: Some(exit),
        ..Default::default()
    }
}
