//! A model of the executor process: it keeps the rules of the real one (`executor::session`), runs nothing, and
//! ends tasks when the dice say so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use wire::failure::KillReason;
use wire::id::{StageKey, TaskAttemptId};
use wire::message::{GatewayMessage, TaskReport};

/// What happens inside a process.
#[derive(Debug, Clone)]
pub(crate) enum Moment {
    /// It dials the gateway.
    Dial,
    /// A message arrived on a connection.
    Receive {
        connection: u64,
        message: GatewayMessage,
    },
    /// A connection ended.
    Lost { connection: u64 },
    /// A heartbeat is due.
    Beat { connection: u64 },
    /// An attempt has come so far.
    Step { id: TaskAttemptId, from: Work },
    /// An attempt is ended for a reason.
    Kill { id: TaskAttemptId, reason: KillReason },
    /// The gateway has been out of reach for too long, if this is still so.
    GiveUp { dials: u32 },
}

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Starting,
    Running,
    /// For permission to commit.
    Waiting,
    /// Its result is being put in place.
    Placing,
}

/// Where the conversation with the gateway is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Dialing,
    Greeting { connection: u64 },
    Serving { connection: u64 },
    Leaving,
}

/// A process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) node: usize,
    pub(crate) boot: u64,
    pub(crate) link: Link,
    /// It does nothing until then.
    pub(crate) frozen_until: Duration,
    /// Nothing gets through to it or from it until then.
    pub(crate) cut_until: Duration,
    pub(crate) described: BTreeSet<StageKey>,
    pub(crate) work: BTreeMap<TaskAttemptId, Work>,
    /// Attempts that wait for slots, in the order in which they will begin.
    pub(crate) waiting: VecDeque<TaskAttemptId>,
    pub(crate) reports: BTreeMap<u64, TaskReport>,
    pub(crate) sequence: u64,
    pub(crate) heard: Duration,
    pub(crate) dials: u32,
}

impl Process {
    pub(crate) fn new(node: usize, boot: u64) -> Self {
        Self {
            node,
            boot,
            link: Link::Dialing,
            frozen_until: Duration::ZERO,
            cut_until: Duration::ZERO,
            described: BTreeSet::new(),
            work: BTreeMap::new(),
            waiting: VecDeque::new(),
            reports: BTreeMap::new(),
            sequence: 0,
            heard: Duration::ZERO,
            dials: 0,
        }
    }

    /// The connection it speaks on, once it is welcome.
    pub(crate) fn connection(&self) -> Option<u64> {
        match self.link {
            Link::Serving { connection } => Some(connection),
            Link::Dialing | Link::Greeting { .. } | Link::Leaving => None,
        }
    }

    /// Attempts that nobody else may run.
    pub(crate) fn held(&self) -> Vec<TaskAttemptId> {
        let finished = self.reports.values().map(|report| report.id);
        let begun = self.work.keys().copied();
        let held: BTreeSet<_> = begun
            .chain(self.waiting.iter().copied())
            .chain(finished)
            .collect();
        held.into_iter().collect()
    }

    pub(crate) fn is_held(&self, id: TaskAttemptId) -> bool {
        self.work.contains_key(&id)
            || self.waiting.contains(&id)
            || self.reports.values().any(|report| report.id == id)
    }
}
