//! Every variant of every typed value survives the wire, in any pieces; garbage is refused without a panic.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use bytes::BytesMut;
use proptest::prelude::*;
use wire::failure::{ExecutorLoss, FailureCause, KillReason, TaskFailure};
use wire::frame::{Decoder, FrameError, Framed, MAX_FRAME, encode};
use wire::id::{BootNonce, Epoch, ExecutorId, StageKey, TaskAttemptId};
use wire::launcher::{
    DriverHello, DriverMessage, DriverWelcome, ExecutorTarget, LauncherCommand, LauncherMessage,
    LauncherReport, Registration, Verdict,
};
use wire::message::{
    DialerMessage, Envelope, ExecutorMessage, GatewayMessage, Heartbeat, Hello, Refusal, RunningTask,
    TaskReport, Welcome,
};
use wire::task::{Body, Capture, Counter, Feed, InputSlice, StageSpec, TaskMetrics, TaskResult, TaskSpec};
use wire::version::PROTOCOL;

const ID: TaskAttemptId = TaskAttemptId {
    stage: StageKey {
        job: 1,
        stage: 2,
        stage_attempt: 3,
    },
    partition: 4,
    attempt: 5,
};

fn envelope<M>(message: M) -> Envelope<M> {
    Envelope {
        epoch: Epoch(2),
        boot: BootNonce(0xfeed_beef_dead_cafe),
        message,
    }
}

fn survives<M: Framed + Clone + PartialEq + std::fmt::Debug>(message: M) {
    let sent = envelope(message);
    let mut bytes = BytesMut::new();
    encode(sent.clone(), &mut bytes).unwrap();
    let mut decoder = Decoder::default();
    decoder.feed(&bytes);
    assert_eq!(decoder.next_frame::<M>().unwrap(), Some(sent));
    assert_eq!(decoder.next_frame::<M>().unwrap(), None);
}

const KILL_REASONS: [KillReason; 5] = [
    KillReason::OtherAttemptWon,
    KillReason::StageEnded,
    KillReason::JobEnded,
    KillReason::ByUser,
    KillReason::ExecutorStopping,
];

fn causes() -> Vec<FailureCause> {
    let mut causes = vec![
        FailureCause::ExitCode(-7),
        FailureCause::Signal {
            signal: 11,
            core_dumped: true,
        },
        FailureCause::Timeout(Duration::from_millis(1500)),
        FailureCause::MemoryLimit { limit: 1, peak: 2 },
        FailureCause::ContainerMemory {
            limit: 3,
            used: 4,
            own: 5,
        },
        FailureCause::OutOfMemory { peak: 6 },
        FailureCause::StartFailed("no such file".to_owned()),
        FailureCause::InputFailed {
            uri: "hdfs://h/a".to_owned(),
            message: "gone".to_owned(),
        },
        FailureCause::OutputFailed {
            path: "hdfs://h/b".to_owned(),
            message: "full".to_owned(),
        },
        FailureCause::CommitDenied,
        FailureCause::Panicked("at the disco".to_owned()),
        FailureCause::FunctionFailed("no such row".to_owned()),
        FailureCause::Unclassified("odd".to_owned()),
    ];
    causes.extend(KILL_REASONS.map(FailureCause::Killed));
    causes.extend(
        ExecutorLoss::ONE_OF_EACH
            .into_iter()
            .map(|loss| FailureCause::ExecutorLost { loss, started: true }),
    );
    causes
}

fn launch_of(item: Option<String>, inputs: Vec<InputSlice>) -> (usize, GatewayMessage) {
    let ends = u32::MAX;
    let stage = StageKey {
        job: ends,
        stage: ends,
        stage_attempt: ends,
    };
    let (partition, attempt) = (ends, ends);
    let id = TaskAttemptId {
        stage,
        partition,
        attempt,
    };
    let (task, stages) = (TaskSpec { id, item, inputs }, vec![]);
    let described = task.described_bytes();
    (
        described,
        GatewayMessage::Launch {
            stages,
            tasks: vec![task],
        },
    )
}

