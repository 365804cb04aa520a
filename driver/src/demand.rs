//! How many executors are wanted, and where.
//!
//! With a fixed number the answer is that number until the end. An elastic application follows Spark's dynamic
//! allocation: while tasks wait, the target grows in doubling steps, never above what the tasks could use; it falls
//! as soon as they could use fewer, but executors only go when they have been idle for a while. What is asked for is
//! always a total, and never below what is held: an executor goes by being stopped, not by a smaller total.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wire::failure::ExecutorLoss;
use wire::id::ExecutorId;
use wire::launcher::ExecutorTarget;

use crate::core::Driver;
use crate::event::Effect;
use crate::index::{ExecutorIx, StageIx};
use crate::policy::ElasticPlan;
use crate::timers::Timer;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Demand {
    /// Wanted by the backlog; of elastic applications only.
    target: u32,
    /// How many are added next.
    step: u32,
    asked: Option<ExecutorTarget>,
    /// How many open tasks of running stages would like each node.
    hosts: BTreeMap<String, u32>,
    /// Whether `hosts` is out of date.
    stale: bool,
}

impl Default for Demand {
    fn default() -> Self {
        Self {
            target: 0,
            step: 1,
            asked: None,
            hosts: BTreeMap::new(),
            stale: false,
        }
    }
}

impl Demand {
    /// A stage with wishes has begun or ended.
    pub(crate) fn note_wishes(&mut self) {
        self.stale = true;
    }

    /// What was asked for is to be said again.
    pub(crate) fn forget_asked(&mut self) {
        self.asked = None;
        self.stale = true;
    }

    /// Lowers the target to what is of use.
    fn shrink(&mut self, plan: &ElasticPlan, needed: u32) {
        let floor = needed.max(plan.min).min(plan.max);
        if needed < self.target {
            self.step = 1;
        }
        self.target = self.target.min(floor).max(plan.min);
    }

    /// Raises the target by a step.
    fn grow(&mut self, plan: &ElasticPlan, needed: u32, held: u32) {
        let before = self.target.max(held);
        let most = needed.min(plan.max).max(self.target);
        let next = before.saturating_add(self.step).min(most).max(self.target);
        let whole = next >= before.saturating_add(self.step);
        self.step = if whole { self.step.saturating_mul(2) } else { 1 };
        self.target = next;
    }
}

impl Driver {
    /// How many executors are wanted.
    pub(crate) fn wanted_executors(&self) -> u32 {
        match self.plan.scheduling.elastic {
            Some(_) => self.demand.target.max(self.executors.present()),
            None => self.plan.executors.instances,
        }
    }

    /// Says what is wanted if that has changed.
    pub(crate) fn update_demand(&mut self, effects: &mut Vec<Effect>) {
        if let Some(plan) = self.plan.scheduling.elastic {
            self.follow_backlog(&plan);
        }
        if std::mem::take(&mut self.demand.stale) {
            self.demand.hosts = self.collect_wishes();
        }
        let executors = self.wanted_executors();
        let needed = self.executors_to_begin();
        let avoid: BTreeSet<String> = self
            .exclusions
            .hosts()
            .map(|host| self.executors.hosts.name(host).to_owned())
            .collect();
        let said = |asked: &ExecutorTarget| {
            asked.executors == executors
                && asked.needed == needed
                && asked.hosts == self.demand.hosts
                && asked.avoid == avoid
        };
        if !self.demand.asked.as_ref().is_some_and(said) {
            let hosts = self.demand.hosts.clone();
            let target = ExecutorTarget {
                executors,
                hosts,
                avoid,
                needed,
            };
            self.demand.asked = Some(target.clone());
            effects.push(Effect::SetTarget(target));
        }
    }

    /// The fewest executors that something which waits could begin with: as many as hold the largest gang that has not
    /// begun, or one.
    fn executors_to_begin(&self) -> u32 {
        if self.gangs == 0 {
            return 1;
        }
        let gangs = self
            .stages
            .indexes()
            .filter_map(|index| self.executors_of_gang(index));
        gangs.max().unwrap_or(1)
    }

    /// How many executors hold a stage's tasks, if they are a gang that waits.
    pub(crate) fn executors_of_gang(&self, index: StageIx) -> Option<u32> {
        let stage = &self.stages[index];
        let waits = stage.gang && stage.is_running();
        let tasks = stage.tasks.as_ref().filter(|_| waits)?;
        let plan = &self.plan.stages[index.number() as usize];
        let places = self.plan.executors.places(plan).max(1);
        (tasks.running == 0 && tasks.pending() > 0).then(|| tasks.total().div_ceil(places))
    }

    fn collect_wishes(&self) -> BTreeMap<String, u32> {
        let mut wishes = BTreeMap::new();
        let running = self.stages.iter().filter(|(_, stage)| stage.is_running());
        for host in running
            .filter_map(|(_, stage)| stage.tasks.as_ref())
            .flat_map(|tasks| tasks.wishes())
        {
            *wishes.entry(host).or_insert(0) += 1;
        }
        let named = wishes
            .into_iter()
            .map(|(host, tasks)| (self.executors.hosts.name(host).to_owned(), tasks));
        named.collect()
    }

