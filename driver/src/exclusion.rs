//! Who gets no tasks after failures: a task avoids where it failed, a stage avoids executors and nodes where several
//! of its tasks failed, and the application avoids those where tasks of stages failed that did succeed elsewhere.
//!
//! The last of these keeps bad programs from poisoning good nodes, as Spark's `HealthTracker` does. It ends after a
//! time. The first two end with their stage; and they are waived for a task that they would keep from everywhere, so
//! that it fails for its own reason and not for want of a place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::hosts::Hosts;
use crate::index::{ExecutorIx, HostIx};
use crate::policy::ExclusionPlan;

/// What a stage avoids.
#[derive(Debug, Default)]
pub(crate) struct StageExclusion {
    /// Of each task that failed: where, and how often.
    tasks: BTreeMap<u32, Vec<Strike>>,
    /// Of each executor: the tasks that failed there.
    failed_on: BTreeMap<ExecutorIx, BTreeSet<u32>>,
    executors: BTreeMap<ExecutorIx, HostIx>,
    hosts: BTreeSet<HostIx>,
    /// Tasks that may run anywhere because else they could run nowhere.
    waived: BTreeSet<u32>,
}

/// Failures of one task on one executor.
#[derive(Debug, Clone, Copy)]
struct Strike {
    executor: ExecutorIx,
    host: HostIx,
    failures: u32,
}

impl StageExclusion {
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.failed_on.is_empty()
    }

    /// Executors on which tasks failed.
    pub(crate) fn named_executors(&self) -> impl Iterator<Item = ExecutorIx> {
        let strikes = self.tasks.values().flatten().map(|strike| strike.executor);
        strikes.chain(self.failed_on.keys().copied())
    }

    /// Takes in that a task failed.
    pub(crate) fn strike(
        &mut self,
        plan: &ExclusionPlan,
        partition: u32,
        executor: ExecutorIx,
        host: HostIx,
    ) {
        let strikes = self.tasks.entry(partition).or_default();
        match strikes.iter_mut().find(|strike| strike.executor == executor) {
            Some(strike) => strike.failures += 1,
            None => strikes.push(Strike {
                executor,
                host,
                failures: 1,
            }),
        }
        let failed = self.failed_on.entry(executor).or_default();
        failed.insert(partition);
        if failed.len() >= plan.stage_per_executor as usize {
            self.executors.insert(executor, host);
            let there = self.executors.values().filter(|&&other| other == host).count();
            if there >= plan.stage_per_node as usize {
                self.hosts.insert(host);
            }
        }
    }

    /// Whether a task is kept from an executor.
    pub(crate) fn keeps(
        &self,
        plan: &ExclusionPlan,
        partition: u32,
        executor: ExecutorIx,
        host: HostIx,
    ) -> bool {
        if self.is_empty() || self.waived.contains(&partition) {
            return false;
        }
        self.hosts.contains(&host)
            || self.executors.contains_key(&executor)
            || self.task_keeps(plan, partition, executor, host)
    }

    fn task_keeps(&self, plan: &ExclusionPlan, partition: u32, executor: ExecutorIx, host: HostIx) -> bool {
        let Some(strikes) = self.tasks.get(&partition) else {
            return false;
        };
        let here = strikes
            .iter()
            .filter(|strike| strike.executor == executor)
            .map(|strike| strike.failures);
        let on_node = strikes
            .iter()
            .filter(|strike| strike.host == host)
            .map(|strike| strike.failures);
        here.sum::<u32>() >= plan.task_per_executor || on_node.sum::<u32>() >= plan.task_per_node
    }

    /// Whether the stage as a whole avoids an executor.
    pub(crate) fn keeps_all(&self, executor: ExecutorIx, host: HostIx) -> bool {
        self.hosts.contains(&host) || self.executors.contains_key(&executor)
    }

    /// The executors that tasks failed on, with how many failed there.
    pub(crate) fn failed_tasks(&self) -> impl Iterator<Item = (ExecutorIx, u32)> {
        let counted = self.failed_on.iter();
        counted.map(|(&executor, tasks)| (executor, u32::try_from(tasks.len()).unwrap_or(u32::MAX)))
    }

    /// Tasks that have failed somewhere.
    pub(crate) fn struck_tasks(&self) -> impl Iterator<Item = u32> {
        self.tasks.keys().copied()
    }

    /// Ends the exclusions of the stage as a whole; false if there are none.
    pub(crate) fn lift(&mut self) -> bool {
        let any = !self.executors.is_empty() || !self.hosts.is_empty();
        self.executors.clear();
        self.hosts.clear();
        any
    }

    /// Lets a task run anywhere.
    pub(crate) fn waive(&mut self, partition: u32) -> bool {
        self.waived.insert(partition)
    }

    /// Forgets where a task failed, because it is done.
    pub(crate) fn forgive(&mut self, partition: u32) {
        self.tasks.remove(&partition);
        self.waived.remove(&partition);
    }
}

