//! No task before enough executors are there: otherwise the first one would get the first tasks, however badly
//! it suits them. Nobody waits for ever: the gate opens after a while with any number.

use std::collections::BTreeSet;
use std::time::Duration;

use wire::id::ExecutorId;

use crate::core::Driver;
use crate::plan::AppPlan;

/// Whether tasks may be launched.
#[derive(Debug)]
pub(crate) struct Gate {
    needed: u32,
    patience: Duration,
    until: Option<Duration>,
    open: bool,
    /// Executors of an earlier process, which may be running anything.
    awaited: BTreeSet<ExecutorId>,
}

impl Gate {
    pub(crate) fn new(plan: &AppPlan) -> Self {
        let ratio = plan.settings.min_registered_ratio.clamp(0.0, 1.0);
        let wanted = match plan.scheduling.elastic {
            Some(elastic) => elastic.min,
            None => plan.executors.instances,
        };
        Self {
            needed: share(wanted, ratio),
            patience: plan.settings.max_registered_wait,
            until: None,
            open: false,
            awaited: BTreeSet::new(),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    pub(crate) fn start(&mut self, now: Duration) {
        self.until = Some(now + self.patience);
        self.open |= self.needed == 0;
    }

    /// Closes until these executors are here or given up, and as many as at the start are there.
    pub(crate) fn reopen(&mut self, now: Duration, awaited: BTreeSet<ExecutorId>, patience: Duration) {
        let wait = if awaited.is_empty() {
            self.patience
        } else {
            patience
        };
        self.until = Some(now + wait);
        self.open = false;
        self.awaited = awaited;
    }

    /// An executor is here or given up; whether it was awaited.
    pub(crate) fn arrive(&mut self, executor: &ExecutorId) -> bool {
        self.awaited.remove(executor)
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.until.filter(|_| !self.open)
    }
}

/// The number of executors that is at least this share of all, rounded up.
fn share(executors: u32, ratio: f64) -> u32 {
    let needed = (f64::from(executors) * ratio).ceil();
    (0..=executors)
        .find(|&count| f64::from(count) >= needed)
        .unwrap_or(executors)
}

impl Driver {
    /// Opens the gate when enough executors are there or enough time is over.
    pub(crate) fn open_gate(&mut self) {
        let Some(until) = self.gate.deadline() else {
            return;
        };
        let enough = self.gate.awaited.is_empty() && self.executors.present() >= self.gate.needed;
        if enough || self.now >= until {
            self.gate.open = true;
            self.begin_locality_waits();
            self.offers.everyone();
        }
    }

    /// Tasks wait for better places from now on: while the gate was closed nothing was kept from them.
    fn begin_locality_waits(&mut self) {
        for index in self.stages.indexes() {
            let tasks = self.stages[index].tasks.as_mut();
            if let Some(locality) = tasks.and_then(|tasks| tasks.locality()) {
                locality.begin_wait(self.now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_rounded_up() {
        assert_eq!(share(3, 0.8), 3);
        assert_eq!(share(10, 0.8), 8);
        assert_eq!(share(10, 0.0), 0);
        assert_eq!(share(0, 1.0), 0);
        assert_eq!(share(7, 1.0), 7);
    }
}
