//! The executor as processes: registration, signals, what is left when one of them is killed, reconnection.

use std::fs;
use std::time::Duration;

use crate::harness::{Container, eventually, id, is_alive, kill, shell, task};
use rustix::process::Signal;
use wire::failure::KillReason;
use wire::id::{Epoch, TaskAttemptId};
use wire::message::{ExecutorMessage, GatewayMessage, Refusal};
use wire::task::StageSpec;

/// A task that hides three processes as well as a shell can, and the files with their numbers.
fn hiding(container: &Container) -> (StageSpec, [&'static str; 3]) {
    let files = ["plain", "detached", "hidden"];
    let [plain, detached, hidden] = files.map(|name| container.path(name).display().to_string());
    let script = format!(
        "sleep 1000 & echo $! > {plain}; \
         (setsid sh -c 'echo $$ > {detached}; exec sleep 1000' &) ; \
         (cd /; env -i setsid /bin/sh -c '(echo $$ > {hidden}; exec sleep 1000) </dev/null >/dev/null 2>&1 &') ; \
         wait"
    );
    // The shell that writes the last number ends; what matters is the process that it leaves behind.
    let script = script.replace("(echo $$ >", "(sh -c '\\''echo $PPID'\\'' >");
    (shell(&script), files)
}

fn pids(container: &Container, files: [&str; 3]) -> Vec<i32> {
    let pid = |name: &str| {
        eventually(name, || {
            container
                .read(name)
                .trim()
                .parse()
                .ok()
                .filter(|pid| is_alive(*pid))
        })
    };
    files.map(pid).to_vec()
}

fn assert_all_end(pids: &[i32]) {
    for pid in pids {
        eventually("the end of a task's process", || (!is_alive(*pid)).then_some(()));
    }
}

#[tokio::test]
async fn it_registers_as_what_the_environment_says() {
    let (container, peer) = Container::serving().await;
    let hello = peer.hello();
    assert_eq!(hello.executor.as_str(), "container_1_0001_01_000002");
    assert_eq!(
        (hello.slots, hello.memory, hello.build.as_str()),
        (2, 512 << 20, "test")
    );
    let executor = i32::try_from(hello.pid).unwrap();
    assert_ne!(executor, container.guard_pid());
}

#[tokio::test]
async fn kill_minus_nine_of_the_executor_leaves_no_process() {
    let (mut container, mut peer) = Container::serving().await;
    let (stage, files) = hiding(&container);
    let leader = peer.start(stage).await;
    let mut pids = pids(&container, files);
    pids.push(leader);
    kill(i32::try_from(peer.hello().pid).unwrap(), Signal::KILL);
    assert_eq!(container.wait_for_signal(), Some(9));
    for pid in pids {
        assert!(!is_alive(pid), "the guard ends last");
    }
}

#[tokio::test]
async fn kill_minus_nine_of_the_guard_leaves_no_process() {
    let (mut container, mut peer) = Container::serving().await;
    let (stage, files) = hiding(&container);
    let leader = peer.start(stage).await;
    let mut pids = pids(&container, files);
    pids.extend([leader, i32::try_from(peer.hello().pid).unwrap()]);
    kill(container.guard_pid(), Signal::KILL);
    assert_eq!(container.wait_for_signal(), Some(9));
    assert_all_end(&pids);
}

#[tokio::test]
async fn sigterm_says_goodbye_ends_all_tasks_and_dies_of_it() {
    let (mut container, mut peer) = Container::serving().await;
    let (stage, files) = hiding(&container);
    peer.start(stage).await;
    let pids = pids(&container, files);
    kill(container.guard_pid(), Signal::TERM);
    peer.until(|message| matches!(message, ExecutorMessage::Goodbye { .. }).then_some(()))
        .await;
    assert_eq!(container.wait_for_signal(), Some(15));
    for pid in pids {
        assert!(!is_alive(pid));
    }
}

#[tokio::test]
async fn sigquit_that_was_blocked_asks_for_a_dump_and_ends_nothing() {
    let mut container = Container::prepare().await;
    // A NodeManager's children are started with the signal blocked.
    let blocked = "use POSIX; sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGQUIT)); exec { $ARGV[0] } @ARGV";
    container.start(&["perl", "-e", blocked]);
    let mut peer = container.welcome().await;
    let pid = peer.start(shell("exec sleep 1000")).await;
    kill(container.guard_pid(), Signal::QUIT);
    let expected = format!("attempt {}: running", id(0));
    eventually("the dump", || {
        container.read("logs/stderr").contains(&expected).then_some(())
    });
    eventually("the threads", || {
        container.read("logs/stderr").contains("thread ").then_some(())
    });
    assert!(is_alive(pid) && is_alive(container.guard_pid()));
    peer.until(|message| matches!(message, ExecutorMessage::Heartbeat(_)).then_some(()))
        .await;
}

#[tokio::test]
async fn a_shutdown_ends_it_with_code_zero() {
    let (mut container, mut peer) = Container::serving().await;
    let pid = peer.start(shell("sleep 1000")).await;
    peer.send(GatewayMessage::Shutdown {
        reason: "done".to_owned(),
        grace: Duration::from_secs(5),
    })
    .await;
    let failure = peer.finished().await.outcome.unwrap_err();
    assert_eq!(
        failure.cause,
        wire::failure::FailureCause::Killed(KillReason::ExecutorStopping)
    );
    assert_eq!(container.wait().code(), Some(0));
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_refusal_ends_it_with_its_own_code() {
    let mut container = Container::prepare().await;
    container.start(&[]);
    let mut peer = container.accept().await;
    let message = "other build".to_owned();
    peer.send(GatewayMessage::Refused {
        reason: Refusal::Build,
        message,
    })
    .await;
    assert_eq!(container.wait().code(), Some(76));
}

#[tokio::test]
async fn a_wrong_environment_ends_it_with_its_own_code() {
    let mut container = Container::prepare().await;
    container.start(&["env", "-u", "NM_HOST"]);
    assert_eq!(container.wait().code(), Some(64));
    let said = container.read("logs/stderr");
    assert!(said.contains("NM_HOST is not set"), "{said}");
}

#[tokio::test]
async fn a_report_that_nobody_acknowledged_is_sent_again_after_a_reconnection() {
    let (container, mut peer) = Container::serving().await;
    peer.launch(shell("exit 4"), vec![task(0, Vec::new())]).await;
    let first = peer.finished().await;
    let boot = peer.hello().started_unix_ms;
    drop(peer);
    let mut peer = container.welcome().await;
    assert_eq!(peer.hello().started_unix_ms, boot);
    assert_eq!(peer.hello().running, [id(0)]);
    assert_eq!(peer.finished().await, first);
    peer.send(GatewayMessage::Acknowledge {
        sequences: vec![first.sequence],
    })
    .await;
    // Orders are taken one after the other, so what follows the acknowledgement shows that it was heard.
    peer.launch(shell("sleep 300"), vec![task(1, Vec::new())]).await;
    peer.until(|message| {
        let begun = |id: &TaskAttemptId| id.partition == 1;
        matches!(message, ExecutorMessage::TaskStarted { id, .. } if begun(id)).then_some(())
    })
    .await;
    drop(peer);
    assert_eq!(container.welcome().await.hello().running, [id(1)]);
}

#[tokio::test]
async fn tasks_run_on_while_there_is_no_application_master_and_a_new_one_is_obeyed() {
    let (container, mut peer) = Container::serving().await;
    let go = container.path("go");
    let pid = peer
        .start(shell(&format!(
            "until [ -e {} ]; do sleep 0.01; done",
            go.display()
        )))
        .await;
    drop(peer);
    let mut peer = container.accept().await;
    assert_eq!(peer.hello().running, [id(0)]);
    peer.epoch = Epoch(2);
    let welcome = wire::message::Welcome {
        heartbeat: Duration::from_millis(50),
        silence: Duration::from_secs(300),
        am_lost_ttl: Duration::from_secs(300),
    };
    peer.send(GatewayMessage::Welcome(welcome)).await;
    assert_eq!(peer.started().await, pid);
    peer.epoch = Epoch(1);
    let reason = KillReason::JobEnded;
    peer.send(GatewayMessage::Cancel {
        id: id(0),
        reason,
        grace: Duration::ZERO,
    })
    .await;
    fs::write(go, "").unwrap();
    assert_eq!(
        peer.finished().await.outcome,
        Ok(()),
        "the old ApplicationMaster's order counts for nothing"
    );
}

#[tokio::test]
async fn an_application_master_that_comes_up_elsewhere_is_found_and_told_what_runs() {
    let (mut container, mut peer) = Container::serving().await;
    peer.start(shell("sleep 300")).await;
    drop(peer);
    container.move_gateway(2).await;
    let found = container.welcome().await;
    assert_eq!(found.hello().running, [id(0)]);
}

#[tokio::test]
async fn an_orphan_of_an_application_that_is_over_ends_its_tasks_and_leaves() {
    let (mut container, mut peer) = Container::serving().await;
    let pid = peer.start(shell("sleep 300")).await;
    std::fs::remove_dir(container.path("staging")).unwrap();
    drop(peer);
    assert_eq!(container.wait().code(), Some(0));
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn heartbeats_arrive_while_tasks_use_every_core() {
    let (_container, mut peer) = Container::serving().await;
    let tasks = (0..8).map(|partition| task(partition, Vec::new())).collect();
    peer.launch(shell("while :; do :; done"), tasks).await;
    let mut seen = 0;
    peer.until(|message| {
        if let ExecutorMessage::Heartbeat(heartbeat) = message {
            seen += usize::from(heartbeat.running.len() == 8 && heartbeat.resident > 0);
        }
        (seen == 20).then_some(())
    })
    .await;
}

/// Prints figures; `cargo test -p drawloom-executor --test executor -- --ignored --nocapture measure`.
#[tokio::test]
#[ignore = "a measurement, not a check"]
async fn measure_start_and_memory() {
    for _ in 0..5 {
        let mut container = Container::prepare().await;
        let before = std::time::Instant::now();
        container.start(&[]);
        let mut peer = container.welcome().await;
        let registered = before.elapsed();
        let heartbeat = peer
            .until(|message| match message {
                ExecutorMessage::Heartbeat(heartbeat) if heartbeat.sequence == 5 => Some(heartbeat.clone()),
                _ => None,
            })
            .await;
        let figure = |pid: i32, name: &str| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap_or_default();
            line.split_ascii_whitespace()
                .nth(1)
                .unwrap_or_default()
                .to_owned()
        };
        let executor = i32::try_from(peer.hello().pid).unwrap();
        println!(
            "registered after {registered:?}; executor {} KiB resident ({} anonymous), {} virtual; guard {} KiB",
            heartbeat.resident >> 10,
            figure(executor, "RssAnon"),
            figure(executor, "VmSize"),
            figure(container.guard_pid(), "VmRSS")
        );
    }
}
