//! The ask table: which numbers the ResourceManager has from us, and the numbers it should have.
//!
//! Asks are absolute and keyed by resource name. The scheduler lowers its own copy as it grants, so this table
//! follows each grant in the same way (`LocalityAppPlacementAllocator`: a node-local grant lowers node, rack and
//! `*`, a rack-local one rack and `*`, any other only `*`). What follows is our belief; since every later ask is
//! absolute a wrong belief about a node's share heals with the next one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::nodes::{Candidate, NodeName};

/// The name that stands for every node.
pub const ANY: &str = "*";

/// Containers wanted by resource name.
pub type Counts = BTreeMap<String, u32>;

/// What the ResourceManager has from us.
#[derive(Debug, Default)]
pub struct AskTable {
    sent: Counts,
}

impl AskTable {
    /// Containers asked for and not granted yet.
    #[must_use]
    pub fn outstanding(&self) -> u32 {
        self.at(ANY)
    }

    /// The numbers by name, without zeros.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.sent.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// Whether names other than `*` are asked for.
    #[must_use]
    pub fn is_shaped(&self) -> bool {
        self.sent.keys().any(|name| name != ANY)
    }

    /// Follows a grant. Gives `false` when nothing was asked for any more.
    pub fn take_grant(&mut self, node: &NodeName, rack: Option<&str>) -> bool {
        if self.outstanding() == 0 {
            return false;
        }
        self.lower(ANY);
        let Some(rack) = rack.filter(|rack| self.at(rack) > 0) else {
            return true;
        };
        self.lower(rack);
        self.lower(node.as_str());
        true
    }

    /// Makes `wanted` the table and gives the entries that the ResourceManager must be told, zeros included.
    pub fn replace(&mut self, wanted: Counts) -> Vec<(String, u32)> {
        let gone = self.sent.keys().filter(|name| !wanted.contains_key(*name));
        let mut changes: Vec<_> = gone.map(|name| (name.clone(), 0)).collect();
        let differs = |(name, count): &(&String, &u32)| self.sent.get(*name) != Some(*count);
        changes.extend(
            wanted
                .iter()
                .filter(differs)
                .map(|(name, count)| (name.clone(), *count)),
        );
        self.sent = wanted;
        changes
    }

    fn at(&self, name: &str) -> u32 {
        self.sent.get(name).copied().unwrap_or(0)
    }

    fn lower(&mut self, name: &str) {
        if let Some(count) = self.sent.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                self.sent.remove(name);
            }
        }
    }
}

/// The ask for `wanted` containers anywhere.
#[must_use]
pub fn plain(wanted: u32) -> Counts {
    let entry = (wanted > 0).then(|| (ANY.to_owned(), wanted));
    entry.into_iter().collect()
}

/// The ask for `wanted` containers, dealt over nodes with room: a share for each node, the shares of a rack's nodes
/// for the rack, everything for `*`. Nodes that tasks would like to run on come first ([`Wishes`]), the rest is
/// balanced. Without candidates it is [`plain`].
///
/// Postcondition: the nodes' shares sum to the racks' counts, which sum to at most `wanted`.
#[must_use]
pub fn shaped(wanted: u32, candidates: &[Candidate], wishes: &Wishes<'_>) -> Counts {
    let mut counts = plain(wanted);
    let shares = deal(wanted, candidates, wishes);
    for (candidate, share) in candidates.iter().zip(shares).filter(|(_, share)| *share > 0) {
        counts.insert(candidate.name.as_str().to_owned(), share);
        *counts.entry(candidate.rack.clone()).or_default() += share;
    }
    counts
}

/// Where tasks would like to run.
#[derive(Debug, Clone, Copy)]
pub struct Wishes<'a> {
    /// Tasks by host.
    pub hosts: &'a BTreeMap<String, u32>,
    /// Tasks that one executor runs at a time.
    pub slots: u32,
}

impl Wishes<'_> {
    /// How many executors on a node its tasks could use. Hosts of files have no port, nodes may be named with one.
    fn executors_on(&self, node: &NodeName) -> u32 {
        let name = node.as_str();
        let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
        let tasks = self.hosts.get(name).or_else(|| self.hosts.get(host));
        tasks.map_or(0, |tasks| tasks.div_ceil(self.slots.max(1)))
    }
}

/// Who gets the next container, the greatest first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    /// Executors that its tasks could use and that it has not.
    unmet: u32,
    /// Of those with no wish: the one with the fewest of ours, then the one with the most room.
    few: Reverse<u32>,
    room: u32,
    place: Reverse<usize>,
}

impl Claim {
    fn of(place: usize, candidate: &Candidate, wished: u32, share: u32) -> Self {
        let held = candidate.held + share;
        Self {
            unmet: wished.saturating_sub(held),
            few: Reverse(held),
            room: candidate.room - share,
            place: Reverse(place),
        }
    }
}

