//! What becomes of exclusions: who is struck, what ends them, and what happens to tasks that nobody may run.
//!
//! A task that its own or its stage's exclusions would keep from every executor has them waived. When the
//! application avoids every executor, the idle ones among them are replaced, and if only nodes are avoided, that is
//! forgotten. So exclusion never makes a job hang (invariant E), and never fails one: counts of failures do.

use wire::failure::ExecutorLoss;

use crate::attempts::Attempt;
use crate::core::Driver;
use crate::event::Effect;
use crate::exclusion::Coverage;
use crate::index::{ExecutorIx, StageIx};
use crate::timers::Timer;

impl Driver {
    /// Takes in a failure that counts.
    pub(crate) fn strike(&mut self, attempt: &Attempt) {
        let plan = &self.plan.scheduling.exclusion;
        let host = self.executors[attempt.executor].host;
        let stage = &mut self.stages[attempt.stage];
        if !plan.enabled || stage.gang {
            return;
        }
        if let Some(tasks) = &mut stage.tasks {
            tasks
                .exclusion
                .strike(plan, attempt.partition, attempt.executor, host);
        }
        self.waive_exclusions(attempt.stage, Some(attempt.partition));
    }

    /// A stage has succeeded: what failed on the way was the fault of executors.
    pub(crate) fn strike_executors(&mut self, stage: StageIx) {
        let plan = &self.plan.scheduling.exclusion;
        let Some(tasks) = &self.stages[stage].tasks else {
            return;
        };
        let mut struck = false;
        for (executor, failed) in tasks.exclusion.failed_tasks() {
            let host = self.executors[executor].host;
            self.exclusions.strike(plan, executor, host, failed, self.now);
            struck = true;
        }
        if struck {
            self.apply_exclusions();
        }
    }

    pub(crate) fn end_exclusions(&mut self) {
        self.exclusions.expire(self.now);
        self.apply_exclusions();
    }

    /// Brings every executor in line with what the application avoids.
    fn apply_exclusions(&mut self) {
        let present: Vec<_> = self.executors.iter_present().map(|(index, _)| index).collect();
        for index in present {
            self.apply_exclusion(index);
        }
        self.offers.everyone();
        match self.exclusions.next_end() {
            Some(end) => self.timers.set(Timer::Exclusion, end),
            None => self.timers.clear(Timer::Exclusion),
        }
    }

    pub(crate) fn apply_exclusion(&mut self, index: ExecutorIx) {
        let executor = &mut self.executors[index];
        let excluded = self.exclusions.keeps(index, executor.host);
        if executor.excluded != excluded {
            executor.excluded = excluded;
            self.executors.refresh(index);
            self.offers.one(index);
        }
    }

    /// Lets tasks of a stage run anywhere that could run nowhere: this one, or all that wait.
    pub(crate) fn waive_exclusions(&mut self, stage: StageIx, only: Option<u32>) {
        let Some(tasks) = self.stages[stage]
            .tasks
            .as_ref()
            .filter(|tasks| !tasks.exclusion.is_empty())
        else {
            return;
        };
        if self.is_nowhere(Coverage::default()) {
            return;
        }
        let lifted = self.is_nowhere(tasks.exclusion.stage_coverage());
        let stuck = only.map_or_else(|| tasks.pending_after_failure(), |partition| vec![partition]);
        let plan = &self.plan.scheduling.exclusion;
        let nowhere = |&task: &u32| self.is_nowhere(tasks.exclusion.coverage(plan, task));
        let stuck: Vec<_> = stuck.into_iter().filter(nowhere).collect();
        let Some(tasks) = self.stages[stage].tasks.as_mut() else {
            return;
        };
        let mut changed = lifted && tasks.exclusion.lift();
        for partition in stuck {
            changed |= tasks.exclusion.waive(partition);
        }
        if changed {
            self.offers.everyone();
        }
    }

    /// Whether these exclusions, with those of the application, leave no executor.
    fn is_nowhere(&self, mut coverage: Coverage) -> bool {
        coverage.add(&self.exclusions);
        let present = |executor: ExecutorIx| !self.executors[executor].is_gone();
        let covered = coverage.executors(&self.executors.hosts, present);
        self.executors.present() > 0 && covered >= self.executors.present()
    }

    /// Looks whether tasks wait while the application avoids every executor.
    ///
    /// Executors avoided for themselves are replaced once they are idle. When only nodes are avoided, and so all of
    /// them, that is forgotten: a bad place is better than none.
    pub(crate) fn check_places(&mut self, effects: &mut Vec<Effect>) {
        if self.exclusions.is_empty() || !self.is_nowhere(Coverage::default()) || !self.is_starving() {
            return;
        }
        let struck = |index: &ExecutorIx| self.exclusions.keeps_executor(*index);
        let present = self.executors.iter_present().map(|(index, _)| index);
        let struck: Vec<_> = present.filter(struck).collect();
        if struck.is_empty() {
            self.exclusions.lift_hosts();
            self.apply_exclusions();
            self.assign(effects);
        }
        for index in struck {
            if self.executors[index].attempts.is_empty() {
                self.replace_executor(index, effects);
            }
        }
    }

    /// Whether any stage has tasks to run.
    fn is_starving(&self) -> bool {
        self.stages.iter().any(|(_, stage)| {
            let pending = stage.tasks.as_ref().is_some_and(|tasks| tasks.pending() > 0);
            stage.is_running() && pending
        })
    }

    fn replace_executor(&mut self, index: ExecutorIx, effects: &mut Vec<Effect>) {
        let loss = ExecutorLoss::KilledByUs;
        let executor = self.executors[index].id.clone();
        effects.push(Effect::StopExecutor { executor, loss });
        self.remove_executor(index, loss, effects);
    }
}
