//! Tasks that may be what ends executors.
//!
//! A task is blamed for the end of its executor when it had begun. One that ends it in its first moments may never be
//! known to have begun: the news dies with the executor. It would run again and again, take an executor with it each
//! time, and end the application for want of executors without ever having been named. So a task that was on an
//! executor which tasks can be blamed for ([`ExecutorLoss::counts_for_tasks`]) is remembered until it is done:
//!
//! - while one of those waits, nothing of its stage is sent ahead of free slots, so that when an executor is lost it is
//!   known which tasks had one;
//! - a task that had a slot there while one was not known to have begun is under suspicion, and so is whatever had a slot
//!   on a second one. Of these an executor is given one at a time, so that the innocent get away. One loss with nothing
//!   but tasks that had begun says little: they have it counted, and run side by side again;
//! - its failures are not counted unless it is known to have begun, but when more executors were lost with it in a slot
//!   than a task may have failures, its job ends for that reason. Spark goes on for as long as it gets executors.
//!
//! What is remembered does not outlive the process: another ApplicationMaster begins anew. Gangs start whole, so they
//! are not kept apart.
//!
//! [`ExecutorLoss::counts_for_tasks`]: wire::failure::ExecutorLoss::counts_for_tasks

use std::collections::{BTreeMap, BTreeSet};

use wire::failure::ExecutorLoss;

use crate::core::Driver;
use crate::event::Effect;
use crate::index::{AttemptIx, ExecutorIx, StageIx};
use crate::journal::fact::ApplicationFact;
use crate::stage::Stage;

/// What is held against a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    /// Executors that were lost while it had a slot there.
    with_slot: u32,
    /// The last of them.
    last: Option<ExecutorIx>,
}

/// The tasks of a stage that were on lost executors and are not done.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    tasks: BTreeMap<u32, Record>,
    /// Those that are to be the only one of their kind on their executor.
    apart: BTreeSet<u32>,
}

/// Where an attempt was on an executor that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Queue,
    /// All that had one were known to have begun.
    Slot,
    /// Not all that had one were known to have begun.
    DoubtfulSlot,
}

impl Suspects {
    /// An executor was lost that had a task. Gives how many were that had it in a slot.
    fn note(&mut self, partition: u32, executor: ExecutorIx, place: Place) -> u32 {
        let record = self.tasks.entry(partition).or_default();
        if place != Place::Queue {
            record.with_slot += 1;
            record.last = Some(executor);
        }
        if place == Place::DoubtfulSlot || record.with_slot > 1 {
            self.apart.insert(partition);
        }
        record.with_slot
    }

    /// A task is done.
    pub(crate) fn clear(&mut self, partition: u32) {
        self.tasks.remove(&partition);
        self.apart.remove(&partition);
    }

    /// Whether a task is to be the only one of its kind on its executor.
    pub(crate) fn is_suspected(&self, partition: u32) -> bool {
        self.apart.contains(&partition)
    }

    /// Every task that was on a lost executor.
    pub(crate) fn all(&self) -> impl Iterator<Item = u32> {
        self.tasks.keys().copied()
    }

    /// The tasks that were in slots of the most lost executors, of these of the last one; none for a single one.
    fn prime(&self) -> Option<(Record, Vec<u32>)> {
        let most = *self.tasks.values().max()?;
        let prime = self.tasks.iter().filter(|(_, record)| **record == most);
        (most.with_slot > 1).then(|| (most, prime.map(|(&partition, _)| partition).collect()))
    }
}

impl Driver {
    /// Whether an attempt with a slot on an executor is not known to have begun.
    pub(crate) fn is_doubtful(&self, executor: ExecutorIx) -> bool {
        let held = self.executors[executor].attempts.iter();
        let mut attempts = held.filter_map(|&index| self.attempts.get(index));
        attempts.any(|attempt| !attempt.started)
    }

