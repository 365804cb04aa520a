//! The one who writes.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use tokio::time::Instant;

use super::record::{Record, write_header, write_record};
use super::recovery::attempts;
use super::{JournalError, open_name, sealed_name, segment_name};
use crate::error::DfsError;
use crate::fs::{CreateOptions, FileSystem, FileWriter, Overwrite};
use crate::local::is_local;
use crate::path::DfsPath;

/// How long a journal bears with its file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long one batch is tried before the writer gives up.
    pub budget: Duration,
    /// The first wait after a failure; doubled up to [`Patience::longest_pause`].
    pub first_pause: Duration,
    /// The longest wait.
    pub longest_pause: Duration,
}

impl Default for Patience {
    /// 75 s: a NameNode that is restarted is back after some 20 s, the worst stall seen with DataNodes that died was
    /// 20 s.
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(75),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(2),
        }
    }
}

/// Appends to the journal of one attempt. Owned by one task; a call that is dropped half-way leaves it unusable.
#[derive(Debug)]
pub struct JournalWriter {
    fs: Arc<dyn FileSystem>,
    directory: DfsPath,
    attempt: u32,
    patience: Patience,
    segment: u32,
    open: Option<Box<dyn FileWriter>>,
    /// The segments below this one hold nothing that is still needed.
    first_needed: u32,
    next: u64,
    written: u64,
}

impl JournalWriter {
    /// Makes the directory of `attempt` below `base`; the attempts before it should have been [recovered](super::recover)
    /// by then.
    ///
    /// # Errors
    /// [`JournalError::Fenced`] when a later attempt has been there, or records of the same number; else what the file
    /// system says. May be repeated: the directory may have been made though nobody said so.
    pub async fn create(
        fs: Arc<dyn FileSystem>,
        base: &DfsPath,
        attempt: u32,
        patience: Patience,
    ) -> Result<Self, JournalError> {
        fs.mkdirs(base, 0o700).await?;
        let directory = base.join(&open_name(attempt));
        let others = attempts(fs.as_ref(), base).await?;
        if let Some(later) = others.into_iter().find(|&other| other >= attempt)
            && !(later == attempt && is_empty(fs.as_ref(), &directory).await?)
        {
            let text = format!("attempt {later} has written to it, this is attempt {attempt}");
            return Err(JournalError::Fenced(text));
        }
        fs.mkdirs(&directory, 0o700).await?;
        Ok(Self {
            fs,
            directory,
            attempt,
            patience,
            segment: 0,
            open: None,
            first_needed: 1,
            next: 1,
            written: 0,
        })
    }

    /// The sequence that the next record gets.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Bytes of all segments so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Appends records and has them safe on disks when it comes back. Gives the sequence of the last one.
    ///
    /// # Errors
    /// [`JournalError::Fenced`] or [`JournalError::GaveUp`]; the writer is of no more use after either.
    pub async fn append(&mut self, payloads: &[Bytes]) -> Result<u64, JournalError> {
        let mut body = BytesMut::new();
        for (sequence, payload) in (self.next..).zip(payloads) {
            let payload = payload.clone();
            write_record(&Record { sequence, payload }, &mut body);
        }
        self.keep(&body.freeze()).await?;
        self.next += payloads.len() as u64;
        Ok(self.next - 1)
    }

    /// Begins a new segment with a record that makes all before it needless, and removes those segments, the oldest
    /// first. One that cannot be removed stays with all after it until the next time: a reader takes a gap between
    /// records for damage.
    ///
    /// # Errors
    /// As [`JournalWriter::append`].
    pub async fn restart(&mut self, base: Bytes) -> Result<u64, JournalError> {
        self.open = None;
        let from = self.segment + 1;
        let last = self.append(&[base]).await?;
        for old in self.first_needed..from {
            let path = self.directory.join(&segment_name(old));
            match self.fs.delete(&path, false).await {
                Err(error) if !error.is_not_found() => {
                    tracing::debug!(%path, %error, "old journal segments stay");
                    break;
                }
                _ => self.first_needed = old + 1,
            }
        }
        Ok(last)
    }

