//! A journal on a file system: records that one process appends and that the next one reads, after the first was
//! lost at any moment.
//!
//! Layout below a base directory, one directory an attempt:
//!
//! ```text
//! journal/a1.sealed/seg-00000001.log    of an attempt that is over
//! journal/a2/seg-00000001.log           of the present one
//! ```
//!
//! A segment is a header and records: `length u32 | CRC-32C u32 | sequence u64 | payload`, little-endian, the checksum
//! over sequence and payload. Sequences rise by one over the whole attempt. A writer that is lost (a DataNode died, a
//! deadline passed) is followed by a new segment that begins with every record not known to be safe, so a record may
//! be there twice; the copies are equal.
//!
//! What keeps two attempts apart: [`recover`] renames the directory of the earlier attempt before it reads, so that
//! its process finds no place for a new segment, and recovers the leases of its segments, so that its next flush is
//! refused. Segments are created and never replaced. Each of these refusals is [`JournalError::Fenced`]. On local
//! files, which have no leases, the writer looks after each flush whether its segment is still in its place.
//!
//! Once a later attempt has safe what it needs of earlier ones it removes their directories
//! ([`JournalWriter::remove_earlier`]).
//!
//! What was measured on HDFS and led to this (a flush that hangs, DataNodes that are not avoided, closing that is
//! slow): nothing waits without a deadline, segments are not closed, and no file is appended to again.

mod record;
mod recovery;
mod writer;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

use std::time::Duration;

use crate::error::DfsError;

pub use record::Record;
pub use recovery::{Recovery, attempts, recover};
pub use writer::{JournalWriter, Patience};

/// Why a journal cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another attempt has taken the journal over: this process must end and touch nothing more.
    #[error("another attempt has taken the journal over: {0}")]
    Fenced(String),
    /// The file system did not take the records for so long.
    #[error("the journal could not be written for {budget:?}: {last}")]
    GaveUp {
        /// How long it was tried.
        budget: Duration,
        /// The last error.
        last: DfsError,
    },
    /// What was read is no journal, or lacks records.
    #[error("the journal {place} is damaged: {problem}")]
    Damaged {
        /// A segment, or a directory.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// HDFS does not hand over a segment: the lease recovery of its last block does not end.
    #[error(
        "the journal segment {path} is not handed over by HDFS after {after:?}: its lease recovery is stuck; \
         `hdfs debug recoverLease -path {path}` and the NameNode's log say more"
    )]
    LeaseStuck {
        /// The segment.
        path: String,
        /// How long was waited.
        after: Duration,
    },
    /// The file system refused.
    #[error(transparent)]
    FileSystem(#[from] DfsError),
}

impl JournalError {
    /// Whether it may pass by itself.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::FileSystem(error) if error.is_transient())
    }

    /// What a person can do about it; none when the message says all.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::GaveUp { last: error, .. } | Self::FileSystem(error) => error.help(),
            _ => None,
        }
    }

    fn damaged(place: &str, problem: impl Into<String>) -> Self {
        Self::Damaged {
            place: place.to_owned(),
            problem: problem.into(),
        }
    }
}

/// The directory of an attempt that writes.
fn open_name(attempt: u32) -> String {
    format!("a{attempt}")
}

/// The directory of an attempt that is over.
fn sealed_name(attempt: u32) -> String {
    format!("a{attempt}.sealed")
}

/// The attempt that a directory belongs to.
fn attempt_of(name: &str) -> Option<u32> {
    let name = name.strip_suffix(".sealed").unwrap_or(name);
    name.strip_prefix('a')?.parse().ok()
}

fn segment_name(number: u32) -> String {
    format!("seg-{number:08}.log")
}
