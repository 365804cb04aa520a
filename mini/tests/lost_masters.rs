//! The ApplicationMaster dies and nobody notices: with the real executable, over an embedded cluster.
//!
//! The executable is the one that `DRAWLOOM_BIN` names or the workspace's target directory has. What must hold after
//! every loss: executors keep their processes, no task that had ended is run again, none that runs is restarted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mini::{Cluster, Options};
use rustix::process::{Pid, Signal, kill_process};

/// How long a step may take on a busy machine.
const STEP: Duration = Duration::from_secs(60);

const TASKS: usize = 24;

fn executable() -> Option<PathBuf> {
    let named = std::env::var_os("DRAWLOOM_BIN").map(PathBuf::from);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let built = ["fast", "release"].map(|profile| workspace.join("target").join(profile).join("drawloom"));
    named.into_iter().chain(built).find(|path| path.is_file())
}

/// Waits for something that comes by itself.
async fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begun.elapsed() < STEP, "no {what} within {STEP:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A cluster, and a directory for a job on it.
struct Bench {
    executable: PathBuf,
    cluster: Cluster,
    directory: tempfile::TempDir,
}

/// A task attempt that ran: its name, `PARTITION.ATTEMPT`, and its executor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    attempt: String,
    executor: String,
}

impl Bench {
    async fn new(options: Options) -> Option<Self> {
        let Some(executable) = executable() else {
            eprintln!("skipped: no drawloom executable; build it or set DRAWLOOM_BIN");
            return None;
        };
        Some(Self {
            executable,
            cluster: Cluster::start(options).await.unwrap(),
            directory: tempfile::tempdir().unwrap(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Tasks for three executors that leave their names before and after `script`.
    fn write_job(&self, script: &str, conf: &str) {
        let job = format!(
            "version: 1
name: recovery
executors: {{ instances: 3, memory: 128MiB, cores: 1 }}
conf:
  executor.heartbeat.interval: 100ms
  executor.heartbeat.suspect: 1s
  client.poll-interval: 50ms
  task.max-failures: 1
{conf}
stages:
  - name: work
    tasks: {TASKS}
    shell: |
      echo $DRAWLOOM_TASK.$DRAWLOOM_TASK_ATTEMPT $DRAWLOOM_EXECUTOR_ID >> {0}/began
      {script}
      echo $DRAWLOOM_TASK.$DRAWLOOM_TASK_ATTEMPT $DRAWLOOM_EXECUTOR_ID >> {0}/ended
      echo result of $DRAWLOOM_TASK
    output: file://{0}/results
",
            self.directory.path().display()
        );
        std::fs::write(self.path("job.yaml"), job).unwrap();
        for name in ["began", "ended"] {
            drop(std::fs::remove_file(self.path(name)));
        }
        drop(std::fs::remove_dir_all(self.path("results")));
    }

    /// Waits in the job until the test lets it go on.
    fn gate(&self) -> String {
        format!(
            "until [ -e {} ]; do sleep 0.02; done",
            self.path("open").display()
        )
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .args(arguments)
            .env("HADOOP_CONF_DIR", self.cluster.conf_dir())
            // Where it stages when the default file system is local.
            .env("HOME", self.cluster.conf_dir());
        command
    }

    async fn submit(&self) -> Job<'_> {
        let job = self.path("job.yaml");
        let said = self.path("said");
        let file = std::fs::File::create(&said).unwrap();
        let mut command = self.command(&["submit", job.to_str().unwrap()]);
        let client = command.stderr(file).stdout(Stdio::null()).spawn().unwrap();
        let mut job = Job {
            bench: self,
            client,
            application: String::new(),
        };
        job.application = until("submission", || {
            let said = job.said();
            let mut words = said.split_whitespace();
            words
                .find(|word| word.starts_with("application_"))
                .map(str::to_owned)
        })
        .await;
        job
    }

    fn runs(&self, name: &str) -> Vec<Run> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let run = |line: &str| {
            let (attempt, executor) = line.split_once(' ').unwrap();
            Run {
                attempt: attempt.to_owned(),
                executor: executor.to_owned(),
            }
        };
        whole.lines().map(run).collect()
    }

    async fn ended(&self, count: usize) {
        until("tasks to end", || {
            (self.runs("ended").len() >= count).then_some(())
        })
        .await;
    }

    fn assert_results(&self) {
        for task in 0..TASKS {
            let part = std::fs::read_to_string(self.path(&format!("results/part-{task:05}"))).unwrap();
            assert_eq!(part, format!("result of {task}\n"));
        }
        assert!(self.path("results/_SUCCESS").exists());
    }

    /// How often each task was begun, where that is not once. An attempt that waited on an executor and was called
    /// back never began, whatever the number of the one that did.
    fn begun_again(&self) -> BTreeMap<String, usize> {
        let mut begun = BTreeMap::new();
        for run in self.runs("began") {
            let task = run.attempt.split('.').next().unwrap().to_owned();
            *begun.entry(task).or_insert(0) += 1;
        }
        assert_eq!(begun.len(), TASKS);
        begun.retain(|_, times| *times != 1);
        begun
    }

    fn assert_nothing_run_again(&self) {
        assert_eq!(self.begun_again(), BTreeMap::new());
    }
}

/// An application and the client that waits for it. The client is killed when this is dropped.
struct Job<'a> {
    bench: &'a Bench,
    client: Child,
    application: String,
}

impl Job<'_> {
    fn said(&self) -> String {
        std::fs::read_to_string(self.bench.path("said")).unwrap_or_default()
    }

