//! Facts of the application and its jobs.

use super::super::codec::{Damaged, Reader, Writer};
use super::unknown;

/// How the application, or one of its jobs, goes on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ApplicationFact {
    /// The application began.
    Started,
    /// Another attempt of the ApplicationMaster went on.
    Resumed,
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
            Self::Resumed => 2,
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
            2 => Self::Resumed,
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
