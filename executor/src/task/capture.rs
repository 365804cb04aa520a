//! The result of an attempt: written beside its final place, put there by one rename when the attempt may commit.
//!
//! The final name depends on the partition only, the temporary one on attempt and executor. A rename never
//! replaces anything. When the final name is taken, an earlier attempt of the same partition had the permission to
//! commit, used it and died before it could say so: its result stands, ours goes away, and the partition is
//! committed exactly once (invariant A).

use std::fmt::Display;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dfs::{CreateOptions, DfsError, DfsPath, FileSystem, FileWriter, Overwrite};
use hadoop::retry::Backoff;
use wire::failure::FailureCause;
use wire::id::{ExecutorId, TaskAttemptId};

use crate::storage::Storage;
use crate::task::directory::file_safe;
use crate::task::stream::{CHUNK, PipeReader};

/// The directory for results that are not committed, as Hadoop's `FileOutputCommitter` names it; readers of a job's
/// output leave it out.
const TEMPORARY: &str = "_temporary";

/// How often a step of the commit is tried when the file system cannot be reached.
const COMMIT_TRIES: u32 = 6;

/// How long removing what is not wanted may take; what stays is removed with the whole of `_temporary`.
const DISCARD_LIMIT: Duration = Duration::from_secs(10);

fn failed(path: &DfsPath, error: &dyn Display) -> FailureCause {
    FailureCause::OutputFailed {
        path: path.to_string(),
        message: error.to_string(),
    }
}

/// Where the result of an attempt goes.
#[derive(Debug)]
pub(crate) struct Place {
    fs: Arc<dyn FileSystem>,
    /// The attempt's own directory.
    temporary: DfsPath,
    /// What is renamed, in that directory.
    from: DfsPath,
    /// The final name.
    to: DfsPath,
}

impl Place {
    /// The place of an attempt in the stage's output directory. Touches nothing.
    ///
    /// # Errors
    /// [`FailureCause::OutputFailed`] for a location that no file system holds.
    pub(crate) fn new(
        storage: &Storage,
        output: &str,
        executor: &ExecutorId,
        id: TaskAttemptId,
    ) -> Result<Self, FailureCause> {
        let fail = |message| FailureCause::OutputFailed {
            path: output.to_owned(),
            message,
        };
        let (fs, directory) = storage.locate(output).map_err(fail)?;
        let temporary = directory
            .join(TEMPORARY)
            .join(&format!("attempt-{}-{executor}", file_safe(id)));
        let name = format!("part-{:05}", id.partition);
        Ok(Self {
            fs,
            from: temporary.join(&name),
            to: directory.join(&name),
            temporary,
        })
    }

    /// Copies a pipe into the temporary file, to its end.
    ///
    /// # Errors
    /// [`FailureCause::OutputFailed`].
    pub(crate) async fn write_stream(
        &self,
        pipe: &mut PipeReader,
        written: &AtomicU64,
    ) -> Result<(), FailureCause> {
        let fail = |error: DfsError| failed(&self.from, &error);
        let mut writer = self.create(&self.from).await.map_err(fail)?;
        let mut buffer = BytesMut::new();
        loop {
            let read = pipe
                .read(&mut buffer)
                .await
                .map_err(|error| failed(&self.from, &error))?;
            if buffer.len() >= CHUNK / 2 || (read == 0 && !buffer.is_empty()) {
                written.fetch_add(buffer.len() as u64, Ordering::Relaxed);
                writer.write(buffer.split().freeze()).await.map_err(fail)?;
            }
            if read == 0 {
                break;
            }
        }
        writer.close().await.map(drop).map_err(fail)
    }

    async fn create(&self, path: &DfsPath) -> Result<Box<dyn FileWriter>, DfsError> {
        self.fs.create(path, &CreateOptions::overwriting()).await
    }

