//! Where the tasks of a stage would like to run, and how long they wait for it: delay scheduling.
//!
//! Levels, waits and the moments at which they change are those of Spark's `TaskSetManager`: a stage stays at a
//! level while it has tasks for it and the level's wait has not passed since the last reset, and the wait is reset
//! when a whole round of offers launched something and turned nothing down because of it (since Spark 3.1).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::TaskInput;
use crate::hosts::Hosts;
use crate::index::{ExecutorIx, HostIx, RackIx};
use crate::policy::LocalityWaits;

/// How near a task is to its data, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// On the executor that made its input.
    Process,
    /// On a node that holds its input.
    Node,
    /// It has no preference.
    NoPreference,
    /// In the rack of a node that holds its input.
    Rack,
    /// Elsewhere.
    Any,
}

impl Level {
    const ALL: [Self; 5] = [
        Self::Process,
        Self::Node,
        Self::NoPreference,
        Self::Rack,
        Self::Any,
    ];

    fn wait(self, waits: &LocalityWaits) -> Duration {
        match self {
            Self::Process => waits.process,
            Self::Node => waits.node,
            Self::Rack => waits.rack,
            Self::NoPreference | Self::Any => Duration::ZERO,
        }
    }

    fn number(self) -> usize {
        self as usize
    }
}

/// Launched attempts by how near they were to what they read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LocalityCounts {
    /// On the executor that made their input.
    pub process: u32,
    /// On a node that holds their input.
    pub node: u32,
    /// Without any preference.
    pub no_preference: u32,
    /// In the rack of such a node.
    pub rack: u32,
    /// Elsewhere.
    pub any: u32,
}

impl LocalityCounts {
    /// Attempts that had a preference.
    #[must_use]
    pub fn particular(&self) -> u32 {
        self.near() + self.rack + self.any
    }

    /// Those of them that ran on a node that holds what they read, or on the executor.
    #[must_use]
    pub fn near(&self) -> u32 {
        self.process + self.node
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            process: self.process + other.process,
            node: self.node + other.node,
            no_preference: self.no_preference + other.no_preference,
            rack: self.rack + other.rack,
            any: self.any + other.any,
        }
    }

    pub(crate) fn add(&mut self, level: Level) {
        *match level {
            Level::Process => &mut self.process,
            Level::Node => &mut self.node,
            Level::NoPreference => &mut self.no_preference,
            Level::Rack => &mut self.rack,
            Level::Any => &mut self.any,
        } += 1;
    }
}

/// An executor that has a slot to give away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) executor: ExecutorIx,
    pub(crate) host: HostIx,
    pub(crate) rack: Option<RackIx>,
    /// Whether a task under suspicion can go there: it has none.
    pub(crate) takes_suspects: bool,
}

/// Preferred places of the tasks of a stage, and the level it is at.
#[derive(Debug)]
pub(crate) struct Locality {
    /// Preferred nodes of all tasks, one after the other.
    hosts: Vec<HostIx>,
    /// By partition: where its nodes end in `hosts`.
    ends: Vec<u32>,
    /// The executor that made what a task reads.
    executors: BTreeMap<u32, ExecutorIx>,
    lists: Lists,
    valid: [bool; 5],
    level: Level,
    /// Since when it has been waiting at its level.
    since: Duration,
    unrejected: bool,
    /// By level: attempts in the queues of executors, whose tasks may have to be placed again.
    ahead: [u32; Level::ALL.len()],
}

/// Pending tasks by preferred place, the next one last. An entry may be out of date.
#[derive(Debug, Default)]
struct Lists {
    by_executor: BTreeMap<ExecutorIx, Vec<u32>>,
    by_host: BTreeMap<HostIx, Vec<u32>>,
    without: Vec<u32>,
    by_rack: BTreeMap<RackIx, Vec<u32>>,
}

/// What a round of offers came to for a stage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoundResult {
    /// The best level at which a task was launched.
    pub(crate) launched: Option<Level>,
    /// Whether an offer was turned down while tasks were pending.
    pub(crate) rejected: bool,
    /// Whether all free slots were on offer.
    pub(crate) complete: bool,
}

impl Locality {
    /// The preferences of planned tasks; none if nobody has any and none will come.
    pub(crate) fn new(
        tasks: &[TaskInput],
        hosts: &mut Hosts,
        expects_more: bool,
        now: Duration,
    ) -> Option<Self> {
        if !expects_more && tasks.iter().all(|task| task.hosts.is_empty()) {
            return None;
        }
        let mut locality = Self {
            hosts: Vec::new(),
            ends: Vec::with_capacity(tasks.len()),
            executors: BTreeMap::new(),
            lists: Lists::default(),
            valid: [false, false, false, false, true],
            level: Level::Any,
            since: now,
            unrejected: true,
            ahead: [0; Level::ALL.len()],
        };
        for task in tasks {
            locality
                .hosts
                .extend(task.hosts.iter().map(|name| hosts.intern(name)));
            locality
                .ends
                .push(u32::try_from(locality.hosts.len()).unwrap_or(u32::MAX));
        }
        Some(locality)
    }

