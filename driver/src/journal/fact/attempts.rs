//! Facts of attempts of tasks: where they run, and how they end.

use wire::failure::TaskFailure;
use wire::task::TaskMetrics;

use super::super::codec::{Damaged, Reader, Writer};
use super::super::failure;
use super::unknown;

/// An attempt of a task, its stage's job left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AttemptName {
    pub(crate) stage: u32,
    pub(crate) stage_attempt: u32,
    pub(crate) partition: u32,
    pub(crate) number: u32,
}

/// What becomes of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AttemptFact {
    /// A task was given to an executor.
    Launched {
        stage: u32,
        partition: u32,
        executor: u32,
        /// Ahead of a free slot.
        queued: bool,
    },
    /// An executor turned out to run an attempt that nobody knew.
    Adopted {
        executor: u32,
        id: AttemptName,
        /// All slots there are taken.
        queued: bool,
    },
    /// It ended.
    Finished {
        executor: u32,
        id: AttemptName,
        metrics: TaskMetrics,
        outcome: Result<(), TaskFailure>,
    },
    /// It went missing.
    Vanished { executor: u32, id: AttemptName },
    /// It could not read what an executor held.
    Unreadable {
        executor: u32,
        id: AttemptName,
        source: u32,
    },
    /// It waited in the queue of its executor and began out of turn.
    Seated { executor: u32, id: AttemptName },
    /// It was given back unbegun.
    Returned { executor: u32, id: AttemptName },
}

impl AttemptFact {
    /// Gives the number of its kind.
    pub(super) fn write(&self, into: &mut Writer) -> u8 {
        match self {
            Self::Launched {
                stage,
                partition,
                executor,
                queued,
            } => {
                into.number(*stage).number(*partition).number(*executor);
                into.flag(*queued);
                8
            }
            Self::Adopted { executor, id, queued } => {
                write_place(*executor, *id, into).flag(*queued);
                9
            }
            Self::Finished {
                executor,
                id,
                metrics,
                outcome,
            } => {
                write_place(*executor, *id, into);
                failure::write_outcome(outcome, into);
                failure::write_metrics(metrics, into);
                10
            }
            Self::Vanished { executor, id } => {
                write_place(*executor, *id, into);
                11
            }
            Self::Unreadable { executor, id, source } => {
                id.write(into.number(*executor).number(*source));
                12
            }
            Self::Seated { executor, id } => {
                write_place(*executor, *id, into);
                18
            }
            Self::Returned { executor, id } => {
                write_place(*executor, *id, into);
                19
            }
        }
    }

    pub(super) fn read(kind: u64, from: &mut Reader<'_>) -> Result<Self, Damaged> {
        if kind == 8 {
            return read_launched(from);
        }
        let executor = from.narrow()?;
        Ok(match kind {
            9 => Self::Adopted {
                executor,
                id: AttemptName::read(from)?,
                queued: from.number()? == 1,
            },
            10 => read_finished(executor, from)?,
            11 => Self::Vanished {
                executor,
                id: AttemptName::read(from)?,
            },
            12 => {
                let source = from.narrow()?;
                let id = AttemptName::read(from)?;
                Self::Unreadable { executor, id, source }
            }
            18 => Self::Seated {
                executor,
                id: AttemptName::read(from)?,
            },
            19 => Self::Returned {
                executor,
                id: AttemptName::read(from)?,
            },
            other => return Err(unknown(other)),
        })
    }
}

fn read_launched(from: &mut Reader<'_>) -> Result<AttemptFact, Damaged> {
    Ok(AttemptFact::Launched {
        stage: from.narrow()?,
        partition: from.narrow()?,
        executor: from.narrow()?,
        queued: from.number()? == 1,
    })
}

fn read_finished(executor: u32, from: &mut Reader<'_>) -> Result<AttemptFact, Damaged> {
    let id = AttemptName::read(from)?;
    let outcome = failure::read_outcome(from)?;
    let metrics = failure::read_metrics(from)?;
    Ok(AttemptFact::Finished {
        executor,
        id,
        metrics,
        outcome,
    })
}

fn write_place(executor: u32, id: AttemptName, into: &mut Writer) -> &mut Writer {
    id.write(into.number(executor));
    into
}

impl AttemptName {
    pub(in crate::journal) fn write(self, into: &mut Writer) {
        into.number(self.stage)
            .number(self.stage_attempt)
            .number(self.partition)
            .number(self.number);
    }

    pub(in crate::journal) fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            stage: from.narrow()?,
            stage_attempt: from.narrow()?,
            partition: from.narrow()?,
            number: from.narrow()?,
        })
    }
}