proptest! {
    #[test]
    fn a_task_takes_no_more_room_in_a_frame_than_it_says(
        item in proptest::option::of("\\PC{0,300}"),
        uris in proptest::collection::vec("\\PC{0,200}", 0..20),
        offset: u64,
        length: u64,
    ) {
        let slice = |uri| InputSlice { uri, offset, length, cut_at_lines: true };
        let (described, message) = launch_of(item, uris.into_iter().map(slice).collect());
        let (mut whole, mut bare) = (BytesMut::new(), BytesMut::new());
        encode(envelope(message), &mut whole).unwrap();
        encode(envelope(GatewayMessage::Launch { stages: vec![], tasks: vec![] }), &mut bare).unwrap();
        prop_assert!(whole.len() - bare.len() <= described, "{} {} {described}", whole.len(), bare.len());
    }
}

#[test]
fn every_failure_cause_survives() {
    for cause in causes() {
        survives(ExecutorMessage::TaskFinished(Box::new(TaskReport {
            sequence: 9,
            id: ID,
            metrics: TaskMetrics::default(),
            outcome: Err(TaskFailure {
                cause,
                stderr_tail: "last words\n".to_owned(),
            }),
            result: None,
            counters: Vec::new(),
        })));
    }
}

#[test]
fn every_message_of_an_executor_survives() {
    let metrics = TaskMetrics {
        wall: Duration::from_millis(1),
        cpu_user: Duration::from_millis(2),
        cpu_system: Duration::from_millis(3),
        peak_resident: 4,
        input_bytes: 5,
        output_bytes: 6,
        stderr_bytes: 7,
    };
    survives(ExecutorMessage::Hello(Hello {
        protocol: PROTOCOL,
        build: "ab".repeat(32),
        application: "application_1_0001".to_owned(),
        executor: "container_1_0001_01_000002".parse().unwrap(),
        host: "node1".to_owned(),
        pid: 17,
        slots: 4,
        memory: 512 << 20,
        started_unix_ms: 1_795_000_000_000,
        running: vec![ID],
    }));
    survives(ExecutorMessage::Heartbeat(Heartbeat {
        sequence: 3,
        running: vec![RunningTask {
            id: ID,
            resident: 12,
            progress: 0.5,
            waiting: true,
            status: "half of it".to_owned(),
            counters: vec![Counter {
                group: "rows".to_owned(),
                name: "read".to_owned(),
                value: 7,
            }],
        }],
        resident: 99,
        cpu: Duration::from_millis(40),
        peak: 120,
    }));
    survives(ExecutorMessage::TaskStarted { id: ID, pid: 5 });
    survives(ExecutorMessage::TaskFinished(Box::new(TaskReport {
        sequence: 1,
        id: ID,
        metrics,
        outcome: Ok(()),
        result: None,
        counters: vec![Counter {
            group: "rows".to_owned(),
            name: "bad".to_owned(),
            value: -3,
        }],
    })));
    let results = [
        TaskResult::Inline(b"{}".as_slice().into()),
        TaskResult::Inline(b"".as_slice().into()),
        TaskResult::Stored {
            uri: "hdfs://h/r/0".to_owned(),
            length: 9 << 20,
        },
    ];
    for result in results {
        survives(ExecutorMessage::TaskFinished(Box::new(TaskReport {
            sequence: 1,
            id: ID,
            metrics,
            outcome: Ok(()),
            result: Some(result),
            counters: Vec::new(),
        })));
    }
    survives(ExecutorMessage::Returned { ids: vec![ID] });
    survives(ExecutorMessage::CommitRequest { id: ID });
    survives(ExecutorMessage::Goodbye {
        reason: "SIGTERM".to_owned(),
    });
}

