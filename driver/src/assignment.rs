//! Which task goes to which executor.
//!
//! A round takes executors with free slots and goes through the task sets in the order of their pools. A task set
//! sweeps over the executors, at the nearest locality level first, and takes at most one place of each in a sweep,
//! until a sweep finds nothing: this spreads tasks. After each task the order of the task sets is looked at anew, so
//! shares are kept while slots are given away.

use crate::attempts::{Attempt, CommitState};
use crate::core::Driver;
use crate::event::Effect;
use crate::index::{AttemptIx, ExecutorIx, StageIx};
use crate::journal::fact::AttemptFact;
use crate::locality::{Level, RoundResult};
use crate::stage::Stage;
use crate::task_set::{Task, TaskSet, Terms};
use crate::timers::Timer;

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
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sweep {
    round: u64,
    level: Level,
    next: usize,
    launched: bool,
    exhausted: bool,
    /// The best level of what was launched in the round.
    best: Option<Level>,
    /// Whether an offer was turned down while tasks were pending.
    rejected: bool,
}

impl Sweep {
    pub(crate) fn new() -> Self {
        Self::begin(0, Level::Any)
    }

    fn begin(round: u64, level: Level) -> Self {
        Self {
            round,
            level,
            next: 0,
            launched: false,
            exhausted: false,
            best: None,
            rejected: false,
        }
    }

    /// Ends the round for its task set.
    pub(crate) fn exhaust(&mut self) {
        self.exhausted = true;
    }

    fn is_exhausted(&self, round: u64) -> bool {
        self.round == round && self.exhausted
    }

    fn note_launch(&mut self, level: Level) {
        self.launched = true;
        self.best = Some(self.best.map_or(level, |best| best.min(level)));
    }
}

/// One round of offers.
pub(crate) struct Round {
    number: u64,
    pub(crate) offers: Vec<ExecutorIx>,
    /// Slots that are still free.
    free: u32,
    /// Whether all free slots are on offer.
    complete: bool,
    /// Task sets that were offered something.
    touched: Vec<StageIx>,
}

impl Driver {
    /// Gives free slots to pending tasks.
    pub(crate) fn assign(&mut self, effects: &mut Vec<Effect>) {
        if !self.gate.is_open() {
            return;
        }
        while !self.offers.is_empty() {
            let mut round = self.begin_round();
            self.run_round(&mut round);
            self.end_round(round);
        }
        self.prefetch();
        self.recall_for_idle(effects);
        self.send_launches(effects);
    }

    fn begin_round(&mut self) -> Round {
        let complete = self.offers.all || self.gangs_wait();
        let mut offers = std::mem::take(&mut self.offers.some);
        if complete {
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
            complete,
            touched: Vec::new(),
        }
    }

    fn run_round(&mut self, round: &mut Round) {
        while round.free > 0 {
            let (number, stages) = (round.number, &self.stages);
            let Some(stage) = self
                .queue
                .first(|index| !stages[index].sweep.is_exhausted(number))
            else {
                return;
            };
            if self.stages[stage].sweep.round != round.number {
                let level = self.stages[stage]
                    .tasks
                    .as_ref()
                    .map_or(Level::Any, |tasks| tasks.first_level());
                self.stages[stage].sweep = Sweep::begin(round.number, level);
                round.touched.push(stage);
            }
            if !self.stages[stage].gang {
                self.place_one(stage, round);
            } else if !self.place_gang(stage, round) {
                return;
            }
        }
    }

    fn end_round(&mut self, mut round: Round) {
        let result = |sweep: &Sweep| RoundResult {
            launched: sweep.best,
            rejected: sweep.rejected,
            complete: round.complete,
        };
        for &stage in &round.touched {
            let result = result(&self.stages[stage].sweep);
            self.end_sweeps(stage, result);
        }
        round.offers.clear();
        if self.offers.some.is_empty() {
            self.offers.some = round.offers;
        }
    }

