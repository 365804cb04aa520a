//! The real-Hadoop fixture itself: it comes up as asked and ends without a trace, however its owner ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::hadoop::{Hadoop, Protection, Role, Scheduler, Signal, Version};
use harness::{processes, wait};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// For the test that owns a cluster until it is killed: where.
const DOOMED: &str = "FIXTURE_TEST_DIRECTORY";
/// An AM that leaves a grandchild without environment beside itself.
const COMMAND: &str = "env -i sleep 900 & sleep 900";
const SOON: Duration = Duration::from_secs(120);

#[test]
fn cluster_with_hdfs_runs_its_nodes_and_ends_without_a_trace() {
    let before = Instant::now();
    let hadoop = Hadoop::builder().nodes(2).start().unwrap();
    println!("two nodes and HDFS were up after {:?}", before.elapsed());
    let dir = hadoop.dir().to_path_buf();
    let nodes = hadoop.rm_get("/ws/v1/cluster/nodes?states=RUNNING").unwrap();
    let ids = nodes["nodes"]["node"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["id"].as_str().unwrap());
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    let mut expected = [hadoop.node_id(0), hadoop.node_id(1)];
    expected.sort_unstable();
    assert_eq!(ids, expected);
    assert!(hadoop.default_fs().starts_with("hdfs://127.0.0.1:"));
    for file in ["core-site.xml", "hdfs-site.xml", "yarn-site.xml"] {
        assert!(hadoop.conf_dir().join(file).is_file(), "{file}");
    }
    // Daemons run small programs now and then.
    wait::until("RM, two NMs, NN, DN", SOON, || hadoop.processes().len() == 5).unwrap();
    hadoop.end().unwrap();
    assert!(processes::of_cluster(&dir).is_empty());
    assert!(!dir.exists());
}

#[test]
fn killed_node_can_be_started_again() {
    let hadoop = Hadoop::builder()
        .nodes(1)
        .hdfs(false)
        .node_expiry(Duration::from_secs(3))
        .start()
        .unwrap();
    assert_eq!(hadoop.default_fs(), "file:///");
    hadoop.kill_node(0, Signal::KILL).unwrap();
    hadoop.wait_nodes(0, SOON).unwrap();
    hadoop.restart_node(0).unwrap();
    hadoop.wait_nodes(1, SOON).unwrap();
    assert!(!hadoop.log_tail(Role::NodeManager(0), 5).is_empty());
}

#[test]
fn orphans_of_a_killed_node_end_with_the_cluster() {
    let hadoop = Hadoop::builder().hdfs(false).start().unwrap();
    let app = running_shell(&hadoop);
    hadoop.kill_node(0, Signal::KILL).unwrap();
    let orphans = hadoop.processes_of_app(&app);
    assert!(orphans.len() >= 2, "the container lives on: {orphans:?}");
    assert_eq!(hadoop.containers_on_disk()[0].application, app);
    hadoop.end().unwrap();
    assert!(orphans.iter().all(processes::Process::has_ended), "{orphans:?}");
}

#[test]
fn other_releases_run_the_other_scheduler_and_protections() {
    let ways = [
        (Version::V3_3_6, Scheduler::Fair, Protection::Privacy),
        (Version::V3_5_0, Scheduler::Capacity, Protection::Integrity),
    ];
    for (version, scheduler, protection) in ways {
        let hadoop = Hadoop::builder()
            .version(version)
            .scheduler(scheduler)
            .protection(protection)
            .start()
            .unwrap();
        let info = hadoop.rm_get("/ws/v1/cluster/info").unwrap();
        assert_eq!(info["clusterInfo"]["hadoopVersion"], version.as_str());
        let kind =
            hadoop.rm_get("/ws/v1/cluster/scheduler").unwrap()["scheduler"]["schedulerInfo"]["type"].clone();
        let expected = if scheduler == Scheduler::Fair {
            "fairScheduler"
        } else {
            "capacityScheduler"
        };
        assert_eq!(kind, expected);
        running_shell(&hadoop);
    }
}

