//! The one who comes after and reads.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::future::try_join_all;
use tokio::time::Instant;

use super::record::read_segment;
use super::{JournalError, Record, attempt_of, open_name, sealed_name};
use crate::error::DfsError;
use crate::fs::{FileSystem, Overwrite, list_all, read_all};
use crate::path::DfsPath;

/// Pause between two looks whether a lease is recovered.
const PAUSE: Duration = Duration::from_millis(250);
/// A journal directory has few entries; more than this is no journal.
const MOST_ENTRIES: usize = 100_000;
/// The largest segment that is read, in bytes.
const LARGEST: u64 = 2 << 30;

/// What an attempt has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The attempt.
    pub attempt: u32,
    /// Its records in order, none missing from the first one on.
    pub records: Vec<Record>,
    /// Bytes of all its segments.
    pub bytes: u64,
}

/// The attempts that have a directory below `base`, the latest first.
///
/// # Errors
/// What the file system says; a missing `base` is empty.
pub async fn attempts(fs: &dyn FileSystem, base: &DfsPath) -> Result<Vec<u32>, DfsError> {
    let entries = match list_all(fs, base, false, MOST_ENTRIES).await {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut attempts: Vec<_> = entries
        .iter()
        .filter_map(|entry| attempt_of(entry.path.name()))
        .collect();
    attempts.sort_unstable_by(|a, b| b.cmp(a));
    attempts.dedup();
    Ok(attempts)
}

/// Takes over what `attempt` has left: from here on it can write no more. May be repeated, by a later attempt too.
///
/// The leases of all segments are recovered side by side: 0.5 to 3 s as a rule, 13 s after the loss of a node, and
/// it may never end; `limit` bounds it.
///
/// # Errors
/// [`JournalError::LeaseStuck`], [`JournalError::Damaged`], or what the file system says.
pub async fn recover(
    fs: &dyn FileSystem,
    base: &DfsPath,
    attempt: u32,
    limit: Duration,
) -> Result<Recovery, JournalError> {
    let sealed = base.join(&sealed_name(attempt));
    match fs
        .rename(&base.join(&open_name(attempt)), &sealed, Overwrite::No)
        .await
    {
        Ok(()) => {}
        // Sealed before.
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    let mut segments: Vec<_> = list_all(fs, &sealed, false, MOST_ENTRIES)
        .await?
        .into_iter()
        .filter(|entry| !entry.is_dir)
        .map(|entry| entry.path)
        .collect();
    segments.sort_unstable();
    let end = Instant::now() + limit;
    let contents = try_join_all(segments.iter().map(|path| read(fs, path, end, limit))).await?;
    let bytes = contents.iter().map(|content| content.len() as u64).sum();
    let records = merge(&sealed, &segments, &contents)?;
    Ok(Recovery {
        attempt,
        records,
        bytes,
    })
}

async fn read(
    fs: &dyn FileSystem,
    path: &DfsPath,
    end: Instant,
    limit: Duration,
) -> Result<Bytes, JournalError> {
    while !recovered(fs, path).await? {
        if Instant::now() + PAUSE > end {
            return Err(JournalError::LeaseStuck {
                path: path.to_string(),
                after: limit,
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(read_all(fs, path, LARGEST).await?)
}

/// Whether a segment is closed by now; an error that passes by itself counts as not yet.
async fn recovered(fs: &dyn FileSystem, path: &DfsPath) -> Result<bool, DfsError> {
    match fs.recover_lease(path).await {
        Err(error) if error.is_transient() => Ok(false),
        // The NameNode answers so while a committed block waits for its replicas, and while another client recovers.
        Err(DfsError::AlreadyExists { .. }) => Ok(false),
        answer => answer,
    }
}

/// All records once, in order.
fn merge(place: &DfsPath, segments: &[DfsPath], contents: &[Bytes]) -> Result<Vec<Record>, JournalError> {
    let mut records = BTreeMap::new();
    for (path, content) in segments.iter().zip(contents) {
        for record in read_segment(&path.to_string(), content)? {
            records.entry(record.sequence).or_insert(record.payload);
        }
    }
    let first = records.keys().next().copied().unwrap_or_default();
    for (expected, &sequence) in (first..).zip(records.keys()) {
        if sequence != expected {
            let problem = format!("record {expected} is missing, and record {sequence} is there");
            return Err(JournalError::damaged(&place.to_string(), problem));
        }
    }
    let record = |(sequence, payload)| Record { sequence, payload };
    Ok(records.into_iter().map(record).collect())
}
