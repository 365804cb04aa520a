//! Whether the kernel's out-of-memory killer was at work: told without its log, which only root may read.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How old a count may be that serves as the one before an attempt.
const FRESH: Duration = Duration::from_millis(50);

/// The count as it was a moment ago: reading it takes as long as many a short command's share of everything else, so
/// attempts that begin within [`FRESH`] have it in common.
#[derive(Debug, Default)]
pub(crate) struct Kills {
    last: Mutex<Option<(Instant, u64)>>,
}

impl Kills {
    /// [`kills`], as it is or was within the last [`FRESH`].
    pub(crate) fn lately(&self) -> u64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match *last {
            Some((at, count)) if at.elapsed() < FRESH => count,
            _ => {
                let count = kills();
                *last = Some((Instant::now(), count));
                count
            }
        }
    }
}

/// How many processes of this machine the kernel has ended for want of memory since it was started: `oom_kill` of
/// `/proc/vmstat`, which counts those of control groups, too. 0 where the kernel does not say.
pub(crate) fn kills() -> u64 {
    fs::read_to_string("/proc/vmstat").map_or(0, |text| count(&text))
}

fn count(vmstat: &str) -> u64 {
    let mut counts = vmstat.lines().filter_map(|line| line.strip_prefix("oom_kill "));
    counts
        .next()
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_is_read() {
        assert_eq!(count("nr_free_pages 7\noom_kill 3\nswap_ra 0\n"), 3);
        assert_eq!(count("nr_free_pages 7\n"), 0);
    }
}
