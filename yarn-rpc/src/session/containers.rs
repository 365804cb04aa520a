//! What the session remembers of containers: grants that are not started, releases that are not confirmed, and
//! which ends were already told.

use super::asks::Satisfied;
use hadoop::ids::ContainerId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many ended containers are remembered to recognise a second report. The ResourceManager repeats only reports
/// that it has not seen acknowledged, so that a few heartbeats' worth is enough.
const ENDED_REMEMBERED: usize = 8192;

#[derive(Debug, Default)]
pub(super) struct ContainerBook {
    live: BTreeMap<ContainerId, Live>,
    releases: BTreeMap<ContainerId, ReleaseState>,
    ended: BTreeSet<ContainerId>,
    ended_order: VecDeque<ContainerId>,
}

#[derive(Debug)]
enum Live {
    /// Granted; the start was not reported.
    Granted(Satisfied),
    Started,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReleaseState {
    ToSend,
    Sent,
}

impl ContainerBook {
    /// Whether the container is new.
    pub(super) fn is_new(&self, id: &ContainerId) -> bool {
        !self.live.contains_key(id) && !self.ended.contains(id)
    }

    pub(super) fn granted(&mut self, id: ContainerId, satisfied: Satisfied) {
        self.live.insert(id, Live::Granted(satisfied));
    }

    /// Running before this session knew of it, or its start was accepted.
    pub(super) fn started(&mut self, id: ContainerId) {
        if !self.ended.contains(&id) {
            self.live.insert(id, Live::Started);
        }
    }

    /// Runs, says the ResourceManager, whatever it said before: one that has restarted takes in what NodeManagers run,
    /// also what its predecessor had given up. Says whether that is news.
    pub(super) fn found(&mut self, id: ContainerId) -> bool {
        self.ended.remove(&id);
        self.live.insert(id, Live::Started).is_none()
    }

    /// Says whether the end is news.
    pub(super) fn ended(&mut self, id: ContainerId) -> bool {
        self.live.remove(&id);
        self.releases.remove(&id);
        if !self.ended.insert(id) {
            return false;
        }
        self.ended_order.push_back(id);
        if self.ended_order.len() > ENDED_REMEMBERED
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
        true
    }

    /// Says whether there is something to send.
    pub(super) fn release(&mut self, id: ContainerId) -> bool {
        if self.ended.contains(&id) || self.releases.contains_key(&id) {
            return false;
        }
        // A container given back is not asked for again, should it turn out to be void.
        if let Some(Live::Granted(satisfied)) = self.live.get_mut(&id) {
            satisfied.clear();
        }
        self.releases.insert(id, ReleaseState::ToSend);
        true
    }

    /// The releases to send. Those of unknown containers are sent and forgotten, as no end will be reported.
    pub(super) fn take_releases(&mut self) -> Vec<ContainerId> {
        let to_send = self
            .releases
            .iter()
            .filter(|(_, state)| **state == ReleaseState::ToSend);
        let taken: Vec<ContainerId> = to_send.map(|(id, _)| *id).collect();
        for id in &taken {
            if self.live.contains_key(id) {
                self.releases.insert(*id, ReleaseState::Sent);
            } else {
                self.releases.remove(id);
            }
        }
        taken
    }

    /// Releases that were taken and not heard.
    pub(super) fn put_back_releases(&mut self, ids: &[ContainerId]) {
        for id in ids.iter().filter(|id| !self.ended.contains(id)) {
            self.releases.insert(*id, ReleaseState::ToSend);
        }
    }

    /// Releases that the ResourceManager refuses.
    pub(super) fn forget_releases(&mut self, ids: &[ContainerId]) {
        ids.iter().for_each(|id| {
            self.releases.remove(id);
        });
    }

    pub(super) fn has_releases(&self) -> bool {
        !self.releases.is_empty()
    }

    pub(super) fn has_unsent_releases(&self) -> bool {
        self.releases.values().any(|state| *state == ReleaseState::ToSend)
    }

    /// The ResourceManager has restarted: grants that were not started are void and never heard of again, all other
    /// releases are to be sent again.
    pub(super) fn resync(&mut self) -> BTreeMap<ContainerId, Satisfied> {
        let mut void = BTreeMap::new();
        self.live.retain(|id, live| match live {
            Live::Started => true,
            Live::Granted(satisfied) => {
                void.insert(*id, std::mem::take(satisfied));
                false
            }
        });
        self.releases.retain(|id, _| !void.contains_key(id));
        self.releases
            .values_mut()
            .for_each(|state| *state = ReleaseState::ToSend);
        void
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hadoop::ids::ApplicationId;

    fn id(n: u64) -> ContainerId {
        ContainerId::new(ApplicationId::new(1, 1).attempt(1), n)
    }

    #[test]
    fn the_memory_of_ended_containers_is_bounded() {
        let mut book = ContainerBook::default();
        for n in 0..ENDED_REMEMBERED as u64 + 10 {
            assert!(book.ended(id(n)));
        }
        assert_eq!(
            (book.ended.len(), book.ended_order.len()),
            (ENDED_REMEMBERED, ENDED_REMEMBERED)
        );
        assert!(!book.ended(id(ENDED_REMEMBERED as u64)));
    }

    #[test]
    fn a_container_that_ended_and_runs_after_all_can_be_released() {
        let mut book = ContainerBook::default();
        book.started(id(2));
        book.ended(id(2));
        assert!(!book.release(id(2)));
        assert!(book.found(id(2)) && !book.found(id(2)));
        assert!(book.release(id(2)));
        assert_eq!(book.take_releases(), [id(2)]);
        assert!(book.ended(id(2)));
    }

    #[test]
    fn a_release_is_sent_once_until_the_resource_manager_forgets() {
        let mut book = ContainerBook::default();
        book.started(id(2));
        assert!(book.release(id(2)));
        assert!(!book.release(id(2)));
        assert_eq!(book.take_releases(), [id(2)]);
        assert!(book.take_releases().is_empty() && book.has_releases());
        book.resync();
        assert_eq!(book.take_releases(), [id(2)]);
        book.ended(id(2));
        assert!(!book.has_releases() && !book.release(id(2)));
    }
}
