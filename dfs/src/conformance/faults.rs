//! What only HDFS can show: leases between two clients, and servers that stop answering.
//!
//! The caller starts the cluster and stops its processes; SIGSTOP is enough, and kinder than SIGKILL.

use std::time::Duration;

use bytes::Bytes;

use super::expect_error;
use crate::error::DfsError;
use crate::fs::{CreateOptions, FileSystem, Overwrite, read_all, write_all};
use crate::path::DfsPath;

/// Lease recovery takes 0.5 to 3 s as a rule, and up to 110 s after the loss of a node.
const RECOVERY_LIMIT: Duration = Duration::from_secs(120);
const RECOVERY_PAUSE: Duration = Duration::from_millis(250);

/// Calls lease recovery until the file is closed.
///
/// # Panics
/// When it is not closed within two minutes.
pub async fn recover(fs: &dyn FileSystem, path: &DfsPath) {
    let recovering = async {
        while !fs.recover_lease(path).await.expect("recovery can be asked for") {
            tokio::time::sleep(RECOVERY_PAUSE).await;
        }
    };
    tokio::time::timeout(RECOVERY_LIMIT, recovering)
        .await
        .expect("the lease is recovered in time");
}

/// Another client can take over a file: it reads all that was flushed, and the old writer is fenced. `ours` and
/// `theirs` must be different clients.
///
/// # Panics
/// When HDFS or a client does not behave.
pub async fn check_leases(ours: &dyn FileSystem, theirs: &dyn FileSystem, base: &DfsPath) {
    let path = base.join("leased");
    let mut writer = ours
        .create(&path, &CreateOptions::overwriting())
        .await
        .expect("created");
    writer
        .write(Bytes::from_static(b"flushed"))
        .await
        .expect("written");
    writer.sync().await.expect("flushed");
    expect_error(theirs.create(&path, &CreateOptions::default()).await, |e| {
        matches!(e, DfsError::AlreadyExists { .. })
    });
    recover(theirs, &path).await;
    assert_eq!(read_all(theirs, &path, 1 << 20).await.expect("read"), "flushed");
    let fenced = |e: &DfsError| matches!(e, DfsError::Fenced { .. } | DfsError::WriterLost { .. });
    expect_error(writer.sync().await, |e| matches!(e, DfsError::Fenced { .. }));
    expect_error(writer.write(Bytes::from_static(b"late")).await, fenced);
    writer.abort().await.expect("giving up is no error");
    assert_eq!(
        read_all(theirs, &path, 1 << 20).await.expect("still there"),
        "flushed"
    );
    check_replaced(ours, theirs, &base.join("replaced-while-open")).await;
    check_deleted(ours, theirs, &base.join("deleted-while-open")).await;
}

async fn check_replaced(ours: &dyn FileSystem, theirs: &dyn FileSystem, path: &DfsPath) {
    let mut writer = ours
        .create(path, &CreateOptions::default())
        .await
        .expect("created");
    writer.write(Bytes::from_static(b"ours")).await.expect("written");
    writer.sync().await.expect("flushed");
    let mut thief = theirs
        .create(path, &CreateOptions::overwriting())
        .await
        .expect("taken over");
    expect_error(writer.sync().await, |e| matches!(e, DfsError::Fenced { .. }));
    thief.write(Bytes::from_static(b"theirs")).await.expect("written");
    thief.close().await.expect("closed");
    writer.abort().await.expect("giving up leaves their file alone");
    assert_eq!(read_all(ours, path, 100).await.expect("read"), "theirs");
}

async fn check_deleted(ours: &dyn FileSystem, theirs: &dyn FileSystem, path: &DfsPath) {
    let mut writer = ours
        .create(path, &CreateOptions::default())
        .await
        .expect("created");
    writer.write(Bytes::from_static(b"x")).await.expect("written");
    writer.sync().await.expect("flushed");
    assert_eq!(theirs.delete(path, false).await, Ok(true));
    expect_error(writer.close().await, |e| matches!(e, DfsError::Fenced { .. }));
}

