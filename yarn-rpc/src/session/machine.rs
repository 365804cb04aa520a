//! The session as a pure machine.

use super::api::{FinalStatus, Registration, SessionCommand, SessionEvent};
use super::asks::AskTable;
use super::blacklist::Blacklist;
use super::containers::ContainerBook;
use super::pacing::Pacing;
use super::request::{Request, SessionCall};
use crate::error::RpcError;
use crate::proto::yarn as pb;
use crate::records::{NmToken, Resource};
use hadoop::credentials::Token;
use std::time::Duration;

/// Who we are, as the ResourceManager shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Host where this process can be reached.
    pub host: String,
    /// Port, if any.
    pub rpc_port: Option<u16>,
    /// Where the ResourceManager's proxy finds our pages, if anywhere.
    pub tracking_url: Option<String>,
}

/// What drives the machine.
#[derive(Debug)]
pub enum SessionInput {
    /// The owner wants something.
    Command(SessionCommand),
    /// The call that was asked for last is answered.
    Answer(SessionAnswer),
    /// [`SessionMachine::next_deadline`] has passed.
    Timer,
}

/// The end of a call.
#[derive(Debug)]
pub enum SessionAnswer {
    /// To [`SessionCall::Register`].
    Registered(Box<pb::RegisterApplicationMasterResponseProto>),
    /// To [`SessionCall::Allocate`].
    Allocated(Box<pb::AllocateResponseProto>),
    /// To [`SessionCall::Finish`].
    Finished(pb::FinishApplicationMasterResponseProto),
    /// To any of them.
    Failed(RpcError),
}

/// What the machine wants done, in order.
#[derive(Debug, PartialEq)]
pub enum SessionEffect {
    /// Make this call and come back with its answer. There is never a second one before that.
    Call(SessionCall),
    /// Keep a token for a NodeManager, in the place of an older one.
    StoreNmToken(NmToken),
    /// Use this token for the next connection; the present one goes on working.
    UseToken(Token),
    /// Tell the owner.
    Emit(SessionEvent),
}

/// Registration, heartbeats and the end of one application attempt. See the [module](super).
#[derive(Debug)]
pub struct SessionMachine {
    pub(super) identity: Identity,
    pub(super) pacing: Pacing,
    pub(super) phase: Phase,
    pub(super) asks: AskTable,
    pub(super) book: ContainerBook,
    pub(super) blacklist: Blacklist,
    pub(super) progress: f32,
    /// What the ResourceManager has heard.
    progress_told: f32,
    /// A URL the ResourceManager has not heard of.
    pub(super) new_tracking_url: Option<String>,
    pub(super) response_id: i32,
    /// The request under way, or waiting to be repeated as it was.
    pub(super) request: Option<Request>,
    pub(super) in_flight: bool,
    /// When the call under way, or the last one, was begun.
    asked: Duration,
    /// When to make the next call, unless one is under way.
    due: Option<Duration>,
    last_sent: Option<Duration>,
    /// Heartbeats since the last change.
    beats: u32,
    /// Failed calls in a row.
    failures: u32,
    /// How many asks go into one request: one while a refused ask is being looked for.
    pub(super) ask_limit: usize,
    pub(super) verdict: Option<Verdict>,
    /// A finish was made whose effect is not known.
    pub(super) finish_attempted: bool,
    pub(super) headroom: Option<(Resource, u32)>,
}

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not registered, or forgotten by the ResourceManager.
    Registering {
        /// Registered before.
        again: bool,
    },
    /// Heartbeats.
    Active,
    /// Only the end is left.
    Finishing,
    /// Nothing is left.
    Over,
}

#[derive(Debug, Clone)]
pub(super) struct Verdict {
    pub(super) status: FinalStatus,
    pub(super) diagnostics: String,
    pub(super) tracking_url: Option<String>,
}

impl SessionMachine {
    /// A session that registers as soon as its timer fires, which it does at once.
    pub fn new(identity: Identity, pacing: Pacing) -> Self {
        Self {
            identity,
            pacing,
            phase: Phase::Registering { again: false },
            asks: AskTable::default(),
            book: ContainerBook::default(),
            blacklist: Blacklist::default(),
            progress: 0.0,
            progress_told: 0.0,
            new_tracking_url: None,
            response_id: 0,
            request: None,
            in_flight: false,
            asked: Duration::ZERO,
            due: Some(Duration::ZERO),
            last_sent: None,
            beats: 0,
            failures: 0,
            ask_limit: usize::MAX,
            verdict: None,
            finish_attempted: false,
            headroom: None,
        }
    }

