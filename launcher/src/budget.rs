//! The budget of executor failures: how many counted losses within a sliding window end the application.

use std::collections::VecDeque;
use std::time::Duration;

/// Counted losses, oldest first.
#[derive(Debug)]
pub struct Budget {
    validity: Duration,
    losses: VecDeque<Duration>,
}

impl Budget {
    /// A budget that remembers a loss for `validity`.
    #[must_use]
    pub fn new(validity: Duration) -> Self {
        Self {
            validity,
            losses: VecDeque::new(),
        }
    }

    /// Books a loss and gives how many count now.
    pub fn book(&mut self, now: Duration) -> u32 {
        self.losses.push_back(now);
        self.used(now)
    }

    /// How many losses count at `now`; forgets the older ones.
    pub fn used(&mut self, now: Duration) -> u32 {
        let horizon = now.saturating_sub(self.validity);
        while self.losses.front().is_some_and(|at| *at < horizon) {
            self.losses.pop_front();
        }
        u32::try_from(self.losses.len()).unwrap_or(u32::MAX)
    }
}

/// The limit for a number of executors, unless a person set one.
#[must_use]
pub fn limit(configured: Option<u32>, executors: u32) -> u32 {
    configured
        .unwrap_or_else(|| executors.saturating_mul(2).max(3))
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_losses_are_forgotten() {
        let at = Duration::from_secs;
        let mut budget = Budget::new(at(100));
        assert_eq!(budget.book(at(1)), 1);
        assert_eq!(budget.book(at(50)), 2);
        assert_eq!(budget.book(at(120)), 2);
        assert_eq!(budget.used(at(1000)), 0);
    }

    #[test]
    fn the_limit_is_three_or_twice_the_executors() {
        assert_eq!(limit(None, 1), 3);
        assert_eq!(limit(None, 5), 10);
        assert_eq!(limit(Some(4), 100), 4);
        assert_eq!(limit(Some(0), 100), 1);
    }
}
