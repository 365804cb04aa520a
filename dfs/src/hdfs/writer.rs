//! Writing files of HDFS.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{Either, select};
use hdfs_native::file::FileWriter as NativeWriter;
use hdfs_native::{Client, HdfsError};

use super::error::{convert, convert_for_writer, is_broken_pipeline};
use crate::contain::{Failure, within};
use crate::error::DfsError;
use crate::fs::{Deadlines, FileWriter};
use crate::path::DfsPath;

/// Most bytes handed to the crate under one deadline.
const CHUNK: usize = 1 << 20;

/// First and longest pause between looks whether the NameNode knows the last block.
const FIRST_LOOK: Duration = Duration::from_millis(4);
const LONGEST_LOOK: Duration = Duration::from_millis(64);

/// How long the second call of "complete" may take before it is repeated; doubled each time.
const FIRST_PATIENCE: Duration = Duration::from_millis(16);

/// How long a broken writer waits to hear whether it was fenced.
const OWNER_DEADLINE: Duration = Duration::from_secs(1);

/// Pause between two calls of lease recovery.
const RECOVERY_PAUSE: Duration = Duration::from_millis(250);

/// An open file. `lost` is set from the first failure on.
pub(super) struct HdfsWriter {
    path: DfsPath,
    native: NativeWriter,
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
            native,
            client,
            deadlines,
            written: 0,
            synced: 0,
            lost: None,
        }
    }

    /// Refuses further work after a failure. Once fenced, always fenced.
    fn check(&self) -> Result<(), DfsError> {
        match &self.lost {
            None => Ok(()),
            Some(fenced @ DfsError::Fenced { .. }) => Err(fenced.clone()),
            Some(cause) => Err(DfsError::WriterLost {
                path: self.path.to_string(),
                detail: cause.to_string(),
            }),
        }
    }

    fn failed(&self, what: &'static str, after: Duration, failure: Failure<HdfsError>) -> DfsError {
        failure.into_error(what, &self.path, after, convert_for_writer)
    }

    /// Ends the writer after a failure. A broken pipeline is also what a writer sees whose file another client has
    /// taken over, so the NameNode is asked which it was.
    async fn lose(&mut self, mut error: DfsError) -> DfsError {
        if is_broken_pipeline(&error)
            && let Some(fenced) = self.ask_owner().await
        {
            error = fenced;
        }
        self.lost = Some(error.clone());
        error
    }

    /// [`DfsError::Fenced`] when another client owns the file now. Closing a writer without a pipeline gives up its
    /// block first and then puts the question to the NameNode, hence two calls.
    async fn ask_owner(&mut self) -> Option<DfsError> {
        for _ in 0..2 {
            let asked = within(OWNER_DEADLINE, Box::pin(self.native.close())).await;
            let Err(Failure::Call(error)) = asked else { break };
            let error = convert_for_writer(&self.path, error);
            if matches!(error, DfsError::Fenced { .. }) {
                return Some(error);
            }
        }
        None
    }

    async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), DfsError> {
        let (after, len) = (self.deadlines.write, chunk.len() as u64);
        match within(after, Box::pin(self.native.write_bytes(chunk))).await {
            Ok(_) => {
                self.written += len;
                Ok(())
            }
            Err(failure) => Err(self.lose(self.failed("writing", after, failure)).await),
        }
    }

    async fn finish(&mut self) -> Result<(), HdfsError> {
        match self.complete().await {
            Ok(()) => Ok(()),
            Err(Incomplete::Unclear(error) | Incomplete::Refused(error @ HdfsError::OperationFailed(_))) => {
                self.settle(error).await
            }
            Err(Incomplete::Refused(error)) => Err(error),
        }
    }

    /// Closes, and repeats the crate's "complete" call as soon as it can succeed: the crate itself pauses 500 ms when
    /// the NameNode had not yet heard of the last block from its DataNode. Once the NameNode shows the full length
    /// it has our commit, and closing again only repeats the question whether the block is there.
    async fn complete(&mut self) -> Result<(), Incomplete> {
        let closing = Box::pin(self.native.close());
        if self.synced == self.written {
            // The length is known already and says nothing.
            return closing.await.map_err(Incomplete::Refused);
        }
        let committed = Box::pin(committed(&self.client, &self.path, self.written));
        match select(closing, committed).await {
            Either::Left((closed, _)) => return closed.map_err(Incomplete::Refused),
            Either::Right((false, closing)) => return closing.await.map_err(Incomplete::Refused),
            Either::Right((true, given_up)) => drop(given_up),
        }
        self.ask_until_closed().await
    }

    /// Repeats the question whether the last block is there. The answer to a call given up may have been "closed";
    /// then the next one is refused.
    async fn ask_until_closed(&mut self) -> Result<(), Incomplete> {
        let mut patience = FIRST_PATIENCE;
        loop {
            match tokio::time::timeout(patience, Box::pin(self.native.close())).await {
                Ok(closed) => return closed.map_err(Incomplete::Unclear),
                Err(_) => patience *= 2,
            }
        }
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
}

/// Why a file is not known to be closed.
enum Incomplete {
    /// The NameNode or the pipeline said so.
    Refused(HdfsError),
    /// A call was repeated whose first answer was not awaited.
    Unclear(HdfsError),
}

/// Waits until the NameNode shows `len` bytes at `path`; `false` when it cannot be asked.
async fn committed(client: &Client, path: &DfsPath, len: u64) -> bool {
    let mut pause = FIRST_LOOK;
    loop {
        tokio::time::sleep(pause).await;
        match client.get_file_info(path.path()).await {
            Ok(status) if status.length as u64 == len => break,
            Ok(_) => pause = (pause * 2).min(LONGEST_LOOK),
            Err(_) => return false,
        }
    }
    tokio::time::sleep(FIRST_LOOK).await;
    true
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
        self.check()?;
        while !data.is_empty() {
            let chunk = data.split_to(data.len().min(CHUNK));
            self.write_chunk(chunk).await?;
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), DfsError> {
        self.check()?;
        let after = self.deadlines.sync;
        let Err(failure) = within(after, Box::pin(self.native.hsync())).await else {
            self.synced = self.written;
            return Ok(());
        };
        let answered = matches!(failure, Failure::Call(_));
        let error = self.failed("flush", after, failure);
        if answered && error.is_transient() {
            return Err(error);
        }
        Err(self.lose(error).await)
    }

    async fn close(mut self: Box<Self>) -> Result<u64, DfsError> {
        self.check()?;
        let after = self.deadlines.close;
        match within(after, Box::pin(self.finish())).await {
            Ok(()) => Ok(self.written),
            Err(failure) => Err(self.lose(self.failed("closing", after, failure)).await),
        }
    }

    async fn abort(mut self: Box<Self>) -> Result<(), DfsError> {
        let somebody_elses = match &self.lost {
            None => false,
            Some(DfsError::Fenced { .. }) => true,
            // It may have been fenced without knowing.
            Some(_) => self.ask_owner().await.is_some(),
        };
        if somebody_elses {
            return Ok(());
        }
        let after = self.deadlines.metadata;
        let deleted = within(after, self.client.delete(self.path.path(), false)).await;
        deleted
            .map(|_| ())
            .map_err(|failure| failure.into_error("deleting", &self.path, after, convert))
    }
}
