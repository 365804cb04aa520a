//! Reading the pipes that a task writes into.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;

/// How much is read at a time, and what a pipe is made to hold, in bytes.
pub(crate) const CHUNK: usize = 128 << 10;

/// How much is read the first time, in bytes. A task that says less than that costs no more; most say nothing.
const FIRST: usize = 4 << 10;

/// A pipe is at its end when nobody holds its other end. A process that we could not find may hold it for ever, so
/// when all processes of the task are gone as far as we know, silence for this long is the end as well.
const DRAIN_LIMIT: Duration = Duration::from_secs(3);

/// The reading end of a task's pipe.
#[derive(Debug)]
pub(crate) struct PipeReader {
    pipe: pipe::Receiver,
    /// What to make room for.
    chunk: usize,
    ended: watch::Receiver<bool>,
}

impl PipeReader {
    /// Reads from `pipe`; `ended` becomes true when the task's processes are gone.
    ///
    /// # Errors
    /// When the descriptor is no pipe, or outside of a runtime.
    pub(crate) fn new(pipe: OwnedFd, ended: watch::Receiver<bool>) -> io::Result<Self> {
        let pipe = pipe::Receiver::from_owned_fd(pipe)?;
        let chunk = FIRST;
        Ok(Self { pipe, chunk, ended })
    }

    /// Appends what there is, about [`CHUNK`] bytes at most; 0 at the end. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// Those of reading a pipe.
    pub(crate) async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        if buffer.capacity() - buffer.len() < self.chunk / 4 {
            buffer.reserve(self.chunk);
        }
        let read = tokio::select! {
            biased;
            read = self.pipe.read_buf(buffer) => read,
            () = abandoned(&mut self.ended) => Ok(0),
        };
        if self.chunk == FIRST && matches!(read, Ok(read) if read >= FIRST / 2) {
            self.chunk = CHUNK;
            // A larger pipe saves switches between the two sides; the system may refuse it, which does no harm.
            let _ = rustix::pipe::fcntl_setpipe_size(&self.pipe, CHUNK);
        }
        read
    }
}

async fn abandoned(ended: &mut watch::Receiver<bool>) {
    // The sender goes away with the attempt itself, which means the same.
    drop(ended.wait_for(|ended| *ended).await);
    tokio::time::sleep(DRAIN_LIMIT).await;
}
