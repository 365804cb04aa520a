//! Which task goes to which executor.
//!
//! A round takes executors with free slots and goes through the task sets in the order of their pools. A task set
//! sweeps over the executors and takes at most one place of each in a sweep, until a sweep finds nothing: this
//! spreads tasks. After each task the order of the task sets is looked at anew, so shares are kept while slots are
//! given away.

use crate::attempts::{Attempt, CommitState};
use crate::core::Driver;
use crate::event::Effect;
use crate::index::{AttemptIx, ExecutorIx, StageIx};

/// The executors whose slots are to be given away.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    all: bool,
    some: Vec<ExecutorIx>,
}

impl Offers {
    /// Something has changed that may make any free slot useful.
    pub(crate) fn everyone(&mut self) {
        self.all = true;
    }

    /// An executor has a slot free that it did not have.
    pub(crate) fn one(&mut self, executor: ExecutorIx) {
        if !self.all {
            self.some.push(executor);
        }
    }

    fn is_empty(&self) -> bool {
        !self.all && self.some.is_empty()
    }
}

/// How far a round has come with a task set.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sweep {
    round: u64,
    next: usize,
    launched: bool,
    exhausted: bool,
}

impl Sweep {
    fn is_exhausted(&self, round: u64) -> bool {
        self.round == round && self.exhausted
    }

    fn begin(&mut self, round: u64) {
        if self.round != round {
            *self = Self {
                round,
                ..Self::default()
            };
        }
    }

    /// The next offer to look at; none when a whole sweep found nothing.
    fn advance(&mut self, offers: usize) -> Option<usize> {
        if self.next == offers {
            if !self.launched {
                self.exhausted = true;
                return None;
            }
            self.next = 0;
            self.launched = false;
        }
        self.next += 1;
        Some(self.next - 1)
    }
}

/// One round of offers.
struct Round {
    number: u64,
    offers: Vec<ExecutorIx>,
    /// Slots that are still free.
    free: u32,
}

impl Driver {
    /// Gives free slots to pending tasks.
    pub(crate) fn assign(&mut self, effects: &mut Vec<Effect>) {
        if self.offers.is_empty() || !self.gate.is_open() {
            return;
        }
        let mut round = self.begin_round();
        while round.free > 0 {
            let (number, stages) = (round.number, &self.stages);
            let Some(stage) = self
                .queue
                .first(|index| !stages[index].sweep.is_exhausted(number))
            else {
                break;
            };
            self.place_one(stage, &mut round);
        }
        self.end_round(round);
        self.send_launches(effects);
    }

    fn begin_round(&mut self) -> Round {
        let mut offers = std::mem::take(&mut self.offers.some);
        if self.offers.all {
            offers.clear();
            self.executors
                .free
                .ordered(self.plan.scheduling.placement, &mut offers);
        }
        self.offers.all = false;
        let free = offers.iter().map(|&executor| self.executors.free.of(executor));
        Round {
            number: self.queue.next_round(),
            free: free.fold(0, u32::saturating_add),
            offers,
        }
    }

    fn end_round(&mut self, mut round: Round) {
        round.offers.clear();
        self.offers.some = round.offers;
    }

    /// Launches one task of a task set, or finds that none can be.
    fn place_one(&mut self, stage: StageIx, round: &mut Round) {
        self.stages[stage].sweep.begin(round.number);
        while let Some(next) = self.stages[stage].sweep.advance(round.offers.len()) {
            let executor = round.offers[next];
            let cores = self.stages[stage].cores;
            if self.executors.free.of(executor) < cores {
                continue;
            }
            if let Some(partition) = self.take_task(stage, executor) {
                self.launch(stage, partition, executor);
                self.stages[stage].sweep.launched = true;
                round.free -= cores.min(round.free);
                return;
            }
        }
    }

    /// The next task of a stage for an executor.
    fn take_task(&mut self, index: StageIx, _executor: ExecutorIx) -> Option<u32> {
        let stage = &mut self.stages[index];
        let tasks = stage.tasks.as_mut()?;
        let partition = tasks.take()?;
        if tasks.pending() == 0 {
            self.queue.set_pending(index, stage.key, false);
        }
        Some(partition)
    }

    fn launch(&mut self, index: StageIx, partition: u32, executor: ExecutorIx) {
        let attempt = self.new_attempt(index, partition, executor);
        let id = attempt.id(self.stages[index].key.job);
        self.executors.take_slots(executor, attempt.cores);
        let attempt = self.attempts.insert(attempt);
        self.executors[executor].attempts.push(attempt);
        let stage = &mut self.stages[index];
        stage.times.first_launch.get_or_insert(self.now);
        if let Some(tasks) = &mut stage.tasks {
            tasks.running += 1;
            if let Some(task) = tasks.get_mut(partition) {
                task.live = Some(attempt);
                task.next_attempt += 1;
            }
        }
        self.enqueue_launch(executor, id);
    }

    fn new_attempt(&self, index: StageIx, partition: u32, executor: ExecutorIx) -> Attempt {
        let stage = &self.stages[index];
        let task = stage.tasks.as_ref().and_then(|tasks| tasks.get(partition));
        Attempt {
            stage: index,
            stage_attempt: stage.key.stage_attempt,
            partition,
            number: task.map_or(0, |task| task.next_attempt),
            executor,
            cores: stage.cores,
            launched_at: self.now,
            seen_at: self.now,
            started: false,
            speculative: task.is_some_and(|task| task.live.is_some()),
            commit: CommitState::NotAsked,
            cancelled: None,
            progress: 0.0,
            resident: 0,
            sibling: task.and_then(|task| task.live),
        }
    }

    /// Ends the life of an attempt: its slots are free, its task no longer knows it.
    pub(crate) fn retire(&mut self, index: AttemptIx) -> Option<Attempt> {
        let attempt = self.attempts.remove(index)?;
        let executor = &mut self.executors[attempt.executor];
        executor.attempts.retain(|&other| other != index);
        if executor.attempts.is_empty() {
            executor.idle_since = self.now;
        }
        self.executors.return_slots(attempt.executor, attempt.cores);
        self.offers.one(attempt.executor);
        self.unlink(index, &attempt);
        Some(attempt)
    }

    /// Takes an attempt out of the list of its task.
    fn unlink(&mut self, index: AttemptIx, attempt: &Attempt) {
        let Some(tasks) = self.stages[attempt.stage].tasks.as_mut() else {
            return;
        };
        tasks.running -= 1;
        let Some(task) = tasks.get_mut(attempt.partition) else {
            return;
        };
        if task.live == Some(index) {
            task.live = attempt.sibling;
        } else if let Some(other) = task.live.and_then(|head| self.attempts.get_mut(head)) {
            other.sibling = attempt.sibling;
        }
    }
}
