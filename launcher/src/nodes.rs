//! What is known of the cluster's nodes: where there is room, where executors were lost, which ones are avoided.
//!
//! A node is learned from the client's list at submission, from the ResourceManager's updates and from grants.
//! Losses on a node delay the next replacement (per node, doubling); counted losses are strikes, and two within ten
//! minutes have the node avoided for ten minutes. Never all usable nodes are avoided.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Strikes within [`EXCLUSION`] that have a node avoided.
const STRIKES: usize = 2;

/// What a loss says against its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// Nothing.
    None,
    /// It may be the node's fault.
    One,
    /// The node itself has probably gone silent, which the ResourceManager notices only after minutes: no replacement
    /// should go there.
    Out,
}
/// How long strikes and exclusions last.
const EXCLUSION: Duration = Duration::from_secs(600);
/// The longest chain of doublings of the back-off.
const DOUBLINGS: u32 = 16;

/// A node's name as asks and blacklists use it: the host, with the port where
/// `yarn.scheduler.include-port-in-node-name` is set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// The name with this text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a node takes containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NodeState {
    /// It does.
    #[default]
    Usable,
    /// It is being taken out of service.
    Leaving,
    /// It is lost, unhealthy or gone.
    Unusable,
}

/// News of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// Which.
    pub name: NodeName,
    /// Its rack, if the news says so.
    pub rack: Option<String>,
    /// Whether it takes containers.
    pub state: NodeState,
    /// Free memory in MiB, if the news says so.
    pub free_mib: Option<u64>,
    /// All memory that it gives to containers in MiB, if the news says so.
    pub total_mib: Option<u64>,
}

/// A node that asks may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: NodeName,
    /// Its rack.
    pub rack: String,
    /// How many more executors fit.
    pub room: u32,
    /// How many of ours it runs.
    pub held: u32,
}

/// What a loss on a node leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consequence {
    /// How long the replacement waits.
    pub delay: Duration,
    /// The node is to be avoided from now on.
    pub excluded: bool,
}

/// What was lost on a node of late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    /// Executors lost.
    pub losses: usize,
    /// Those that count.
    pub strikes: usize,
    /// Until when it is avoided.
    pub avoided_until: Option<Duration>,
}

#[derive(Debug, Default)]
struct Node {
    rack: Option<String>,
    state: NodeState,
    free_mib: Option<u64>,
    total_mib: Option<u64>,
    held: u32,
    losses: Vec<Duration>,
    strikes: Vec<Duration>,
    excluded_until: Option<Duration>,
    /// The driver wants no executors there.
    unwanted: bool,
}

/// All nodes heard of.
#[derive(Debug)]
pub struct Nodes {
    nodes: BTreeMap<NodeName, Node>,
    /// The nodes that are avoided, by the time that ends.
    exclusions: BTreeSet<(Duration, NodeName)>,
    executor_mib: u64,
    backoff: (Duration, Duration),
}

impl Nodes {
    /// No nodes yet; executors take `executor_mib` MiB each, and back-off doubles from the first value to the second.
    #[must_use]
    pub fn new(executor_mib: u64, backoff: (Duration, Duration)) -> Self {
        Self {
            nodes: BTreeMap::new(),
            exclusions: BTreeSet::new(),
            executor_mib: executor_mib.max(1),
            backoff,
        }
    }

    /// Takes news of a node.
    /// `true` when the node begins to be taken out of service.
    pub fn update(&mut self, facts: NodeFacts) -> bool {
        let node = self.nodes.entry(facts.name).or_default();
        let leaves = facts.state == NodeState::Leaving && node.state == NodeState::Usable;
        node.state = facts.state;
        node.rack = facts.rack.or(node.rack.take());
        node.free_mib = facts.free_mib.or(node.free_mib);
        // A node that says nothing of its memory is told of with none.
        let total_mib = facts.total_mib.filter(|total| *total > 0);
        node.total_mib = total_mib.or(node.total_mib);
        leaves
    }

