//! What is to be looked at again, and when. A timer is set, moved or cleared at logarithmic cost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::index::StageIx;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A stage may go to a worse locality level.
    Locality(StageIx),
    /// An exclusion ends.
    Exclusion,
    /// Slow tasks are looked for.
    Speculation,
    /// The backlog may ask for more executors.
    Backlog,
    /// An executor may have been idle for too long.
    Idle,
}

/// The timers that are set.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(Duration, Timer)>,
    set: BTreeMap<Timer, Duration>,
}

impl Timers {
    /// Sets a timer, in place of what it was set to.
    pub(crate) fn set(&mut self, timer: Timer, at: Duration) {
        self.clear(timer);
        self.queue.insert((at, timer));
        self.set.insert(timer, at);
    }

    /// Sets a timer unless it is set.
    pub(crate) fn set_once(&mut self, timer: Timer, at: Duration) {
        if !self.is_set(timer) {
            self.set(timer, at);
        }
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        if let Some(at) = self.set.remove(&timer) {
            self.queue.remove(&(at, timer));
        }
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.set.contains_key(&timer)
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// Takes the first timer whose time has come.
    pub(crate) fn pop_due(&mut self, now: Duration) -> Option<Timer> {
        let &(at, timer) = self.queue.first()?;
        if at > now {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_has_one_time() {
        let mut timers = Timers::default();
        timers.set(Timer::Exclusion, Duration::from_secs(5));
        timers.set(Timer::Speculation, Duration::from_secs(3));
        timers.set(Timer::Exclusion, Duration::from_secs(2));
        timers.set_once(Timer::Exclusion, Duration::from_secs(1));
        assert_eq!(timers.next(), Some(Duration::from_secs(2)));
        assert_eq!(timers.pop_due(Duration::from_secs(1)), None);
        assert_eq!(timers.pop_due(Duration::from_secs(9)), Some(Timer::Exclusion));
        assert_eq!(timers.pop_due(Duration::from_secs(9)), Some(Timer::Speculation));
        assert_eq!(timers.next(), None);
    }
}
