//! Writing files of HDFS.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{Either, select};
use hdfs_native::file::FileWriter as NativeWriter;
use hdfs_native::{Client, HdfsError};

use super::error::{convert, convert_for_writer};
use crate::contain::{Failure, within};
use crate::error::DfsError;
use crate::fs::{Deadlines, FileWriter};
use crate::path::DfsPath;

/// Most bytes handed to the crate under one deadline.
const CHUNK: usize = 1 << 20;

/// First and longest pause between looks whether the NameNode knows the last block.
const FIRST_LOOK: Duration = Duration::from_millis(4);
const LONGEST_LOOK: Duration = Duration::from_millis(64);

/// Pause between two calls of lease recovery.
const RECOVERY_PAUSE: Duration = Duration::from_millis(250);

/// An open file. `native` is there until the writer is lost.
pub(super) struct HdfsWriter {
    path: DfsPath,
    native: Option<NativeWriter>,
    client: Client,
    deadlines: Deadlines,
    written: u64,
    synced: u64,
    lost: Option<DfsError>,
}

impl fmt::Debug for HdfsWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("HdfsWriter");
        shown
            .field("path", &self.path)
            .field("written", &self.written)
            .field("lost", &self.lost);
        shown.finish_non_exhaustive()
    }
}

impl HdfsWriter {
    pub(super) fn new(path: DfsPath, native: NativeWriter, client: Client, deadlines: Deadlines) -> Self {
        Self {
            path,
            native: Some(native),
            client,
            deadlines,
            written: 0,
            synced: 0,
            lost: None,
        }
    }

    /// What to say when the writer is gone: once fenced, always fenced.
    fn gone(&self) -> DfsError {
        match &self.lost {
            Some(fenced @ DfsError::Fenced { .. }) => fenced.clone(),
            cause => {
                let detail = cause
                    .as_ref()
                    .map_or_else(|| "it is closed".to_owned(), ToString::to_string);
                DfsError::WriterLost {
                    path: self.path.to_string(),
                    detail,
                }
            }
        }
    }

    /// Ends the writer. Dropping the crate's writer also ends the renewal of its lease.
    fn lose(&mut self, error: DfsError) -> DfsError {
        self.native = None;
        self.lost = Some(error.clone());
        error
    }

    fn failed(&self, what: &'static str, after: Duration, failure: Failure<HdfsError>) -> DfsError {
        failure.into_error(what, &self.path, after, convert_for_writer)
    }

    async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), DfsError> {
        let after = self.deadlines.write;
        let Some(native) = self.native.as_mut() else {
            return Err(self.gone());
        };
        let len = chunk.len() as u64;
        match within(after, Box::pin(native.write_bytes(chunk))).await {
            Ok(_) => {
                self.written += len;
                Ok(())
            }
            Err(failure) => {
                let error = self.failed("writing", after, failure);
                Err(self.lose(error))
            }
        }
    }

    /// Closes, and repeats the crate's "complete" call as soon as it can succeed: the crate itself pauses 500 ms when
    /// the NameNode had not yet heard of the last block from its DataNode. Once the NameNode shows the full length
    /// it has our commit, and closing again only repeats the question whether the block is there.
    async fn complete(&self, native: &mut NativeWriter) -> Result<(), Incomplete> {
        if self.synced == self.written {
            // The length is known already and says nothing.
            return Box::pin(native.close()).await.map_err(Incomplete::Refused);
        }
        let answer = {
            let closing = Box::pin(native.close());
            match select(closing, Box::pin(self.committed())).await {
                Either::Left((closed, _)) => Some(closed),
                Either::Right((false, closing)) => Some(closing.await),
                Either::Right((true, _)) => None,
            }
        };
        match answer {
            Some(closed) => closed.map_err(Incomplete::Refused),
            // The answer to the call given up here may have been "closed", then this one is refused.
            None => Box::pin(native.close()).await.map_err(Incomplete::Unclear),
        }
    }

    /// Waits until the NameNode shows the full length; `false` when it cannot be asked.
    async fn committed(&self) -> bool {
        let mut pause = FIRST_LOOK;
        loop {
            tokio::time::sleep(pause).await;
            match self.client.get_file_info(self.path.path()).await {
                Ok(status) if status.length as u64 == self.written => break,
                Ok(_) => pause = (pause * 2).min(LONGEST_LOOK),
                Err(_) => return false,
            }
        }
        tokio::time::sleep(FIRST_LOOK).await;
        true
    }

    /// Has the NameNode close the file, and looks whether all bytes are there.
    async fn settle(&self, refused: HdfsError) -> Result<(), HdfsError> {
        loop {
            match self.client.recover_lease(self.path.path()).await {
                Ok(true) => break,
                // "Committed blocks are waiting to be minimally replicated" comes as this one.
                Ok(false) | Err(HdfsError::AlreadyExists(_)) => tokio::time::sleep(RECOVERY_PAUSE).await,
                Err(_) => return Err(refused),
            }
        }
        let status = self.client.get_file_info(self.path.path()).await?;
        if status.length as u64 == self.written {
            Ok(())
        } else {
            Err(refused)
        }
    }

    async fn finish(&self, native: &mut NativeWriter) -> Result<(), HdfsError> {
        match self.complete(native).await {
            Ok(()) => Ok(()),
            Err(Incomplete::Unclear(error) | Incomplete::Refused(error @ HdfsError::OperationFailed(_))) => {
                self.settle(error).await
            }
            Err(Incomplete::Refused(error)) => Err(error),
        }
    }
}

/// Why a file is not known to be closed.
enum Incomplete {
    /// The NameNode or the pipeline said so.
    Refused(HdfsError),
    /// A call was repeated whose first answer was not awaited.
    Unclear(HdfsError),
}

#[async_trait]
impl FileWriter for HdfsWriter {
    fn path(&self) -> &DfsPath {
        &self.path
    }

    fn written(&self) -> u64 {
        self.written
    }

    async fn write(&mut self, mut data: Bytes) -> Result<(), DfsError> {
        while !data.is_empty() {
            let chunk = data.split_to(data.len().min(CHUNK));
            self.write_chunk(chunk).await?;
        }
        if self.native.is_some() {
            Ok(())
        } else {
            Err(self.gone())
        }
    }

    async fn sync(&mut self) -> Result<(), DfsError> {
        let after = self.deadlines.sync;
        let Some(native) = self.native.as_mut() else {
            return Err(self.gone());
        };
        let failure = match within(after, Box::pin(native.hsync())).await {
            Ok(()) => {
                self.synced = self.written;
                return Ok(());
            }
            Err(failure) => failure,
        };
        let answered = matches!(failure, Failure::Call(_));
        let error = self.failed("flush", after, failure);
        if answered && error.is_transient() {
            return Err(error);
        }
        Err(self.lose(error))
    }

    async fn close(mut self: Box<Self>) -> Result<u64, DfsError> {
        let after = self.deadlines.close;
        let Some(mut native) = self.native.take() else {
            return Err(self.gone());
        };
        let closed = within(after, Box::pin(self.finish(&mut native))).await;
        closed.map_err(|failure| self.failed("closing", after, failure))?;
        Ok(self.written)
    }

    async fn abort(mut self: Box<Self>) -> Result<(), DfsError> {
        self.native = None;
        if matches!(self.lost, Some(DfsError::Fenced { .. })) {
            return Ok(());
        }
        let after = self.deadlines.metadata;
        let deleted = within(after, self.client.delete(self.path.path(), false)).await;
        deleted
            .map(|_| ())
            .map_err(|failure| failure.into_error("deleting", &self.path, after, convert))
    }
}
