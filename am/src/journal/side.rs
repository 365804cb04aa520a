//! What functions have given back, in the journal: each result as a record beside the entry of its task, and all of
//! them in one file when a base replaces the records.
//!
//! A result is: its stage and its partition, four bytes each, then 0 and its JSON, or 1, its length in eight bytes and
//! the URI of the file where its executor left it; little-endian. The file, `results-<attempt>-<number>` in the journal's
//! directory, has each after its length in four bytes. It is closed before the base that names it is written, and
//! the one before it is removed after that; so there is one, as large as the results that are not in place yet,
//! which `results.max-size` bounds. It is written and read in pieces: memory does not grow with it (J).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use dfs::{CreateOptions, DfsError, DfsPath, FileSystem};
use futures::TryStreamExt;
use wire::task::TaskResult;

use crate::results::{Results, Snapshot};

/// How much is written at a time, in bytes.
const CHUNK: usize = 1 << 20;

const INLINE: u8 = 0;
const STORED: u8 = 1;

/// What a function gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptResult {
    /// Of which stage.
    pub stage: u32,
    /// Of which task.
    pub partition: u32,
    /// What it was.
    pub result: TaskResult,
}

impl KeptResult {
    pub(super) fn encode(&self, into: &mut BytesMut) {
        into.put_u32_le(self.stage);
        into.put_u32_le(self.partition);
        match &self.result {
            TaskResult::Inline(bytes) => {
                into.put_u8(INLINE);
                into.put_slice(bytes);
            }
            TaskResult::Stored { uri, length } => {
                into.put_u8(STORED);
                into.put_u64_le(*length);
                into.put_slice(uri.as_bytes());
            }
        }
    }

    pub(super) fn decode(mut from: Bytes) -> Result<Self, String> {
        let short = |_| "a result that is too short".to_owned();
        let stage = from.try_get_u32_le().map_err(short)?;
        let partition = from.try_get_u32_le().map_err(short)?;
        let result = match from.try_get_u8().map_err(short)? {
            INLINE => TaskResult::Inline(from),
            STORED => {
                let length = from.try_get_u64_le().map_err(short)?;
                let uri = String::from_utf8(from.into()).map_err(|_| "a place that is no text")?;
                TaskResult::Stored { uri, length }
            }
            kind => return Err(format!("a result of kind {kind}, which this build does not know")),
        };
        Ok(Self {
            stage,
            partition,
            result,
        })
    }
}

/// The name of the file with this number of an attempt.
pub(super) fn file_name(attempt: u32, number: u64) -> String {
    format!("results-{attempt}-{number}")
}

/// The attempt whose file has this name; none when it is no such file.
pub(super) fn attempt_of(name: &str) -> Option<u32> {
    let (attempt, _) = name.strip_prefix("results-")?.split_once('-')?;
    attempt.parse().ok()
}

/// Writes a file of all results of a moment.
///
/// # Errors
/// What the file system says, or the disk that the results are on.
pub(super) async fn write(fs: &dyn FileSystem, path: &DfsPath, results: &Snapshot) -> Result<(), DfsError> {
    let mut writer = fs.create(path, &CreateOptions::overwriting()).await?;
    let mut chunk = BytesMut::new();
    for result in results.iter() {
        let result = result.map_err(|error| DfsError::from_io(path, &error))?;
        let start = chunk.len();
        chunk.put_u32_le(0);
        result.encode(&mut chunk);
        let length = u32::try_from(chunk.len() - start - 4).unwrap_or(u32::MAX);
        chunk[start..start + 4].copy_from_slice(&length.to_le_bytes());
        if chunk.len() >= CHUNK {
            writer.write(chunk.split().freeze()).await?;
        }
    }
    writer.write(chunk.freeze()).await?;
    writer.close().await.map(drop)
}

/// Why a file of results cannot be read.
#[derive(Debug)]
pub(super) enum Unread {
    FileSystem(DfsError),
    Damaged(String),
}

