//! Facts of executors that come and go.

use wire::failure::ExecutorLoss;
use wire::id::BootNonce;

use super::super::codec::{Damaged, Reader, Writer};
use super::super::failure;
use super::unknown;

/// Who is there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ExecutorFact {
    /// An executor registered.
    Admitted {
        executor: String,
        boot: BootNonce,
        host: String,
        slots: u32,
    },
    /// An executor was taken away.
    Removed {
        executor: u32,
        loss: ExecutorLoss,
        /// Of each of its attempts, in the order of their launch: whether it had started.
        started: Vec<bool>,
    },
    /// An executor was lost before it registered.
    Stillborn { executor: String },
    /// Executors that went long ago are not remembered any more.
    Forgotten {
        /// Their numbers, the smallest first.
        executors: Vec<u32>,
    },
}

impl ExecutorFact {
    /// Gives the number of its kind.
    pub(super) fn write(&self, into: &mut Writer) -> u8 {
        match self {
            Self::Admitted {
                executor,
                boot,
                host,
                slots,
            } => {
                into.text(executor).number(boot.0).text(host).number(*slots);
                3
            }
            Self::Removed {
                executor,
                loss,
                started,
            } => {
                into.number(*executor);
                failure::write_loss(*loss, into);
                into.count(started.len()).bits(started.iter().copied());
                4
            }
            Self::Stillborn { executor } => {
                into.text(executor);
                5
            }
            Self::Forgotten { executors } => {
                into.count(executors.len());
                executors.iter().for_each(|executor| _ = into.number(*executor));
                20
            }
        }
    }

    pub(super) fn read(kind: u64, from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(match kind {
            3 => Self::Admitted {
                executor: from.owned()?,
                boot: BootNonce(from.number()?),
                host: from.owned()?,
                slots: from.narrow()?,
            },
            4 => Self::Removed {
                executor: from.narrow()?,
                loss: failure::read_loss(from)?,
                started: {
                    let count = from.narrow()?;
                    from.bits(count)?
                },
            },
            5 => Self::Stillborn {
                executor: from.owned()?,
            },
            20 => Self::Forgotten {
                executors: (0..from.count()?)
                    .map(|_| from.narrow())
                    .collect::<Result<_, _>>()?,
            },
            other => return Err(unknown(other)),
        })
    }
}
