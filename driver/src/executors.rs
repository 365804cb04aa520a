//! The executors that ever registered, and which of them have free slots.
//!
//! An executor's number is never used again, so that finished tasks can name it; one that is gone keeps only its
//! name and the way it went, until it is forgotten (`forget`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use wire::amounts::Amounts;
use wire::failure::ExecutorLoss;
use wire::id::{BootNonce, ExecutorId, StageKey};

use crate::event::Registration;
use crate::free::FreeSlots;
use crate::hosts::Hosts;
use crate::index::{AttemptIx, ExecutorIx, HostIx, Table};
use crate::locality::Offer;

/// Whether an executor can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// It is heard.
    Live,
    /// It has been silent for a while: no new tasks.
    Suspect,
    /// Its connection ended: no new tasks, and soon it is given up.
    Disconnected {
        since: Duration,
    },
    Gone {
        at: Duration,
        loss: ExecutorLoss,
    },
}

/// One executor.
#[derive(Debug)]
pub(crate) struct Executor {
    pub(crate) id: ExecutorId,
    pub(crate) boot: BootNonce,
    pub(crate) host: HostIx,
    pub(crate) slots: u32,
    pub(crate) free: u32,
    /// What is left of what it has besides slots.
    pub(crate) spare: Amounts,
    pub(crate) liveness: Liveness,
    pub(crate) registered_at: Duration,
    pub(crate) last_heard: Duration,
    /// Since when it has been without a task.
    pub(crate) idle_since: Duration,
    /// When its silence is looked at next.
    pub(crate) watched_at: Duration,
    /// Attempts that have slots.
    pub(crate) attempts: Vec<AttemptIx>,
    /// Attempts that wait there for slots, in the order in which they will begin.
    pub(crate) queue: VecDeque<AttemptIx>,
    /// Attempts of tasks under suspicion.
    pub(crate) suspects: u32,
    /// Those of the queue that were not asked back.
    pub(crate) recallable: u32,
    /// Stages whose shared part it knows.
    pub(crate) told: BTreeSet<StageKey>,
    pub(crate) succeeded: u32,
    pub(crate) failed: u32,
    /// It is left out after failures.
    pub(crate) excluded: bool,
    /// It is to go for this reason once its attempts are over.
    pub(crate) draining: Option<ExecutorLoss>,
}

