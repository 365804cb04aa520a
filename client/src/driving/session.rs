//! The driver's side of its conversation with the ApplicationMaster's gateway, as a pure machine.
//!
//! It owns: where the gateway is, the state of the connection, the epoch it obeys, and a verdict that has not been
//! acknowledged. The shell dials, moves bytes and tells the time, counted from any fixed point.
//!
//! What always holds: a frame of a lower epoch or for another life changes nothing (F); a verdict is said on every
//! connection until it is acknowledged; while the application lives, something is being dialled, awaited with a
//! deadline, or a timer runs (E), and what ends it otherwise is the ResourceManager's report, which others watch.

use std::time::Duration;

use hadoop::retry::Backoff;
use wire::id::{BootNonce, Epoch};
use wire::launcher::{
    DriverHello, DriverMessage, DriverWelcome, LauncherCommand, LauncherMessage, LauncherReport, Verdict,
};
use wire::message::{Envelope, Refusal};

/// How long the gateway may take to answer a hello.
const GREETING_LIMIT: Duration = Duration::from_secs(10);
/// Heartbeats never come faster than this.
const SHORTEST_HEARTBEAT: Duration = Duration::from_millis(10);
/// Between two dials: short, because the application ends when the driver is away for long.
const DIALS: Backoff = Backoff {
    jitter: 0.0,
    ..Backoff::doubling(Duration::from_millis(100), Duration::from_secs(1))
};

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    /// The ResourceManager says that the gateway is here.
    AddressLearned(String),
    /// The connection that was asked for stands.
    Connected,
    /// It could not be made, or is gone.
    ConnectionLost(String),
    /// A frame arrived.
    Received(Envelope<LauncherMessage>),
    /// The driver wants something of the launcher.
    Command(LauncherCommand),
    /// A deadline passed.
    Tick,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// Make a connection to this address.
    Dial(String),
    /// Send a frame.
    Send(Envelope<DriverMessage>),
    /// Drop the connection.
    Disconnect,
    /// Hand this to the driver.
    Report(LauncherReport),
    /// The launcher listens from now on.
    LinkUp,
    /// The launcher does not listen any more.
    LinkDown(String),
    /// The gateway does not want us; the text is for people.
    Refused(String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Nobody to dial yet.
    Unknown,
    /// Between two dials.
    Pausing {
        tries: u32,
        until: Duration,
    },
    Dialing {
        tries: u32,
    },
    /// Hello is sent.
    Greeting {
        tries: u32,
        deadline: Duration,
    },
    Serving {
        heard: Duration,
        heartbeat_at: Duration,
        welcome: DriverWelcome,
    },
    /// The application does without us.
    Dismissed,
}

/// The machine.
#[derive(Debug)]
pub(super) struct Session {
    hello: DriverHello,
    boot: BootNonce,
    epoch: Epoch,
    address: Option<String>,
    state: State,
    verdict: Option<Verdict>,
}

impl Session {
    /// A session that waits for an address.
    pub(super) fn new(hello: DriverHello, boot: BootNonce) -> Self {
        Self {
            hello,
            boot,
            epoch: Epoch(0),
            address: None,
            state: State::Unknown,
            verdict: None,
        }
    }

