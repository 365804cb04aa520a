//! The order between task sets that have pending tasks: a tree of pools with task sets as leaves.
//!
//! The comparison is that of Spark's `SchedulingAlgorithm`: FIFO takes the lower job, then the lower stage; FAIR
//! takes first whoever runs fewer tasks than its minimal share, by the smaller share of it that is used, and then by
//! the smaller number of running tasks in relation to its weight. Ties go to the smaller name. Every pool keeps its
//! members in order, so that a launch or an end costs a few logarithms and not a sort.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::index::{Ix, PoolIx, StageIx, Table};
use crate::plan::AppPlan;
use crate::policy::{PoolMode, PoolPlan};

/// A member of a pool; pools come before task sets where all else is equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Pool(PoolIx),
    TaskSet(StageIx),
}

/// Where a member stands in its pool.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rank {
    /// Job and stage.
    Fifo(u32, u32),
    Fair {
        satisfied: bool,
        ratio: f64,
    },
}

impl Eq for Rank {}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Fifo(job, stage), Self::Fifo(other_job, other_stage)) => {
                (job, stage).cmp(&(other_job, other_stage))
            }
            (
                Self::Fair { satisfied, ratio },
                Self::Fair {
                    satisfied: other_satisfied,
                    ratio: other_ratio,
                },
            ) => satisfied.cmp(other_satisfied).then(ratio.total_cmp(other_ratio)),
            (Self::Fifo(..), Self::Fair { .. }) => Ordering::Less,
            (Self::Fair { .. }, Self::Fifo(..)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Rank {
    fn fair(running: u32, min_share: u32, weight: u32) -> Self {
        let satisfied = running >= min_share;
        let share = if satisfied { weight } else { min_share };
        Self::Fair {
            satisfied,
            ratio: f64::from(running) / f64::from(share.max(1)),
        }
    }
}

/// A pool.
#[derive(Debug)]
struct Pool {
    parent: Option<PoolIx>,
    mode: PoolMode,
    weight: u32,
    min_share: u32,
    running: u32,
    /// Members with pending tasks.
    order: BTreeSet<(Rank, Member)>,
}

impl Pool {
    fn new(mode: PoolMode) -> Self {
        Self {
            parent: None,
            mode,
            weight: 1,
            min_share: 0,
            running: 0,
            order: BTreeSet::new(),
        }
    }
}

/// A task set as the pools know it.
#[derive(Debug, Clone, Copy)]
struct Leaf {
    pool: PoolIx,
    job: u32,
    running: u32,
    pending: bool,
}

/// All pools and task sets.
#[derive(Debug)]
pub(crate) struct Queue {
    pools: Table<PoolIx, Pool>,
    leaves: Table<StageIx, Leaf>,
    round: u64,
}

const ROOT: usize = 0;

impl Queue {
    pub(crate) fn new(plan: &AppPlan) -> Self {
        let (pools, numbers) = pools_of(plan);
        let leaf = |stage: &crate::plan::StagePlan| {
            let job = stage.scheduling.job;
            let of_job = plan
                .scheduling
                .jobs
                .get(job as usize)
                .and_then(|job| job.pool.as_deref());
            let name = stage.scheduling.pool.as_deref().or(of_job);
            let pool = name.and_then(|name| numbers.get(name).copied());
            Leaf {
                pool: pool.unwrap_or(PoolIx::new(ROOT)),
                job,
                running: 0,
                pending: false,
            }
        };
        Self {
            pools: Table::new(pools),
            leaves: Table::new(plan.stages.iter().map(leaf).collect()),
            round: 0,
        }
    }

    /// A number for a round of offers.
    pub(crate) fn next_round(&mut self) -> u64 {
        self.round += 1;
        self.round
    }

    /// Notes whether a task set has pending tasks.
    pub(crate) fn set_pending(&mut self, stage: StageIx, pending: bool) {
        let leaf = self.leaves[stage];
        if leaf.pending != pending {
            self.leaves[stage].pending = pending;
            self.list(leaf.pool, self.leaf_rank(stage), Member::TaskSet(stage), pending);
        }
    }

    /// Notes that a task of a set was launched.
    pub(crate) fn note_launch(&mut self, stage: StageIx) {
        self.move_leaf(stage, self.leaves[stage].running + 1);
    }

    /// Notes that a task of a set is over.
    pub(crate) fn note_end(&mut self, stage: StageIx) {
        self.move_leaf(stage, self.leaves[stage].running - 1);
    }

    /// The first task set that is wanted.
    pub(crate) fn first(&self, wanted: impl Fn(StageIx) -> bool) -> Option<StageIx> {
        self.first_in(PoolIx::new(ROOT), &wanted)
    }

    fn first_in(&self, pool: PoolIx, wanted: &impl Fn(StageIx) -> bool) -> Option<StageIx> {
        self.pools[pool]
            .order
            .iter()
            .find_map(|&(_, member)| match member {
                Member::Pool(pool) => self.first_in(pool, wanted),
                Member::TaskSet(stage) => wanted(stage).then_some(stage),
            })
    }

    /// Lists a member in its pool or takes it off; a pool is listed as long as it lists anybody.
    fn list(&mut self, pool: PoolIx, rank: Rank, member: Member, listed: bool) {
        let empty_before = self.pools[pool].order.is_empty();
        let order = &mut self.pools[pool].order;
        if listed {
            order.insert((rank, member));
        } else {
            order.remove(&(rank, member));
        }
        let empty = order.is_empty();
        if let Some(parent) = self.pools[pool].parent.filter(|_| empty != empty_before) {
            self.list(parent, self.pool_rank(pool), Member::Pool(pool), !empty);
        }
    }

    /// Changes the number of running tasks of a set, and its place.
    fn move_leaf(&mut self, stage: StageIx, running: u32) {
        let Leaf {
            pool,
            running: before,
            pending,
            ..
        } = self.leaves[stage];
        let rank_before = self.leaf_rank(stage);
        self.leaves[stage].running = running;
        let rank = self.leaf_rank(stage);
        if pending && rank != rank_before {
            let order = &mut self.pools[pool].order;
            order.remove(&(rank_before, Member::TaskSet(stage)));
            order.insert((rank, Member::TaskSet(stage)));
        }
        let mut above = Some(pool);
        while let Some(pool) = above {
            self.move_pool(pool, before, running);
            above = self.pools[pool].parent;
        }
    }

    fn move_pool(&mut self, index: PoolIx, before: u32, after: u32) {
        let rank_before = self.pool_rank(index);
        let pool = &mut self.pools[index];
        pool.running = pool.running + after - before;
        let (listed, parent) = (!pool.order.is_empty(), pool.parent);
        let rank = self.pool_rank(index);
        if let Some(parent) = parent.filter(|_| listed && rank != rank_before) {
            let order = &mut self.pools[parent].order;
            order.remove(&(rank_before, Member::Pool(index)));
            order.insert((rank, Member::Pool(index)));
        }
    }

    fn leaf_rank(&self, stage: StageIx) -> Rank {
        let leaf = &self.leaves[stage];
        match self.pools[leaf.pool].mode {
            PoolMode::Fifo => Rank::Fifo(leaf.job, stage.number()),
            PoolMode::Fair => Rank::fair(leaf.running, 0, 1),
        }
    }

    fn pool_rank(&self, index: PoolIx) -> Rank {
        let pool = &self.pools[index];
        let mode = pool
            .parent
            .map_or(PoolMode::Fifo, |parent| self.pools[parent].mode);
        match mode {
            PoolMode::Fifo => Rank::Fifo(0, 0),
            PoolMode::Fair => Rank::fair(pool.running, pool.min_share, pool.weight),
        }
    }
}

/// The root and the pools of a plan in the order of their names, and their numbers.
fn pools_of(plan: &AppPlan) -> (Vec<Pool>, BTreeMap<&str, PoolIx>) {
    let named: BTreeMap<&str, &PoolPlan> = plan
        .scheduling
        .pools
        .iter()
        .map(|pool| (pool.name.as_str(), pool))
        .collect();
    let numbers: BTreeMap<_, _> = (1..)
        .map(PoolIx::new)
        .zip(named.keys())
        .map(|(index, name)| (*name, index))
        .collect();
    let mut pools = vec![Pool::new(plan.scheduling.mode)];
    pools.extend(named.values().map(|pool| {
        let parent = pool.parent.as_deref().and_then(|name| numbers.get(name).copied());
        Pool {
            parent: Some(parent.unwrap_or(PoolIx::new(ROOT))),
            weight: pool.weight,
            min_share: pool.min_share,
            ..Pool::new(pool.mode)
        }
    }));
    (pools, numbers)
}