/// Reads a file of results.
pub(super) async fn read(fs: &dyn FileSystem, path: &DfsPath, results: &mut Results) -> Result<(), Unread> {
    let reader = fs.open(path).await.map_err(Unread::FileSystem)?;
    let mut stream = reader.read(0, reader.len());
    let mut rest = BytesMut::new();
    while let Some(chunk) = stream.try_next().await.map_err(Unread::FileSystem)? {
        rest.put_slice(&chunk);
        while let Some(result) = split_result(&mut rest) {
            let result = KeptResult::decode(result);
            results.recover(result.map_err(Unread::Damaged)?);
        }
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(Unread::Damaged(format!("{path} ends within a result")))
    }
}

fn split_result(rest: &mut BytesMut) -> Option<Bytes> {
    let mut length = rest.get(..4)?;
    let length = length.get_u32_le() as usize;
    if rest.len() - 4 < length {
        return None;
    }
    rest.advance(4);
    Some(rest.split_to(length).freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hadoop::conf::Configuration;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn any_result() -> impl Strategy<Value = TaskResult> {
        let inline =
            prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| TaskResult::Inline(bytes.into()));
        let stored = ("[a-z:/]{0,20}", any::<u64>());
        prop_oneof![
            inline,
            stored.prop_map(|(uri, length)| TaskResult::Stored { uri, length })
        ]
    }

    fn any_kept() -> impl Strategy<Value = KeptResult> {
        (0..3u32, 0..9u32, any_result()).prop_map(|(stage, partition, result)| KeptResult {
            stage,
            partition,
            result,
        })
    }

    /// What the first version wrote. It must be read for ever.
    #[test]
    fn results_of_the_first_version_are_read() {
        let inline = KeptResult {
            stage: 1,
            partition: 258,
            result: TaskResult::Inline(Bytes::from_static(b"[7]")),
        };
        let stored = KeptResult {
            stage: 0,
            partition: 3,
            result: TaskResult::Stored {
                uri: "file:///a".to_owned(),
                length: 5,
            },
        };
        for (bytes, result) in [
            (&b"\x01\0\0\0\x02\x01\0\0\0[7]"[..], inline),
            (b"\0\0\0\0\x03\0\0\0\x01\x05\0\0\0\0\0\0\0file:///a", stored),
        ] {
            assert_eq!(KeptResult::decode(Bytes::from_static(bytes)), Ok(result.clone()));
            let mut written = BytesMut::new();
            result.encode(&mut written);
            assert_eq!(written, bytes);
        }
        assert!(KeptResult::decode(Bytes::from_static(b"\0\0\0\0\0\0\0\0\x09")).is_err());
    }

    proptest! {
        #[test]
        fn a_file_has_the_last_result_of_every_task(all in prop::collection::vec(any_kept(), 0..40)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let dir = tempfile::tempdir().unwrap();
            let conf = BTreeMap::from([("fs.defaultFS".to_owned(), "file:///".to_owned())]);
            let systems = dfs::FileSystems::builder(&Configuration::from_map(conf), "ada").build().unwrap();
            let path = systems.resolve(&format!("file://{}/results", dir.path().display())).unwrap();
            let fs = systems.get(&path).unwrap();
            let mut results = Results::new(u64::MAX);
            let mut last = BTreeMap::new();
            for kept in all {
                last.insert((kept.stage, kept.partition), kept.result.clone());
                results.recover(kept);
            }
            let mut read_back = Results::new(u64::MAX);
            runtime.block_on(async {
                if let Some(snapshot) = results.snapshot() {
                    write(fs.as_ref(), &path, &snapshot).await.unwrap();
                    read(fs.as_ref(), &path, &mut read_back).await.unwrap();
                }
            });
            let found = read_back.snapshot();
            let found = found.iter().flat_map(Snapshot::iter).map(Result::unwrap);
            let found: BTreeMap<_, _> = found.map(|kept| ((kept.stage, kept.partition), kept.result)).collect();
            prop_assert_eq!(found, last);
        }

        #[test]
        fn damage_is_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = KeptResult::decode(bytes.into());
        }
    }
}
