//! Who gets what where: first come, first served, by memory.

use hadoop::ids::{ApplicationId, NodeId};
use yarn_rpc::records::{Priority, Resource};

use super::application::{Application, ApplicationState, AttemptState, Granted};
use super::asks::{Locality, Place};
use super::{Effect, Effects, ResourceManager};
use crate::UnixMs;
use crate::options::Pacing;
use crate::tokens::ContainerGrant;

/// `yarn.scheduler.capacity.node-locality-delay`.
const NODE_LOCALITY_DELAY: u32 = 40;

impl ResourceManager {
    /// With [`Pacing::Immediate`], grants whatever there is room for.
    pub(super) fn schedule_at_once(&mut self, now: UnixMs, effects: &mut Effects) {
        if self.settings.pacing != Pacing::Immediate || self.is_recovering(now) {
            return;
        }
        for id in self.in_order() {
            if let Some(node) = self.roomiest().into_iter().next() {
                self.place_master(now, id, &node, effects);
            }
            for locality in [Locality::Node, Locality::Rack, Locality::OffSwitch] {
                self.assign_around(now, id, locality);
            }
        }
    }

    /// Goes around the nodes, the roomiest first, until none of them can give anything more.
    fn assign_around(&mut self, now: UnixMs, id: ApplicationId, at_most: Locality) {
        let nodes = self.roomiest();
        while self.wants_more(id) {
            let given = nodes
                .iter()
                .filter(|node| self.assign(now, id, node, at_most, 0).is_some());
            if given.count() == 0 {
                return;
            }
        }
    }

    fn wants_more(&self, id: ApplicationId) -> bool {
        let current = self.applications.get(&id).and_then(Application::current);
        current.is_some_and(|attempt| attempt.asks.outstanding() > 0)
    }

    /// The turn of one node, with [`Pacing::NodeHeartbeats`]: one container from elsewhere, as many as fit of those
    /// that were asked for here.
    pub(super) fn node_heartbeat(&mut self, now: UnixMs, node: &NodeId, effects: &mut Effects) {
        if self.is_recovering(now) {
            return;
        }
        let alive = self.nodes.values().filter(|node| node.is_active()).count();
        let patience = NODE_LOCALITY_DELAY.min(u32::try_from(alive).unwrap_or(u32::MAX));
        let mut at_most = Locality::OffSwitch;
        for id in self.in_order() {
            self.place_master(now, id, node, effects);
            while let Some(locality) = self.assign(now, id, node, at_most, patience) {
                if locality == Locality::OffSwitch {
                    at_most = Locality::Rack;
                }
            }
        }
    }

    /// Applications that may want something: the more important first, then the older.
    fn in_order(&self) -> Vec<ApplicationId> {
        let wants = |application: &&Application| {
            matches!(
                application.state,
                ApplicationState::Accepted | ApplicationState::Running
            )
        };
        let mut all: Vec<&Application> = self.applications.values().filter(wants).collect();
        all.sort_by_key(|application| (-application.submission.priority.max(0), application.id));
        all.iter().map(|application| application.id).collect()
    }

    fn roomiest(&self) -> Vec<NodeId> {
        let mut nodes: Vec<_> = self
            .nodes
            .values()
            // A scheduler gives when a node speaks: one that is silent gets nothing before it is heard again.
            .filter(|node| node.takes_containers() && node.deadline_ms.is_none())
            .collect();
        nodes.sort_by_key(|node| std::cmp::Reverse(node.free_memory_mb()));
        nodes.iter().map(|node| node.facts.id.clone()).collect()
    }

    fn place_master(&mut self, now: UnixMs, id: ApplicationId, node: &NodeId, effects: &mut Effects) {
        let Some(application) = self.applications.get(&id) else {
            return;
        };
        let waits = application
            .current()
            .is_some_and(|attempt| attempt.state == AttemptState::Scheduled);
        let size = application.submission.resource.clone();
        let calculator = self.settings.calculator;
        let node_of = self.nodes.get(node);
        let fits = node_of.is_some_and(|node| calculator.fits(&size, &node.free()));
        if !waits || !fits {
            return;
        }
        if let Some(granted) = self.grant(now, id, node, size, (0, -1), true) {
            self.launch(now, &granted, effects);
        }
    }

    fn launch(&mut self, now: UnixMs, granted: &Granted, effects: &mut Effects) {
        let Some(application) = self.applications.get_mut(&granted.id.application()) else {
            return;
        };
        let Some(attempt) = application.attempts.last_mut() else {
            return;
        };
        attempt.state = AttemptState::Launched;
        attempt.heard_ms = now;
        attempt.container = Some((
            granted.id,
            granted.node.clone(),
            granted.node_http_address.clone(),
        ));
        if application.launched_ms == 0 {
            application.launched_ms = now;
        }
        let effect = Effect::StartMaster {
            node: granted.node.clone(),
            attempt: attempt.id,
            token: self.keys.container(&container_grant(
                granted,
                &application.user,
                now + self.settings.container_expiry_ms,
                self.settings.started_ms,
            )),
            context: application.submission.context.clone(),
            submitted_ms: application.started_ms,
        };
        effects.push(effect);
    }

    /// Tries to give one container of a running application on a node.
    fn assign(
        &mut self,
        now: UnixMs,
        id: ApplicationId,
        node_id: &NodeId,
        at_most: Locality,
        patience: u32,
    ) -> Option<Locality> {
        let node = self.nodes.get(node_id).filter(|node| node.takes_containers())?;
        let attempt = self.applications.get_mut(&id)?.attempts.last_mut()?;
        let name = node.name();
        let refused = attempt.blacklist.contains(&name) || attempt.blacklist.contains(&node.facts.rack);
        if attempt.state != AttemptState::Running || refused {
            return None;
        }
        let place = Place {
            name: &name,
            rack: &node.facts.rack,
            free: node.free(),
            calculator: self.settings.calculator,
            at_most,
            patience,
        };
        let (group, resource, locality) = attempt.asks.take(&place)?;
        self.grant(now, id, node_id, resource, group, false)?;
        Some(locality)
    }

    fn grant(
        &mut self,
        now: UnixMs,
        id: ApplicationId,
        node: &NodeId,
        resource: Resource,
        (priority, allocation_request_id): (u32, i64),
        is_master: bool,
    ) -> Option<Granted> {
        let epoch = self.epoch;
        let node = self.nodes.get_mut(node)?;
        let application = self.applications.get_mut(&id)?;
        let granted = Granted {
            id: application.attempts.last_mut()?.new_container(epoch),
            node: node.facts.id.clone(),
            node_http_address: node.facts.http_address.clone(),
            resource,
            priority,
            allocation_request_id,
            is_master,
            granted_ms: now,
            pulled: is_master,
            running: false,
            expires_ms: None,
            version: 0,
            increased: None,
        };
        node.take(&granted.resource);
        application.containers.insert(granted.id, granted.clone());
        Some(granted)
    }
}

/// What the token of a container says.
pub(super) fn container_grant(granted: &Granted, user: &str, expires_ms: UnixMs, rm: u64) -> ContainerGrant {
    ContainerGrant {
        container: granted.id,
        node: granted.node.clone(),
        user: user.to_owned(),
        resource: granted.resource.clone(),
        priority: Priority(granted.priority),
        allocation_request_id: granted.allocation_request_id,
        created_ms: granted.granted_ms,
        expires_ms,
        resource_manager: rm,
        is_master: granted.is_master,
        version: granted.version,
    }
}
