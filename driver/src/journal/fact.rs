//! What has to survive the process: the transitions of the core that cannot be found out again.
//!
//! Executors are named by the order in which they were admitted, stages by their number. A fact of a kind that this
//! build does not know is refused: leaving it out could undo what it said.

use wire::failure::{ExecutorLoss, TaskFailure};
use wire::id::{BootNonce, StageKey};
use wire::task::TaskMetrics;

use super::codec::{Damaged, Reader, Writer};
use super::failure;
use super::inputs::{read_inputs, write_inputs};
use crate::event::TaskInput;

/// An attempt of a task, its stage's job left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AttemptName {
    pub(crate) stage: u32,
    pub(crate) stage_attempt: u32,
    pub(crate) partition: u32,
    pub(crate) number: u32,
}

/// One fact.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    /// The application began.
    Started,
    /// Another attempt of the ApplicationMaster went on.
    Resumed,
    /// A new executor registered.
    Admitted {
        executor: String,
        boot: BootNonce,
        host: String,
        slots: u32,
    },
    /// An executor was taken away.
    Removed {
        executor: u32,
        loss: ExecutorLoss,
        /// Of each of its attempts, in the order of their launch: whether it had started.
        started: Vec<bool>,
    },
    /// An executor was lost before it registered.
    Stillborn { executor: String },
    /// A stage began to be planned.
    Begun { stage: u32 },
    /// A stage's tasks were found, or not.
    Planned {
        stage: StageKey,
        tasks: Result<Vec<TaskInput>, String>,
    },
    /// A task was given to an executor.
    Launched {
        stage: u32,
        partition: u32,
        executor: u32,
        /// Ahead of a free slot.
        queued: bool,
    },
    /// An executor turned out to run an attempt that nobody knew.
    Adopted {
        executor: u32,
        id: AttemptName,
        /// All slots there are taken.
        queued: bool,
    },
    /// An attempt ended.
    Finished {
        executor: u32,
        id: AttemptName,
        metrics: TaskMetrics,
        outcome: Result<(), TaskFailure>,
    },
    /// An attempt went missing.
    Vanished { executor: u32, id: AttemptName },
    /// An attempt could not read what an executor held.
    Unreadable {
        executor: u32,
        id: AttemptName,
        source: u32,
    },
    /// A stage's output is about to be marked as complete.
    CommitStarted { stage: u32 },
    /// It was, or not.
    Committed {
        stage: StageKey,
        result: Result<(), String>,
    },
    /// A job failed for a cause outside its tasks.
    JobFailed { job: u32, cause: String },
    /// One job, or with none all, were ended.
    Killed { job: Option<u32>, by: String },
    /// The verdict was given.
    Concluded,
    /// An attempt that waited in the queue of its executor began out of turn.
    Seated { executor: u32, id: AttemptName },
    /// An attempt was given back unbegun.
    Returned { executor: u32, id: AttemptName },
}

impl Fact {
    /// Whether nothing may be done before it is kept.
    pub(crate) fn is_urgent(&self) -> bool {
        match self {
            Self::Started
            | Self::Resumed
            | Self::Planned { .. }
            | Self::CommitStarted { .. }
            | Self::Committed { .. }
            | Self::JobFailed { .. }
            | Self::Killed { .. }
            | Self::Concluded => true,
            Self::Admitted { .. }
            | Self::Removed { .. }
            | Self::Stillborn { .. }
            | Self::Begun { .. }
            | Self::Launched { .. }
            | Self::Adopted { .. }
            | Self::Finished { .. }
            | Self::Vanished { .. }
            | Self::Unreadable { .. }
            | Self::Seated { .. }
            | Self::Returned { .. } => false,
        }
    }

    pub(crate) fn write(&self, into: &mut Writer) {
        let mut body = Writer::default();
        let kind = self.write_body(&mut body);
        into.number(kind).blob(&body.bytes);
    }

