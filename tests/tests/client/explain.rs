//! `drawloom explain`: each cause is made real, and what the person reads on a terminal is stored. The causes that need a
//! scheduler with queues are in the suite `explain`, on a real Hadoop.

use harness::snapshot::steady;
use mini::{Options, Order};
use serde_json::Value;
use std::time::Duration;

use crate::lab::{Job, Lab, STEP};

fn lab(nodes: usize) -> Lab {
    Lab::new(|options: &mut Options| options.nodes = nodes)
}

/// What stands on a person's terminal after a command that ends so. What cannot be seen there is that the help is in
/// another colour than the rest.
fn shown(lab: &Lab, code: i32, args: &[&str]) -> String {
    let mut terminal = lab.drawloom(args).on_terminal(80).unwrap();
    let status = terminal.wait(STEP).unwrap();
    let screen = terminal.copied();
    assert_eq!(status.code(), Some(code), "{screen}");
    let coloured = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    let is_coloured = !screen.contains("help:") || coloured.contains("\x1b[36mhelp:\x1b[0m");
    assert!(is_coloured, "{coloured:?}");
    screen
}

/// What explain shows, once the first reason has this code.
fn explained(job: &Job<'_>, code: &str) -> String {
    let mut last = String::new();
    let found = harness::wait::until(code, STEP, || {
        let explain = job.lab.drawloom(&["explain", &job.id, "-o", "json"]);
        last = explain.run(STEP).unwrap().stdout;
        let json: Value = serde_json::from_str(&last).unwrap_or_default();
        json["reasons"][0]["code"] == code
    });
    found.unwrap_or_else(|error| panic!("{error:#}; explain says {last}"));
    steady(
        &shown(job.lab, 0, &["explain", &job.id]),
        &[
            "peak ",
            "set executors.memory to ",
            "oldest ",
            "done in ",
            "[pid=",
            "is running ",
            "Current usage: ",
            "memory used; ",
            "drawloom-tasks/",
        ],
    )
}

/// A job of which nobody waits for tasks.
fn job<'a>(lab: &'a Lab, name: &str, executors: u32, script: &str, conf: &str) -> Job<'a> {
    lab.job_with(name, executors, executors, script, conf)
}

#[test]
fn no_active_nodes() {
    let lab = lab(1);
    lab.order(&Order::FillDisk(1));
    let job = job(&lab, "nowhere", 1, "true", "");
    insta::assert_snapshot!(explained(&job, "no-active-nodes"));
}

#[test]
fn no_room_on_any_node() {
    let lab = Lab::new(|options| {
        options.nodes = 1;
        options.node_memory_mb = 600;
    });
    let job = job(&lab, "crowded", 2, &lab.gate(), "");
    lab.wait_arrivals(1);
    insta::assert_snapshot!(explained(&job, "no-room"));
    job.succeed();
}

#[test]
fn the_master_cannot_be_localized() {
    let lab = lab(1);
    for nth in [1, 2] {
        lab.order(&Order::RefuseFile {
            name: "drawloom".to_owned(),
            nth,
            text: "Resource file:/x changed on src filesystem".to_owned(),
        });
    }
    let mut job = job(&lab, "unlocalized", 1, "true", "");
    job.end().must_end(5, &["verdict    lost"]);
    insta::assert_snapshot!(explained(&job, "localization-failed"));
}

#[test]
fn executors_crash_again_and_again() {
    let lab = lab(1);
    let gate = lab.gate();
    // The parent of the task's shell is its executor.
    let script = format!("if [ $DRAWLOOM_TASK_ATTEMPT -lt 2 ]; then kill -9 $PPID; sleep 5; fi\n{gate}");
    let job = job(&lab, "crashing", 1, &script, "executor.relaunch.backoff=10ms");
    job.wait_executors(2, 1);
    job.dossier(2);
    insta::assert_snapshot!(explained(&job, "executors-lost"));
    job.succeed();
}

