//! Executors that are to be given back: no new tasks, what has not begun is asked back, what runs may end, then they
//! go.
//!
//! YARN announces that it wants containers back (a preemption contract), or that a node leaves the cluster. Named
//! executors drain; when YARN only wants a number, the cheapest do: those whose running attempts have done the
//! least. An executor that drains is stopped as soon as it has no attempt, for the reason it was drained for, which
//! counts against nobody (C). Whether it gets that far is YARN's to decide: what it takes away first is lost for
//! the same neutral reason and runs again elsewhere.

use std::time::Duration;

use wire::failure::ExecutorLoss;
use wire::id::ExecutorId;

use crate::core::Driver;
use crate::event::Effect;
use crate::index::ExecutorIx;

impl Driver {
    /// Drains these executors, and as many others as make `more` that drain for the same reason.
    pub(crate) fn on_drain_requested(
        &mut self,
        named: &[ExecutorId],
        more: u32,
        loss: ExecutorLoss,
        effects: &mut Vec<Effect>,
    ) {
        let named: Vec<_> = named
            .iter()
            .filter_map(|id| self.executors.find_present(id))
            .collect();
        for &index in &named {
            self.drain(index, loss, effects);
        }
        let others = |index: &ExecutorIx| !named.contains(index);
        let draining = self.executors.draining().filter(others);
        let already = draining
            .filter(|&index| self.executors[index].draining == Some(loss))
            .count();
        for index in self.cheapest((more as usize).saturating_sub(already)) {
            self.drain(index, loss, effects);
        }
    }

    fn drain(&mut self, index: ExecutorIx, loss: ExecutorLoss, effects: &mut Vec<Effect>) {
        self.executors.set_draining(index, loss);
        self.recall_all(index, effects);
    }

    /// The executors that would lose the least: the latest registered of those whose attempts ran for the shortest
    /// time together.
    fn cheapest(&self, count: usize) -> Vec<ExecutorIx> {
        if count == 0 {
            return Vec::new();
        }
        let open = self
            .executors
            .iter_present()
            .filter(|(_, executor)| executor.draining.is_none());
        let mut costs: Vec<_> = open
            .map(|(index, _)| (self.invested(index), std::cmp::Reverse(index)))
            .collect();
        costs.sort_unstable();
        costs.into_iter().take(count).map(|(_, index)| index.0).collect()
    }

    /// The time that the attempts of an executor have run together.
    fn invested(&self, index: ExecutorIx) -> Duration {
        let attempts = self.executors[index].attempts.iter();
        let live = attempts.filter_map(|&attempt| self.attempts.get(attempt));
        live.map(|attempt| self.now.saturating_sub(attempt.launched_at))
            .sum()
    }

    /// Lets go the draining executors that have nothing left to do.
    pub(crate) fn finish_drains(&mut self, effects: &mut Vec<Effect>) {
        let idle = |index: &ExecutorIx| self.executors[*index].is_idle();
        let idle: Vec<_> = self.executors.draining().filter(idle).collect();
        for index in idle {
            let executor = &self.executors[index];
            let Some(loss) = executor.draining else { continue };
            effects.push(Effect::StopExecutor {
                executor: executor.id.clone(),
                loss,
            });
            self.remove_executor(index, loss, effects);
        }
    }
}
