//! A cluster with a job on it, and a look at its processes, its files and what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mini::{Cluster, Options};
use rustix::process::{Pid, Signal, kill_process};

/// How long a step may take on a busy machine.
const STEP: Duration = Duration::from_secs(120);

fn executable() -> Option<PathBuf> {
    let named = std::env::var_os("DRAWLOOM_BIN").map(PathBuf::from);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let built = ["fast", "release"].map(|profile| workspace.join("target").join(profile).join("drawloom"));
    named.into_iter().chain(built).find(|path| path.is_file())
}

/// Waits for something that comes by itself.
pub(crate) async fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
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
pub(crate) struct Bench {
    executable: PathBuf,
    pub(crate) cluster: Cluster,
    directory: tempfile::TempDir,
}

/// A task attempt that ran: its name, `PARTITION.ATTEMPT`, and its executor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) attempt: String,
    pub(crate) executor: String,
}

impl Run {
    pub(crate) fn task(&self) -> String {
        self.attempt.split('.').next().unwrap().to_owned()
    }
}

/// Tasks that leave their names in the files `began` and `ended`, before and after a script, in `results` what it is.
pub(crate) struct Tasks<'a> {
    pub(crate) tasks: usize,
    pub(crate) executors: usize,
    pub(crate) script: &'a str,
    /// Further lines of the section `conf`, each indented by two.
    pub(crate) conf: &'a str,
}

impl Bench {
    pub(crate) async fn new(options: Options) -> Option<Self> {
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

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes this the job, in an empty directory; `DIR` in it stands for that directory.
    pub(crate) fn write_job(&self, job: &str) {
        let directory = self.directory.path();
        std::fs::remove_dir_all(directory).unwrap();
        std::fs::create_dir(directory).unwrap();
        let job = job.replace("DIR", directory.to_str().unwrap());
        std::fs::write(self.path("job.yaml"), job).unwrap();
    }

    pub(crate) fn write_tasks(&self, tasks: &Tasks<'_>) {
        let Tasks {
            tasks,
            executors,
            script,
            conf,
        } = tasks;
        self.write_job(&format!(
            "version: 1
name: tasks
executors: {{ instances: {executors}, memory: 128MiB, cores: 1 }}
conf:
  executor.heartbeat.interval: 100ms
  executor.heartbeat.suspect: 1s
  client.poll-interval: 50ms
  task.max-failures: 1
{conf}
stages:
  - name: work
    tasks: {tasks}
    shell: |
      echo $DRAWLOOM_TASK.$DRAWLOOM_TASK_ATTEMPT $DRAWLOOM_EXECUTOR_ID >> DIR/began
      {script}
      echo $DRAWLOOM_TASK.$DRAWLOOM_TASK_ATTEMPT $DRAWLOOM_EXECUTOR_ID >> DIR/ended
      echo result of $DRAWLOOM_TASK
    output: file://DIR/results
"
        ));
    }

    /// Waits in the job until [`Bench::open`].
    pub(crate) fn gate(&self) -> String {
        let open = self.path("open");
        format!("until [ -e {} ]; do sleep 0.02; done", open.display())
    }

    pub(crate) fn open(&self) {
        std::fs::write(self.path("open"), "").unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .args(arguments)
            .env("HADOOP_CONF_DIR", self.cluster.conf_dir())
            // Where it stages when the default file system is local.
            .env("HOME", self.cluster.conf_dir())
            .stdin(Stdio::null());
        command
    }

    /// Submits the job, and is back when it has its id.
    pub(crate) async fn submit(&self, arguments: &[&str]) -> Job<'_> {
        self.submit_with(arguments, &[]).await
    }

    pub(crate) async fn submit_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Job<'_> {
        let said = std::fs::File::create(self.path("said")).unwrap();
        let mut command = self.command(&["submit"]);
        command.arg(self.path("job.yaml")).args(arguments);
        command.envs(variables.iter().copied());
        let client = command.stderr(said).stdout(Stdio::null()).spawn().unwrap();
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