    /// Whether the launcher listens.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Serving { .. })
    }

    /// When [`Event::Tick`] is due.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        match self.state {
            State::Pausing { until, .. } => Some(until),
            State::Greeting { deadline, .. } => Some(deadline),
            State::Serving {
                heard,
                heartbeat_at,
                welcome,
            } => Some(heartbeat_at.min(heard + welcome.silence)),
            State::Unknown | State::Dialing { .. } | State::Dismissed => None,
        }
    }

    /// Takes one event.
    pub(super) fn handle(&mut self, now: Duration, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::AddressLearned(address) => self.address_learned(address, effects),
            Event::Connected => self.connected(now, effects),
            Event::ConnectionLost(reason) => self.lost(now, reason, effects),
            Event::Received(envelope) => self.received(now, envelope, effects),
            Event::Command(command) => self.command(command, effects),
            Event::Tick => self.tick(now, effects),
        }
    }

    fn send(&self, message: DriverMessage, effects: &mut Vec<Effect>) {
        effects.push(Effect::Send(Envelope {
            epoch: self.epoch,
            boot: self.boot,
            message,
        }));
    }

    /// A new address is that of a new attempt: the old one is not worth another dial, and what it was told may be lost.
    fn address_learned(&mut self, address: String, effects: &mut Vec<Effect>) {
        let fresh = self.address.as_ref() != Some(&address);
        self.address = Some(address);
        let idle = matches!(self.state, State::Pausing { .. } | State::Dismissed);
        if matches!(self.state, State::Unknown) || (fresh && idle) {
            self.dial(0, effects);
        }
    }

    fn dial(&mut self, tries: u32, effects: &mut Vec<Effect>) {
        if let Some(address) = self.address.clone() {
            self.state = State::Dialing { tries };
            effects.push(Effect::Dial(address));
        }
    }

    fn connected(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let State::Dialing { tries } = self.state else {
            return effects.push(Effect::Disconnect);
        };
        self.state = State::Greeting {
            tries,
            deadline: now + GREETING_LIMIT,
        };
        self.send(DriverMessage::Hello(self.hello.clone()), effects);
    }

    fn lost(&mut self, now: Duration, reason: String, effects: &mut Vec<Effect>) {
        let tries = match self.state {
            State::Dialing { tries } | State::Greeting { tries, .. } => tries.saturating_add(1),
            State::Serving { .. } => {
                effects.push(Effect::LinkDown(reason));
                0
            }
            State::Unknown | State::Pausing { .. } | State::Dismissed => return,
        };
        let until = now + DIALS.delay(tries);
        self.state = State::Pausing { tries, until };
    }

    fn drop_connection(&mut self, now: Duration, reason: &str, effects: &mut Vec<Effect>) {
        effects.push(Effect::Disconnect);
        self.lost(now, reason.to_owned(), effects);
    }

    fn tick(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        match &mut self.state {
            State::Pausing { tries, until } if *until <= now => {
                let tries = *tries;
                self.dial(tries, effects);
            }
            State::Greeting { deadline, .. } if *deadline <= now => {
                self.drop_connection(now, "no answer to our hello", effects);
            }
            State::Serving { heard, welcome, .. } if *heard + welcome.silence <= now => {
                self.drop_connection(now, "the ApplicationMaster is silent", effects);
            }
            State::Serving {
                heartbeat_at,
                welcome,
                ..
            } if *heartbeat_at <= now => {
                *heartbeat_at = now + welcome.heartbeat.max(SHORTEST_HEARTBEAT);
                self.send(DriverMessage::Heartbeat, effects);
            }
            _ => {}
        }
    }

    fn received(&mut self, now: Duration, envelope: Envelope<LauncherMessage>, effects: &mut Vec<Effect>) {
        if envelope.boot != self.boot || envelope.epoch < self.epoch {
            return;
        }
        self.epoch = envelope.epoch;
        match (&mut self.state, envelope.message) {
            (State::Greeting { .. }, LauncherMessage::Welcome(welcome)) => {
                self.welcomed(now, welcome, effects);
            }
            (State::Greeting { .. }, LauncherMessage::Refused { reason, message }) => {
                self.refused(reason, message, effects);
            }
            (State::Greeting { .. }, _) => self.drop_connection(now, "an answer that is no welcome", effects),
            (State::Serving { .. }, LauncherMessage::Concluded) => self.dismiss(effects),
            (State::Serving { heard, .. }, message) => {
                *heard = now;
                if let LauncherMessage::Report(report) = message {
                    effects.push(Effect::Report(report));
                }
            }
            _ => {}
        }
    }

    fn welcomed(&mut self, now: Duration, welcome: DriverWelcome, effects: &mut Vec<Effect>) {
        self.state = State::Serving {
            heard: now,
            heartbeat_at: now + welcome.heartbeat,
            welcome: DriverWelcome {
                silence: welcome.silence.max(welcome.heartbeat * 2),
                ..welcome
            },
        };
        effects.push(Effect::LinkUp);
        if let Some(verdict) = self.verdict.clone() {
            self.send(DriverMessage::Command(LauncherCommand::Finish(verdict)), effects);
        }
    }

    fn refused(&mut self, reason: Refusal, message: String, effects: &mut Vec<Effect>) {
        self.dismiss(effects);
        if reason != Refusal::Ending {
            effects.push(Effect::Refused(message));
        }
    }

    fn dismiss(&mut self, effects: &mut Vec<Effect>) {
        self.state = State::Dismissed;
        effects.push(Effect::Disconnect);
    }

    /// Commands are absolute or repeated by the driver, so those of a time without a connection may be lost; only the
    /// verdict is said once.
    fn command(&mut self, command: LauncherCommand, effects: &mut Vec<Effect>) {
        if let LauncherCommand::Finish(verdict) = &command {
            self.verdict = Some(verdict.clone());
        }
        if self.is_up() {
            self.send(DriverMessage::Command(command), effects);
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
