//! HDFS under faults, when the environment names a cluster that may be disturbed: `DRAWLOOM_TEST_HDFS` its root,
//! `DRAWLOOM_TEST_DATANODE_PIDS` and `DRAWLOOM_TEST_NAMENODE_PID` the processes to stop for a moment.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dfs::conformance::faults::{
    check_leases, check_permissions, check_stopped_datanodes, check_stopped_namenode,
};
use dfs::{Deadlines, FileSystem, FileSystems};
use hadoop::conf::Configuration;
use rustix::process::{Pid, Signal, kill_process};

/// A client of its own on the cluster, as `user`; none when no cluster is named.
fn client(user: &str) -> Option<Arc<dyn FileSystem>> {
    let Ok(root) = std::env::var("DRAWLOOM_TEST_HDFS") else {
        eprintln!("not run: DRAWLOOM_TEST_HDFS names no HDFS");
        return None;
    };
    let conf = configuration(&root);
    let short = Duration::from_secs(2);
    let deadlines = Deadlines {
        metadata: short,
        read: short * 10,
        write: short,
        sync: short,
        close: short * 5,
    };
    let file_systems = FileSystems::builder(&conf, user).deadlines(deadlines).build();
    let fs = file_systems.and_then(|systems| systems.default_fs());
    Some(fs.expect("DRAWLOOM_TEST_HDFS names a file system"))
}

/// That of `HADOOP_CONF_DIR`, for name services, with `root` as the default file system.
fn configuration(root: &str) -> Configuration {
    let env = |name: &str| std::env::var(name).ok();
    let conf = match env("HADOOP_CONF_DIR") {
        None => Configuration::builder().defaults(),
        Some(dir) => Configuration::builder()
            .dir(Path::new(&dir))
            .expect("HADOOP_CONF_DIR can be read"),
    };
    conf.set("fs.defaultFS", root, "test").build(&env)
}

/// The processes a variable names.
fn processes(variable: &str) -> Vec<Pid> {
    let list = std::env::var(variable).unwrap_or_default();
    list.split_whitespace()
        .map(|pid| {
            pid.parse()
                .ok()
                .and_then(Pid::from_raw)
                .expect("the variable holds process ids")
        })
        .collect()
}

/// Stops processes and waits until none of their threads runs any more.
fn stop(pids: &[Pid]) {
    for pid in pids {
        kill_process(*pid, Signal::STOP).expect("the process can be stopped");
        while !is_stopped(*pid) {
            std::thread::yield_now();
        }
    }
}

fn is_stopped(pid: Pid) -> bool {
    let threads =
        std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).expect("the process lives");
    let mut states =
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    // The state follows the name, which is in parentheses.
    states.all(|stat| {
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with('T'))
    })
}

fn resume(pids: &[Pid]) {
    for pid in pids {
        kill_process(*pid, Signal::CONT).expect("the process can be resumed");
    }
}

/// One test, so that no other runs while servers are stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hdfs_under_faults() {
    let superuser = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    let (Some(ours), Some(theirs), Some(bob)) = (client(&superuser), client(&superuser), client("bob"))
    else {
        return;
    };
    let base = ours.home().join(&format!("faults-{}", std::process::id()));
    check_permissions(ours.as_ref(), bob.as_ref(), &base).await;
    check_leases(ours.as_ref(), theirs.as_ref(), &base).await;
    let datanodes = processes("DRAWLOOM_TEST_DATANODE_PIDS");
    if !datanodes.is_empty() {
        check_stopped_datanodes(ours.as_ref(), &base, || stop(&datanodes), || resume(&datanodes)).await;
    }
    let namenode = processes("DRAWLOOM_TEST_NAMENODE_PID");
    if !namenode.is_empty() {
        check_stopped_namenode(ours.as_ref(), &base, || stop(&namenode), || resume(&namenode)).await;
    }
    ours.delete(&base, true).await.unwrap();
}
