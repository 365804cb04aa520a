//! The nodes that executors run on or tasks would like to run on, and the racks they stand in.

use std::collections::BTreeMap;

use crate::index::{HostIx, RackIx, Table};

/// A node.
#[derive(Debug)]
struct Host {
    name: String,
    rack: Option<RackIx>,
    /// Executors that run there now.
    executors: u32,
}

/// All nodes and racks that were named.
#[derive(Debug)]
pub(crate) struct Hosts {
    hosts: Table<HostIx, Host>,
    numbers: BTreeMap<String, HostIx>,
    racks: BTreeMap<String, RackIx>,
    /// By rack: executors that run there now.
    in_rack: Table<RackIx, u32>,
}

impl Hosts {
    pub(crate) fn new() -> Self {
        Self {
            hosts: Table::new(Vec::new()),
            numbers: BTreeMap::new(),
            racks: BTreeMap::new(),
            in_rack: Table::new(Vec::new()),
        }
    }

    pub(crate) fn intern(&mut self, name: &str) -> HostIx {
        if let Some(&index) = self.numbers.get(name) {
            return index;
        }
        let index = self.hosts.push(Host {
            name: name.to_owned(),
            rack: None,
            executors: 0,
        });
        self.numbers.insert(name.to_owned(), index);
        index
    }

    pub(crate) fn name(&self, host: HostIx) -> &str {
        &self.hosts[host].name
    }

    pub(crate) fn rack(&self, host: HostIx) -> Option<RackIx> {
        self.hosts[host].rack
    }

    pub(crate) fn executors_on(&self, host: HostIx) -> u32 {
        self.hosts[host].executors
    }

    pub(crate) fn executors_in(&self, rack: RackIx) -> u32 {
        self.in_rack[rack]
    }

    /// Notes in which rack a node stands.
    pub(crate) fn set_rack(&mut self, name: &str, rack: &str) {
        let host = self.intern(name);
        let rack = self.intern_rack(rack);
        let executors = self.hosts[host].executors;
        if let Some(before) = self.hosts[host].rack.replace(rack) {
            self.in_rack[before] -= executors;
        }
        self.in_rack[rack] += executors;
    }

    fn intern_rack(&mut self, name: &str) -> RackIx {
        if let Some(&index) = self.racks.get(name) {
            return index;
        }
        let index = self.in_rack.push(0);
        self.racks.insert(name.to_owned(), index);
        index
    }

    pub(crate) fn add_executor(&mut self, host: HostIx) {
        self.hosts[host].executors += 1;
        if let Some(rack) = self.rack(host) {
            self.in_rack[rack] += 1;
        }
    }

    pub(crate) fn remove_executor(&mut self, host: HostIx) {
        self.hosts[host].executors -= 1;
        if let Some(rack) = self.rack(host) {
            self.in_rack[rack] -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Ix;

    #[test]
    fn a_rack_knows_its_executors_whenever_it_is_learned() {
        let mut hosts = Hosts::new();
        let (a, b) = (hosts.intern("a"), hosts.intern("b"));
        hosts.add_executor(a);
        hosts.set_rack("a", "/r1");
        hosts.set_rack("b", "/r1");
        hosts.add_executor(b);
        let rack = hosts.rack(a).unwrap();
        assert_eq!(hosts.executors_in(rack), 2);
        hosts.set_rack("b", "/r2");
        hosts.remove_executor(a);
        assert_eq!((hosts.executors_in(rack), hosts.executors_on(b)), (0, 1));
        assert_eq!(RackIx::new(0), rack);
    }
}
