//! This process: its limits, and what Prometheus's client libraries tell of one, from `/proc/self`.

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files as far as it may be: each executor holds a connection, and many systems start
/// processes with a limit of 1,024.
pub(crate) fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, ?limit, "the limit of open files stays");
    }
}

/// Adds the `process_` metrics; what the system does not tell is left out.
pub(crate) fn describe(registry: &mut Registry) {
    if let Some(bytes) = resident_bytes() {
        let gauge = ConstGauge::new(bytes);
        registry.register("process_resident_memory_bytes", "Resident memory size", gauge);
    }
    if let Some(seconds) = cpu_seconds() {
        let counter = ConstCounter::new(seconds);
        registry.register("process_cpu_seconds", "User and system processor time", counter);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        let gauge = ConstGauge::new(files.count() as u64);
        registry.register("process_open_fds", "Open file descriptors", gauge);
    }
}

fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Fields 14 and 15 of `stat`, counted after the name in parentheses, which may hold blanks.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.collect::<Result<Vec<_>, _>>().ok()?.iter().sum();
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_has_used_time() {
        assert!(resident_bytes().unwrap() > 1 << 20);
        assert!(cpu_seconds().unwrap() >= 0.0);
    }
}
