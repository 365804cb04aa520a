//! Reports that nobody has acknowledged, and how they are sent.
//!
//! Those in memory are sent at once, and again on every connection: [`crate::reports`] bounds them. Of those on the
//! disk no more than [`ON_THE_WAY`] bytes are read and not acknowledged at a time, so that neither this process nor the
//! ApplicationMaster has more of them in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wire::id::TaskAttemptId;
use wire::message::{ExecutorMessage, TaskReport};

use super::{Effect, Session, TaskEnd};
use crate::reports::Kept;

/// How much of the reports on the disk may be on its way, in bytes; one more report is begun below it.
const ON_THE_WAY: u64 = 2 << 20;

/// A report, and what keeps its bulk.
#[derive(Debug)]
struct Open {
    report: TaskReport,
    kept: Kept,
}

/// The reports that nobody has acknowledged.
#[derive(Debug, Default)]
pub(super) struct Unacknowledged {
    open: BTreeMap<u64, Open>,
    /// How many of them are on the disk.
    on_disk: usize,
    /// Those on the disk that have not been sent on this connection.
    unsent: BTreeSet<u64>,
    /// Those of the disk that are being read, or are sent, with their bytes.
    on_the_way: BTreeMap<u64, u64>,
}

impl Unacknowledged {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn on_disk(&self) -> usize {
        self.on_disk
    }

    /// Whether some are still to be sent.
    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Attempts whose reports are still to be sent: to the ApplicationMaster they are not over.
    pub(super) fn unsent(&self) -> impl Iterator<Item = TaskAttemptId> + '_ {
        let open = self.unsent.iter().filter_map(|sequence| self.open.get(sequence));
        open.map(|open| open.report.id)
    }

    /// Everything is to be sent again; gives what can be at once.
    pub(super) fn begin_again(&mut self) -> Vec<TaskReport> {
        self.on_the_way.clear();
        let (mut at_once, mut later) = (Vec::new(), BTreeSet::new());
        for (&sequence, open) in &self.open {
            match open.kept {
                Kept::OnDisk(_) => _ = later.insert(sequence),
                Kept::Memory { .. } | Kept::Small => at_once.push(open.report.clone()),
            }
        }
        self.unsent = later;
        at_once
    }

    /// Gives the report back if it can be sent at once.
    fn add(&mut self, report: TaskReport, kept: Kept) -> Option<TaskReport> {
        let sequence = report.sequence;
        let at_once = match kept {
            Kept::OnDisk(_) => {
                self.on_disk += 1;
                self.unsent.insert(sequence);
                None
            }
            Kept::Memory { .. } | Kept::Small => Some(report.clone()),
        };
        self.open.insert(sequence, Open { report, kept });
        at_once
    }

    /// The next to be read, if there is room.
    fn next_to_read(&mut self) -> Option<Effect> {
        if self.on_the_way.values().sum::<u64>() >= ON_THE_WAY {
            return None;
        }
        let waits = |sequence: &&u64| !self.on_the_way.contains_key(sequence);
        let sequence = *self.unsent.iter().find(waits)?;
        let Kept::OnDisk(stored) = &self.open.get(&sequence)?.kept else {
            return None;
        };
        let stored = Arc::clone(stored);
        self.on_the_way.insert(sequence, stored.bytes);
        Some(Effect::ReadReport { sequence, stored })
    }

    /// What was read, as it is to be sent; nothing when it was acknowledged or is to be read again.
    fn read(&mut self, sequence: u64, read: Result<Box<TaskReport>, String>) -> Option<Box<TaskReport>> {
        if !self.on_the_way.contains_key(&sequence) || !self.unsent.remove(&sequence) {
            return None;
        }
        let open = self.open.get_mut(&sequence)?;
        let why = match read {
            Ok(report) => return Some(Box::new(TaskReport { sequence, ..*report })),
            Err(why) => why,
        };
        tracing::warn!(id = %open.report.id, why, "a report is lost");
        if let Kept::OnDisk(stored) = std::mem::take(&mut open.kept) {
            self.on_disk -= 1;
            let outcome = std::mem::replace(&mut open.report.outcome, Ok(()));
            open.report.outcome = stored.outcome_without(outcome, why);
        }
        Some(Box::new(open.report.clone()))
    }

    fn remove(&mut self, sequence: u64) -> Option<TaskAttemptId> {
        self.unsent.remove(&sequence);
        self.on_the_way.remove(&sequence);
        let open = self.open.remove(&sequence)?;
        self.on_disk -= usize::from(matches!(open.kept, Kept::OnDisk(_)));
        Some(open.report.id)
    }
}

impl Session {
    /// Reports the end of an attempt, and keeps the report until it is acknowledged.
    pub(super) fn report(&mut self, id: TaskAttemptId, end: TaskEnd, effects: &mut Vec<Effect>) {
        self.reports += 1;
        let TaskEnd {
            metrics,
            outcome,
            result,
            counters,
            kept,
        } = end;
        let report = TaskReport {
            sequence: self.reports,
            id,
            metrics,
            outcome,
            result,
            counters,
        };
        let at_once = self.unacknowledged.add(report, kept);
        if let Some(report) = at_once.filter(|_| self.is_heard()) {
            self.send(ExecutorMessage::TaskFinished(Box::new(report)), effects);
        }
        self.read_reports(effects);
    }

    /// Has reports read from the disk, as many as may be on their way.
    pub(super) fn read_reports(&mut self, effects: &mut Vec<Effect>) {
        if self.is_heard() {
            effects.extend(std::iter::from_fn(|| self.unacknowledged.next_to_read()));
        }
    }

    pub(super) fn report_read(
        &mut self,
        sequence: u64,
        report: Result<Box<TaskReport>, String>,
        effects: &mut Vec<Effect>,
    ) {
        if !self.is_heard() {
            return;
        }
        if let Some(report) = self.unacknowledged.read(sequence, report) {
            self.send(ExecutorMessage::TaskFinished(report), effects);
        }
        self.leave_when_empty(effects);
    }

    pub(super) fn acknowledged(&mut self, sequences: &[u64], effects: &mut Vec<Effect>) {
        for &sequence in sequences {
            if let Some(id) = self.unacknowledged.remove(sequence) {
                self.held.remove(&id);
            }
        }
        self.read_reports(effects);
    }
}
