//! The executor's side of the conversation with the ApplicationMaster, as a pure machine.
//!
//! It owns: the state of the connection, the epoch it obeys, which attempts it was given, which of them wait for
//! permission to commit, and every report that nobody has acknowledged. The shell dials, moves bytes, runs tasks
//! and tells the time.
//!
//! What always holds:
//! - a frame of a lower epoch, or for another life of this executor, changes nothing (invariant F);
//! - a report is kept until it is acknowledged, and sent again on every connection (a finished task is never lost
//!   because an ApplicationMaster was); of those on the disk only so many are on their way at a time;
//! - an attempt is launched once, however often it is ordered while it is held;
//! - attempts begin in the order in which they were ordered, and never more than there are slots for, whether they
//!   are launched into a slot or ahead;
//! - there is always a deadline, so a silent peer cannot keep the executor for ever (invariant E);
//! - memory grows with the attempts that are held, not with events (invariant J).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::id::{BootNonce, Epoch, StageKey, TaskAttemptId};
use wire::message::{Envelope, ExecutorMessage, GatewayMessage, Hello, Refusal, Welcome};
use wire::task::StageSpec;

use crate::backoff::dial_delay;
use crate::ending::Ending;
use crate::shares::Shares;

mod event;
mod leaving;
mod reporting;
mod tasks;

pub(crate) use event::{Effect, Event, Lookup, TaskEnd};
use reporting::Unacknowledged;
use tasks::{Running, Waiting};

/// How long an executor that was never welcomed goes on trying.
const REGISTER_LIMIT: Duration = Duration::from_secs(120);
/// How long the gateway may take to answer a hello.
const GREETING_LIMIT: Duration = Duration::from_secs(10);
/// How long tasks get when the executor leaves because nobody wants it.
const LEAVE_GRACE: Duration = Duration::from_secs(1);
/// Of the failed dials of a long search every so many leave a line in the log.
const QUIET: u32 = 16;
/// So many attempts that wait for each that runs are plenty.
const PLENTY: usize = 8;
/// Attempts that take no longer than this follow each other without waiting for the session: see [`Session`].
const BRISK: Duration = Duration::from_millis(20);
/// Heartbeats never come faster than this.
const SHORTEST_HEARTBEAT: Duration = Duration::from_millis(10);

/// Where the conversation is.
#[derive(Debug)]
enum State {
    /// No connection. With `dial_at` none, one is being made.
    Dialing {
        attempt: u32,
        dial_at: Option<Instant>,
        give_up_at: Instant,
    },
    /// Hello is sent.
    Greeting {
        attempt: u32,
        deadline: Instant,
        give_up_at: Instant,
    },
    /// Taken in.
    Serving {
        heard: Instant,
        heartbeat_at: Instant,
        welcome: Welcome,
    },
    /// On the way out: waiting for the tasks to end.
    Leaving {
        deadline: Instant,
        ending: Ending,
        connected: bool,
    },
    /// Out.
    Gone,
}

/// The session in a few numbers, for people.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    phase: &'static str,
    dial: Option<u32>,
    epoch: Epoch,
    running: usize,
    waiting: usize,
    awaiting_commit: usize,
    unacknowledged: usize,
    on_disk: usize,
    stale_frames: u64,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.phase)?;
        if let Some(dial) = self.dial {
            write!(f, ", dial {dial}")?;
        }
        write!(
            f,
            "; epoch {}; {} attempts run and {} wait for a slot, {} waiting to commit, \
             {} reports not acknowledged ({} on disk), {} stale frames",
            self.epoch,
            self.running,
            self.waiting,
            self.awaiting_commit,
            self.unacknowledged,
            self.on_disk,
            self.stale_frames
        )
    }
}

/// The machine.
///
/// Between the end of an attempt and the beginning of the next, word goes to this machine and back, from one thread to
/// another. Where attempts are short that is a good part of what they take, so while there is plenty to do, as many
/// attempts as there are slots are launched ahead: the end of one begins the next, and tells so. To everybody else these
/// wait like the others: they are recalled, cancelled and reported as attempts that have not begun.
#[derive(Debug)]
pub(crate) struct Session {
    hello: Hello,
    boot: BootNonce,
    epoch: Epoch,
    state: State,
    /// Of the last gateway that took us in.
    welcome: Option<Welcome>,
    /// As told on this connection.
    stages: BTreeMap<StageKey, Arc<StageSpec>>,
    /// Slots that nothing runs in; below zero for as long as the news is on its way of an end whose slot is taken already.
    free: i64,
    /// What tasks share besides them.
    shares: Shares,
    /// Attempts that run.
    running: BTreeMap<TaskAttemptId, Running>,
    /// Attempts that were launched ahead and have not begun.
    ahead: BTreeMap<TaskAttemptId, Running>,
    /// The last attempt that ended was a short one.
    brisk: bool,
    /// Attempts that wait for slots, in the order in which they will begin.
    waiting: VecDeque<Waiting>,
    /// Every attempt that nobody else may run: those that run or wait, and those whose report is not safe yet.
    held: BTreeSet<TaskAttemptId>,
    awaiting_commit: BTreeSet<TaskAttemptId>,
    /// A connection that served was lost, and nobody has given leave to commit since.
    bereft: bool,
    unacknowledged: Unacknowledged,
    reports: u64,
    heartbeats: u64,
    stale_frames: u64,
}

