//! The real-Hadoop fixture itself: it comes up as asked and ends without a trace.

use harness::hadoop::{Hadoop, Role, Signal};
use harness::processes;
use std::time::{Duration, Instant};

#[test]
fn cluster_with_hdfs_runs_its_nodes_and_ends_without_a_trace() {
    let before = Instant::now();
    let hadoop = Hadoop::builder().nodes(2).start().unwrap();
    println!("two nodes and HDFS were up after {:?}", before.elapsed());
    let dir = hadoop.dir().to_path_buf();
    let nodes = hadoop.rm_get("/ws/v1/cluster/nodes?states=RUNNING").unwrap();
    let mut ids: Vec<_> = nodes["nodes"]["node"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let mut expected = [hadoop.node_id(0), hadoop.node_id(1)];
    expected.sort_unstable();
    assert_eq!(ids, expected);
    assert!(hadoop.default_fs().starts_with("hdfs://127.0.0.1:"));
    for file in ["core-site.xml", "hdfs-site.xml", "yarn-site.xml"] {
        assert!(hadoop.conf_dir().join(file).is_file(), "{file}");
    }
    assert_eq!(hadoop.processes().len(), 5, "RM, two NMs, NN, DN");
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
    hadoop.wait_nodes(0, Duration::from_secs(60)).unwrap();
    hadoop.restart_node(0).unwrap();
    hadoop.wait_nodes(1, Duration::from_secs(60)).unwrap();
    assert!(!hadoop.log_tail(Role::NodeManager(0), 5).is_empty());
}