    fn containers(&self) -> String {
        self.application.replace("application", "container")
    }

    /// The ApplicationMaster of an attempt, once it runs.
    async fn master(&self, attempt: u32) -> Pid {
        let own = format!("CONTAINER_ID={}_{attempt:02}_000001\0", self.containers());
        until("ApplicationMaster", || {
            processes_with(&own)
                .into_iter()
                .find(|pid| is(*pid, "drawloom am"))
        })
        .await
    }

    fn executors(&self) -> BTreeSet<i32> {
        let own = format!("CONTAINER_ID={}_", self.containers());
        let all = processes_with(&own).into_iter();
        all.filter(|pid| is(*pid, "drawloom executor"))
            .map(|pid| pid.as_raw_nonzero().get())
            .collect()
    }

    /// Requires these executors and no others; a task looks like its executor for a moment, before it runs its command.
    async fn must_have(&self, executors: &BTreeSet<i32>) {
        until("no executors but those before", || {
            (self.executors() == *executors).then_some(())
        })
        .await;
    }

    /// The executors, once all three are there.
    async fn all_executors(&self) -> BTreeSet<i32> {
        until("three executors", || {
            Some(self.executors()).filter(|all| all.len() == 3)
        })
        .await
    }

    fn log(&self, attempt: u32) -> String {
        let container = format!("{}_{attempt:02}_000001", self.containers());
        let nodes = std::fs::read_dir(self.bench.cluster.directory().join("nodes")).unwrap();
        let logs = nodes.flatten().map(|node| {
            let path = node.path().join("logs").join(&self.application).join(&container);
            std::fs::read_to_string(path.join("stderr")).unwrap_or_default()
        });
        logs.collect()
    }

    async fn must_succeed(mut self) {
        let status = until("end of the client", || self.client.try_wait().unwrap()).await;
        assert_eq!(status.code(), Some(0), "{}\n{}", self.said(), self.log(2));
        self.bench.assert_results();
        let containers = self.containers();
        until("end of all processes", || {
            processes_with(&containers).is_empty().then_some(())
        })
        .await;
        let staged = self
            .bench
            .cluster
            .conf_dir()
            .join(".drawloom/apps")
            .join(&self.application);
        until("end of the staged files", || (!staged.exists()).then_some(())).await;
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

/// Processes that have a text in their environment.
fn processes_with(text: &str) -> Vec<Pid> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let named = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    named
        .filter(|pid: &i32| {
            let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environ).contains(text)
        })
        .filter_map(Pid::from_raw)
        .collect()
}

/// Whether a process's command line ends so.
fn is(pid: Pid, command: &str) -> bool {
    let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    let words: Vec<_> = line
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    words.join(" ").trim_end().ends_with(command)
}

