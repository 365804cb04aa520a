//! What an `allocate` may not ask for (`RMServerUtils`, `SchedulerUtils`).

use hadoop::ids::{ApplicationAttemptId, ContainerId};
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::Resource;

use super::asks::ANY;
use super::calculator::exceeded;
use super::{ResourceManager, texts};
use crate::failure::Failure;

impl ResourceManager {
    /// One bad ask refuses the whole call, and nothing of it has any effect.
    pub(super) fn check(
        &self,
        id: ApplicationAttemptId,
        request: &pb::AllocateRequestProto,
    ) -> Result<(), Failure> {
        request.ask.iter().try_for_each(|ask| self.check_ask(ask))?;
        let blacklisted = request
            .blacklist_request
            .iter()
            .flat_map(|change| &change.blacklist_additions);
        if blacklisted.into_iter().any(|name| name == ANY) {
            let text = "Cannot add * to the blacklist!";
            return Err(Failure::yarn("InvalidResourceBlacklistRequestException", text));
        }
        let keeps = self
            .applications
            .get(&id.application)
            .is_some_and(|one| one.submission.keep_containers);
        for container in request
            .release
            .iter()
            .filter_map(|id| ContainerId::try_from(id).ok())
        {
            if container.attempt != id && !(keeps && container.attempt.application == id.application) {
                let text = format!(
                    "Cannot release container : {container} not belonging to this application attempt : {id}"
                );
                return Err(Failure::yarn("InvalidContainerReleaseException", text));
            }
        }
        Ok(())
    }

    fn check_ask(&self, ask: &pb::ResourceRequestProto) -> Result<(), Failure> {
        let invalid = |text: String| Failure::yarn("InvalidResourceRequestException", text);
        let Some(capability) = &ask.capability else {
            return Err(Failure::new(
                "java.lang.NullPointerException",
                "java.lang.NullPointerException",
            ));
        };
        check_label(ask.node_label_expression())?;
        let (memory, vcores) = (capability.memory(), capability.virtual_cores());
        for (name, amount) in [("memory-mb", memory), ("vcores", i64::from(vcores))] {
            if amount < 0 {
                return Err(invalid(texts::negative(name, memory, vcores)));
            }
        }
        let asked = Resource::from(capability);
        if let Some((name, _)) = asked.others.iter().find(|(_, amount)| **amount < 0) {
            return Err(invalid(texts::negative(name, memory, vcores)));
        }
        check_size(&asked, &self.settings.maximum)
    }
}

/// Refuses what is larger than any container there can be, in words and class of `SchedulerUtils`.
///
/// # Errors
/// `InvalidResourceRequestException`.
pub(crate) fn check_size(asked: &Resource, maximum: &Resource) -> Result<(), Failure> {
    let exceeded = if asked.memory_mb > maximum.memory_mb {
        "memory-mb"
    } else if asked.vcores > maximum.vcores {
        "vcores"
    } else if let Some(name) = exceeded(asked, maximum) {
        name
    } else {
        return Ok(());
    };
    let text = texts::too_large(exceeded, asked, maximum);
    Err(Failure::yarn("InvalidResourceRequestException", text))
}

/// Refuses a label, because labels are off.
///
/// # Errors
/// `InvalidLabelResourceRequestException`.
pub(crate) fn check_label(label: &str) -> Result<(), Failure> {
    if label.trim().is_empty() {
        return Ok(());
    }
    let text = "Invalid resource request, node label not enabled but request contains label expression";
    Err(Failure::yarn("InvalidLabelResourceRequestException", text))
}