/// What the whole application avoids.
#[derive(Debug, Default)]
pub(crate) struct Exclusions {
    /// Of each executor: until when each of its failures counts.
    failures: BTreeMap<ExecutorIx, Vec<Duration>>,
    executors: BTreeMap<ExecutorIx, Excluded>,
    hosts: BTreeMap<HostIx, Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Excluded {
    host: HostIx,
    until: Duration,
}

impl Exclusions {
    /// Takes in that tasks of a stage that succeeded had failed on an executor.
    pub(crate) fn strike(
        &mut self,
        plan: &ExclusionPlan,
        executor: ExecutorIx,
        host: HostIx,
        tasks: u32,
        now: Duration,
    ) {
        let until = now + plan.timeout;
        let failures = self.failures.entry(executor).or_default();
        failures.retain(|&end| end > now);
        failures.extend((0..tasks).map(|_| until));
        if failures.len() < plan.app_per_executor as usize {
            return;
        }
        self.failures.remove(&executor);
        self.executors.insert(executor, Excluded { host, until });
        let there = self.executors.values().filter(|other| other.host == host).count();
        if there >= plan.app_per_node as usize {
            self.hosts.insert(host, until);
        }
    }

    pub(crate) fn keeps(&self, executor: ExecutorIx, host: HostIx) -> bool {
        self.executors.contains_key(&executor) || self.hosts.contains_key(&host)
    }

    /// Whether an executor is avoided for itself and not for its node.
    pub(crate) fn keeps_executor(&self, executor: ExecutorIx) -> bool {
        self.executors.contains_key(&executor)
    }

    /// The nodes that are avoided.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = HostIx> {
        self.hosts.keys().copied()
    }

    /// Executors with failures that count still, and those that are avoided.
    pub(crate) fn named_executors(&self) -> impl Iterator<Item = ExecutorIx> {
        self.failures.keys().chain(self.executors.keys()).copied()
    }

    /// Ends the exclusion of nodes.
    pub(crate) fn lift_hosts(&mut self) {
        self.hosts.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.executors.is_empty() && self.hosts.is_empty()
    }

    /// When the first exclusion ends.
    pub(crate) fn next_end(&self) -> Option<Duration> {
        let executors = self.executors.values().map(|excluded| excluded.until);
        executors.chain(self.hosts.values().copied()).min()
    }

    /// Drops what is over.
    pub(crate) fn expire(&mut self, now: Duration) {
        self.executors.retain(|_, excluded| excluded.until > now);
        self.hosts.retain(|_, until| *until > now);
        self.failures.retain(|_, ends| ends.iter().any(|&end| end > now));
    }

    /// Drops what is known of an executor that is gone; its node keeps its record.
    pub(crate) fn forget(&mut self, executor: ExecutorIx) {
        self.failures.remove(&executor);
    }
}

