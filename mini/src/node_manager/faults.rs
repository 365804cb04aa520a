//! What may befall a node, and how it comes back.

use std::sync::PoisonError;
use std::time::Duration;

use hadoop::ids::ContainerId;
use yarn_rpc::am_nm::ContainerSignal;

use super::condition::Power;
use super::container::{Kill, Record};
use super::{Node, NodeManager, memory};
use crate::resource_manager::{ContainerReport, Event};

/// `ExitCode.LOST`: a container ended while its NodeManager was away, and nobody saw how.
const EXIT_LOST: i32 = 154;

impl NodeManager {
    /// What it says when it registers.
    pub(crate) fn reports(&self) -> Vec<ContainerReport> {
        let containers = self.node.containers();
        containers.values().filter_map(Record::report).collect()
    }

    /// Whether the ResourceManager hears of it, and it of the ResourceManager.
    pub(crate) fn is_heard(&self) -> bool {
        self.node.is_heard()
    }

    /// The host stands still, or goes on.
    pub(crate) fn set_frozen(&self, frozen: bool) {
        self.node.condition.lock().power = if frozen { Power::Frozen } else { Power::On };
        let containers = self.node.containers();
        let groups = containers.values().filter_map(Record::group);
        groups.for_each(|group| group.set_frozen(frozen));
    }

    /// The NodeManager is not there any more; its containers are.
    pub(crate) fn set_off(&self) {
        self.node.condition.lock().power = Power::Off;
    }

    /// It and the ResourceManager do not reach each other.
    pub(crate) fn set_apart(&self) {
        self.node.condition.lock().power = Power::Apart;
    }

    /// Containers of ApplicationMasters that have processes.
    pub(crate) fn masters(&self) -> Vec<ContainerId> {
        let containers = self.node.containers();
        let masters = containers.iter().filter(|(_, record)| record.is_master());
        masters.map(|(id, _)| *id).collect()
    }

    /// The processes of a container die, and nobody says why.
    pub(crate) fn kill_processes(&self, id: ContainerId) {
        if let Some(record) = self.node.containers().get(&id) {
            record.kill_now();
        }
    }

    /// The processes of a container stand still, or go on.
    pub(crate) fn freeze_processes(&self, id: ContainerId, frozen: bool) {
        let group = self.node.containers().get(&id).and_then(Record::group);
        if let Some(group) = group {
            group.set_frozen(frozen);
        }
    }

    /// The NodeManager is there again, and knows of what it had.
    pub(crate) fn set_on(&self) {
        self.node.condition.lock().power = Power::On;
    }

    /// The NodeManager knows of nothing that it had. What runs goes on, and nobody asks for it.
    pub(crate) fn forget_all(&self) {
        let records = std::mem::take(&mut *self.node.containers());
        let mut orphans = self.node.orphans.lock().unwrap_or_else(PoisonError::into_inner);
        orphans.extend(records.into_values());
    }

    /// Sets the node's clock ahead, or back, of that of everybody else.
    pub(crate) fn set_clock_ahead(&self, ms: i64) {
        self.node.condition.lock().clock_ahead_ms = ms;
    }

    /// Its disks are full, or not any more; gives what it says of them.
    pub(crate) fn set_disk_full(&self, full: bool) -> Option<String> {
        let (local, logs) = (&self.node.directories.local, &self.node.directories.logs);
        let complaint = full.then(|| {
            format!(
                "1/1 local-dirs usable space is below configured utilization percentage/no more usable space [ {} : \
                 used space above threshold of 90.0% ] ; 1/1 log-dirs usable space is below configured utilization \
                 percentage/no more usable space [ {} : used space above threshold of 90.0% ] ",
                local.display(),
                logs.display()
            )
        });
        self.node.condition.lock().disks.clone_from(&complaint);
        complaint
    }

    /// Files of this name cannot be fetched, so many times; with the words of the failure.
    pub(crate) fn refuse_file(&self, name: String, nth: u32, text: String) {
        self.node.localizer.refuse(name, nth, text);
    }

    /// Looks at every container's memory now and then, and ends those that use too much.
    pub(crate) async fn watch_memory(self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            self.check_memory();
        }
    }

    fn check_memory(&self) {
        let watched: Vec<_> = {
            let containers = self.node.containers();
            let groups = containers
                .iter()
                .filter_map(|(id, record)| Some((*id, record.group()?, record.memory_mb())));
            groups.collect()
        };
        for (id, group, limit_mb) in watched {
            let Some(text) = memory::excess(id, group.leader(), limit_mb) else {
                continue;
            };
            if let Some(record) = self.node.containers().get(&id) {
                record.kill(Kill::TooMuchMemory(text));
            }
        }
    }

    /// Sends a signal on behalf of the ResourceManager, if it can be reached.
    pub(crate) fn signal_from_afar(&self, id: ContainerId, signal: ContainerSignal) {
        if self.is_heard() {
            self.signal(id, signal);
        }
    }
}

impl Node {
    pub(super) fn is_heard(&self) -> bool {
        self.condition.lock().power == Power::On
    }

    /// Tells the ResourceManager, if it can be reached. What it does not hear it learns when the node registers.
    pub(super) fn tell(&self, event: Event) {
        if self.is_heard() {
            (self.report)(event);
        }
    }

    /// Nobody saw how a process died of a signal while the NodeManager was away; an exit code is found in a file.
    pub(super) fn look_back(&self, exit_status: &mut i32) {
        if self.condition.lock().power == Power::Off && *exit_status > 128 {
            *exit_status = EXIT_LOST;
        }
    }

    pub(super) fn disk_problem(&self) -> Option<String> {
        self.condition.get().disks
    }
}
