//! The process table as Linux shows it: whose processes are alive, found by what they carry in their environment.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Variable set on every process the harness starts itself. Its value is the cluster's directory with a `/` at the end.
pub const MARKER: &str = "DRAWLOOM_HADOOP_FIXTURE";

/// Name under which a cluster's watchdog runs.
pub(crate) const WATCHDOG: &str = "drawloom-watchdog";

/// Variables by which a NodeManager's containers are told; their values begin with the cluster's directory.
pub const CONTAINER_VARIABLES: [&str; 2] = ["LOCAL_DIRS", "HADOOP_TOKEN_FILE_LOCATION"];

/// One living process. Zombies have neither environment nor working directory and so never belong to anybody.
#[derive(Clone, Debug)]
pub struct Process {
    /// Process id.
    pub pid: i32,
    /// Id of the parent.
    pub parent: i32,
    /// The command line, arguments separated by blanks.
    pub command: String,
    cwd: Option<PathBuf>,
    has_terminal: bool,
    environ: Vec<u8>,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let dir = PathBuf::from(format!("/proc/{pid}"));
        let stat = fs::read_to_string(dir.join("stat")).ok()?;
        let (parent, terminal) = parent_and_terminal(&stat)?;
        Some(Self {
            pid,
            parent,
            command: spaced(&fs::read(dir.join("cmdline")).unwrap_or_default()),
            cwd: fs::read_link(dir.join("cwd")).ok(),
            has_terminal: terminal != 0,
            environ: fs::read(dir.join("environ")).unwrap_or_default(),
        })
    }

    /// The value of a variable in the environment the process was started with.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        let entries = self.environ.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        entries
            .filter_map(|entry| Some(entry.split_once('=')?.1.to_owned()).filter(|_| entry_is(&entry, name)))
            .next()
    }

    /// Whether the cluster under `dir` started this process: a daemon, a client of the harness, or a container.
    ///
    /// A process that dropped its environment is still known by its working directory in a NodeManager's cache; one
    /// with a terminal is a person looking around there and is left alone.
    #[must_use]
    pub fn is_of_cluster(&self, dir: &Path) -> bool {
        let prefix = format!("{}/", dir.display());
        let carries = |name: &str| {
            self.variable(name)
                .is_some_and(|value| value.starts_with(&prefix))
        };
        carries(MARKER)
            || CONTAINER_VARIABLES.into_iter().any(carries)
            || (!self.has_terminal && self.works_in_cache_of(dir))
    }

    /// Whether this process belongs to a container of the application (`application_<timestamp>_<number>`).
    #[must_use]
    pub fn is_of_application(&self, application: &str) -> bool {
        let Some(number) = application.strip_prefix("application_") else {
            return false;
        };
        let middle = format!("_{number}_");
        let in_cache = |dir: &PathBuf| dir.iter().any(|part| part == application);
        self.variable("CONTAINER_ID")
            .is_some_and(|id| id.contains(&middle))
            || self.cwd.as_ref().is_some_and(in_cache)
    }

    /// Whether it is a zombie or gone altogether. A killed process loses its environment first, its sockets later.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
        state.is_empty() || state.starts_with(['Z', 'X'])
    }

    /// Sends a signal; a process that is gone meanwhile is none of our business.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = kill_process(pid, signal);
        }
    }

    fn works_in_cache_of(&self, dir: &Path) -> bool {
        self.cwd
            .as_ref()
            .is_some_and(|cwd| cwd.starts_with(dir) && cwd.iter().any(|part| part == "usercache"))
    }
}

/// Every process of the machine that can be read.
#[must_use]
pub fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Process::read).collect()
}

/// The living processes of the cluster under `dir`.
#[must_use]
pub fn of_cluster(dir: &Path) -> Vec<Process> {
    all()
        .into_iter()
        .filter(|process| process.is_of_cluster(dir))
        .collect()
}

/// The living processes of an application's containers, with all that descends from them.
#[must_use]
pub fn of_application(application: &str) -> Vec<Process> {
    let table = all();
    let mut found: BTreeSet<i32> = table
        .iter()
        .filter(|process| process.is_of_application(application))
        .map(|process| process.pid)
        .collect();
    loop {
        let before = found.len();
        let children = table
            .iter()
            .filter(|process| found.contains(&process.parent))
            .map(|process| process.pid);
        let children: Vec<i32> = children.collect();
        found.extend(children);
        if found.len() == before {
            break;
        }
    }
    table
        .into_iter()
        .filter(|process| found.contains(&process.pid))
        .collect()
}

