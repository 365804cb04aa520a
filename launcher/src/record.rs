//! One executor's container, from its grant to its end.

use std::time::Duration;

use wire::failure::ExecutorLoss;
use wire::id::ExecutorId;

use super::Grant;
use super::nodes::NodeName;

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Granted; the NodeManager was asked to start it.
    StartSent,
    /// The NodeManager took it over; its process is on its way.
    Started,
    /// It was started for an earlier attempt; its executor was not heard of in this one.
    Adopted,
    /// Its executor registered.
    Registered,
    /// It was stopped for this reason, and YARN has not confirmed its end.
    Stopping(ExecutorLoss),
    /// It ended for this reason.
    Gone(ExecutorLoss),
}

impl Phase {
    /// Whether the container counts as held: it runs or will.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(
            self,
            Self::StartSent | Self::Started | Self::Adopted | Self::Registered
        )
    }

    /// Why it was stopped or ended, once it was.
    #[must_use]
    pub fn loss(self) -> Option<ExecutorLoss> {
        match self {
            Self::Stopping(loss) | Self::Gone(loss) => Some(loss),
            Self::StartSent | Self::Started | Self::Adopted | Self::Registered => None,
        }
    }

    /// The phase in one word, for pages and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::StartSent => "starting",
            Self::Started => "started",
            Self::Adopted => "adopted",
            Self::Registered => "registered",
            Self::Stopping(_) => "stopping",
            Self::Gone(_) => "gone",
        }
    }
}

/// When a container reached each phase, since the start of the ApplicationMaster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// The ask that led to it went out.
    pub asked: Duration,
    /// It was granted, and its start was sent.
    pub granted: Duration,
    /// The NodeManager took it over.
    pub started: Option<Duration>,
    /// Its executor registered.
    pub registered: Option<Duration>,
    /// It was stopped or had ended.
    pub ended: Option<Duration>,
}

/// A container of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The executor, which is the container.
    pub executor: ExecutorId,
    /// Where it is.
    pub node: NodeName,
    /// Host and port of the NodeManager's pages; may be empty.
    pub node_http: String,
    /// How far it is.
    pub phase: Phase,
    /// When it got there.
    pub times: Times,
    /// When something must have happened.
    pub deadline: Option<Duration>,
    /// Its node was asked how far it is, because it has not registered in time.
    pub(super) questioned: bool,
    /// How often its release was repeated.
    pub(super) releases: u32,
    /// YARN's exit status, once reported.
    pub exit_status: Option<i32>,
    /// Why it ended, for people.
    pub detail: String,
    /// YARN's words, the last of them, once reported.
    pub diagnostics: String,
}

impl Record {
    /// A container that was just granted, for an ask of the time `asked`.
    pub(super) fn granted(now: Duration, grant: Grant, asked: Duration, deadline: Duration) -> Self {
        Self {
            executor: grant.executor,
            node: grant.node,
            node_http: grant.node_http,
            phase: Phase::StartSent,
            times: Times {
                asked,
                granted: now,
                ..Times::default()
            },
            deadline: Some(deadline),
            questioned: false,
            releases: 0,
            exit_status: None,
            detail: String::new(),
            diagnostics: String::new(),
        }
    }

    /// A container that ran before we did.
    pub(super) fn adopted(now: Duration, grant: Grant, deadline: Duration) -> Self {
        Self {
            phase: Phase::Adopted,
            ..Self::granted(now, grant, now, deadline)
        }
    }

    pub(super) fn started(&mut self, now: Duration, deadline: Duration) {
        self.phase = Phase::Started;
        self.times.started = Some(now);
        self.deadline = Some(deadline);
    }

    pub(super) fn registered(&mut self, now: Duration) {
        self.phase = Phase::Registered;
        self.times.registered.get_or_insert(now);
        self.times.started.get_or_insert(now);
        self.deadline = None;
    }

    pub(super) fn stopping(&mut self, now: Duration, loss: ExecutorLoss, detail: &str, deadline: Duration) {
        self.phase = Phase::Stopping(loss);
        self.times.ended = Some(now);
        self.deadline = Some(deadline);
        detail.clone_into(&mut self.detail);
    }

    pub(super) fn gone(&mut self, now: Duration, loss: ExecutorLoss, detail: String) {
        self.phase = Phase::Gone(loss);
        self.times.ended.get_or_insert(now);
        self.deadline = None;
        if self.detail.is_empty() {
            self.detail = detail;
        }
    }
}
