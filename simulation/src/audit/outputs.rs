//! Results that stay on executors: who has them, and that nobody is sent to read what nobody has.

use std::collections::{BTreeMap, BTreeSet};

use driver::core::Driver;
use driver::event::Effect;
use driver::plan::AppPlan;
use driver::view::StageStatus;
use wire::failure::ExecutorLoss;
use wire::id::{ExecutorId, TaskAttemptId};

use super::Audit;

/// Which executors have a partition of a stage.
#[derive(Debug, Default)]
pub(super) struct Outputs(BTreeMap<(u32, u32), BTreeSet<ExecutorId>>);

impl Outputs {
    pub(super) fn keep(&mut self, executor: &ExecutorId, partition: (u32, u32)) {
        self.0.entry(partition).or_default().insert(executor.clone());
    }

    /// All that an executor had is lost.
    pub(super) fn lose(&mut self, executor: &ExecutorId) {
        self.0.values_mut().for_each(|holders| {
            holders.remove(executor);
        });
    }

    fn is_lost(&self, partition: (u32, u32)) -> bool {
        self.0.get(&partition).is_none_or(BTreeSet::is_empty)
    }

    /// The stages of which nobody else has something.
    fn only_with<'a>(&'a self, executor: &'a ExecutorId) -> impl Iterator<Item = u32> + 'a {
        let only = |holders: &BTreeSet<ExecutorId>| holders.len() == 1 && holders.contains(executor);
        let entries = self.0.iter().filter(move |(_, holders)| only(holders));
        entries.map(|(&(stage, _), _)| stage)
    }
}

/// The partitions of others that a task reads from the executors that made them.
fn sources(plan: &AppPlan, id: TaskAttemptId) -> impl Iterator<Item = (u32, u32)> + '_ {
    let stage = &plan.stages[id.stage.stage as usize];
    let partitions = |before: u32| {
        let tasks = plan.stages[before as usize].source.known_tasks();
        (0..u32::try_from(tasks).unwrap_or(0)).map(move |partition| (before, partition))
    };
    let same = stage
        .scheduling
        .with
        .iter()
        .map(move |&before| (before, id.partition));
    let all = stage.after.iter().flat_map(move |&before| partitions(before));
    same.chain(all)
        .filter(|&(before, _)| plan.stages[before as usize].scheduling.keeps_output)
}

impl Audit {
    /// What a task is to read must be there, as far as anybody can know.
    pub(super) fn check_sources(&mut self, id: TaskAttemptId, plan: &AppPlan) {
        let lost = sources(plan, id).find(|&partition| self.outputs.is_lost(partition));
        if let Some((stage, partition)) = lost {
            self.complain('A', format!("{id} reads {stage}/{partition}, which nobody has"));
        }
    }

    /// Nobody is let go who alone has what is still to be read.
    pub(crate) fn see_release(&mut self, effect: &Effect, driver: &Driver, plan: &AppPlan) {
        let Effect::StopExecutor {
            executor,
            loss: ExecutorLoss::Released,
        } = effect
        else {
            return;
        };
        let stages = driver.snapshot().stages;
        let is_read = |before: u32| {
            let readers = plan.stages.iter().zip(&stages);
            let mut readers = readers.filter(|(stage, _)| stage.edges().any(|edge| *edge == before));
            // One whose tasks are all done reads nothing more, even if its own output is still to be marked.
            let reads = |status| {
                matches!(
                    status,
                    StageStatus::Waiting | StageStatus::Planning | StageStatus::Running
                )
            };
            readers.any(|(_, reader)| reads(reader.status))
        };
        let needed = self.outputs.only_with(executor).find(|stage| is_read(*stage));
        if let Some(stage) = needed {
            self.complain(
                'D',
                format!("{executor} is let go, which alone has a part of stage {stage}"),
            );
        }
    }
}