#[test]
fn every_message_of_the_gateway_survives() {
    survives(GatewayMessage::Welcome(Welcome {
        heartbeat: Duration::from_secs(3),
        silence: Duration::from_secs(60),
        am_lost_ttl: Duration::from_secs(900),
    }));
    let refusals = [
        Refusal::ProtocolVersion,
        Refusal::Build,
        Refusal::UnknownExecutor,
        Refusal::Fenced,
        Refusal::WrongApplication,
        Refusal::Ending,
        Refusal::Unspecified,
    ];
    for reason in refusals {
        let message = "why".to_owned();
        survives(GatewayMessage::Refused { reason, message });
    }
    for reason in KILL_REASONS {
        let grace = Duration::from_secs(10);
        survives(GatewayMessage::Cancel {
            id: ID,
            reason,
            grace,
        });
    }
    for granted in [true, false] {
        survives(GatewayMessage::CommitDecision { id: ID, granted });
    }
    survives(GatewayMessage::Recall { ids: vec![ID, ID] });
    survives(GatewayMessage::Acknowledge {
        sequences: vec![1, 2, 9],
    });
    survives(GatewayMessage::Shutdown {
        reason: "done".to_owned(),
        grace: Duration::ZERO,
    });
}

fn executor() -> ExecutorId {
    "container_1_0001_01_000002".parse().unwrap()
}

#[test]
fn every_message_of_a_driver_survives() {
    let commands = [
        LauncherCommand::SetTarget(ExecutorTarget {
            executors: 3,
            hosts: [("n1".to_owned(), 2), ("n2".to_owned(), 1)].into(),
            avoid: ["n3".to_owned()].into(),
            needed: 2,
        }),
        LauncherCommand::StopExecutor {
            executor: executor(),
            loss: ExecutorLoss::Exited(3),
        },
        LauncherCommand::Tell {
            executor: executor(),
            message: GatewayMessage::Launch {
                stages: vec![stage(Body::Shell("true".into()), Feed::None, Capture::Log)],
                tasks: vec![task(None)],
            },
        },
        LauncherCommand::Show(b"{}".as_slice().into()),
        LauncherCommand::Progress {
            done: 3,
            known: 1 << 40,
        },
        LauncherCommand::Finish(Verdict::Succeeded),
        LauncherCommand::Finish(Verdict::Failed("exit code 7".into())),
        LauncherCommand::Finish(Verdict::Killed("ada".into())),
    ];
    commands
        .into_iter()
        .for_each(|command| survives(DriverMessage::Command(command)));
    survives(DriverMessage::Heartbeat);
    survives(DriverMessage::Hello(DriverHello {
        protocol: PROTOCOL,
        build: "ab12".into(),
        application: "application_1_0001".into(),
    }));
    survives(DialerMessage::Driver(DriverMessage::Heartbeat));
    survives(DialerMessage::Executor(ExecutorMessage::CommitRequest { id: ID }));
}

#[test]
fn every_message_to_a_driver_survives() {
    let reports = [
        LauncherReport::ExecutorRegistered(Registration {
            executor: executor(),
            boot: BootNonce(7),
            host: "n1".into(),
            slots: 2,
            running: vec![ID],
        }),
        LauncherReport::Heard {
            executor: executor(),
            message: ExecutorMessage::CommitRequest { id: ID },
        },
        LauncherReport::ExecutorDisconnected { executor: executor() },
        LauncherReport::ExecutorGone {
            executor: executor(),
            loss: ExecutorLoss::Preempted,
            detail: "preempted".into(),
        },
        LauncherReport::DrainWanted {
            executors: vec![executor()],
            more: 2,
            loss: ExecutorLoss::Preempted,
        },
        LauncherReport::ResourceManagerHeard {
            ago: Duration::from_millis(12),
        },
        LauncherReport::Hopeless("no nodes".into()),
        LauncherReport::NoRoom {
            reason: "the nodes are small".into(),
            room: 2,
        },
    ];
    reports
        .into_iter()
        .for_each(|report| survives(LauncherMessage::Report(report)));
    survives(LauncherMessage::Heartbeat);
    survives(LauncherMessage::Concluded);
    survives(LauncherMessage::Refused {
        reason: Refusal::Ending,
        message: "over".into(),
    });
    survives(LauncherMessage::Welcome(DriverWelcome {
        heartbeat: Duration::from_secs(3),
        silence: Duration::from_secs(15),
        reconnect: Duration::from_secs(60),
    }));
}

