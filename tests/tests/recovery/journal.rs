//! The file system of the journal fails in the middle of a job: launching stops or goes on as docs/reliability.md
//! says, and no verdict is wrong. Results go to local files here, so that the journal alone meets the fault.

use crate::HADOOP;
use crate::many::{Many, Shape};
use harness::application::STEP;
use harness::hadoop::{Hadoop, Role, Signal};
use harness::wait;
use std::time::{Duration, Instant};

/// Longer than launching goes on without a flush, and than any of the tasks.
const QUIET: Duration = Duration::from_secs(4);

/// No tasks are sent ahead: whatever begins was launched that moment.
const NOTHING_AHEAD: &str = ", am.recovery.reserve: 0s, scheduler.prefetch: 0s";

fn begin<'a>(hadoop: &'a Hadoop, shape: Shape) -> Many<'a> {
    let many = Many::begin(hadoop, shape.local_output());
    many.wait_ended(5);
    many
}

/// Requires that the one attempt has gone on, after what it said about the fault.
fn must_have_gone_on(many: &mut Many<'_>) {
    let log = many.application.master_log(1).unwrap();
    many.must_succeed(1);
    many.must_have_run_once();
    assert!(
        log.contains("the journal could not be flushed; trying again"),
        "{log}"
    );
}

#[test]
fn a_name_node_that_restarts_stops_launching_and_no_more() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let mut many = begin(hadoop, Shape::new("namenode", 45, "0.3").conf(NOTHING_AHEAD));
    let executors = many.executors();
    hadoop.signal(Role::NameNode, Signal::KILL).unwrap();
    many.wait_quiet(QUIET);
    hadoop.restart(Role::NameNode).unwrap();
    many.must_have(&executors);
    must_have_gone_on(&mut many);
}

#[test]
fn a_data_node_that_is_lost_costs_nothing() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let mut many = begin(hadoop, Shape::new("datanode", 60, "0.3"));
    hadoop.signal(Role::DataNode(0), Signal::KILL).unwrap();
    let ended = many.marks("ended").len();
    many.wait_ended(ended + 15);
    hadoop.restart(Role::DataNode(0)).unwrap();
    many.must_succeed(1);
    many.must_have_run_once();
}

#[test]
fn a_flush_of_ten_seconds_stops_launching_and_no_more() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let mut many = begin(hadoop, Shape::new("slow", 45, "0.3").conf(NOTHING_AHEAD));
    let frozen = Instant::now();
    for node in 0..2 {
        hadoop.freeze(Role::DataNode(node)).unwrap();
    }
    many.wait_quiet(QUIET);
    let over = || frozen.elapsed() >= Duration::from_secs(10);
    wait::until("ten seconds without a DataNode", STEP, over).unwrap();
    for node in 0..2 {
        hadoop.thaw(Role::DataNode(node)).unwrap();
    }
    must_have_gone_on(&mut many);
}

/// Lets the application's staging directory take no more bytes, or any number.
fn set_quota(many: &Many<'_>, full: bool) {
    let staging = many.staging();
    let args: &[&str] = if full {
        &["-setSpaceQuota", "1", &staging]
    } else {
        &["-clrSpaceQuota", &staging]
    };
    let hadoop = many.user.hadoop();
    hadoop
        .tool("org.apache.hadoop.hdfs.tools.DFSAdmin", args)
        .unwrap();
}

#[test]
fn a_full_staging_directory_stops_launching_until_there_is_room() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let mut many = begin(hadoop, Shape::new("full", 60, "0.3").conf(NOTHING_AHEAD));
    let executors = many.executors();
    // An open block is paid for: only the next attempt needs another.
    set_quota(&many, true);
    many.master(1).signal(Signal::KILL);
    many.wait_log(2, "the journal could not be flushed; trying again");
    many.wait_quiet(QUIET);
    set_quota(&many, false);
    many.must_have(&executors);
    many.must_succeed(2);
    many.must_have_run_once();
}

#[test]
fn a_staging_directory_that_stays_full_ends_the_attempts_and_they_say_why() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let shape = Shape::new("stays-full", 60, "0.3").conf(", am.journal.patience: 3s");
    let mut many = begin(hadoop, shape);
    set_quota(&many, true);
    many.master(1).signal(Signal::KILL);
    let words = ["lost", "the journal in", "quota", "raise its quota"];
    many.must_fail(2, 5, &words);
    assert!(!many.user.dir().join("results/_SUCCESS").exists());
}

#[test]
fn a_journal_without_permission_ends_the_attempts_and_they_say_why() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let mut many = begin(hadoop, Shape::new("denied", 60, "0.3"));
    let journal = format!("{}/journal", many.staging());
    hadoop.set_hdfs_owner(&journal, "somebody-else").unwrap();
    many.master(1).signal(Signal::KILL);
    let words = [
        "lost",
        "the journal of the last attempt cannot be read",
        "ermission denied",
    ];
    many.must_fail(2, 5, &words);
    assert!(!many.user.dir().join("results/_SUCCESS").exists());
}

#[test]
fn a_master_lost_while_the_name_node_restarts_has_a_successor_that_waits() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    // The successor begins on a node that has the files by then: without HDFS no other could get them.
    let mut many = begin(hadoop, Shape::new("both-names", 45, "0.3").on_every_node());
    let executors = many.executors();
    hadoop.signal(Role::NameNode, Signal::KILL).unwrap();
    many.master(1).signal(Signal::KILL);
    many.master(2);
    hadoop.restart(Role::NameNode).unwrap();
    many.must_have(&executors);
    many.must_succeed(2);
    many.must_have_run_once();
}

#[test]
#[ignore = "takes up to two minutes: HDFS recovers the lease of a block whose DataNode is gone"]
fn a_master_lost_with_a_data_node_goes_on_from_the_other_copy() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let mut many = begin(hadoop, Shape::new("copy", 60, "0.5"));
    let executors = many.executors();
    hadoop.signal(Role::DataNode(0), Signal::KILL).unwrap();
    let killed = Instant::now();
    many.master(1).signal(Signal::KILL);
    many.wait_log(2, "going on where the last attempt was");
    eprintln!(
        "the journal was read {:.1?} after a DataNode and the process were lost",
        killed.elapsed()
    );
    hadoop.restart(Role::DataNode(0)).unwrap();
    many.must_have(&executors);
    many.must_succeed(2);
    many.must_have_run_once();
}
