//! Second copies of tasks that run much longer than their neighbours did; the first of the two to end wins.
//!
//! Tasks that say nothing about their progress are judged as in Spark: once a share of a stage's tasks is done, a task is
//! slow when it has run for longer than a multiple of the median of those. A task that reports progress is judged by what
//! that promises, as in MapReduce (`DefaultSpeculator` with `LegacyTaskRuntimeEstimator`): it gets a copy when a copy begun
//! now would end before it, the one that gains most first, one of a stage in a second, and never many at a time. A copy
//! never goes to a node that already tries the task.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use crate::attempts::Attempt;
use crate::core::Driver;
use crate::index::{AttemptIx, StageIx};
use crate::policy::SpeculationPlan;
use crate::stage::Stage;
use crate::task_set::TaskSet;
use crate::timers::Timer;

/// The share of a stage's tasks that must be done before progress is trusted to tell slow from new
/// (`MINIMUM_COMPLETE_PROPORTION_TO_SPECULATE`).
const DONE_BEFORE_ESTIMATES: f64 = 0.05;
/// From one copy of a stage that an estimate asks for to the next (`retry-after-no-speculate`).
const ESTIMATE_PAUSE: Duration = Duration::from_secs(1);
/// Copies of a stage that estimates may have running at a time: as many, or these shares of all tasks and of those that
/// run (`minimum-allowed-tasks`, `speculative-cap-total-tasks`, `speculative-cap-running-tasks`).
const MOST_COPIES: f64 = 10.0;
const MOST_OF_ALL: f64 = 0.01;
const MOST_OF_RUNNING: f64 = 0.1;

/// How long tasks took, as they keep coming; each costs 8 bytes and a logarithm.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    lower: BinaryHeap<u64>,
    upper: BinaryHeap<Reverse<u64>>,
    sum: u128,
    squares: u128,
}

impl Durations {
    pub(crate) fn add(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.sum += u128::from(micros);
        self.squares = self.squares.saturating_add(u128::from(micros).pow(2));
        self.lower.push(micros);
        self.upper.extend(self.lower.pop().map(Reverse));
        if self.upper.len() > self.lower.len() {
            self.lower.extend(self.upper.pop().map(|Reverse(micros)| micros));
        }
    }

    pub(crate) fn median(&self) -> Option<Duration> {
        let &low = self.lower.peek()?;
        let high = match self.upper.peek() {
            Some(&Reverse(high)) if self.upper.len() == self.lower.len() => high,
            Some(_) | None => low,
        };
        Some(Duration::from_micros(low + (high - low) / 2))
    }

    /// The mean and the standard deviation.
    fn spread(&self) -> Option<(Duration, Duration)> {
        let count = self.lower.len() + self.upper.len();
        if count == 0 {
            return None;
        }
        let mean = self.sum as f64 / count as f64;
        let variance = (self.squares as f64 / count as f64 - mean * mean).max(0.0);
        let micros = |micros: f64| Duration::from_micros(micros as u64);
        Some((micros(mean), micros(variance.sqrt())))
    }
}

/// How long a task of a stage may run before it is slow; none while too few are done.
fn threshold(plan: &SpeculationPlan, stage: &Stage) -> Option<Duration> {
    let tasks = candidates(stage)?;
    let needed = (plan.quantile * f64::from(tasks.total())).floor().max(1.0);
    if f64::from(tasks.done()) < needed {
        return None;
    }
    let median = tasks.durations()?.median()?;
    Some(median.mul_f64(plan.multiplier).max(plan.min_runtime))
}

/// The tasks of a stage, if they may have copies.
fn candidates(stage: &Stage) -> Option<&TaskSet> {
    let tasks = stage.tasks.as_ref()?;
    (stage.is_running() && !stage.gang && tasks.total() > 1).then_some(tasks)
}

/// How long an attempt has run that may have a copy; none for others.
fn ran(attempt: &Attempt, now: Duration) -> Option<Duration> {
    let counts = attempt.cancelled.is_none() && !attempt.queued;
    counts.then(|| now.saturating_sub(attempt.launched_at))
}

/// Whether an attempt that says nothing about its progress is slow at a time.
fn is_slow(attempt: &Attempt, now: Duration, threshold: Duration) -> bool {
    attempt.progress <= 0.0 && ran(attempt, now).is_some_and(|ran| ran > threshold)
}

/// By how much a copy begun now would end before an attempt that reports progress.
///
/// The attempt's whole time is what it had taken by its last report over the progress it had made; a copy takes the mean
/// of the tasks that are done. Whoever is within one standard deviation of that mean is not slow.
fn gain(attempt: &Attempt, now: Duration, (mean, deviation): (Duration, Duration)) -> Option<Duration> {
    let ran = ran(attempt, now)?;
    let reported = attempt.seen_at.saturating_sub(attempt.launched_at);
    let whole = Duration::try_from_secs_f64(reported.as_secs_f64() / f64::from(attempt.progress)).ok()?;
    let left = whole.saturating_sub(ran);
    let gain = left.checked_sub(mean)?;
    (whole > mean + deviation && !gain.is_zero()).then_some(gain)
}

