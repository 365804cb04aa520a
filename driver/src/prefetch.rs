//! Tasks sent to an executor ahead of its free slots, so that a short task does not wait for a message.
//!
//! An executor holds a queue of attempts beyond its slots and begins them in order as slots become free. How many
//! depends on how long the tasks of their stage take: a queue is worth [`PrefetchPlan::horizon`] of work, so that
//! short tasks queue deep, and at the end of a stage the rest is kept for whoever is free first. A queue is filled
//! again when half of it is used up, which sends tasks in batches.
//!
//! Tasks that take longer than that have a queue for another reason: it is what executors live on while the
//! ApplicationMaster is replaced. [`PrefetchPlan::reserve`] is how long that may take. It is filled again with every
//! task that is taken from it (or half a horizon's worth of short ones), so that it is whole whenever the loss comes,
//! and at the end of a stage each executor has its even share of all that is left: what nobody can hand out in the gap
//! must be there before. Very short tasks have no more than [`RESERVE_DEEPEST`] of it, which cannot cover the gap
//! whatever is done, so that their rest is kept for whoever is free first; and what takes longer than
//! [`RESERVE_LONGEST`] times the reserve has none: few slots become free while nobody sees to them. Pools that share
//! fairly have none either.
//!
//! What a queue never does:
//! - go before an idle slot: queues are filled only when no executor has a free one, and an executor that becomes
//!   free with nothing left to run has others give back what they have not begun (effect `Recall`);
//! - change the order: tasks are taken in the order of the pools, those in queues counted as running there, a stage
//!   whose tasks are too long for queues keeps those after it out of them, too, and a stage that comes up before what
//!   is queued has it given back;
//! - worsen locality: a task that prefers places is queued at such a place only, and one that is given back has
//!   lost nothing of the time for which it waits for such a place;
//! - hold tasks of which something else than slots lets fewer run at a time: one that waits for memory or a device
//!   would keep slots idle that others could use;
//! - hold tasks of a stage while some of it wait that were on a lost executor (`suspicion`);
//! - hold gangs, copies of slow tasks, or anything on an executor that is silent, excluded or has just failed a task.
//!
//! An attempt in a queue has not begun: when its executor is lost, no failure is counted (invariant C), and it counts
//! as a live attempt of its task (invariant B).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wire::id::{ExecutorId, TaskAttemptId};

use crate::attempts::Attempt;
use crate::core::Driver;
use crate::event::Effect;
use crate::index::{AttemptIx, ExecutorIx, StageIx};
use crate::journal::checkpoint::name_of;
use crate::journal::fact::AttemptFact;
use crate::policy::{PoolMode, PrefetchPlan};
use crate::stage::Stage;

/// The most attempts in the queue of one executor.
const DEEPEST: u32 = 2048;
/// The most attempts of the reserve for each slot: a queue of very short tasks would cost more than it is worth.
const RESERVE_DEEPEST: u32 = 64;
/// Tasks of more than this many times the reserve are not kept in it.
const RESERVE_LONGEST: u32 = 2;

/// Which queues are to be filled, and which can give back.
#[derive(Debug, Default)]
pub(crate) struct Prefetch {
    /// Executors whose queue may have room.
    room: Vec<ExecutorIx>,
    /// Attempts that can be asked back, by number and executor; the longest queue is the last.
    queued: BTreeSet<(u32, ExecutorIx)>,
    /// Attempts that were asked back and have not been heard of.
    recalled: u32,
}

impl Prefetch {
    /// An executor's queue may have room.
    pub(crate) fn one(&mut self, executor: ExecutorIx) {
        if self.room.last() != Some(&executor) {
            self.room.push(executor);
        }
    }

    fn set_queued(&mut self, executor: ExecutorIx, before: u32, after: u32) {
        self.queued.remove(&(before, executor));
        if after > 0 {
            self.queued.insert((after, executor));
        }
    }
}

/// How many attempts an executor may hold ahead, and when it is sent more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Depth {
    full: u32,
    /// It is filled when it is down to this.
    refill: u32,
}

impl Depth {
    const NONE: Self = Self { full: 0, refill: 0 };
}

/// What is left of a stage for the queues of executors.
#[derive(Debug, Clone, Copy)]
struct Rest {
    /// Tasks that nobody has.
    pending: u32,
    /// Tasks in queues.
    queued: u32,
    /// Executors among which they are shared.
    executors: u32,
}