    /// An executor of ours was placed on a node.
    pub fn placed(&mut self, name: &NodeName) {
        let taken = self.executor_mib;
        let node = self.nodes.entry(name.clone()).or_default();
        node.held += 1;
        node.free_mib = node.free_mib.map(|free| free.saturating_sub(taken));
    }

    /// An executor of ours left a node.
    pub fn vacated(&mut self, name: &NodeName) {
        let given = self.executor_mib;
        if let Some(node) = self.nodes.get_mut(name) {
            node.held = node.held.saturating_sub(1);
            node.free_mib = node.free_mib.map(|free| free.saturating_add(given));
        }
    }

    /// The rack of a node, if known.
    #[must_use]
    pub fn rack(&self, name: &NodeName) -> Option<&str> {
        self.nodes.get(name)?.rack.as_deref()
    }

    /// Whether a node is known to be leaving.
    #[must_use]
    pub fn is_leaving(&self, name: &NodeName) -> bool {
        self.nodes
            .get(name)
            .is_some_and(|node| node.state == NodeState::Leaving)
    }

    /// Books the loss of an executor.
    pub fn lost(&mut self, now: Duration, name: &NodeName, strike: Strike) -> Consequence {
        let spare = self.may_exclude(name);
        let backoff = self.backoff;
        let node = self.nodes.entry(name.clone()).or_default();
        node.book(now, strike);
        let excluded = spare && node.strikes.len() >= STRIKES;
        if excluded {
            node.excluded_until = Some(now + EXCLUSION);
            self.exclusions.insert((now + EXCLUSION, name.clone()));
        }
        Consequence {
            delay: node.delay(backoff),
            excluded,
        }
    }

    /// What was lost on a node within the last ten minutes.
    #[must_use]
    pub fn history(&self, now: Duration, name: &NodeName) -> History {
        let Some(node) = self.nodes.get(name) else {
            return History::default();
        };
        let horizon = now.saturating_sub(EXCLUSION);
        let recent = |times: &[Duration]| times.iter().filter(|at| **at >= horizon).count();
        History {
            losses: recent(&node.losses),
            strikes: recent(&node.strikes),
            avoided_until: node.excluded_until,
        }
    }

    /// Whether `name` may be avoided: not yet, and another usable node would remain.
    fn may_exclude(&self, name: &NodeName) -> bool {
        let others = self
            .nodes
            .iter()
            .filter(|(other, node)| *other != name && node.is_open())
            .count();
        others > 0
            && self
                .nodes
                .get(name)
                .is_none_or(|node| node.excluded_until.is_none())
    }

    /// Avoids the nodes with these names besides those where executors were lost, and none else for the driver's sake; gives
    /// those that are avoided by that, and those that are not any more. The last usable node is never avoided.
    pub fn avoid(&mut self, unwanted: &BTreeSet<String>) -> (Vec<NodeName>, Vec<NodeName>) {
        let (mut additions, mut removals) = (Vec::new(), Vec::new());
        for (name, node) in &mut self.nodes {
            if node.unwanted && !unwanted.contains(name.as_str()) {
                node.unwanted = false;
                removals.extend(node.excluded_until.is_none().then(|| name.clone()));
            }
        }
        for name in unwanted.iter().map(|name| NodeName::new(name)) {
            let spare = self.may_exclude(&name);
            let Some(node) = self.nodes.get_mut(&name).filter(|node| !node.unwanted) else {
                continue;
            };
            node.unwanted = spare || node.excluded_until.is_some();
            additions.extend(spare.then_some(name));
        }
        (additions, removals)
    }