    /// Copies a local directory with everything in it.
    ///
    /// # Errors
    /// [`FailureCause::OutputFailed`], also for what is neither a file nor a directory.
    pub(crate) async fn upload(&self, local: &Path, written: &AtomicU64) -> Result<(), FailureCause> {
        let mut open = vec![(local.to_owned(), self.from.clone())];
        while let Some((source, target)) = open.pop() {
            let mode = CreateOptions::default().permission | 0o111;
            self.fs
                .mkdirs(&target, mode)
                .await
                .map_err(|error| failed(&target, &error))?;
            for (path, name) in entries(&source).map_err(|error| failed(&target, &error))? {
                let target = target.join(&name);
                let kind = fs::symlink_metadata(&path)
                    .map_err(|error| failed(&target, &error))?
                    .file_type();
                if kind.is_dir() {
                    open.push((path, target));
                } else if kind.is_file() {
                    self.upload_file(&path, &target, written).await?;
                } else {
                    return Err(failed(&target, &"only files and directories can be a result"));
                }
            }
        }
        Ok(())
    }

    async fn upload_file(
        &self,
        source: &Path,
        target: &DfsPath,
        written: &AtomicU64,
    ) -> Result<(), FailureCause> {
        let mut file = fs::File::open(source).map_err(|error| failed(target, &error))?;
        let mut writer = self
            .create(target)
            .await
            .map_err(|error| failed(target, &error))?;
        loop {
            let chunk = read_chunk(&mut file).map_err(|error| failed(target, &error))?;
            if chunk.is_empty() {
                break;
            }
            written.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            writer
                .write(chunk)
                .await
                .map_err(|error| failed(target, &error))?;
        }
        writer
            .close()
            .await
            .map(drop)
            .map_err(|error| failed(target, &error))
    }

    /// Gives the result its final name. Not to be interrupted lightly: the permission to commit is used up.
    ///
    /// # Errors
    /// [`FailureCause::OutputFailed`] when neither our result nor an earlier one is in place.
    pub(crate) async fn commit(&self) -> Result<(), FailureCause> {
        for attempt in 0.. {
            match self.put_in_place().await {
                Ok(()) => break,
                Err(error) if error.is_transient() && attempt + 1 < COMMIT_TRIES => {
                    tracing::warn!(%error, to = %self.to, "a commit is tried again");
                    tokio::time::sleep(Backoff::FILE_SYSTEM.delay(attempt)).await;
                }
                Err(error) => return Err(failed(&self.to, &error)),
            }
        }
        self.discard().await;
        Ok(())
    }

    /// A rename whose answer was lost may have happened: what is there decides.
    async fn put_in_place(&self) -> Result<(), DfsError> {
        if self.is_taken().await? {
            return Ok(());
        }
        match self.fs.rename(&self.from, &self.to, Overwrite::No).await {
            Ok(()) => Ok(()),
            Err(error) if self.is_taken().await? => {
                tracing::info!(%error, to = %self.to, "already committed");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn is_taken(&self) -> Result<bool, DfsError> {
        match self.fs.status(&self.to).await {
            Ok(_) => Ok(true),
            Err(DfsError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes what is not committed, as far as that is possible.
    pub(crate) async fn discard(&self) {
        let removal = self.fs.delete(&self.temporary, true);
        match tokio::time::timeout(DISCARD_LIMIT, removal).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(path = %self.temporary, %error, "a temporary result stays"),
            Err(_) => tracing::warn!(path = %self.temporary, "a temporary result stays: no answer"),
        }
    }
}

/// The entries of a local directory with their names, which must be UTF-8 to be names in HDFS.
fn entries(directory: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| {
            let message = format!("the name {} is not UTF-8", name.display());
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        found.push((entry.path(), name));
    }
    found.sort();
    Ok(found)
}

fn read_chunk(file: &mut fs::File) -> io::Result<Bytes> {
    let mut chunk = Vec::with_capacity(CHUNK);
    file.take(CHUNK as u64).read_to_end(&mut chunk)?;
    Ok(Bytes::from(chunk))
}