    /// Moves the waits of a stage's locality, and sets the time to look again.
    fn end_sweeps(&mut self, stage: StageIx, result: RoundResult) {
        let Some(tasks) = self.stages[stage].tasks.as_mut() else {
            return;
        };
        let (pending, now) = (tasks.pending() > 0, self.now);
        if let Some(locality) = tasks.locality() {
            locality.end_round(now, result);
            let change = tasks.locality_changes_at(now, &self.plan.scheduling.locality);
            match change.filter(|_| pending) {
                Some(at) => self.timers.set(Timer::Locality(stage), at),
                None => self.timers.clear(Timer::Locality(stage)),
            }
        }
        if result.rejected {
            self.waive_exclusions(stage, None);
        }
    }

    /// The next offer to look at; none when a whole sweep at the last level found nothing.
    fn advance(&mut self, stage: StageIx, offers: usize) -> Option<usize> {
        let stage = &mut self.stages[stage];
        let sweep = &mut stage.sweep;
        if sweep.next == offers {
            if !sweep.launched {
                let next = stage
                    .tasks
                    .as_ref()
                    .and_then(|tasks| tasks.next_level(sweep.level));
                sweep.exhausted = next.is_none();
                sweep.level = next?;
            }
            sweep.next = 0;
            sweep.launched = false;
        }
        sweep.next += 1;
        Some(sweep.next - 1)
    }

    /// Launches one task of a task set, or finds that none can be.
    pub(crate) fn place_one(&mut self, stage: StageIx, round: &mut Round) {
        while let Some(next) = self.advance(stage, round.offers.len()) {
            let executor = round.offers[next];
            let Stage { cores, needs, .. } = &self.stages[stage];
            let (cores, offered) = (*cores, self.executors.free.of(executor));
            if offered < cores || !self.executors[executor].spare.holds(needs) {
                continue;
            }
            if let Some((partition, level)) = self.take_task(stage, executor) {
                self.launch(stage, partition, executor, false);
                self.stages[stage].sweep.note_launch(level);
                round.free -= cores.min(round.free);
                return;
            }
        }
    }

    /// The next task of a stage for an executor.
    fn take_task(&mut self, index: StageIx, executor: ExecutorIx) -> Option<(u32, Level)> {
        let mut offer = self.executors.offer(executor);
        offer.takes_suspects |= self.stages[index].gang;
        let level = self.stages[index].sweep.level;
        let taken = self.with_terms(index, |tasks, terms| tasks.take(&offer, level, terms))?;
        let stage = &mut self.stages[index];
        let tasks = stage.tasks.as_mut()?;
        if taken.is_none() && stage.sweep.level == Level::Any {
            stage.sweep.rejected |= tasks.pending() > 0;
        }
        if !tasks.wants_slots() {
            self.queue.set_pending(index, false);
        }
        taken
    }

