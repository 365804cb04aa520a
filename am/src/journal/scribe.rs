//! The task that writes, and the handle of those who wait for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dfs::journal::{JournalError, JournalWriter, Patience};
use dfs::{DfsError, FileSystems};
use driver::journal::{Entry, Urgency};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::past::helped;
use super::{Base, CRASH_POINT, DIRECTORY, GROUP, STALL, encode_entry};
use crate::supervise::{Panicked, TaskGroup};

/// The entries since the last base may grow to this, in bytes, before there is another one.
const LEAST_TAIL: u64 = 4 << 20;
/// Or to this many times the last base.
const TAIL_SHARE: u64 = 4;

/// A flush that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// All records up to this one are safe; counted from 1 by [`Scribe::append`].
    pub upto: u64,
    /// Bytes of payload.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// What the writing task says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalEvent {
    /// Records are safe.
    Kept(Kept),
    /// Another attempt has taken over.
    Fenced(String),
    /// Nothing can be written any more.
    Failed(String),
}

enum Order {
    Entry { payload: Bytes, urgency: Urgency },
    Base(Base),
}

/// The journal of this attempt, as the driver's shell sees it.
#[derive(Debug)]
pub struct Scribe {
    orders: mpsc::UnboundedSender<Order>,
    events: mpsc::UnboundedReceiver<JournalEvent>,
    task: TaskGroup<()>,
    zero_unix: Duration,
    plan: Option<[u8; 32]>,
    appended: u64,
    kept: u64,
    /// Of records that are not safe: their number and when they came; one a moment is enough.
    waiting: VecDeque<(u64, Instant)>,
    tail: u64,
    base: u64,
}

impl Scribe {
    /// Begins the journal of `attempt` with a base. The file system is first asked when the task runs, and may refuse
    /// for as long as `patience`.
    #[must_use]
    pub fn start(
        systems: Arc<FileSystems>,
        staging: &str,
        attempt: u32,
        base: Base,
        patience: Duration,
    ) -> Self {
        let (orders, incoming) = mpsc::unbounded_channel();
        let (outgoing, events) = mpsc::unbounded_channel();
        let mut task = TaskGroup::new();
        let (staging, zero_unix, plan) = (staging.to_owned(), base.zero_unix, base.plan);
        let size = base
            .checkpoint
            .as_ref()
            .map_or(0, |checkpoint| checkpoint.len() as u64);
        let mut scribe = Self {
            orders,
            events,
            task: TaskGroup::new(),
            zero_unix,
            plan,
            appended: 0,
            kept: 0,
            waiting: VecDeque::new(),
            tail: 0,
            base: size,
        };
        scribe.order(Order::Base(base));
        task.spawn("journal", async move {
            let crash = crash_point(attempt);
            let patience = Patience {
                budget: patience,
                ..Patience::default()
            };
            let ended = match open(&systems, &staging, attempt, patience).await {
                Ok(writer) => write(writer, incoming, &outgoing, crash).await,
                Err(error) => Err(error),
            };
            let event = match ended {
                Ok(()) => return,
                Err(JournalError::Fenced(why)) => JournalEvent::Fenced(why),
                Err(error) => {
                    let text = format!("the journal in {staging}/{DIRECTORY} cannot be kept: {error}");
                    JournalEvent::Failed(text + &helped(&error))
                }
            };
            // Nobody listens when the process is about to end.
            let _ = outgoing.send(event);
        });
        scribe.task = task;
        scribe
    }

    /// Hands over a record; its number is what [`Kept::upto`] counts.
    pub fn append(&mut self, entry: &Entry) -> u64 {
        self.tail += entry.bytes.len() as u64;
        self.order(Order::Entry {
            payload: encode_entry(&entry.bytes),
            urgency: entry.urgency,
        })
    }

    /// Whether a checkpoint is due.
    #[must_use]
    pub fn wants_base(&self) -> bool {
        self.tail > LEAST_TAIL.max(self.base * TAIL_SHARE)
    }

    /// Replaces all records so far.
    pub fn rebase(&mut self, checkpoint: Vec<u8>) {
        self.tail = 0;
        self.base = checkpoint.len() as u64;
        let base = Base {
            zero_unix: self.zero_unix,
            plan: self.plan,
            checkpoint: Some(checkpoint.into()),
        };
        self.order(Order::Base(base));
    }

    fn order(&mut self, order: Order) -> u64 {
        self.appended += 1;
        // A task that has ended has said why.
        let _ = self.orders.send(order);
        let now = Instant::now();
        if self.waiting.back().is_none_or(|&(_, since)| now - since >= GROUP) {
            self.waiting.push_back((self.appended, now));
        }
        self.appended
    }

    /// The number of the last record that was handed over.
    #[must_use]
    pub fn appended(&self) -> u64 {
        self.appended
    }

