//! Reading local files by positioned reads on the pool for blocking work.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};

use super::run_blocking;
use crate::error::DfsError;
use crate::fs::{ByteStream, FileReader};
use crate::path::DfsPath;

/// Bytes of one read, and so the memory one reading stream holds.
const CHUNK: u64 = 1 << 20;

/// An open local file. Each stream opens the file anew, so streams do not disturb each other.
#[derive(Debug)]
pub(super) struct LocalReader {
    path: DfsPath,
    native: PathBuf,
    len: u64,
}

impl LocalReader {
    pub(super) fn new(path: DfsPath, native: PathBuf, len: u64) -> Self {
        Self { path, native, len }
    }
}

impl FileReader for LocalReader {
    fn path(&self) -> &DfsPath {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, offset: u64, len: u64) -> ByteStream {
        let end = offset.saturating_add(len).min(self.len);
        let position = Position {
            path: self.path.clone(),
            native: self.native.clone(),
            file: None,
            at: offset,
            end,
        };
        stream::try_unfold(position, |position| async move { position.step().await }).boxed()
    }
}

struct Position {
    path: DfsPath,
    native: PathBuf,
    file: Option<Arc<File>>,
    at: u64,
    end: u64,
}

impl Position {
    async fn step(mut self) -> Result<Option<(Bytes, Self)>, DfsError> {
        if self.at >= self.end {
            return Ok(None);
        }
        let (file, chunk) = self
            .read_chunk()
            .await
            .map_err(|error| DfsError::from_io(&self.path, &error))?;
        if chunk.is_empty() {
            return Err(DfsError::other(
                &self.path,
                "UnexpectedEof",
                "the file became shorter while it was read",
            ));
        }
        self.at += chunk.len() as u64;
        self.file = Some(file);
        Ok(Some((chunk, self)))
    }

    async fn read_chunk(&mut self) -> io::Result<(Arc<File>, Bytes)> {
        let (native, open, at) = (self.native.clone(), self.file.take(), self.at);
        let wanted = usize::try_from((self.end - self.at).min(CHUNK)).unwrap_or(usize::MAX);
        run_blocking(move || {
            let file = match open {
                Some(file) => file,
                None => Arc::new(File::open(native)?),
            };
            let mut buffer = BytesMut::zeroed(wanted);
            let read = file.read_at(&mut buffer, at)?;
            buffer.truncate(read);
            Ok((file, buffer.freeze()))
        })
        .await
    }
}