    /// Has a task prefer the executor that made what it reads.
    pub(crate) fn prefer(&mut self, partition: u32, executor: ExecutorIx) {
        self.executors.insert(partition, executor);
    }

    /// Executors that tasks prefer or have preferred.
    pub(crate) fn named_executors(&self) -> impl Iterator<Item = ExecutorIx> {
        let lists = self.lists.by_executor.keys().copied();
        self.executors.values().copied().chain(lists)
    }

    pub(crate) fn preferred(&self, partition: u32) -> &[HostIx] {
        let partition = partition as usize;
        let start = partition.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.hosts[start as usize..self.ends[partition] as usize]
    }

    /// How near a task is to what it reads when it runs there.
    pub(crate) fn level(
        &self,
        partition: u32,
        offer: &Offer,
        hosts: &Hosts,
        place: impl Fn(ExecutorIx) -> HostIx,
    ) -> Level {
        let maker = self.executors.get(&partition).copied();
        let preferred = self.preferred(partition);
        let mut places = preferred.iter().copied().chain(maker.map(place));
        let in_rack = |host| offer.rack.is_some() && hosts.rack(host) == offer.rack;
        if maker == Some(offer.executor) {
            Level::Process
        } else if places.clone().any(|host| host == offer.host) {
            Level::Node
        } else if preferred.is_empty() && maker.is_none() {
            Level::NoPreference
        } else if places.any(in_rack) {
            Level::Rack
        } else {
            Level::Any
        }
    }

    /// Puts a pending task on top of the lists of its places.
    pub(crate) fn enqueue(&mut self, partition: u32, hosts: &Hosts, place: impl Fn(ExecutorIx) -> HostIx) {
        let mut preferred = self.preferred(partition).to_vec();
        if let Some(&executor) = self.executors.get(&partition) {
            self.lists
                .by_executor
                .entry(executor)
                .or_default()
                .push(partition);
            preferred.push(place(executor));
        }
        if preferred.is_empty() {
            self.lists.without.push(partition);
        }
        preferred.sort_unstable();
        preferred.dedup();
        let mut racks: Vec<_> = preferred.iter().filter_map(|&host| hosts.rack(host)).collect();
        racks.sort_unstable();
        racks.dedup();
        for host in preferred {
            self.lists.by_host.entry(host).or_default().push(partition);
        }
        for rack in racks {
            self.lists.by_rack.entry(rack).or_default().push(partition);
        }
    }

    /// Finds the levels that make sense with the executors that there are. A better level that appears is taken.
    pub(crate) fn revalidate(&mut self, hosts: &Hosts, alive: impl Fn(ExecutorIx) -> bool) {
        let lists = &self.lists;
        let valid = [
            lists.by_executor.keys().any(|&executor| alive(executor)),
            lists.by_host.keys().any(|&host| hosts.executors_on(host) > 0),
            !lists.without.is_empty(),
            lists.by_rack.keys().any(|&rack| hosts.executors_in(rack) > 0),
            true,
        ];
        let fresh = Level::ALL
            .into_iter()
            .find(|level| valid[level.number()] && !self.valid[level.number()]);
        self.valid = valid;
        match fresh {
            Some(better) if better < self.level => self.level = better,
            Some(_) | None => self.level = self.at_least(self.level),
        }
    }

    /// The best valid level that is no better than this one.
    fn at_least(&self, level: Level) -> Level {
        let worse = Level::ALL.into_iter().filter(|&other| other >= level);
        worse
            .into_iter()
            .find(|other| self.valid[other.number()])
            .unwrap_or(Level::Any)
    }

    /// The first level of a round.
    pub(crate) fn first_level(&self) -> Level {
        self.at_least(Level::Process)
    }

    /// The level after this one; none after the last.
    pub(crate) fn next_level(&self, level: Level) -> Option<Level> {
        let next = Level::ALL.get(level.number() + 1)?;
        Some(self.at_least(*next))
    }

    /// The level that tasks may go to now; it gets worse with time and with the end of the tasks that want better.
    pub(crate) fn allowed(
        &mut self,
        now: Duration,
        waits: &LocalityWaits,
        pending: impl Fn(u32) -> bool,
    ) -> Level {
        while let Some(next) = self.next_level(self.level) {
            let wait = self.level.wait(waits);
            let may_return = self.ahead[self.level.number()] > 0;
            if !may_return && !self.lists.has_tasks(self.level, &pending) {
                self.since = now;
            } else if now.saturating_sub(self.since) >= wait {
                self.since += wait;
            } else {
                break;
            }
            self.level = next;
        }
        self.level
    }

