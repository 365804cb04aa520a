//! The process is killed, or replaced on order.

use crate::HADOOP;
use crate::many::{Many, Shape};
use harness::application::STEP;
use harness::hadoop::{Hadoop, Signal};
use harness::wait;
use harness::workspace;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// Kills the ApplicationMaster at a share of the tasks done; nothing else may happen.
fn killed_at(hadoop: &Hadoop, percent: usize) {
    let mut many = Many::begin(hadoop, Shape::new(&format!("killed-{percent}"), 45, "0.3"));
    many.wait_percent(percent);
    let executors = many.executors();
    many.master(1).signal(Signal::KILL);
    many.master(2);
    many.must_have(&executors);
    many.must_succeed(2);
    many.must_have_run_once();
}

#[test]
fn a_master_killed_early_midway_or_late_costs_no_task_and_no_executor() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    for percent in [10, 50, 95] {
        killed_at(hadoop, percent);
    }
}

#[test]
fn a_master_killed_twice_in_a_row_costs_nothing_either() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    // Failures that are older than the interval do not count.
    let shape = Shape::new("twice", 30, "0.3").conf(", am.failures.validity-interval: 1ms");
    let mut many = Many::begin(hadoop, shape);
    many.wait_ended(5);
    let executors = many.executors();
    many.master(1).signal(Signal::KILL);
    many.master(2).signal(Signal::KILL);
    many.master(3);
    many.must_have(&executors);
    many.must_succeed(3);
    many.must_have_run_once();
}

#[test]
fn what_earlier_attempts_have_left_goes_as_soon_as_it_is_not_needed() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let mut many = Many::begin(hadoop, Shape::new("left", 30, "0.4").attempts(3));
    for attempt in [1, 2] {
        many.wait_ended(4 * attempt as usize);
        many.master(attempt).signal(Signal::KILL);
    }
    let journal = format!("{}/journal", many.staging());
    let only_the_third = || {
        let names = hadoop.hdfs_list(&journal).unwrap().unwrap_or_default();
        names == ["a3"]
    };
    wait::until("the journal of the third alone", STEP, only_the_third).unwrap();
    many.must_succeed(3);
    many.must_have_run_once();
}

#[test]
fn masters_replaced_on_order_do_not_count_as_failed() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let mut many = Many::begin(hadoop, Shape::new("replaced", 45, "0.5"));
    many.wait_ended(3);
    let executors = many.executors();
    let id = many.application.id().to_owned();
    for attempt in [2, 3] {
        let output = many.user.run(["restart-am", &id]).unwrap();
        output.must_end(0, &[&format!("attempt {attempt} has replaced")]);
    }
    many.must_have(&executors);
    many.must_succeed(3);
    many.must_have_run_once();
    let late = many.user.run(["restart-am", &id]).unwrap();
    late.must_end(3, &["has ended already", "drawloom status"]);
}

/// The binary under test, as another build: what is behind the end of an executable is of no interest to the kernel.
fn another_build(many: &Many<'_>) -> PathBuf {
    let path = many.user.dir().join("newer-drawloom");
    fs::copy(workspace::drawloom(), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"a later build").unwrap();
    path
}

#[test]
fn a_later_build_goes_on_with_a_running_application() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let mut many = Many::begin(hadoop, Shape::new("upgraded", 60, "0.5").attempts(3));
    many.wait_ended(3);
    let executors = many.executors();
    let build = |attempt: u32| {
        let answers = |summary: &serde_json::Value| summary["attempt"] == attempt;
        let summary = many.application.wait_summary("its build", answers).unwrap();
        summary["build"].as_str().unwrap().to_owned()
    };
    let before = build(1);
    let id = many.application.id();
    let newer = another_build(&many);
    let order = many.user.build(&newer, ["restart-am", "--upgrade", id]);
    let after = {
        let output = order.run(STEP).unwrap();
        output.must_end(0, &["attempt 2 has replaced attempt 1", "as build"]);
        build(2)
    };
    assert_ne!(before, after);
    let executable = fs::read_link(format!("/proc/{}/exe", many.master(2).pid)).unwrap();
    assert!(executable.to_string_lossy().ends_with(&after), "{executable:?}");
    // It stays that build, whatever happens.
    many.master(2).signal(Signal::KILL);
    assert_eq!(build(3), after);
    many.must_have(&executors);
    many.must_succeed(3);
    many.must_have_run_once();
}
