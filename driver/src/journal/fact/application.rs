//! Facts of the application and its jobs.

use super::super::codec::{Damaged, Reader, Writer};
use super::unknown;

/// How the application, or one of its jobs, goes on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ApplicationFact {
    /// The application began.
    Started,
    /// Another attempt of the ApplicationMaster went on.
    Resumed {
        /// Functions that are called again because their results are lost, by stage and partition. None in what the
        /// first builds wrote, which kept no results: all that were done.
        lost: Option<Vec<(u32, u32)>>,
    },
    /// A job failed for a cause outside its tasks.
    JobFailed { job: u32, cause: String },
    /// One job, or with none all, were ended.
    Killed { job: Option<u32>, by: String },
    /// The verdict was given.
    Concluded,
}

impl ApplicationFact {
    /// Gives the number of its kind.
    pub(super) fn write(&self, into: &mut Writer) -> u8 {
        match self {
            Self::Started => 1,
            Self::Resumed { lost } => {
                if let Some(lost) = lost {
                    into.number(1u8).count(lost.len());
                    lost.iter()
                        .for_each(|(stage, task)| _ = into.number(*stage).number(*task));
                }
                2
            }
            Self::JobFailed { job, cause } => {
                into.number(*job).text(cause);
                15
            }
            Self::Killed { job, by } => {
                into.maybe(*job).text(by);
                16
            }
            Self::Concluded => 17,
        }
    }

    pub(super) fn read(kind: u64, from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(match kind {
            1 => Self::Started,
            2 => Self::Resumed {
                lost: match from.number()? {
                    0 => None,
                    _ => Some(read_lost(from)?),
                },
            },
            15 => Self::JobFailed {
                job: from.narrow()?,
                cause: from.owned()?,
            },
            16 => Self::Killed {
                job: from.maybe()?,
                by: from.owned()?,
            },
            17 => Self::Concluded,
            other => return Err(unknown(other)),
        })
    }
}

fn read_lost(from: &mut Reader<'_>) -> Result<Vec<(u32, u32)>, Damaged> {
    let count = from.count()?;
    (0..count).map(|_| Ok((from.narrow()?, from.narrow()?))).collect()
}
