//! The ApplicationMaster dies and nobody notices. What must hold after every loss: executors keep their processes, no
//! task that had ended is run again, none that runs is restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mini::Options;
use rustix::process::{Signal, kill_process};

use crate::bench::{Bench, Job, Tasks, is, processes_with, signal, until};

const TASKS: usize = 24;
const EXECUTORS: usize = 3;

impl Bench {
    fn write_work(&self, script: &str, conf: &str) {
        self.write_tasks(&Tasks {
            tasks: TASKS,
            executors: EXECUTORS,
            script,
            conf,
        });
    }

    /// Tasks that sleep so long, the last of which waits for [`Bench::open`] too: the job is not over before the test
    /// has seen what it is about.
    fn write_paced(&self, seconds: &str, conf: &str) {
        let (last, gate) = (TASKS - 1, self.gate());
        let script = format!("sleep {seconds}; if [ $DRAWLOOM_TASK = {last} ]; then {gate}; fi");
        self.write_work(&script, conf);
    }
}

impl Job<'_> {
    async fn must_succeed(mut self) {
        let code = self.end().await;
        assert_eq!(code, Some(0), "{}\n{}", self.said(), self.log(2));
        self.nothing_is_left().await;
    }
}

/// A job whose tasks all stand before the gate.
async fn at_the_gate(bench: &Bench) -> Job<'_> {
    bench.write_work(&bench.gate(), "");
    let job = bench.submit(&[]).await;
    bench.began(EXECUTORS).await;
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_killed_early_midway_or_late_costs_no_task_and_no_executor() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    for percent in [10, 50, 95] {
        bench.write_paced("0.2", "");
        let job = bench.submit(&[]).await;
        job.all_executors(EXECUTORS).await;
        let master = job.master(1).await;
        bench.ended((TASKS * percent).div_ceil(100)).await;
        signal(master, Signal::KILL);
        job.master(2).await;
        bench.open();
        job.must_succeed().await;
        bench.assert_results(TASKS);
        bench.assert_nothing_run_again(TASKS);
        let executors: BTreeSet<_> = bench.runs("began").into_iter().map(|run| run.executor).collect();
        assert_eq!(executors.len(), EXECUTORS, "none was replaced");
    }
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_killed_twice_in_a_row_costs_nothing_either() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    bench.write_paced("0.2", "  am.failures.validity-interval: 1ms");
    let job = bench.submit(&[]).await;
    bench.ended(3).await;
    let executors = job.all_executors(EXECUTORS).await;
    signal(job.master(1).await, Signal::KILL);
    signal(job.master(2).await, Signal::KILL);
    job.master(3).await;
    job.must_have(&executors).await;
    bench.open();
    job.must_succeed().await;
    bench.assert_results(TASKS);
    bench.assert_nothing_run_again(TASKS);
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_master_that_comes_back_finds_itself_replaced() {
    let options = Options {
        master_expiry: Duration::from_secs(3),
        ..Options::default()
    };
    let Some(bench) = Bench::new(options).await else {
        return;
    };
    let job = at_the_gate(&bench).await;
    let executors = job.all_executors(EXECUTORS).await;
    let first = job.master(1).await;
    signal(first, Signal::STOP);
    job.master(2).await;
    until("all executors with the second", || {
        (job.log(2).matches("executor registered").count() == 3).then_some(())
    })
    .await;
    // The node may have ended it already: YARN has it killed when it gives the attempt up.
    let _ = kill_process(first, Signal::CONT);
    until("the end of the first", || {
        (!is(first, "drawloom am")).then_some(())
    })
    .await;
    job.must_have(&executors).await;
    bench.open();
    job.must_succeed().await;
    bench.assert_results(TASKS);
    bench.assert_nothing_run_again(TASKS);
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_while_there_is_no_master_loses_only_its_own_task() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    let job = at_the_gate(&bench).await;
    let victim = bench.runs("began").remove(1);
    signal(job.master(1).await, Signal::KILL);
    let own = format!("CONTAINER_ID={}\0", victim.executor);
    processes_with(&own)
        .into_iter()
        .filter(|pid| is(*pid, "drawloom executor"))
        .for_each(|pid| _ = kill_process(pid, Signal::KILL));
    job.master(2).await;
    bench.open();
    job.must_succeed().await;
    bench.assert_results(TASKS);
    assert_eq!(bench.begun_again(TASKS), BTreeMap::from([(victim.task(), 2)]));
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_replaced_on_order_costs_no_attempt() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    bench.write_paced("0.3", "");
    let job = bench.submit(&[]).await;
    bench.ended(3).await;
    let executors = job.all_executors(EXECUTORS).await;
    for _ in 0..2 {
        let output = bench.command(&["restart-am", &job.application]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert!(said.contains("has replaced attempt"), "{said}");
    }
    job.must_have(&executors).await;
    bench.open();
    job.must_succeed().await;
    bench.assert_results(TASKS);
    bench.assert_nothing_run_again(TASKS);
    bench.cluster.shutdown().await;
}
