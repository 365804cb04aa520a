//! The ApplicationMaster dies, and what was done stays done: the real executable over an embedded cluster, killed after
//! every record of its journal in turn.
//!
//! The executable is the one that `DRAWLOOM_BIN` names or the workspace's target directory has.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use mini::{Cluster, Options};

fn executable() -> Option<PathBuf> {
    let named = std::env::var_os("DRAWLOOM_BIN").map(PathBuf::from);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let built = ["fast", "release"].map(|profile| workspace.join("target").join(profile).join("drawloom"));
    named.into_iter().chain(built).find(|path| path.is_file())
}

/// A cluster, and one directory for each job on it.
struct Bench {
    executable: PathBuf,
    cluster: Cluster,
    directory: tempfile::TempDir,
}

/// What became of one job.
struct Run {
    directory: PathBuf,
    said: String,
    code: Option<i32>,
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

    /// Runs a job to its end in a directory of its own; `crash` is where its first ApplicationMaster dies.
    async fn run(&self, name: &str, job: &str, crash: Option<&str>) -> Run {
        let directory = self.directory.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        let file = directory.join("job.yaml");
        std::fs::write(&file, job.replace("DIR", directory.to_str().unwrap())).unwrap();
        let mut command = Command::new(&self.executable);
        command
            .arg("submit")
            .arg(&file)
            .env("HADOOP_CONF_DIR", self.cluster.conf_dir())
            // Where it stages when the default file system is local.
            .env("HOME", self.cluster.conf_dir())
            .stdin(Stdio::null());
        if let Some(crash) = crash {
            command.env("DRAWLOOM_CRASH_AFTER_RECORD", crash);
        }
        let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        Run {
            directory,
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
        }
    }
}

impl Run {
    /// The attempts of each task that began, by stage and task: a line each.
    fn begun(&self) -> BTreeMap<String, u32> {
        self.lines("begun")
    }

    fn ended(&self) -> BTreeMap<String, u32> {
        self.lines("ended")
    }

    fn lines(&self, file: &str) -> BTreeMap<String, u32> {
        let text = std::fs::read_to_string(self.directory.join(file)).unwrap_or_default();
        let mut counts = BTreeMap::new();
        for line in text.lines() {
            *counts.entry(line.to_owned()).or_default() += 1;
        }
        counts
    }

    fn result(&self, name: &str) -> String {
        let parts = std::fs::read_dir(self.directory.join(name)).unwrap();
        let mut parts: Vec<_> = parts
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("part-"))
            .collect();
        parts.sort();
        parts
            .iter()
            .map(|part| std::fs::read_to_string(part).unwrap())
            .collect()
    }
}

/// Two stages with a commit each; one task fails once and runs again. Each task notes that it began and, as its last
/// act, that it ended.
const JOB: &str = "version: 1
name: words
am: { max-attempts: 2 }
executors: { instances: 2, memory: 128MiB, cores: 1 }
conf:
  executor.heartbeat.interval: 100ms
  client.poll-interval: 50ms
stages:
  - name: work
    tasks: 4
    shell: |
      echo work.$DRAWLOOM_TASK >> DIR/begun
      if [ $DRAWLOOM_TASK = 2 ] && [ ! -e DIR/failed ]; then touch DIR/failed; exit 3; fi
      echo result of $DRAWLOOM_TASK
      echo work.$DRAWLOOM_TASK >> DIR/ended
    output: file://DIR/work
  - name: total
    after: [work]
    inputs: file://DIR/work
    tasks: 1
    shell: |
      echo total.$DRAWLOOM_TASK >> DIR/begun
      sort
      echo total.$DRAWLOOM_TASK >> DIR/ended
    output: file://DIR/total
";

const RESULT: &str = "result of 0\nresult of 1\nresult of 2\nresult of 3\n";

/// Whether a second ApplicationMaster was started, as the logs of the cluster's nodes show.
fn was_followed(cluster: &Path, said: &str) -> bool {
    let id = said.split("application_").nth(1).unwrap();
    let id = id
        .split(|c: char| c != '_' && !c.is_ascii_digit())
        .next()
        .unwrap();
    let second = format!("container_{id}_02_000001");
    let mut open = vec![cluster.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_name().to_str() == Some(&second) {
                return true;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
    }
    false
}

/// The loop over all records: no task that had ended runs again, whichever record was the last.
#[tokio::test(flavor = "multi_thread")]
async fn the_application_master_may_die_after_any_record() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    for record in 1..100 {
        let run = bench
            .run(&format!("after-{record}"), JOB, Some(&format!("1:{record}")))
            .await;
        assert_eq!(run.code, Some(0), "after record {record}: {}", run.said);
        assert_eq!(run.result("total"), RESULT, "after record {record}");
        let again: Vec<_> = run.ended().into_iter().filter(|(_, times)| *times > 1).collect();
        assert_eq!(again, [], "ran again after record {record}: {}", run.said);
        assert_eq!(
            run.begun()["work.2"],
            2,
            "the task that fails, after record {record}"
        );
        if !was_followed(bench.cluster.directory(), &run.said) {
            assert!(
                record > 8,
                "the journal of this job has more than {record} records"
            );
            return;
        }
    }
    panic!("the journal of so small a job has fewer records");
}
