//! How long to wait before the next attempt.
//!
//! A policy is data ([`Backoff`]); [`Backoff::delay`] is a pure function of the attempt, for pure cores and for
//! telling a person what will happen; [`Backoff::delays`] adds jitter, for shells that talk to a service which many
//! others lost at the same moment. Nothing here sleeps.
//!
//! ```
//! use std::time::Duration;
//! use hadoop::retry::Backoff;
//!
//! let policy = Backoff::doubling(Duration::from_millis(200), Duration::from_secs(30));
//! assert_eq!(policy.delay(0), Duration::from_millis(200));
//! assert_eq!(policy.delay(3), Duration::from_millis(1600));
//! assert_eq!(policy.delay(60), Duration::from_secs(30));
//!
//! let mut delays = policy.delays();
//! let first = delays.next_delay(); // wait this long, try again, and so on
//! assert!(first >= Duration::from_millis(160) && first <= Duration::from_millis(240));
//! ```

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// How delays grow from one attempt to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The first delay.
    pub initial: Duration,
    /// What each delay is multiplied by to give the next; 1 or more.
    pub factor: f64,
    /// The longest delay.
    pub max: Duration,
    /// How far a jittered delay may be from the computed one, as a fraction of it: 0 (never) to 1.
    pub jitter: f64,
}

impl Backoff {
    /// Finding the active ResourceManager: quick at first, since a failover takes a few seconds.
    pub const RESOURCE_MANAGER: Backoff =
        Backoff::doubling(Duration::from_millis(100), Duration::from_secs(5));
    /// Starting another container where one has failed.
    pub const RELAUNCH: Backoff = Backoff::doubling(Duration::from_millis(200), Duration::from_secs(30));
    /// Dialling the ApplicationMaster again.
    pub const GATEWAY: Backoff = Backoff::doubling(Duration::from_millis(100), Duration::from_secs(10));
    /// Calling a file system again.
    pub const FILE_SYSTEM: Backoff = Backoff::doubling(Duration::from_millis(500), Duration::from_secs(15));

    /// Doubling delays from `initial` to `max`, each jittered by a fifth either way.
    pub const fn doubling(initial: Duration, max: Duration) -> Self {
        Backoff {
            initial,
            factor: 2.0,
            max,
            jitter: 0.2,
        }
    }

    /// The delay after the attempt with this number (from 0), without jitter; never more than [`Self::max`].
    pub fn delay(&self, attempt: u32) -> Duration {
        let exponent = i32::try_from(attempt).unwrap_or(i32::MAX);
        let seconds = self.initial.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        Duration::try_from_secs_f64(seconds).map_or(self.max, |delay| delay.min(self.max))
    }

    /// The delays of one series of attempts, jittered, without end.
    pub fn delays(&self) -> Delays {
        let inner = ExponentialBackoff {
            current_interval: self.initial,
            initial_interval: self.initial,
            randomization_factor: self.jitter.clamp(0.0, 1.0),
            multiplier: self.factor.max(1.0),
            max_interval: self.max,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Delays { inner, max: self.max }
    }
}

/// A series of jittered delays; endless as an iterator.
#[derive(Debug)]
pub struct Delays {
    inner: ExponentialBackoff,
    max: Duration,
}

impl Delays {
    /// How long to wait before the next attempt; never more than the policy's longest delay.
    pub fn next_delay(&mut self) -> Duration {
        self.inner.next_backoff().unwrap_or(self.max).min(self.max)
    }

    /// Starts again from the first delay, after an attempt succeeded.
    pub fn reset(&mut self) {
        self.inner.reset();
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.next_delay())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policies() -> impl Strategy<Value = Backoff> {
        (1u64..5_000, 1.0f64..4.0, 1u64..100_000, 0.0f64..1.0).prop_map(|(initial, factor, max, jitter)| {
            let (initial, max) = (Duration::from_millis(initial), Duration::from_millis(max));
            Backoff {
                initial,
                factor,
                max,
                jitter,
            }
        })
    }

    proptest! {
        #[test]
        fn delays_grow_up_to_the_longest(policy in policies(), attempt in 0u32..) {
            prop_assert!(policy.delay(attempt) <= policy.max);
            prop_assert!(policy.delay(attempt) <= policy.delay(attempt.saturating_add(1)));
        }

        #[test]
        fn jitter_stays_within_its_fraction(policy in policies(), count in 1u32..20) {
            for (attempt, delay) in (0..count).zip(policy.delays()) {
                prop_assert!(delay <= policy.max);
                let plain = policy.delay(attempt).as_secs_f64();
                let lowest = plain * (1.0 - policy.jitter);
                let highest = plain * (1.0 + policy.jitter);
                let got = delay.as_secs_f64();
                prop_assert!(got >= lowest * 0.999 - 1e-6 && got <= highest * 1.001 + 1e-6, "{} {}", got, plain);
            }
        }
    }

    #[test]
    fn without_jitter_a_series_is_the_pure_function() {
        let policy = Backoff {
            jitter: 0.0,
            ..Backoff::RELAUNCH
        };
        let series: Vec<u128> = policy.delays().take(9).map(|delay| delay.as_millis()).collect();
        assert_eq!(series, [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
        let pure: Vec<u128> = (0..9).map(|attempt| policy.delay(attempt).as_millis()).collect();
        assert_eq!(series, pure);
    }

    #[test]
    fn a_reset_starts_the_series_again() {
        let mut delays = Backoff {
            jitter: 0.0,
            ..Backoff::GATEWAY
        }
        .delays();
        delays.by_ref().take(5).for_each(drop);
        delays.reset();
        assert_eq!(delays.next_delay(), Duration::from_millis(100));
    }

    #[test]
    fn jitter_moves_delays() {
        let policy = Backoff {
            factor: 1.0,
            jitter: 0.5,
            ..Backoff::FILE_SYSTEM
        };
        let seen: std::collections::BTreeSet<_> = policy.delays().take(50).collect();
        assert!(seen.len() > 1);
    }
}
