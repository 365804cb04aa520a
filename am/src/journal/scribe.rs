//! The task that writes, and the handle of those who wait for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dfs::journal::{JournalError, JournalWriter, Patience};
use dfs::{DfsError, DfsPath, FileSystem, FileSystems, list_all};
use driver::journal::{Entry, Urgency};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::past::helped;
use super::{Base, CRASH_POINT, DIRECTORY, GROUP, STALL, encode_entry, encode_result, side};
use crate::results::Snapshot;
use crate::supervise::{Panicked, TaskGroup};

/// The entries since the last base may grow to this, in bytes, before there is another one.
const LEAST_TAIL: u64 = 4 << 20;
/// Or to this many times the last base,
const TAIL_SHARE: u64 = 4;
/// but not beyond this, because the next attempt reads them into memory.
const MOST_TAIL: u64 = 32 << 20;

/// What functions gave back is read from the disk and flushed in pieces of about this many bytes.
const MOST_READ: u64 = 4 << 20;

/// A journal's directory has few entries.
const MOST_ENTRIES: usize = 100_000;

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

/// What a journal has cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JournalCost {
    /// Records that are safe.
    pub records: u64,
    /// Bytes of their payload.
    pub bytes: u64,
    /// Flushes.
    pub flushes: u64,
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
    Record {
        payload: Bytes,
        urgency: Urgency,
    },
    /// Read from this node's disk when it is written: however long the file system is away, what waits is small.
    Result(Snapshot),
    Base {
        base: Base,
        /// What is written into a file before the base, which then names it.
        results: Option<Snapshot>,
    },
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
    cost: JournalCost,
}

