//! Client mode with the real executable: the driver in the client, over an embedded cluster.
//!
//! The executable is the one that `DRAWLOOM_BIN` names or the workspace's target directory has.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use mini::{Cluster, Options};
use rustix::process::{Pid, Signal, kill_process};

/// How long a step may take on a busy machine.
const STEP: Duration = Duration::from_secs(60);

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
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A cluster, and a directory for a job on it.
struct Bench {
    executable: PathBuf,
    cluster: Cluster,
    directory: tempfile::TempDir,
}

/// How a client ended, and what it had said.
struct Ended {
    status: ExitStatus,
    said: String,
}

impl Bench {
    async fn new() -> Option<Self> {
        let Some(executable) = executable() else {
            eprintln!("skipped: no drawloom executable; build it or set DRAWLOOM_BIN");
            return None;
        };
        Some(Self {
            executable,
            cluster: Cluster::start(Options::default()).await.unwrap(),
            directory: tempfile::tempdir().unwrap(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Four tasks for two executors, that leave their names and run `script`.
    fn write_job(&self, script: &str) {
        let job = format!(
            "version: 1
name: words
executors: {{ instances: 2, memory: 128MiB, cores: 1 }}
conf:
  executor.heartbeat.interval: 100ms
  executor.heartbeat.suspect: 1s
  client.poll-interval: 50ms
  client.reconnect: 3s
  task.max-failures: 1
stages:
  - name: work
    tasks: 4
    shell: |
      mkdir -p {0}/arrivals; touch {0}/arrivals/$DRAWLOOM_TASK.$DRAWLOOM_TASK_ATTEMPT
      {script}
      touch {0}/ended.$DRAWLOOM_TASK
      echo result of $DRAWLOOM_TASK
    output: file://{0}/results
",
            self.directory.path().display()
        );
        std::fs::write(self.path("job.yaml"), job).unwrap();
    }

    /// Waits in the job until the test lets it go on.
    fn gate(&self) -> String {
        let open = self.path("open");
        format!("until [ -e {} ]; do sleep 0.02; done", open.display())
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

    fn submit(&self, mode: &str) -> Submitted {
        let job = self.path("job.yaml");
        let mut command = self.command(&["submit", job.to_str().unwrap(), "--deploy-mode", mode]);
        Submitted::spawn(&mut command, self.path("said"))
    }

    fn arrivals(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("arrivals"))
            .into_iter()
            .flatten()
            .flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Waits until both executors have begun a task.
    async fn both_at_work(&self) {
        until("two tasks", || (self.arrivals().len() >= 2).then_some(())).await;
    }

    fn results(&self) -> Vec<String> {
        (0..4)
            .filter_map(|task| std::fs::read_to_string(self.path(&format!("results/part-{task:05}"))).ok())
            .collect()
    }

    fn assert_all_done_once(&self) {
        let expected: Vec<_> = (0..4).map(|task| format!("result of {task}\n")).collect();
        assert_eq!(self.results(), expected);
        assert_eq!(
            self.arrivals(),
            ["0.0", "1.0", "2.0", "3.0"],
            "nothing is run again"
        );
    }

    /// The application's state and final status, once it has ended.
    async fn end_of(&self, application: &str) -> (String, String) {
        until("end of the application", || {
            let output = self
                .command(&["status", application, "-o", "json"])
                .output()
                .unwrap();
            let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
            let ended = ["FINISHED", "FAILED", "KILLED"].contains(&text("state").as_str());
            ended.then(|| (text("state"), text("finalStatus")))
        })
        .await
    }

    /// Waits until no process of the application is left.
    async fn nothing_runs(&self, application: &str) {
        let containers = application.replace("application", "container");
        until("end of all processes", || {
            processes_naming(&containers).is_empty().then_some(())
        })
        .await;
        let staged = self.cluster.conf_dir().join(".drawloom/apps").join(application);
        until("end of the staged files", || (!staged.exists()).then_some(())).await;
    }
}

/// Processes that have a text in their environment.
fn processes_naming(text: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.map(|entry| entry.path())
        .filter(|process| {
            let environ = std::fs::read(process.join("environ")).unwrap_or_default();
            String::from_utf8_lossy(&environ).contains(text)
        })
        .collect()
}

/// A client that waits. Killed when it is dropped, and let go on before, in case it stands still.
struct Submitted {
    child: Child,
    said: PathBuf,
}

impl Submitted {
    fn spawn(command: &mut Command, said: PathBuf) -> Self {
        let file = std::fs::File::create(&said).unwrap();
        let child = command.stderr(file).stdout(Stdio::null()).spawn().unwrap();
        Self { child, said }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }

    async fn application(&self) -> String {
        until("submission", || {
            let said = self.said();
            let mut words = said.split_whitespace();
            words
                .find(|word| word.starts_with("application_"))
                .map(str::to_owned)
        })
        .await
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    async fn end(mut self) -> Ended {
        let status = until("end of the client", || self.child.try_wait().unwrap()).await;
        let said = self.said();
        Ended { status, said }
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_ends_alike_in_both_modes() {
    for (script, code, status) in [
        ("true", 0, "SUCCEEDED"),
        ("echo full of eels >&2; exit 7", 1, "FAILED"),
    ] {
        for mode in ["cluster", "client"] {
            let Some(bench) = Bench::new().await else { return };
            bench.write_job(script);
            let client = bench.submit(mode);
            let application = client.application().await;
            let ended = client.end().await;
            assert_eq!(ended.status.code(), Some(code), "{mode}: {}", ended.said);
            assert_eq!(
                bench.end_of(&application).await,
                ("FINISHED".to_owned(), status.to_owned())
            );
            if code == 0 {
                bench.assert_all_done_once();
                assert!(
                    ended.said.contains("succeeded: 4 of 4 tasks done"),
                    "{}",
                    ended.said
                );
            } else {
                assert!(ended.said.contains("full of eels"), "{}", ended.said);
                assert_eq!(bench.results(), [""; 0]);
            }
            bench.nothing_runs(&application).await;
            bench.cluster.shutdown().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_interrupt_ends_the_job_as_killed() {
    let Some(bench) = Bench::new().await else { return };
    bench.write_job(&bench.gate());
    let client = bench.submit("client");
    let application = client.application().await;
    bench.both_at_work().await;
    client.signal(Signal::INT);
    let ended = client.end().await;
    assert_eq!(ended.status.code(), Some(130), "{}", ended.said);
    assert!(ended.said.contains("was killed"), "{}", ended.said);
    assert_eq!(bench.end_of(&application).await.1, "KILLED");
    bench.nothing_runs(&application).await;
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_of_a_killed_client_fails_and_leaves_nothing() {
    let Some(bench) = Bench::new().await else { return };
    bench.write_job(&bench.gate());
    let client = bench.submit("client");
    let application = client.application().await;
    bench.both_at_work().await;
    client.signal(Signal::KILL);
    client.end().await;
    assert_eq!(
        bench.end_of(&application).await,
        ("FINISHED".to_owned(), "FAILED".to_owned())
    );
    let told = bench.command(&["status", &application]).output().unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("client.reconnect"), "{told}");
    bench.nothing_runs(&application).await;
    assert!(!bench.path("results").exists(), "unfinished results are removed");
    bench.cluster.shutdown().await;
}

/// A client that stands still is one whose link is cut: it neither hears nor answers, and its connection is given up.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_run_again_after_the_link_was_lost_for_a_while() {
    let Some(bench) = Bench::new().await else { return };
    bench.write_job(&bench.gate());
    let client = bench.submit("client");
    let application = client.application().await;
    bench.both_at_work().await;
    client.signal(Signal::STOP);
    // The ApplicationMaster gives the connection up; the two tasks end while nobody can be told.
    let log = until("a lost link", || {
        let log = master_log(&bench, &application);
        log.contains("driver in the client is disconnected")
            .then_some(log)
    })
    .await;
    assert!(!log.contains("driver refused"), "{log}");
    std::fs::write(bench.path("open"), "").unwrap();
    let ended = || {
        (0..4)
            .filter(|task| bench.path(&format!("ended.{task}")).exists())
            .count()
    };
    until("end of the two tasks", || (ended() == 2).then_some(())).await;
    client.signal(Signal::CONT);
    let ended = client.end().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said);
    bench.assert_all_done_once();
    let log = master_log(&bench, &application);
    assert_eq!(
        log.matches("driver in the client is connected").count(),
        2,
        "{log}"
    );
    assert_eq!(log.matches("container granted").count(), 2, "{log}");
    bench.nothing_runs(&application).await;
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_the_application_master_costs_only_a_pause() {
    let Some(bench) = Bench::new().await else { return };
    bench.write_job(&bench.gate());
    let client = bench.submit("client");
    let application = client.application().await;
    bench.both_at_work().await;
    let master = application.replace("application", "container") + "_01_000001";
    let own = format!("CONTAINER_ID={master}\0");
    for process in processes_naming(&own) {
        let pid = process.file_name().unwrap().to_str().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }
    until("a lost link", || {
        client.said().contains("link lost").then_some(())
    })
    .await;
    std::fs::write(bench.path("open"), "").unwrap();
    let ended = client.end().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said);
    assert!(ended.said.contains("link back"), "{}", ended.said);
    bench.assert_all_done_once();
    bench.nothing_runs(&application).await;
    bench.cluster.shutdown().await;
}

/// What the ApplicationMaster has logged so far.
fn master_log(bench: &Bench, application: &str) -> String {
    let container = application.replace("application", "container") + "_01_000001";
    let logs = find(bench.cluster.directory(), &container, "stderr");
    logs.map(|path| std::fs::read_to_string(path).unwrap())
        .unwrap_or_default()
}

/// The file of this name in a directory of that name, somewhere below.
fn find(below: &Path, directory: &str, file: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(below).ok()?.flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let paths: Vec<_> = directories.map(|entry| entry.path()).collect();
    let here = paths.iter().find(|path| path.ends_with(directory));
    here.map(|path| path.join(file))
        .filter(|path| path.exists())
        .or_else(|| paths.iter().find_map(|path| find(path, directory, file)))
}
