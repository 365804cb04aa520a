//! Which causes another attempt is made for: losses of ours and of the node, and never what would only happen again.

use crate::HADOOP;
use crate::many::{Many, Shape};
use harness::application::{Application, STEP};
use harness::hadoop::{Hadoop, Role, Signal};
use harness::process::Running;
use harness::user::User;
use harness::wait;
use serde_json::Value;

/// A job that waits at a gate in its first stage, on a cluster that would allow it four attempts.
struct Doomed<'a> {
    user: User<'a>,
    client: Running,
    application: Application<'a>,
}

impl<'a> Doomed<'a> {
    /// `script` follows the gate; `second` is another stage, or nothing.
    fn begin(hadoop: &'a Hadoop, name: &str, script: &str, second: &str) -> Self {
        let user = User::new(hadoop, name).unwrap();
        let gate = user.gate().wait();
        let job = format!(
            "version: 1
name: {name}
am: {{ max-attempts: 4 }}
executors: {{ instances: 1, memory: 256MiB, cores: 1 }}
conf: {{ task.max-failures: 1, executor.heartbeat.interval: 500ms }}
stages:
  - name: first
    tasks: 1
    shell: |
      {gate}
      {script}
    output: first
{second}"
        );
        let mut client = user.submit(&job, &[]).unwrap();
        let application = Application::submitted_by(hadoop, &mut client).unwrap();
        Self {
            user,
            client,
            application,
        }
    }

    /// Has its first ApplicationMaster be killed while the task waits.
    fn lose_a_master(&self) {
        let arrived = || !self.user.gate().arrivals().is_empty();
        wait::until("the task", STEP, arrived).unwrap();
        let master = wait::for_value("the first", STEP, || Ok(self.application.master(1))).unwrap();
        master.signal(Signal::KILL);
        let second = |summary: &Value| summary["attempt"] == 2;
        self.application.wait_summary("the second", second).unwrap();
    }

    fn must_fail(self, attempts: usize, words: &[&str]) {
        let output = self.client.wait(STEP).unwrap();
        output.must_end(1, words);
        let report = self.application.report().unwrap();
        assert_eq!(report["finalStatus"], "FAILED", "{report}");
        let path = format!("/ws/v1/cluster/apps/{}/appattempts", self.application.id());
        let listed = self.user.hadoop().rm_get(&path).unwrap();
        let listed = listed["appAttempts"]["appAttempt"].as_array().unwrap().len();
        assert_eq!(listed, attempts);
        self.application.wait_gone().unwrap();
        assert_eq!(self.user.staged().unwrap(), [""; 0]);
    }
}

#[test]
fn a_job_that_fails_by_itself_after_a_lost_master_is_not_tried_again() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let doomed = Doomed::begin(hadoop, "fails", "exit 3", "");
    doomed.lose_a_master();
    doomed.user.gate().open().unwrap();
    doomed.must_fail(2, &["stage first, task 0", "3"]);
}

#[test]
fn an_input_that_is_missing_after_a_lost_master_is_not_looked_for_again() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let second = "  - { name: second, after: [first], inputs: first/nothing-like-it, command: [cat], output: second }\n";
    let doomed = Doomed::begin(hadoop, "input", "echo first", second);
    doomed.lose_a_master();
    doomed.user.gate().open().unwrap();
    doomed.must_fail(2, &["stage second could not be planned", "nothing-like-it"]);
}

#[test]
fn a_verdict_that_falls_before_the_first_task_is_told_by_the_first_attempt() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    (0..3).for_each(|node| hadoop.freeze(Role::NodeManager(node)).unwrap());
    let doomed = Doomed::begin(hadoop, "occupied", "echo first", "");
    doomed.user.put("of somebody else", "first/part-00000").unwrap();
    (0..3).for_each(|node| hadoop.thaw(Role::NodeManager(node)).unwrap());
    doomed.must_fail(1, &["exists and is not empty"]);
}

#[test]
fn a_plan_that_was_changed_is_refused_and_not_tried_again() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let mut many = Many::begin(hadoop, Shape::new("changed", 30, "0.3").attempts(4));
    many.wait_ended(3);
    let plan = format!("{}/plan.json", many.staging());
    let mut changed = many.user.get(&plan).unwrap();
    changed.push(b'\n');
    many.user.must(["fs", "rm", &plan]).unwrap();
    many.user.put(changed, &plan).unwrap();
    many.master(1).signal(Signal::KILL);
    let words = [
        "the journal cannot be used",
        "plan.json in the staging directory is not the one",
    ];
    many.must_fail(2, 1, &words);
}
