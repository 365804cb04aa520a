//! `drawloom mini` itself, with the real executable, which `DRAWLOOM_BIN` names or the workspace's target directory has.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a step may take on a busy machine.
const STEP: Duration = Duration::from_secs(120);

fn executable() -> Option<PathBuf> {
    let named = std::env::var_os("DRAWLOOM_BIN").map(PathBuf::from);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let built = ["fast", "release"].map(|profile| workspace.join("target").join(profile).join("drawloom"));
    let found = named.into_iter().chain(built).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: no drawloom executable; build it or set DRAWLOOM_BIN");
    }
    found
}

fn run(executable: &Path, arguments: &[&str], variables: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(executable);
    command.args(arguments).stdin(Stdio::null());
    command.envs(variables.iter().copied()).output().unwrap()
}

fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begun.elapsed() < STEP, "no {what} within {STEP:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A cluster in the foreground of another process; killed when the test fails.
struct Foreground {
    child: Child,
    conf: PathBuf,
}

impl Foreground {
    fn start(executable: &Path, home: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(executable);
        command.arg("mini").args(arguments).env("TMPDIR", home);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let conf = line
            .trim()
            .strip_prefix("export HADOOP_CONF_DIR=")
            .unwrap()
            .into();
        Self { child, conf }
    }

    /// The cluster's own directory.
    fn directory(&self) -> &Path {
        self.conf.parent().unwrap()
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Processes whose environment has this text, which only those of one cluster's containers have.
fn processes(mark: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let marked = |pid: &String| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(mark)
    };
    pids.filter(marked).collect()
}

#[test]
fn a_cluster_that_is_killed_leaves_no_process_and_no_directory() {
    let Some(executable) = executable() else { return };
    let home = tempfile::tempdir().unwrap();
    let mut cluster = Foreground::start(&executable, home.path(), &[]);
    let variables = [("HADOOP_CONF_DIR", cluster.conf.as_path()), ("HOME", home.path())];
    let submitted = run(
        &executable,
        &["run", "--detach", "-n", "2", "--", "sleep", "600"],
        &variables,
    );
    assert!(submitted.status.success(), "{submitted:?}");
    let own = cluster.directory().to_owned();
    let mark = format!("LOG_DIRS={}", own.display());
    until("three containers", || {
        let mut containers: Vec<String> = processes(&mark)
            .iter()
            .filter_map(|pid| std::fs::read(format!("/proc/{pid}/environ")).ok())
            .filter_map(|environment| {
                let text = String::from_utf8_lossy(&environment).into_owned();
                let named = text.split('\0').find(|one| one.starts_with("CONTAINER_ID="));
                named.map(str::to_owned)
            })
            .collect();
        containers.sort();
        containers.dedup();
        (containers.len() >= 2).then_some(())
    });
    cluster.child.kill().unwrap();
    cluster.child.wait().unwrap();
    until("end of all containers", || {
        processes(&mark).is_empty().then_some(())
    });
    until("removal of the directory", || (!own.exists()).then_some(()));
}

#[test]
fn an_address_that_others_reach_is_refused_with_the_reason() {
    let Some(executable) = executable() else { return };
    let refused = run(&executable, &["mini", "--bind", "0.0.0.0"], &[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(
        said.contains("0.0.0.0 is no address of this machine alone"),
        "{said}"
    );
    assert!(said.contains("--expose"), "{said}");
}

#[test]
fn a_wrong_file_of_faults_is_refused_with_line_and_column() {
    let Some(executable) = executable() else { return };
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("faults.yaml");
    std::fs::write(&file, "version: 1\nfaults:\n- on: allocate\n  do: explode\n").unwrap();
    let refused = run(&executable, &["mini", "--faults", file.to_str().unwrap()], &[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(
        said.contains("faults.yaml:4:7: nobody knows how to \"explode\""),
        "{said}"
    );
}

#[test]
fn with_a_configuration_whose_cluster_is_down_nothing_is_run_elsewhere() {
    let Some(executable) = executable() else { return };
    let home = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let site = format!(
        "<configuration><property><name>yarn.resourcemanager.webapp.address</name><value>{closed}</value></property>\
         <property><name>fs.defaultFS</name><value>file:///</value></property></configuration>"
    );
    let conf = home.path().join("conf");
    std::fs::create_dir(&conf).unwrap();
    for name in ["core-site.xml", "yarn-site.xml"] {
        std::fs::write(conf.join(name), &site).unwrap();
    }
    let variables = [("HADOOP_CONF_DIR", conf.as_path()), ("HOME", home.path())];
    let refused = run(&executable, &["run", "-n", "1", "--", "true"], &variables);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(
        said.contains(&closed.to_string()) && !said.contains("embedded"),
        "{said}"
    );
}

#[test]
fn a_job_survives_the_faults_of_a_file() {
    let Some(executable) = executable() else { return };
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("faults.yaml");
    let faults = "version: 1\ncluster: { standby: true }\nfaults:\n- { on: allocate, nth: 2, do: lose-answer }\n\
                  - { on: allocate, nth: 3, do: roll-key, kind: master }\n- { on: allocate, nth: 4, do: fail-over }\n\
                  - { on: container, nth: 1, do: kill-container, container: 2 }\n\
                  - { on: POST /ws/v1/cluster/apps, do: lose-answer }\n";
    std::fs::write(&file, faults).unwrap();
    let mut cluster = Foreground::start(&executable, home.path(), &["--faults", file.to_str().unwrap()]);
    let variables = [("HADOOP_CONF_DIR", cluster.conf.as_path()), ("HOME", home.path())];
    let ended = run(&executable, &["run", "-n", "4", "--", "sleep", "0.5"], &variables);
    assert_eq!(
        ended.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let pid = rustix::process::Pid::from_child(&cluster.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(cluster.child.wait().unwrap().success());
    assert!(!cluster.directory().exists());
}