impl Executor {
    fn new(registration: &Registration, host: HostIx, spare: Amounts, now: Duration) -> Self {
        Self {
            id: registration.executor.clone(),
            boot: registration.boot,
            host,
            slots: registration.slots,
            free: registration.slots,
            spare,
            liveness: Liveness::Live,
            registered_at: now,
            last_heard: now,
            idle_since: now,
            watched_at: now,
            attempts: Vec::new(),
            queue: VecDeque::new(),
            suspects: 0,
            recallable: 0,
            told: BTreeSet::new(),
            succeeded: 0,
            failed: 0,
            excluded: false,
            draining: None,
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone_at().is_some()
    }

    /// When it went, if it did.
    pub(crate) fn gone_at(&self) -> Option<Duration> {
        match self.liveness {
            Liveness::Gone { at, .. } => Some(at),
            Liveness::Live | Liveness::Suspect | Liveness::Disconnected { .. } => None,
        }
    }

    /// Whether a task of this size can begin now.
    pub(crate) fn has_room(&self, cores: u32, needs: &Amounts) -> bool {
        cores <= self.free && self.spare.holds(needs)
    }

    /// Every attempt that it holds.
    pub(crate) fn held(&self) -> impl Iterator<Item = AttemptIx> {
        self.attempts.iter().chain(&self.queue).copied()
    }

    /// The attempt that would begin last.
    pub(crate) fn last_held(&self) -> Option<&AttemptIx> {
        self.queue.back().or(self.attempts.last())
    }

    /// Whether it holds no attempt.
    pub(crate) fn is_idle(&self) -> bool {
        self.attempts.is_empty() && self.queue.is_empty()
    }

    /// The slots it may be given tasks for; none before those that wait there have theirs.
    fn offered(&self) -> u32 {
        if self.is_willing() && self.queue.is_empty() {
            self.free
        } else {
            0
        }
    }

    /// Whether it may be given tasks at all.
    pub(crate) fn is_willing(&self) -> bool {
        self.liveness == Liveness::Live && !self.excluded && self.draining.is_none()
    }
}

/// How many are remembered that were lost before they registered: more than can be on their way at once.
const STILLBORN_KEPT: usize = 1024;

/// All executors.
#[derive(Debug)]
pub(crate) struct Executors {
    /// Nothing is left of those that are forgotten but their place, eight bytes.
    all: Table<ExecutorIx, Option<Box<Executor>>>,
    by_id: BTreeMap<ExecutorId, ExecutorIx>,
    pub(crate) hosts: Hosts,
    pub(crate) free: FreeSlots,
    /// What each has besides slots.
    each: Amounts,
    /// Lost before they registered, the latest last: the message that they had may still come.
    stillborn: VecDeque<ExecutorId>,
    draining: BTreeSet<ExecutorIx>,
    live: u32,
    gone: usize,
    /// How many of those that are gone could not be forgotten when that was tried last.
    pub(crate) gone_after_sweep: usize,
}

impl Executors {
    /// None yet; `each` is what every one has besides slots.
    pub(crate) fn new(each: Amounts) -> Self {
        Self {
            all: Table::new(Vec::new()),
            by_id: BTreeMap::new(),
            hosts: Hosts::new(),
            free: FreeSlots::default(),
            each,
            stillborn: VecDeque::new(),
            draining: BTreeSet::new(),
            live: 0,
            gone: 0,
            gone_after_sweep: 0,
        }
    }

    pub(crate) fn find(&self, id: &ExecutorId) -> Option<ExecutorIx> {
        self.by_id.get(id).copied()
    }

    /// The number of an executor that is not gone.
    pub(crate) fn find_present(&self, id: &ExecutorId) -> Option<ExecutorIx> {
        self.find(id).filter(|&index| !self[index].is_gone())
    }

    /// Notes that an executor was lost that never registered.
    pub(crate) fn note_stillborn(&mut self, id: &ExecutorId) {
        if self.find(id).is_none() && !self.stillborn.contains(id) {
            self.stillborn.push_back(id.clone());
            let surplus = self.stillborn.len().saturating_sub(STILLBORN_KEPT);
            self.stillborn.drain(..surplus);
        }
    }

    /// Whether an executor that registers now is known to be no more.
    pub(crate) fn is_fenced(&self, id: &ExecutorId) -> bool {
        self.stillborn.contains(id) || self.find(id).is_some_and(|index| self[index].is_gone())
    }

    /// How many have registered and are not gone.
    pub(crate) fn present(&self) -> u32 {
        self.live
    }

    /// Whether there is or was an executor of this number that is not forgotten.
    pub(crate) fn knows(&self, index: ExecutorIx) -> bool {
        self.all.get(index).is_some_and(Option::is_some)
    }

    /// Whether some are forgotten.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.all.len() > self.gone + self.live as usize
    }

    /// How many ever registered.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Those that were lost before they registered, the latest last.
    pub(crate) fn stillborn(&self) -> impl Iterator<Item = &ExecutorId> {
        self.stillborn.iter()
    }

    /// How many are gone and not forgotten.
    pub(crate) fn gone(&self) -> usize {
        self.gone
    }