/// The watchdogs that would still end a cluster under `dir`.
#[must_use]
pub fn watchdogs(dir: &Path) -> Vec<Process> {
    let argument = format!("{MARKER}={}/", dir.display());
    let watches = |process: &Process| {
        process.command.contains(WATCHDOG) && process.command.split(' ').any(|word| word == argument)
    };
    all().into_iter().filter(watches).collect()
}

/// Kills what the cluster under `dir` started until nothing of it lives, at most for `limit`. Gives what survived.
#[must_use]
pub fn end_cluster(dir: &Path, limit: Duration) -> Vec<Process> {
    let deadline = Instant::now() + limit;
    let mut killed = Vec::new();
    loop {
        let alive = of_cluster(dir);
        alive.iter().for_each(|process| process.signal(Signal::KILL));
        let ended = alive.is_empty() && killed.iter().all(Process::has_ended);
        if ended || Instant::now() >= deadline {
            return alive;
        }
        killed.extend(alive);
        thread::sleep(Duration::from_millis(20));
    }
}

fn entry_is(entry: &str, name: &str) -> bool {
    entry.split_once('=').is_some_and(|(key, _)| key == name)
}

fn spaced(cmdline: &[u8]) -> String {
    String::from_utf8_lossy(cmdline)
        .replace('\0', " ")
        .trim_end()
        .to_owned()
}

/// Fields 4 and 7 of `/proc/PID/stat`; the command in field 2 may hold blanks and parentheses.
fn parent_and_terminal(stat: &str) -> Option<(i32, i32)> {
    let rest = &stat[stat.rfind(')')? + 1..];
    let mut fields = rest.split_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let terminal = fields.nth(2)?.parse().ok()?;
    Some((parent, terminal))
}

#[cfg(test)]
mod tests {
    use super::{Process, parent_and_terminal};
    use std::path::{Path, PathBuf};

    fn process(environ: &[u8], cwd: &str, has_terminal: bool) -> Process {
        let cwd = Some(PathBuf::from(cwd));
        Process {
            pid: 2,
            parent: 1,
            command: String::new(),
            cwd,
            has_terminal,
            environ: environ.to_vec(),
        }
    }

    #[test]
    fn stat_with_a_parenthesis_in_the_command_is_read() {
        assert_eq!(
            parent_and_terminal("7 (a) b) S 3 7 7 34816 -1 0"),
            Some((3, 34816))
        );
        assert_eq!(parent_and_terminal("nonsense"), None);
    }

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let process = process(b"XA=1\0A=2=3\0", "/", false);
        assert_eq!(process.variable("A").as_deref(), Some("2=3"));
        assert_eq!(process.variable("B"), None);
    }

    #[test]
    fn a_cluster_owns_its_daemons_and_containers_only() {
        let dir = Path::new("/c/t1");
        assert!(process(b"DRAWLOOM_HADOOP_FIXTURE=/c/t1/\0", "/", true).is_of_cluster(dir));
        assert!(process(b"LOCAL_DIRS=/c/t1/nm0/local\0", "/", false).is_of_cluster(dir));
        assert!(!process(b"LOCAL_DIRS=/c/t10/nm0/local\0", "/", false).is_of_cluster(dir));
        assert!(!process(b"HADOOP_CONF_DIR=/c/t1/conf\0", "/c/t1", true).is_of_cluster(dir));
    }

    #[test]
    fn a_process_without_environment_is_known_by_its_directory_unless_a_person_sits_there() {
        let dir = Path::new("/c/t1");
        let cache = "/c/t1/nm0/local/usercache/alice/appcache";
        assert!(process(b"", cache, false).is_of_cluster(dir));
        assert!(!process(b"", cache, true).is_of_cluster(dir));
    }

    #[test]
    fn an_application_owns_containers_of_any_epoch() {
        let app = "application_17_0002";
        assert!(process(b"CONTAINER_ID=container_17_0002_01_000001\0", "/", false).is_of_application(app));
        assert!(
            process(b"CONTAINER_ID=container_e03_17_0002_01_000001\0", "/", false).is_of_application(app)
        );
        assert!(!process(b"CONTAINER_ID=container_17_00021_01_000001\0", "/", false).is_of_application(app));
        assert!(
            !process(b"CONTAINER_ID=container_17_0002_01_000001\0", "/", false).is_of_application("garbage")
        );
    }
}
