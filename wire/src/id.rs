//! Ids. Each is a newtype with its text form beside it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A text that is no id of the kind that was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {kind}: expected {expected}")]
pub struct InvalidId {
    text: String,
    kind: &'static str,
    expected: &'static str,
}

impl InvalidId {
    pub(crate) fn new(text: &str, kind: &'static str, expected: &'static str) -> Self {
        let text = text.chars().take(120).collect();
        Self { text, kind, expected }
    }
}

/// The application attempt that a message belongs to. A receiver obeys only the highest it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Drawn at random by an executor process when it starts: tells two lives under one executor id apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootNonce(pub u64);

impl fmt::Display for BootNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// An executor: the text of its YARN container id. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExecutorId(Arc<str>);

impl ExecutorId {
    const EXPECTED: &'static str = "1 to 128 letters, digits, '_', '-' or '.'";

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ExecutorId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if (1..=128).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(InvalidId::new(text, "executor id", Self::EXPECTED))
        }
    }
}

impl TryFrom<String> for ExecutorId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<ExecutorId> for String {
    fn from(id: ExecutorId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for ExecutorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One attempt of a stage of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StageKey {
    /// The job within the application, from 0.
    pub job: u32,
    /// The stage within the job, from 0, in the order of the job file.
    pub stage: u32,
    /// The attempt of the whole stage, from 0.
    pub stage_attempt: u32,
}

impl fmt::Display for StageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}.{}", self.job, self.stage, self.stage_attempt)
    }
}

/// One attempt of one task. Prints as `job:stage.stage-attempt/partition.attempt`, all counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskAttemptId {
    /// The stage attempt it belongs to.
    pub stage: StageKey,
    /// The partition it computes, from 0.
    pub partition: u32,
    /// The attempt of this task within the stage attempt, from 0.
    pub attempt: u32,
}

impl fmt::Display for TaskAttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.stage, self.partition, self.attempt)
    }
}

impl FromStr for TaskAttemptId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        parse_attempt(text)
            .ok_or_else(|| InvalidId::new(text, "task attempt", "JOB:STAGE.STAGE-ATTEMPT/PARTITION.ATTEMPT"))
    }
}

fn parse_attempt(text: &str) -> Option<TaskAttemptId> {
    let (job, rest) = text.split_once(':')?;
    let (stage, task) = rest.split_once('/')?;
    let (stage, stage_attempt) = stage.split_once('.')?;
    let (partition, attempt) = task.split_once('.')?;
    let stage = StageKey {
        job: number(job)?,
        stage: number(stage)?,
        stage_attempt: number(stage_attempt)?,
    };
    Some(TaskAttemptId {
        stage,
        partition: number(partition)?,
        attempt: number(attempt)?,
    })
}

/// A decimal number without sign, so that a value has one text only.
fn number(text: &str) -> Option<u32> {
    let canonical = text == "0" || !text.starts_with(['0', '+']);
    canonical.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_executor_id_is_a_container_id() {
        let text = "container_e17_1410901177871_0001_01_000005";
        assert_eq!(text.parse::<ExecutorId>().unwrap().as_str(), text);
        assert!("".parse::<ExecutorId>().is_err());
        assert!("a b".parse::<ExecutorId>().is_err());
        assert!("a/../b".parse::<ExecutorId>().is_err());
        assert!("x".repeat(129).parse::<ExecutorId>().is_err());
    }

    #[test]
    fn a_bad_attempt_id_says_what_was_expected() {
        let error = "0:1/2".parse::<TaskAttemptId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#""0:1/2" is no task attempt: expected JOB:STAGE.STAGE-ATTEMPT/PARTITION.ATTEMPT"#
        );
        assert!("0:01.0/2.0".parse::<TaskAttemptId>().is_err());
        assert!("+0:1.0/2.0".parse::<TaskAttemptId>().is_err());
    }

    proptest! {
        #[test]
        fn an_attempt_id_survives_its_text(job: u32, stage: u32, stage_attempt: u32, partition: u32, attempt: u32) {
            let id = TaskAttemptId { stage: StageKey { job, stage, stage_attempt }, partition, attempt };
            prop_assert_eq!(id.to_string().parse::<TaskAttemptId>().unwrap(), id);
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,40}") {
            if let Ok(id) = text.parse::<TaskAttemptId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
