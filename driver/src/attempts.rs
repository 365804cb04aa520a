//! The task attempts that are alive: launched and neither ended nor lost.

use std::time::Duration;

use wire::failure::KillReason;
use wire::id::{StageKey, TaskAttemptId};
use wire::task::Counter;

use crate::index::{AttemptIx, ExecutorIx, Slab, StageIx};
use crate::locality::Level;

/// All live attempts.
pub(crate) type Attempts = Slab<AttemptIx, Attempt>;

/// Where an attempt stands with its permission to put its result in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitState {
    NotAsked,
    /// It asked while the ResourceManager was silent.
    Held,
    Granted,
}

/// One live attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) stage: StageIx,
    pub(crate) stage_attempt: u32,
    pub(crate) partition: u32,
    pub(crate) number: u32,
    pub(crate) executor: ExecutorIx,
    /// The slots it takes.
    pub(crate) cores: u32,
    /// When it was given its slots; while it is queued: when it was sent.
    pub(crate) launched_at: Duration,
    /// When its executor last said that it has it.
    pub(crate) seen_at: Duration,
    pub(crate) started: bool,
    /// It waits in the queue of its executor, ahead of a free slot.
    pub(crate) queued: bool,
    /// It was asked back from there.
    pub(crate) recalled: bool,
    /// Its task may be what ends executors, and is kept apart from others like it (`suspicion`).
    pub(crate) suspected: bool,
    pub(crate) commit: CommitState,
    pub(crate) cancelled: Option<KillReason>,
    pub(crate) progress: f32,
    /// What it says it is doing.
    pub(crate) status: String,
    pub(crate) resident: u64,
    /// What it has counted, as last heard.
    pub(crate) counters: Vec<Counter>,
    /// How near its data it is.
    pub(crate) level: Level,
    /// The next live attempt of the same task.
    pub(crate) sibling: Option<AttemptIx>,
}

impl Attempt {
    /// Its id, given the job of its stage.
    pub(crate) fn id(&self, job: u32) -> TaskAttemptId {
        let stage = StageKey {
            job,
            stage: self.stage.number(),
            stage_attempt: self.stage_attempt,
        };
        TaskAttemptId {
            stage,
            partition: self.partition,
            attempt: self.number,
        }
    }
}
