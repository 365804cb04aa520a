//! Forgetting executors that went long ago: an application may lose any number of them (invariant J).
//!
//! Whoever went lately is shown to people and may still be heard of late. Whoever is named by a task that is done, by a
//! failure or by an exclusion is needed to read those, and there are no more of them than tasks and failures that are
//! kept. All others are forgotten, every now and then; the journal says who, so that a replay forgets the same. Their
//! numbers are not used again. One that came back all the same is none of ours: its container was given up, so the
//! gateway does not let it in.

use crate::core::Driver;
use crate::index::{ExecutorIx, Ix};
use crate::journal::fact::ExecutorFact;

/// How many that are gone are kept at least, and how many more may gather before they are looked through.
pub(crate) const GONE_KEPT: usize = 256;

impl Driver {
    /// To be called between events: what happens within one may name whom it has just removed.
    pub(crate) fn forget_long_gone(&mut self) {
        if self.executors.gone() < self.executors.gone_after_sweep + 2 * GONE_KEPT {
            return;
        }
        let named = self.named_executors();
        let gone = self.executors.iter();
        let mut gone: Vec<_> = gone
            .filter_map(|(index, executor)| Some((executor.gone_at()?, index)))
            .collect();
        // Who went last is heard of longest.
        gone.sort_unstable();
        let old = gone[..gone.len() - GONE_KEPT].iter().map(|&(_, index)| index);
        let mut forgotten: Vec<_> = old.filter(|index| !named[index.get()]).collect();
        forgotten.sort_unstable();
        self.note_fact(|_| ExecutorFact::Forgotten {
            executors: forgotten.iter().map(|index| index.number()).collect(),
        });
        self.forget_executors(&forgotten);
    }

    /// Drops them; they are gone and nothing names them.
    pub(crate) fn forget_executors(&mut self, executors: &[ExecutorIx]) {
        executors.iter().for_each(|&index| self.executors.forget(index));
        self.executors.gone_after_sweep = self.executors.gone().saturating_sub(GONE_KEPT);
    }

    /// Of every number: whether something names it that is kept.
    pub(crate) fn named_executors(&self) -> Vec<bool> {
        let mut named = vec![false; self.executors.count()];
        let mut mark = |index: ExecutorIx| named[index.get()] = true;
        let stages = self.stages.iter().filter_map(|(_, stage)| stage.tasks.as_ref());
        stages
            .flat_map(|tasks| tasks.named_executors())
            .for_each(&mut mark);
        self.exclusions.named_executors().for_each(&mut mark);
        self.failures.iter().for_each(|failure| mark(failure.executor));
        named
    }
}
