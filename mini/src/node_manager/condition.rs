//! How a node fares, as far as faults on order make it fare otherwise than well.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the NodeManager of a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Power {
    /// It works.
    #[default]
    On,
    /// The whole host stands still: nothing is answered, nothing runs, nothing is told.
    Frozen,
    /// It works, but it and the ResourceManager do not reach each other.
    Apart,
    /// The NodeManager does not run; containers may.
    Off,
}

/// See the [module](self).
#[derive(Debug, Clone, Default)]
pub(super) struct Condition {
    pub(super) power: Power,
    /// How far the node's clock is ahead, in milliseconds.
    pub(super) clock_ahead_ms: i64,
    /// What its disks complain of.
    pub(super) disks: Option<String>,
}

impl Condition {
    /// A moment as the node's own clock shows it.
    pub(super) fn clock(&self, now: u64) -> u64 {
        now.saturating_add_signed(self.clock_ahead_ms)
    }
}

/// A condition that others may change.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<Condition>);

impl Shared {
    pub(super) fn get(&self) -> Condition {
        self.lock().clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Condition> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