#[test]
fn a_container_was_killed_for_its_memory() {
    let lab = Lab::new(|options| options.memory_check = Some(Duration::from_millis(100)));
    let gate = lab.gate();
    let script = format!(
        "if [ $DRAWLOOM_TASK_ATTEMPT = 0 ]; then head -c 400M /dev/zero | tail | sleep 20; fi\n{gate}"
    );
    let job = job(&lab, "fat", 1, &script, "executor.memory.enforced=false");
    job.dossier(1);
    insta::assert_snapshot!(explained(&job, "executors-memory"));
    job.succeed();
}

#[test]
fn executors_were_preempted() {
    let lab = lab(1);
    let job = job(&lab, "preempted", 1, &lab.gate(), "");
    lab.wait_arrivals(1);
    lab.order(&Order::Preempt {
        containers: vec![2],
        announced: None,
    });
    job.dossier(1);
    insta::assert_snapshot!(explained(&job, "executors-preempted"));
    job.succeed();
}

#[test]
fn the_command_is_not_there() {
    let lab = lab(1);
    let script = "exec ./does-not-exist.sh";
    let mut job = job(&lab, "mistyped", 1, script, "task.max-failures=1");
    job.end().must_end(1, &["does-not-exist.sh"]);
    insta::assert_snapshot!(explained(&job, "bad-command"));
}

#[test]
fn a_task_failed_too_often() {
    let lab = lab(1);
    let script = "echo the disk is full of eels >&2; exit 7";
    let mut job = job(&lab, "eels", 1, script, "task.max-failures=2");
    job.end().must_end(1, &["full of eels"]);
    insta::assert_snapshot!(explained(&job, "job-failed"));
}

#[test]
fn somebody_killed_it() {
    let lab = lab(1);
    let mut job = job(&lab, "killed", 1, &lab.gate(), "");
    lab.wait_arrivals(1);
    let reason = ["kill", &job.id, "--reason", "enough of this"];
    lab.drawloom(&reason).run(STEP).unwrap().must_end(0, &[]);
    job.end().must_end(4, &["killed"]);
    insta::assert_snapshot!(explained(&job, "killed"));
}

#[test]
fn the_client_with_the_driver_is_gone() {
    let lab = lab(1);
    let conf = "deploy-mode=client client.reconnect=1s";
    let mut job = job(&lab, "left", 1, &lab.gate(), conf);
    lab.wait_arrivals(1);
    job.drop_client();
    let text = explained(&job, "client-gone");
    insta::assert_snapshot!(steady(&text, &["gone for "]));
}

#[test]
fn the_resource_manager_is_down() {
    let lab = lab(1);
    let mut job = job(&lab, "unknown", 1, "true", "");
    job.end();
    lab.order(&Order::StopResourceManager);
    let screen = |args: &[&str]| steady(&shown(&lab, 3, args), &[]);
    let explained = screen(&["explain", &job.id]);
    insta::assert_snapshot!(explained);
    assert_eq!(
        screen(&["submit", "unknown.yaml"]),
        explained,
        "nor can anything be submitted"
    );
}

#[test]
fn more_memory_than_any_container_has() {
    let lab = lab(1);
    let text = "version: 1\nname: huge\nexecutors: { instances: 1, memory: 99GiB }\nstages: [{ name: a, tasks: 1, command: [\"true\"] }]\n";
    std::fs::write(lab.home().join("huge.yaml"), text).unwrap();
    insta::assert_snapshot!(shown(&lab, 3, &["submit", "huge.yaml"]));
}

#[test]
fn nothing_is_missing() {
    let lab = lab(1);
    let job = job(&lab, "well", 1, &lab.gate(), "");
    lab.wait_arrivals(1);
    job.wait_executors(0, 1);
    insta::assert_snapshot!(steady(&shown(&lab, 0, &["explain", &job.id]), &[]));
    job.succeed();
}
