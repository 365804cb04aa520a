//! What docs/reliability.md says in figures: `cargo xtask test --suite recovery -- --ignored --nocapture three_hundred`.

use crate::many::{Many, Mark, Shape, now};
use harness::hadoop::{Hadoop, Signal};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long after the loss idle slots are looked at.
const GAP: f64 = 10.0;

/// Of one executor with one slot: the times between the end of a task and the beginning of the next, as moment of the
/// end and length, in seconds after `zero`.
fn pauses(began: &[Mark], ended: &[Mark], zero: u128) -> Vec<(f64, f64)> {
    let seconds = |at: u128| (at as f64 - zero as f64) / 1e9;
    let end_of = |mark: &Mark| {
        ended
            .iter()
            .find(|end| end.attempt == mark.attempt)
            .map(|end| end.at)
    };
    let mut runs: Vec<_> = began
        .iter()
        .filter_map(|mark| Some((mark.at, end_of(mark)?)))
        .collect();
    runs.sort_unstable();
    let pair = |pair: &[(u128, u128)]| {
        let (end, next) = (seconds(pair[0].1), seconds(pair[1].0));
        (end, next - end)
    };
    runs.windows(2).map(pair).collect()
}

/// The usual pause between two tasks, and what slots had of longer ones in the gap, together and the longest.
fn idle(many: &Many<'_>, killed: u128) -> (f64, f64, f64) {
    let mut by_executor: BTreeMap<String, Vec<Mark>> = BTreeMap::new();
    for mark in many.marks("began") {
        by_executor.entry(mark.executor.clone()).or_default().push(mark);
    }
    let ended = many.marks("ended");
    let all = by_executor
        .values()
        .flat_map(|began| pauses(began, &ended, killed));
    let (mut usual, mut gap) = (Vec::new(), Vec::new());
    for (at, length) in all {
        if at < 0.0 && at + length < 0.0 {
            usual.push(length);
        } else if at < GAP {
            gap.push(length);
        }
    }
    usual.sort_by(f64::total_cmp);
    let usual = usual[usual.len() / 2];
    let beyond = |length: &f64| (length - usual).max(0.0);
    let longest = gap.iter().map(beyond).fold(0.0, f64::max);
    (usual, gap.iter().map(beyond).sum(), longest)
}

/// Kills the ApplicationMaster at a share of the tasks done, and prints what followed.
fn measured_at(hadoop: &Hadoop, percent: usize) {
    let mut many = Many::begin(hadoop, Shape::new(&format!("measured-{percent}"), 300, "1"));
    many.wait_percent(percent);
    let executors = many.executors();
    let first = many.master(1);
    let killed = now();
    first.signal(Signal::KILL);
    many.master(2);
    let up = (now() - killed) as f64 / 1e9;
    many.must_have(&executors);
    many.must_succeed(2);
    many.must_have_run_once();
    let under_second = many.marks("began").into_iter().filter(|mark| mark.epoch == 2);
    let next = under_second.map(|mark| mark.at).min();
    let next = next.map(|at| (at - killed) as f64 / 1e9);
    let (usual, sum, longest) = idle(&many, killed);
    eprintln!(
        "killed at {percent} % of 300: attempt 2's process after {up:.2} s, the first task begun under it after \
         {next:.2?} s; between two tasks {usual:.3} s as a rule, in the gap {sum:.3} s more of all slots together, \
         {longest:.3} s more at most"
    );
}

/// On a cluster with YARN's own interval of heartbeats.
fn three_hundred_tasks_of_a_second(percent: usize) {
    let interval = Duration::from_secs(1);
    let hadoop = Hadoop::builder()
        .nodes(3)
        .node_heartbeat(interval)
        .start()
        .unwrap();
    let _tails = hadoop.tails_on_panic();
    measured_at(&hadoop, percent);
}

#[test]
#[ignore = "a measurement of two minutes"]
fn three_hundred_tasks_of_a_second_early() {
    three_hundred_tasks_of_a_second(10);
}

#[test]
#[ignore = "a measurement of two minutes"]
fn three_hundred_tasks_of_a_second_midway() {
    three_hundred_tasks_of_a_second(50);
}

#[test]
#[ignore = "a measurement of two minutes"]
fn three_hundred_tasks_of_a_second_late() {
    three_hundred_tasks_of_a_second(95);
}
