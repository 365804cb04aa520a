//! Ending the log that a lost attempt has left: without an end and its final name a History Server shows the attempt as
//! running for ever.
//!
//! Nothing can be appended to a file here, so the complete lines are copied to one that History Servers do not look at
//! (they pass over names with a dot in front), which then gets the name.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dfs::{CreateOptions, DfsError, DfsPath, FileSystem, FileSystems, FileWriter, Overwrite};
use futures::TryStreamExt;
use serde_json::json;

use super::spark::line;
use super::{IN_PROGRESS, PERMISSION, file_name};

/// How long HDFS may take to hand the file over.
const HANDED_OVER: Duration = Duration::from_secs(60);
/// Between two questions whether it has.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest line.
const LONGEST: usize = 1 << 20;

/// Ends the logs of the attempts before this one; one that cannot be ended stays as it is.
pub(super) async fn end_all(systems: &FileSystems, directory: &str, application: &str, attempt: u32) {
    for attempt in 1..attempt {
        let name = file_name(application, Some(attempt));
        if let Err(error) = end_in(systems, directory, &name).await {
            tracing::warn!(name, %error, "the event log of a lost attempt stays as it is, incomplete");
        }
    }
}

/// Ends the log `name` in a directory, if it is there and has no end.
///
/// # Errors
/// As [`end`].
pub(super) async fn end_in(systems: &FileSystems, directory: &str, name: &str) -> Result<(), DfsError> {
    let directory = systems.resolve(directory)?;
    let fs = systems.get(&directory)?;
    end(fs.as_ref(), &directory, name).await
}

/// Ends the log `name` in `directory`, if it is there and has no end.
///
/// # Errors
/// What the file system says; the log is then as it was.
async fn end(fs: &dyn FileSystem, directory: &DfsPath, name: &str) -> Result<(), DfsError> {
    let open = directory.join(&format!("{name}{IN_PROGRESS}"));
    let modified = match fs.status(&open).await {
        Err(DfsError::NotFound { .. }) => return Ok(()),
        status => status?.modified_ms,
    };
    hand_over(fs, &open).await?;
    let copy = directory.join(&format!(".{name}"));
    copy_lines(fs, &open, &copy, modified).await?;
    match fs.rename(&copy, &directory.join(name), Overwrite::No).await {
        // Whoever wrote it has ended it after all, and knows more of it.
        Err(DfsError::AlreadyExists { .. }) => drop(fs.delete(&copy, false).await?),
        renamed => renamed?,
    }
    fs.delete(&open, false).await.map(drop)
}

async fn hand_over(fs: &dyn FileSystem, path: &DfsPath) -> Result<(), DfsError> {
    let wait = async {
        while !fs.recover_lease(path).await? {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    let ended = tokio::time::timeout(HANDED_OVER, wait).await;
    ended.unwrap_or_else(|_| {
        Err(DfsError::other(
            path,
            "LeaseRecovery",
            "HDFS does not hand it over",
        ))
    })
}

async fn copy_lines(
    fs: &dyn FileSystem,
    from: &DfsPath,
    to: &DfsPath,
    ended_ms: u64,
) -> Result<(), DfsError> {
    let reader = fs.open(from).await?;
    let options = CreateOptions::overwriting().permission(PERMISSION);
    let mut writer = fs.create(to, &options).await?;
    let mut chunks = reader.read(0, reader.len());
    let mut rest = BytesMut::new();
    while let Some(chunk) = chunks.try_next().await? {
        rest.extend_from_slice(&chunk);
        copy_complete(&mut writer, &mut rest).await?;
        if rest.len() > LONGEST {
            break;
        }
    }
    let end = line("ApplicationEnd", &json!({ "Timestamp": ended_ms }));
    writer.write(Bytes::from(end)).await?;
    writer.close().await.map(drop)
}

/// Moves what ends with a line end.
async fn copy_complete(writer: &mut Box<dyn FileWriter>, rest: &mut BytesMut) -> Result<(), DfsError> {
    match rest.iter().rposition(|&byte| byte == b'\n') {
        Some(last) => writer.write(rest.split_to(last + 1).freeze()).await,
        None => Ok(()),
    }
}
