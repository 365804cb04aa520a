//! With the ApplicationMaster goes its node or the ResourceManager, or it only stands still.

use crate::many::{Many, Shape};
use crate::past::done_in_journal;
use crate::{IMPATIENT, PAIR};
use harness::application::{Application, STEP};
use harness::hadoop::{ContainerOnDisk, Hadoop, Role, Signal};
use harness::processes::Process;
use harness::user::User;
use harness::wait;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

#[test]
fn a_frozen_master_that_wakes_up_finds_itself_replaced() {
    let hadoop = PAIR.get();
    let _tails = hadoop.tails_on_panic();
    let mut many = Many::begin(hadoop, Shape::new("frozen", 60, "0.5"));
    many.wait_ended(3);
    let executors = many.executors();
    let first = many.master(1);
    let node = stand_still(&many.application, &first);
    many.master(2);
    let ended = many.marks("ended").len();
    many.wait_ended(ended + 6);
    must_end_by_itself(&many.application, &first);
    // The ResourceManager hands it over as one of those that run, because its node says nothing.
    let container = many.application.container(1, 1);
    many.wait_log(2, &format!("given back id={container}"));
    hadoop.thaw(node).unwrap();
    many.must_have(&executors);
    many.must_succeed(2);
    many.must_have_run_once();
    must_commit_nothing_late(hadoop);
}

/// Freezes the first ApplicationMaster, and its NodeManager too, which would end it when another attempt is made.
fn stand_still(application: &Application<'_>, first: &Process) -> Role {
    let containers = application.containers();
    let is_master = |one: &&ContainerOnDisk| one.container == application.container(1, 1);
    let node = Role::NodeManager(containers.iter().find(is_master).unwrap().node);
    application.hadoop().freeze(node).unwrap();
    first.signal(Signal::STOP);
    node
}

/// Wakes the first ApplicationMaster up, which must see what has happened and go.
fn must_end_by_itself(application: &Application<'_>, first: &Process) {
    first.signal(Signal::CONT);
    wait::until("the end of the first", STEP, || first.has_ended()).unwrap();
    let log = application.master_log(1).unwrap();
    assert!(log.contains("this attempt ends without unregistering"), "{log}");
    assert!(!log.contains("the application has its verdict"), "{log}");
}

/// A job of two stages, each with a task that waits for a file of that stage's name.
fn two_stages(dir: &str) -> String {
    let stage = |name: &str, more: &str| {
        format!(
            "  - name: {name}
    {more}
    tasks: 3
    shell: |
      echo $DRAWLOOM_STAGE.$DRAWLOOM_TASK >> {dir}/began
      until [ $DRAWLOOM_TASK = 0 -o -e {dir}/{name} ]; do sleep 0.05; done
      echo $DRAWLOOM_STAGE.$DRAWLOOM_TASK
    output: {name}
"
        )
    };
    format!(
        "version: 1
name: late
executors: {{ instances: 2, memory: 256MiB, cores: 2 }}
conf: {{ task.max-failures: 1, executor.heartbeat.interval: 500ms }}
stages:
{}{}",
        stage("first", "cores: 1"),
        stage("second", "after: [first]")
    )
}

/// The first attempt stands still while the last tasks of a stage end, whose reports lie in its sockets when it wakes
/// up: it has all that it needs to commit, and must not.
fn must_commit_nothing_late(hadoop: &Hadoop) {
    let user = User::new(hadoop, "late").unwrap();
    let dir = user.dir().display().to_string();
    let mut client = user.submit(&two_stages(&dir), &[]).unwrap();
    let application = Application::submitted_by(hadoop, &mut client).unwrap();
    let began = || fs::read_to_string(user.dir().join("began")).unwrap_or_default();
    let lines = |count: usize| {
        wait::until("tasks to begin", STEP, || began().lines().count() >= count).unwrap();
    };
    lines(3);
    let first = wait::for_value("the first", STEP, || Ok(application.master(1))).unwrap();
    let node = stand_still(&application, &first);
    fs::write(user.dir().join("first"), "").unwrap();
    lines(6);
    let marked = success_of(&user, "first");
    must_end_by_itself(&application, &first);
    hadoop.thaw(node).unwrap();
    assert_eq!(success_of(&user, "first"), marked, "nothing was committed again");
    fs::write(user.dir().join("second"), "").unwrap();
    client
        .wait(STEP)
        .unwrap()
        .must_end(0, &["succeeded: 6 of 6 tasks"]);
    assert_eq!(began().lines().count(), 6, "{}", began());
    assert_eq!(application.report().unwrap()["finalStatus"], "SUCCEEDED");
}

