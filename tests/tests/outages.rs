//! The cluster's own daemons go away in the middle of a job, and what we run is killed again and again: the result is
//! right, and nothing is run again that need not be.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::application::{Application, STEP};
use harness::hadoop::{ContainerOnDisk, Hadoop, Role, Signal};
use harness::process::Running;
use harness::processes::{self, Process};
use harness::user::User;
use harness::wait;
use serde_json::Value;
use std::time::Duration;

const TASKS: usize = 6;

fn job(executors: usize, script: &str) -> String {
    format!(
        "version: 1
name: outage
executors: {{ instances: {executors}, memory: 256MiB, cores: 1 }}
conf: {{ task.max-failures: 20, executor.max-failures: 100, exclude.enabled: false }}
stages:
  - name: work
    tasks: {TASKS}
    shell: |
      {script}
      echo result of $DRAWLOOM_TASK
    output: results
"
    )
}

/// A job with two tasks at the gate, on two executors.
struct Gated<'a> {
    user: User<'a>,
    client: Running,
    application: Application<'a>,
}

impl<'a> Gated<'a> {
    fn begin(hadoop: &'a Hadoop) -> Self {
        Self::begin_as(hadoop, "ada")
    }

    fn begin_as(hadoop: &'a Hadoop, name: &str) -> Self {
        let user = User::new(hadoop, name).unwrap();
        let mut client = user.submit(&job(2, &user.gate().wait()), &[]).unwrap();
        let application = Application::submitted_by(hadoop, &mut client).unwrap();
        wait::until("both tasks", STEP, || user.gate().arrivals().len() == 2).unwrap();
        Self {
            user,
            client,
            application,
        }
    }

    /// Opens the gate and requires the right results with so many containers in all.
    fn finish(self, containers: usize) {
        self.user.gate().open().unwrap();
        let output = self.client.wait(STEP).unwrap();
        output.must_end(0, &["verdict    succeeded"]);
        assert_results(&self.user);
        assert_eq!(self.application.containers().len(), containers);
        let report = self.application.report().unwrap();
        assert_eq!(report["finalStatus"], "SUCCEEDED", "{report}");
        self.application.wait_gone().unwrap();
        assert_eq!(self.user.staged().unwrap(), [""; 0]);
    }
}

fn assert_results(user: &User<'_>) {
    let listed = user
        .hadoop()
        .hdfs_list(&format!("/user/{}/results", user.name()))
        .unwrap()
        .unwrap();
    let mut expected = vec!["_SUCCESS".to_owned()];
    expected.extend((0..TASKS).map(|task| format!("part-{task:05}")));
    assert_eq!(listed, expected);
    for task in 0..TASKS {
        let part = user.get(&format!("results/part-{task:05}")).unwrap();
        assert_eq!(String::from_utf8(part).unwrap(), format!("result of {task}\n"));
    }
}

#[test]
fn a_restart_of_the_resource_manager_costs_a_job_nothing() {
    let hadoop = Hadoop::builder().nodes(2).rm_recovery(true).start().unwrap();
    let gated = Gated::begin(&hadoop);
    hadoop.kill_rm().unwrap();
    hadoop.restart_rm().unwrap();
    hadoop.wait_nodes(2, STEP).unwrap();
    gated.application.wait_state(&["RUNNING"]).unwrap();
    gated
        .application
        .wait_summary("the pages behind the new proxy", |summary| {
            summary["attempt"] == 1
        })
        .unwrap();
    assert_eq!(gated.user.gate().arrivals(), ["work-0.0", "work-1.0"]);
    gated.finish(1 + 2);
}

#[test]
fn a_job_goes_on_when_the_other_resource_manager_takes_over() {
    let hadoop = Hadoop::builder()
        .nodes(2)
        .high_availability(true)
        .start()
        .unwrap();
    let gated = Gated::begin(&hadoop);
    hadoop.kill_rm().unwrap();
    hadoop.transition_to_active(1).unwrap();
    hadoop.wait_nodes(2, STEP).unwrap();
    gated.application.wait_state(&["RUNNING"]).unwrap();
    gated.finish(1 + 2);
}

/// A job with executors on the node without the ApplicationMaster, that node, and how many they are. A node that is
/// silent for a moment gets nothing, and another job is begun.
fn begin_apart(hadoop: &Hadoop) -> (Gated<'_>, usize, usize) {
    const TRIES: u32 = 5;
    for time in 1..=TRIES {
        let gated = Gated::begin_as(hadoop, &format!("ada-{time}"));
        let containers = gated.application.containers();
        let is_master = |one: &&ContainerOnDisk| one.container.ends_with("_000001");
        let other = 1 - containers.iter().find(is_master).unwrap().node;
        let there = containers.iter().filter(|one| one.node == other).count();
        if there > 0 {
            return (gated, other, there);
        }
        gated.user.must(["kill", gated.application.id()]).unwrap();
    }
    panic!("all containers are on one node, {TRIES} times");
}