/// Mean and deviation of the tasks of a stage that are done, if they are enough to go by and a copy may be begun now.
fn usual_times(stage: &Stage, now: Duration) -> Option<(Duration, Duration)> {
    let tasks = candidates(stage)?;
    let rested = stage.copied_at.is_none_or(|at| at + ESTIMATE_PAUSE <= now);
    let needed = (DONE_BEFORE_ESTIMATES * f64::from(tasks.total())).max(1.0);
    let spread = tasks.durations()?.spread()?;
    (rested && f64::from(tasks.done()) >= needed).then_some(spread)
}

/// How many copies of a stage may run because of estimates.
fn most_copies(tasks: &TaskSet) -> f64 {
    let shares = [
        MOST_OF_ALL * f64::from(tasks.total()),
        MOST_OF_RUNNING * f64::from(tasks.running),
    ];
    shares.into_iter().fold(MOST_COPIES, f64::max)
}

impl Driver {
    /// Looks for slow tasks, and looks again after the interval as long as there may be any.
    pub(crate) fn speculate(&mut self) {
        let plan = self.plan.scheduling.speculation;
        let limits: Vec<_> = self
            .stages
            .iter()
            .map(|(_, stage)| threshold(&plan, stage))
            .collect();
        let slow = self.attempts.iter().filter_map(|(_, attempt)| {
            let limit = limits[attempt.stage.number() as usize]?;
            is_slow(attempt, self.now, limit).then_some((attempt.stage, attempt.partition))
        });
        for (stage, partition) in slow.collect::<Vec<_>>() {
            self.offer_copy(stage, partition);
        }
        for (stage, partition) in self.worthwhile() {
            if self.offer_copy(stage, partition) {
                self.stages[stage].copied_at = Some(self.now);
            }
        }
        if self.attempts.len() > 0 {
            self.timers.set(Timer::Speculation, self.now + plan.interval);
        }
    }

    /// Of each stage the task whose copy would gain most by the progress that it reports, if one may be begun.
    fn worthwhile(&self) -> Vec<(StageIx, u32)> {
        let stages = self.stages.iter();
        let terms: Vec<_> = stages.map(|(_, stage)| usual_times(stage, self.now)).collect();
        let mut copies: BTreeMap<StageIx, f64> = BTreeMap::new();
        let mut best: BTreeMap<StageIx, (Duration, Reverse<u32>)> = BTreeMap::new();
        for (index, attempt) in self.attempts.iter() {
            let stage = attempt.stage;
            let Some(spread) = terms[stage.number() as usize] else {
                continue;
            };
            if attempt.sibling.is_some() {
                *copies.entry(stage).or_insert(0.0) += 1.0;
            } else if let Some(gain) =
                gain(attempt, self.now, spread).filter(|_| self.is_alone(index, attempt))
            {
                let claim = (gain, Reverse(attempt.partition));
                best.entry(stage)
                    .and_modify(|best| *best = claim.max(*best))
                    .or_insert(claim);
            }
        }
        let fits = |stage: &StageIx| {
            let limit = self.stages[*stage].tasks.as_ref().map_or(0.0, most_copies);
            copies.get(stage).copied().unwrap_or(0.0) < limit
        };
        let best = best.into_iter().filter(|(stage, _)| fits(stage));
        best.map(|(stage, (_, Reverse(partition)))| (stage, partition))
            .collect()
    }

    /// Whether an attempt is the only one of its task.
    fn is_alone(&self, index: AttemptIx, attempt: &Attempt) -> bool {
        let tasks = self.stages[attempt.stage].tasks.as_ref();
        let task = tasks.and_then(|tasks| tasks.get(attempt.partition));
        task.is_some_and(|task| task.live == Some(index) && attempt.sibling.is_none())
    }

    /// Lets a task have a copy that has none; false when nothing changes by that, or what it would read is lost.
    fn offer_copy(&mut self, stage: StageIx, partition: u32) -> bool {
        let follows = !self.stages[stage].with.is_empty();
        if follows && self.predecessors_place(stage, partition).is_none() {
            return false;
        }
        let attempts = &self.attempts;
        let Some(tasks) = self.stages[stage].tasks.as_mut() else {
            return false;
        };
        let copies = tasks
            .get(partition)
            .and_then(|task| attempts.get(task.live?))
            .map(|first| first.sibling);
        let offered = copies == Some(None) && tasks.offer_copy(partition);
        if offered {
            self.offer_stage(stage);
        }
        offered
    }

    /// Begins to look for slow tasks if that is wanted and nobody does.
    pub(crate) fn watch_for_slow_tasks(&mut self) {
        let plan = &self.plan.scheduling.speculation;
        if plan.enabled {
            self.timers.set_once(Timer::Speculation, self.now + plan.interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mean_and_deviation_are_those_of_all() {
        let mut durations = Durations::default();
        assert_eq!(durations.spread(), None);
        for seconds in [2, 4, 4, 4, 5, 5, 7, 9] {
            durations.add(Duration::from_secs(seconds));
        }
        let expected = (Duration::from_secs(5), Duration::from_secs(2));
        assert_eq!(durations.spread(), Some(expected));
    }

    proptest! {
        #[test]
        fn the_median_is_that_of_the_sorted_list(mut micros in prop::collection::vec(0u64..1000, 1..50)) {
            let mut durations = Durations::default();
            micros.iter().for_each(|&each| durations.add(Duration::from_micros(each)));
            micros.sort_unstable();
            let (low, high) = (micros[(micros.len() - 1) / 2], micros[micros.len() / 2]);
            prop_assert_eq!(durations.median(), Some(Duration::from_micros(low + (high - low) / 2)));
        }
    }
}
