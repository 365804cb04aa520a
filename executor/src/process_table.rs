//! The processes of this machine as `/proc` shows them, and who descends from whom.
//!
//! A [`ProcessTable`] is a snapshot that is old as soon as it is taken: a caller that must be sure repeats.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// One process. Times are in clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// Ended, and waiting to be noticed by its parent.
    pub(crate) zombie: bool,
    pub(crate) user_ticks: u64,
    pub(crate) system_ticks: u64,
    /// Since the machine's start; with the pid it names a process for good.
    pub(crate) started_ticks: u64,
    /// Physical memory, in pages; pages shared with other processes are counted in each.
    pub(crate) resident_pages: u64,
}

impl Process {
    /// Reads a line of `/proc/PID/stat` (see `proc_pid_stat(5)`). The name of the program stands in parentheses and
    /// may hold anything, so what follows the last `)` counts.
    pub(crate) fn parse(stat: &str) -> Option<Self> {
        let (head, rest) = stat.rsplit_once(')')?;
        let pid = head.split_once(' ')?.0.parse().ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let id = |index: usize| fields.get(index)?.parse::<i32>().ok();
        Some(Self {
            pid,
            zombie: matches!(*fields.first()?, "Z" | "X"),
            parent: id(1)?,
            group: id(2)?,
            session: id(3)?,
            user_ticks: number(11)?,
            system_ticks: number(12)?,
            started_ticks: number(19)?,
            resident_pages: number(21)?,
        })
    }

    /// The process with this id, if there is one.
    pub(crate) fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(proc_file(pid, "stat")).ok()?)
    }

    /// This process.
    pub(crate) fn this() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// Physical memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.resident_pages
            .saturating_mul(rustix::param::page_size() as u64)
    }

    /// Physical memory in bytes, shared pages divided by the number of processes that share them
    /// (`/proc/PID/smaps_rollup`); nothing when the kernel does not say.
    pub(crate) fn proportional(&self) -> Option<u64> {
        let text = fs::read_to_string(proc_file(self.pid, "smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib << 10)
    }

    /// Processor time of the process itself, in user mode and in the kernel together.
    pub(crate) fn cpu(&self) -> Duration {
        ticks(self.user_ticks + self.system_ticks)
    }

    /// What tells this process from a later one with the same number.
    pub(crate) fn identity(&self) -> (i32, u64) {
        (self.pid, self.started_ticks)
    }
}

/// Clock ticks as a duration.
pub(crate) fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(count.saturating_mul(1000) / per_second)
}

pub(crate) fn proc_file(pid: i32, name: &str) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join(name)
}

/// A snapshot of processes by their ids.
#[derive(Debug, Default)]
pub(crate) struct ProcessTable {
    processes: BTreeMap<i32, Process>,
}

impl ProcessTable {
    /// All processes of the machine that we may see. Processes that end meanwhile are left out.
    pub(crate) fn scan() -> Self {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Self::default();
        };
        let pids = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Process::read).collect()
    }

    /// The processes below `root` only, by the lists of children that the kernel keeps: much cheaper than a scan
    /// on a busy machine, but a process whose parent ends meanwhile can be missed. A kernel without those lists
    /// costs a scan.
    pub(crate) fn below(root: i32) -> Self {
        if !keeps_children(root) {
            return Self::scan();
        }
        let mut found = Self::default();
        let mut open = children_of(root);
        while let Some(pid) = open.pop() {
            if let Some(process) = Process::read(pid).filter(|_| !found.processes.contains_key(&pid)) {
                found.processes.insert(pid, process);
                open.extend(children_of(pid));
            }
        }
        found
    }

    /// The process with this id.
    #[cfg(test)]
    pub(crate) fn get(&self, pid: i32) -> Option<&Process> {
        self.processes.get(&pid)
    }

    /// What descends from `root`, parents before their children; `root` itself and zombies are left out.
    pub(crate) fn descendants(&self, root: i32) -> Vec<Process> {
        let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
        for process in self.processes.values() {
            children.entry(process.parent).or_default().push(*process);
        }
        let mut visited = BTreeSet::from([root]);
        let mut found = Vec::new();
        let mut open = vec![root];
        while let Some(parent) = open.pop() {
            for process in children.remove(&parent).unwrap_or_default() {
                if visited.insert(process.pid) {
                    open.push(process.pid);
                    found.push(process);
                }
            }
        }
        found.retain(|process| !process.zombie);
        found
    }
}

impl FromIterator<Process> for ProcessTable {
    fn from_iter<I: IntoIterator<Item = Process>>(processes: I) -> Self {
        let processes = processes
            .into_iter()
            .map(|process| (process.pid, process))
            .collect();
        Self { processes }
    }
}

