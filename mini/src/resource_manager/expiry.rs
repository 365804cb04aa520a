//! What ends because nobody was heard of in time.

use hadoop::ids::{ApplicationId, ContainerId, NodeId};
use yarn_rpc::records::NodeState;

use super::application::{Application, AttemptState, Granted};
use super::lifecycle::{ABORTED, give_back, kill_of, report_end};
use super::{Effects, ResourceManager, texts};
use crate::UnixMs;
use crate::tokens::TokenKind;

/// `ContainerExitStatus.KILLED_BY_APPMASTER`, which is what the end of a silent ApplicationMaster's container is called.
const KILLED_BY_MASTER: i32 = -105;

impl ResourceManager {
    /// The next moment at which something expires.
    #[must_use]
    pub fn next_deadline(&self) -> Option<UnixMs> {
        let alive = self
            .applications
            .values()
            .filter(|application| !application.state.is_final());
        let applications = alive.filter_map(|application| self.deadline_of(application));
        let nodes = self.nodes.values().filter_map(|node| node.deadline_ms);
        let own = [self.resumes_ms, self.activates_ms].into_iter().flatten();
        applications.chain(nodes).chain(own).min()
    }

    fn deadline_of(&self, application: &Application) -> Option<UnixMs> {
        let master = application
            .attempts
            .last()
            .filter(|attempt| attempt.state.is_watched());
        let master = master.map(|attempt| attempt.heard_ms + self.settings.master_expiry_ms);
        let containers = application.containers.values();
        let grants = containers.clone().filter_map(|container| container.expires_ms);
        let increases = containers.filter_map(|container| Some(container.increased.as_ref()?.1));
        let preemption = application.preemption.as_ref().map(|one| one.deadline_ms);
        let lifetime = application.lifetime_expires_ms;
        let own = [master, preemption, lifetime].into_iter().flatten();
        grants.chain(increases).chain(own).min()
    }

    /// Takes back what was not used in time, and gives up whoever was not heard of.
    pub(super) fn expire(&mut self, now: UnixMs, effects: &mut Effects) {
        self.resumes_ms = self.resumes_ms.filter(|at| *at > now);
        if self.activates_ms.take_if(|at| *at <= now).is_some() {
            self.keys.activate(TokenKind::Master);
        }
        self.expire_nodes(now, effects);
        let due = |application: &&Application| self.deadline_of(application).is_some_and(|at| at <= now);
        let alive = self
            .applications
            .values()
            .filter(|application| !application.state.is_final());
        let ids: Vec<ApplicationId> = alive.filter(due).map(|application| application.id).collect();
        for id in ids {
            self.expire_lifetime(now, id, effects);
            self.expire_grants(now, id, effects);
            self.expire_increases(now, id);
            self.expire_preemption(now, id, effects);
            self.expire_master(now, id, effects);
        }
        self.schedule_at_once(now, effects);
    }

    fn expire_nodes(&mut self, now: UnixMs, effects: &mut Effects) {
        let due = self
            .nodes
            .values()
            .filter(|node| node.deadline_ms.is_some_and(|at| at <= now));
        let due: Vec<(NodeId, NodeState)> = due.map(|node| (node.facts.id.clone(), node.state)).collect();
        for (node, state) in due {
            match state {
                NodeState::Decommissioning => self.node_gone(now, &node, NodeState::Decommissioned, effects),
                _ => self.node_gone(now, &node, NodeState::Lost, effects),
            }
        }
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
        let master = master.and_then(|id| give_back(application, &mut self.nodes, now, id));
        if let Some(container) = &master {
            effects.push(kill_of(container));
        }
        if state == AttemptState::Finishing {
            return self.finished(now, id, effects);
        }
        self.attempt_failed(now, id, 0, &texts::master_timed_out(attempt), effects);
        let application = self.applications.get_mut(&id);
        let application = application.filter(|application| application.submission.keep_containers);
        if let (Some(application), Some(container)) = (application, master) {
            report_end(application, &container, KILLED_BY_MASTER, texts::KILLED_BY_MASTER);
        }
    }
}