impl Scribe {
    /// Begins the journal of `attempt` with a base, and with what functions had given back before. The file system is
    /// first asked when the task runs, and may refuse for as long as `patience`.
    #[must_use]
    pub fn start(
        systems: Arc<FileSystems>,
        staging: &str,
        attempt: u32,
        base: Base,
        results: Option<Snapshot>,
        patience: Duration,
    ) -> Self {
        let (orders, incoming) = mpsc::unbounded_channel();
        let (outgoing, events) = mpsc::unbounded_channel();
        let mut task = TaskGroup::new();
        let (staging, zero_unix, plan) = (staging.to_owned(), base.zero_unix, base.plan);
        let checkpoint = base.checkpoint.as_ref().map_or(0, Bytes::len);
        let size = checkpoint as u64 + results.as_ref().map_or(0, Snapshot::bytes);
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
            cost: JournalCost::default(),
        };
        scribe.order(Order::Base { base, results });
        task.spawn("journal", async move {
            let crash = crash_point(attempt);
            let patience = Patience {
                budget: patience,
                ..Patience::default()
            };
            let ended = match Pen::open(&systems, &staging, attempt, patience).await {
                Ok(pen) => write(pen, incoming, &outgoing, crash).await,
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
        let (payload, urgency) = (encode_entry(&entry.bytes), entry.urgency);
        self.tail += payload.len() as u64;
        self.order(Order::Record { payload, urgency })
    }

    /// Hands over what a function gave back, before the entry that says that its task is done.
    pub fn append_result(&mut self, result: Snapshot) {
        self.tail += result.bytes();
        self.order(Order::Result(result));
    }

    /// Whether a checkpoint is due.
    #[must_use]
    pub fn wants_base(&self) -> bool {
        self.tail > (self.base * TAIL_SHARE).clamp(LEAST_TAIL, MOST_TAIL)
    }

    /// Replaces all records so far, those of results included.
    pub fn rebase(&mut self, checkpoint: Vec<u8>, results: Option<Snapshot>) {
        self.tail = 0;
        self.base = checkpoint.len() as u64 + results.as_ref().map_or(0, Snapshot::bytes);
        let base = Base {
            zero_unix: self.zero_unix,
            plan: self.plan,
            checkpoint: Some(checkpoint.into()),
            results: None,
        };
        self.order(Order::Base { base, results });
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

    /// What it has cost so far.
    #[must_use]
    pub fn cost(&self) -> JournalCost {
        self.cost
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
            self.cost.records = kept.upto;
            self.cost.bytes += kept.bytes;
            self.cost.flushes += 1;
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
    mut pen: Pen,
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
        let (records, bytes) = batch.keep(&mut pen).await?;
        upto += records;
        if cut {
            end_hard();
        }
        let took = begun.elapsed();
        // Nobody listens when the process is about to end.
        let _ = events.send(JournalEvent::Kept(Kept { upto, bytes, took }));
        if upto == records {
            // The first flush began with a base, which holds all that is needed of earlier attempts.
            pen.remove_earlier().await;
        }
    }
    Ok(())
}

/// The writer of the records, and of the files of results beside them.
struct Pen {
    records: JournalWriter,
    fs: Arc<dyn FileSystem>,
    directory: DfsPath,
    attempt: u32,
    patience: Patience,
    /// The file of results that the last base names, and how many there were.
    file: Option<DfsPath>,
    files: u64,
}

impl Pen {
    async fn open(
        systems: &FileSystems,
        staging: &str,
        attempt: u32,
        patience: Patience,
    ) -> Result<Self, JournalError> {
        let directory = systems.resolve(staging)?.join(DIRECTORY);
        let fs = systems.get(&directory)?;
        let tries = Tries::begin(patience);
        let records = loop {
            let fs = Arc::clone(&fs);
            match JournalWriter::create(fs, &directory, attempt, patience).await {
                Ok(records) => break records,
                Err(error) => tries.pause_after(error).await?,
            }
        };
        Ok(Self {
            records,
            fs,
            directory,
            attempt,
            patience,
            file: None,
            files: 0,
        })
    }

    /// Records of results, read from this node's disk.
    fn read(&self, results: &Snapshot) -> Result<Vec<Bytes>, JournalError> {
        let encoded = results.iter().map(|result| Ok(encode_result(&result?)));
        let encoded: Result<_, std::io::Error> = encoded.collect();
        encoded.map_err(|error| JournalError::FileSystem(DfsError::from_io(&self.directory, &error)))
    }

    /// Removes what earlier attempts have left; a failure is only logged, because it costs room.
    async fn remove_earlier(&mut self) {
        self.records.remove_earlier().await;
        let entries = match list_all(self.fs.as_ref(), &self.directory, false, MOST_ENTRIES).await {
            Ok(entries) => entries,
            Err(error) => return tracing::debug!(%error, "files of results are not looked for"),
        };
        let earlier = |name: &str| side::attempt_of(name).is_some_and(|attempt| attempt < self.attempt);
        for entry in entries.iter().filter(|entry| earlier(entry.path.name())) {
            if let Err(error) = self.fs.delete(&entry.path, false).await {
                tracing::debug!(path = %entry.path, %error, "a file of results of an earlier attempt stays");
            }
        }
    }

    /// Writes a base in place of everything before; gives its bytes.
    async fn restart(&mut self, mut base: Base, results: Option<Snapshot>) -> Result<u64, JournalError> {
        let mut file = None;
        if let Some(results) = results {
            self.files += 1;
            let name = side::file_name(self.attempt, self.files);
            let path = self.directory.join(&name);
            let tries = Tries::begin(self.patience);
            while let Err(error) = side::write(self.fs.as_ref(), &path, &results).await {
                tries.pause_after(error.into()).await?;
            }
            base.results = Some(name);
            file = Some(path);
        }
        let base = base.encode();
        let bytes = base.len() as u64;
        self.records.restart(base).await?;
        if let Some(old) = std::mem::replace(&mut self.file, file)
            && let Err(error) = self.fs.delete(&old, false).await
        {
            tracing::debug!(%old, %error, "an old file of results stays");
        }
        Ok(bytes)
    }
}

/// Tries at something that fails for reasons that may pass by themselves.
struct Tries {
    patience: Patience,
    end: Instant,
}

impl Tries {
    fn begin(patience: Patience) -> Self {
        Self {
            patience,
            end: Instant::now() + patience.budget,
        }
    }

    /// Waits until it is to be tried again; gives the error back when there is no point.
    async fn pause_after(&self, error: JournalError) -> Result<(), JournalError> {
        match error {
            JournalError::FileSystem(error) if may_pass(&error) && Instant::now() < self.end => {
                tracing::warn!(%error, "the journal cannot be written; trying again");
                tokio::time::sleep(self.patience.longest_pause).await;
                Ok(())
            }
            error => Err(error),
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
            Order::Record { urgency, .. } => *urgency == Urgency::AtOnce,
            Order::Result(_) => false,
            Order::Base { .. } => true,
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
    async fn keep(self, pen: &mut Pen) -> Result<(u64, u64), JournalError> {
        let count = self.orders.len() as u64;
        let (mut bytes, mut records) = (0, Vec::new());
        // Of the bytes so far, those that are flushed.
        let mut flushed = 0;
        for order in self.orders {
            match order {
                Order::Record { payload, .. } => {
                    bytes += payload.len() as u64;
                    records.push(payload);
                }
                Order::Result(result) => {
                    for payload in pen.read(&result)? {
                        bytes += payload.len() as u64;
                        records.push(payload);
                    }
                    if bytes - flushed >= MOST_READ {
                        keep_records(&mut pen.records, &mut records).await?;
                        flushed = bytes;
                    }
                }
                Order::Base { base, results } => {
                    keep_records(&mut pen.records, &mut records).await?;
                    bytes += pen.restart(base, results).await?;
                }
            }
        }
        keep_records(&mut pen.records, &mut records).await?;
        Ok((count, bytes))
    }
}

async fn keep_records(writer: &mut JournalWriter, records: &mut Vec<Bytes>) -> Result<(), JournalError> {
    if !records.is_empty() {
        writer.append(records).await?;
        records.clear();
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
