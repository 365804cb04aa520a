//! The three calls of ApplicationMasters (`ApplicationMasterService`, `DefaultAMSProcessor`, `RMServerUtils`).

use hadoop::ids::{ApplicationAttemptId, ContainerId};
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::{AllocationRequestId, Container, ExecutionType, Priority, Resource};

use super::application::{
    Application, ApplicationState, Attempt, AttemptState, FinalStatus, Granted, Master,
};
use super::lifecycle::ABORTED;
use super::schedule::container_grant;
use super::{Effect, Effects, MasterAnswer, MasterCall, QUEUE, ResourceManager, texts};
use crate::UnixMs;
use crate::failure::Failure;

/// Finish calls until the end is written down: the first asks for it, the second learns of it.
const FINISH_CALLS: u32 = 2;

impl ResourceManager {
    pub(super) fn master_called(
        &mut self,
        now: UnixMs,
        (id, key): (ApplicationAttemptId, i32),
        call: &MasterCall,
        effects: &mut Effects,
    ) -> Result<MasterAnswer, Failure> {
        if let Some(attempt) = self.attempt_mut(id) {
            attempt.heard_ms = now;
        }
        match call {
            MasterCall::Register(request) => self
                .register(id, request)
                .map(|response| MasterAnswer::Registered(Box::new(response))),
            MasterCall::Allocate(request) => self
                .allocate(now, (id, key), request, effects)
                .map(|response| MasterAnswer::Allocated(Box::new(response))),
            MasterCall::Finish(request) => self.finish(id, request).map(MasterAnswer::Finished),
        }
    }

    /// The attempt if it is the current one and not over.
    pub(super) fn attempt_mut(&mut self, id: ApplicationAttemptId) -> Option<&mut Attempt> {
        let attempt = self.applications.get_mut(&id.application)?.attempts.last_mut()?;
        Some(attempt).filter(|attempt| attempt.id == id && !attempt.state.is_final())
    }

    fn register(
        &mut self,
        id: ApplicationAttemptId,
        request: &pb::RegisterApplicationMasterRequestProto,
    ) -> Result<pb::RegisterApplicationMasterResponseProto, Failure> {
        let attempt = self.attempt_mut(id).ok_or_else(|| not_in_cache(id))?;
        if attempt.master.is_some() {
            let text = format!("Application Master is already registered : {}", id.application);
            return Err(Failure::yarn("InvalidApplicationMasterRequestException", text));
        }
        attempt.state = AttemptState::Running;
        attempt.master = Some(Master {
            host: request.host().to_owned(),
            rpc_port: request.rpc_port.unwrap_or(-1),
            tracking_url: request.tracking_url().trim().to_owned(),
        });
        let first = pb::AllocateResponseProto {
            response_id: Some(0),
            ..Default::default()
        };
        attempt.last_response = Some(first);
        let application = self
            .applications
            .get_mut(&id.application)
            .ok_or_else(|| not_in_cache(id))?;
        application.state = ApplicationState::Running;
        let keeps = application.submission.keep_containers;
        let previous = if keeps { held(application) } else { Vec::new() };
        Ok(pb::RegisterApplicationMasterResponseProto {
            maximum_capability: Some((&self.settings.maximum).into()),
            containers_from_previous_attempts: previous.iter().map(pb::ContainerProto::from).collect(),
            nm_tokens_from_previous_attempts: self.nm_tokens(id, &previous),
            queue: Some(QUEUE.to_owned()),
            scheduler_resource_types: self.settings.calculator.types(),
            resource_types: self.resource_types(),
            ..Default::default()
        })
    }

