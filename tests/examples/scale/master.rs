//! The ApplicationMaster's process, as the kernel shows it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::Outcome;

/// A process.
pub(crate) struct Master {
    pid: u32,
}

impl Master {
    /// The `drawloom am` of a cluster, whose directory is in its environment.
    pub(crate) fn find(cluster: &Path) -> Outcome<Self> {
        let cluster = cluster.to_string_lossy().into_owned();
        let pids = fs::read_dir("/proc")?
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_master = |pid: &u32| {
            let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let environment = String::from_utf8_lossy(&read("environ")).into_owned();
            read("cmdline").ends_with(b"drawloom\0am\0") && environment.contains(&cluster)
        };
        let pid = pids
            .into_iter()
            .find(is_master)
            .ok_or("no ApplicationMaster is running")?;
        Ok(Self { pid })
    }

    /// Processor time so far.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let (_, fields) = stat.rsplit_once(") ").ok_or("an unknown form of stat")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks = |at: usize| -> Outcome<u64> { Ok(fields.get(at).ok_or("stat is short")?.parse()?) };
        let all = ticks(11)? + ticks(12)?;
        Ok(Duration::from_secs_f64(
            all as f64 / rustix::param::clock_ticks_per_second() as f64,
        ))
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .ok_or("no VmRSS")?;
        let kibibytes: u64 = line.split_whitespace().next().ok_or("an empty VmRSS")?.parse()?;
        Ok(kibibytes * 1024)
    }
}
