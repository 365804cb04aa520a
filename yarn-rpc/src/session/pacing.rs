//! When the next heartbeat is due, as data.

use std::time::Duration;

/// How often the session speaks to the ResourceManager.
///
/// While something is outstanding or has just changed, heartbeats come at `pending`; after `fast_beats` of them
/// each interval is twice the one before, up to `idle`. With nothing outstanding the interval is `idle`, or `progress`
/// when the ResourceManager has not heard of the latest progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pacing {
    /// The shortest interval.
    pub pending: Duration,
    /// How many heartbeats at that interval before it doubles.
    pub fast_beats: u32,
    /// The longest interval.
    pub idle: Duration,
    /// The longest interval while progress is made; people watch it.
    pub progress: Duration,
    /// Pause between two `finishApplicationMaster`.
    pub finish: Duration,
    /// First pause after a failed call; doubles up to `retry_max`.
    pub retry: Duration,
    /// The longest pause after a failed call.
    pub retry_max: Duration,
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            pending: Duration::from_millis(200),
            // Two seconds: longer than NodeManagers are silent, and containers are granted when they report.
            fast_beats: 10,
            idle: Duration::from_secs(3),
            progress: Duration::from_secs(1),
            finish: Duration::from_millis(100),
            retry: Duration::from_millis(100),
            retry_max: Duration::from_secs(3),
        }
    }
}

impl Pacing {
    /// The interval after `beats` heartbeats since the last change, with something outstanding or not.
    pub fn interval(&self, beats: u32, outstanding: bool) -> Duration {
        if beats < self.fast_beats {
            return self.pending;
        }
        if !outstanding {
            return self.idle;
        }
        let doublings = (beats - self.fast_beats).saturating_add(1).min(16);
        self.pending.saturating_mul(1 << doublings).min(self.idle)
    }

    /// The pause after the `failures`-th failed call in a row (from 1).
    pub fn retry_pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        self.retry.saturating_mul(1 << doublings).min(self.retry_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_doubles_from_pending_to_idle() {
        let pacing = Pacing {
            fast_beats: 1,
            ..Pacing::default()
        };
        let ms: Vec<_> = (0..7).map(|n| pacing.interval(n, true).as_millis()).collect();
        assert_eq!(ms, [200, 400, 800, 1600, 3000, 3000, 3000]);
        assert_eq!(pacing.interval(u32::MAX, true).as_millis(), 3000);
    }

    #[test]
    fn with_nothing_outstanding_it_falls_to_idle_at_once() {
        let pacing = Pacing::default();
        assert_eq!(pacing.interval(9, false).as_millis(), 200);
        assert_eq!(pacing.interval(10, false).as_millis(), 3000);
    }

    #[test]
    fn failed_calls_back_off_to_a_ceiling() {
        let pacing = Pacing::default();
        let ms: Vec<_> = (1..8).map(|n| pacing.retry_pause(n).as_millis()).collect();
        assert_eq!(ms, [100, 200, 400, 800, 1600, 3000, 3000]);
    }
}
