//! Second copies of tasks that run much longer than their neighbours did; the first of the two to end wins.
//!
//! As in Spark: once a share of a stage's tasks is done, a task is slow when it has run for longer than a multiple
//! of the median of those. A task that reports progress gets no copy if it will be done before a copy could be:
//! that much of MapReduce's estimate is used. A copy never goes to a node that already tries the task.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::attempts::Attempt;
use crate::core::Driver;
use crate::index::StageIx;
use crate::policy::SpeculationPlan;
use crate::stage::Stage;
use crate::timers::Timer;

/// The median of durations that keep coming; each costs 8 bytes and a logarithm.
#[derive(Debug, Default)]
pub(crate) struct Median {
    lower: BinaryHeap<u64>,
    upper: BinaryHeap<Reverse<u64>>,
}

impl Median {
    pub(crate) fn add(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.lower.push(micros);
        self.upper.extend(self.lower.pop().map(Reverse));
        if self.upper.len() > self.lower.len() {
            self.lower.extend(self.upper.pop().map(|Reverse(micros)| micros));
        }
    }

    pub(crate) fn get(&self) -> Option<Duration> {
        let &low = self.lower.peek()?;
        let high = match self.upper.peek() {
            Some(&Reverse(high)) if self.upper.len() == self.lower.len() => high,
            Some(_) | None => low,
        };
        Some(Duration::from_micros(low + (high - low) / 2))
    }
}

/// How long a task of a stage may run before it is slow; none while too few are done.
fn threshold(plan: &SpeculationPlan, stage: &Stage) -> Option<(Duration, Duration)> {
    let tasks = stage.tasks.as_ref()?;
    if !stage.is_running() || stage.gang || tasks.total() < 2 {
        return None;
    }
    let needed = (plan.quantile * f64::from(tasks.total())).floor().max(1.0);
    if f64::from(tasks.done()) < needed {
        return None;
    }
    let median = tasks.median()?;
    Some((median.mul_f64(plan.multiplier).max(plan.min_runtime), median))
}

/// Whether an attempt is slow at a time.
fn is_slow(attempt: &Attempt, now: Duration, threshold: Duration, median: Duration) -> bool {
    let ran = now.saturating_sub(attempt.launched_at);
    if ran <= threshold || attempt.cancelled.is_some() || attempt.queued {
        return false;
    }
    let progress = f64::from(attempt.progress);
    let soon_done = progress > 0.0 && ran.mul_f64((1.0 - progress.min(1.0)) / progress) < median;
    !soon_done
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
            let (limit, median) = limits[attempt.stage.number() as usize]?;
            is_slow(attempt, self.now, limit, median).then_some((attempt.stage, attempt.partition))
        });
        for (stage, partition) in slow.collect::<Vec<_>>() {
            self.offer_copy(stage, partition);
        }
        if self.attempts.len() > 0 {
            self.timers.set(Timer::Speculation, self.now + plan.interval);
        }
    }

    fn offer_copy(&mut self, stage: StageIx, partition: u32) {
        let attempts = &self.attempts;
        let Some(tasks) = self.stages[stage].tasks.as_mut() else {
            return;
        };
        let copies = tasks
            .get(partition)
            .and_then(|task| attempts.get(task.live?))
            .map(|first| first.sibling);
        if copies == Some(None) && tasks.offer_copy(partition) {
            self.offer_stage(stage);
        }
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

    proptest! {
        #[test]
        fn the_median_is_that_of_the_sorted_list(mut micros in prop::collection::vec(0u64..1000, 1..50)) {
            let mut median = Median::default();
            micros.iter().for_each(|&each| median.add(Duration::from_micros(each)));
            micros.sort_unstable();
            let (low, high) = (micros[(micros.len() - 1) / 2], micros[micros.len() / 2]);
            prop_assert_eq!(median.get(), Some(Duration::from_micros(low + (high - low) / 2)));
        }
    }
}