    /// Takes one input at time `now` (since any fixed moment) and appends what is to be done.
    ///
    /// Commands only change what the next heartbeat carries and when it is due: give the machine all commands that
    /// have come before giving it the timer.
    pub fn handle(&mut self, now: Duration, input: SessionInput, effects: &mut Vec<SessionEffect>) {
        if self.phase == Phase::Over {
            return;
        }
        match input {
            SessionInput::Command(command) => self.command(now, command),
            SessionInput::Answer(answer) => self.answer(now, answer, effects),
            SessionInput::Timer => self.timer(now, effects),
        }
    }

    /// When the machine wants its timer to fire; `None` while a call is under way and when the session is over.
    pub fn next_deadline(&self) -> Option<Duration> {
        if self.in_flight { None } else { self.due }
    }

    /// Whether the session is over.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    fn command(&mut self, now: Duration, command: SessionCommand) {
        let urgent = match command {
            SessionCommand::SetAsk { ask, as_of } => self.asks.set(ask, as_of),
            SessionCommand::Release(id) => {
                self.asks.given_up(id);
                self.book.release(id)
            }
            SessionCommand::Started(id) => {
                self.book.started(id);
                false
            }
            SessionCommand::Blacklist { add, remove } => self.blacklist.change(add, remove),
            SessionCommand::Progress(progress) => {
                self.set_progress(progress);
                false
            }
            SessionCommand::SetIntervals { pending, idle } => {
                self.pacing.pending = pending;
                self.pacing.idle = idle.max(pending);
                false
            }
            SessionCommand::TrackingUrl(url) => {
                self.identity.tracking_url = Some(url.clone());
                self.new_tracking_url = Some(url);
                true
            }
            SessionCommand::Nudge => true,
            SessionCommand::Unregister {
                status,
                diagnostics,
                tracking_url,
            } => {
                self.unregister(
                    now,
                    Verdict {
                        status,
                        diagnostics,
                        tracking_url,
                    },
                );
                false
            }
        };
        if urgent {
            self.hurry(now);
        }
    }

    /// Progress alone hurries nobody, but it should not be old news either.
    fn set_progress(&mut self, progress: f32) {
        if progress.is_finite() {
            self.progress = progress.clamp(0.0, 1.0);
        }
        let waits = self.phase == Phase::Active && !self.in_flight && self.request.is_none();
        if let Some(sent) = self.last_sent.filter(|_| waits && self.has_made_progress()) {
            let soon = sent + self.pacing.progress;
            self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
        }
    }

    fn has_made_progress(&self) -> bool {
        self.progress != self.progress_told
    }

    fn unregister(&mut self, now: Duration, verdict: Verdict) {
        self.verdict = Some(verdict);
        if self.phase == Phase::Active {
            self.phase = Phase::Finishing;
            if !self.in_flight {
                // A heartbeat that waited for its repetition does not matter any more.
                self.request = None;
                self.due = Some(now);
            }
        }
    }

    /// Back to the fast pace, and the next heartbeat as soon as the fast pace allows.
    fn hurry(&mut self, now: Duration) {
        self.beats = 0;
        if self.phase != Phase::Active || self.request.is_some() {
            return;
        }
        let allowed = self
            .last_sent
            .map_or(now, |sent| now.max(sent + self.pacing.pending));
        self.due = Some(self.due.map_or(allowed, |due| due.min(allowed)));
    }

    fn timer(&mut self, now: Duration, effects: &mut Vec<SessionEffect>) {
        if self.in_flight || self.due.is_none_or(|due| due > now) {
            return;
        }
        let request = match self.request.take() {
            Some(request) => request,
            None => {
                self.progress_told = self.progress;
                self.compose()
            }
        };
        effects.push(SessionEffect::Call(request.call.clone()));
        if matches!(request.call, SessionCall::Allocate(_)) {
            self.last_sent = Some(now);
        }
        self.request = Some(request);
        self.in_flight = true;
        self.asked = now;
    }

    fn answer(&mut self, now: Duration, answer: SessionAnswer, effects: &mut Vec<SessionEffect>) {
        let Some(request) = self.request.take() else {
            return;
        };
        self.in_flight = false;
        match answer {
            SessionAnswer::Failed(error) => self.failed(now, request, &error, effects),
            SessionAnswer::Registered(response) => {
                self.contact(effects);
                self.registered(now, registration(&response, effects), effects);
            }
            SessionAnswer::Allocated(response) => {
                self.contact(effects);
                self.allocated(now, &response, effects);
            }
            SessionAnswer::Finished(response) => {
                self.contact(effects);
                self.finished(now, &response, effects);
            }
        }
    }

    /// Something of the other side came: failures begin to count anew.
    pub(super) fn contact(&mut self, effects: &mut Vec<SessionEffect>) {
        self.failures = 0;
        effects.push(SessionEffect::Emit(SessionEvent::RmContact { asked: self.asked }));
    }

    /// The attempt is registered: tells the owner, and goes on with heartbeats or with the end.
    pub(super) fn registered(
        &mut self,
        now: Duration,
        registration: Registration,
        effects: &mut Vec<SessionEffect>,
    ) {
        let again = self.phase == Phase::Registering { again: true };
        self.response_id = 0;
        for container in &registration.previous {
            self.book.found(container.id);
        }
        let event = if again {
            self.resynced(registration)
        } else {
            SessionEvent::Registered(registration)
        };
        effects.push(SessionEffect::Emit(event));
        self.beats = 0;
        self.last_sent = None;
        self.phase = if self.verdict.is_some() {
            Phase::Finishing
        } else {
            Phase::Active
        };
        // The owner's first asks are on their way: they go into the first heartbeat.
        let wait = self.phase == Phase::Active && !self.has_news();
        self.due = Some(if wait { now + self.pacing.pending } else { now });
    }

    /// Everything the ResourceManager has forgotten is to be sent again.
    fn resynced(&mut self, registration: Registration) -> SessionEvent {
        self.asks.advance();
        let void = self.book.resync();
        let dropped = void.keys().copied().collect();
        void.into_iter()
            .for_each(|(id, satisfied)| self.asks.taken_back(id, satisfied));
        self.asks.all_dirty();
        self.blacklist.resync();
        SessionEvent::Resynced {
            dropped,
            recovered: registration.previous,
            seq: self.asks.seq(),
        }
    }

    /// Registers again, now.
    pub(super) fn forgotten(&mut self, now: Duration) {
        self.phase = Phase::Registering { again: true };
        self.response_id = 0;
        self.due = Some(now);
    }

    /// After an answered heartbeat: when the next one is due.
    pub(super) fn pace(&mut self, now: Duration, news: bool) {
        if self.phase != Phase::Active {
            self.due = Some(now);
            return;
        }
        self.beats = if news { 0 } else { self.beats.saturating_add(1) };
        let outstanding = self.asks.outstanding() || self.book.has_releases();
        let interval = if self.has_news() {
            self.pacing.pending
        } else {
            self.pacing.interval(self.beats, outstanding)
        };
        let interval = if self.has_made_progress() {
            interval.min(self.pacing.progress)
        } else {
            interval
        };
        self.due = Some(now.max(self.last_sent.unwrap_or(now) + interval));
    }

    /// After a failed call: when to try again.
    pub(super) fn back_off(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now + self.pacing.retry_pause(self.failures));
    }

    /// Try again at once.
    pub(super) fn at_once(&mut self, now: Duration) {
        self.due = Some(now);
    }

    /// Try the end again after its own pause.
    pub(super) fn finish_later(&mut self, now: Duration) {
        self.due = Some(now + self.pacing.finish);
    }

    /// The session is over.
    pub(super) fn end(&mut self, event: SessionEvent, effects: &mut Vec<SessionEffect>) {
        self.phase = Phase::Over;
        self.request = None;
        self.due = None;
        effects.push(SessionEffect::Emit(event));
    }

    /// Whether there is something the ResourceManager has not heard.
    fn has_news(&self) -> bool {
        self.asks.has_dirty() || self.book.has_unsent_releases() || self.blacklist.has_changes()
    }
}

/// Reads a register response; its NodeManager tokens are stored first.
fn registration(
    response: &pb::RegisterApplicationMasterResponseProto,
    effects: &mut Vec<SessionEffect>,
) -> Registration {
    for token in &response.nm_tokens_from_previous_attempts {
        super::answer::store_token(token, effects);
    }
    let cpu = pb::SchedulerResourceTypes::Cpu as i32;
    Registration {
        maximum: response.maximum_capability.as_ref().map(Resource::from),
        queue: response.queue().to_owned(),
        previous: super::answer::containers(&response.containers_from_previous_attempts, effects),
        acls: crate::records::acls_from_wire(&response.application_ac_ls),
        schedules_cores: response.scheduler_resource_types.contains(&cpu),
    }
}
