//! Orders about parts of an application: one of several jobs is ended, and what may not be ordered is explained.

use std::fs;

use harness::process::{Drawloom, Output};
use harness::{http, wait};

use crate::lab::{Lab, STEP};

/// A cluster of one node and the id of what was submitted to it.
struct Submitted {
    lab: Lab,
    id: String,
}

impl Submitted {
    /// Submits a job file with `GATE` in it for commands that wait at the gate, and leaves it to itself.
    fn detached(job: &str) -> Self {
        let lab = Lab::new(|options| options.nodes = 1);
        let job = job.replace("GATE", &lab.gate().replace('\n', "; "));
        fs::write(lab.home().join("job.yaml"), job).unwrap();
        let args = ["submit", "job.yaml", "--detach", "--deploy-mode", "cluster"];
        let output = lab.drawloom(&args).run(STEP).unwrap();
        assert_eq!(output.code, Some(0), "{output}");
        let id = output.stdout.trim().to_owned();
        Self { lab, id }
    }

    fn run(&self, command: &str, more: &[&str]) -> Output {
        self.as_user(command, more).run(STEP).unwrap()
    }

    fn as_user(&self, command: &str, more: &[&str]) -> Drawloom {
        let args: Vec<&str> = [command, &self.id].iter().chain(more).copied().collect();
        self.lab.drawloom(&args)
    }

    fn wait_status(&self, words: &str) {
        let mut last = String::new();
        let found = wait::until(words, STEP, || {
            last = self.run("status", &[]).stdout;
            last.contains(words)
        });
        found.unwrap_or_else(|error| panic!("{error:#}: {last}"));
    }

    /// What the ApplicationMaster says to the order that its executor `container` stop or drain.
    fn order_executor(&self, container: &str, state: &str) -> (u16, String) {
        let address = self.lab.cluster().web_address().parse().unwrap();
        let path = format!("/proxy/{}/api/v1/drawloom/executors/{container}/state", self.id);
        let body = format!("{{\"state\":\"{state}\"}}");
        let answer = http::request(address, "PUT", &path, &body, STEP).unwrap();
        (answer.status, answer.text())
    }
}

#[test]
fn one_job_of_several_is_ended_by_its_owner_and_once() {
    let submitted = Submitted::detached(
        "\
version: 1
executors: { instances: 1, memory: 256MiB, cores: 2 }
conf: { task.kill.grace: 1s }
jobs:
  - { name: long, stages: [{ name: wait, tasks: 1, shell: sleep 600 }] }
  - { name: follower, after: long, stages: [{ name: never, tasks: 1, shell: echo never }] }
  - { name: short, stages: [{ name: done, tasks: 1, shell: 'GATE' }] }
",
    );
    submitted.wait_status("wait             running");
    let unknown = submitted.run("kill", &["--job", "lon"]);
    unknown.must_end(
        3,
        &["has no job lon", "its jobs: 0 (long), 1 (follower), 2 (short)"],
    );
    let stranger = submitted
        .as_user("kill", &["--job", "long"])
        .env("HADOOP_USER_NAME", "eve");
    let stranger = stranger.run(STEP).unwrap();
    stranger.must_end(3, &["only its owner may end single jobs", "you are eve"]);
    let killed = submitted.run("kill", &["--stage", "wait"]);
    killed.must_end(0, &["job long of", "killed"]);
    submitted.wait_status("follower         killed");
    submitted.wait_status("short            running");
    let again = submitted.run("kill", &["--job", "0"]);
    again.must_end(0, &["job long of", "had ended already: killed"]);
    submitted.lab.open_gate();
    submitted.wait_status("killed (");
    submitted.wait_status("1 of 3 tasks done");
    let ended = submitted.run("kill", &["--job", "short"]);
    ended.must_end(0, &["had ended"]);
}

#[test]
fn a_small_job_is_ended_as_others_are_and_its_executor_is_not_for_orders() {
    let submitted = Submitted::detached(
        "\
version: 1
uber: true
executors: { memory: 256MiB, cores: 1 }
conf: { task.kill.grace: 1s }
stages: [{ name: wait, tasks: 1, shell: sleep 600 }]
",
    );
    submitted.wait_status("wait             running    0/1 tasks, 1 running");
    let container = submitted.id.replace("application", "container") + "_01_000001";
    for state in ["STOPPED", "DRAINING"] {
        let (status, why) = submitted.order_executor(&container, state);
        assert_eq!(status, 409, "{why}");
        assert!(why.contains("End the job instead"), "{why}");
    }
    let killed = submitted.run("kill", &["--job", "0"]);
    killed.must_end(0, &["killed"]);
    submitted.wait_status("killed (");
}