    fn allocate(
        &mut self,
        now: UnixMs,
        (id, key): (ApplicationAttemptId, i32),
        request: &pb::AllocateRequestProto,
        effects: &mut Effects,
    ) -> Result<pb::AllocateResponseProto, Failure> {
        let attempt = self.attempt_mut(id).ok_or_else(|| not_found(id))?;
        let last = attempt.last_response.clone().ok_or_else(|| not_registered(id))?;
        let (expected, got) = (last.response_id(), request.response_id());
        if following(got) == expected {
            return Ok(last);
        }
        if got != expected {
            let text = format!(
                "Invalid responseId in AllocateRequest from application attempt: {id} expect responseId to be \
                 {expected} but get {got}"
            );
            return Err(Failure::yarn("InvalidApplicationMasterRequestException", text));
        }
        let response = if attempt.state == AttemptState::Finishing {
            pb::AllocateResponseProto {
                response_id: Some(following(expected)),
                ..Default::default()
            }
        } else {
            self.check(id, request)?;
            self.acknowledge(id, effects);
            self.apply(now, id, request, effects);
            if self.attempt_mut(id).is_some() {
                self.update_containers(now, id, &request.update_requests);
                self.schedule_at_once(now, effects);
                self.respond(now, id, following(expected))
            } else {
                // It gave its own container back: the next one may have room already.
                self.schedule_at_once(now, effects);
                pb::AllocateResponseProto {
                    response_id: Some(following(expected)),
                    ..Default::default()
                }
            }
        };
        let am_rm_token = self.keys.is_outdated(key).then(|| (&self.keys.am_rm(id)).into());
        let response = pb::AllocateResponseProto {
            am_rm_token,
            ..response
        };
        if let Some(attempt) = self.attempt_mut(id) {
            attempt.last_response = Some(response.clone());
        }
        Ok(response)
    }

    fn apply(
        &mut self,
        now: UnixMs,
        id: ApplicationAttemptId,
        request: &pb::AllocateRequestProto,
        to: &mut Effects,
    ) {
        let asks: Vec<_> = request
            .ask
            .iter()
            .map(|ask| (ask, self.normalised_of(ask)))
            .collect();
        let Some(application) = self.applications.get_mut(&id.application) else {
            return;
        };
        application.progress = progress(request.progress());
        let Some(attempt) = application.attempts.last_mut() else {
            return;
        };
        for (ask, size) in asks {
            let priority = ask.priority.as_ref().map_or(0, pb::PriorityProto::priority);
            let group = (u32::try_from(priority).unwrap_or(0), ask.allocation_request_id());
            let count = u32::try_from(ask.num_containers()).unwrap_or(0);
            attempt
                .asks
                .set(group, ask.resource_name(), size, count, ask.relax_locality());
        }
        if let Some(change) = &request.blacklist_request {
            attempt
                .blacklist
                .extend(change.blacklist_additions.iter().cloned());
            change.blacklist_removals.iter().for_each(|name| {
                attempt.blacklist.remove(name);
            });
        }
        if let (Some(url), Some(master)) = (&request.tracking_url, &mut attempt.master) {
            url.trim().clone_into(&mut master.tracking_url);
        }
        for container in request
            .release
            .iter()
            .filter_map(|id| ContainerId::try_from(id).ok())
        {
            self.release(now, id, container, to);
        }
    }

    /// What is not known may still be reported by a node that has not come back yet.
    fn release(
        &mut self,
        now: UnixMs,
        id: ApplicationAttemptId,
        container: ContainerId,
        effects: &mut Effects,
    ) {
        let application = self.applications.get(&id.application);
        let known = application.is_some_and(|application| application.containers.contains_key(&container));
        let is_older = container.epoch() < self.epoch;
        match self.attempt_mut(id) {
            Some(attempt) if !known && is_older => {
                attempt.releases.insert(container);
            }
            _ => self.take_away(now, container, (ABORTED, texts::RELEASED), effects),
        }
    }

    /// Who asks again has had the last answer: what it said of ends need not be kept by anybody.
    fn acknowledge(&mut self, id: ApplicationAttemptId, effects: &mut Effects) {
        let Some(attempt) = self.attempt_mut(id) else {
            return;
        };
        for (node, status) in attempt.told.drain(..) {
            let container = status.container_id.as_ref();
            let container = container.and_then(|id| ContainerId::try_from(id).ok());
            if let (Some(node), Some(container)) = (node, container) {
                effects.push(Effect::ForgetContainer { node, container });
            }
        }
    }