impl Session {
    /// A session that begins to dial at once.
    pub(crate) fn new(hello: Hello, shares: Shares, boot: BootNonce, epoch: Epoch, now: Instant) -> Self {
        Self {
            free: i64::from(hello.slots.max(1)),
            shares,
            hello,
            boot,
            epoch,
            state: State::Dialing {
                attempt: 0,
                dial_at: Some(now),
                give_up_at: now + REGISTER_LIMIT,
            },
            welcome: None,
            stages: BTreeMap::new(),
            running: BTreeMap::new(),
            ahead: BTreeMap::new(),
            brisk: false,
            waiting: VecDeque::new(),
            held: BTreeSet::new(),
            awaiting_commit: BTreeSet::new(),
            bereft: false,
            unacknowledged: Unacknowledged::default(),
            reports: 0,
            heartbeats: 0,
            stale_frames: 0,
        }
    }

    /// Where the conversation is, for people.
    pub(crate) fn standing(&self) -> Standing {
        let (phase, dial) = match &self.state {
            State::Dialing { attempt, .. } if self.welcome.is_some() => ("orphaned", Some(*attempt)),
            State::Dialing { attempt, .. } => ("dialing", Some(*attempt)),
            State::Greeting { .. } => ("greeting", None),
            State::Serving { .. } => ("serving", None),
            State::Leaving { .. } => ("leaving", None),
            State::Gone => ("gone", None),
        };
        Standing {
            phase,
            dial,
            epoch: self.epoch,
            running: self.running.len(),
            waiting: self.waiting.len() + self.ahead.len(),
            awaiting_commit: self.awaiting_commit.len(),
            unacknowledged: self.unacknowledged.len(),
            on_disk: self.unacknowledged.on_disk(),
            stale_frames: self.stale_frames,
        }
    }

    /// Whether there is so much to do that nobody waits for what attempts say.
    pub(crate) fn has_plenty(&self) -> bool {
        self.waiting.len() / PLENTY >= self.running.len().max(1)
    }

