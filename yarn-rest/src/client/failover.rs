//! Where to send a request next: a state machine over the outcomes of its tries.
//!
//! It owns the order of the addresses, the count of rounds and redirects, and the list of what was tried.
//! It sends nothing and waits for nothing. Invariants:
//!
//! - A request that must not be repeated is sent to another address only while nobody can have acted on it.
//! - Redirects are finite, and a redirect that fails leads back to the addresses.
//! - While no ResourceManager answers at all, the rounds are finite.

use std::time::Duration;

use reqwest::Url;

use super::address::Address;
use crate::error::{Error, Tried};
use crate::request::Replay;

/// What became of a try.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// An answer to hand to the caller.
    Done,
    /// A redirect that may be followed.
    Redirected(Url),
    /// A daemon that leaves the call to another one; nothing has happened.
    NotActive(String),
    /// No connection; nothing has happened.
    Unreached(String),
    /// The connection broke or nothing came back; the request may have been acted on.
    Broken(String),
    /// The server says that it cannot now.
    Busy(Error),
    /// The server says no.
    Failed(Error),
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send the request to this URL.
    Send(Url),
    /// Wait, then ask [`Failover::resume`].
    Pause,
    /// The last answer is the answer.
    Deliver,
    /// It did not work.
    GiveUp(Error),
}

/// A standby knows at most one hop to the active one; NodeManagers send to a log server.
const MOST_REDIRECTS: u32 = 5;

#[derive(Debug)]
pub(crate) struct Failover {
    order: Vec<Address>,
    target: http::Uri,
    replay: Replay,
    /// Index in `order` of the address asked last; redirects do not move it.
    at: usize,
    rounds_left: u32,
    redirects: u32,
    /// Has anybody in this round said that it is not active?
    someone_answered: bool,
    /// Was that so in the last round that was finished?
    met_standby: bool,
    last_busy: Option<Error>,
    /// Where the request is now.
    current: Option<Url>,
    tried: Tried,
}

impl Failover {
    /// For a request with this target, to be sent to the addresses in this order.
    pub(crate) fn new(order: Vec<Address>, target: http::Uri, replay: Replay, rounds: u32) -> Self {
        Self {
            order,
            target,
            replay,
            at: 0,
            rounds_left: rounds,
            redirects: 0,
            someone_answered: false,
            met_standby: false,
            last_busy: None,
            current: None,
            tried: Tried::default(),
        }
    }

    /// The first step, and the one after a pause.
    pub(crate) fn resume(&mut self) -> Step {
        match self
            .order
            .get(self.at)
            .and_then(|address| address.join(&self.target))
        {
            Some(url) => self.send(url),
            None => Step::GiveUp(self.unusable("the request target cannot be joined to the address")),
        }
    }

    /// What to do after a try.
    pub(crate) fn after(&mut self, outcome: Outcome) -> Step {
        match outcome {
            Outcome::Done => Step::Deliver,
            Outcome::Failed(error) => Step::GiveUp(error),
            Outcome::Redirected(url) => self.follow(url),
            Outcome::NotActive(said) => {
                self.someone_answered = true;
                self.elsewhere(said)
            }
            Outcome::Unreached(why) => self.elsewhere(why),
            Outcome::Broken(why) | Outcome::Busy(Error::Interrupted(why)) => self.repeat(why, None),
            Outcome::Busy(error) => self.repeat(error.to_string(), Some(error)),
        }
    }

    /// Where the request is now.
    pub(crate) fn current(&self) -> Option<Address> {
        self.current.as_ref().map(Address::of)
    }

    /// The error for a call whose time is over. If daemons answered and none of them was active, that is
    /// the trouble, not the time.
    pub(crate) fn into_deadline(self, after: Duration) -> Error {
        let tried = self.tried;
        if self.met_standby {
            Error::NoActiveResourceManager { tried }
        } else {
            Error::Deadline { after, tried }
        }
    }

    fn send(&mut self, url: Url) -> Step {
        self.current = Some(url.clone());
        self.note("no answer".to_owned());
        Step::Send(url)
    }

    fn note(&mut self, outcome: String) {
        if let Some(address) = self.current() {
            self.tried.note(address.as_str(), outcome);
        }
    }

    fn follow(&mut self, url: Url) -> Step {
        self.redirects += 1;
        if self.redirects > MOST_REDIRECTS {
            return Step::GiveUp(self.unusable("it is one of too many"));
        }
        self.note(format!("redirects to {}", Address::of(&url)));
        self.send(url)
    }

    /// Repeats a request that somebody may have acted on already, if that does no harm.
    fn repeat(&mut self, why: String, error: Option<Error>) -> Step {
        if self.replay == Replay::Unsafe {
            return Step::GiveUp(error.unwrap_or(Error::Interrupted(why)));
        }
        self.last_busy = error.or(self.last_busy.take());
        self.elsewhere(why)
    }

    /// Goes to the next address; after the last one, pauses before the first.
    fn elsewhere(&mut self, why: String) -> Step {
        self.note(why);
        self.redirects = 0;
        self.at += 1;
        if self.at < self.order.len() {
            return self.resume();
        }
        self.at = 0;
        self.end_round()
    }

    fn end_round(&mut self) -> Step {
        self.met_standby = std::mem::take(&mut self.someone_answered);
        if !self.met_standby {
            self.rounds_left = self.rounds_left.saturating_sub(1);
        }
        if self.rounds_left == 0 {
            return Step::GiveUp(self.exhausted());
        }
        Step::Pause
    }

    fn exhausted(&mut self) -> Error {
        let tried = std::mem::take(&mut self.tried);
        self.last_busy.take().unwrap_or(Error::Unreachable { tried })
    }

    fn unusable(&self, reason: &'static str) -> Error {
        let from = self
            .current()
            .map(|address| address.to_string())
            .unwrap_or_default();
        Error::Redirect { from, reason }
    }
}

#[cfg(test)]
mod tests;
