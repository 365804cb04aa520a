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
//! - what waits meanwhile is bounded by the tasks that are at work (J): nothing more is launched, and of what functions
//!   give back only the place on this node's disk waits (see [`crate::results`]);
//! - when another attempt has taken the journal over, this one ends at once and touches nothing more (F).
//!
//! A record's payload is a kind and its contents: a *base* (the moment that the clock counts from, the digest of the
//! plan, the file of what functions gave back, and a checkpoint of the core, empty at the very beginning), an *entry*,
//! or a *result* of a function, which stands before the entry that says that it is done (see the module `side`). An
//! attempt begins with a base; another one follows in a new segment when the records since the last have grown well
//! beyond it, and the segments before it go. So the journal's size is bounded by that of the application's state. When
//! the first base of an attempt is safe, the journals of the attempts before it go. A base names the plan that it
//! belongs to: records of another plan would be replayed into the wrong tasks.

mod past;
mod scribe;
mod side;

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use dfs::{Deadlines, DfsError, FileSystems};
use hadoop::conf::Configuration;

pub use past::{Past, PastError, PlanOf, look_back};
pub use scribe::{JournalCost, JournalEvent, Kept, Scribe};
pub use side::KeptResult;

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
const RESULT: u8 = 3;
/// The version of a base: 1 had neither a digest of the plan nor a file of results.
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
    /// The name of the file, in the journal's directory, with what functions had given back; none when nothing is kept.
    pub results: Option<String>,
}

impl Base {
    fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(BASE);
        bytes.put_u8(VERSION);
        bytes.put_u64_le(u64::try_from(self.zero_unix.as_micros()).unwrap_or(u64::MAX));
        bytes.put_u8(u8::from(self.plan.is_some()));
        bytes.put_slice(self.plan.as_ref().map_or(&[], |plan| plan.as_slice()));
        let results = self.results.as_deref().unwrap_or_default();
        bytes.put_u8(u8::try_from(results.len()).expect("names of files of results are short"));
        bytes.put_slice(results.as_bytes());
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

fn encode_result(result: &KeptResult) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(RESULT);
    result.encode(&mut bytes);
    bytes.freeze()
}

/// What a record holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Base(Base),
    Entry(Bytes),
    Result(KeptResult),
}

impl Content {
    fn decode(payload: &Bytes) -> Result<Self, String> {
        match payload.first() {
            Some(&ENTRY) => Ok(Self::Entry(payload.slice(1..))),
            Some(&BASE) => decode_base(payload).map(Self::Base),
            Some(&RESULT) => KeptResult::decode(payload.slice(1..)).map(Self::Result),
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
    let mut rest = payload.slice(2..);
    let zero = rest.try_get_u64_le().map_err(|_| TOO_SHORT)?;
    let (plan, results) = match version {
        1 => (None, None),
        _ => (read_digest(&mut rest)?, read_name(&mut rest)?),
    };
    Ok(Base {
        zero_unix: Duration::from_micros(zero),
        plan,
        results,
        checkpoint: (!rest.is_empty()).then_some(rest),
    })
}

const TOO_SHORT: &str = "a base that is too short";

fn read_digest(from: &mut Bytes) -> Result<Option<[u8; DIGEST]>, String> {
    if from.try_get_u8().map_err(|_| TOO_SHORT)? == 0 {
        return Ok(None);
    }
    let mut digest = [0; DIGEST];
    from.try_copy_to_slice(&mut digest).map_err(|_| TOO_SHORT)?;
    Ok(Some(digest))
}

fn read_name(from: &mut Bytes) -> Result<Option<String>, String> {
    let length = from.try_get_u8().map_err(|_| TOO_SHORT)?;
    if from.len() < usize::from(length) {
        return Err(TOO_SHORT.to_owned());
    }
    let name = from.split_to(usize::from(length));
    let name = String::from_utf8(name.into()).map_err(|_| "a name that is no text")?;
    Ok((!name.is_empty()).then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_holds_comes_back() {
        let base = |plan, checkpoint: Option<&'static [u8]>, results: Option<&str>| Base {
            zero_unix: Duration::from_micros(1_700_000_000_000_001),
            plan,
            checkpoint: checkpoint.map(Bytes::from_static),
            results: results.map(str::to_owned),
        };
        let plan = Some([7; DIGEST]);
        for base in [
            base(plan, None, None),
            base(None, Some(b"state"), None),
            base(plan, Some(b"state"), Some("results-2-1")),
        ] {
            assert_eq!(Content::decode(&base.encode()), Ok(Content::Base(base)));
        }
        let result = KeptResult {
            stage: 1,
            partition: 2,
            result: wire::task::TaskResult::Inline(Bytes::from_static(b"[]")),
        };
        let decoded = Content::decode(&encode_result(&result));
        assert_eq!(decoded, Ok(Content::Result(result)));
        let entry = encode_entry(b"facts");
        assert_eq!(
            Content::decode(&entry),
            Ok(Content::Entry(Bytes::from_static(b"facts")))
        );
    }

    #[test]
    fn what_earlier_versions_wrote_is_read() {
        let stored = Bytes::from_static(b"\x01\x01\x02\0\0\0\0\0\0\0state");
        let base = Base {
            zero_unix: Duration::from_micros(2),
            plan: None,
            checkpoint: Some(Bytes::from_static(b"state")),
            results: None,
        };
        assert_eq!(Content::decode(&stored), Ok(Content::Base(base)));
        let later = Bytes::from_static(b"\x01\x07\0\0\0\0\0\0\0\0");
        assert!(Content::decode(&later).unwrap_err().contains("version 7"));
    }

    #[test]
    fn what_this_version_writes_stays_as_it_is() {
        let stored = b"\x01\x02\x02\0\0\0\0\0\0\0\x01ABABABABABABABABABABABABABABABAB\x0bresults-2-1state";
        let base = Base {
            zero_unix: Duration::from_micros(2),
            plan: Some(*b"ABABABABABABABABABABABABABABABAB"),
            checkpoint: Some(Bytes::from_static(b"state")),
            results: Some("results-2-1".to_owned()),
        };
        assert_eq!(base.encode(), stored[..]);
        assert_eq!(
            Content::decode(&Bytes::from_static(stored)),
            Ok(Content::Base(base))
        );
        let short = Bytes::from_static(b"\x01\x02\x02\0\0\0\0\0\0\0\x01ABAB");
        assert!(Content::decode(&short).unwrap_err().contains("too short"));
    }
}
