//! The ask table: which numbers the ResourceManager has from us, and the numbers it should have.
//!
//! Asks are absolute and keyed by resource name. The scheduler lowers its own copy as it grants, so this table
//! follows each grant in the same way (`LocalityAppPlacementAllocator`: a node-local grant lowers node, rack and
//! `*`, a rack-local one rack and `*`, any other only `*`). What follows is our belief; since every later ask is
//! absolute a wrong belief about a node's share heals with the next one.

use std::collections::BTreeMap;

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
/// for the rack, everything for `*`. Without candidates it is [`plain`].
///
/// Postcondition: the nodes' shares sum to the racks' counts, which sum to at most `wanted`.
#[must_use]
pub fn shaped(wanted: u32, candidates: &[Candidate]) -> Counts {
    let mut counts = plain(wanted);
    for (candidate, share) in deal(wanted, candidates) {
        counts.insert(candidate.name.as_str().to_owned(), share);
        *counts.entry(candidate.rack.clone()).or_default() += share;
    }
    counts
}

/// Deals one container at a time to the node that would then hold the fewest of ours; of equals the one with the
/// most room.
fn deal(wanted: u32, candidates: &[Candidate]) -> Vec<(&Candidate, u32)> {
    let mut shares: Vec<_> = candidates.iter().map(|candidate| (candidate, 0_u32)).collect();
    for _ in 0..wanted {
        let open = shares
            .iter_mut()
            .filter(|(candidate, share)| *share < candidate.room);
        let best = open.min_by_key(|(candidate, share)| {
            let room_left = candidate.room - *share;
            (candidate.held + *share, u32::MAX - room_left)
        });
        let Some((_, share)) = best else { break };
        *share += 1;
    }
    shares.retain(|(_, share)| *share > 0);
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