    /// Gives the number of its kind.
    fn write_body(&self, into: &mut Writer) -> u8 {
        match self {
            Self::Started => 1,
            Self::Resumed => 2,
            Self::Admitted {
                executor,
                boot,
                host,
                slots,
            } => {
                into.text(executor).number(boot.0).text(host).number(*slots);
                3
            }
            Self::Removed {
                executor,
                loss,
                started,
            } => {
                into.number(*executor);
                failure::write_loss(*loss, into);
                into.count(started.len()).bits(started.iter().copied());
                4
            }
            Self::Stillborn { executor } => {
                into.text(executor);
                5
            }
            Self::Begun { stage } => {
                into.number(*stage);
                6
            }
            Self::Planned { stage, tasks } => {
                write_key(*stage, into);
                match tasks {
                    Ok(tasks) => write_inputs(tasks, into.number(0u8)),
                    Err(message) => _ = into.number(1u8).text(message),
                }
                7
            }
            Self::Launched {
                stage,
                partition,
                executor,
                queued,
            } => {
                into.number(*stage).number(*partition).number(*executor);
                into.flag(*queued);
                8
            }
            Self::Adopted { executor, id, queued } => {
                id.write(into.number(*executor));
                into.flag(*queued);
                9
            }
            Self::Finished {
                executor,
                id,
                metrics,
                outcome,
            } => {
                id.write(into.number(*executor));
                failure::write_outcome(outcome, into);
                failure::write_metrics(metrics, into);
                10
            }
            Self::Vanished { executor, id } => {
                id.write(into.number(*executor));
                11
            }
            Self::Unreadable { executor, id, source } => {
                id.write(into.number(*executor).number(*source));
                12
            }
            Self::CommitStarted { stage } => {
                into.number(*stage);
                13
            }
            Self::Committed { stage, result } => {
                write_key(*stage, into);
                let (failed, text) = match result {
                    Ok(()) => (0u8, ""),
                    Err(message) => (1u8, message.as_str()),
                };
                into.number(failed).text(text);
                14
            }
            Self::JobFailed { job, cause } => {
                into.number(*job).text(cause);
                15
            }
            Self::Killed { job, by } => {
                into.maybe(*job).text(by);
                16
            }
            Self::Concluded => 17,
            Self::Seated { executor, id } => {
                id.write(into.number(*executor));
                18
            }
            Self::Returned { executor, id } => {
                id.write(into.number(*executor));
                19
            }
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let kind = from.number()?;
        let mut body = Reader::new(from.blob()?);
        Self::read_body(kind, &mut body)
    }

    fn read_body(kind: u64, from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(match kind {
            1 => Self::Started,
            2 => Self::Resumed,
            3 => Self::Admitted {
                executor: from.owned()?,
                boot: BootNonce(from.number()?),
                host: from.owned()?,
                slots: from.narrow()?,
            },
            4 => Self::Removed {
                executor: from.narrow()?,
                loss: failure::read_loss(from)?,
                started: {
                    let count = from.narrow()?;
                    from.bits(count)?
                },
            },
            5 => Self::Stillborn {
                executor: from.owned()?,
            },
            6 => Self::Begun {
                stage: from.narrow()?,
            },
            7 => Self::Planned {
                stage: read_key(from)?,
                tasks: match from.number()? {
                    0 => Ok(read_inputs(from)?),
                    _ => Err(from.owned()?),
                },
            },
            8 => Self::Launched {
                stage: from.narrow()?,
                partition: from.narrow()?,
                executor: from.narrow()?,
                queued: from.number()? == 1,
            },
            9 => Self::Adopted {
                executor: from.narrow()?,
                id: AttemptName::read(from)?,
                queued: from.number()? == 1,
            },
            10 => {
                let (executor, id) = (from.narrow()?, AttemptName::read(from)?);
                let outcome = failure::read_outcome(from)?;
                let metrics = failure::read_metrics(from)?;
                Self::Finished {
                    executor,
                    id,
                    metrics,
                    outcome,
                }
            }
            11 => Self::Vanished {
                executor: from.narrow()?,
                id: AttemptName::read(from)?,
            },
            12 => {
                let (executor, source) = (from.narrow()?, from.narrow()?);
                let id = AttemptName::read(from)?;
                Self::Unreadable { executor, id, source }
            }
            13 => Self::CommitStarted {
                stage: from.narrow()?,
            },
            14 => Self::Committed {
                stage: read_key(from)?,
                result: match from.number()? {
                    0 => Ok(()),
                    _ => Err(from.owned()?),
                },
            },
            15 => Self::JobFailed {
                job: from.narrow()?,
                cause: from.owned()?,
            },
            16 => Self::Killed {
                job: from.maybe()?,
                by: from.owned()?,
            },
            17 => Self::Concluded,
            18 => Self::Seated {
                executor: from.narrow()?,
                id: AttemptName::read(from)?,
            },
            19 => Self::Returned {
                executor: from.narrow()?,
                id: AttemptName::read(from)?,
            },
            other => {
                let text = format!("a fact of kind {other}, which this build does not know");
                return Err(Damaged::new(text));
            }
        })
    }
}

impl AttemptName {
    pub(super) fn write(self, into: &mut Writer) {
        into.number(self.stage)
            .number(self.stage_attempt)
            .number(self.partition)
            .number(self.number);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            stage: from.narrow()?,
            stage_attempt: from.narrow()?,
            partition: from.narrow()?,
            number: from.narrow()?,
        })
    }
}

fn write_key(key: StageKey, into: &mut Writer) {
    into.number(key.job).number(key.stage).number(key.stage_attempt);
}