    /// Avoids no node any more when there is no other that containers could be had on: a bad node is better than none
    /// for as long as that is so. Gives those that are open again.
    pub fn reopen(&mut self) -> Vec<NodeName> {
        if self.nodes.values().any(Node::is_open) {
            return Vec::new();
        }
        let usable = |(_, node): &(&NodeName, &mut Node)| node.state == NodeState::Usable;
        let mut reopened = Vec::new();
        for (name, node) in self.nodes.iter_mut().filter(usable) {
            node.unwanted = false;
            node.excluded_until = None;
            node.strikes.clear();
            reopened.push(name.clone());
        }
        self.exclusions.retain(|(_, name)| !reopened.contains(name));
        reopened
    }

    /// The nodes that are not avoided.
    #[must_use]
    pub fn open(&self) -> Vec<NodeName> {
        let open = self.nodes.iter().filter(|(_, node)| !node.is_avoided());
        open.map(|(name, _)| name.clone()).collect()
    }

    /// The nodes that are avoided; with the time until which for the losses there, without for the driver's sake alone.
    pub fn avoided(&self) -> impl Iterator<Item = (&NodeName, Option<Duration>)> {
        let avoided = self.nodes.iter().filter(|(_, node)| node.is_avoided());
        avoided.map(|(name, node)| (name, node.excluded_until))
    }

    /// Ends the exclusions that are over and names their nodes.
    pub fn expire(&mut self, now: Duration) -> Vec<NodeName> {
        let mut removals = Vec::new();
        while self.exclusions.first().is_some_and(|(until, _)| *until <= now) {
            let Some((_, name)) = self.exclusions.pop_first() else {
                break;
            };
            if let Some(node) = self.nodes.get_mut(&name) {
                node.excluded_until = None;
                node.strikes.clear();
            }
            if !self.nodes.get(&name).is_some_and(|node| node.unwanted) {
                removals.push(name);
            }
        }
        removals
    }

    /// When the next exclusion ends.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.exclusions.first().map(|(until, _)| *until)
    }

    /// How many executors there could be at most if nobody else wanted anything: what the usable nodes have room for, one
    /// of which has the ApplicationMaster of so many MiB, and what the others still hold. More than anybody wants when
    /// that is not known of some node, or of none.
    #[must_use]
    pub fn room(&self, master_mib: u64) -> u32 {
        if self.nodes.is_empty() {
            return u32::MAX;
        }
        let room = |taken: u64| {
            let nodes = self.nodes.values();
            nodes.map(move |node| (node, node.room(self.executor_mib, taken)))
        };
        let all = room(0).fold(0, |sum: u32, (_, room)| sum.saturating_add(room));
        // It is where it takes the least.
        let with_master = room(0).zip(room(master_mib));
        let with_master = with_master.filter(|((node, _), _)| node.state == NodeState::Usable);
        let taken = with_master.map(|((_, alone), (_, beside))| alone - beside).min();
        all.saturating_sub(taken.unwrap_or(0))
    }

    /// The nodes that asks may name.
    #[must_use]
    pub fn candidates(&self) -> Vec<Candidate> {
        let fit = |(name, node): (&NodeName, &Node)| node.candidate(name, self.executor_mib);
        self.nodes.iter().filter_map(fit).collect()
    }
}

impl Node {
    fn is_avoided(&self) -> bool {
        self.unwanted || self.excluded_until.is_some()
    }

    /// Whether containers may be wanted there.
    fn is_open(&self) -> bool {
        self.state == NodeState::Usable && !self.is_avoided()
    }

    fn book(&mut self, now: Duration, strike: Strike) {
        let horizon = now.saturating_sub(EXCLUSION);
        self.losses.retain(|at| *at >= horizon);
        self.strikes.retain(|at| *at >= horizon);
        self.losses.push(now);
        let strikes = match strike {
            Strike::None => 0,
            Strike::One => 1,
            Strike::Out => STRIKES,
        };
        self.strikes.extend(std::iter::repeat_n(now, strikes));
    }