/// Deals one container at a time: to the node with the most unmet wishes; without any to the node that would then
/// hold the fewest of ours, of equals the one with the most room. Gives each candidate's share.
fn deal(wanted: u32, candidates: &[Candidate], wishes: &Wishes<'_>) -> Vec<u32> {
    let mut shares = vec![0_u32; candidates.len()];
    let wished: Vec<_> = candidates
        .iter()
        .map(|node| wishes.executors_on(&node.name))
        .collect();
    let open = candidates
        .iter()
        .enumerate()
        .filter(|(_, candidate)| candidate.room > 0);
    let mut claims: BinaryHeap<_> = open
        .map(|(place, candidate)| Claim::of(place, candidate, wished[place], 0))
        .collect();
    for _ in 0..wanted {
        let Some(Claim {
            place: Reverse(place),
            ..
        }) = claims.pop()
        else {
            break;
        };
        shares[place] += 1;
        if shares[place] < candidates[place].room {
            claims.push(Claim::of(place, &candidates[place], wished[place], shares[place]));
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shaped(wanted: u32, candidates: &[Candidate]) -> Counts {
        let (hosts, slots) = (&BTreeMap::new(), 1);
        super::shaped(wanted, candidates, &Wishes { hosts, slots })
    }

    fn node(name: &str, rack: &str, room: u32, held: u32) -> Candidate {
        Candidate {
            name: NodeName::new(name),
            rack: rack.into(),
            room,
            held,
        }
    }

    fn three() -> Vec<Candidate> {
        vec![
            node("a", "/r", 50, 0),
            node("b", "/r", 50, 0),
            node("c", "/r", 50, 0),
        ]
    }

    #[test]
    fn a_wave_is_dealt_evenly_with_its_rack_and_any() {
        let counts = shaped(20, &three());
        let expected = [("*", 20), ("/r", 20), ("a", 7), ("b", 7), ("c", 6)];
        assert_eq!(counts, expected.map(|(n, c)| (n.to_owned(), c)).into());
    }

    #[test]
    fn few_containers_go_to_the_emptiest_nodes() {
        let nodes = [
            node("full", "/r", 1, 0),
            node("roomy", "/r", 9, 0),
            node("ours", "/r", 99, 3),
        ];
        let counts = shaped(1, &nodes);
        assert_eq!(counts.get("roomy"), Some(&1), "{counts:?}");
        assert_eq!(counts.len(), 3);
    }

    #[test]
    fn nodes_that_hold_the_input_come_first_as_far_as_their_tasks_need() {
        let nodes = [
            node("a:45454", "/r", 50, 0),
            node("b:45454", "/r", 50, 1),
            node("c:45454", "/r", 50, 0),
        ];
        let hosts = BTreeMap::from([
            ("b".to_owned(), 8),
            ("c".to_owned(), 2),
            ("elsewhere".to_owned(), 9),
        ]);
        let wishes = Wishes {
            hosts: &hosts,
            slots: 2,
        };
        let counts = super::shaped(4, &nodes, &wishes);
        let of = |name: &str| counts.get(name).copied().unwrap_or(0);
        // b could use four and has one, c could use one; nobody wants to go to a.
        assert_eq!([of("a:45454"), of("b:45454"), of("c:45454")], [0, 3, 1]);
        let counts = super::shaped(6, &nodes, &wishes);
        assert_eq!(
            counts.get("a:45454"),
            Some(&2),
            "what is left is balanced: {counts:?}"
        );
        assert_eq!(counts.get("*"), Some(&6));
    }

    #[test]
    fn without_nodes_only_any_is_asked() {
        assert_eq!(shaped(4, &[]), plain(4));
        assert!(plain(0).is_empty());
    }

    #[test]
    fn a_replacement_names_what_is_no_longer_wanted() {
        let mut table = AskTable::default();
        table.replace(shaped(2, &[node("a", "/r", 9, 0)]));
        let changes = table.replace(plain(2));
        assert_eq!(changes, [("/r".to_owned(), 0), ("a".to_owned(), 0)]);
        assert!(!table.is_shaped());
        assert!(table.replace(plain(2)).is_empty());
    }

    #[test]
    fn a_grant_lowers_what_the_scheduler_lowers() {
        let mut table = AskTable::default();
        table.replace(shaped(3, &[node("a", "/r", 2, 0)]));
        assert!(table.take_grant(&NodeName::new("a"), Some("/r")));
        assert_eq!(table.iter().collect::<Vec<_>>(), [("*", 2), ("/r", 1), ("a", 1)]);
        assert!(table.take_grant(&NodeName::new("elsewhere"), Some("/other")));
        assert_eq!(table.outstanding(), 1);
        assert!(table.take_grant(&NodeName::new("x"), None));
        assert!(!table.take_grant(&NodeName::new("x"), None));
    }

    proptest! {
        #[test]
        fn shares_sum_to_racks_and_racks_never_exceed_any(
            wanted in 0_u32..200,
            nodes in proptest::collection::vec((0_u32..20, 0_u32..5, 0_usize..3), 0..12),
        ) {
            let candidates: Vec<_> = nodes.iter().enumerate()
                .map(|(i, (room, held, rack))| node(&format!("n{i}"), &format!("/r{rack}"), *room, *held))
                .collect();
            let counts = shaped(wanted, &candidates);
            let sum = |prefix: char| -> u32 {
                counts.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, count)| *count).sum()
            };
            let room: u32 = candidates.iter().map(|candidate| candidate.room).sum();
            prop_assert_eq!(sum('n'), sum('/'));
            prop_assert_eq!(sum('n'), wanted.min(room));
            prop_assert!(counts.values().all(|count| *count > 0));
        }
    }
}