#[test]
fn application_survives_the_restart_of_the_resource_manager_and_its_node() {
    let hadoop = Hadoop::builder()
        .hdfs(false)
        .rm_recovery(true)
        .node_recovery(true)
        .start()
        .unwrap();
    let app = running_shell(&hadoop);
    let before = hadoop.processes_of_app(&app);
    hadoop.kill_rm().unwrap();
    hadoop.kill_node(0, Signal::KILL).unwrap();
    hadoop.restart_rm().unwrap();
    hadoop.restart_node(0).unwrap();
    hadoop.wait_nodes(1, SOON).unwrap();
    let state = hadoop.rm_get(&format!("/ws/v1/cluster/apps/{app}")).unwrap()["app"]["state"].clone();
    assert!(state == "ACCEPTED" || state == "RUNNING", "{state}");
    assert!(before.iter().all(|process| !process.has_ended()), "{before:?}");
}

#[test]
fn standby_takes_over_when_the_active_resource_manager_is_killed() {
    let hadoop = Hadoop::builder()
        .hdfs(false)
        .high_availability(true)
        .start()
        .unwrap();
    hadoop.kill_rm().unwrap();
    hadoop.transition_to_active(1).unwrap();
    hadoop.wait_nodes(1, SOON).unwrap();
}

#[test]
fn frozen_node_is_lost_and_comes_back_when_thawed() {
    let hadoop = Hadoop::builder()
        .hdfs(false)
        .node_expiry(Duration::from_secs(2))
        .start()
        .unwrap();
    hadoop.freeze(Role::NodeManager(0)).unwrap();
    hadoop.wait_nodes(0, SOON).unwrap();
    hadoop.thaw(Role::NodeManager(0)).unwrap();
    hadoop.wait_nodes(1, SOON).unwrap();
}

#[test]
fn cluster_ends_when_its_owner_is_killed() {
    let dir = env::temp_dir().join(format!("drawloom-fixture-{}", std::process::id()));
    let mut owner = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "owner_that_waits_to_be_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(DOOMED, &dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait::until("the owner's container", Duration::from_secs(180), || {
        dir.join("ready").exists()
    })
    .unwrap();
    let running = processes::of_cluster(&dir);
    assert!(
        running.len() >= 4,
        "RM, NM, the AM's shell and its child: {running:?}"
    );
    let large = dir.join("binary");
    std::fs::write(&large, vec![0; 2 << 20]).unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    let ended = wait::until("everything to end but the logs", SOON, || {
        running.iter().all(processes::Process::has_ended) && !large.exists()
    });
    let logs_are_left = dir.join("ready").exists();
    std::fs::remove_dir_all(&dir).unwrap();
    ended.unwrap();
    assert!(logs_are_left, "small files stay");
}

#[test]
#[ignore = "is run by cluster_ends_when_its_owner_is_killed"]
fn owner_that_waits_to_be_killed() {
    let dir = PathBuf::from(env::var_os(DOOMED).expect("run by the other test"));
    let hadoop = Hadoop::builder().hdfs(false).directory(&dir).start().unwrap();
    running_shell(&hadoop);
    mark_ready(&dir);
    wait::until("SIGKILL", Duration::from_secs(300), || false).unwrap_err();
}

fn mark_ready(dir: &Path) {
    std::fs::write(dir.join("ready"), "").unwrap();
}

fn running_shell(hadoop: &Hadoop) -> String {
    let app = hadoop.submit_shell("alice", COMMAND, 1).unwrap();
    let runs = || {
        hadoop
            .processes_of_app(&app)
            .iter()
            .filter(|process| process.command == "sleep 900")
            .count()
            == 2
    };
    wait::until("the AM's two processes", SOON, runs).unwrap();
    app
}