    /// The lines of one of the files that tasks append to.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    pub(crate) fn runs(&self, name: &str) -> Vec<Run> {
        let run = |line: String| {
            let (attempt, executor) = line.split_once(' ').unwrap();
            Run {
                attempt: attempt.to_owned(),
                executor: executor.to_owned(),
            }
        };
        self.lines(name).into_iter().map(run).collect()
    }

    pub(crate) async fn began(&self, count: usize) {
        until("tasks to begin", || {
            (self.lines("began").len() >= count).then_some(())
        })
        .await;
    }

    pub(crate) async fn ended(&self, count: usize) {
        until("tasks to end", || {
            (self.lines("ended").len() >= count).then_some(())
        })
        .await;
    }

    /// What the tasks have left, in their order.
    pub(crate) fn results(&self, output: &str) -> Vec<String> {
        let parts = std::fs::read_dir(self.path(output)).into_iter().flatten();
        let paths: BTreeSet<_> = parts.map(|entry| entry.unwrap().path()).collect();
        let part = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("part-");
        let paths = paths.into_iter().filter(part);
        paths.map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }

    /// Requires the results of so many tasks of [`Tasks`], each once.
    pub(crate) fn assert_results(&self, tasks: usize) {
        let expected: Vec<_> = (0..tasks).map(|task| format!("result of {task}\n")).collect();
        assert_eq!(self.results("results"), expected);
        assert!(self.path("results/_SUCCESS").exists());
    }

    /// How often each of so many tasks was begun, where that is not once. An attempt that waited on an executor and was
    /// called back never began, whatever the number of the one that did.
    pub(crate) fn begun_again(&self, tasks: usize) -> BTreeMap<String, usize> {
        let mut begun = BTreeMap::new();
        for run in self.runs("began") {
            *begun.entry(run.task()).or_insert(0) += 1;
        }
        assert_eq!(begun.len(), tasks);
        begun.retain(|_, times| *times != 1);
        begun
    }

    pub(crate) fn assert_nothing_run_again(&self, tasks: usize) {
        assert_eq!(self.begun_again(tasks), BTreeMap::new());
    }
}

/// An application and the client that waits for it. The client is killed when this is dropped.
pub(crate) struct Job<'a> {
    bench: &'a Bench,
    client: Child,
    pub(crate) application: String,
}

impl Job<'_> {
    /// What the client has said for people.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.bench.path("said")).unwrap_or_default()
    }

    fn containers(&self) -> String {
        self.application.replace("application", "container")
    }

    pub(crate) fn signal_client(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.client), signal).unwrap();
    }

    /// The ApplicationMaster of an attempt, once it runs.
    pub(crate) async fn master(&self, attempt: u32) -> Pid {
        let own = format!("CONTAINER_ID={}_{attempt:02}_000001\0", self.containers());
        until("ApplicationMaster", || {
            processes_with(&own)
                .into_iter()
                .find(|pid| is(*pid, "drawloom am"))
        })
        .await
    }

    pub(crate) fn executors(&self) -> BTreeSet<i32> {
        let own = format!("CONTAINER_ID={}_", self.containers());
        let all = processes_with(&own).into_iter();
        all.filter(|pid| is(*pid, "drawloom executor"))
            .map(|pid| pid.as_raw_nonzero().get())
            .collect()
    }

    /// Requires these executors and no others; a task looks like its executor for a moment, before it runs its command.
    pub(crate) async fn must_have(&self, executors: &BTreeSet<i32>) {
        until("no executors but those before", || {
            (self.executors() == *executors).then_some(())
        })
        .await;
    }

    /// The executors, once so many are there.
    pub(crate) async fn all_executors(&self, count: usize) -> BTreeSet<i32> {
        until("all executors", || {
            Some(self.executors()).filter(|all| all.len() == count)
        })
        .await
    }

    /// What the ApplicationMaster of an attempt has logged.
    pub(crate) fn log(&self, attempt: u32) -> String {
        let container = format!("{}_{attempt:02}_000001", self.containers());
        let nodes = std::fs::read_dir(self.bench.cluster.directory().join("nodes")).unwrap();
        let logs = nodes.flatten().map(|node| {
            let path = node.path().join("logs").join(&self.application).join(&container);
            std::fs::read_to_string(path.join("stderr")).unwrap_or_default()
        });
        logs.collect()
    }

    /// Waits until the client has ended; gives its exit code.
    pub(crate) async fn end(&mut self) -> Option<i32> {
        let status = until("end of the client", || self.client.try_wait().unwrap()).await;
        status.code()
    }

    /// The application's state and final status, once it has ended.
    pub(crate) async fn verdict(&self) -> (String, String) {
        until("end of the application", || {
            let arguments = ["status", &self.application, "-o", "json"];
            let output = self.bench.command(&arguments).output().unwrap();
            let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
            let ended = ["FINISHED", "FAILED", "KILLED"].contains(&text("state").as_str());
            ended.then(|| (text("state"), text("finalStatus")))
        })
        .await
    }

    /// Waits until no process of the application is left, nor anything that was staged for it.
    pub(crate) async fn nothing_is_left(&self) {
        self.no_process_is_left().await;
        let conf = self.bench.cluster.conf_dir();
        let staged = conf.join(".drawloom/apps").join(&self.application);
        until("end of the staged files", || (!staged.exists()).then_some(())).await;
    }

    pub(crate) async fn no_process_is_left(&self) {
        let containers = self.containers();
        until("end of all processes", || {
            processes_with(&containers).is_empty().then_some(())
        })
        .await;
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.said());
            (1..=2).for_each(|attempt| eprintln!("attempt {attempt}:\n{}", self.log(attempt)));
        }
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

/// Processes that have a text in their environment.
pub(crate) fn processes_with(text: &str) -> Vec<Pid> {
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
pub(crate) fn is(pid: Pid, command: &str) -> bool {
    let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    let words: Vec<_> = line
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    words.join(" ").trim_end().ends_with(command)
}

pub(crate) fn signal(pid: Pid, signal: Signal) {
    kill_process(pid, signal).unwrap();
}
