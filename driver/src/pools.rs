//! The order between task sets that have pending tasks.

use std::collections::BTreeSet;

use wire::id::StageKey;

use crate::index::StageIx;

/// The task sets with pending tasks, in order.
#[derive(Debug)]
pub(crate) struct Queue {
    /// By job, then by stage.
    order: BTreeSet<(u32, StageIx)>,
    round: u64,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            order: BTreeSet::new(),
            round: 0,
        }
    }

    /// A number for a round of offers.
    pub(crate) fn next_round(&mut self) -> u64 {
        self.round += 1;
        self.round
    }

    /// Notes whether a task set has pending tasks.
    pub(crate) fn set_pending(&mut self, stage: StageIx, key: StageKey, pending: bool) {
        if pending {
            self.order.insert((key.job, stage));
        } else {
            self.order.remove(&(key.job, stage));
        }
    }

    /// The first task set that is wanted.
    pub(crate) fn first(&self, wanted: impl Fn(StageIx) -> bool) -> Option<StageIx> {
        let mut stages = self.order.iter().map(|&(_, stage)| stage);
        stages.find(|&stage| wanted(stage))
    }
}
