//! The journal of the core: what of its state survives the process, as records that come out of
//! [`Driver::handle`] and go into [`Driver::recover`].
//!
//! A record ([`Entry`]) holds the facts of one event: the transitions that cannot be found out again (a stage's
//! tasks, launches, ends of attempts, losses, commits, the verdict), not their cause and not what follows from them.
//! Replay sends each fact through the very function that the live core uses for it, without the parts that look at
//! clocks, free slots or silence, and throws the effects away. So for every prefix of the records the recovered core
//! has the durable state that the live one had there. A checkpoint ([`Driver::checkpoint`]) is that state as a
//! whole; the records before it are of no more use.
//!
//! What a shell does:
//!
//! 1. [`Driver::keep_journal`] before the first event. From then on an [`Effect::Record`](crate::event::Effect::Record) stands before the other
//!    effects of its event. When it is [`Urgency::AtOnce`], nothing after it is carried out before it is safe; the
//!    acknowledgement of an executor's report waits for the record of its event in any case.
//! 2. After the loss of the process: [`Driver::recover`], then [`Driver::survey`] to see what was going on. When
//!    [`Survey::started`] is false, go on with [`Event::Started`](crate::event::Event::Started); when there is a
//!    [`Survey::verdict`], only tell it; else [`Event::Resumed`](crate::event::Event::Resumed) with the executors
//!    that YARN says are still there.
//! 3. After that an executor that was known and is still there is *awaited*: no task is launched anywhere until it
//!    registers again or its time is over. Its attempts may be running. When it registers with its old boot nonce,
//!    the attempts it names ([`Registration::running`](crate::event::Registration::running): those that run or wait
//!    there, and those whose report is not acknowledged) go on, unknown ones among them are adopted, and all others
//!    of that executor run again. Reports that it sends after that are judged as ever.
//!
//! Not in the journal, because it is found out again: heartbeats, progress, permissions to commit (the same name
//! whoever commits), waits for locality, copies that are considered, the wanted number of executors.
//!
//! The format is ours: see the modules `codec`, `fact` and `checkpoint`. It only grows: kinds of facts and
//! fields at their end. What the first version wrote is kept as samples in the tests.

pub(crate) mod checkpoint;
pub(crate) mod codec;
pub(crate) mod fact;
mod failure;
mod inputs;
mod replay;
mod survey;

use std::time::Duration;

use crate::core::Driver;
use crate::index::StageIx;
use codec::Writer;
use fact::Fact;

pub use replay::RecoverError;
pub use survey::{KnownExecutor, Survey};

/// The version of entries and checkpoints.
pub(crate) const VERSION: u8 = 1;

/// How soon an entry has to be safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// With the next batch. If it is lost the work of a moment is done again, or the executor tells it again.
    Batched,
    /// Before anything that follows from it is done.
    AtOnce,
}

/// One record of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// For [`Driver::recover`].
    pub bytes: Vec<u8>,
    /// How soon it has to be safe.
    pub urgency: Urgency,
}

/// Facts of the present event.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    enabled: bool,
    facts: Writer,
    urgent: bool,
}

impl Ledger {
    fn note(&mut self, fact: &Fact) {
        self.urgent |= fact.is_urgent();
        fact.write(&mut self.facts);
    }

    /// The entry of the event that is over.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Entry> {
        if self.facts.bytes.is_empty() {
            return None;
        }
        let mut entry = Writer::default();
        entry.number(VERSION).time(now);
        entry.bytes.append(&mut self.facts.bytes);
        let urgent = std::mem::take(&mut self.urgent);
        Some(Entry {
            bytes: entry.bytes,
            urgency: if urgent { Urgency::AtOnce } else { Urgency::Batched },
        })
    }
}

impl Driver {
    /// Has every event that changes durable state give an [`Effect::Record`](crate::event::Effect::Record).
    pub fn keep_journal(&mut self) {
        self.ledger.enabled = true;
    }

    /// Notes a fact, before anything changes because of it.
    pub(crate) fn note_fact<F: Into<Fact>>(&mut self, fact: impl FnOnce(&Self) -> F) {
        if self.ledger.enabled {
            let fact = fact(self);
            self.ledger.note(&fact.into());
        }
    }

    /// Begins another attempt of a stage, which has to be safe before anything of it is launched: an executor that
    /// comes back with tasks of an attempt that nobody else knows would have them cancelled, and their ids would be
    /// given out a second time.
    pub(crate) fn begin_stage_attempt(&mut self, stage: StageIx) {
        self.stages[stage].key.stage_attempt += 1;
        self.ledger.urgent |= self.ledger.enabled;
    }
}
