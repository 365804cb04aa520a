//! What YARN announces to take away: given up at once where nothing runs yet, drained by the driver where tasks may.

use std::time::Duration;

use wire::failure::ExecutorLoss;
use wire::id::ExecutorId;
use wire::launcher::LauncherReport;

use super::Effect;
use super::core::{Launcher, permit};
use super::nodes::NodeFacts;
use super::record::{Phase, Record};

impl Launcher {
    /// A preemption contract (`PreemptionMessage`): the strict containers will be killed, of the negotiable ones others
    /// of the same size may be given instead. All of ours are of one size, so a number of them is what counts.
    /// The ResourceManager repeats the notice until it has what it wants.
    pub(super) fn preemption_noticed(
        &mut self,
        now: Duration,
        strict: &[ExecutorId],
        negotiable: &[ExecutorId],
        effects: &mut Vec<Effect>,
    ) {
        let loss = ExecutorLoss::Preempted;
        let executors = self.give_up_unused(now, strict, loss, effects);
        let wanted = negotiable.iter().filter(|id| self.is_live(id)).count();
        let cheap = self.unregistered(wanted);
        for executor in &cheap {
            self.stop(now, executor, loss, "YARN wants it back", effects);
        }
        let more = u32::try_from(wanted - cheap.len()).unwrap_or(u32::MAX);
        drain(executors, more, loss, effects);
    }

    /// News of a node; one that begins to leave takes its executors with it, so they are drained while it is there.
    pub(super) fn node_updated(&mut self, now: Duration, facts: NodeFacts, effects: &mut Vec<Effect>) {
        let name = facts.name.clone();
        if self.nodes.update(facts) {
            let there = |record: &&Record| record.node == name && record.phase.is_live();
            let there: Vec<_> = self
                .records
                .values()
                .filter(there)
                .map(|r| r.executor.clone())
                .collect();
            let loss = ExecutorLoss::Decommissioned;
            let executors = self.give_up_unused(now, &there, loss, effects);
            drain(executors, 0, loss, effects);
        }
        let reopened = self.nodes.reopen();
        permit(reopened, effects);
        self.avoid_unwanted(effects);
    }

    /// Stops those of these executors in which nothing runs yet, and gives the others. One that is awaited from an
    /// earlier attempt may be busy.
    fn give_up_unused(
        &mut self,
        now: Duration,
        executors: &[ExecutorId],
        loss: ExecutorLoss,
        effects: &mut Vec<Effect>,
    ) -> Vec<ExecutorId> {
        let mut used = Vec::new();
        for executor in executors {
            match self.records.get(executor).map(|record| record.phase) {
                Some(Phase::Registered | Phase::Adopted) => used.push(executor.clone()),
                Some(phase) if phase.is_live() => {
                    self.stop(now, executor, loss, "YARN wants it back", effects);
                }
                _ => {}
            }
        }
        used
    }

    /// Up to so many containers in which nothing runs yet, the latest granted first.
    fn unregistered(&self, most: usize) -> Vec<ExecutorId> {
        let young = |record: &&Record| matches!(record.phase, Phase::StartSent | Phase::Started);
        let mut young: Vec<_> = self.records.values().filter(young).collect();
        young.sort_by_key(|record| std::cmp::Reverse(record.times.granted));
        young
            .iter()
            .take(most)
            .map(|record| record.executor.clone())
            .collect()
    }
}

fn drain(executors: Vec<ExecutorId>, more: u32, loss: ExecutorLoss, effects: &mut Vec<Effect>) {
    if !executors.is_empty() || more > 0 {
        effects.push(Effect::Report(LauncherReport::DrainWanted {
            executors,
            more,
            loss,
        }));
    }
}

#[cfg(test)]
#[path = "drain_tests.rs"]
mod tests;
