//! Containers that are resized (`update_requests` of `allocate`, `RMServerUtils.validateAndSplitUpdateResourceRequests`).
//!
//! A decrease is final at once. An increase holds the memory at once, and goes back unless the node confirms in time
//! that it was shown the new token.

use hadoop::ids::{ApplicationAttemptId, ApplicationId, ContainerId};
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::Resource;

use super::ResourceManager;
use super::application::Granted;
use super::master::record;
use super::schedule::container_grant;
use crate::UnixMs;

/// Why a request is refused, and the version that the container has.
type Refused = (&'static str, i32);

impl ResourceManager {
    /// Takes in the requests of a heartbeat.
    pub(super) fn update_containers(
        &mut self,
        now: UnixMs,
        id: ApplicationAttemptId,
        requests: &[pb::UpdateContainerRequestProto],
    ) {
        for request in requests {
            let outcome = self.update(now, request);
            let Some(attempt) = self.attempt_mut(id) else {
                return;
            };
            match outcome {
                Ok(Some(updated)) => attempt.updated.push(updated),
                Ok(None) => {}
                Err((reason, version)) => attempt.update_errors.push(pb::UpdateContainerErrorProto {
                    reason: Some(reason.to_owned()),
                    update_request: Some(request.clone()),
                    current_container_version: Some(version),
                }),
            }
        }
    }

    fn update(
        &mut self,
        now: UnixMs,
        request: &pb::UpdateContainerRequestProto,
    ) -> Result<Option<pb::UpdatedContainerProto>, Refused> {
        let kind = pb::ContainerUpdateTypeProto::try_from(request.update_type).ok();
        let id = ContainerId::try_from(&request.container_id).map_err(|_| ("INVALID_CONTAINER_ID", -1))?;
        let wanted = request
            .capability
            .as_ref()
            .map(Resource::from)
            .unwrap_or_default();
        let wanted = self.normalised(&wanted);
        let application = self.applications.get_mut(&id.application());
        let application = application.ok_or(("INVALID_CONTAINER_ID", -1))?;
        let container = application.containers.get_mut(&id);
        let container = container.ok_or(("INVALID_CONTAINER_ID", -1))?;
        if container.version != request.container_version {
            return Err(("INCORRECT_CONTAINER_VERSION_ERROR", container.version));
        }
        if container.increased.is_some() {
            return Err(("UPDATE_OUTSTANDING_ERROR", container.version));
        }
        let grows = wanted.memory_mb > container.resource.memory_mb;
        let fits_kind = match kind {
            Some(pb::ContainerUpdateTypeProto::IncreaseResource) => grows,
            Some(pb::ContainerUpdateTypeProto::DecreaseResource) => !grows,
            _ => false,
        };
        if !fits_kind {
            return Err(("RESOURCE_OUTSIDE_ALLOWED_RANGE", container.version));
        }
        let Some(node) = self.nodes.get_mut(&container.node) else {
            return Ok(None);
        };
        let before = container.resource.clone();
        if grows && node.free_memory_mb() < wanted.memory_mb - before.memory_mb {
            return Ok(None);
        }
        node.give_back(&before);
        node.take(&wanted);
        container.resource = wanted;
        container.version += 1;
        let expires = now + self.settings.container_expiry_ms;
        container.increased = grows.then_some((before, expires));
        let grant = container_grant(container, &application.user, expires, self.settings.started_ms);
        let mut updated = record(container);
        updated.token = Some(self.keys.container(&grant));
        Ok(Some(pb::UpdatedContainerProto {
            update_type: request.update_type,
            container: (&updated).into(),
        }))
    }

    /// The node was shown the token of an increase.
    pub(super) fn increase_confirmed(&mut self, id: ContainerId, version: i32) {
        let application = self.applications.get_mut(&id.application());
        let container = application.and_then(|application| application.containers.get_mut(&id));
        if let Some(container) = container.filter(|container| container.version == version) {
            container.increased = None;
        }
    }

    pub(super) fn expire_increases(&mut self, now: UnixMs, id: ApplicationId) {
        let Some(application) = self.applications.get_mut(&id) else {
            return;
        };
        let due = |container: &&mut Granted| matches!(&container.increased, Some((_, at)) if *at <= now);
        for container in application.containers.values_mut().filter(due) {
            let Some((before, _)) = container.increased.take() else {
                continue;
            };
            if let Some(node) = self.nodes.get_mut(&container.node) {
                node.give_back(&container.resource);
                node.take(&before);
            }
            container.resource = before;
        }
    }
}