/// How deep the queue of an executor may be for tasks that take so long.
fn depth(plan: &PrefetchPlan, slots: u32, pace: Duration, rest: Rest) -> Depth {
    let executors = rest.executors.max(1);
    let horizon = plan.horizon.as_micros().saturating_mul(u128::from(slots));
    let tasks = horizon / pace.as_micros().max(1);
    let tasks = u32::try_from(tasks).unwrap_or(u32::MAX).min(DEEPEST);
    // Half is kept for whoever is free first.
    let share = rest.pending / (2 * executors);
    let batch = tasks.min(share);
    let even = (rest.pending + rest.queued).div_ceil(executors);
    let reserve = match reserve(plan, slots, pace) {
        Reserve::Whole(tasks) => tasks.min(even),
        Reserve::Part(tasks) => tasks.min(share),
    };
    let full = batch.max(reserve).min(DEEPEST);
    Depth {
        full,
        refill: full.saturating_sub(batch.div_ceil(2).max(1)),
    }
}

/// How many attempts keep the slots of an executor busy while nobody sends any.
enum Reserve {
    /// For as long as is wanted.
    Whole(u32),
    /// As many as are worth it.
    Part(u32),
}

fn reserve(plan: &PrefetchPlan, slots: u32, pace: Duration) -> Reserve {
    if pace > plan.reserve.saturating_mul(RESERVE_LONGEST) {
        return Reserve::Whole(0);
    }
    let work = plan.reserve.as_micros().saturating_mul(u128::from(slots));
    let tasks = work.div_ceil(pace.as_micros().max(1));
    let most = RESERVE_DEEPEST.saturating_mul(slots);
    match u32::try_from(tasks) {
        Ok(tasks) if tasks <= most => Reserve::Whole(tasks),
        _ => Reserve::Part(most),
    }
}

impl Driver {
    /// Fills queues that have room, when every slot is in use.
    pub(crate) fn prefetch(&mut self) {
        let mut room = std::mem::take(&mut self.prefetch.room);
        let wanted = self.plan.scheduling.prefetch.is_wanted() && self.gangs == 0;
        if wanted && self.executors.free.is_empty() && self.queue.first(|_| true).is_some() {
            room.iter().for_each(|&executor| self.fill(executor));
        }
        room.clear();
        self.prefetch.room = room;
    }

    /// Fills the queue of one executor if enough of it is used up.
    fn fill(&mut self, executor: ExecutorIx) {
        // It may have gone and be forgotten since it was noted, while the gate was closed.
        if !self.executors.knows(executor) {
            return;
        }
        let there = &self.executors[executor];
        if !there.is_willing() {
            return;
        }
        let mut held = u32::try_from(there.queue.len()).unwrap_or(u32::MAX);
        let mut refused: BTreeSet<StageIx> = BTreeSet::new();
        let mut begun: BTreeMap<StageIx, Depth> = BTreeMap::new();
        while let Some(stage) = self.queue.first(|stage| !refused.contains(&stage)) {
            let Some(depth) = self.queue_depth(stage, executor) else {
                return;
            };
            // What is filled is decided once, so that the end of a stage is shared out and not halved for ever.
            let depth = *begun
                .entry(stage)
                .or_insert(if held <= depth.refill { depth } else { Depth::NONE });
            if held >= depth.full {
                return;
            }
            if self.queue_task(stage, executor) {
                held += 1;
            } else {
                refused.insert(stage);
            }
        }
    }

    /// How many attempts an executor may hold ahead for tasks of a stage; none when nothing is known of them.
    fn queue_depth(&self, stage: StageIx, executor: ExecutorIx) -> Option<Depth> {
        let tasks = self.stages[stage].tasks.as_ref()?;
        let Stage { cores, needs, .. } = &self.stages[stage];
        if !self.executors.is_limited_by_slots(executor, *cores, needs) || tasks.suspects_wait() {
            return None;
        }
        let slots = self.executors[executor].slots / cores;
        let rest = Rest {
            pending: tasks.pending(),
            queued: tasks.queued,
            executors: self.executors.present(),
        };
        Some(depth(&self.queue_plan(), slots, tasks.pace()?, rest))
    }

    /// Pools that share fairly do so by what runs. Seconds of work in queues would count there and shift what really
    /// runs, so that a pool's min-share would be kept in the books only.
    fn queue_plan(&self) -> PrefetchPlan {
        let plan = self.plan.scheduling.prefetch;
        match self.plan.scheduling.mode {
            PoolMode::Fair => PrefetchPlan {
                reserve: Duration::ZERO,
                ..plan
            },
            PoolMode::Fifo => plan,
        }
    }

    /// Sends one task of a stage ahead; false when none suits the executor.
    fn queue_task(&mut self, index: StageIx, executor: ExecutorIx) -> bool {
        let offer = self.executors.offer(executor);
        let taken = self.with_terms(index, |tasks, terms| tasks.take_ahead(&offer, terms));
        let Some(partition) = taken.flatten() else {
            return false;
        };
        if !self.stages[index]
            .tasks
            .as_ref()
            .is_some_and(|tasks| tasks.wants_slots())
        {
            self.queue.set_pending(index, false);
        }
        self.launch(index, partition, executor, true);
        true
    }

