//! `drawloom explain`: each cause is made real, and what the person reads is stored. The causes that need a scheduler
//! with queues are in the suite `explain`, on a real Hadoop.

use harness::snapshot::steady;
use mini::{Options, Order};
use serde_json::Value;
use std::time::Duration;

use crate::lab::{Job, Lab, STEP};

fn lab(nodes: usize) -> Lab {
    Lab::new(|options: &mut Options| options.nodes = nodes)
}

/// What explain says as text, once the first reason has this code.
fn explained(job: &Job<'_>, code: &str) -> String {
    let explain = |args: &[&str]| {
        let output = job.lab.drawloom(&[&["explain", &job.id], args].concat());
        output.run(STEP).unwrap().stdout
    };
    let mut last = String::new();
    let found = harness::wait::until(code, STEP, || {
        last = explain(&["-o", "json"]);
        let json: Value = serde_json::from_str(&last).unwrap_or_default();
        json["reasons"][0]["code"] == code
    });
    found.unwrap_or_else(|error| panic!("{error:#}; explain says {last}"));
    steady(
        &explain(&[]),
        &[
            "peak ",
            "set executors.memory to ",
            "oldest ",
            "done in ",
            "[pid=",
            "is running ",
            "Current usage: ",
            "memory used; ",
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
    let output = lab.drawloom(&["explain", &job.id]).run(STEP).unwrap();
    output.must_end(3, &[]);
    let home = lab.cluster().conf_dir().display().to_string();
    insta::assert_snapshot!(steady(&output.stderr, &[]).replace(&home, "CONF"));
}

#[test]
fn more_memory_than_any_container_has() {
    let lab = lab(1);
    let text = "version: 1\nname: huge\nexecutors: { instances: 1, memory: 99GiB }\nstages: [{ name: a, tasks: 1, command: [\"true\"] }]\n";
    std::fs::write(lab.home().join("huge.yaml"), text).unwrap();
    let output = lab.drawloom(&["submit", "huge.yaml"]).run(STEP).unwrap();
    output.must_end(3, &[]);
    insta::assert_snapshot!(steady(&output.stderr, &[]));
}

#[test]
fn nothing_is_missing() {
    let lab = lab(1);
    let job = job(&lab, "well", 1, &lab.gate(), "");
    lab.wait_arrivals(1);
    job.wait_executors(0, 1);
    let output = lab.drawloom(&["explain", &job.id]).run(STEP).unwrap();
    insta::assert_snapshot!(steady(&output.stdout, &[]));
    job.succeed();
}