    /// Removes what earlier attempts have left. To be called once this attempt has its own first record safe, which
    /// must hold all that is still needed of theirs. A failure is only logged: it costs room.
    pub async fn remove_earlier(&mut self) {
        let Some(base) = self.directory.parent() else {
            return;
        };
        let found = match attempts(self.fs.as_ref(), &base).await {
            Ok(found) => found,
            Err(error) => return tracing::debug!(%error, "journals of earlier attempts are not looked for"),
        };
        for earlier in found.into_iter().filter(|&earlier| earlier < self.attempt) {
            for name in [sealed_name(earlier), open_name(earlier)] {
                let path = base.join(&name);
                if let Err(error) = self.fs.delete(&path, true).await {
                    tracing::debug!(%path, %error, "the journal of an earlier attempt stays");
                }
            }
        }
    }

    /// Tries to have a batch safe until that succeeds or there is no point.
    async fn keep(&mut self, body: &Bytes) -> Result<(), JournalError> {
        let end = Instant::now() + self.patience.budget;
        let mut pause = self.patience.first_pause;
        let mut written = false;
        loop {
            let Err(error) = self.try_keep(body, &mut written).await else {
                return Ok(());
            };
            if let DfsError::Fenced { detail, .. } = error {
                return Err(JournalError::Fenced(detail));
            }
            if Instant::now() + pause > end {
                return Err(JournalError::GaveUp {
                    budget: self.patience.budget,
                    last: error,
                });
            }
            tracing::warn!(segment = self.segment, %error, "the journal could not be flushed; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.patience.longest_pause);
        }
    }

    /// One try. After a passing error of the NameNode the same writer goes on, and what it has taken is not written
    /// twice; after anything else a new segment begins with the whole batch.
    async fn try_keep(&mut self, body: &Bytes, written: &mut bool) -> Result<(), DfsError> {
        if self.open.is_none() {
            *written = false;
            self.open = Some(self.begin_segment().await?);
        }
        let Some(writer) = self.open.as_mut() else {
            return Ok(());
        };
        let kept = async {
            if !*written {
                writer.write(body.clone()).await?;
                *written = true;
            }
            writer.sync().await
        };
        let kept = kept.await;
        match &kept {
            Ok(()) => {
                self.written += body.len() as u64;
                let path = self.directory.join(&segment_name(self.segment));
                return check_place(self.fs.as_ref(), &path).await;
            }
            Err(error) if *written && may_go_on(error) => {}
            Err(_) => self.open = None,
        }
        kept
    }

    async fn begin_segment(&mut self) -> Result<Box<dyn FileWriter>, DfsError> {
        self.segment += 1;
        let path = self.directory.join(&segment_name(self.segment));
        let options = CreateOptions {
            permission: 0o600,
            overwrite: Overwrite::No,
            create_parents: false,
            ..CreateOptions::default()
        };
        let mut writer = self.fs.create(&path, &options).await.map_err(fenced_if_taken)?;
        let mut header = BytesMut::new();
        write_header(self.attempt, self.segment, &mut header);
        writer.write(header.freeze()).await?;
        Ok(writer)
    }
}

/// Whether a directory is there in which nothing is.
async fn is_empty(fs: &dyn FileSystem, directory: &DfsPath) -> Result<bool, DfsError> {
    match fs.list(directory, false).try_next().await {
        Ok(first) => Ok(first.is_none()),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Local files know no leases: whether another attempt has taken over shows in the directory's name only.
async fn check_place(fs: &dyn FileSystem, path: &DfsPath) -> Result<(), DfsError> {
    if !is_local(path) {
        return Ok(());
    }
    fs.status(path).await.map(|_| ()).map_err(fenced_if_taken)
}

/// The same writer can be asked to flush again (`FileWriter::sync`).
fn may_go_on(error: &DfsError) -> bool {
    error.is_transient() && !matches!(error, DfsError::Timeout { .. })
}

/// A directory that is gone was renamed by a later attempt; a segment that is there was made by another process.
fn fenced_if_taken(error: DfsError) -> DfsError {
    let detail = error.to_string();
    match error {
        DfsError::NotFound { path } | DfsError::AlreadyExists { path } => DfsError::Fenced { path, detail },
        other => other,
    }
}