    /// Remembers that an attempt was on an executor that is lost, `doubtful` when [`Driver::is_doubtful`] said so.
    /// Gives the cause for its job to end when that has happened once too often.
    pub(crate) fn suspect(
        &mut self,
        index: AttemptIx,
        loss: ExecutorLoss,
        doubtful: bool,
    ) -> Option<(u32, String)> {
        let attempt = self.attempts.get(index).filter(|_| loss.counts_for_tasks())?;
        let stage = &mut self.stages[attempt.stage];
        let limit = stage.max_failures;
        let tasks = stage.tasks.as_mut()?;
        let place = match (attempt.queued, doubtful) {
            (true, _) => Place::Queue,
            (false, false) => Place::Slot,
            (false, true) => Place::DoubtfulSlot,
        };
        let lost = tasks.suspects.note(attempt.partition, attempt.executor, place);
        let job = stage.key.job;
        (lost > limit).then(|| (job, self.cause_of_suspicion(index, lost, loss)))
    }

    fn cause_of_suspicion(&self, index: AttemptIx, lost: u32, loss: ExecutorLoss) -> String {
        let Some(attempt) = self.attempts.get(index) else {
            return String::new();
        };
        let executor = &self.executors[attempt.executor];
        let (stage, host) = (
            self.stage_name(attempt.stage),
            self.executors.hosts.name(executor.host),
        );
        let (task, number, id) = (attempt.partition, attempt.number, &executor.id);
        format!(
            "stage {stage}, task {task} was about to begin or running on {lost} executors when they were lost; last \
             attempt {task}.{number} on {host} ({id}): executor lost: {loss}"
        )
    }

    /// Ends jobs that take one executor after the other with them.
    pub(crate) fn end_suspected(&mut self, jobs: Vec<(u32, String)>, effects: &mut Vec<Effect>) {
        for (job, cause) in jobs {
            if self.jobs[job as usize].is_running() && !self.replaying {
                self.note_fact(|_| ApplicationFact::JobFailed {
                    job,
                    cause: cause.clone(),
                });
                self.culprit = Some(cause.clone());
                self.fail_job(job, cause, effects);
            }
        }
    }

    /// The sentence that names the tasks that were on the most lost executors.
    pub(crate) fn suspicion(&self) -> Option<String> {
        let prime = |(index, stage): (StageIx, &Stage)| {
            let (record, tasks) = stage.tasks.as_ref()?.suspects.prime()?;
            Some((record, index, tasks))
        };
        let primes = self.stages.iter().filter_map(prime);
        let Some((record, index, tasks)) = primes.max_by_key(|(record, ..)| *record) else {
            return self.culprit.clone();
        };
        let (name, lost, first) = (self.stage_name(index), record.with_slot, tasks.first()?);
        let others = match tasks.len() - 1 {
            0 => String::new(),
            1 => ", and so had one other task".to_owned(),
            others => format!(", and so had {others} other tasks"),
        };
        Some(format!(
            "stage {name}, task {first} had a slot on {lost} of the lost executors{others}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Ix;

    #[test]
    fn the_task_that_was_on_the_most_lost_executors_and_on_the_last_is_the_prime_suspect() {
        let executor = ExecutorIx::new;
        let mut suspects = Suspects::default();
        suspects.note(4, executor(0), Place::DoubtfulSlot);
        suspects.note(7, executor(0), Place::DoubtfulSlot);
        assert_eq!(
            suspects.prime().map(|(_, tasks)| tasks),
            None,
            "one loss says nothing"
        );
        suspects.note(7, executor(1), Place::Queue);
        suspects.note(7, executor(2), Place::DoubtfulSlot);
        suspects.note(9, executor(2), Place::Queue);
        assert_eq!(suspects.prime().map(|(_, tasks)| tasks), Some(vec![7]));
        suspects.note(4, executor(3), Place::DoubtfulSlot);
        assert_eq!(suspects.prime().map(|(_, tasks)| tasks), Some(vec![4]));
        assert!(suspects.is_suspected(4) && !suspects.is_suspected(9));
        suspects.clear(4);
        assert!(!suspects.is_suspected(4));
        assert_eq!(suspects.all().collect::<Vec<_>>(), [7, 9]);
    }

    #[test]
    fn one_loss_among_tasks_that_had_begun_brings_nobody_under_suspicion() {
        let executor = ExecutorIx::new;
        let mut suspects = Suspects::default();
        assert_eq!(suspects.note(1, executor(0), Place::Slot), 1);
        suspects.note(1, executor(1), Place::Queue);
        assert!(!suspects.is_suspected(1));
        assert_eq!(suspects.note(1, executor(2), Place::Slot), 2);
        assert!(suspects.is_suspected(1));
    }
}
