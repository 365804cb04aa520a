//! The tasks of one stage: which are pending, running and done.
//!
//! A task costs 32 bytes. Tasks that never ran are a range and not a list; one that has to run again lies on top
//! of them, so that a failure that repeats is seen early. A task that waits for its own predecessor is blocked, and
//! comes after all others once it is free.

use std::collections::VecDeque;
use std::time::Duration;

use crate::event::TaskInput;
use crate::exclusion::StageExclusion;
use crate::executors::Executors;
use crate::hosts::Hosts;
use crate::index::{AttemptIx, ExecutorIx, HostIx};
use crate::inputs::TaskInputs;
use crate::locality::{Fitness, Level, Locality, Offer, take_last};
use crate::policy::{LocalityWaits, Scheduling};
use crate::speculation::Durations;
use crate::suspicion::Suspects;

/// What a task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// Its predecessor is not done.
    Blocked,
    Pending,
    Running,
    Done,
}

/// One task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    /// The first of its live attempts.
    pub(crate) live: Option<AttemptIx>,
    /// Where its result was made.
    pub(crate) place: Option<ExecutorIx>,
    /// The number of its next attempt.
    pub(crate) next_attempt: u32,
    /// When the attempt that made its result was launched and how long that took, in milliseconds.
    pub(crate) launched_ms: u32,
    pub(crate) took_ms: u32,
    /// Failed attempts that count.
    pub(crate) failures: u16,
    pub(crate) state: TaskState,
}

impl Task {
    pub(crate) const NEW: Self = Self {
        live: None,
        place: None,
        next_attempt: 0,
        launched_ms: 0,
        took_ms: 0,
        failures: 0,
        state: TaskState::Pending,
    };
}

/// The tasks of one stage.
#[derive(Debug)]
pub(crate) struct TaskSet {
    tasks: Vec<Task>,
    inputs: TaskInputs,
    /// The first task that was never taken.
    fresh: u32,
    /// Tasks to run again, the next one last; entries may be out of date.
    again: Vec<u32>,
    /// Tasks whose predecessor is done, the next one first; entries may be out of date.
    unblocked: VecDeque<u32>,
    /// Slow tasks that may get a copy; entries may be out of date.
    copies: Vec<u32>,
    pending: u32,
    done: u32,
    /// Live attempts.
    pub(crate) running: u32,
    /// Those of them that wait in the queues of executors.
    pub(crate) queued: u32,
    /// Failed attempts, whether they count or not.
    pub(crate) failed: u32,
    locality: Option<Box<Locality>>,
    pub(crate) exclusion: StageExclusion,
    /// Tasks that were on lost executors.
    pub(crate) suspects: Suspects,
    /// How long successful tasks took, if anybody wants to know.
    durations: Option<Box<Durations>>,
    /// How long tasks took lately.
    pace: Option<Duration>,
}

/// What decides about a task and an offer besides the task set.
pub(crate) struct Terms<'a> {
    pub(crate) now: Duration,
    pub(crate) scheduling: &'a Scheduling,
    /// The nodes that already try a task.
    pub(crate) tried: &'a dyn Fn(&Task) -> Vec<HostIx>,
}

impl TaskSet {
    pub(crate) fn new(tasks: &[TaskInput], blocked: bool) -> Self {
        let total = u32::try_from(tasks.len()).expect("a stage has fewer than 2^32 tasks");
        let state = if blocked {
            TaskState::Blocked
        } else {
            TaskState::Pending
        };
        Self {
            tasks: vec![Task { state, ..Task::NEW }; tasks.len()],
            inputs: TaskInputs::new(tasks),
            fresh: 0,
            again: Vec::new(),
            unblocked: VecDeque::new(),
            copies: Vec::new(),
            pending: if blocked { 0 } else { total },
            done: 0,
            running: 0,
            queued: 0,
            failed: 0,
            locality: None,
            exclusion: StageExclusion::default(),
            suspects: Suspects::default(),
            durations: None,
            pace: None,
        }
    }