fn signal(pid: Pid, signal: Signal) {
    kill_process(pid, signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_killed_early_midway_or_late_costs_no_task_and_no_executor() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    for percent in [10, 50, 95] {
        bench.write_job("sleep 0.2", "");
        let job = bench.submit().await;
        bench.ended((TASKS * percent).div_ceil(100)).await;
        let executors = job.all_executors().await;
        signal(job.master(1).await, Signal::KILL);
        // With little left to do the second one is over before it is seen.
        if percent < 90 {
            job.master(2).await;
            job.must_have(&executors).await;
        }
        job.must_succeed().await;
        bench.assert_nothing_run_again();
    }
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_killed_twice_in_a_row_costs_nothing_either() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    bench.write_job("sleep 0.2", "  am.failures.validity-interval: 1ms");
    let job = bench.submit().await;
    bench.ended(3).await;
    let executors = job.all_executors().await;
    signal(job.master(1).await, Signal::KILL);
    signal(job.master(2).await, Signal::KILL);
    job.master(3).await;
    job.must_have(&executors).await;
    job.must_succeed().await;
    bench.assert_nothing_run_again();
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_master_that_comes_back_finds_itself_replaced() {
    let options = Options {
        master_expiry: Duration::from_secs(3),
        ..Options::default()
    };
    let Some(bench) = Bench::new(options).await else {
        return;
    };
    bench.write_job(&bench.gate(), "");
    let job = bench.submit().await;
    until("tasks to begin", || {
        (bench.runs("began").len() >= 3).then_some(())
    })
    .await;
    let executors = job.all_executors().await;
    let first = job.master(1).await;
    signal(first, Signal::STOP);
    job.master(2).await;
    until("all executors with the second", || {
        (job.log(2).matches("executor registered").count() == 3).then_some(())
    })
    .await;
    // The node may have ended it already: YARN has it killed when it gives the attempt up.
    let _ = kill_process(first, Signal::CONT);
    until("the end of the first", || {
        (!is(first, "drawloom am")).then_some(())
    })
    .await;
    job.must_have(&executors).await;
    std::fs::write(bench.path("open"), "").unwrap();
    job.must_succeed().await;
    bench.assert_nothing_run_again();
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_while_there_is_no_master_loses_only_its_own_task() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    bench.write_job(&bench.gate(), "");
    let job = bench.submit().await;
    until("tasks to begin", || {
        (bench.runs("began").len() >= 3).then_some(())
    })
    .await;
    let victim = bench.runs("began").remove(1);
    signal(job.master(1).await, Signal::KILL);
    let own = format!("CONTAINER_ID={}\0", victim.executor);
    processes_with(&own)
        .into_iter()
        .filter(|pid| is(*pid, "drawloom executor"))
        .for_each(|pid| _ = kill_process(pid, Signal::KILL));
    job.master(2).await;
    std::fs::write(bench.path("open"), "").unwrap();
    job.must_succeed().await;
    let task = victim.attempt.split('.').next().unwrap().to_owned();
    assert_eq!(bench.begun_again(), BTreeMap::from([(task, 2)]));
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_replaced_on_order_costs_no_attempt() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    bench.write_job("sleep 0.3", "");
    let job = bench.submit().await;
    bench.ended(3).await;
    let executors = job.all_executors().await;
    for _ in 0..2 {
        let output = bench.command(&["restart-am", &job.application]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert!(said.contains("has replaced attempt"), "{said}");
    }
    job.must_have(&executors).await;
    job.must_succeed().await;
    bench.assert_nothing_run_again();
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_another_attempt_nothing_is_left_running() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    bench.write_job(&bench.gate(), "  am.max-attempts: 1");
    let mut job = bench.submit().await;
    until("tasks to begin", || {
        (bench.runs("began").len() >= 3).then_some(())
    })
    .await;
    signal(job.master(1).await, Signal::KILL);
    let status = until("end of the client", || job.client.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(5), "{}", job.said());
    let containers = job.containers();
    until("end of all processes", || {
        processes_with(&containers).is_empty().then_some(())
    })
    .await;
    drop(job);
    bench.cluster.shutdown().await;
}
