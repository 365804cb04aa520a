//! Facts of stages: how they begin, what their tasks are, how they end.

use wire::id::StageKey;

use super::super::codec::{Damaged, Reader, Writer};
use super::super::inputs::{read_inputs, write_inputs};
use super::unknown;
use crate::event::TaskInput;

/// What becomes of a stage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StageFact {
    /// It began to be planned.
    Begun { stage: u32 },
    /// Its tasks were found, or not.
    Planned {
        stage: StageKey,
        tasks: Result<Vec<TaskInput>, String>,
    },
    /// Its output is about to be marked as complete.
    CommitStarted { stage: u32 },
    /// It was, or not.
    Committed {
        stage: StageKey,
        result: Result<(), String>,
    },
}

impl StageFact {
    /// Whether nothing may be done before it is kept.
    pub(super) fn is_urgent(&self) -> bool {
        match self {
            Self::Planned { .. } | Self::CommitStarted { .. } | Self::Committed { .. } => true,
            Self::Begun { .. } => false,
        }
    }

    /// Gives the number of its kind.
    pub(super) fn write(&self, into: &mut Writer) -> u8 {
        match self {
            Self::Begun { stage } => {
                into.number(*stage);
                6
            }
            Self::Planned { stage, tasks } => {
                write_key(*stage, into);
                match tasks {
                    Ok(tasks) => write_inputs(tasks, into.number(0u8)),
                    Err(message) => _ = into.number(1u8).text(message),
                }
                7
            }
            Self::CommitStarted { stage } => {
                into.number(*stage);
                13
            }
            Self::Committed { stage, result } => {
                write_key(*stage, into);
                let (failed, text) = match result {
                    Ok(()) => (0u8, ""),
                    Err(message) => (1u8, message.as_str()),
                };
                into.number(failed).text(text);
                14
            }
        }
    }

    pub(super) fn read(kind: u64, from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(match kind {
            6 => Self::Begun {
                stage: from.narrow()?,
            },
            7 => Self::Planned {
                stage: read_key(from)?,
                tasks: match from.number()? {
                    0 => Ok(read_inputs(from)?),
                    _ => Err(from.owned()?),
                },
            },
            13 => Self::CommitStarted {
                stage: from.narrow()?,
            },
            14 => Self::Committed {
                stage: read_key(from)?,
                result: match from.number()? {
                    0 => Ok(()),
                    _ => Err(from.owned()?),
                },
            },
            other => return Err(unknown(other)),
        })
    }
}

fn write_key(key: StageKey, into: &mut Writer) {
    into.number(key.job).number(key.stage).number(key.stage_attempt);
}

fn read_key(from: &mut Reader<'_>) -> Result<StageKey, Damaged> {
    Ok(StageKey {
        job: from.narrow()?,
        stage: from.narrow()?,
        stage_attempt: from.narrow()?,
    })
}