    /// When [`Event::Tick`] is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Dialing {
                dial_at, give_up_at, ..
            } => Some(dial_at.unwrap_or(*give_up_at).min(*give_up_at)),
            State::Greeting {
                deadline, give_up_at, ..
            } => Some(*deadline.min(give_up_at)),
            State::Serving {
                heard,
                heartbeat_at,
                welcome,
            } => Some(*heartbeat_at.min(&(*heard + welcome.silence))),
            State::Leaving { deadline, .. } => Some(*deadline),
            State::Gone => None,
        }
    }

    /// Takes one event.
    pub(crate) fn handle(&mut self, now: Instant, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Connected => self.connected(now, effects),
            Event::ConnectionLost(reason) => self.connection_lost(now, &reason),
            Event::ApplicationOver(reason) => self.application_over(now, &reason, effects),
            Event::Received(envelope) => self.received(now, envelope, effects),
            Event::TaskStarted { id, pid } => self.task_started(id, pid, effects),
            Event::CommitWanted { id } => self.commit_wanted(id, effects),
            Event::TaskEnded { id, end, next } => self.task_ended(id, end, next, effects),
            Event::Begun { id } => self.begun(id),
            Event::Retracted { id } => self.retracted(id, effects),
            Event::ReportRead { sequence, report } => self.report_read(sequence, report, effects),
            Event::TaskStuck { id, cause } => self.task_stuck(now, id, cause, effects),
            Event::Stopped { signal } => self.stopped(now, signal, effects),
            Event::Tick => self.tick(now, effects),
        }
        if self.is_without_leave() {
            self.lend_slots(effects);
        }
    }

    fn send(&self, message: ExecutorMessage, effects: &mut Vec<Effect>) {
        effects.push(Effect::Send(Envelope {
            epoch: self.epoch,
            boot: self.boot,
            message,
        }));
    }

    /// Whether nobody is there who gives leave to commit. One that has come just now may be busy with what the last one
    /// has left until it has given leave once.
    fn is_without_leave(&self) -> bool {
        match self.state {
            State::Dialing { .. } | State::Greeting { .. } => true,
            State::Serving { .. } => self.bereft,
            State::Leaving { .. } | State::Gone => false,
        }
    }

    /// Whether what has to be said can be said now.
    fn is_heard(&self) -> bool {
        matches!(
            self.state,
            State::Serving { .. } | State::Leaving { connected: true, .. }
        )
    }

    // The connection.

    fn connected(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let State::Dialing {
            attempt, give_up_at, ..
        } = self.state
        else {
            return effects.push(Effect::Disconnect);
        };
        self.state = State::Greeting {
            attempt,
            deadline: now + GREETING_LIMIT,
            give_up_at,
        };
        let hello = Hello {
            running: self.held.iter().copied().collect(),
            ..self.hello.clone()
        };
        self.send(ExecutorMessage::Hello(hello), effects);
    }

    fn connection_lost(&mut self, now: Instant, reason: &str) {
        match &mut self.state {
            State::Leaving { connected, .. } => *connected = false,
            State::Gone => {}
            State::Dialing { .. } | State::Greeting { .. } | State::Serving { .. } => {
                self.redial(now, reason);
            }
        }
    }

    fn application_over(&mut self, now: Instant, reason: &str, effects: &mut Vec<Effect>) {
        if matches!(self.state, State::Dialing { .. }) {
            tracing::info!(reason, "the application is over: leaving");
            self.leave(now, Ending::DONE, LEAVE_GRACE, false, effects);
        }
    }

    fn redial(&mut self, now: Instant, reason: &str) {
        let (attempt, give_up_at) = match &self.state {
            State::Dialing {
                attempt, give_up_at, ..
            }
            | State::Greeting {
                attempt, give_up_at, ..
            } => (attempt.saturating_add(1), *give_up_at),
            State::Serving { welcome, .. } => {
                self.bereft = true;
                (0, now + welcome.am_lost_ttl)
            }
            State::Leaving { .. } | State::Gone => return,
        };
        if attempt < 2 || attempt % QUIET == 0 {
            tracing::info!(attempt, reason, "no connection to the ApplicationMaster");
        }
        let dial_at = Some(now + dial_delay(self.boot.0, attempt));
        self.state = State::Dialing {
            attempt,
            dial_at,
            give_up_at,
        };
    }

    fn drop_connection(&mut self, now: Instant, reason: &str, effects: &mut Vec<Effect>) {
        effects.push(Effect::Disconnect);
        self.redial(now, reason);
    }

    fn tick(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        match &mut self.state {
            State::Dialing { give_up_at, .. } | State::Greeting { give_up_at, .. } if *give_up_at <= now => {
                tracing::error!("no ApplicationMaster for too long: leaving");
                effects.push(Effect::Disconnect);
                self.leave(now, Ending::UNREACHABLE, LEAVE_GRACE, false, effects);
            }
            State::Dialing { attempt, dial_at, .. } if dial_at.is_some_and(|at| at <= now) => {
                *dial_at = None;
                let lookup = match (*attempt, &self.welcome) {
                    (0, None) => Lookup::Known,
                    (0, Some(_)) => Lookup::Begin,
                    _ => Lookup::Continue,
                };
                effects.push(Effect::Dial(lookup));
            }
            State::Greeting { deadline, .. } if *deadline <= now => {
                self.drop_connection(now, "no answer to our hello", effects);
            }
            State::Serving { .. } => self.tick_serving(now, effects),
            State::Leaving { deadline, ending, .. } if *deadline <= now => {
                effects.push(Effect::Leave(*ending));
                self.state = State::Gone;
            }
            State::Dialing { .. } | State::Greeting { .. } | State::Leaving { .. } | State::Gone => {}
        }
    }

    fn tick_serving(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let State::Serving {
            heard,
            heartbeat_at,
            welcome,
        } = &mut self.state
        else {
            return;
        };
        if *heard + welcome.silence <= now {
            return self.drop_connection(now, "the gateway is silent", effects);
        }
        if *heartbeat_at <= now {
            *heartbeat_at = now + welcome.heartbeat;
            self.send_heartbeat(effects);
        }
    }

    fn send_heartbeat(&mut self, effects: &mut Vec<Effect>) {
        self.heartbeats += 1;
        effects.push(Effect::SendHeartbeat {
            epoch: self.epoch,
            sequence: self.heartbeats,
            running: self.running.keys().copied().collect(),
            waiting: self
                .waiting
                .iter()
                .map(Waiting::id)
                .chain(self.ahead.keys().copied())
                .chain(self.unacknowledged.unsent())
                .collect(),
        });
    }

    // Frames.

    fn received(&mut self, now: Instant, envelope: Envelope<GatewayMessage>, effects: &mut Vec<Effect>) {
        let foreign = envelope.boot != self.boot && envelope.boot != BootNonce(0);
        if envelope.epoch < self.epoch || foreign {
            return self.stale(now, effects);
        }
        self.epoch = envelope.epoch;
        match (&mut self.state, envelope.message) {
            (State::Greeting { .. }, GatewayMessage::Welcome(welcome)) => {
                self.welcomed(now, welcome, effects);
            }
            (State::Greeting { .. }, GatewayMessage::Refused { reason, message }) => {
                self.refused(now, reason, &message, effects);
            }
            (State::Greeting { .. }, _) => self.drop_connection(now, "an answer that is no welcome", effects),
            (State::Serving { heard, .. }, message) => {
                *heard = now;
                self.obey(now, message, effects);
            }
            (State::Leaving { .. }, GatewayMessage::Acknowledge { sequences }) => {
                self.acknowledged(&sequences, effects);
                self.leave_when_empty(effects);
            }
            (State::Dialing { .. } | State::Leaving { .. } | State::Gone, _) => self.stale_frames += 1,
        }
    }

    /// A frame of an ApplicationMaster that has been replaced, or for an earlier life under our id.
    fn stale(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.stale_frames += 1;
        if matches!(self.state, State::Greeting { .. }) {
            self.drop_connection(now, "an ApplicationMaster that has been replaced", effects);
        }
    }

    fn welcomed(&mut self, now: Instant, welcome: Welcome, effects: &mut Vec<Effect>) {
        let welcome = within_reason(welcome);
        self.state = State::Serving {
            heard: now,
            heartbeat_at: now + welcome.heartbeat,
            welcome,
        };
        self.welcome = Some(welcome);
        self.stages.clear();
        let started = self
            .running
            .iter()
            .filter_map(|(id, running)| Some((*id, running.pid?)));
        let started = started.map(|(id, pid)| ExecutorMessage::TaskStarted { id, pid });
        let reports = self.unacknowledged.begin_again().into_iter();
        let reports = reports.map(|report| ExecutorMessage::TaskFinished(Box::new(report)));
        let commits = self
            .awaiting_commit
            .iter()
            .map(|id| ExecutorMessage::CommitRequest { id: *id });
        for message in started.chain(reports).chain(commits) {
            self.send(message, effects);
        }
        self.read_reports(effects);
    }

    fn refused(&mut self, now: Instant, reason: Refusal, message: &str, effects: &mut Vec<Effect>) {
        tracing::warn!(
            ?reason,
            message,
            "the ApplicationMaster does not want this executor: leaving"
        );
        let ending = match reason {
            Refusal::Ending | Refusal::Fenced => Ending::DONE,
            Refusal::ProtocolVersion
            | Refusal::Build
            | Refusal::UnknownExecutor
            | Refusal::WrongApplication
            | Refusal::Unspecified => Ending::REFUSED,
        };
        self.leave(now, ending, LEAVE_GRACE, false, effects);
    }

    fn obey(&mut self, now: Instant, message: GatewayMessage, effects: &mut Vec<Effect>) {
        match message {
            GatewayMessage::Launch { stages, tasks } => self.launch(stages, tasks, effects),
            GatewayMessage::Cancel { id, reason, grace } => self.cancel(id, reason, grace, effects),
            GatewayMessage::CommitDecision { id, granted } => {
                self.bereft = false;
                if self.awaiting_commit.remove(&id) {
                    effects.push(Effect::DecideCommit { id, granted });
                }
            }
            GatewayMessage::Recall { ids } => self.recall(&ids, effects),
            GatewayMessage::Acknowledge { sequences } => self.acknowledged(&sequences, effects),
            GatewayMessage::Shutdown { reason, grace } => {
                tracing::info!(reason, "told to leave");
                self.leave(now, Ending::DONE, grace, true, effects);
            }
            GatewayMessage::Refused { reason, message } => self.refused(now, reason, &message, effects),
            GatewayMessage::Welcome(_) => self.stale_frames += 1,
        }
    }
}

/// A gateway's wishes, kept from turning us into a busy loop.
fn within_reason(welcome: Welcome) -> Welcome {
    let heartbeat = welcome.heartbeat.max(SHORTEST_HEARTBEAT);
    Welcome {
        heartbeat,
        silence: welcome.silence.max(heartbeat * 2),
        ..welcome
    }
}

#[cfg(test)]
mod tests;