fn read_key(from: &mut Reader<'_>) -> Result<StageKey, Damaged> {
    Ok(StageKey {
        job: from.narrow()?,
        stage: from.narrow()?,
        stage_attempt: from.narrow()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use wire::failure::FailureCause;
    use wire::task::InputSlice;

    const ID: AttemptName = AttemptName {
        stage: 1,
        stage_attempt: 2,
        partition: 300,
        number: 4,
    };
    const KEY: StageKey = StageKey {
        job: 1,
        stage: 2,
        stage_attempt: 3,
    };

    fn every_kind() -> Vec<Fact> {
        let text = |text: &str| text.to_owned();
        let input = TaskInput {
            item: Some(text("a")),
            inputs: vec![InputSlice {
                uri: text("hdfs://nn/in/a"),
                offset: 7,
                length: 9,
                cut_at_lines: true,
            }],
            hosts: vec![text("n1")],
        };
        vec![
            Fact::Started,
            Fact::Resumed,
            Fact::Admitted {
                executor: text("container_1"),
                boot: BootNonce(u64::MAX),
                host: text("n1"),
                slots: 4,
            },
            Fact::Removed {
                executor: 3,
                loss: ExecutorLoss::Signalled(9),
                started: vec![true, false, true],
            },
            Fact::Stillborn {
                executor: text("container_2"),
            },
            Fact::Begun { stage: 2 },
            Fact::Planned {
                stage: KEY,
                tasks: Ok(vec![input, TaskInput::default()]),
            },
            Fact::Planned {
                stage: KEY,
                tasks: Err(text("no such file")),
            },
            Fact::Launched {
                stage: 1,
                partition: 300,
                executor: 3,
                queued: true,
            },
            Fact::Adopted {
                executor: 3,
                id: ID,
                queued: true,
            },
            Fact::Finished {
                executor: 3,
                id: ID,
                metrics: TaskMetrics {
                    wall: Duration::from_millis(12),
                    peak_resident: 1 << 20,
                    ..TaskMetrics::default()
                },
                outcome: Ok(()),
            },
            Fact::Finished {
                executor: 3,
                id: ID,
                metrics: TaskMetrics::default(),
                outcome: Err(TaskFailure::new(FailureCause::ExitCode(3))),
            },
            Fact::Vanished { executor: 3, id: ID },
            Fact::Unreadable {
                executor: 3,
                id: ID,
                source: 1,
            },
            Fact::CommitStarted { stage: 2 },
            Fact::Committed {
                stage: KEY,
                result: Ok(()),
            },
            Fact::Committed {
                stage: KEY,
                result: Err(text("no room")),
            },
            Fact::JobFailed {
                job: 1,
                cause: text("no executor is left"),
            },
            Fact::Killed {
                job: None,
                by: text("ada"),
            },
            Fact::Killed {
                job: Some(0),
                by: text("ada"),
            },
            Fact::Concluded,
            Fact::Seated { executor: 3, id: ID },
            Fact::Returned { executor: 3, id: ID },
        ]
    }

    #[test]
    fn every_fact_survives() {
        let mut writer = Writer::default();
        let facts = every_kind();
        facts.iter().for_each(|fact| fact.write(&mut writer));
        let mut reader = Reader::new(&writer.bytes);
        for fact in facts {
            assert_eq!(Fact::read(&mut reader), Ok(fact));
        }
        assert!(reader.is_empty());
    }

    /// What the first version wrote, in hexadecimal. It must be read for ever.
    const FIRST_VERSION: &str = include_str!("samples/facts_v1.hex");

    #[test]
    fn facts_of_the_first_version_are_read() {
        let digits: Vec<u8> = FIRST_VERSION.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
        let mut reader = Reader::new(&bytes);
        for fact in every_kind() {
            assert_eq!(Fact::read(&mut reader), Ok(fact));
        }
    }

    #[test]
    fn a_fact_may_have_grown_and_an_unknown_one_is_refused() {
        let mut writer = Writer::default();
        writer.number(6u8).blob(&[2, 9, 9]);
        writer.number(99u8).blob(&[]);
        let mut reader = Reader::new(&writer.bytes);
        assert_eq!(Fact::read(&mut reader), Ok(Fact::Begun { stage: 2 }));
        let refused = Fact::read(&mut reader).unwrap_err().to_string();
        assert!(refused.contains("does not know"), "{refused}");
    }

    #[test]
    fn a_finished_task_takes_a_few_tens_of_bytes() {
        let mut writer = Writer::default();
        let metrics = TaskMetrics {
            wall: Duration::from_millis(1_043),
            cpu_user: Duration::from_millis(800),
            cpu_system: Duration::from_millis(90),
            peak_resident: 48 << 20,
            input_bytes: 128 << 20,
            output_bytes: 3 << 20,
            stderr_bytes: 0,
        };
        let fact = Fact::Finished {
            executor: 70,
            id: ID,
            metrics,
            outcome: Ok(()),
        };
        fact.write(&mut writer);
        assert!(writer.bytes.len() <= 36, "{}", writer.bytes.len());
    }
}