    /// Has it keep what speculation needs.
    pub(crate) fn keep_durations(&mut self) {
        let mut durations = Box::<Durations>::default();
        for task in self.tasks.iter().filter(|task| task.state == TaskState::Done) {
            durations.add(Duration::from_millis(task.took_ms.into()));
        }
        self.durations = Some(durations);
    }

    /// Takes over what is known of each task.
    pub(crate) fn restore(&mut self, tasks: Vec<Task>) {
        let count = |state| u32::try_from(tasks.iter().filter(|task| task.state == state).count());
        self.pending = count(TaskState::Pending).unwrap_or(u32::MAX);
        self.done = count(TaskState::Done).unwrap_or(u32::MAX);
        self.tasks = tasks;
        self.relist();
    }

    /// Lists anew what waits to be taken, and forgets which copies were thought of.
    pub(crate) fn relist(&mut self) {
        let waits = |task: &Task| task.state == TaskState::Pending && task.next_attempt > 0;
        let again = (0..).zip(&self.tasks).filter(|(_, task)| waits(task));
        self.again = again.map(|(partition, _)| partition).collect();
        self.again.reverse();
        self.unblocked = VecDeque::new();
        self.copies = Vec::new();
        self.fresh = 0;
    }

    /// Has a task count as running, of which it is known that it was taken.
    pub(crate) fn claim(&mut self, partition: u32) {
        let task = &mut self.tasks[partition as usize];
        if task.state == TaskState::Pending {
            self.pending -= 1;
        }
        task.state = TaskState::Running;
    }

    /// Whether its tasks work on nothing but their number.
    pub(crate) fn is_plain(&self) -> bool {
        self.inputs.is_empty() && self.locality.is_none()
    }

    /// What its tasks were planned with, as far as that is still known.
    pub(crate) fn planned(&self, hosts: &Hosts) -> Vec<TaskInput> {
        let input = |partition| TaskInput {
            item: self.inputs.item(partition),
            inputs: self.inputs.slices(partition),
            hosts: self.locality.as_ref().map_or_else(Vec::new, |locality| {
                let preferred = locality.preferred(partition).iter();
                preferred.map(|&host| hosts.name(host).to_owned()).collect()
            }),
        };
        (0..self.total()).map(input).collect()
    }

    /// Has it place tasks by preference.
    pub(crate) fn place_by(&mut self, locality: Locality, executors: &Executors) {
        self.locality = Some(Box::new(locality));
        for partition in (0..self.total()).rev() {
            if self.tasks[partition as usize].state == TaskState::Pending {
                self.enqueue_local(partition, executors);
            }
        }
        self.revalidate(executors);
    }

    /// Executors that a finished task, a preference or an exclusion names.
    pub(crate) fn named_executors(&self) -> impl Iterator<Item = ExecutorIx> {
        let places = self.tasks.iter().filter_map(|task| task.place);
        let preferred = self
            .locality
            .iter()
            .flat_map(|locality| locality.named_executors());
        places.chain(preferred).chain(self.exclusion.named_executors())
    }

    /// Takes in that executors have come or gone.
    pub(crate) fn revalidate(&mut self, executors: &Executors) {
        if let Some(locality) = &mut self.locality {
            locality.revalidate(&executors.hosts, |executor| !executors[executor].is_gone());
        }
    }

    fn enqueue_local(&mut self, partition: u32, executors: &Executors) {
        if let Some(locality) = &mut self.locality {
            locality.enqueue(partition, &executors.hosts, |executor| executors[executor].host);
        }
    }

    /// How near a task is to what it reads on an executor.
    pub(crate) fn level(&self, partition: u32, offer: &Offer, executors: &Executors) -> Level {
        self.locality.as_ref().map_or(Level::NoPreference, |locality| {
            let place = |executor| executors[executor].host;
            locality.level(partition, offer, &executors.hosts, place)
        })
    }

