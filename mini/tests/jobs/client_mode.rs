//! Client mode: the driver in the client.

use mini::Options;
use rustix::process::Signal;

use crate::bench::{Bench, Job, Tasks, signal, until};

const TASKS: usize = 4;
const EXECUTORS: usize = 2;

async fn new_bench() -> Option<Bench> {
    Bench::new(Options::default()).await
}

async fn submit<'a>(bench: &'a Bench, script: &str, mode: &str) -> Job<'a> {
    bench.write_tasks(&Tasks {
        tasks: TASKS,
        executors: EXECUTORS,
        script,
        conf: "  client.reconnect: 3s",
    });
    bench.submit(&["--deploy-mode", mode]).await
}

/// A job in client mode, both of whose executors have begun a task and wait.
async fn at_work(bench: &Bench) -> Job<'_> {
    let job = submit(bench, &bench.gate(), "client").await;
    bench.began(EXECUTORS).await;
    job
}

fn assert_all_done_once(bench: &Bench) {
    bench.assert_results(TASKS);
    // An attempt that an executor gave back unbegun leaves its number behind.
    bench.assert_nothing_run_again(TASKS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_ends_alike_in_both_modes() {
    for (script, code, status) in [
        ("true", 0, "SUCCEEDED"),
        ("echo full of eels >&2; exit 7", 1, "FAILED"),
    ] {
        for mode in ["cluster", "client"] {
            let Some(bench) = new_bench().await else { return };
            let mut job = submit(&bench, script, mode).await;
            let ended = job.end().await;
            let said = job.said();
            assert_eq!(ended, Some(code), "{mode}: {said}");
            assert_eq!(job.verdict().await, ("FINISHED".to_owned(), status.to_owned()));
            if code == 0 {
                assert_all_done_once(&bench);
                assert!(said.contains("succeeded: 4 of 4 tasks done"), "{said}");
            } else {
                assert!(said.contains("full of eels"), "{said}");
                assert_eq!(bench.results("results"), [""; 0]);
            }
            job.nothing_is_left().await;
            drop(job);
            bench.cluster.shutdown().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_interrupt_ends_the_job_as_killed() {
    let Some(bench) = new_bench().await else { return };
    let mut job = at_work(&bench).await;
    job.signal_client(Signal::INT);
    let code = job.end().await;
    assert_eq!(code, Some(130), "{}", job.said());
    assert!(job.said().contains("was killed"), "{}", job.said());
    assert_eq!(job.verdict().await.1, "KILLED");
    job.nothing_is_left().await;
    drop(job);
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_of_a_killed_client_fails_and_leaves_nothing() {
    let Some(bench) = new_bench().await else { return };
    let mut job = at_work(&bench).await;
    job.signal_client(Signal::KILL);
    job.end().await;
    assert_eq!(job.verdict().await, ("FINISHED".to_owned(), "FAILED".to_owned()));
    let told = bench.command(&["status", &job.application]).output().unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("client.reconnect"), "{told}");
    job.nothing_is_left().await;
    drop(job);
    assert!(!bench.path("results").exists(), "unfinished results are removed");
    bench.cluster.shutdown().await;
}

/// A client that stands still is one whose link is cut: it neither hears nor answers, and its connection is given up.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_run_again_after_the_link_was_lost_for_a_while() {
    let Some(bench) = new_bench().await else { return };
    let mut job = at_work(&bench).await;
    job.signal_client(Signal::STOP);
    // The ApplicationMaster gives the connection up; the two tasks end while nobody can be told.
    let log = until("a lost link", || {
        let log = job.log(1);
        log.contains("driver in the client is disconnected")
            .then_some(log)
    })
    .await;
    assert!(!log.contains("driver refused"), "{log}");
    bench.open();
    bench.ended(EXECUTORS).await;
    job.signal_client(Signal::CONT);
    let code = job.end().await;
    assert_eq!(code, Some(0), "{}", job.said());
    assert_all_done_once(&bench);
    let log = job.log(1);
    assert_eq!(
        log.matches("driver in the client is connected").count(),
        2,
        "{log}"
    );
    assert_eq!(log.matches("container granted").count(), 2, "{log}");
    job.nothing_is_left().await;
    drop(job);
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_the_application_master_costs_only_a_pause() {
    let Some(bench) = new_bench().await else { return };
    let mut job = at_work(&bench).await;
    signal(job.master(1).await, Signal::KILL);
    until("a lost link", || job.said().contains("link lost").then_some(())).await;
    bench.open();
    let code = job.end().await;
    assert_eq!(code, Some(0), "{}", job.said());
    assert!(job.said().contains("link back"), "{}", job.said());
    assert_all_done_once(&bench);
    job.nothing_is_left().await;
    drop(job);
    bench.cluster.shutdown().await;
}
