//! Containers that are wanted for others (`ProportionalCapacityPreemptionPolicy`): said first, then taken.

use std::collections::BTreeSet;

use hadoop::ids::{ApplicationId, ContainerId};
use yarn_rpc::proto::yarn as pb;

use super::application::{Application, Granted};
use super::lifecycle::PREEMPTED;
use super::{Effects, ResourceManager, texts};
use crate::UnixMs;

/// Which kind of message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contract {
    /// These containers will be taken.
    Strict,
    /// So much will be taken; the application may give back other containers of its own.
    Negotiable,
}

/// What an application is told to give back.
#[derive(Debug, Clone)]
pub(super) struct Preemption {
    wanted: BTreeSet<ContainerId>,
    contract: Contract,
    /// How many of the containers are still owed.
    owed: usize,
    pub(super) deadline_ms: UnixMs,
}

impl Preemption {
    /// A container of the application is gone.
    pub(super) fn given_back(&mut self, id: ContainerId) {
        let counts = self.wanted.remove(&id) || self.contract == Contract::Negotiable;
        self.owed = self.owed.saturating_sub(usize::from(counts));
    }
}

impl ResourceManager {
    /// Tells applications that containers will be taken; those of ApplicationMasters are left alone.
    pub(super) fn announce_preemption(
        &mut self,
        now: UnixMs,
        containers: &[ContainerId],
        contract: Contract,
        grace_ms: u64,
    ) {
        let deadline_ms = now.saturating_add(grace_ms);
        for application in self.applications.values_mut() {
            let held = |id: &&ContainerId| application.containers.get(id).is_some_and(|one| !one.is_master);
            let wanted: BTreeSet<ContainerId> = containers.iter().filter(held).copied().collect();
            if wanted.is_empty() {
                continue;
            }
            application.preemption = Some(Preemption {
                owed: wanted.len(),
                wanted,
                contract,
                deadline_ms,
            });
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

    pub(super) fn expire_preemption(&mut self, now: UnixMs, id: ApplicationId, effects: &mut Effects) {
        let Some(application) = self.applications.get_mut(&id) else {
            return;
        };
        let Some(due) = application.preemption.take_if(|one| one.deadline_ms <= now) else {
            return;
        };
        for container in due.wanted.into_iter().take(due.owed) {
            self.preempted(now, container, effects);
        }
    }
}

/// The message of an `allocate` answer; it is repeated until the containers are gone.
pub(super) fn message(application: &Application) -> Option<pb::PreemptionMessageProto> {
    let preemption = application.preemption.as_ref().filter(|one| one.owed > 0)?;
    let held = preemption
        .wanted
        .iter()
        .filter_map(|id| application.containers.get(id));
    let held: Vec<&Granted> = held.take(preemption.owed).collect();
    let container = held.iter().map(|one| pb::PreemptionContainerProto {
        id: Some(one.id.into()),
    });
    let container = container.collect();
    let strict = pb::StrictPreemptionContractProto { container };
    Some(match preemption.contract {
        Contract::Strict => pb::PreemptionMessageProto {
            strict_contract: Some(strict),
            contract: None,
        },
        Contract::Negotiable => pb::PreemptionMessageProto {
            strict_contract: None,
            contract: Some(pb::PreemptionContractProto {
                resource: held.iter().map(|one| request(one)).collect(),
                container: strict.container,
            }),
        },
    })
}

/// What is wanted back, as a request for it.
fn request(container: &Granted) -> pb::PreemptionResourceRequestProto {
    let resource = pb::ResourceRequestProto {
        priority: Some(pb::PriorityProto { priority: Some(0) }),
        resource_name: Some("*".to_owned()),
        capability: Some((&container.resource).into()),
        num_containers: Some(1),
        relax_locality: Some(true),
        ..Default::default()
    };
    pb::PreemptionResourceRequestProto {
        resource: Some(resource),
    }
}