    /// Nothing for the first loss, then the first value, doubled for each further one; nothing where no replacement
    /// will be.
    fn delay(&self, (first, most): (Duration, Duration)) -> Duration {
        if self.excluded_until.is_some() || self.state != NodeState::Usable {
            return Duration::ZERO;
        }
        let Some(doublings) = self.losses.len().checked_sub(2) else {
            return Duration::ZERO;
        };
        let doublings = u32::try_from(doublings).unwrap_or(DOUBLINGS).min(DOUBLINGS);
        first.saturating_mul(1 << doublings).min(most)
    }

    /// How many executors fit beside something else of so many MiB.
    fn room(&self, executor_mib: u64, taken_mib: u64) -> u32 {
        if self.state != NodeState::Usable {
            return self.held;
        }
        let left = self.total_mib.map(|total| total.saturating_sub(taken_mib));
        let all = left.map_or(u64::MAX, |left| left / executor_mib);
        u32::try_from(all).unwrap_or(u32::MAX).max(self.held)
    }

    fn candidate(&self, name: &NodeName, executor_mib: u64) -> Option<Candidate> {
        let room = self
            .free_mib
            .map_or(u64::from(u32::MAX), |free| free / executor_mib);
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        let rack = self.rack.clone().filter(|_| self.is_open() && room > 0)?;
        Some(Candidate {
            name: name.clone(),
            rack,
            room,
            held: self.held,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn nodes(names: &[&str]) -> Nodes {
        let mut nodes = Nodes::new(512, (MS(200), MS(30_000)));
        for name in names {
            nodes.update(NodeFacts {
                name: NodeName::new(name),
                rack: Some("/r".into()),
                state: NodeState::Usable,
                free_mib: Some(2048),
                total_mib: Some(4096),
            });
        }
        nodes
    }

    #[test]
    fn the_first_loss_waits_for_nothing_and_the_wait_then_doubles() {
        let mut nodes = nodes(&["a", "b"]);
        let delays: Vec<_> = (0..12)
            .map(|i| nodes.lost(MS(i), &NodeName::new("a"), Strike::None).delay)
            .collect();
        assert_eq!(delays[..4], [MS(0), MS(200), MS(400), MS(800)]);
        assert_eq!(delays[11], MS(30_000));
        assert_eq!(
            nodes.lost(MS(700_000), &NodeName::new("a"), Strike::None).delay,
            MS(0)
        );
    }

    #[test]
    fn the_room_is_what_empty_nodes_hold_beside_the_application_master() {
        let mut nodes = nodes(&["a", "b"]);
        assert_eq!((nodes.room(0), nodes.room(1), nodes.room(513)), (16, 15, 14));
        let news = |name: &str, state, total_mib| NodeFacts {
            name: NodeName::new(name),
            rack: None,
            state,
            free_mib: None,
            total_mib,
        };
        nodes.update(news("b", NodeState::Usable, Some(4600)));
        assert_eq!(nodes.room(500), 16, "it may be where it takes nothing away");
        nodes.placed(&NodeName::new("b"));
        nodes.update(news("b", NodeState::Leaving, None));
        assert_eq!(nodes.room(0), 9, "what is held there may go on");
        nodes.placed(&NodeName::new("c"));
        assert_eq!(nodes.room(512), u32::MAX, "nothing is known of it");
        nodes.update(news("c", NodeState::Usable, Some(0)));
        assert_eq!(nodes.room(512), u32::MAX, "none is as good as unknown");
    }

    #[test]
    fn two_strikes_exclude_a_node_for_ten_minutes() {
        let (mut nodes, a) = (nodes(&["a", "b"]), NodeName::new("a"));
        assert!(!nodes.lost(MS(0), &a, Strike::One).excluded);
        assert!(nodes.lost(MS(1), &a, Strike::One).excluded);
        assert_eq!(nodes.candidates().len(), 1);
        assert!(nodes.expire(MS(600_000)).is_empty());
        assert_eq!(nodes.next_deadline(), Some(MS(600_001)));
        assert_eq!(nodes.expire(MS(600_001)), [a]);
        assert_eq!(nodes.candidates().len(), 2);
    }

    #[test]
    fn a_node_that_has_gone_silent_is_avoided_at_once() {
        let (mut nodes, a) = (nodes(&["a", "b"]), NodeName::new("a"));
        assert!(nodes.lost(MS(0), &a, Strike::Out).excluded);
        assert_eq!(nodes.candidates().len(), 1);
    }

    #[test]
    fn neutral_losses_are_no_strikes() {
        let (mut nodes, a) = (nodes(&["a", "b"]), NodeName::new("a"));
        assert!((0..9).all(|i| !nodes.lost(MS(i), &a, Strike::None).excluded));
    }

    #[test]
    fn a_node_that_the_driver_avoids_is_open_again_when_neither_it_nor_losses_close_it() {
        let mut nodes = nodes(&["a", "b", "c"]);
        let (a, only) = (NodeName::new("a"), |name: &str| BTreeSet::from([name.to_owned()]));
        assert_eq!(nodes.avoid(&only("a")), (vec![a.clone()], vec![]));
        assert_eq!(nodes.avoid(&only("a")), (vec![], vec![]));
        assert!(nodes.candidates().iter().all(|candidate| candidate.name != a));
        assert!(nodes.lost(MS(0), &a, Strike::Out).excluded);
        assert_eq!(nodes.avoid(&BTreeSet::new()), (vec![], vec![]));
        assert_eq!(nodes.avoid(&only("a")), (vec![], vec![]), "it is avoided already");
        assert_eq!(nodes.expire(MS(600_000)), []);
        assert_eq!(nodes.avoid(&BTreeSet::new()), (vec![], vec![a]));
        assert_eq!((nodes.avoided().count(), nodes.candidates().len()), (0, 3));
    }

    #[test]
    fn when_all_others_are_gone_no_node_is_avoided_any_more() {
        let mut nodes = nodes(&["a", "b", "c"]);
        let becomes = |name: &str, state| NodeFacts {
            name: NodeName::new(name),
            rack: None,
            state,
            free_mib: None,
            total_mib: None,
        };
        assert!(nodes.lost(MS(0), &NodeName::new("a"), Strike::Out).excluded);
        assert_eq!(nodes.avoid(&["b".to_owned()].into()).0.len(), 1);
        assert_eq!(nodes.reopen(), [], "there is one more");
        nodes.update(becomes("c", NodeState::Unusable));
        assert_eq!(nodes.reopen(), ["a", "b"].map(NodeName::new));
        assert_eq!((nodes.avoided().count(), nodes.candidates().len()), (0, 2));
        assert_eq!(nodes.next_deadline(), None);
        nodes.update(becomes("a", NodeState::Unusable));
        nodes.update(becomes("b", NodeState::Unusable));
        assert_eq!(nodes.reopen(), [], "there is nothing to open");
    }

    #[test]
    fn the_driver_cannot_close_the_last_usable_node() {
        let mut nodes = nodes(&["a", "b"]);
        let all = ["a", "b", "elsewhere"].map(str::to_owned).into();
        assert_eq!(nodes.avoid(&all), (vec![NodeName::new("a")], vec![]));
        assert_eq!(nodes.avoided().count(), 1);
    }

    #[test]
    fn the_last_usable_node_is_never_excluded() {
        let mut nodes = nodes(&["a", "b"]);
        for name in ["a", "a", "b", "b", "b"] {
            nodes.lost(MS(0), &NodeName::new(name), Strike::One);
        }
        assert_eq!(nodes.avoided().count(), 1);
    }

    #[test]
    fn room_follows_what_we_place_and_take_away() {
        let (mut nodes, a) = (nodes(&["a"]), NodeName::new("a"));
        (0..4).for_each(|_| nodes.placed(&a));
        assert!(nodes.candidates().is_empty());
        nodes.vacated(&a);
        assert_eq!(nodes.candidates()[0].room, 1);
        assert_eq!(nodes.candidates()[0].held, 3);
    }
}