#[test]
fn every_kind_of_stage_survives() {
    let bodies = [
        Body::Argv(vec!["./count.sh".to_owned(), String::new()]),
        Body::Shell("sort | uniq -c".to_owned()),
        Body::Function("count".to_owned()),
    ];
    let kinds = [
        (Feed::Stdin, Capture::Stdout),
        (Feed::File, Capture::Directory),
        (Feed::None, Capture::Log),
    ];
    for body in bodies {
        for (feed, capture) in kinds {
            let stages = vec![stage(body.clone(), feed, capture)];
            let tasks = vec![task(None), task(Some(String::new()))];
            survives(GatewayMessage::Launch { stages, tasks });
        }
    }
}

fn stage(body: Body, feed: Feed, capture: Capture) -> StageSpec {
    StageSpec {
        key: ID.stage,
        name: "count".to_owned(),
        tasks: 7,
        body,
        environment: vec![("A".to_owned(), "b".to_owned())],
        feed,
        capture,
        output: (capture != Capture::Log).then(|| "hdfs://h/out".to_owned()),
        files: vec!["dict.txt".to_owned()],
        timeout: Some(Duration::from_secs(1)),
        memory_limit: Some(1 << 30),
        cores: 3,
        resources: "fpga=0,yarn.io/gpu=2".parse().unwrap(),
        results: Some("hdfs://h/r".to_owned()),
    }
}

fn task(item: Option<String>) -> TaskSpec {
    TaskSpec {
        id: ID,
        item,
        inputs: vec![InputSlice {
            uri: "hdfs://h/in".to_owned(),
            offset: 1,
            length: 2,
            cut_at_lines: true,
        }],
    }
}

#[test]
fn a_frame_for_the_other_side_is_refused() {
    let mut bytes = BytesMut::new();
    let message = ExecutorMessage::CommitRequest { id: ID };
    encode(envelope(message), &mut bytes).unwrap();
    let mut decoder = Decoder::default();
    decoder.feed(&bytes);
    assert_eq!(decoder.next_frame::<GatewayMessage>(), Err(FrameError::Unknown));
}

#[test]
fn a_lying_length_takes_no_memory() {
    let mut decoder = Decoder::default();
    decoder.feed(&u32::MAX.to_be_bytes());
    let length = u32::MAX as usize;
    let refused = decoder.next_frame::<GatewayMessage>();
    assert_eq!(refused, Err(FrameError::TooLong(length)));
    let mut decoder = Decoder::default();
    decoder.feed(&u32::try_from(MAX_FRAME).unwrap().to_be_bytes());
    assert_eq!(decoder.next_frame::<GatewayMessage>(), Ok(None));
    assert!(decoder.buffer().capacity() < 1024);
}

#[test]
fn a_frame_above_the_limit_is_not_sent() {
    let mut bytes = BytesMut::from(&b"before"[..]);
    let reason = "x".repeat(MAX_FRAME);
    let error = encode(envelope(ExecutorMessage::Goodbye { reason }), &mut bytes).unwrap_err();
    assert!(matches!(error, FrameError::TooLong(_)));
    assert_eq!(&bytes[..], b"before");
}

proptest! {
    #[test]
    fn any_split_of_the_bytes_gives_the_same_frames(cuts in prop::collection::vec(1usize..40, 0..30)) {
        let messages = [
            ExecutorMessage::TaskStarted { id: ID, pid: 1 },
            ExecutorMessage::Heartbeat(Heartbeat::default()),
            ExecutorMessage::Goodbye { reason: "bye".to_owned() },
        ];
        let mut bytes = BytesMut::new();
        for message in &messages {
            encode(envelope(message.clone()), &mut bytes).unwrap();
        }
        let (mut decoder, mut got) = (Decoder::default(), Vec::new());
        let mut rest = &bytes[..];
        for cut in cuts.into_iter().chain([usize::MAX]) {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            rest = later;
            decoder.feed(now);
            while let Some(frame) = decoder.next_frame::<ExecutorMessage>().unwrap() {
                got.push(frame.message);
            }
        }
        prop_assert_eq!(got, messages.to_vec());
    }

    #[test]
    fn garbage_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut decoder = Decoder::default();
        decoder.feed(&bytes);
        while let Ok(Some(_)) = decoder.next_frame::<GatewayMessage>() {}
    }
}
