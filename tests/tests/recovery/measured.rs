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

/// What slots stood idle in some seconds beyond the usual pause between two tasks.
struct Idle {
    together: f64,
    longest: f64,
}

impl Idle {
    fn of(pauses: &[f64], usual: f64) -> Self {
        let beyond = |length: &f64| (length - usual).max(0.0);
        Self {
            together: pauses.iter().map(beyond).sum(),
            longest: pauses.iter().map(beyond).fold(0.0, f64::max),
        }
    }
}

/// The usual pause between two tasks, and what was beyond it in the seconds before the loss and after it.
fn idle(many: &Many<'_>, killed: u128) -> (f64, Idle, Idle) {
    let mut by_executor: BTreeMap<String, Vec<Mark>> = BTreeMap::new();
    for mark in many.marks("began") {
        by_executor.entry(mark.executor.clone()).or_default().push(mark);
    }
    let ended = many.marks("ended");
    let all = by_executor
        .values()
        .flat_map(|began| pauses(began, &ended, killed));
    let (before, rest): (Vec<_>, Vec<_>) = all.partition(|(at, length)| at + length < 0.0);
    let mut usual: Vec<_> = before.iter().map(|&(_, length)| length).collect();
    usual.sort_by(f64::total_cmp);
    let usual = usual[usual.len() / 2];
    let lengths = |pauses: &[(f64, f64)], from: f64, to: f64| -> Vec<f64> {
        let within = pauses.iter().filter(|&&(at, _)| at > from && at < to);
        within.map(|&(_, length)| length).collect()
    };
    let before = Idle::of(&lengths(&before, -GAP, 0.0), usual);
    (usual, before, Idle::of(&lengths(&rest, -GAP, GAP), usual))
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
    let (usual, before, after) = idle(&many, killed);
    let told = |idle: &Idle| {
        format!(
            "{:.2} s of all slots together, {:.2} s at most",
            idle.together, idle.longest
        )
    };
    let (before, after) = (told(&before), told(&after));
    eprintln!(
        "killed at {percent} % of 300: attempt 2's process after {up:.2} s, the first task begun under it after \
         {next:.2?} s; between two tasks {usual:.3} s as a rule, and more than that in the {GAP} s before {before}, \
         in those after {after}"
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
