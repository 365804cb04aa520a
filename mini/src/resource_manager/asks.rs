//! What an attempt has asked for: absolute counts by priority, allocation request id and resource name.

use std::collections::BTreeMap;

use yarn_rpc::records::Resource;

use super::calculator::Calculator;

/// Where a container was placed, seen from the ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Locality {
    /// On a node that was named.
    Node,
    /// In a rack that was named.
    Rack,
    /// Elsewhere.
    OffSwitch,
}

/// "Anywhere".
pub(super) const ANY: &str = "*";

/// Priority and allocation request id. Lower priorities are served first.
pub(super) type AskGroup = (u32, i64);

/// One entry of the table, for reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAsk {
    /// Priority.
    pub priority: u32,
    /// Allocation request id.
    pub allocation_request_id: i64,
    /// Node, rack or `*`.
    pub resource_name: String,
    /// Size of one container.
    pub resource: Resource,
    /// Containers outstanding.
    pub count: u32,
    /// Whether it may be placed elsewhere.
    pub relax_locality: bool,
}

#[derive(Debug, Clone, Default)]
struct Group {
    /// One size for all names: a later one replaces the earlier.
    resource: Resource,
    names: BTreeMap<String, Ask>,
    /// Nodes that were passed over while a node that was named might still come.
    missed: u32,
}

#[derive(Debug, Clone, Copy)]
struct Ask {
    count: u32,
    relax_locality: bool,
}

/// A node as the table looks at it.
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) rack: &'a str,
    pub(super) free: Resource,
    pub(super) calculator: Calculator,
    /// How far from what was asked the placement may be.
    pub(super) at_most: Locality,
    /// Nodes that a group passes over before it goes elsewhere.
    pub(super) patience: u32,
}

/// The asks of one attempt.
#[derive(Debug, Clone, Default)]
pub struct AskTable {
    groups: BTreeMap<AskGroup, Group>,
}

impl Group {
    fn count(&self, name: &str) -> u32 {
        self.names.get(name).map_or(0, |ask| ask.count)
    }

    fn relaxes(&self, name: &str) -> bool {
        self.names.get(name).is_none_or(|ask| ask.relax_locality)
    }

    fn names_nodes(&self) -> bool {
        let is_node = |name: &&String| name.as_str() != ANY && !name.starts_with('/');
        self.names.keys().any(|name| is_node(&name))
    }

    /// All levels above must be asked for, too; a level that does not relax forbids what is below it.
    fn locality(&self, place: &Place<'_>) -> Option<Locality> {
        if self.count(ANY) == 0 || !place.calculator.fits(&self.resource, &place.free) {
            return None;
        }
        let in_rack = self.count(place.rack) > 0;
        if in_rack && self.count(place.name) > 0 {
            return Some(Locality::Node);
        }
        if self.names_nodes() && self.missed < place.patience {
            return None;
        }
        if in_rack && self.relaxes(place.rack) {
            return Some(Locality::Rack);
        }
        self.relaxes(ANY).then_some(Locality::OffSwitch)
    }

    fn take(&mut self, locality: Locality, place: &Place<'_>) {
        let names: &[&str] = match locality {
            Locality::Node => &[place.name, place.rack, ANY],
            Locality::Rack => &[place.rack, ANY],
            Locality::OffSwitch => &[ANY],
        };
        for name in names {
            if let Some(ask) = self.names.get_mut(*name) {
                ask.count = ask.count.saturating_sub(1);
            }
        }
        self.names.retain(|_, ask| ask.count > 0);
        self.missed = 0;
    }
}

impl AskTable {
    /// Replaces the count of one name; 0 takes the ask back.
    pub(super) fn set(&mut self, group: AskGroup, name: &str, resource: Resource, count: u32, relax: bool) {
        let entry = self.groups.entry(group).or_default();
        entry.resource = resource;
        if count == 0 {
            entry.names.remove(name);
        } else {
            let ask = Ask {
                count,
                relax_locality: relax,
            };
            entry.names.insert(name.to_owned(), ask);
        }
        self.groups.retain(|_, group| !group.names.is_empty());
    }

    /// Takes one container that may be placed there off the counts; most important first.
    pub(super) fn take(&mut self, place: &Place<'_>) -> Option<(AskGroup, Resource, Locality)> {
        for (key, group) in &mut self.groups {
            match group
                .locality(place)
                .filter(|locality| *locality <= place.at_most)
            {
                Some(locality) => {
                    let (key, resource) = (*key, group.resource.clone());
                    group.take(locality, place);
                    self.groups.retain(|_, group| !group.names.is_empty());
                    return Some((key, resource, locality));
                }
                None if group.names_nodes() => group.missed = group.missed.saturating_add(1),
                None => {}
            }
        }
        None
    }

    /// Containers outstanding.
    #[must_use]
    pub fn outstanding(&self) -> u32 {
        self.groups.values().map(|group| group.count(ANY)).sum()
    }

