//! Reading files of HDFS.

use std::fmt;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use hdfs_native::file::FileReader as NativeReader;

use super::contained;
use crate::contain::guarded;
use crate::fs::{ByteStream, FileReader};
use crate::path::DfsPath;

/// An open file: its block locations as of opening.
pub(super) struct HdfsReader {
    path: DfsPath,
    native: NativeReader,
    deadline: Duration,
}

impl HdfsReader {
    pub(super) fn new(path: DfsPath, native: NativeReader, deadline: Duration) -> Self {
        Self {
            path,
            native,
            deadline,
        }
    }
}

impl fmt::Debug for HdfsReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HdfsReader")
            .field("path", &self.path)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl FileReader for HdfsReader {
    fn path(&self) -> &DfsPath {
        &self.path
    }

    fn len(&self) -> u64 {
        self.native.file_length() as u64
    }

    fn read(&self, offset: u64, len: u64) -> ByteStream {
        // Past the end the crate panics.
        let offset = offset.min(self.len());
        let len = len.min(self.len() - offset);
        let (Ok(from), Ok(count)) = (usize::try_from(offset), usize::try_from(len)) else {
            return stream::empty().boxed();
        };
        match guarded(&self.path, || self.native.read_range_stream(from, count).boxed()) {
            Ok(chunks) => contained(chunks, "reading", self.path.clone(), self.deadline),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }
}