    pub(crate) fn locality(&mut self) -> Option<&mut Locality> {
        self.locality.as_deref_mut()
    }

    /// How many open tasks would like each node.
    pub(crate) fn wishes(&self) -> impl Iterator<Item = HostIx> {
        let numbered = (0..)
            .zip(&self.tasks)
            .filter(|(_, task)| task.state != TaskState::Done);
        let locality = self.locality.as_deref();
        numbered.flat_map(move |(partition, _)| {
            locality
                .map_or(&[][..], |locality| locality.preferred(partition))
                .iter()
                .copied()
        })
    }

    pub(crate) fn inputs(&self) -> &TaskInputs {
        &self.inputs
    }

    pub(crate) fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    pub(crate) fn get(&self, partition: u32) -> Option<&Task> {
        self.tasks.get(partition as usize)
    }

    pub(crate) fn get_mut(&mut self, partition: u32) -> Option<&mut Task> {
        self.tasks.get_mut(partition as usize)
    }

    pub(crate) fn total(&self) -> u32 {
        u32::try_from(self.tasks.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn pending(&self) -> u32 {
        self.pending
    }

    pub(crate) fn done(&self) -> u32 {
        self.done
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.done == self.total()
    }

    /// Tasks that wait and have failed somewhere.
    pub(crate) fn pending_after_failure(&self) -> Vec<u32> {
        let waits = |&partition: &u32| self.tasks[partition as usize].state == TaskState::Pending;
        self.exclusion.struck_tasks().filter(waits).collect()
    }

    /// Tasks that run or wait, copies included.
    pub(crate) fn wanted_places(&self) -> u32 {
        let copies = u32::try_from(self.copies.len()).unwrap_or(u32::MAX);
        self.pending + self.running + copies
    }

    /// Whether tasks wait that were on lost executors.
    pub(crate) fn suspects_wait(&self) -> bool {
        let waits = |partition: u32| self.tasks[partition as usize].state == TaskState::Pending;
        self.suspects.all().any(waits)
    }

    /// Whether an executor could be of use.
    pub(crate) fn wants_slots(&self) -> bool {
        self.pending > 0 || !self.copies.is_empty()
    }

    /// How long successful tasks took, if that is kept.
    pub(crate) fn durations(&self) -> Option<&Durations> {
        self.durations.as_deref()
    }

    /// The first level at which a round looks for places.
    pub(crate) fn first_level(&self) -> Level {
        self.locality
            .as_ref()
            .map_or(Level::Any, |locality| locality.first_level())
    }

    pub(crate) fn next_level(&self, level: Level) -> Option<Level> {
        self.locality
            .as_ref()
            .and_then(|locality| locality.next_level(level))
    }

    /// Takes the next task for an offer, at a level up to `limit`; it counts as running from here on.
    pub(crate) fn take(&mut self, offer: &Offer, limit: Level, terms: &Terms<'_>) -> Option<(u32, Level)> {
        let allowed = self.allowed(limit, terms);
        let mut taken = self.take_local(offer, allowed, terms);
        if taken.is_none() && allowed == Level::Any {
            let partition = self.take_anywhere(offer, terms);
            taken = partition.map(|partition| (partition, Level::Any));
        }
        if let Some((partition, _)) = taken {
            self.tasks[partition as usize].state = TaskState::Running;
            self.pending -= 1;
        } else if limit == Level::Any {
            let copy = self.take_copy(offer, terms);
            taken = copy.map(|partition| (partition, Level::Any));
        }
        taken
    }

    /// Takes the next task to be sent ahead to an executor; one that prefers places only to such a place.
    pub(crate) fn take_ahead(&mut self, offer: &Offer, terms: &Terms<'_>) -> Option<u32> {
        let partition = if self.locality.is_some() {
            self.take_local(offer, Level::NoPreference, terms)?.0
        } else {
            self.take_anywhere(offer, terms)?
        };
        self.tasks[partition as usize].state = TaskState::Running;
        self.pending -= 1;
        Some(partition)
    }

    /// An attempt this near to its input waits in the queue of an executor.
    pub(crate) fn enters_queue(&mut self, level: Level) {
        self.queued += 1;
        if let Some(locality) = &mut self.locality {
            locality.enters_queue(level);
        }
    }

    /// One that did has begun, is given back or is over.
    pub(crate) fn leaves_queue(&mut self, level: Level) {
        self.queued -= 1;
        if let Some(locality) = &mut self.locality {
            locality.leaves_queue(level);
        }
    }

    /// How long executors worked on tasks lately; none before the first has succeeded.
    pub(crate) fn pace(&self) -> Option<Duration> {
        self.pace
    }

    /// The level up to which tasks may go, which the time spent waiting decides.
    fn allowed(&mut self, limit: Level, terms: &Terms<'_>) -> Level {
        let tasks = &self.tasks;
        match &mut self.locality {
            Some(locality) if limit != Level::NoPreference => {
                let pending = |partition: u32| tasks[partition as usize].state == TaskState::Pending;
                limit.min(locality.allowed(terms.now, &terms.scheduling.locality, pending))
            }
            Some(_) | None => limit,
        }
    }

    /// When tasks may go to a worse place than now; in the future, or never.
    ///
    /// The level follows the time even while no offer is large enough for a task of this set.
    pub(crate) fn locality_changes_at(&mut self, now: Duration, waits: &LocalityWaits) -> Option<Duration> {
        let tasks = &self.tasks;
        let pending = |partition: u32| tasks[partition as usize].state == TaskState::Pending;
        let locality = self.locality.as_mut()?;
        locality.allowed(now, waits, pending);
        locality.changes_at(waits)
    }

    fn take_local(&mut self, offer: &Offer, allowed: Level, terms: &Terms<'_>) -> Option<(u32, Level)> {
        let Self {
            tasks,
            exclusion,
            suspects,
            locality,
            ..
        } = self;
        let judge = |partition| judge(tasks, (exclusion, suspects), offer, terms, partition);
        locality.as_mut()?.take(offer, allowed, judge)
    }

    fn take_anywhere(&mut self, offer: &Offer, terms: &Terms<'_>) -> Option<u32> {
        let Self {
            tasks,
            exclusion,
            suspects,
            again,
            ..
        } = self;
        let judge = |partition| judge(tasks, (exclusion, suspects), offer, terms, partition);
        if let Some(partition) = take_last(again, judge) {
            return Some(partition);
        }
        if self.exclusion.keeps_all(offer.executor, offer.host) {
            return None;
        }
        self.take_fresh().or_else(|| self.take_unblocked())
    }

    fn take_fresh(&mut self) -> Option<u32> {
        while (self.fresh as usize) < self.tasks.len() {
            let partition = self.fresh;
            self.fresh += 1;
            let task = &self.tasks[partition as usize];
            if task.state == TaskState::Pending && task.next_attempt == 0 {
                return Some(partition);
            }
        }
        None
    }

    fn take_unblocked(&mut self) -> Option<u32> {
        while let Some(partition) = self.unblocked.pop_front() {
            if self.tasks[partition as usize].state == TaskState::Pending {
                return Some(partition);
            }
        }
        None
    }

    fn take_copy(&mut self, offer: &Offer, terms: &Terms<'_>) -> Option<u32> {
        let Self {
            tasks,
            exclusion,
            copies,
            ..
        } = self;
        let plan = &terms.scheduling.exclusion;
        let judge = |partition: u32| {
            let task = &tasks[partition as usize];
            let tried = (terms.tried)(task);
            if task.state != TaskState::Running || tried.len() != 1 {
                Fitness::Stale
            } else if tried.contains(&offer.host)
                || exclusion.keeps(plan, partition, offer.executor, offer.host)
            {
                Fitness::Excluded
            } else {
                Fitness::Fits
            }
        };
        take_last(copies, judge)
    }

    /// Lets a running task have a copy; false if that was known.
    pub(crate) fn offer_copy(&mut self, partition: u32) -> bool {
        let new = !self.copies.contains(&partition);
        if new {
            self.copies.push(partition);
        }
        new
    }

    /// Puts a task that was running on top of the pending ones.
    pub(crate) fn requeue(&mut self, partition: u32, executors: &Executors) {
        let task = &mut self.tasks[partition as usize];
        if task.state == TaskState::Running {
            task.state = TaskState::Pending;
            self.pending += 1;
            self.again.push(partition);
            self.enqueue_local(partition, executors);
        }
    }

    /// Lets a task run whose predecessor is done, near where that ran.
    pub(crate) fn unblock(&mut self, partition: u32, near: Option<ExecutorIx>, executors: &Executors) {
        let task = &mut self.tasks[partition as usize];
        if task.state != TaskState::Blocked {
            return;
        }
        task.state = TaskState::Pending;
        self.pending += 1;
        self.unblocked.push_back(partition);
        if let (Some(locality), Some(near)) = (&mut self.locality, near) {
            locality.prefer(partition, near);
        }
        self.enqueue_local(partition, executors);
        self.revalidate(executors);
    }

    /// Makes a finished task pending again because its result is gone.
    pub(crate) fn reopen(&mut self, partition: u32, executors: &Executors) {
        let task = &mut self.tasks[partition as usize];
        if task.state == TaskState::Done {
            task.state = TaskState::Running;
            self.done -= 1;
            self.requeue(partition, executors);
        }
    }

    /// Whether a task is done.
    pub(crate) fn is_done(&self, partition: u32) -> bool {
        self.get(partition)
            .is_some_and(|task| task.state == TaskState::Done)
    }

    /// Holds a task back because its predecessor's result is gone: it does not begin, and if it has begun gets no copy.
    pub(crate) fn block(&mut self, partition: u32) {
        self.copies.retain(|&copy| copy != partition);
        let task = &mut self.tasks[partition as usize];
        if task.state == TaskState::Pending {
            task.state = TaskState::Blocked;
            self.pending -= 1;
        }
    }

    /// Forgets that an executor has results.
    pub(crate) fn forget_place(&mut self, executor: ExecutorIx) {
        for task in self.tasks.iter_mut().filter(|task| task.place == Some(executor)) {
            task.place = None;
        }
    }

    /// Marks a task as done; false when it was already.
    pub(crate) fn finish(&mut self, partition: u32, result: Completion) -> bool {
        let task = &mut self.tasks[partition as usize];
        match task.state {
            TaskState::Done => return false,
            TaskState::Pending => self.pending -= 1,
            TaskState::Running | TaskState::Blocked => {}
        }
        task.state = TaskState::Done;
        task.failures = 0;
        task.place = result.place;
        task.launched_ms = milliseconds(result.launched_at);
        task.took_ms = milliseconds(result.took);
        self.done += 1;
        self.pace = Some(
            self.pace
                .map_or(result.worked, |pace| (pace * 7 + result.worked) / 8),
        );
        self.exclusion.forgive(partition);
        self.suspects.clear(partition);
        if let Some(durations) = &mut self.durations {
            durations.add(result.took);
        }
        true
    }

    /// Makes every task pending as if none had run; only the numbers of attempts and failures go on.
    pub(crate) fn restart(&mut self) {
        for task in &mut self.tasks {
            task.state = TaskState::Pending;
        }
        self.again = (0..self.total()).rev().collect();
        self.pending = self.total();
        self.done = 0;
        self.copies.clear();
    }

    /// Lets go of what only pending tasks need.
    pub(crate) fn shed(&mut self) {
        self.inputs = TaskInputs::default();
        self.again = Vec::new();
        self.unblocked = VecDeque::new();
        self.copies = Vec::new();
        self.fresh = self.total();
        self.locality = None;
        self.durations = None;
        self.exclusion = StageExclusion::default();
        self.suspects = Suspects::default();
    }
}

/// Whether a task in a list of pending ones can go to an offer. One with two attempts that are about to end waits.
fn judge(
    tasks: &[Task],
    (exclusion, suspects): (&StageExclusion, &Suspects),
    offer: &Offer,
    terms: &Terms<'_>,
    partition: u32,
) -> Fitness {
    let task = &tasks[partition as usize];
    let crowded = || task.live.is_some() && (terms.tried)(task).len() > 1;
    let plan = &terms.scheduling.exclusion;
    let shunned = || !offer.takes_suspects && suspects.is_suspected(partition);
    if task.state != TaskState::Pending {
        Fitness::Stale
    } else if crowded() || shunned() || exclusion.keeps(plan, partition, offer.executor, offer.host) {
        Fitness::Excluded
    } else {
        Fitness::Fits
    }
}

/// How a task came to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Completion {
    pub(crate) place: Option<ExecutorIx>,
    pub(crate) launched_at: Duration,
    /// From its launch to its report, which with many executors may have waited for us.
    pub(crate) took: Duration,
    /// How long its executor worked on it.
    pub(crate) worked: Duration,
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Ix;
    use wire::amounts::Amounts;

    fn set(tasks: usize) -> TaskSet {
        TaskSet::new(&vec![TaskInput::default(); tasks], false)
    }

    fn take(set: &mut TaskSet) -> Option<u32> {
        let offer = Offer {
            executor: ExecutorIx::new(0),
            host: HostIx::new(0),
            rack: None,
            takes_suspects: true,
        };
        let terms = Terms {
            now: Duration::ZERO,
            scheduling: &Scheduling::default(),
            tried: &|_| Vec::new(),
        };
        set.take(&offer, Level::Any, &terms)
            .map(|(partition, _)| partition)
    }

    fn requeue(set: &mut TaskSet, partition: u32) {
        set.get_mut(partition).unwrap().next_attempt = 1;
        set.requeue(partition, &Executors::new(Amounts::default()));
    }

    const DONE: Completion = Completion {
        place: None,
        launched_at: Duration::ZERO,
        took: Duration::ZERO,
        worked: Duration::ZERO,
    };

    #[test]
    fn tasks_go_in_order_and_a_failed_one_goes_next() {
        let mut set = set(4);
        assert_eq!((take(&mut set), take(&mut set)), (Some(0), Some(1)));
        requeue(&mut set, 0);
        assert_eq!(set.pending(), 3);
        let rest: Vec<_> = std::iter::from_fn(|| take(&mut set)).collect();
        assert_eq!((rest, set.pending()), (vec![0, 2, 3], 0));
    }

    #[test]
    fn a_task_is_done_once_and_a_done_task_is_not_taken() {
        let mut set = set(2);
        take(&mut set);
        requeue(&mut set, 0);
        assert!(set.finish(0, DONE));
        assert!(!set.finish(0, DONE));
        requeue(&mut set, 0);
        assert_eq!((set.pending(), set.done()), (1, 1));
        assert_eq!((take(&mut set), take(&mut set)), (Some(1), None));
        assert!(set.finish(1, DONE));
        assert!(set.is_complete());
    }

    #[test]
    fn a_blocked_task_runs_once_it_is_free() {
        let mut set = TaskSet::new(&vec![TaskInput::default(); 2], true);
        assert_eq!((take(&mut set), set.pending()), (None, 0));
        let executors = Executors::new(Amounts::default());
        set.unblock(1, None, &executors);
        set.unblock(1, None, &executors);
        assert_eq!(
            (set.pending(), take(&mut set), take(&mut set)),
            (1, Some(1), None)
        );
    }

    #[test]
    fn a_task_is_small() {
        assert!(size_of::<Task>() <= 32, "{}", size_of::<Task>());
    }
}