/// What is to be known of a stage's exclusions to find them again.
#[derive(Debug, Default)]
pub(crate) struct StageRecord {
    /// Of each task that failed: where, and how often.
    pub(crate) strikes: Vec<(u32, Vec<(ExecutorIx, u32)>)>,
    /// Of each executor: the tasks that failed there.
    pub(crate) failed_on: Vec<(ExecutorIx, Vec<u32>)>,
}

/// What is to be known of the application's exclusions to find them again.
#[derive(Debug, Default)]
pub(crate) struct AppRecord {
    /// Of each executor: until when each of its failures counts.
    pub(crate) failures: Vec<(ExecutorIx, Vec<Duration>)>,
    /// Excluded executors, and until when.
    pub(crate) executors: Vec<(ExecutorIx, Duration)>,
}

impl StageExclusion {
    pub(crate) fn record(&self) -> StageRecord {
        let strikes = |strikes: &Vec<Strike>| {
            let pairs = strikes.iter().map(|strike| (strike.executor, strike.failures));
            pairs.collect()
        };
        StageRecord {
            strikes: self
                .tasks
                .iter()
                .map(|(task, all)| (*task, strikes(all)))
                .collect(),
            failed_on: self
                .failed_on
                .iter()
                .map(|(executor, tasks)| (*executor, tasks.iter().copied().collect()))
                .collect(),
        }
    }

    /// Takes over a record. What was waived because it left no place is not in it: it will be again.
    pub(crate) fn restore(
        &mut self,
        plan: &ExclusionPlan,
        record: StageRecord,
        host_of: impl Fn(ExecutorIx) -> HostIx,
    ) {
        for (executor, tasks) in record.failed_on {
            for task in tasks {
                self.strike(plan, task, executor, host_of(executor));
            }
        }
        let strike = |(executor, failures): (ExecutorIx, u32)| Strike {
            executor,
            host: host_of(executor),
            failures,
        };
        let strikes = record.strikes.into_iter();
        self.tasks = strikes
            .map(|(task, all)| (task, all.into_iter().map(strike).collect()))
            .collect();
    }
}

impl Exclusions {
    /// What counts at `now`.
    pub(crate) fn record(&self, now: Duration) -> AppRecord {
        let live = |ends: &Vec<Duration>| ends.iter().copied().filter(|&end| end > now).collect::<Vec<_>>();
        let failures = self
            .failures
            .iter()
            .map(|(executor, ends)| (*executor, live(ends)));
        let executors = self.executors.iter().filter(|(_, excluded)| excluded.until > now);
        AppRecord {
            failures: failures.filter(|(_, ends)| !ends.is_empty()).collect(),
            executors: executors
                .map(|(executor, excluded)| (*executor, excluded.until))
                .collect(),
        }
    }

    pub(crate) fn restore(
        &mut self,
        plan: &ExclusionPlan,
        record: AppRecord,
        host_of: impl Fn(ExecutorIx) -> HostIx,
    ) {
        self.failures = record.failures.into_iter().collect();
        for (executor, until) in record.executors {
            let host = host_of(executor);
            self.executors.insert(executor, Excluded { host, until });
            let there = self.executors.values().filter(|other| other.host == host);
            if there.clone().count() >= plan.app_per_node as usize {
                let last = there.map(|other| other.until).max().unwrap_or(until);
                self.hosts.insert(host, last);
            }
        }
    }
}

/// Executors and nodes that something is kept from.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    hosts: BTreeSet<HostIx>,
    executors: BTreeMap<ExecutorIx, HostIx>,
}

impl StageExclusion {
    /// Where no task may run.
    pub(crate) fn stage_coverage(&self) -> Coverage {
        Coverage {
            hosts: self.hosts.clone(),
            executors: self.executors.clone(),
        }
    }