#[test]
fn executors_of_a_lost_node_are_replaced_elsewhere() {
    let hadoop = Hadoop::builder()
        .nodes(2)
        .node_expiry(Duration::from_secs(10))
        .start()
        .unwrap();
    let (gated, other, lost) = begin_apart(&hadoop);
    hadoop.kill_node(other, Signal::KILL).unwrap();
    let replaced = |summary: &Value| {
        let executors = &summary["executors"];
        executors["lost"] == lost && executors["registered"] == 2
    };
    gated
        .application
        .wait_summary("the replacements", replaced)
        .unwrap();
    let status = gated.user.must(["status", gated.application.id()]).unwrap();
    assert!(status.contains("its node was lost"), "{status}");
    gated.finish(1 + 2 + lost);
}

#[test]
fn all_executors_killed_three_times_cost_a_job_only_time() {
    let hadoop = Hadoop::builder().nodes(2).start().unwrap();
    let gated = Gated::begin(&hadoop);
    for lost in [2, 4, 6] {
        // A task looks like its executor until it runs its command.
        let two = || Ok(Some(gated.application.executors()).filter(|all| all.len() == 2));
        let executors = wait::for_value("two executors", STEP, two).unwrap();
        for executor in &executors {
            executor.signal(Signal::KILL);
            wait::until("its end", STEP, || executor.has_ended()).unwrap();
        }
        let replaced = |summary: &Value| {
            let executors = &summary["executors"];
            executors["lost"] == lost && executors["registered"] == 2 && summary["tasks"]["running"] == 2
        };
        gated
            .application
            .wait_summary("the replacements at work", replaced)
            .unwrap();
    }
    gated.finish(1 + 2 + 6);
    a_submission_that_the_file_system_does_not_answer_can_be_interrupted(&hadoop);
}

fn a_submission_that_the_file_system_does_not_answer_can_be_interrupted(hadoop: &Hadoop) {
    let user = User::new(hadoop, "patience").unwrap();
    // What has been begun is not at its end before somebody takes its bytes.
    hadoop.freeze(Role::DataNode(0)).unwrap();
    let client = user.drawloom(["run", "--", "true"]).spawn().unwrap();
    let begun = || {
        let cached = user.list(".drawloom/cache").unwrap();
        cached.is_some_and(|files| !files.is_empty())
    };
    wait::until("the first upload", STEP, begun).unwrap();
    hadoop.freeze(Role::NameNode).unwrap();
    client.signal(Signal::INT).unwrap();
    // What was staged cannot be removed in this time, nor is it tried for long.
    let output = client.wait(Duration::from_secs(60));
    hadoop.thaw(Role::NameNode).unwrap();
    hadoop.thaw(Role::DataNode(0)).unwrap();
    let words = [
        "interrupted before the job was submitted",
        "may be left: drawloom fs rm -r hdfs://",
    ];
    output.unwrap().must_end(130, &words);
}

#[test]
fn whatever_is_killed_however_often_each_result_is_there_once() {
    const KILLS: usize = 10;
    let hadoop = Hadoop::builder().nodes(2).start().unwrap();
    let user = User::new(&hadoop, "chaos").unwrap();
    let mut client = user
        .submit(
            &job(2, &user.gate().wait()),
            &["--conf", "executor.relaunch.backoff.max=300ms"],
        )
        .unwrap();
    let application = Application::submitted_by(&hadoop, &mut client).unwrap();
    for kill in 0..KILLS {
        let victim = wait::for_value("somebody to kill", STEP, || Ok(victim(&application, kill))).unwrap();
        victim.signal(Signal::KILL);
        wait::until("its end", STEP, || victim.has_ended()).unwrap();
    }
    user.gate().open().unwrap();
    // Some of these may come too late.
    for kill in 0..3 {
        victim(&application, kill)
            .iter()
            .for_each(|victim| victim.signal(Signal::KILL));
    }
    client
        .wait(STEP)
        .unwrap()
        .must_end(0, &["succeeded: 6 of 6 tasks"]);
    assert_results(&user);
    application.wait_gone().unwrap();
    assert_eq!(user.staged().unwrap(), [""; 0]);
}

/// Executors, guards and tasks in turn; while the application runs there is always somebody soon.
fn victim(application: &Application<'_>, kill: usize) -> Option<Process> {
    let executor = application.executors().into_iter().nth(kill % 2)?;
    match kill % 3 {
        0 => Some(executor),
        1 => application.guard_of(&executor).ok(),
        _ => {
            let below = |process: &Process| process.parent == executor.pid;
            processes::all().into_iter().find(below)
        }
    }
}