/// When `_SUCCESS` of an output was made, which must be there.
fn success_of(user: &User<'_>, output: &str) -> String {
    let path = format!("/user/{}/{output}/_SUCCESS", user.name());
    let status = user.hadoop().hdfs_status(&path).unwrap();
    status.expect("the stage is committed")["modificationTime"].to_string()
}

#[test]
fn the_resource_manager_may_restart_at_the_same_time() {
    let hadoop = IMPATIENT.get();
    let _tails = hadoop.tails_on_panic();
    let mut many = Many::begin(hadoop, Shape::new("both", 45, "0.5"));
    many.wait_ended(5);
    let executors = many.executors();
    hadoop.kill_rm().unwrap();
    many.master(1).signal(Signal::KILL);
    hadoop.restart_rm().unwrap();
    hadoop.wait_nodes(3, STEP).unwrap();
    many.master(2);
    many.must_have(&executors);
    many.must_succeed(2);
    many.must_have_run_once();
}

#[test]
fn the_other_resource_manager_may_take_over_at_the_same_time() {
    let hadoop = PAIR.get();
    let _tails = hadoop.tails_on_panic();
    let mut many = Many::begin(hadoop, Shape::new("failover", 45, "0.5"));
    many.wait_ended(5);
    let executors = many.executors();
    hadoop.kill_rm().unwrap();
    many.master(1).signal(Signal::KILL);
    hadoop.transition_to_active(1).unwrap();
    hadoop.wait_nodes(2, STEP).unwrap();
    many.master(2);
    many.must_have(&executors);
    many.must_succeed(2);
    many.must_have_run_once();
}

/// Ends a node as a power cut does: its NodeManager and every process of its containers, none of which sees the
/// others go.
fn cut_power(hadoop: &Hadoop, node: usize, processes: &[Process]) {
    processes.iter().for_each(|process| process.signal(Signal::STOP));
    hadoop.kill_node(node, Signal::KILL).unwrap();
    processes.iter().for_each(|process| process.signal(Signal::KILL));
    wait::until("the end of the node", STEP, || {
        processes.iter().all(Process::has_ended)
    })
    .unwrap();
}

fn of_container(process: &Process, containers: &BTreeSet<String>) -> bool {
    let container = process.variable("CONTAINER_ID");
    container.is_some_and(|container| containers.contains(&container))
}

#[test]
fn a_master_lost_with_its_node_costs_only_what_nobody_else_knew() {
    let hadoop = IMPATIENT.get();
    let _tails = hadoop.tails_on_panic();
    let mut many = Many::begin(hadoop, Shape::new("node", 60, "0.5"));
    many.wait_ended(5);
    let executors = many.executors();
    let containers = many.application.containers();
    let is_master = |one: &&ContainerOnDisk| one.container.ends_with("_000001");
    let node = containers.iter().find(is_master).unwrap().node;
    let there = containers.iter().filter(|one| one.node == node);
    let there: BTreeSet<_> = there.map(|one| one.container.clone()).collect();
    assert!(
        there.len() - 1 < executors.len(),
        "an executor elsewhere: {containers:?}"
    );
    let processes = many.application.processes().into_iter();
    let victims: Vec<_> = processes
        .filter(|process| of_container(process, &there))
        .collect();
    cut_power(hadoop, node, &victims);
    let known = done_in_journal(&many);
    let begun = many.marks("began").into_iter();
    let lost = begun.filter(|mark| there.contains(&mark.executor) && !known.contains(mark.task()));
    // What had ended elsewhere is told again by those who ran it; what ran here, and was in no journal, nobody knows.
    let again: BTreeMap<_, _> = lost.map(|mark| (mark.task().to_owned(), 2)).collect();
    many.master(2);
    many.must_succeed(2);
    assert_eq!(many.begun_again(), again);
    hadoop.restart_node(node).unwrap();
    hadoop.wait_nodes(3, STEP).unwrap();
}