    /// An attempt waits at the end of the queue of an executor.
    pub(crate) fn enter_queue(&mut self, executor: ExecutorIx, attempt: AttemptIx) {
        self.executors[executor].queue.push_back(attempt);
        self.executors.refresh(executor);
        self.note_recallable(executor, 1);
    }

    fn note_recallable(&mut self, executor: ExecutorIx, change: i32) {
        let before = self.executors[executor].recallable;
        let after = before.saturating_add_signed(change);
        self.executors[executor].recallable = after;
        self.prefetch.set_queued(executor, before, after);
    }

    /// Takes an attempt out of its executor's queue, if it is there.
    pub(crate) fn leave_queue(&mut self, index: AttemptIx) {
        let Some(attempt) = self.attempts.get_mut(index).filter(|attempt| attempt.queued) else {
            return;
        };
        attempt.queued = false;
        let (executor, recalled, stage) = (attempt.executor, attempt.recalled, attempt.stage);
        let level = attempt.level;
        let queue = &mut self.executors[executor].queue;
        if queue.back() == Some(&index) {
            queue.pop_back();
        } else if let Some(place) = queue.iter().position(|&other| other == index) {
            queue.remove(place);
        }
        if let Some(tasks) = &mut self.stages[stage].tasks {
            tasks.leaves_queue(level);
        }
        if recalled {
            self.prefetch.recalled -= 1;
        } else {
            self.note_recallable(executor, -1);
        }
    }

    /// Gives the slots that an executor has free to the first of its queue, as it does itself.
    pub(crate) fn promote(&mut self, executor: ExecutorIx) {
        while let Some(&first) = self.executors[executor].queue.front() {
            if !self.could_begin(first) {
                break;
            }
            self.seat(first);
        }
        self.executors.refresh(executor);
    }

    /// Whether its executor has room for an attempt now.
    fn could_begin(&self, index: AttemptIx) -> bool {
        self.attempts.get(index).is_none_or(|attempt| {
            let there = &self.executors[attempt.executor];
            there.has_room(attempt.cores, &self.stages[attempt.stage].needs)
        })
    }

    /// An attempt of a queue has its slots.
    pub(crate) fn seat(&mut self, index: AttemptIx) {
        self.leave_queue(index);
        let now = self.now;
        if let Some(attempt) = self.attempts.get_mut(index) {
            attempt.launched_at = now;
            let (executor, cores, stage) = (attempt.executor, attempt.cores, attempt.stage);
            self.executors[executor].attempts.push(index);
            self.executors.take(executor, cores, &self.stages[stage].needs);
        }
        self.tell_launch(index);
    }

    /// An executor says that it has begun an attempt which we believe in its queue: those before it will follow or
    /// were given back.
    pub(crate) fn note_begun(&mut self, index: AttemptIx) {
        let Some(attempt) = self.attempts.get(index).filter(|attempt| attempt.queued) else {
            return;
        };
        if self.could_begin(index) {
            let (executor, id) = (attempt.executor.number(), name_of(attempt));
            self.note_fact(|_| AttemptFact::Seated { executor, id });
            self.seat(index);
        }
    }

    /// Has executors give back what they have not begun, as many attempts as there are idle slots.
    pub(crate) fn recall_for_idle(&mut self, effects: &mut Vec<Effect>) {
        if self.prefetch.queued.is_empty() || self.executors.free.is_empty() {
            return;
        }
        let idle = self.executors.free.total();
        while self.prefetch.recalled < idle
            && let Some(&(_, executor)) = self.prefetch.queued.last()
        {
            let wanted = idle - self.prefetch.recalled;
            self.recall(executor, wanted, effects);
        }
    }

    /// A stage has come up. If it is before everything that is queued, that is given back.
    pub(crate) fn give_way(&mut self, stage: StageIx, effects: &mut Vec<Effect>) {
        if self.replaying || self.queue.first(|_| true) != Some(stage) {
            return;
        }
        let queues: Vec<_> = self
            .prefetch
            .queued
            .iter()
            .map(|&(_, executor)| executor)
            .collect();
        for executor in queues {
            self.recall_all(executor, effects);
        }
    }

    /// Has an executor give back all that it has not begun.
    pub(crate) fn recall_all(&mut self, executor: ExecutorIx, effects: &mut Vec<Effect>) {
        if self.executors[executor].recallable > 0 {
            self.recall(executor, u32::MAX, effects);
        }
    }

