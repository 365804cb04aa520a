//! The last failures of tasks, for people.

use std::collections::VecDeque;
use std::time::Duration;

use wire::failure::TaskFailure;
use wire::id::TaskAttemptId;

use crate::attempts::Attempt;
use crate::index::ExecutorIx;

/// How many are kept.
const KEPT: usize = 128;

/// One failed attempt.
#[derive(Debug, Clone)]
pub(crate) struct FailureRecord {
    pub(crate) at: Duration,
    pub(crate) id: TaskAttemptId,
    pub(crate) executor: ExecutorIx,
    pub(crate) counts: bool,
    pub(crate) failure: TaskFailure,
}

impl FailureRecord {
    pub(crate) fn new(
        at: Duration,
        attempt: &Attempt,
        job: u32,
        counts: bool,
        failure: &TaskFailure,
    ) -> Self {
        Self {
            at,
            id: attempt.id(job),
            executor: attempt.executor,
            counts,
            failure: failure.clone(),
        }
    }
}

/// The last failures, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct FailureLog {
    records: VecDeque<FailureRecord>,
    pub(crate) total: u64,
}

impl FailureLog {
    pub(crate) fn record(&mut self, record: FailureRecord) {
        if self.records.len() == KEPT {
            self.records.pop_front();
        }
        self.records.push_back(record);
        self.total += 1;
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &FailureRecord> {
        self.records.iter()
    }
}
