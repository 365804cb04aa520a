//! Functions as tasks: results, failures, and functions that do not return.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use executor::functions::{Functions, TaskContext};
use wire::failure::{FailureCause, KillReason};
use wire::message::{ExecutorMessage, GatewayMessage, TaskReport};
use wire::task::{Body, Counter, StageSpec, TaskResult, TaskSpec};

use crate::harness::{Container, Peer, eventually, id, patiently, shell, task};

/// What the executors of these tests can do.
pub(crate) fn functions() -> Functions {
    Functions::builder()
        .function("double", |n: i64, _: &TaskContext| Ok::<_, String>(n * 2))
        .function("panic", |why: String, _: &TaskContext| -> Result<(), String> {
            panic!("{why}")
        })
        .function("fill", |length: usize, context: &TaskContext| {
            context.count("bytes", "made", 7);
            Ok::<_, String>("x".repeat(length))
        })
        .function("wait", |(): (), context: &TaskContext| {
            context.progress(0.5);
            context.status("waiting");
            while !context.is_cancelled() {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok::<_, String>("late")
        })
        .function("stick", |(): (), _: &TaskContext| {
            // Nobody sends, so this never comes back.
            let (_sender, receiver) = mpsc::channel::<()>();
            Ok::<_, String>(receiver.recv().is_ok())
        })
        .build()
        .unwrap()
}

fn calling(function: &str) -> StageSpec {
    StageSpec {
        body: Body::Function(function.to_owned()),
        ..shell("")
    }
}

fn with(argument: &str, partition: u32) -> TaskSpec {
    TaskSpec {
        item: Some(argument.to_owned()),
        ..task(partition, Vec::new())
    }
}

async fn call(peer: &mut Peer, stage: StageSpec, argument: &str) -> TaskReport {
    peer.launch(stage, vec![with(argument, 0)]).await;
    let report = peer.finished().await;
    let sequences = vec![report.sequence];
    peer.send(GatewayMessage::Acknowledge { sequences }).await;
    report
}

fn failure(report: TaskReport) -> FailureCause {
    report.outcome.expect_err("it should have failed").cause
}

#[tokio::test]
async fn what_a_function_gives_back_is_in_its_report() {
    let (_container, mut peer) = Container::serving().await;
    let report = call(&mut peer, calling("double"), "21").await;
    assert_eq!(report.outcome, Ok(()));
    assert_eq!(report.result, Some(TaskResult::Inline(b"42".as_slice().into())));
}

#[tokio::test]
async fn more_functions_than_slots_are_called_one_after_the_other() {
    let (_container, mut peer) = Container::serving().await;
    let tasks = (0..20)
        .map(|partition| with(&partition.to_string(), partition))
        .collect();
    peer.launch(calling("double"), tasks).await;
    let mut results = Vec::new();
    for _ in 0..20 {
        let report = peer.finished().await;
        results.push((report.id.partition, report.result));
    }
    results.sort_unstable_by_key(|(partition, _)| *partition);
    let expected = |n: u32| TaskResult::Inline((n * 2).to_string().into());
    let right = |(n, result): &(u32, Option<TaskResult>)| *result == Some(expected(*n));
    assert!(results.iter().all(right), "{results:?}");
}

#[tokio::test]
async fn of_many_short_tasks_each_is_done_once_or_given_back_once() {
    for stage in [calling("double"), shell("true")] {
        let (_container, mut peer) = Container::serving().await;
        let number = 200;
        let tasks = (0..number).map(|partition| with("1", partition)).collect();
        peer.launch(stage, tasks).await;
        let mut seen = Vec::new();
        for _ in 0..20 {
            seen.push(peer.finished().await.id.partition);
        }
        let last = *seen.iter().max().unwrap();
        // Those at the head of the queue, which are about to begin, and those at its end.
        let ids = (last..last + 9).chain(150..number).map(id).collect();
        peer.send(GatewayMessage::Recall { ids }).await;
        for partition in last + 9..last + 12 {
            let (id, reason, grace) = (id(partition), KillReason::StageEnded, Duration::ZERO);
            peer.send(GatewayMessage::Cancel { id, reason, grace }).await;
        }
        let rest = async {
            while seen.len() < number as usize {
                seen.extend(match peer.next().await {
                    ExecutorMessage::TaskFinished(report) => vec![report.id.partition],
                    ExecutorMessage::Returned { ids } => ids.iter().map(|id| id.partition).collect(),
                    _ => Vec::new(),
                });
            }
        };
        patiently("the rest of the tasks", rest).await;
        seen.sort_unstable();
        assert_eq!(seen, (0..number).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_panic_fails_the_task_and_the_executor_goes_on() {
    let (_container, mut peer) = Container::serving().await;
    let panicked = call(&mut peer, calling("panic"), "\"oh no\"").await;
    assert_eq!(failure(panicked), FailureCause::Panicked("oh no".to_owned()));
    let unknown = call(&mut peer, calling("nothing"), "1").await;
    assert!(matches!(failure(unknown), FailureCause::StartFailed(why) if why.contains("\"nothing\"")));
    assert_eq!(call(&mut peer, calling("double"), "1").await.outcome, Ok(()));
}

#[tokio::test]
async fn a_result_that_is_too_large_for_a_report_is_stored() {
    let (container, mut peer) = Container::serving().await;
    let stage = StageSpec {
        results: Some(container.uri("results")),
        ..calling("fill")
    };
    let report = call(&mut peer, stage, "2000000").await;
    let counter = |name: &str, value| Counter {
        group: "bytes".to_owned(),
        name: name.to_owned(),
        value,
    };
    assert_eq!(report.counters, [counter("made", 7)]);
    let Some(TaskResult::Stored { uri, length }) = report.result else {
        panic!("{report:?}");
    };
    assert_eq!(length, 2_000_002);
    let name = uri.strip_prefix(&container.uri("")).unwrap();
    assert_eq!(container.read(name).len(), 2_000_002);
}

#[tokio::test]
async fn a_function_is_told_when_its_time_is_up_and_what_it_gives_back_then_is_not_taken() {
    let (_container, mut peer) = Container::serving().await;
    let limit = Duration::from_millis(50);
    let stage = StageSpec {
        timeout: Some(limit),
        ..calling("wait")
    };
    let report = call(&mut peer, stage, "null").await;
    assert_eq!(failure(report), FailureCause::Timeout(limit));
}

#[tokio::test]
async fn a_function_says_how_far_it_is_and_can_be_cancelled() {
    let (_container, mut peer) = Container::serving().await;
    peer.launch(calling("wait"), vec![with("null", 0)]).await;
    let said = |message: &ExecutorMessage| match message {
        ExecutorMessage::Heartbeat(heartbeat) => {
            let task = heartbeat.running.first()?;
            (task.progress > 0.0).then(|| (task.progress, task.status.clone()))
        }
        _ => None,
    };
    assert_eq!(peer.until(said).await, (0.5, "waiting".to_owned()));
    peer.send(GatewayMessage::Cancel {
        id: id(0),
        reason: KillReason::OtherAttemptWon,
        grace: Duration::from_secs(60),
    })
    .await;
    let killed = FailureCause::Killed(KillReason::OtherAttemptWon);
    assert_eq!(failure(peer.finished().await), killed);
}

#[tokio::test]
async fn a_function_that_never_returns_takes_its_executor_along_and_nobody_else_is_blamed() {
    let (mut container, mut peer) = Container::serving().await;
    let tasks = vec![with("null", 0), with("null", 1), with("null", 2)];
    let began = Instant::now();
    peer.launch(calling("stick"), tasks).await;
    let reason = KillReason::StageEnded;
    let grace = Duration::from_millis(100);
    peer.send(GatewayMessage::Cancel {
        id: id(1),
        reason,
        grace,
    })
    .await;
    let mut ended = Vec::new();
    let mut returned = Vec::new();
    while let Some(message) = peer.try_next().await {
        match message {
            ExecutorMessage::TaskFinished(report) => ended.push((report.id.partition, failure(*report))),
            ExecutorMessage::Returned { ids } => returned.extend(ids),
            _ => {}
        }
    }
    let killed = FailureCause::Killed;
    assert_eq!(
        ended,
        [
            (1, killed(KillReason::StageEnded)),
            (0, killed(KillReason::ExecutorStopping))
        ]
    );
    assert_eq!(returned, [id(2)]);
    assert_eq!(container.wait().code(), Some(75));
    assert!(began.elapsed() >= grace);
}

#[tokio::test]
async fn results_that_nobody_takes_are_on_the_disk_until_somebody_does() {
    let (container, mut peer) = Container::serving().await;
    let tasks = (0..12).map(|partition| with("1000000", partition)).collect();
    peer.launch(calling("fill"), tasks).await;
    drop(peer);
    let files = || std::fs::read_dir(container.path(".drawloom-reports")).map_or(0, Iterator::count);
    // Four of a million bytes are within 4 MiB.
    eventually("reports on the disk", || (files() == 8).then_some(()));
    let mut peer = container.welcome().await;
    let mut partitions = Vec::new();
    while partitions.len() < 12 {
        let report = peer.finished().await;
        assert_eq!(report.result.map(|result| result.length()), Some(1_000_002));
        assert_eq!(report.counters.len(), 1);
        partitions.push(report.id.partition);
        let sequences = vec![report.sequence];
        peer.send(GatewayMessage::Acknowledge { sequences }).await;
    }
    partitions.sort_unstable();
    assert_eq!(partitions, (0..12).collect::<Vec<_>>());
    eventually("that they are gone", || (files() == 0).then_some(()));
}