    /// Where a task may not run.
    pub(crate) fn coverage(&self, plan: &ExclusionPlan, partition: u32) -> Coverage {
        let Coverage {
            mut hosts,
            mut executors,
        } = self.stage_coverage();
        for strike in self.tasks.get(&partition).into_iter().flatten() {
            if self.task_keeps(plan, partition, strike.executor, strike.host) {
                executors.insert(strike.executor, strike.host);
            }
            let on_node = self.tasks[&partition]
                .iter()
                .filter(|other| other.host == strike.host);
            if on_node.map(|other| other.failures).sum::<u32>() >= plan.task_per_node {
                hosts.insert(strike.host);
            }
        }
        Coverage { hosts, executors }
    }
}

impl Coverage {
    /// Adds what the application avoids.
    pub(crate) fn add(&mut self, exclusions: &Exclusions) {
        self.hosts.extend(exclusions.hosts.keys());
        let executors = exclusions.executors.iter();
        self.executors
            .extend(executors.map(|(&executor, excluded)| (executor, excluded.host)));
    }

    /// How many executors it covers.
    pub(crate) fn executors(&self, hosts: &Hosts, present: impl Fn(ExecutorIx) -> bool) -> u32 {
        let on_hosts: u32 = self.hosts.iter().map(|&host| hosts.executors_on(host)).sum();
        let single = self
            .executors
            .iter()
            .filter(|(_, host)| !self.hosts.contains(host));
        let single = single.filter(|(executor, _)| present(**executor)).count();
        on_hosts + u32::try_from(single).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Ix;

    const PLAN: ExclusionPlan = ExclusionPlan {
        enabled: true,
        timeout: Duration::from_secs(600),
        task_per_executor: 1,
        task_per_node: 2,
        stage_per_executor: 2,
        stage_per_node: 2,
        app_per_executor: 2,
        app_per_node: 2,
    };

    fn executor(number: usize) -> ExecutorIx {
        ExecutorIx::new(number)
    }

    fn host(number: usize) -> HostIx {
        HostIx::new(number)
    }

    #[test]
    fn a_task_avoids_the_executor_it_failed_on_and_then_the_node() {
        let mut stage = StageExclusion::default();
        stage.strike(&PLAN, 7, executor(0), host(0));
        assert!(stage.keeps(&PLAN, 7, executor(0), host(0)));
        assert!(!stage.keeps(&PLAN, 7, executor(1), host(0)));
        assert!(!stage.keeps(&PLAN, 8, executor(0), host(0)));
        stage.strike(&PLAN, 7, executor(1), host(0));
        assert!(stage.keeps(&PLAN, 7, executor(2), host(0)));
    }

    #[test]
    fn a_stage_avoids_executors_where_two_tasks_failed_and_nodes_with_two_of_those() {
        let mut stage = StageExclusion::default();
        for task in [1, 2] {
            stage.strike(&PLAN, task, executor(0), host(0));
        }
        assert!(stage.keeps(&PLAN, 9, executor(0), host(0)));
        assert!(!stage.keeps(&PLAN, 9, executor(1), host(0)));
        for task in [3, 4] {
            stage.strike(&PLAN, task, executor(1), host(0));
        }
        assert!(stage.keeps_all(executor(2), host(0)));
    }

    #[test]
    fn an_application_avoids_for_a_time() {
        let mut app = Exclusions::default();
        let second = Duration::from_secs(1);
        app.strike(&PLAN, executor(0), host(0), 1, second);
        assert!(!app.keeps(executor(0), host(0)));
        app.strike(&PLAN, executor(0), host(0), 1, second);
        assert!(app.keeps(executor(0), host(0)) && !app.keeps(executor(1), host(0)));
        app.strike(&PLAN, executor(1), host(0), 2, second * 2);
        assert!(app.keeps(executor(5), host(0)));
        assert_eq!(app.next_end(), Some(Duration::from_secs(601)));
        app.expire(Duration::from_secs(602));
        assert!(app.is_empty());
    }

    #[test]
    fn old_failures_of_an_executor_are_forgotten() {
        let mut app = Exclusions::default();
        app.strike(&PLAN, executor(0), host(0), 1, Duration::ZERO);
        app.strike(&PLAN, executor(0), host(0), 1, Duration::from_secs(601));
        assert!(app.is_empty());
    }
}