    /// Has an executor give back up to so many attempts, the last first.
    fn recall(&mut self, executor: ExecutorIx, most: u32, effects: &mut Vec<Effect>) {
        let queue = self.executors[executor].queue.iter().rev().copied();
        let attempts = &self.attempts;
        let open = |attempt: &Attempt| !attempt.recalled && !attempt.started && attempt.cancelled.is_none();
        let open = queue.filter(|&index| attempts.get(index).is_some_and(open));
        let chosen: Vec<_> = open.take(usize::try_from(most).unwrap_or(usize::MAX)).collect();
        let mut ids = Vec::with_capacity(chosen.len());
        for index in chosen {
            let Some(attempt) = self.attempts.get_mut(index) else {
                continue;
            };
            attempt.recalled = true;
            ids.push(attempt.id(self.stages[attempt.stage].key.job));
            self.prefetch.recalled += 1;
            self.note_recallable(executor, -1);
        }
        if ids.is_empty() {
            // What is left there has begun or is about to end: nothing of it will be given back.
            let left = self.executors[executor].recallable;
            self.note_recallable(executor, -left.cast_signed());
            return;
        }
        let executor = self.executors[executor].id.clone();
        effects.push(Effect::Recall { executor, ids });
    }

    /// An executor has connected again: what it was asked before may never have reached it.
    pub(crate) fn forget_recalls(&mut self, executor: ExecutorIx) {
        for index in self.executors[executor].queue.clone() {
            if let Some(attempt) = self.attempts.get_mut(index).filter(|attempt| attempt.recalled) {
                attempt.recalled = false;
                self.prefetch.recalled -= 1;
                self.note_recallable(executor, 1);
            }
        }
    }

    /// Attempts were given back unbegun: their tasks wait again, and nothing is counted.
    pub(crate) fn on_tasks_returned(
        &mut self,
        executor: &ExecutorId,
        ids: &[TaskAttemptId],
        effects: &mut Vec<Effect>,
    ) {
        for &id in ids {
            if let Some(live) = self.live_attempt(executor, id) {
                self.take_back(live, effects);
            }
        }
    }

    /// An attempt was given back unbegun.
    pub(crate) fn take_back(&mut self, index: AttemptIx, effects: &mut Vec<Effect>) {
        if let Some(attempt) = self.attempts.get(index) {
            let (executor, id) = (attempt.executor.number(), name_of(attempt));
            self.note_fact(|_| AttemptFact::Returned { executor, id });
        }
        self.tell_return(index);
        if let Some(attempt) = self.retire(index)
            && self.is_open(&attempt)
        {
            self.run_again(&attempt, effects);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: Rest = Rest {
        pending: 100_000,
        queued: 0,
        executors: 1,
    };

    #[test]
    fn a_queue_is_worth_the_horizon_whatever_tasks_take() {
        let plan = PrefetchPlan {
            reserve: Duration::ZERO,
            ..PrefetchPlan::default()
        };
        let of = |pace: Duration| depth(&plan, 4, pace, PLENTY).full;
        assert_eq!(of(Duration::ZERO), DEEPEST);
        assert_eq!(of(Duration::from_millis(1)), 1000);
        assert_eq!(of(Duration::from_millis(100)), 10);
        assert_eq!(of(Duration::from_millis(1001)), 0);
    }

    #[test]
    fn a_reserve_keeps_slots_busy_for_its_time() {
        let plan = PrefetchPlan {
            horizon: Duration::ZERO,
            reserve: Duration::from_secs(5),
        };
        let of = |pace: Duration| depth(&plan, 4, pace, PLENTY).full;
        assert_eq!(of(Duration::from_millis(1)), 4 * 64);
        assert_eq!(of(Duration::from_secs(1)), 20);
        assert_eq!(of(Duration::from_secs(9)), 3);
        assert_eq!(of(Duration::from_secs(11)), 0);
        let none = depth(&PrefetchPlan::NONE, 4, Duration::from_secs(1), PLENTY);
        assert_eq!(none, Depth::NONE);
    }

    #[test]
    fn a_reserve_is_filled_again_at_once_and_what_short_tasks_queue_when_half_is_used_up() {
        let plan = PrefetchPlan::default();
        let of = |millis: u64| depth(&plan, 1, Duration::from_millis(millis), PLENTY);
        assert_eq!(of(1000), Depth { full: 5, refill: 4 });
        assert_eq!(
            of(1),
            Depth {
                full: 250,
                refill: 125
            }
        );
        assert_eq!(of(25), Depth { full: 64, refill: 59 });
    }

    #[test]
    fn the_rest_of_a_stage_is_in_the_reserves_evenly() {
        let plan = PrefetchPlan::default();
        let of = |millis: u64, pending: u32, queued: u32| {
            let rest = Rest {
                pending,
                queued,
                executors: 3,
            };
            depth(&plan, 1, Duration::from_millis(millis), rest).full
        };
        assert_eq!(of(1000, 6, 6), 4);
        assert_eq!(of(1000, 1, 6), 3);
        assert_eq!(of(1000, 300, 0), 5);
        assert_eq!(
            of(10, 60, 60),
            10,
            "short ones are kept for whoever is free first"
        );
    }
}
