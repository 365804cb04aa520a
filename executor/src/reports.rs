//! The bulk of reports: what attempts gave back, counted and said last, kept until the ApplicationMaster has it safe.
//!
//! Nobody acknowledges reports while the ApplicationMaster is replaced, or while its journal cannot be written. Of all
//! of them together [`IN_MEMORY`] bytes stay in memory; what comes on top is a file each in [`DIRECTORY`] of the
//! container, which is read when its turn comes to be sent and goes with the acknowledgement. The attempt's own thread
//! writes it, before the attempt is over: a slow disk slows tasks down, and no heartbeat. YARN removes the container's
//! directory with the container, so nothing is left of an executor that is killed.
//!
//! Without room on the disk a result cannot be kept: then the attempt has failed, which counts, in words that say so
//! ([`FailureCause::OutputFailed`]). Of attempts that give nothing back only counters and the end of the standard error
//! are lost, and what they came to stays.
//!
//! Invariant J: reports below [`SMALL`] are not looked at, their number is bounded by that of the attempts that an
//! executor may hold.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;
use wire::failure::{FailureCause, TaskFailure};
use wire::frame::{self, Decoder};
use wire::id::{BootNonce, Epoch, TaskAttemptId};
use wire::message::{Envelope, ExecutorMessage, TaskReport};
use wire::task::TaskResult;

use crate::session::TaskEnd;

/// How much of all reports may be in memory, in bytes.
pub(crate) const IN_MEMORY: u64 = 4 << 20;
/// Reports with less are not looked at, in bytes.
const SMALL: u64 = 1 << 10;
/// Where the others are, in the container's directory.
const DIRECTORY: &str = ".drawloom-reports";

/// Where the bulk of a report is.
#[derive(Debug, Default)]
pub(crate) enum Kept {
    /// It has none worth mentioning.
    #[default]
    Small,
    /// In the report, with this much of the room in memory.
    Memory { _room: Room },
    /// In a file.
    OnDisk(Arc<Stored>),
}

/// Room in memory, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    used: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A report in a file, which goes when this is dropped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    path: PathBuf,
    /// About how long it is.
    pub(crate) bytes: u64,
    /// Whether a result is in it.
    has_result: bool,
}

impl Stored {
    /// What an attempt of this outcome came to whose file cannot be read any more.
    pub(crate) fn outcome_without(
        &self,
        outcome: Result<(), TaskFailure>,
        message: String,
    ) -> Result<(), TaskFailure> {
        if self.has_result {
            return Err(without_result(self.path.display().to_string(), message));
        }
        outcome
    }

    /// The report, with a sequence number that means nothing. Blocks.
    ///
    /// # Errors
    /// A text for people when the disk does not give it back.
    pub(crate) fn read(&self) -> Result<TaskReport, String> {
        let unread = |error: &dyn std::fmt::Display| {
            let path = self.path.display();
            format!("its report was kept in {path}, which cannot be read: {error}")
        };
        let mut decoder = Decoder::default();
        decoder.feed(&fs::read(&self.path).map_err(|error| unread(&error))?);
        match decoder.next_frame::<ExecutorMessage>() {
            Ok(Some(Envelope {
                message: ExecutorMessage::TaskFinished(report),
                ..
            })) => Ok(*report),
            Err(error) => Err(unread(&error)),
            Ok(_) => Err(unread(&"it is not whole")),
        }
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "a report stays on the disk");
        }
    }
}

/// The reports of an executor.
#[derive(Debug)]
pub(crate) struct Reports {
    directory: PathBuf,
    used: Arc<AtomicU64>,
    stored: AtomicU64,
}

impl Reports {
    /// None yet; files go below the container's directory.
    pub(crate) fn new(container: &Path) -> Self {
        Self {
            directory: container.join(DIRECTORY),
            used: Arc::default(),
            stored: AtomicU64::new(0),
        }
    }

    /// Whether [`Reports::keep`] has nothing to do.
    pub(crate) fn is_small(end: &TaskEnd) -> bool {
        bulk(end) <= SMALL
    }

    /// Finds room for the report of an attempt. May block.
    pub(crate) fn keep(&self, id: TaskAttemptId, mut end: TaskEnd) -> TaskEnd {
        if Self::is_small(&end) {
            return end;
        }
        let bytes = bulk(&end);
        if let Some(room) = self.reserve(bytes) {
            end.kept = Kept::Memory { _room: room };
            return end;
        }
        match self.store(id, &end, bytes) {
            Ok(stored) => {
                strip(&mut end);
                end.kept = Kept::OnDisk(Arc::new(stored));
                end
            }
            Err(error) => {
                let message = format!(
                    "what it gave back cannot be kept on this node's disk until the ApplicationMaster takes it: {error}"
                );
                tracing::warn!(%id, message, "the bulk of a report is lost");
                lost(end, self.directory.display().to_string(), message)
            }
        }
    }