    /// All that are not forgotten, in the order of their registration.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ExecutorIx, &Executor)> {
        self.slots()
            .filter_map(|(index, executor)| Some((index, executor?)))
    }

    /// All that ever registered, nothing where one is forgotten.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (ExecutorIx, Option<&Executor>)> {
        self.all.iter().map(|(index, slot)| (index, slot.as_deref()))
    }

    pub(crate) fn iter_present(&self) -> impl Iterator<Item = (ExecutorIx, &Executor)> {
        self.iter().filter(|(_, executor)| !executor.is_gone())
    }

    /// Drops one that is gone.
    pub(crate) fn forget(&mut self, index: ExecutorIx) {
        if let Some(executor) = self.all[index].take() {
            self.gone -= 1;
            // Another life may have registered from its container.
            if self.find(&executor.id) == Some(index) {
                self.by_id.remove(&executor.id);
            }
        }
    }

    /// Takes up the number of one that is forgotten.
    pub(crate) fn admit_forgotten(&mut self) {
        self.all.push(None);
    }

    pub(crate) fn admit(&mut self, registration: &Registration, now: Duration) -> ExecutorIx {
        let host = self.hosts.intern(&registration.host);
        let id = registration.executor.clone();
        let index = self.all.push(Some(Box::new(Executor::new(
            registration,
            host,
            self.each.clone(),
            now,
        ))));
        self.by_id.insert(id, index);
        self.live += 1;
        self.hosts.add_executor(host);
        self.refresh(index);
        index
    }

    /// Marks an executor as gone; its attempts are the caller's to end.
    pub(crate) fn bury(&mut self, index: ExecutorIx, at: Duration, loss: ExecutorLoss) {
        let executor = &mut self[index];
        executor.liveness = Liveness::Gone { at, loss };
        executor.told = BTreeSet::new();
        let host = executor.host;
        self.draining.remove(&index);
        self.hosts.remove_executor(host);
        self.live -= 1;
        self.gone += 1;
        self.refresh(index);
    }

    pub(crate) fn set_liveness(&mut self, index: ExecutorIx, liveness: Liveness) {
        self[index].liveness = liveness;
        self.refresh(index);
    }

    /// Gives an executor nothing more; the first reason stays.
    pub(crate) fn set_draining(&mut self, index: ExecutorIx, loss: ExecutorLoss) {
        self[index].draining.get_or_insert(loss);
        self.draining.insert(index);
        self.refresh(index);
    }

    /// Those that are to go once their attempts are over.
    pub(crate) fn draining(&self) -> impl Iterator<Item = ExecutorIx> {
        self.draining.iter().copied()
    }

    pub(crate) fn offer(&self, executor: ExecutorIx) -> Offer {
        let host = self[executor].host;
        Offer {
            executor,
            host,
            rack: self.hosts.rack(host),
            takes_suspects: self[executor].suspects == 0,
        }
    }

    /// What each has besides slots.
    pub(crate) fn each(&self) -> &Amounts {
        &self.each
    }

    /// How many tasks of this size fit on an executor that does nothing else.
    pub(crate) fn places(&self, index: ExecutorIx, cores: u32, needs: &Amounts) -> u64 {
        u64::from(self[index].slots / cores).min(self.each.places(needs))
    }

    /// Whether slots are what limits the tasks of this size there, and nothing else.
    pub(crate) fn is_limited_by_slots(&self, index: ExecutorIx, cores: u32, needs: &Amounts) -> bool {
        u64::from(self[index].slots / cores) <= self.each.places(needs)
    }

    /// A task of this size begins there.
    pub(crate) fn take(&mut self, index: ExecutorIx, slots: u32, needs: &Amounts) {
        let executor = &mut self[index];
        executor.free -= slots;
        executor.spare.take(needs);
        self.refresh(index);
    }

    /// Brings the free slots up to date after a change of an executor.
    pub(crate) fn refresh(&mut self, index: ExecutorIx) {
        let offered = self[index].offered();
        self.free.set(index, offered);
    }
}

const NAMED: &str = "who is named by anything is not forgotten";

impl std::ops::Index<ExecutorIx> for Executors {
    type Output = Executor;

    fn index(&self, index: ExecutorIx) -> &Executor {
        self.all[index].as_ref().expect(NAMED)
    }
}

impl std::ops::IndexMut<ExecutorIx> for Executors {
    fn index_mut(&mut self, index: ExecutorIx) -> &mut Executor {
        self.all[index].as_mut().expect(NAMED)
    }
}