    /// An attempt at this level waits in the queue of an executor and may come back: the level is not left for want of
    /// tasks.
    pub(crate) fn enters_queue(&mut self, level: Level) {
        self.ahead[level.number()] += 1;
    }

    pub(crate) fn leaves_queue(&mut self, level: Level) {
        self.ahead[level.number()] -= 1;
    }

    /// When the level may change; none at the last.
    pub(crate) fn changes_at(&self, waits: &LocalityWaits) -> Option<Duration> {
        self.next_level(self.level)?;
        Some(self.since + self.level.wait(waits))
    }

    /// Counts the wait at the present level from now.
    pub(crate) fn begin_wait(&mut self, now: Duration) {
        self.since = now;
    }

    /// Resets the wait if the round deserves it.
    pub(crate) fn end_round(&mut self, now: Duration, result: RoundResult) {
        if result.rejected {
            self.unrejected = false;
        } else if let Some(level) = result.launched.filter(|_| result.complete || self.unrejected) {
            self.since = now;
            self.level = self.at_least(level);
            self.unrejected = true;
        }
    }

    /// Takes a task that is pending and wanted for an offer, from the nearest place up to a level.
    pub(crate) fn take(
        &mut self,
        offer: &Offer,
        limit: Level,
        judge: impl Fn(u32) -> Fitness,
    ) -> Option<(u32, Level)> {
        let lists = &mut self.lists;
        let places = [
            (Level::Process, lists.by_executor.get_mut(&offer.executor)),
            (Level::Node, lists.by_host.get_mut(&offer.host)),
            (Level::NoPreference, Some(&mut lists.without)),
            (
                Level::Rack,
                offer.rack.and_then(|rack| lists.by_rack.get_mut(&rack)),
            ),
        ];
        let allowed = places.into_iter().filter(|(level, _)| *level <= limit);
        let mut full = allowed.filter_map(|(level, list)| Some((level, list?)));
        full.find_map(|(level, list)| Some((take_last(list, &judge)?, level)))
    }
}

impl Lists {
    /// Whether a pending task would like a place of this level; what is out of date is dropped on the way.
    fn has_tasks(&mut self, level: Level, pending: impl Fn(u32) -> bool) -> bool {
        match level {
            Level::Process => any_pending(&mut self.by_executor, pending),
            Level::Node => any_pending(&mut self.by_host, pending),
            Level::NoPreference => is_pending(&mut self.without, &pending),
            Level::Rack => any_pending(&mut self.by_rack, pending),
            Level::Any => true,
        }
    }
}

fn any_pending<K: Ord + Copy>(lists: &mut BTreeMap<K, Vec<u32>>, pending: impl Fn(u32) -> bool) -> bool {
    while let Some(mut first) = lists.first_entry() {
        if is_pending(first.get_mut(), &pending) {
            return true;
        }
        first.remove();
    }
    false
}

fn is_pending(list: &mut Vec<u32>, pending: &impl Fn(u32) -> bool) -> bool {
    while let Some(&last) = list.last() {
        if pending(last) {
            return true;
        }
        list.pop();
    }
    false
}

/// Whether a task in a list can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fitness {
    /// Take it.
    Fits,
    /// It is pending, but not for this executor.
    Excluded,
    /// It is not pending any more.
    Stale,
}

