//! Input from the file system to a task: to its standard input, or into a local file.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dfs::{ByteStream, DfsError, LineSplitReader};
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use wire::failure::FailureCause;
use wire::task::InputSlice;

use crate::storage::Storage;
use crate::task::stream::CHUNK;

fn failed(uri: &str, message: &dyn Display) -> FailureCause {
    FailureCause::InputFailed {
        uri: uri.to_owned(),
        message: message.to_string(),
    }
}

/// All bytes of the inputs in order. While one input is read the next is opened, since opening costs a round trip.
fn contents(
    storage: &Arc<Storage>,
    inputs: &[InputSlice],
) -> impl Stream<Item = Result<Bytes, FailureCause>> + use<> {
    let storage = Arc::clone(storage);
    let opened = stream::iter(inputs.to_vec())
        .map(move |slice| open(Arc::clone(&storage), slice))
        .buffered(2);
    opened
        .map_ok(|(uri, bytes)| bytes.map_err(move |error| failed(&uri, &error)))
        .try_flatten()
}

async fn open(storage: Arc<Storage>, slice: InputSlice) -> Result<(String, ByteStream), FailureCause> {
    let (fs, path) = storage
        .locate(&slice.uri)
        .map_err(|error| failed(&slice.uri, &error))?;
    let reader = fs.open(&path).await.map_err(|error| failed(&slice.uri, &error))?;
    let end = slice.offset.saturating_add(slice.length);
    if reader.len() < end {
        let message = format!(
            "it had {end} bytes when the job was planned and has {} now",
            reader.len()
        );
        return Err(failed(&slice.uri, &message));
    }
    let bytes = if slice.cut_at_lines {
        LineSplitReader::new(reader, slice.offset, slice.length).into_stream()
    } else {
        exactly(reader.read(slice.offset, slice.length), slice.length)
    };
    Ok((slice.uri, bytes))
}

/// A stream that fails when it ends early: a result made of half the input would look like a good one.
fn exactly(bytes: ByteStream, length: u64) -> ByteStream {
    let step = |(mut bytes, left): (ByteStream, u64)| async move {
        match bytes.try_next().await? {
            Some(chunk) => {
                let left = left.saturating_sub(chunk.len() as u64);
                Ok(Some((chunk, (bytes, left))))
            }
            None if left == 0 => Ok(None),
            None => Err(DfsError::Other {
                path: String::new(),
                class: "UnexpectedEof".to_owned(),
                message: format!("{left} bytes are missing at the end"),
            }),
        }
    };
    stream::try_unfold((bytes, length), step).boxed()
}

/// Writes the inputs to a task's standard input and closes it. A task that stops reading has had enough: that is
/// no failure.
///
/// # Errors
/// [`FailureCause::InputFailed`].
pub(crate) async fn to_pipe(
    storage: &Arc<Storage>,
    inputs: &[InputSlice],
    stdin: OwnedFd,
    fed: &AtomicU64,
) -> Result<(), FailureCause> {
    let broken = |error: io::Error| failed("standard input", &error);
    let _ = rustix::pipe::fcntl_setpipe_size(&stdin, CHUNK);
    let mut pipe = pipe::Sender::from_owned_fd(stdin).map_err(broken)?;
    let mut contents = std::pin::pin!(contents(storage, inputs));
    while let Some(chunk) = contents.try_next().await? {
        match pipe.write_all(&chunk).await {
            Ok(()) => drop(fed.fetch_add(chunk.len() as u64, Ordering::Relaxed)),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(broken(error)),
        }
    }
    Ok(())
}

/// Writes the inputs into a new local file.
///
/// # Errors
/// [`FailureCause::InputFailed`].
pub(crate) async fn to_file(
    storage: &Arc<Storage>,
    inputs: &[InputSlice],
    path: &Path,
    fed: &AtomicU64,
) -> Result<(), FailureCause> {
    let broken = |error: io::Error| failed(&path.display().to_string(), &format!("no local copy: {error}"));
    let mut file = File::create(path).map_err(broken)?;
    let mut contents = std::pin::pin!(contents(storage, inputs));
    while let Some(chunk) = contents.try_next().await? {
        file.write_all(&chunk).map_err(broken)?;
        fed.fetch_add(chunk.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}
