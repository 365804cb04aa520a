//! One job after the other, each checked to the byte.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::processes;
use harness::wait;

use crate::chance::Chance;
use crate::ground::Ground;

/// The longest that a job may take, whatever befalls it: then it hangs.
const HANG: Duration = Duration::from_secs(480);
/// The longest that anything of a job may live on after its end.
const LEAK: Duration = Duration::from_secs(120);

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    faults: BTreeMap<String, u32>,
    jobs: u32,
    tasks: u64,
    starts: u64,
    executors: u64,
    longest: Duration,
}

impl Figures {
    pub(crate) fn jobs(&self) -> u32 {
        self.jobs
    }

    /// Counts a fault by its first word.
    pub(crate) fn fault(&mut self, fault: &str) {
        let kind = fault.split([' ', ':']).next().unwrap_or_default();
        if !["mend", "nothing"].contains(&kind) {
            *self.faults.entry(kind.to_owned()).or_default() += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.jobs += other.jobs;
        self.tasks += other.tasks;
        self.starts += other.starts;
        self.executors += other.executors;
        self.longest = self.longest.max(other.longest);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u32 = self.faults.values().sum();
        write!(
            f,
            "{} jobs, {} tasks, {} task starts ({} run again), longest job {:.1?}; {total} faults: ",
            self.jobs,
            self.tasks,
            self.starts,
            self.starts.saturating_sub(self.tasks),
            self.longest
        )?;
        let kinds: Vec<_> = self
            .faults
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        f.write_str(&kinds.join(", "))
    }
}

/// See the module.
pub(crate) struct Stream<'a> {
    ground: &'a dyn Ground,
    chance: Chance,
    home: PathBuf,
    figures: Figures,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(number: usize, ground: &'a dyn Ground, chance: Chance) -> Self {
        let home = ground.home().join(format!("stream-{number}"));
        fs::create_dir_all(&home).unwrap();
        Self {
            ground,
            chance,
            home,
            figures: Figures::default(),
        }
    }

    /// Jobs until `end`; a panic of this stream ends the others, too.
    pub(crate) fn run(mut self, end: Instant, over: &AtomicBool) -> Figures {
        let flag = OnPanic(over);
        for number in 0.. {
            if Instant::now() >= end || over.load(Ordering::Relaxed) {
                break;
            }
            self.job(number);
        }
        std::mem::forget(flag);
        self.figures
    }

    fn job(&mut self, number: u32) {
        let (executors, tasks) = (self.chance.below(3) + 1, self.chance.below(12) + 1);
        let nap = self.chance.below(8);
        let job = Plan {
            home: self.home.join(number.to_string()),
            executors,
            tasks,
            nap,
        };
        fs::create_dir_all(&job.home).unwrap();
        fs::write(job.home.join("job.yaml"), job.text()).unwrap();
        let began = Instant::now();
        let submitted = self
            .ground
            .drawloom(&job.home)
            .args(["submit", "job.yaml"])
            .run(HANG);
        let output =
            submitted.unwrap_or_else(|error| panic!("a job hangs: {error:#}\n{}", self.ground.logs()));
        let id = output
            .stderr
            .split_whitespace()
            .find(|word| word.starts_with("application_"));
        let id = id.unwrap_or_else(|| panic!("not submitted: {output}")).to_owned();
        if output.code != Some(0) {
            panic!("{id} failed: {output}\n{}", self.ground.logs());
        }
        job.check();
        let gone = wait::until("its processes to end", LEAK, || {
            processes::of_application(&id).is_empty()
        });
        gone.unwrap_or_else(|error| panic!("{id} leaks: {error:#}: {:?}", processes::of_application(&id)));
        self.figures.jobs += 1;
        self.figures.tasks += tasks * 2;
        self.figures.starts += job.starts();
        self.figures.longest = self.figures.longest.max(began.elapsed());
        fs::remove_dir_all(&job.home).unwrap();
    }
}

/// Says that this stream panicked.
struct OnPanic<'a>(&'a AtomicBool);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A job of two stages: each task of the first writes a line, each of the second counts what the first left.
struct Plan {
    home: PathBuf,
    executors: u64,
    tasks: u64,
    nap: u64,
}

impl Plan {
    fn text(&self) -> String {
        let (executors, tasks, nap) = (self.executors, self.tasks, self.nap);
        let home = self.home.display();
        format!(
            "version: 1
name: soak
executors: {{ instances: {executors}, memory: 256MiB, cores: 1 }}
conf: {{ executor.heartbeat.interval: 500ms, executor.heartbeat.suspect: 2s, executor.heartbeat.dead: 6s,
  executor.max-failures: 500, task.max-failures: 200, executor.relaunch.backoff.max: 500ms, am.max-attempts: 20,
  scheduler.max-registered-wait: 2s, task.kill.grace: 1s, exclude.enabled: false, rm.heartbeat.idle: 1s }}
stages:
  - name: make
    tasks: {tasks}
    shell: |
      echo x >> {home}/starts
      sleep 0.$(( (DRAWLOOM_TASK * 7 + {nap}) % 10 ))
      echo line $DRAWLOOM_TASK
    output: file://{home}/lines
  - name: read
    after: [make]
    inputs: file://{home}/lines
    tasks: {tasks}
    shell: |
      echo x >> {home}/starts
      sleep 0.$(( (DRAWLOOM_TASK * 3 + {nap}) % 10 ))
      sort
    output: file://{home}/sorted
"
        )
    }

    fn check(&self) {
        for (directory, tasks) in [("lines", self.tasks), ("sorted", self.tasks)] {
            let directory = self.home.join(directory);
            assert_eq!(listed(&directory), expected(tasks), "{}", directory.display());
        }
        let parts = (0..self.tasks).map(|task| self.home.join(format!("sorted/part-{task:05}")));
        let mut lines: Vec<String> = parts
            .flat_map(|part| {
                fs::read_to_string(part)
                    .unwrap()
                    .lines()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect();
        lines.sort();
        let mut right: Vec<_> = (0..self.tasks).map(|task| format!("line {task}")).collect();
        right.sort();
        assert_eq!(lines, right, "{}", self.home.display());
    }

    fn starts(&self) -> u64 {
        let starts = fs::read_to_string(self.home.join("starts")).unwrap_or_default();
        starts.lines().count() as u64
    }
}

fn listed(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn expected(tasks: u64) -> Vec<String> {
    let mut names = vec!["_SUCCESS".to_owned()];
    names.extend((0..tasks).map(|task| format!("part-{task:05}")));
    names
}