    fn follow_backlog(&mut self, plan: &ElasticPlan) {
        let (needed, backlog) = self.needed_executors();
        self.demand.shrink(plan, needed);
        if backlog {
            self.timers
                .set_once(Timer::Backlog, self.now + plan.backlog_timeout);
        } else {
            self.timers.clear(Timer::Backlog);
            self.demand.step = 1;
        }
        if self.executors.present() > plan.min {
            self.timers.set_once(Timer::Idle, self.now + plan.idle_timeout);
        }
    }

    /// How many executors all open tasks could use, and whether some wait.
    fn needed_executors(&self) -> (u32, bool) {
        let running = self.stages.iter().filter(|(_, stage)| stage.is_running());
        let sets = running.filter_map(|(_, stage)| Some((stage, stage.tasks.as_ref()?)));
        let mut tasks_by_fit = BTreeMap::new();
        let mut backlog = false;
        for (stage, tasks) in sets {
            let others = u32::try_from(self.executors.each().places(&stage.needs)).unwrap_or(u32::MAX);
            let fit = (self.plan.executors.cores / stage.cores).min(others).max(1);
            *tasks_by_fit.entry(fit).or_insert(0u64) += u64::from(tasks.wanted_places());
            backlog |= tasks.wants_slots();
        }
        let executors: u64 = tasks_by_fit
            .into_iter()
            .map(|(fit, tasks)| tasks.div_ceil(fit.into()))
            .sum();
        (u32::try_from(executors).unwrap_or(u32::MAX), backlog)
    }

    /// The backlog has lasted: more executors.
    pub(crate) fn add_executors(&mut self) {
        if let Some(plan) = self.plan.scheduling.elastic {
            let (needed, _) = self.needed_executors();
            self.demand.grow(&plan, needed, self.executors.present());
        }
    }

    /// Lets executors go that have been idle for long.
    pub(crate) fn release_idle(&mut self, effects: &mut Vec<Effect>) {
        let Some(plan) = self.plan.scheduling.elastic else {
            return;
        };
        let keep = self.demand.target.max(plan.min);
        let spare = self.executors.present().saturating_sub(keep) as usize;
        let mut idle = self.idle_since(plan.idle_timeout);
        idle.retain(|&index| !self.holds_output(index));
        let mut released: Vec<ExecutorId> = Vec::new();
        for index in idle.into_iter().take(spare) {
            released.push(self.executors[index].id.clone());
            self.remove_executor(index, ExecutorLoss::Released, effects);
        }
        self.update_demand(effects);
        let loss = ExecutorLoss::Released;
        effects.extend(
            released
                .into_iter()
                .map(|executor| Effect::StopExecutor { executor, loss }),
        );
        self.watch_idle(plan.idle_timeout);
    }

    /// The executors that have had no task for so long, the longest first.
    fn idle_since(&self, time: Duration) -> Vec<ExecutorIx> {
        let idle = self
            .executors
            .iter_present()
            .filter(|(_, executor)| executor.is_idle() && executor.idle_since + time <= self.now);
        let mut idle: Vec<_> = idle
            .map(|(index, executor)| (executor.idle_since, index))
            .collect();
        idle.sort_unstable();
        idle.into_iter().map(|(_, index)| index).collect()
    }

    /// Looks again when the next executor will have been idle for so long.
    fn watch_idle(&mut self, time: Duration) {
        let idle = self
            .executors
            .iter_present()
            .filter(|(_, executor)| executor.is_idle());
        let ends = idle.map(|(_, executor)| executor.idle_since + time);
        let next = ends.filter(|&end| end > self.now).min();
        self.timers.set(Timer::Idle, next.unwrap_or(self.now + time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: ElasticPlan = ElasticPlan {
        min: 1,
        max: 20,
        idle_timeout: Duration::from_secs(60),
        backlog_timeout: Duration::from_secs(1),
    };

    #[test]
    fn the_target_grows_in_doubling_steps_up_to_what_is_of_use() {
        let mut demand = Demand::default();
        demand.shrink(&PLAN, 0);
        let mut targets = Vec::new();
        for _ in 0..5 {
            demand.grow(&PLAN, 12, 0);
            targets.push(demand.target);
        }
        assert_eq!(targets, [2, 4, 8, 12, 12]);
        assert_eq!(demand.step, 1);
    }

    #[test]
    fn the_target_stays_within_its_bounds_and_falls_with_the_need() {
        let mut demand = Demand::default();
        for _ in 0..9 {
            demand.grow(&PLAN, 1000, 0);
        }
        assert_eq!(demand.target, 20);
        demand.shrink(&PLAN, 7);
        assert_eq!(demand.target, 7);
        demand.shrink(&PLAN, 0);
        assert_eq!(demand.target, 1);
    }
}
