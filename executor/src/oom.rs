//! Whether the kernel's out-of-memory killer was at work: told without its log, which only root may read.

use std::fs;

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
