//! What the processes of an application use, as the kernel shows it until they end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::processes::{self, Process};

/// Processor time from start to end, and memory.
#[derive(Debug, Default)]
pub(crate) struct Used {
    pub(crate) master: Duration,
    /// Of executors, their guards, and what they waited for.
    pub(crate) executors: Duration,
    /// Resident memory of the ApplicationMaster in bytes: when it was first seen, and the most.
    pub(crate) master_first: u64,
    pub(crate) master_peak: u64,
}

/// Looks at all processes of a cluster again and again.
pub(crate) struct Watch {
    cluster: PathBuf,
    known: BTreeMap<i32, Seen>,
    looks: u32,
}

struct Seen {
    is_master: bool,
    /// Whether what it has waited for is counted nowhere else.
    with_children: bool,
    time: Duration,
    first: u64,
    peak: u64,
}

/// Between looks for new processes: reading every process's environment takes long.
const EVERY: u32 = 10;

impl Watch {
    pub(crate) fn new(cluster: &Path) -> Self {
        Self {
            cluster: cluster.to_owned(),
            known: BTreeMap::new(),
            looks: 0,
        }
    }

    pub(crate) fn look(&mut self) {
        if self.looks.is_multiple_of(EVERY) {
            self.find();
        }
        self.looks += 1;
        for (pid, seen) in &mut self.known {
            if let Some(time) = processor_time(*pid, seen.with_children) {
                seen.time = time;
            }
            if seen.is_master {
                let memory = memory(*pid).unwrap_or(0);
                seen.first = if seen.first == 0 { memory } else { seen.first };
                seen.peak = seen.peak.max(memory);
            }
        }
    }

    fn find(&mut self) {
        let ours = processes::all()
            .into_iter()
            .filter(|process| process.is_of_cluster(&self.cluster));
        for Process { pid, command, .. } in ours {
            let is_master = command.trim_end().ends_with("drawloom am");
            let is_executor = command.starts_with("drawloom executor");
            if is_master || is_executor || command.starts_with("drawloom-guard") {
                let new = Seen {
                    is_master,
                    with_children: is_executor,
                    time: Duration::ZERO,
                    first: 0,
                    peak: 0,
                };
                self.known.entry(pid).or_insert(new);
            }
        }
    }

    pub(crate) fn used(&self) -> Used {
        let mut used = Used::default();
        for seen in self.known.values() {
            if seen.is_master {
                used.master += seen.time;
                (used.master_first, used.master_peak) = (seen.first, seen.peak);
            } else {
                used.executors += seen.time;
            }
        }
        used
    }
}

/// Of the process and, if wanted, of the children that it has waited for.
fn processor_time(pid: i32, with_children: bool) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let wanted = if with_children { 11..15 } else { 11..13 };
    let ticks = fields
        .get(wanted)?
        .iter()
        .filter_map(|field| field.parse::<u64>().ok());
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    Some(Duration::from_secs_f64(ticks.sum::<u64>() as f64 / per_second))
}

fn memory(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}