    fn normalised_of(&self, ask: &pb::ResourceRequestProto) -> Resource {
        self.normalised(&ask.capability.as_ref().map(Resource::from).unwrap_or_default())
    }

    fn respond(
        &mut self,
        now: UnixMs,
        id: ApplicationAttemptId,
        response_id: i32,
    ) -> pb::AllocateResponseProto {
        let containers = self.pull(now, id);
        let mut nm_tokens = self.nm_tokens(id, &containers);
        let found = self.found(id);
        nm_tokens.extend(self.nm_tokens(id, &found));
        let preempt = self
            .applications
            .get(&id.application)
            .and_then(super::preemption::message);
        let active = self.nodes.values().filter(|node| node.is_active());
        let free = active.clone().map(super::node::Node::free_memory_mb).sum();
        let application = self.applications.get(&id.application);
        let priority = application.map(|application| application.submission.priority.min(0));
        let mut response = pb::AllocateResponseProto {
            response_id: Some(response_id),
            allocated_containers: containers.iter().map(pb::ContainerProto::from).collect(),
            containers_from_previous_attempts: found.iter().map(pb::ContainerProto::from).collect(),
            limit: Some((&Resource::new(free, 1)).into()),
            num_cluster_nodes: i32::try_from(active.count()).ok(),
            nm_tokens,
            preempt,
            application_priority: Some(pb::PriorityProto { priority }),
            ..Default::default()
        };
        if let Some(attempt) = self.attempt_mut(id) {
            attempt.told = std::mem::take(&mut attempt.completed);
            let told = attempt.told.iter().map(|(_, status)| status.clone());
            response.completed_container_statuses = told.collect();
            response.updated_nodes = std::mem::take(&mut attempt.updated_nodes);
            response.updated_containers = std::mem::take(&mut attempt.updated);
            response.update_errors = std::mem::take(&mut attempt.update_errors);
        }
        response
    }

    /// Containers of earlier attempts whose nodes have come back since the last answer.
    fn found(&mut self, id: ApplicationAttemptId) -> Vec<Container> {
        let Some(application) = self.applications.get_mut(&id.application) else {
            return Vec::new();
        };
        let Some(attempt) = application.attempts.last_mut() else {
            return Vec::new();
        };
        let found = std::mem::take(&mut attempt.found);
        let found = found.iter().filter_map(|id| application.containers.get(id));
        found.map(record).collect()
    }

    /// Hands over what was granted since the last heartbeat; from now on it must be started in time.
    fn pull(&mut self, now: UnixMs, id: ApplicationAttemptId) -> Vec<Container> {
        let (keys, settings) = (self.keys.clone(), &self.settings);
        let Some(application) = self.applications.get_mut(&id.application) else {
            return Vec::new();
        };
        let user = application.user.clone();
        let fresh = application
            .containers
            .values_mut()
            .filter(|container| !container.pulled);
        let hand_over = |granted: &mut Granted| {
            let expires = now + settings.container_expiry_ms;
            (granted.pulled, granted.expires_ms) = (true, Some(expires));
            let grant = container_grant(granted, &user, expires, settings.started_ms);
            Container {
                token: Some(keys.container(&grant)),
                ..record(granted)
            }
        };
        fresh.map(hand_over).collect()
    }

    /// Tokens for the nodes of these containers, as far as the attempt has none yet.
    fn nm_tokens(&mut self, id: ApplicationAttemptId, containers: &[Container]) -> Vec<pb::NmTokenProto> {
        let keys = self.keys.clone();
        let Some(application) = self.applications.get_mut(&id.application) else {
            return Vec::new();
        };
        let Some(attempt) = application.attempts.last_mut() else {
            return Vec::new();
        };
        let nodes = containers.iter().map(|container| &container.node);
        let fresh = nodes.filter(|node| attempt.tokens_sent.insert((*node).clone()));
        let token = |node: &hadoop::ids::NodeId| pb::NmTokenProto {
            node_id: Some(node.into()),
            token: Some((&keys.node(id, node, &application.user)).into()),
        };
        fresh.map(token).collect()
    }

