//! Time as the cores count it, from the start of the process, and as people read it.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The moment the process started, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    start_unix: Duration,
    /// When this process started, whatever the clock goes on from.
    process: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self::started_at(unix.unwrap_or_default())
    }

    /// A clock for tests and pages, started at a fixed time since 1970.
    #[must_use]
    pub fn started_at(start_unix: Duration) -> Self {
        let start = Instant::now();
        Self {
            start,
            start_unix,
            process: start,
        }
    }

    /// This clock, as if it had been started when that of the first attempt was: `zero_unix` since 1970. It shows
    /// `least` or more, whatever has become of the clocks that people set.
    #[must_use]
    pub fn continuing(self, zero_unix: Duration, least: Duration) -> Self {
        let elapsed = self.start_unix.saturating_sub(zero_unix).max(least);
        match self.start.checked_sub(elapsed) {
            Some(start) => Self {
                start,
                start_unix: self.start_unix.saturating_sub(elapsed),
                ..self
            },
            None => self,
        }
    }

    /// When it started, since 1970.
    #[must_use]
    pub fn zero_unix(&self) -> Duration {
        self.start_unix
    }

    /// The time since the start.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// How long this process has been running, the attempts before it not counted.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.process.elapsed()
    }

    /// When `at` will be or was, for timers.
    #[must_use]
    pub fn instant(&self, at: Duration) -> Instant {
        self.start + at
    }

    /// When a moment of another clock was, in milliseconds since 1970; nothing when that was before the start.
    #[must_use]
    pub fn since_start(&self, unix_ms: u64) -> Option<Duration> {
        Duration::from_millis(unix_ms).checked_sub(self.start_unix)
    }

    /// `at` in milliseconds since 1970.
    #[must_use]
    pub fn unix_ms(&self, at: Duration) -> u64 {
        u64::try_from((self.start_unix + at).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_on_from_an_earlier_attempt_still_knows_how_long_its_own_process_runs() {
        let hour = Duration::from_secs(3600);
        let clock = Clock::start();
        let continued = clock.continuing(clock.zero_unix().saturating_sub(hour), Duration::ZERO);
        assert!(continued.now() >= hour);
        assert!(continued.uptime() < hour);
    }
}
