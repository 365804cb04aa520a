//! The main job with the real executable, which `DRAWLOOM_BIN` names or the workspace's target directory has.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mini::{Cluster, Options};

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
         - name: count\n    inputs: file://{0}/books\n    shell: tr -s ' ' '\\n' | sort | uniq -c\n    \
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
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_counted_without_java() {
    let Some(executable) = executable() else {
        eprintln!("skipped: no drawloom executable; build it or set DRAWLOOM_BIN");
        return;
    };
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let result = prepare(directory.path());
    let (conf, job) = (cluster.conf_dir(), directory.path().join("job.yaml"));
    let run = move || drawloom(&executable, &conf, &["submit", job.to_str().unwrap()]);
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(
        std::fs::read_to_string(result).unwrap(),
        "be 600\nnot 300\nor 300\nto 600\n"
    );
    cluster.shutdown().await;
}
