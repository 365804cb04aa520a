//! The main job with the real executable, which `DRAWLOOM_BIN` names or the workspace's target directory has.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use mini::{Action, Cluster, Fault, Options, Trigger};

fn executable() -> Option<PathBuf> {
    let named = std::env::var_os("DRAWLOOM_BIN").map(PathBuf::from);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let built = ["fast", "release"].map(|profile| workspace.join("target").join(profile).join("drawloom"));
    named.into_iter().chain(built).find(|path| path.is_file())
}

/// Job file, program and input; the output's location.
fn prepare(directory: &Path) -> PathBuf {
    let books = directory.join("books");
    std::fs::create_dir(&books).unwrap();
    for n in 0..3 {
        std::fs::write(books.join(format!("{n}.txt")), "to be or not to be\n".repeat(100)).unwrap();
    }
    let job = format!(
        "version: 1\nname: words\nexecutors: {{ instances: 2, memory: 128MiB, cores: 1 }}\nstages:\n  \
         - name: count\n    inputs: file://{0}/books\n    shell: touch {0}/begun; while [ ! -e {0}/go ]; do sleep 0.02; done; tr -s ' ' '\\n' | sort | uniq -c\n    \
         output: file://{0}/counts\n  - name: total\n    after: [count]\n    inputs: file://{0}/counts\n    \
         tasks: 1\n    shell: awk '{{ n[$2] += $1 }} END {{ for (w in n) print w, n[w] }}' | sort\n    \
         output: file://{0}/total\n",
        directory.display()
    );
    std::fs::write(directory.join("job.yaml"), job).unwrap();
    directory.join("total/part-00000")
}

fn drawloom(executable: &Path, conf: &Path, arguments: &[&str]) -> Output {
    Command::new(executable)
        .args(arguments)
        .env("HADOOP_CONF_DIR", conf)
        // Where it stages when the default file system is local.
        .env("HOME", conf)
        .output()
        .unwrap()
}

/// Runs a job while something happens to the cluster.
async fn counted(disturb: impl AsyncFnOnce(&Cluster, &Path)) {
    let Some(executable) = executable() else {
        eprintln!("skipped: no drawloom executable; build it or set DRAWLOOM_BIN");
        return;
    };
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let result = prepare(directory.path());
    let (conf, job) = (cluster.conf_dir(), directory.path().join("job.yaml"));
    let run = move || drawloom(&executable, &conf, &["submit", job.to_str().unwrap()]);
    let running = tokio::task::spawn_blocking(run);
    disturb(&cluster, directory.path()).await;
    let output = running.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(
        std::fs::read_to_string(result).unwrap(),
        "be 600\nnot 300\nor 300\nto 600\n"
    );
    cluster.shutdown().await;
}

/// Waits until a task has begun, then lets all of them go on after `disturb`.
async fn amid_the_tasks(directory: &Path, disturb: impl FnOnce()) {
    let search = async {
        while !directory.join("begun").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), search)
        .await
        .expect("no task begins");
    disturb();
    std::fs::write(directory.join("go"), "").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_counted_without_java() {
    counted(async |_, directory| amid_the_tasks(directory, || {}).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_counted_although_the_resource_manager_restarts() {
    counted(async |cluster, directory| {
        amid_the_tasks(directory, || cluster.restart_resource_manager()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_counted_although_an_answer_of_the_resource_manager_is_lost() {
    counted(async |cluster, directory| {
        for nth in 1..=3 {
            let fault = Fault {
                on: Trigger::call("allocate"),
                nth,
                action: Action::LoseAnswer,
            };
            cluster.faults().order(fault);
        }
        amid_the_tasks(directory, || {}).await;
    })
    .await;
}