    fn finish(
        &mut self,
        id: ApplicationAttemptId,
        request: &pb::FinishApplicationMasterRequestProto,
    ) -> Result<pb::FinishApplicationMasterResponseProto, Failure> {
        let attempt = self.attempt_mut(id).ok_or_else(|| not_in_cache(id))?;
        let Some(master) = &mut attempt.master else {
            let text = format!(
                "Application Master is trying to unregister before registering for: {}",
                id.application
            );
            return Err(Failure::yarn("ApplicationMasterNotRegisteredException", text));
        };
        let url = request.tracking_url().trim().to_owned();
        master.tracking_url.clone_from(&url);
        attempt.state = AttemptState::Finishing;
        attempt.asks.clear();
        let application = self
            .applications
            .get_mut(&id.application)
            .ok_or_else(|| not_in_cache(id))?;
        application.finish_calls += 1;
        if application.state != ApplicationState::Finishing {
            application.state = ApplicationState::Finishing;
            application.final_tracking_url = url;
            request.diagnostics().clone_into(&mut application.diagnostics);
            application.final_status = request
                .final_application_status
                .and_then(|status| FinalStatus::try_from(status).ok())
                .unwrap_or(FinalStatus::AppUndefined);
            application.progress = 1.0;
        }
        let is_unregistered = Some(application.finish_calls >= FINISH_CALLS);
        Ok(pb::FinishApplicationMasterResponseProto { is_unregistered })
    }
}

/// What runs: left by earlier attempts, or found again after a restart.
fn held(application: &Application) -> Vec<Container> {
    let running = application
        .containers
        .values()
        .filter(|container| !container.is_master);
    running.map(record).collect()
}

pub(super) fn record(granted: &Granted) -> Container {
    Container {
        id: granted.id,
        node: granted.node.clone(),
        node_http_address: granted.node_http_address.clone(),
        resource: granted.resource.clone(),
        priority: Priority(granted.priority),
        allocation_request_id: AllocationRequestId(granted.allocation_request_id),
        execution_type: ExecutionType::Guaranteed,
        version: granted.version,
        token: None,
    }
}

impl ResourceManager {
    /// What containers may be made of.
    pub(crate) fn resource_types(&self) -> Vec<pb::ResourceTypeInfoProto> {
        let kind = |name: &str, units: &str| pb::ResourceTypeInfoProto {
            name: name.to_owned(),
            units: Some(units.to_owned()),
            r#type: Some(pb::ResourceTypesProto::Countable as i32),
        };
        let others = self.settings.maximum.others.keys();
        let always = [kind("memory-mb", "Mi"), kind("vcores", "")].into_iter();
        always.chain(others.map(|name| kind(name, ""))).collect()
    }
}

/// The response id after this one.
fn following(id: i32) -> i32 {
    if id == i32::MAX { 0 } else { id + 1 }
}

/// Clamps as `RMServerUtils` does.
fn progress(said: f32) -> f32 {
    if said.is_nan() { 0.0 } else { said.clamp(0.0, 1.0) }
}

fn not_in_cache(id: ApplicationAttemptId) -> Failure {
    let text = format!("Application doesn't exist in cache {id}");
    Failure::yarn("InvalidApplicationMasterRequestException", text)
}

fn not_found(id: ApplicationAttemptId) -> Failure {
    let text = format!("Application attempt {id} doesn't exist in ApplicationMasterService cache.");
    Failure::yarn("ApplicationAttemptNotFoundException", text)
}

fn not_registered(id: ApplicationAttemptId) -> Failure {
    let text = format!(
        "AM is not registered for known application attempt: {id} or RM had restarted after AM registered.  AM \
         should re-register."
    );
    Failure::yarn("ApplicationMasterNotRegisteredException", text)
}
