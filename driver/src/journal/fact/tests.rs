//! Every kind of fact, and what earlier builds wrote.

use std::time::Duration;

use wire::failure::{ExecutorLoss, FailureCause, TaskFailure};
use wire::id::{BootNonce, StageKey};
use wire::task::{InputSlice, TaskMetrics};

use super::*;
use crate::event::TaskInput;

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
        ApplicationFact::Started.into(),
        ApplicationFact::Resumed { lost: None }.into(),
        ExecutorFact::Admitted {
            executor: text("container_1"),
            boot: BootNonce(u64::MAX),
            host: text("n1"),
            slots: 4,
        }
        .into(),
        ExecutorFact::Removed {
            executor: 3,
            loss: ExecutorLoss::Signalled(9),
            started: vec![true, false, true],
        }
        .into(),
        ExecutorFact::Stillborn {
            executor: text("container_2"),
        }
        .into(),
        StageFact::Begun { stage: 2 }.into(),
        StageFact::Planned {
            stage: KEY,
            tasks: Ok(vec![input, TaskInput::default()]),
        }
        .into(),
        StageFact::Planned {
            stage: KEY,
            tasks: Err(text("no such file")),
        }
        .into(),
        AttemptFact::Launched {
            stage: 1,
            partition: 300,
            executor: 3,
            queued: true,
        }
        .into(),
        AttemptFact::Adopted {
            executor: 3,
            id: ID,
            queued: true,
        }
        .into(),
        AttemptFact::Finished {
            executor: 3,
            id: ID,
            metrics: TaskMetrics {
                wall: Duration::from_millis(12),
                peak_resident: 1 << 20,
                ..TaskMetrics::default()
            },
            outcome: Ok(()),
        }
        .into(),
        AttemptFact::Finished {
            executor: 3,
            id: ID,
            metrics: TaskMetrics::default(),
            outcome: Err(TaskFailure::new(FailureCause::ExitCode(3))),
        }
        .into(),
        AttemptFact::Vanished { executor: 3, id: ID }.into(),
        AttemptFact::Unreadable {
            executor: 3,
            id: ID,
            source: 1,
        }
        .into(),
        StageFact::CommitStarted { stage: 2 }.into(),
        StageFact::Committed {
            stage: KEY,
            result: Ok(()),
        }
        .into(),
        StageFact::Committed {
            stage: KEY,
            result: Err(text("no room")),
        }
        .into(),
        ApplicationFact::JobFailed {
            job: 1,
            cause: text("no executor is left"),
        }
        .into(),
        ApplicationFact::Killed {
            job: None,
            by: text("ada"),
        }
        .into(),
        ApplicationFact::Killed {
            job: Some(0),
            by: text("ada"),
        }
        .into(),
        ApplicationFact::Concluded.into(),
        AttemptFact::Seated { executor: 3, id: ID }.into(),
        AttemptFact::Returned { executor: 3, id: ID }.into(),
        ExecutorFact::Forgotten {
            executors: vec![0, 300],
        }
        .into(),
    ]
}

#[test]
fn every_fact_survives() {
    let mut writer = Writer::default();
    let mut facts = every_kind();
    let lost = vec![(1, 0), (1, 300)];
    facts.push(ApplicationFact::Resumed { lost: Some(lost) }.into());
    facts.push(ApplicationFact::Resumed { lost: Some(vec![]) }.into());
    facts.iter().for_each(|fact| fact.write(&mut writer));
    let mut reader = Reader::new(&writer.bytes);
    for fact in facts {
        assert_eq!(Fact::read(&mut reader), Ok(fact));
    }
    assert!(reader.is_empty());
}

/// What the first version wrote, in hexadecimal. It must be read for ever.
const FIRST_VERSION: &str = include_str!("../samples/facts_v1.hex");

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
    assert_eq!(Fact::read(&mut reader), Ok(StageFact::Begun { stage: 2 }.into()));
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
    let fact: Fact = AttemptFact::Finished {
        executor: 70,
        id: ID,
        metrics,
        outcome: Ok(()),
    }
    .into();
    fact.write(&mut writer);
    assert!(writer.bytes.len() <= 36, "{}", writer.bytes.len());
}