    /// Memory outstanding, in MiB.
    #[must_use]
    pub fn outstanding_memory_mb(&self) -> u64 {
        let groups = self.groups.values();
        groups
            .map(|group| u64::from(group.count(ANY)) * group.resource.memory_mb)
            .sum()
    }

    /// All entries.
    pub fn entries(&self) -> impl Iterator<Item = OpenAsk> {
        self.groups.iter().flat_map(|((priority, id), group)| {
            group.names.iter().map(|(name, ask)| OpenAsk {
                priority: *priority,
                allocation_request_id: *id,
                resource_name: name.clone(),
                resource: group.resource.clone(),
                count: ask.count,
                relax_locality: ask.relax_locality,
            })
        })
    }

    pub(super) fn clear(&mut self) {
        self.groups.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place<'a>(name: &'a str, at_most: Locality) -> Place<'a> {
        Place {
            name,
            rack: "/r",
            free: Resource::new(1000, 1),
            calculator: Calculator::Memory,
            at_most,
            patience: 0,
        }
    }

    fn table(entries: &[(&str, u32, bool)]) -> AskTable {
        let mut table = AskTable::default();
        for (name, count, relax) in entries {
            table.set((1, 7), name, Resource::new(100, 1), *count, *relax);
        }
        table
    }

    fn taken(table: &mut AskTable, name: &str) -> Option<Locality> {
        table
            .take(&place(name, Locality::OffSwitch))
            .map(|(_, _, locality)| locality)
    }

    #[test]
    fn counts_are_absolute_and_zero_takes_back() {
        let mut table = table(&[("*", 3, true)]);
        assert_eq!(taken(&mut table, "a:1"), Some(Locality::OffSwitch));
        table.set((1, 7), "*", Resource::new(100, 1), 3, true);
        assert_eq!(table.outstanding(), 3);
        table.set((1, 7), "*", Resource::new(100, 1), 0, true);
        assert_eq!((table.outstanding(), table.entries().count()), (0, 0));
    }

    #[test]
    fn a_node_needs_its_rack_and_anywhere_beside_it() {
        assert_eq!(taken(&mut table(&[("a:1", 1, true)]), "a:1"), None);
        assert_eq!(
            taken(&mut table(&[("a:1", 1, true), ("/r", 1, true)]), "a:1"),
            None
        );
        let full = [("a:1", 1, true), ("/r", 1, true), ("*", 1, true)];
        assert_eq!(taken(&mut table(&full), "a:1"), Some(Locality::Node));
        // Without the rack it is granted, but as if from elsewhere.
        assert_eq!(
            taken(&mut table(&[("a:1", 1, true), ("*", 1, true)]), "a:1"),
            Some(Locality::OffSwitch)
        );
    }

    #[test]
    fn with_the_dominant_calculator_there_must_be_room_for_everything() {
        let with = |acme| Resource {
            others: [("acme".to_owned(), acme)].into(),
            ..Resource::new(100, 1)
        };
        let mut table = AskTable::default();
        table.set((1, 7), "*", with(2), 1, true);
        let place = |acme| Place {
            free: with(acme),
            calculator: Calculator::Dominant,
            ..place("a:1", Locality::OffSwitch)
        };
        assert!(table.take(&place(1)).is_none());
        assert_eq!(table.take(&place(2)).map(|taken| taken.1), Some(with(2)));
    }

    #[test]
    fn a_strict_node_is_never_replaced() {
        let mut table = table(&[("a:1", 1, true), ("/r", 1, false), ("*", 1, false)]);
        assert_eq!(taken(&mut table, "b:1"), None);
        assert_eq!(taken(&mut table, "a:1"), Some(Locality::Node));
        assert_eq!(table.outstanding(), 0);
    }

    #[test]
    fn a_group_that_names_nodes_waits_before_it_goes_elsewhere() {
        let mut table = table(&[("a:1", 1, true), ("/r", 1, true), ("*", 1, true)]);
        let patient = Place {
            patience: 2,
            ..place("b:1", Locality::OffSwitch)
        };
        assert!(table.take(&patient).is_none());
        assert!(table.take(&patient).is_none());
        assert_eq!(table.take(&patient).map(|taken| taken.2), Some(Locality::Rack));
    }

    #[test]
    fn the_lower_priority_number_is_served_first_and_what_does_not_fit_is_passed_over() {
        let mut table = AskTable::default();
        table.set((5, -1), "*", Resource::new(100, 1), 1, true);
        table.set((1, -1), "*", Resource::new(2000, 1), 1, true);
        table.set((2, -1), "*", Resource::new(100, 1), 1, true);
        let groups = std::iter::from_fn(|| {
            table
                .take(&place("a:1", Locality::OffSwitch))
                .map(|taken| taken.0)
        });
        assert_eq!(groups.collect::<Vec<_>>(), [(2, -1), (5, -1)]);
    }
}
