//! The journal of an application: the driver core's records on the staging file system, and an attempt's way back
//! from them.
//!
//! ```text
//! core ──Record──▶ Driving ──▶ Scribe ┄┄▶ task with the only writer ──▶ <staging>/journal/a<attempt>/seg-….log
//!                     ▲ effects and acknowledgements wait here until their record is safe │
//!                     └──────────────────────────── Kept ◀──────────────────────────────┘
//! ```
//!
//! What is promised:
//! - an executor's report is acknowledged only after the flush that covers it, so that a crash loses no more than
//!   what executors tell again;
//! - what a record of [`Urgency::AtOnce`](driver::journal::Urgency) leads to (a stage's tasks, a commit, the verdict)
//!   is done only after its flush; all later effects wait behind it, so their order stays;
//! - a flush holds what has come within [`GROUP`], so the NameNode sees ten a second at most, and more only for
//!   records that are waited for;
//! - when nothing could be flushed for [`STALL`], nothing more is launched or ordered; when the file system has not
//!   taken a batch for the writer's patience, the attempt ends without unregistering and YARN starts another;
//! - when another attempt has taken the journal over, this one ends at once and touches nothing more (F).
//!
//! A record's payload is a kind and its contents: a *base* (the moment that the clock counts from, and a checkpoint
//! of the core, empty at the very beginning) or an *entry*. An attempt begins with a base; another one follows in a
//! new segment when the entries since the last have grown well beyond it, and the segments before it go. So the
//! journal's size is bounded by that of the application's state. When the first base of an attempt is safe, the
//! journals of the attempts before it go. A base names the plan that it belongs to by its digest: records of another
//! plan would be replayed into the wrong tasks.

mod past;
mod scribe;

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use dfs::{Deadlines, DfsError, FileSystems};
use hadoop::conf::Configuration;

pub use past::{Past, PastError, PlanOf, look_back};
pub use scribe::{JournalEvent, Kept, Scribe};

/// How long records are gathered before they are flushed, unless somebody waits.
pub const GROUP: Duration = Duration::from_millis(100);
/// How long a flush may take before nothing more is ordered.
pub const STALL: Duration = Duration::from_secs(2);
/// The journal's directory below the staging directory.
const DIRECTORY: &str = "journal";

/// The process ends itself hard once this many records of its attempt are safe: `ATTEMPT:RECORDS`. For tests of
/// recovery only.
pub const CRASH_POINT: &str = "DRAWLOOM_CRASH_AFTER_RECORD";

const BASE: u8 = 1;
const ENTRY: u8 = 2;
/// The version of a base: 1 had no digest of the plan.
const VERSION: u8 = 2;
/// Bytes of a digest.
const DIGEST: usize = 32;

/// Clients whose deadlines suit a journal: it rather begins a new segment than waits.
///
/// # Errors
/// What building [`FileSystems`] says.
pub fn file_systems(conf: &Configuration, user: &str) -> Result<FileSystems, DfsError> {
    FileSystems::builder(conf, user)
        .deadlines(Deadlines::for_journal())
        .set("dfs.client.socket-timeout", "10000")
        .set("dfs.client.failover.max.attempts", "4")
        .set("dfs.client.failover.sleep.max.millis", "2000")
        .build()
}

/// The first record of an attempt, and of every segment that replaces others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// When the clock of the first attempt started, since 1970.
    pub zero_unix: Duration,
    /// The SHA-256 of the staged plan that the records belong to; none in records of the first version.
    pub plan: Option<[u8; DIGEST]>,
    /// [`Driver::checkpoint`](driver::core::Driver::checkpoint); none before the application has begun.
    pub checkpoint: Option<Bytes>,
}

impl Base {
    fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(BASE);
        bytes.put_u8(if self.plan.is_some() { VERSION } else { 1 });
        bytes.put_u64_le(u64::try_from(self.zero_unix.as_micros()).unwrap_or(u64::MAX));
        bytes.put_slice(self.plan.as_ref().map_or(&[], |plan| plan.as_slice()));
        bytes.put_slice(self.checkpoint.as_deref().unwrap_or_default());
        bytes.freeze()
    }
}

fn encode_entry(entry: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(entry.len() + 1);
    bytes.put_u8(ENTRY);
    bytes.put_slice(entry);
    bytes.freeze()
}

/// What a record holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Base(Base),
    Entry(Bytes),
}

impl Content {
    fn decode(payload: &Bytes) -> Result<Self, String> {
        match payload.first() {
            Some(&ENTRY) => Ok(Self::Entry(payload.slice(1..))),
            Some(&BASE) => decode_base(payload).map(Self::Base),
            Some(kind) => Err(format!("a record of kind {kind}, which this build does not know")),
            None => Err("an empty record".to_owned()),
        }
    }
}

fn decode_base(payload: &Bytes) -> Result<Base, String> {
    let version = payload.get(1).copied().unwrap_or_default();
    if !(1..=VERSION).contains(&version) {
        return Err(format!(
            "a base of version {version}, this build reads versions up to {VERSION}"
        ));
    }
    let short = || "a base that is too short".to_owned();
    let zero = payload.get(2..10).and_then(|zero| zero.try_into().ok());
    let zero = zero.map(u64::from_le_bytes).ok_or_else(short)?;
    let end = if version == 1 { 10 } else { 10 + DIGEST };
    let plan = payload.get(10..end).ok_or_else(short)?;
    let checkpoint = payload.slice(end..);
    Ok(Base {
        zero_unix: Duration::from_micros(zero),
        plan: plan.try_into().ok(),
        checkpoint: (!checkpoint.is_empty()).then_some(checkpoint),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_holds_comes_back() {
        let base = |plan, checkpoint: Option<&'static [u8]>| Base {
            zero_unix: Duration::from_micros(1_700_000_000_000_001),
            plan,
            checkpoint: checkpoint.map(Bytes::from_static),
        };
        let plan = Some([7; DIGEST]);
        for base in [
            base(plan, None),
            base(plan, Some(b"state")),
            base(None, Some(b"state")),
        ] {
            assert_eq!(Content::decode(&base.encode()), Ok(Content::Base(base)));
        }
        let entry = encode_entry(b"facts");
        assert_eq!(
            Content::decode(&entry),
            Ok(Content::Entry(Bytes::from_static(b"facts")))
        );
    }

    #[test]
    fn what_the_first_version_wrote_is_read() {
        let stored = Bytes::from_static(b"\x01\x01\x02\0\0\0\0\0\0\0state");
        let base = Base {
            zero_unix: Duration::from_micros(2),
            plan: None,
            checkpoint: Some(Bytes::from_static(b"state")),
        };
        assert_eq!(Content::decode(&stored), Ok(Content::Base(base)));
        let later = Bytes::from_static(b"\x01\x07\0\0\0\0\0\0\0\0");
        assert!(Content::decode(&later).unwrap_err().contains("version 7"));
    }

    #[test]
    fn what_the_second_version_wrote_is_read() {
        let stored = Bytes::from_static(b"\x01\x02\x02\0\0\0\0\0\0\0ABABABABABABABABABABABABABABABABstate");
        let base = Base {
            zero_unix: Duration::from_micros(2),
            plan: Some(*b"ABABABABABABABABABABABABABABABAB"),
            checkpoint: Some(Bytes::from_static(b"state")),
        };
        assert_eq!(Content::decode(&stored), Ok(Content::Base(base.clone())));
        assert_eq!(base.encode(), stored);
        let short = Bytes::from_static(b"\x01\x02\x02\0\0\0\0\0\0\0ABAB");
        assert!(Content::decode(&short).unwrap_err().contains("too short"));
    }
}