    /// The number of the last record that is safe.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// Whether records have waited for too long to go on as if nothing was wrong.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        let oldest = self.waiting.front();
        oldest.is_some_and(|&(_, since)| since.elapsed() >= STALL)
    }

    /// Waits for the next event. May be dropped while it waits.
    pub async fn next(&mut self) -> Result<JournalEvent, Panicked> {
        tokio::select! {
            biased;
            Some(event) = self.events.recv() => {
                self.take(&event);
                Ok(event)
            }
            Some(Err(panicked)) = self.task.next() => Err(panicked),
            else => std::future::pending().await,
        }
    }

    fn take(&mut self, event: &JournalEvent) {
        if let JournalEvent::Kept(kept) = event {
            self.kept = kept.upto;
            while self
                .waiting
                .front()
                .is_some_and(|&(number, _)| number <= kept.upto)
            {
                self.waiting.pop_front();
            }
        }
    }
}

/// Writes until nobody orders any more.
async fn write(
    mut writer: JournalWriter,
    mut orders: mpsc::UnboundedReceiver<Order>,
    events: &mpsc::UnboundedSender<JournalEvent>,
    crash: Option<u64>,
) -> Result<(), JournalError> {
    let mut upto = 0;
    while let Some(first) = orders.recv().await {
        let mut batch = Batch::default();
        batch.add(first);
        batch.gather(&mut orders).await;
        let limit = crash.map(|crash| crash.saturating_sub(upto));
        let cut = limit.is_some_and(|limit| batch.cut(limit));
        let begun = Instant::now();
        let (records, bytes) = batch.keep(&mut writer).await?;
        upto += records;
        if cut {
            end_hard();
        }
        let took = begun.elapsed();
        // Nobody listens when the process is about to end.
        let _ = events.send(JournalEvent::Kept(Kept { upto, bytes, took }));
        if upto == records {
            // The first flush began with a base, which holds all that is needed of earlier attempts.
            writer.remove_earlier().await;
        }
    }
    Ok(())
}

async fn open(
    systems: &FileSystems,
    staging: &str,
    attempt: u32,
    patience: Patience,
) -> Result<JournalWriter, JournalError> {
    let staging = systems.resolve(staging)?;
    let end = Instant::now() + patience.budget;
    loop {
        let fs = systems.get(&staging)?;
        let made = JournalWriter::create(fs, &staging.join(DIRECTORY), attempt, patience).await;
        match made {
            Err(JournalError::FileSystem(error)) if may_pass(&error) && Instant::now() < end => {
                tracing::warn!(%error, "the journal could not be begun; trying again");
                tokio::time::sleep(patience.longest_pause).await;
            }
            made => return made,
        }
    }
}

fn may_pass(error: &DfsError) -> bool {
    error.is_transient() || matches!(error, DfsError::NoSpace { .. } | DfsError::QuotaExceeded { .. })
}

/// Records of one flush.
#[derive(Default)]
struct Batch {
    orders: Vec<Order>,
    urgent: bool,
}

impl Batch {
    fn add(&mut self, order: Order) {
        self.urgent |= match &order {
            Order::Entry { urgency, .. } => *urgency == Urgency::AtOnce,
            Order::Base(_) => true,
        };
        self.orders.push(order);
    }

    /// Waits for more, as long as nobody waits for these.
    async fn gather(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) {
        let end = Instant::now() + GROUP;
        while !self.urgent {
            match tokio::time::timeout_at(end, orders.recv()).await {
                Ok(Some(order)) => self.add(order),
                Ok(None) | Err(_) => break,
            }
        }
        while let Ok(order) = orders.try_recv() {
            self.add(order);
        }
    }

    /// Leaves only the first `limit` records; whether that was all that may be written.
    fn cut(&mut self, limit: u64) -> bool {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let reached = self.orders.len() >= limit;
        self.orders.truncate(limit);
        reached
    }

    /// Gives the number of records and their bytes.
    async fn keep(self, writer: &mut JournalWriter) -> Result<(u64, u64), JournalError> {
        let count = self.orders.len() as u64;
        let (mut bytes, mut entries) = (0, Vec::new());
        for order in self.orders {
            match order {
                Order::Entry { payload, .. } => {
                    bytes += payload.len() as u64;
                    entries.push(payload);
                }
                Order::Base(base) => {
                    let base = base.encode();
                    bytes += base.len() as u64;
                    keep_entries(writer, &mut entries).await?;
                    writer.restart(base).await?;
                }
            }
        }
        keep_entries(writer, &mut entries).await?;
        Ok((count, bytes))
    }
}

async fn keep_entries(writer: &mut JournalWriter, entries: &mut Vec<Bytes>) -> Result<(), JournalError> {
    if !entries.is_empty() {
        writer.append(entries).await?;
        entries.clear();
    }
    Ok(())
}

/// After how many records this attempt ends hard, if a test wants that.
fn crash_point(attempt: u32) -> Option<u64> {
    let value = std::env::var(CRASH_POINT).ok()?;
    let (of, records) = value.split_once(':')?;
    (of.parse() == Ok(attempt))
        .then(|| records.parse().ok())
        .flatten()
}

/// Ends the process as SIGKILL does, in the middle of everything.
fn end_hard() {
    let ended = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    tracing::error!(?ended, "the process was to end here");
}
