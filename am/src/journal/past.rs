//! What earlier attempts have left, turned into a core that can go on.

use std::time::Duration;

use bytes::Bytes;
use dfs::journal::{JournalError, Record, attempts, recover};
use dfs::staging::hex;
use dfs::{DfsPath, FileSystem, FileSystems};
use driver::core::Driver;
use driver::journal::RecoverError;
use driver::plan::AppPlan;

use super::side::{self, Unread};
use super::{Base, Content, DIRECTORY, KeptResult};
use crate::launch::PLAN_FILE_NAME;
use crate::results::Results;

/// How long HDFS may take to hand the segments over: 110 s were seen after the loss of a node, and it may never end.
const HANDED_OVER: Duration = Duration::from_secs(180);

/// An application as its last attempt left it.
#[derive(Debug)]
pub struct Past {
    /// The recovered core.
    pub core: Driver,
    /// What functions had given back, as far as it is not in place.
    pub results: Results,
    /// When the clock of the first attempt started, since 1970.
    pub zero_unix: Duration,
    /// The attempt whose records were read.
    pub attempt: u32,
    /// Its records.
    pub records: usize,
    /// Bytes that were read.
    pub bytes: u64,
}

/// Why there is no way back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PastError {
    /// The file system did not give the journal; another attempt may have more luck.
    #[error("the journal of the last attempt cannot be read: {cause}{help}", help = helped(cause))]
    Unreadable {
        /// Why.
        cause: JournalError,
    },
    /// What was read makes no sense: no attempt can go on from it.
    #[error("the journal cannot be used: {0}")]
    Unusable(String),
}

impl From<JournalError> for PastError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Damaged { .. } => Self::Unusable(error.to_string()),
            cause => Self::Unreadable { cause },
        }
    }
}

impl PastError {
    /// Whether it may pass by itself.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreadable { cause } if cause.is_transient())
    }
}

impl From<RecoverError> for PastError {
    fn from(error: RecoverError) -> Self {
        Self::Unusable(error.to_string())
    }
}

/// What a person can do about it, to go behind the message.
pub(super) fn helped(error: &JournalError) -> String {
    error.help().map_or_else(String::new, |help| format!("; {help}"))
}

/// The plan that records belong to: as it was read, and as it was staged.
#[derive(Debug, Clone)]
pub struct PlanOf {
    /// The plan.
    pub plan: AppPlan,
    /// The SHA-256 of the staged file.
    pub digest: [u8; 32],
}

/// Takes over the journal of the attempts before `attempt`, which can write no more from here on, and replays it.
/// None when none of them has written anything.
///
/// # Errors
/// [`PastError`].
pub async fn look_back(
    systems: &FileSystems,
    staging: &str,
    attempt: u32,
    plan: &PlanOf,
) -> Result<Option<Past>, PastError> {
    let unreadable = |error| PastError::Unreadable {
        cause: JournalError::FileSystem(error),
    };
    let staging = systems.resolve(staging).map_err(unreadable)?;
    let fs = systems.get(&staging).map_err(unreadable)?;
    let base = staging.join(DIRECTORY);
    let earlier = attempts(fs.as_ref(), &base).await.map_err(unreadable)?;
    for earlier in earlier.into_iter().filter(|&earlier| earlier < attempt) {
        if let Some(past) = read(fs.as_ref(), &base, earlier, plan).await? {
            return Ok(Some(past));
        }
    }
    Ok(None)
}

async fn read(
    fs: &dyn FileSystem,
    base: &DfsPath,
    attempt: u32,
    plan: &PlanOf,
) -> Result<Option<Past>, PastError> {
    let left = recover(fs, base, attempt, HANDED_OVER).await?;
    let Some(last) = Last::of(&left.records).map_err(PastError::Unusable)? else {
        return Ok(None);
    };
    if let Some(other) = last.base.plan.filter(|other| *other != plan.digest) {
        return Err(PastError::Unusable(other_plan(attempt, &other, &plan.digest)));
    }
    let plan = &plan.plan;
    let mut results = Results::new(plan.settings.results_max);
    if let Some(name) = &last.base.results {
        let read = side::read(fs, &base.join(name), &mut results).await;
        read.map_err(|error| match error {
            Unread::FileSystem(error) => PastError::Unreadable {
                cause: JournalError::FileSystem(error),
            },
            Unread::Damaged(why) => PastError::Unusable(why),
        })?;
    }
    last.results.into_iter().for_each(|kept| results.recover(kept));
    Ok(Some(Past {
        core: Driver::recover(plan.clone(), last.base.checkpoint.as_deref(), last.entries)?,
        results,
        zero_unix: last.base.zero_unix,
        attempt,
        records: left.records.len(),
        bytes: left.bytes,
    }))
}

fn other_plan(attempt: u32, theirs: &[u8], ours: &[u8]) -> String {
    let short = |digest: &[u8]| hex(digest.get(..6).unwrap_or_default());
    format!(
        "attempt {attempt} kept it for another plan: {PLAN_FILE_NAME} in the staging directory is not the one that \
         was submitted (digest {}, then {}); submit the changed job as a new application",
        short(ours),
        short(theirs)
    )
}

/// The last base, and what comes after it.
struct Last {
    base: Base,
    entries: Vec<Bytes>,
    results: Vec<KeptResult>,
}

impl Last {
    fn of(records: &[Record]) -> Result<Option<Self>, String> {
        let mut found: Option<Self> = None;
        for record in records {
            match (Content::decode(&record.payload)?, &mut found) {
                (Content::Base(base), _) => {
                    found = Some(Self {
                        base,
                        entries: Vec::new(),
                        results: Vec::new(),
                    });
                }
                (Content::Entry(entry), Some(last)) => last.entries.push(entry),
                (Content::Result(result), Some(last)) => last.results.push(result),
                (Content::Entry(_) | Content::Result(_), None) => {
                    return Err(format!("record {} comes before any base", record.sequence));
                }
            }
        }
        Ok(found)
    }
}