    fn reserve(&self, bytes: u64) -> Option<Room> {
        let fits = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= IN_MEMORY);
        let reserved = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        reserved.ok().map(|_| Room {
            used: Arc::clone(&self.used),
            bytes,
        })
    }

    fn store(&self, id: TaskAttemptId, end: &TaskEnd, bytes: u64) -> io::Result<Stored> {
        let report = TaskReport {
            sequence: 0,
            id,
            metrics: end.metrics,
            outcome: end.outcome.clone(),
            result: end.result.clone(),
            counters: end.counters.clone(),
        };
        let mut encoded = BytesMut::new();
        let envelope = Envelope {
            epoch: Epoch(0),
            boot: BootNonce(0),
            message: ExecutorMessage::TaskFinished(Box::new(report)),
        };
        frame::encode(envelope, &mut encoded).map_err(io::Error::other)?;
        fs::create_dir_all(&self.directory)?;
        let number = self.stored.fetch_add(1, Ordering::Relaxed);
        // Removed again if it cannot be written.
        let stored = Stored {
            path: self.directory.join(number.to_string()),
            bytes,
            has_result: end.result.is_some(),
        };
        File::create_new(&stored.path)?.write_all(&encoded)?;
        Ok(stored)
    }
}

/// About how long that of a report is which may be long, in bytes.
fn bulk(end: &TaskEnd) -> u64 {
    let result = match &end.result {
        Some(TaskResult::Inline(bytes)) => bytes.len() as u64,
        Some(TaskResult::Stored { .. }) | None => 0,
    };
    let counters = end.counters.iter();
    let counters: usize = counters
        .map(|counter| counter.group.len() + counter.name.len() + size_of_val(counter))
        .sum();
    let tail = end
        .outcome
        .as_ref()
        .err()
        .map_or(0, |failure| failure.stderr_tail.len());
    result + counters as u64 + tail as u64
}

/// Leaves what an attempt came to.
fn strip(end: &mut TaskEnd) {
    end.result = None;
    end.counters = Vec::new();
    if let Err(failure) = &mut end.outcome {
        failure.stderr_tail = String::new();
    }
}

/// The end of an attempt whose bulk is lost: without what it gave back it has not succeeded.
fn lost(mut end: TaskEnd, path: String, message: String) -> TaskEnd {
    if end.result.is_some() {
        end.outcome = Err(without_result(path, message));
    }
    strip(&mut end);
    end
}

fn without_result(path: String, message: String) -> TaskFailure {
    TaskFailure::new(FailureCause::OutputFailed { path, message })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use wire::id::StageKey;
    use wire::task::{Counter, TaskMetrics};

    use super::*;

    const ID: TaskAttemptId = TaskAttemptId {
        stage: StageKey {
            job: 0,
            stage: 1,
            stage_attempt: 0,
        },
        partition: 2,
        attempt: 3,
    };

    fn gave_back(bytes: usize) -> TaskEnd {
        TaskEnd {
            result: Some(TaskResult::Inline(Bytes::from(vec![b'7'; bytes]))),
            counters: vec![Counter {
                group: "g".to_owned(),
                name: "n".to_owned(),
                value: 5,
            }],
            ..TaskEnd::new(TaskMetrics::default(), Ok(()))
        }
    }

    fn files(reports: &Reports) -> usize {
        fs::read_dir(&reports.directory).map_or(0, Iterator::count)
    }

    #[test]
    fn what_is_above_the_room_in_memory_is_in_files_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let reports = Reports::new(directory.path());
        let all: Vec<_> = (0..7).map(|_| reports.keep(ID, gave_back(1 << 20))).collect();
        assert_eq!(files(&reports), 4, "counters need room, too");
        assert!(reports.used.load(Ordering::Relaxed) <= IN_MEMORY);
        let Kept::OnDisk(stored) = &all[6].kept else {
            panic!("the last one is on the disk: {:?}", all[6].kept);
        };
        assert_eq!((&all[6].result, all[6].counters.len()), (&None, 0));
        let (read, whole) = (stored.read().unwrap(), gave_back(1 << 20));
        assert_eq!((read.id, read.outcome), (ID, Ok(())));
        assert_eq!((read.result, read.counters), (whole.result, whole.counters));
        drop(all);
        assert_eq!((files(&reports), reports.used.load(Ordering::Relaxed)), (0, 0));
        let small = reports.keep(ID, gave_back(100));
        assert!(matches!(small.kept, Kept::Small) && small.result.is_some());
    }

    #[test]
    fn without_room_on_the_disk_a_result_is_a_failure_that_says_so_and_counts() {
        let directory = tempfile::tempdir().unwrap();
        let reports = Reports::new(directory.path());
        // No directory can be made there.
        fs::write(&reports.directory, "").unwrap();
        let _full = reports.reserve(IN_MEMORY);
        let end = reports.keep(ID, gave_back(1 << 20));
        let failure = end.outcome.unwrap_err();
        assert!(failure.counts_for_task());
        assert!(
            failure.to_string().contains("cannot be kept on this node's disk"),
            "{failure}"
        );
        assert_eq!((end.result, end.counters.len()), (None, 0));
        let mut of_command = gave_back(0);
        of_command.result = None;
        of_command.counters = vec![of_command.counters[0].clone(); 100];
        let end = reports.keep(ID, of_command);
        assert_eq!(
            (end.outcome, end.counters.len()),
            (Ok(()), 0),
            "its output is in place"
        );
    }

    #[test]
    fn a_file_that_is_gone_or_torn_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let reports = Reports::new(directory.path());
        let stored = reports.store(ID, &gave_back(10), 10).unwrap();
        let whole = fs::read(&stored.path).unwrap();
        fs::write(&stored.path, &whole[..whole.len() - 1]).unwrap();
        assert!(stored.read().unwrap_err().contains("not whole"));
        fs::remove_file(&stored.path).unwrap();
        assert!(stored.read().unwrap_err().contains("cannot be read"));
    }
}
