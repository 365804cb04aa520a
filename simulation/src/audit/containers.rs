//! G, from the launcher's side: it lets a container go when it has ended, no later and no sooner, and what it gives
//! back the ResourceManager is told until it says that it is gone.

use std::collections::{BTreeMap, BTreeSet};

use hadoop::ids::ContainerId;
use launcher::core::Launcher;
use launcher::record::Phase;
use launcher::{Effect, Event, StartFailure};
use wire::id::ExecutorId;
use yarn_rpc::session::{SessionCall, SessionCommand, SessionEvent};

use super::Audit;

/// A launcher may take a container for gone after so many releases that nobody confirmed.
const RELEASES: u32 = 15;

/// What is known of containers.
#[derive(Debug, Default)]
pub(super) struct Containers {
    /// Those that the launcher had a record of, and how often it has given each back.
    recorded: BTreeMap<ExecutorId, u32>,
    /// Ended, says YARN.
    ended: BTreeSet<ExecutorId>,
    /// YARN does not know them.
    void: BTreeSet<ExecutorId>,
    /// Started, as the session was told.
    started: BTreeSet<ContainerId>,
    /// Of these what the session was told to give back.
    released: BTreeSet<ContainerId>,
    /// Those of which a ResourceManager that restarted is to be told.
    to_repeat: BTreeSet<ContainerId>,
}

impl Audit {
    pub(crate) fn hear_launcher(&mut self, event: &Event) {
        let Containers { ended, void, .. } = &mut self.containers;
        match event {
            Event::ContainerCompleted(completion) => {
                ended.insert(completion.executor.clone());
            }
            Event::StartFailed {
                executor,
                failure: StartFailure::Stale | StartFailure::Expired,
                ..
            } => {
                void.insert(executor.clone());
            }
            Event::Resynced { dropped } => void.extend(dropped.iter().cloned()),
            Event::ContainersHandedOver { running, .. } => running.iter().for_each(|grant| {
                ended.remove(&grant.executor);
            }),
            _ => {}
        }
    }

    pub(crate) fn see_launcher(&mut self, effect: &Effect) {
        if let Effect::ReleaseContainer { executor } = effect
            && let Some(releases) = self.containers.recorded.get_mut(executor)
        {
            *releases += 1;
        }
    }

    /// Whose record is gone has ended, and who has ended has no record.
    pub(super) fn compare_records(&mut self, launcher: &Launcher) {
        let books = std::mem::take(&mut self.containers.recorded);
        for (executor, releases) in &books {
            let Containers { ended, void, .. } = &self.containers;
            let over = ended.contains(executor) || void.contains(executor) || *releases >= RELEASES;
            self.check(over || launcher.record(executor).is_some(), 'G', || {
                format!("the launcher forgets {executor}, whose end nobody has told")
            });
        }
        let is_kept = |phase: Phase| !matches!(phase, Phase::Gone(_));
        let records = launcher.records().filter(|record| is_kept(record.phase));
        let names = records.map(|record| record.executor.clone());
        let releases = |executor: &ExecutorId| books.get(executor).copied().unwrap_or(0);
        let recorded: BTreeMap<_, _> = names.map(|name| (name.clone(), releases(&name))).collect();
        for executor in recorded.keys() {
            let ended = self.containers.ended.contains(executor);
            self.check(!ended, 'G', || {
                format!("{executor} has ended and the launcher keeps it")
            });
        }
        self.containers.recorded = recorded;
    }

    pub(crate) fn hear_command(&mut self, command: &SessionCommand) {
        let books = &mut self.containers;
        match command {
            SessionCommand::Started(id) => {
                books.started.insert(*id);
            }
            SessionCommand::Release(id) if books.started.contains(id) => {
                books.released.insert(*id);
            }
            _ => {}
        }
    }

    pub(crate) fn hear_session(&mut self, event: &SessionEvent) {
        let books = &mut self.containers;
        match event {
            SessionEvent::Completed(statuses) => {
                for status in statuses {
                    books.started.remove(&status.id);
                    books.released.remove(&status.id);
                }
            }
            SessionEvent::Resynced { .. } => books.to_repeat.clone_from(&books.released),
            _ => {}
        }
    }

    /// A ResourceManager that has restarted is told with the first heartbeat of all that is to be given back.
    pub(crate) fn see_call(&mut self, call: &SessionCall) {
        let SessionCall::Allocate(request) = call else {
            return;
        };
        if request.response_id() != 0 {
            return self.containers.to_repeat.clear();
        }
        let told: BTreeSet<_> = request.release.iter().flat_map(ContainerId::try_from).collect();
        let untold = self.containers.to_repeat.difference(&told).next().copied();
        if let Some(id) = untold {
            self.complain(
                'G',
                format!("{id} is given back and the ResourceManager is not told again"),
            );
        }
    }
}
