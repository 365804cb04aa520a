//! The table of outstanding requests.
//!
//! The ResourceManager keeps one count per key and lowers it whenever it grants; this table follows by lowering its
//! own counts when the grants arrive, before anything else is sent, so that a count sent later does not ask for
//! the same containers again.

use super::api::{Ask, AskKey, GrantSeq};
use crate::proto::yarn as pb;
use crate::records::Container;
use hadoop::ids::{ContainerId, NodeId};
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Default)]
pub(super) struct AskTable {
    entries: BTreeMap<AskKey, Entry>,
    /// Racks of nodes, as far as they have been reported.
    racks: BTreeMap<NodeId, String>,
    /// Changes of counts by grants, until the owner is known to have seen them.
    log: VecDeque<Change>,
    seq: GrantSeq,
}

#[derive(Debug)]
struct Entry {
    ask: Ask,
    dirty: bool,
}

#[derive(Debug)]
struct Change {
    seq: GrantSeq,
    container: ContainerId,
    key: AskKey,
    delta: i64,
}

/// The asks a granted container has satisfied, each with a count of one: what to ask again should it be void.
pub(super) type Satisfied = Vec<Ask>;

impl AskTable {
    pub(super) fn seq(&self) -> GrantSeq {
        self.seq
    }

    /// Sets a count that takes into account what happened up to `as_of`. Says whether anything changed.
    pub(super) fn set(&mut self, mut ask: Ask, as_of: GrantSeq) -> bool {
        while self.log.front().is_some_and(|change| change.seq <= as_of) {
            self.log.pop_front();
        }
        let later: i64 = self
            .log
            .iter()
            .filter(|change| change.key == ask.key)
            .map(|change| change.delta)
            .sum();
        let count = (i64::from(ask.count) + later).clamp(0, i64::from(i32::MAX));
        ask.count = u32::try_from(count).expect("clamped to what i32 holds");
        match self.entries.get(&ask.key) {
            Some(entry) if entry.ask == ask => false,
            None if ask.count == 0 => false,
            _ => {
                self.entries.insert(ask.key.clone(), Entry { ask, dirty: true });
                true
            }
        }
    }

    /// Takes an ask out without telling the ResourceManager, which never accepted it.
    pub(super) fn forget(&mut self, key: &AskKey) {
        self.entries.remove(key);
    }

    pub(super) fn learn_rack(&mut self, node: NodeId, rack: String) {
        self.racks.insert(node, rack);
    }

    /// Begins a new number for grants that are about to be made or taken back.
    pub(super) fn advance(&mut self) {
        self.seq.0 += 1;
    }

    /// Lowers the counts a container satisfies, as the scheduler does: node, rack and anywhere if the node was
    /// asked for; rack and anywhere if the rack was; else anywhere.
    pub(super) fn granted(&mut self, container: &Container) -> Satisfied {
        let mut satisfied = Vec::new();
        for name in self.names_of(container) {
            let key = AskKey::named(container.priority, container.allocation_request_id, &name);
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            if entry.ask.count > 0 {
                entry.ask.count -= 1;
                satisfied.push(Ask {
                    count: 1,
                    ..entry.ask.clone()
                });
                self.log.push_back(Change {
                    seq: self.seq,
                    container: container.id,
                    key,
                    delta: -1,
                });
            }
        }
        self.entries.retain(|_, entry| entry.dirty || entry.ask.count > 0);
        satisfied
    }

    /// Raises the counts again for a container that turned out to be void.
    pub(super) fn taken_back(&mut self, container: ContainerId, satisfied: Satisfied) {
        for ask in satisfied {
            let key = ask.key.clone();
            let entry = self.entries.entry(key.clone()).or_insert(Entry {
                ask: Ask { count: 0, ..ask },
                dirty: true,
            });
            entry.ask.count += 1;
            entry.dirty = true;
            self.log.push_back(Change {
                seq: self.seq,
                container,
                key,
                delta: 1,
            });
        }
    }

    /// The owner has given the container up by itself: its next counts take that into account already.
    pub(super) fn given_up(&mut self, container: ContainerId) {
        self.log
            .retain(|change| change.container != container || change.delta < 0);
    }

    /// Names under which the container may have been asked for, in the order node, rack, anywhere.
    fn names_of(&self, container: &Container) -> Vec<String> {
        let node = &container.node;
        let mut names = vec![node.host.clone(), node.to_string()];
        names.extend(self.rack_of(container));
        names.push(AskKey::ANY.to_owned());
        names
    }

    /// The node's rack if it was reported, else the only rack asked for with the same priority and id.
    fn rack_of(&self, container: &Container) -> Option<String> {
        if let Some(rack) = self.racks.get(&container.node) {
            return Some(rack.clone());
        }
        let same = |key: &&AskKey| {
            key.priority == container.priority
                && key.allocation_request_id == container.allocation_request_id
                && key.resource_name.starts_with('/')
        };
        let mut racks = self.entries.keys().filter(same);
        let only = racks.next()?;
        racks.next().is_none().then(|| only.resource_name.clone())
    }

    /// Takes up to `limit` asks that the ResourceManager has to hear of.
    pub(super) fn take_dirty(&mut self, limit: usize) -> Vec<Ask> {
        let mut taken = Vec::new();
        for entry in self.entries.values_mut().filter(|entry| entry.dirty).take(limit) {
            entry.dirty = false;
            taken.push(entry.ask.clone());
        }
        self.entries.retain(|_, entry| entry.dirty || entry.ask.count > 0);
        taken
    }

    /// Asks that were taken and not heard, unless they have changed since.
    pub(super) fn put_back(&mut self, asks: Vec<Ask>) {
        for ask in asks {
            let entry = self
                .entries
                .entry(ask.key.clone())
                .or_insert(Entry { ask, dirty: true });
            entry.dirty = true;
        }
    }

    /// The ResourceManager has forgotten everything.
    pub(super) fn all_dirty(&mut self) {
        self.entries.retain(|_, entry| entry.ask.count > 0);
        self.entries.values_mut().for_each(|entry| entry.dirty = true);
    }

    pub(super) fn has_dirty(&self) -> bool {
        self.entries.values().any(|entry| entry.dirty)
    }

    pub(super) fn outstanding(&self) -> bool {
        self.entries.values().any(|entry| entry.ask.count > 0)
    }
}

/// Priority and execution type are always sent: without them schedulers fail later, in other applications' calls.
impl From<&Ask> for pb::ResourceRequestProto {
    fn from(ask: &Ask) -> Self {
        let priority = i32::try_from(ask.key.priority.0).unwrap_or(i32::MAX);
        Self {
            priority: Some(pb::PriorityProto {
                priority: Some(priority),
            }),
            resource_name: Some(ask.key.resource_name.clone()),
            capability: Some((&ask.capability).into()),
            num_containers: Some(i32::try_from(ask.count).unwrap_or(i32::MAX)),
            relax_locality: Some(ask.relax_locality),
            node_label_expression: ask.node_label.clone(),
            execution_type_request: Some(pb::ExecutionTypeRequestProto {
                execution_type: Some(pb::ExecutionTypeProto::Guaranteed as i32),
                enforce_execution_type: Some(false),
            }),
            allocation_request_id: Some(ask.key.allocation_request_id.0),
        }
    }
}
