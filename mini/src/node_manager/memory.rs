//! What containers use of memory (`ContainersMonitorImpl`, `ProcfsBasedProcessTree`), from `/proc`.

use std::fmt::Write as _;

use hadoop::ids::ContainerId;

/// Memory pages of the systems we run on, in bytes.
const PAGE: u64 = 4096;
/// `yarn.nodemanager.vmem-pmem-ratio`; only for the text, virtual memory is not limited.
const VIRTUAL_RATIO: f64 = 2.1;
const MIB: u64 = 1 << 20;

/// A process of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    parent: i32,
    group: i32,
    session: i32,
    name: String,
    user_ticks: u64,
    system_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

/// A process and all that descend from it, whatever session they are in, as `ProcfsBasedProcessTree` has them; those
/// that end meanwhile are left out.
pub(super) fn tree(root: i32) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let stats = pids.filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok());
    let all: Vec<Process> = stats.filter_map(|stat| parsed(&stat)).collect();
    let mut found: Vec<Process> = all.iter().filter(|one| one.pid == root).cloned().collect();
    let mut seen = 0;
    while let Some(parent) = found.get(seen).map(|one| one.pid) {
        found.extend(all.iter().filter(|one| one.parent == parent).cloned());
        seen += 1;
    }
    found
}

/// Reads `/proc/<pid>/stat`; the name is in brackets and may hold anything.
fn parsed(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let id = |at: usize| fields.get(at)?.parse::<i32>().ok();
    Some(Process {
        pid: pid.parse().ok()?,
        parent: id(1)?,
        group: id(2)?,
        session: id(3)?,
        name: name.to_owned(),
        user_ticks: number(11)?,
        system_ticks: number(12)?,
        virtual_bytes: number(20)?,
        resident_pages: number(21)?,
    })
}

/// What is said of a container that uses more than it was given; nothing if it does not.
pub(super) fn excess(id: ContainerId, leader: i32, limit_mb: u64) -> Option<String> {
    let processes = tree(leader);
    let resident: u64 = processes.iter().map(|one| one.resident_pages * PAGE).sum();
    let limit = limit_mb * MIB;
    (resident > limit).then(|| text(id, leader, &processes, (resident, limit)))
}

fn text(id: ContainerId, leader: i32, processes: &[Process], (resident, limit): (u64, u64)) -> String {
    let used: u64 = processes.iter().map(|one| one.virtual_bytes).sum();
    let most = limit as f64 * VIRTUAL_RATIO;
    let mut text = format!(
        "Container [pid={leader},containerID={id}] is running {}B beyond the 'PHYSICAL' memory limit. Current usage: \
         {}B of {}B physical memory used; {}B of {}B virtual memory used. Killing container.\nDump of the \
         process-tree for {id} :\n\t|- PID PPID PGRPID SESSID CMD_NAME USER_MODE_TIME(MILLIS) SYSTEM_TIME(MILLIS) \
         VMEM_USAGE(BYTES) RSSMEM_USAGE(PAGES) FULL_CMD_LINE\n",
        resident - limit,
        short(resident as f64),
        short(limit as f64),
        short(used as f64),
        short(most),
    );
    for one in processes {
        writeln!(
            text,
            "\t|- {} {} {} {} ({}) {} {} {} {} {}",
            one.pid,
            one.parent,
            one.group,
            one.session,
            one.name,
            one.user_ticks * 10,
            one.system_ticks * 10,
            one.virtual_bytes,
            one.resident_pages,
            command_line(one.pid)
        )
        .expect("writing to a String does not fail");
    }
    text
}

fn command_line(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    words.collect::<Vec<_>>().join(" ")
}

/// `408.1 M`, as `TraditionalBinaryPrefix` prints.
fn short(bytes: f64) -> String {
    let units = ["", " K", " M", " G", " T"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let text = format!("{value:.1}");
    format!("{}{}", text.trim_end_matches(".0"), units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_brackets_and_blanks() {
        let stat =
            "7 (a) (b c) S 1 5 3 0 -1 4194560 0 0 0 0 11 12 0 0 20 0 1 0 99 4096000 25 18446744073709551615";
        let process = parsed(stat).unwrap();
        assert_eq!(
            (process.pid, process.parent, process.group, process.session),
            (7, 1, 5, 3)
        );
        assert_eq!(process.name, "a) (b c");
        assert_eq!((process.user_ticks, process.system_ticks), (11, 12));
        assert_eq!((process.virtual_bytes, process.resident_pages), (4_096_000, 25));
    }

    #[test]
    fn sizes_are_printed_as_hadoop_does() {
        assert_eq!(short(128.0 * 1_048_576.0), "128 M");
        assert_eq!(short(408.06 * 1_048_576.0), "408.1 M");
    }

    #[test]
    fn this_process_is_found_below_its_parent() {
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        let own = parsed(&own).unwrap();
        assert!(tree(own.parent).iter().any(|one| one.pid == own.pid));
        assert_eq!(tree(own.pid)[0].pid, own.pid);
    }
}