/// Takes the last entry that fits; stale ones on the way are dropped.
pub(crate) fn take_last(list: &mut Vec<u32>, judge: impl Fn(u32) -> Fitness) -> Option<u32> {
    let mut place = list.len();
    while let Some(next) = place.checked_sub(1) {
        place = next;
        let fitness = judge(list[place]);
        if fitness == Fitness::Excluded {
            continue;
        }
        let partition = list.remove(place);
        if fitness == Fitness::Fits {
            return Some(partition);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Ix;

    const WAITS: LocalityWaits = LocalityWaits {
        process: Duration::from_secs(3),
        node: Duration::from_secs(3),
        rack: Duration::from_secs(1),
    };

    fn input(hosts: &[&str]) -> TaskInput {
        TaskInput {
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            ..TaskInput::default()
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Two tasks for node a, one for node b that has no executor, in one rack.
    fn example() -> (Locality, Hosts) {
        let mut hosts = Hosts::new();
        for host in ["a", "b", "c"] {
            hosts.set_rack(host, "/r");
        }
        let tasks = [input(&["a"]), input(&["a"]), input(&["b"])];
        let mut locality = Locality::new(&tasks, &mut hosts, false, at(0)).unwrap();
        for partition in (0..3).rev() {
            locality.enqueue(partition, &hosts, |_| HostIx::new(0));
        }
        for host in ["a", "c"] {
            let host = hosts.intern(host);
            hosts.add_executor(host);
        }
        locality.revalidate(&hosts, |_| true);
        (locality, hosts)
    }

    #[test]
    fn a_stage_waits_at_each_level_for_its_time() {
        let (mut locality, _) = example();
        let mut levels = |seconds| locality.allowed(at(seconds), &WAITS, |_| true);
        assert_eq!((levels(0), levels(2)), (Level::Node, Level::Node));
        assert_eq!((levels(3), levels(4)), (Level::Rack, Level::Any));
    }

    #[test]
    fn a_level_that_nobody_wants_is_left_at_once() {
        let (mut locality, _) = example();
        assert_eq!(locality.allowed(at(1), &WAITS, |_| false), Level::Any);
    }

    #[test]
    fn the_wait_is_reset_by_a_round_without_rejects_only() {
        let (mut locality, _) = example();
        let round = |launched, rejected, complete| RoundResult {
            launched,
            rejected,
            complete,
        };
        locality.end_round(at(2), round(Some(Level::Node), false, false));
        assert_eq!(locality.changes_at(&WAITS), Some(at(5)));
        locality.end_round(at(3), round(Some(Level::Node), true, false));
        locality.end_round(at(4), round(Some(Level::Node), false, false));
        assert_eq!(locality.changes_at(&WAITS), Some(at(5)));
        locality.end_round(at(4), round(Some(Level::Node), false, true));
        assert_eq!(locality.changes_at(&WAITS), Some(at(7)));
    }

    #[test]
    fn tasks_without_preference_come_before_those_for_the_rack_and_wait_for_nothing() {
        let levels = [
            Level::Process,
            Level::Node,
            Level::NoPreference,
            Level::Rack,
            Level::Any,
        ];
        assert!(levels.is_sorted());
        let mut hosts = Hosts::new();
        hosts.set_rack("a", "/r");
        let mut locality = Locality::new(&[input(&["a"]), input(&[])], &mut hosts, false, at(0)).unwrap();
        for partition in (0..2).rev() {
            locality.enqueue(partition, &hosts, |_| HostIx::new(0));
        }
        let host = hosts.intern("a");
        hosts.add_executor(host);
        locality.revalidate(&hosts, |_| true);
        // The task for the node is running: what is left prefers nothing.
        assert_eq!(locality.allowed(at(0), &WAITS, |task| task == 1), Level::Any);
    }

    #[test]
    fn a_better_level_that_appears_is_taken() {
        let (mut locality, mut hosts) = example();
        assert_eq!(locality.allowed(at(9), &WAITS, |_| true), Level::Any);
        locality.prefer(2, ExecutorIx::new(0));
        locality.enqueue(2, &hosts, |_| HostIx::new(0));
        let b = hosts.intern("b");
        hosts.add_executor(b);
        locality.revalidate(&hosts, |_| true);
        assert_eq!(locality.changes_at(&WAITS), Some(locality.since + at(3)));
        assert_eq!(locality.level, Level::Process);
    }

    #[test]
    fn a_place_is_as_near_as_the_best_preference_that_it_meets() {
        let mut hosts = Hosts::new();
        for (host, rack) in [("a", "/r"), ("b", "/r"), ("c", "/s"), ("d", "/s")] {
            hosts.set_rack(host, rack);
        }
        let tasks = [input(&["a"]), input(&[]), input(&["a", "c"])];
        let mut locality = Locality::new(&tasks, &mut hosts, false, at(0)).unwrap();
        locality.prefer(2, ExecutorIx::new(7));
        let mut level = |partition, host: &str, executor| {
            let host = hosts.intern(host);
            let offer = Offer {
                takes_suspects: true,
                executor: ExecutorIx::new(executor),
                host,
                rack: hosts.rack(host),
            };
            locality.level(partition, &offer, &hosts, |_| HostIx::new(3))
        };
        let of_first = ["a", "b", "c"].map(|host| level(0, host, 0));
        assert_eq!(of_first, [Level::Node, Level::Rack, Level::Any]);
        assert_eq!(level(1, "a", 0), Level::NoPreference);
        // Its input was made by executor 7, on d.
        assert_eq!(
            [level(2, "d", 7), level(2, "d", 8)],
            [Level::Process, Level::Node]
        );
    }

    #[test]
    fn an_excluded_task_is_passed_over_and_kept() {
        let mut list = vec![4, 3, 2, 1];
        let judge = |partition| match partition {
            1 => Fitness::Excluded,
            2 => Fitness::Stale,
            _ => Fitness::Fits,
        };
        assert_eq!(take_last(&mut list, judge), Some(3));
        assert_eq!(list, [4, 1]);
    }
}