    /// Has something looked up in the task set of a stage that depends on what else is known.
    pub(crate) fn with_terms<T>(
        &mut self,
        index: StageIx,
        look: impl FnOnce(&mut TaskSet, &Terms<'_>) -> T,
    ) -> Option<T> {
        let (attempts, executors) = (&self.attempts, &self.executors);
        let tried = |task: &Task| {
            let live = std::iter::successors(task.live, |&index| attempts.get(index)?.sibling);
            let hosts = live.filter_map(|index| Some(executors[attempts.get(index)?.executor].host));
            hosts.collect()
        };
        let terms = Terms {
            now: self.now,
            scheduling: &self.plan.scheduling,
            tried: &tried,
        };
        let tasks = self.stages[index].tasks.as_mut()?;
        Some(look(tasks, &terms))
    }

    /// Has a task that was taken from its set run on an executor, with slots of its own or ahead of them.
    pub(crate) fn launch(&mut self, index: StageIx, partition: u32, executor: ExecutorIx, queued: bool) {
        self.note_fact(|_| AttemptFact::Launched {
            stage: index.number(),
            partition,
            executor: executor.number(),
            queued,
        });
        let mut attempt = self.new_attempt(index, partition, executor);
        attempt.queued = queued;
        let id = attempt.id(self.stages[index].key.job);
        self.stages[index].times.first_launch.get_or_insert(self.now);
        self.count_place(index, partition, executor);
        self.insert_attempt(attempt);
        self.watch_for_slow_tasks();
        self.enqueue_launch(executor, id);
    }

    fn count_place(&mut self, index: StageIx, partition: u32, executor: ExecutorIx) {
        let offer = self.executors.offer(executor);
        let stage = &mut self.stages[index];
        if let Some(tasks) = &stage.tasks {
            stage.placed.add(tasks.level(partition, &offer, &self.executors));
        }
    }

    /// Begins the life of an attempt: it takes its slots or its place in the queue, and its task knows it.
    pub(crate) fn insert_attempt(&mut self, attempt: Attempt) {
        let (stage, partition, number) = (attempt.stage, attempt.partition, attempt.number);
        let (executor, cores, queued) = (attempt.executor, attempt.cores, attempt.queued);
        let level = attempt.level;
        self.executors[executor].suspects += u32::from(attempt.suspected);
        let index = self.attempts.insert(attempt);
        if queued {
            self.enter_queue(executor, index);
        } else {
            self.executors.take(executor, cores, &self.stages[stage].needs);
            self.executors[executor].attempts.push(index);
        }
        if let Some(tasks) = &mut self.stages[stage].tasks {
            tasks.running += 1;
            if queued {
                tasks.enters_queue(level);
            }
            if let Some(task) = tasks.get_mut(partition) {
                task.live = Some(index);
                task.next_attempt = task.next_attempt.max(number + 1);
            }
        }
        self.queue.note_launch(stage);
        if !queued {
            self.tell_launch(index);
        }
    }

    fn level_on(&self, index: StageIx, partition: u32, executor: ExecutorIx) -> Level {
        let offer = self.executors.offer(executor);
        let tasks = self.stages[index].tasks.as_ref();
        tasks.map_or(Level::NoPreference, |tasks| {
            tasks.level(partition, &offer, &self.executors)
        })
    }

    pub(crate) fn new_attempt(&self, index: StageIx, partition: u32, executor: ExecutorIx) -> Attempt {
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
            queued: false,
            recalled: false,
            suspected: stage
                .tasks
                .as_ref()
                .is_some_and(|tasks| tasks.suspects.is_suspected(partition)),
            commit: CommitState::NotAsked,
            cancelled: None,
            progress: 0.0,
            status: String::new(),
            resident: 0,
            counters: Vec::new(),
            level: self.level_on(index, partition, executor),
            sibling: task.and_then(|task| task.live),
        }
    }

    /// Ends the life of an attempt: its slots are free, its task no longer knows it.
    pub(crate) fn retire(&mut self, index: AttemptIx) -> Option<Attempt> {
        let queued = self.attempts.get(index)?.queued;
        self.leave_queue(index);
        let attempt = self.attempts.remove(index)?;
        let executor = &mut self.executors[attempt.executor];
        executor.suspects -= u32::from(attempt.suspected);
        if !queued {
            executor.attempts.retain(|&other| other != index);
            executor.free += attempt.cores;
            executor.spare.give_back(&self.stages[attempt.stage].needs);
        }
        if executor.is_idle() {
            executor.idle_since = self.now;
        }
        self.promote(attempt.executor);
        self.offers.one(attempt.executor);
        if !self.replaying {
            self.prefetch.one(attempt.executor);
        }
        self.unlink(index, &attempt);
        self.queue.note_end(attempt.stage);
        Some(attempt)
    }

    /// Takes an attempt out of the list of its task, wherever it is there: an original, its copy, and those that
    /// executors report after a recovery.
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
            return;
        }
        let mut next = task.live;
        while let Some(other) = next.and_then(|other| self.attempts.get_mut(other)) {
            if other.sibling == Some(index) {
                other.sibling = attempt.sibling;
                return;
            }
            next = other.sibling;
        }
    }
}