/// Whether the kernel keeps lists of children (`CONFIG_PROC_CHILDREN`).
fn keeps_children(pid: i32) -> bool {
    let first = proc_file(pid, "task").join(pid.to_string());
    first.join("children").exists()
}

fn children_of(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(proc_file(pid, "task")) else {
        return Vec::new();
    };
    let lists = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_ascii_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The longest entry of the kernel's list of children: it ends with a whole one where there is no room for the next.
const LONGEST_PID: usize = "4194304 ".len();

/// The children that this process was given because those that had started them have ended. It must be a child
/// subreaper.
///
/// The kernel gives an orphan to the first thread of the subreaper that lives (`find_alive_thread` in `kernel/exit.c`),
/// which is the main thread as long as there is one; what other threads start is in lists of their own.
#[derive(Debug)]
pub(crate) struct Adopted {
    /// The kernel's list, where it keeps any.
    list: Option<File>,
}

impl Default for Adopted {
    fn default() -> Self {
        let own = own_pid();
        let list = proc_file(own, "task").join(own.to_string()).join("children");
        Self {
            list: File::open(list).ok(),
        }
    }
}

impl Adopted {
    /// Those that are there now, alive or not; nothing when the kernel does not say, or there are more than anybody
    /// would look through. May hold what this process has started itself.
    pub(crate) fn list(&self) -> Option<Vec<i32>> {
        let mut bytes = [0; 4096];
        let read = self.list.as_ref()?.read_at(&mut bytes, 0).ok()?;
        let text = std::str::from_utf8(&bytes[..read])
            .ok()
            .filter(|_| read + LONGEST_PID < bytes.len())?;
        text.split_ascii_whitespace()
            .map(|pid| pid.parse().ok())
            .collect()
    }
}

/// This process's id.
pub(crate) fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Sends a signal; a process that is gone already is no error.
pub(crate) fn send_signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid)
        && let Err(error) = kill_process(pid, signal)
        && error != rustix::io::Errno::SRCH
    {
        tracing::warn!(%error, ?pid, ?signal, "cannot send a signal");
    }
}

/// Kills everything that descends from this process, again and again until nothing is left or `limit` has passed;
/// `reap` is called between the rounds to wait for what has died. True when nothing is left.
///
/// This process must be a child subreaper: then whatever a descendant starts, however it detaches itself, stays a
/// descendant, and a round that finds nothing alive proves that nothing is.
pub(crate) fn extinguish(limit: Duration, mut reap: impl FnMut()) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        reap();
        let alive = ProcessTable::scan().descendants(own_pid());
        if alive.is_empty() {
            return true;
        }
        if Instant::now() >= deadline {
            tracing::warn!(left = alive.len(), "processes outlive SIGKILL");
            return false;
        }
        alive
            .iter()
            .for_each(|process| send_signal(process.pid, Signal::KILL));
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Process {
        let stat = format!("{pid} (x) S {parent} {pid} {pid} 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 99 1000 25 0");
        Process::parse(&stat).unwrap()
    }

    #[test]
    fn a_program_name_may_hold_anything() {
        let stat = "17 (a) R 1 (b) ) S 3 17 17 0 -1 0 0 0 0 0 5 6 7 8 20 0 1 0 4242 1000 25 0";
        let process = Process::parse(stat).unwrap();
        assert_eq!(
            (process.pid, process.parent, process.started_ticks),
            (17, 3, 4242)
        );
        assert_eq!(
            (process.user_ticks, process.system_ticks, process.resident_pages),
            (5, 6, 25)
        );
    }

    #[test]
    fn broken_lines_are_no_process() {
        for stat in ["", "17", "17 (a", "17 (a) S", "x (a) S 1 1 1"] {
            assert_eq!(Process::parse(stat), None, "{stat:?}");
        }
    }

    #[test]
    fn descendants_are_found_at_any_depth_and_zombies_left_out() {
        let mut zombie = process(5, 2);
        zombie.zombie = true;
        let table: ProcessTable = [
            process(2, 1),
            process(3, 2),
            process(4, 3),
            zombie,
            process(6, 5),
            process(9, 7),
        ]
        .into_iter()
        .collect();
        let mut found: Vec<i32> = table.descendants(2).iter().map(|process| process.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [3, 4, 6]);
    }

    #[test]
    fn a_table_that_changed_while_it_was_read_does_not_loop() {
        let table: ProcessTable = [process(2, 3), process(3, 2)].into_iter().collect();
        assert_eq!(table.descendants(2).len(), 1);
    }

    #[test]
    fn the_own_process_and_its_children_are_seen() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let seen = [ProcessTable::scan(), ProcessTable::below(own_pid())].map(|table| {
            let below = table.descendants(own_pid());
            below.iter().any(|process| process.pid == pid) && table.get(pid).is_some()
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen, [true, true]);
        assert!(Process::this().unwrap().resident() > 0);
    }
}