/// What one user keeps to itself another cannot read, change or remove. `other` acts as a user without rights.
///
/// # Panics
/// When HDFS or a client does not behave.
pub async fn check_permissions(owner: &dyn FileSystem, other: &dyn FileSystem, base: &DfsPath) {
    let denied = |e: &DfsError| matches!(e, DfsError::PermissionDenied { .. }) && e.help().is_some();
    let directory = base.join("private");
    owner.mkdirs(&directory, 0o700).await.expect("made");
    let file = directory.join("file");
    write_all(owner, &file, Bytes::from_static(b"x"), &CreateOptions::default())
        .await
        .expect("written");
    expect_error(other.open(&file).await, denied);
    expect_error(other.status(&file).await, denied);
    expect_error(
        other
            .create(&directory.join("new"), &CreateOptions::default())
            .await,
        denied,
    );
    expect_error(other.mkdirs(&directory.join("new"), 0o755).await, denied);
    expect_error(other.delete(&directory, true).await, denied);
    expect_error(
        other.rename(&file, &base.join("stolen"), Overwrite::No).await,
        denied,
    );
    expect_error(other.set_permission(&directory, 0o777).await, denied);
}

/// A flush ends at its deadline when the DataNodes stop answering, the writer says that it is lost, and nothing
/// acknowledged is. `stop` and `resume` act on every DataNode; `fs` should have short deadlines.
///
/// # Panics
/// When HDFS or the client does not behave.
pub async fn check_stopped_datanodes(
    fs: &dyn FileSystem,
    base: &DfsPath,
    stop: impl FnOnce(),
    resume: impl FnOnce(),
) {
    let path = base.join("stalled");
    let mut writer = fs
        .create(&path, &CreateOptions::overwriting())
        .await
        .expect("created");
    writer
        .write(Bytes::from_static(b"acknowledged"))
        .await
        .expect("written");
    writer.sync().await.expect("flushed");
    stop();
    writer
        .write(Bytes::from_static(b" maybe"))
        .await
        .expect("buffered");
    let stalled = writer.sync().await;
    let after = writer.sync().await;
    resume();
    expect_error(stalled, |e| matches!(e, DfsError::Timeout { what: "flush", .. }));
    expect_error(after, |e| matches!(e, DfsError::WriterLost { .. }));
    drop(writer);
    write_again(fs, &base.join("afterwards")).await;
    recover(fs, &path).await;
    let found = read_all(fs, &path, 1 << 20).await.expect("read");
    assert!(
        b"acknowledged maybe".starts_with(&found) && found.starts_with(b"acknowledged"),
        "found {found:?}"
    );
}

/// Waits until DataNodes take data again. They must have dealt with what they were sent before they were stopped: a
/// recovery that interrupts the very write of a packet leaves a replica whose recovery fails ("Block length mismatch")
/// until its DataNode is restarted (seen on Hadoop 3.5.0).
async fn write_again(fs: &dyn FileSystem, path: &DfsPath) {
    let writing = async {
        let (data, options) = (Bytes::from_static(b"x"), CreateOptions::overwriting());
        while write_all(fs, path, data.clone(), &options).await.is_err() {
            tokio::time::sleep(RECOVERY_PAUSE).await;
        }
    };
    tokio::time::timeout(RECOVERY_LIMIT, writing)
        .await
        .expect("DataNodes take data again");
}

/// A call ends at its deadline when the NameNode stops answering, and the next one after it has come back succeeds.
///
/// # Panics
/// When HDFS or the client does not behave.
pub async fn check_stopped_namenode(
    fs: &dyn FileSystem,
    base: &DfsPath,
    stop: impl FnOnce(),
    resume: impl FnOnce(),
) {
    fs.mkdirs(base, 0o755).await.expect("made");
    stop();
    let stalled = fs.status(base).await;
    let dialled_anew = fs.status(base).await;
    resume();
    for result in [stalled, dialled_anew] {
        expect_error(result, |e| matches!(e, DfsError::Timeout { .. }));
    }
    assert!(fs.status(base).await.expect("it answers again").is_dir);
}
