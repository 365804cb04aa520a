//! Reading the pipes that a task writes into.
//!
//! A pipe holds more than most commands ever say. So nobody looks at it before the command has ended or a moment has
//! passed, and the runtime watches it only once it was found empty and open: that, and being woken when the command
//! closes it, are a good part of what a short command costs.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::BytesMut;
use rustix::io::Errno;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How much is read at a time, and what a pipe is made to hold, in bytes.
pub(crate) const CHUNK: usize = 128 << 10;

/// How much is read at a time before the pipe is watched, and the first time after, in bytes.
const FIRST: usize = 4 << 10;

/// A pipe is at its end when nobody holds its other end. A process that we could not find may hold it for ever, so
/// when all processes of the task are gone as far as we know, silence for this long is the end as well.
const DRAIN_LIMIT: Duration = Duration::from_secs(3);

/// The reading end of a task's pipe.
#[derive(Debug)]
pub(crate) struct PipeReader {
    /// Until it is watched.
    unwatched: Option<OwnedFd>,
    watched: Option<pipe::Receiver>,
    /// How long nobody looks.
    patience: Duration,
    /// What to make room for.
    chunk: usize,
    exited: watch::Receiver<bool>,
    ended: watch::Receiver<bool>,
}

impl PipeReader {
    /// Reads from `pipe`. Nobody looks at it for `patience` unless `exited` becomes true, when the command's first
    /// process is gone; `ended` does when all of them are.
    ///
    /// # Errors
    /// Those of making a descriptor that does not block.
    pub(crate) fn new(
        pipe: OwnedFd,
        patience: Duration,
        exited: watch::Receiver<bool>,
        ended: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self {
            unwatched: Some(pipe),
            watched: None,
            patience,
            chunk: FIRST,
            exited,
            ended,
        })
    }

    /// Appends what there is, about [`CHUNK`] bytes at most; 0 at the end. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// Those of reading a pipe, and of watching one.
    pub(crate) async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        if self.unwatched.is_some() {
            self.wait_a_moment().await;
            if let Some(read) = self.look(buffer)? {
                return Ok(read);
            }
        }
        let Some(pipe) = &mut self.watched else {
            return Ok(0);
        };
        if buffer.capacity() - buffer.len() < self.chunk / 4 {
            buffer.reserve(self.chunk);
        }
        let read = tokio::select! {
            biased;
            read = pipe.read_buf(buffer) => read,
            () = abandoned(&mut self.ended) => Ok(0),
        };
        if self.chunk == FIRST && matches!(read, Ok(read) if read >= FIRST / 2) {
            self.chunk = CHUNK;
            // A larger pipe saves switches between the two sides; the system may refuse it, which does no harm.
            let _ = rustix::pipe::fcntl_setpipe_size(pipe, CHUNK);
        }
        read
    }

    async fn wait_a_moment(&mut self) {
        if !self.patience.is_zero() {
            // The sender goes away with the attempt itself.
            drop(timeout(self.patience, self.exited.wait_for(|exited| *exited)).await);
            self.patience = Duration::ZERO;
        }
    }

    /// Takes a little of what is there; nothing when the pipe is empty and open. Then, and when there is more, it is
    /// watched from now on.
    fn look(&mut self, buffer: &mut BytesMut) -> io::Result<Option<usize>> {
        let Some(pipe) = self.unwatched.take() else {
            return Ok(None);
        };
        let mut bytes = [0; FIRST];
        let read = match rustix::io::read(&pipe, &mut bytes) {
            Ok(read) => Some(read),
            Err(Errno::AGAIN) => None,
            Err(error) => return Err(error.into()),
        };
        buffer.extend_from_slice(&bytes[..read.unwrap_or(0)]);
        match read {
            Some(read) if read < FIRST => self.unwatched = Some(pipe),
            _ => self.watched = Some(pipe::Receiver::from_owned_fd(pipe)?),
        }
        Ok(read)
    }
}

async fn abandoned(ended: &mut watch::Receiver<bool>) {
    // The sender goes away with the attempt itself, which means the same.
    drop(ended.wait_for(|ended| *ended).await);
    sleep(DRAIN_LIMIT).await;
}
