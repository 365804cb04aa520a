//! The checks on local files, and on a real HDFS when the environment names one that may be disturbed:
//! `DRAWLOOM_TEST_HDFS` its root, `HADOOP_CONF_DIR` its configuration if it is a name service, and
//! `DRAWLOOM_TEST_DATANODE_PIDS` and `DRAWLOOM_TEST_NAMENODE_PID` the processes to stop for a moment.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hadoop::conf::Configuration;
use rustix::process::{Pid, Signal, kill_process};

use super::check_all;
use super::faults::{check_leases, check_permissions, check_stopped_datanodes, check_stopped_namenode};
use crate::fs::{Deadlines, FileSystem};
use crate::local::LocalFileSystem;
use crate::path::DfsPath;
use crate::registry::FileSystems;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn superuser() -> String {
    variable("USER").unwrap_or_else(|| "root".to_owned())
}

/// A client of its own on the cluster, as `user`; none when no cluster is named.
fn client(user: &str, deadlines: Deadlines) -> Option<Arc<dyn FileSystem>> {
    let Some(root) = variable("DRAWLOOM_TEST_HDFS") else {
        eprintln!("not run: DRAWLOOM_TEST_HDFS names no HDFS");
        return None;
    };
    let conf = match variable("HADOOP_CONF_DIR") {
        None => Configuration::builder().defaults(),
        Some(dir) => Configuration::builder().dir(Path::new(&dir)).unwrap(),
    };
    let conf = conf.set("fs.defaultFS", &root, "test").build(&variable);
    Some(
        FileSystems::builder(&conf, user)
            .deadlines(deadlines)
            .build()
            .unwrap()
            .default_fs()
            .unwrap(),
    )
}

fn place(fs: &dyn FileSystem, test: &str) -> DfsPath {
    fs.home().join(&format!("{test}-{}", std::process::id()))
}

#[tokio::test]
async fn local_files_conform() {
    let directory = tempfile::tempdir().unwrap();
    let fs = Arc::new(LocalFileSystem::new(directory.path()).unwrap());
    let base = fs.home().join("conformance");
    check_all(fs, &base).await;
}

/// One test, so that no other runs while servers are stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hdfs_conforms_and_survives_faults() {
    let Some(fs) = client(&superuser(), Deadlines::default()) else {
        return;
    };
    let base = place(fs.as_ref(), "conformance");
    check_all(fs, &base).await;

    let short = Duration::from_secs(2);
    let deadlines = Deadlines {
        metadata: short,
        read: short * 10,
        write: short,
        sync: short,
        close: short * 5,
    };
    let (Some(ours), Some(theirs), Some(bob)) = (
        client(&superuser(), deadlines),
        client(&superuser(), deadlines),
        client("bob", deadlines),
    ) else {
        return;
    };
    let base = place(ours.as_ref(), "faults");
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

/// The processes a variable names.
fn processes(name: &str) -> Vec<Pid> {
    let list = variable(name).unwrap_or_default();
    list.split_whitespace()
        .map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap())
        .collect()
}

/// Stops processes and waits until none of their threads runs any more.
fn stop(pids: &[Pid]) {
    for pid in pids {
        kill_process(*pid, Signal::STOP).unwrap();
        while !is_stopped(*pid) {
            std::thread::yield_now();
        }
    }
}

fn is_stopped(pid: Pid) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap();
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
        kill_process(*pid, Signal::CONT).unwrap();
    }
}
