//! Processes are killed in the middle of a job: the result is right, what was lost is replaced, the cause is named,
//! and nothing is left behind.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::application::{Application, STEP, wait_ended};
use harness::cluster::{Cluster, OfRun};
use harness::hadoop::{Hadoop, Signal};
use harness::in_both_modes;
use harness::mode::Mode;
use harness::process::Running;
use harness::processes::{self, Process};
use harness::text::{cut, word_counts, written_by_people};
use harness::user::User;
use harness::{wait, workspace};
use std::collections::BTreeSet;

static CLUSTER: OfRun = OfRun::new(|| Hadoop::builder().nodes(2));

const EXECUTORS: usize = 2;
const PARTS: usize = 6;

/// The word count of the example, whose counting tasks wait at the person's gate.
fn gated_count(user: &User<'_>) -> String {
    let example = workspace::root().join("examples/wordcount");
    let example = example.display();
    let gate = user.gate().wait();
    format!(
        "version: 1
name: gated-count
executors: {{ instances: {EXECUTORS}, memory: 256MiB, cores: 1 }}
env: {{ LC_ALL: C }}
files: [{example}/count.sh, {example}/total.sh]
stages:
  - name: count
    inputs: work/books
    shell: |
      {gate}
      ./count.sh
    output: counts
  - name: total
    after: [count]
    inputs: counts
    tasks: 1
    command: [./total.sh]
    output: total
"
    )
}

/// A word count with one task of each executor waiting at the gate.
struct Count<'a> {
    user: User<'a>,
    text: Vec<u8>,
    client: Running,
    application: Application<'a>,
}

impl<'a> Count<'a> {
    fn begin(cluster: &'a dyn Cluster, name: &str, mode: Mode) -> Self {
        let user = User::in_mode(cluster, name, mode).unwrap();
        let text = written_by_people(200_000).unwrap();
        for (number, part) in cut(&text, PARTS).into_iter().enumerate() {
            user.write(&format!("books/{number}.txt"), part).unwrap();
        }
        user.must(["fs", "mkdir", "work"]).unwrap();
        user.must(["fs", "put", "books", "work/books"]).unwrap();
        let mut client = user.submit(&gated_count(&user), &[]).unwrap();
        let application = Application::submitted_by(cluster, &mut client).unwrap();
        wait::until("a task on each executor", STEP, || {
            user.gate().arrivals().len() >= EXECUTORS
        })
        .unwrap();
        Self {
            user,
            text,
            client,
            application,
        }
    }

    fn victim(&self) -> Process {
        self.application.executors().into_iter().next().unwrap()
    }

    fn status(&self) -> String {
        self.user.must(["status", self.application.id()]).unwrap()
    }

    /// Waits for the replacement of one executor that was killed, and requires that it is told and that the counts
    /// are right.
    fn replaced_once(self) {
        let replaced = |summary: &serde_json::Value| {
            let executors = &summary["executors"];
            executors["lost"] == 1 && executors["registered"] == EXECUTORS
        };
        self.application
            .wait_summary("the replacement", replaced)
            .unwrap();
        let status = self.status();
        let told = status.contains("1 lost so far") && status.contains("SIGKILL");
        assert!(told, "{status}");
        self.finish(EXECUTORS + 1, "SIGKILL");
    }

    /// Opens the gate and requires a right end with so many containers for executors in all.
    fn finish(self, executors: usize, cause: &str) {
        self.user.gate().open().unwrap();
        let output = self.client.wait(STEP).unwrap();
        output.must_end(0, &["verdict    succeeded"]);
        let total = String::from_utf8(self.user.get("total/part-00000").unwrap()).unwrap();
        assert!(total == word_counts(&self.text), "the counts differ");
        // In client mode the driver logs to its person.
        let log = self.application.master_log(1).unwrap() + &output.stderr;
        assert!(log.contains(cause), "no {cause:?} in the log:\n{log}");
        let containers = self.application.containers();
        assert_eq!(containers.len(), 1 + executors, "{containers:?}");
        self.application.wait_gone().unwrap();
        assert_eq!(self.user.staged().unwrap(), [""; 0]);
    }
}

in_both_modes!(
    an_executor_killed_in_mid_task_is_replaced_once_and_the_counts_are_right,
    a_guard_killed_in_mid_task_takes_its_executor_along_and_is_replaced_once,
    a_task_killed_from_outside_is_tried_again_on_the_same_executors,
    a_master_killed_between_two_results_leaves_each_result_once,
    killing_an_executor_leaves_none_of_its_tasks_processes_alive,
    ending_an_application_leaves_none_of_its_tasks_processes_alive,
);

fn an_executor_killed_in_mid_task_is_replaced_once_and_the_counts_are_right(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let count = Count::begin(cluster, "kill-executor", mode);
    count.victim().signal(Signal::KILL);
    count.replaced_once();
}

fn a_guard_killed_in_mid_task_takes_its_executor_along_and_is_replaced_once(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let count = Count::begin(cluster, "kill-guard", mode);
    let executor = count.victim();
    let guard = count.application.guard_of(&executor).unwrap();
    guard.signal(Signal::KILL);
    wait_ended(&[guard, executor]).unwrap();
    count.replaced_once();
}

fn a_task_killed_from_outside_is_tried_again_on_the_same_executors(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let count = Count::begin(cluster, "kill-task", mode);
    let is_task = |process: &Process| {
        process.variable("DRAWLOOM_TASK_ID").is_some() && process.command.starts_with("bash")
    };
    let task = count.application.processes().into_iter().find(is_task).unwrap();
    task.signal(Signal::KILL);
    let failed = |summary: &serde_json::Value| summary["tasks"]["failedAttempts"] == 1;
    count
        .application
        .wait_summary("the failed attempt", failed)
        .unwrap();
    let status = count.status();
    assert!(
        status.contains("stage count, task") && status.contains("SIGKILL"),
        "{status}"
    );
    assert!(status.contains("0 lost so far"), "{status}");
    count.finish(EXECUTORS, "SIGKILL");
}

/// Children in every way a process can get away from its parent: own session, orphaned by a double fork, without
/// environment, and in another directory. Each sleeps for a time of its own by which it is found.
fn escapes(unique: u32) -> [String; 5] {
    [1, 2, 3, 4, 5].map(|way| format!("sleep {unique}{way}"))
}

fn escaping_job(user: &User<'_>, unique: u32) -> String {
    let [session, orphan, bare, all, plain] = escapes(unique);
    let arrived = user.dir().join("arrived");
    format!(
        "version: 1
name: escapes
executors: {{ instances: 1, memory: 256MiB, cores: 1 }}
stages:
  - name: run
    tasks: 1
    shell: |
      setsid {session} &
      ( ( {orphan} & ) & )
      env -i {bare} &
      ( cd / && setsid env -i bash -c 'exec {all}' & )
      touch {}
      exec {plain}
",
        arrived.display()
    )
}

fn alive(commands: &[String]) -> Vec<Process> {
    let wanted = |process: &Process| commands.contains(&process.command);
    processes::all().into_iter().filter(wanted).collect()
}

fn nothing_escapes(mode: Mode, name: &str, unique: u32, kill: impl Fn(&Application<'_>)) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::in_mode(cluster, name, mode).unwrap();
    let unique = unique * 100_000 + std::process::id() % 100_000;
    let mut client = user.submit(&escaping_job(&user, unique), &[]).unwrap();
    let application = Application::submitted_by(cluster, &mut client).unwrap();
    let commands = escapes(unique);
    wait::until("all five processes", STEP, || {
        alive(&commands).len() == commands.len()
    })
    .unwrap();
    let escaped = alive(&commands);
    kill(&application);
    wait_ended(&escaped).unwrap();
    user.must(["kill", application.id()]).unwrap();
    client.wait(STEP).unwrap().must_end(4, &["killed"]);
    wait::until("the retried task's processes to end", STEP, || {
        alive(&commands).is_empty()
    })
    .unwrap();
    application.wait_gone().unwrap();
}

fn killing_an_executor_leaves_none_of_its_tasks_processes_alive(mode: Mode) {
    nothing_escapes(mode, "escape-executor", 11 + 10 * mode as u32, |application| {
        application.executors()[0].signal(Signal::KILL);
    });
}

#[test]
fn killing_a_guard_leaves_none_of_its_tasks_processes_alive() {
    nothing_escapes(Mode::Cluster, "escape-guard", 12, |application| {
        let executor = &application.executors()[0];
        application.guard_of(executor).unwrap().signal(Signal::KILL);
    });
}

fn ending_an_application_leaves_none_of_its_tasks_processes_alive(mode: Mode) {
    nothing_escapes(mode, "escape-application", 13 + 10 * mode as u32, |application| {
        let killed = User::in_mode(CLUSTER.get(), "escape-application", mode).unwrap();
        killed.must(["kill", application.id()]).unwrap();
    });
}

#[test]
fn killing_by_the_name_of_executors_hits_no_guard() {
    nothing_escapes(Mode::Cluster, "escape-name", 14, |application| {
        let named = |process: &Process| process.command.contains("drawloom executor");
        let hit: Vec<Process> = application.processes().into_iter().filter(named).collect();
        assert_eq!(hit.len(), 1, "{hit:?}");
        hit[0].signal(Signal::KILL);
    });
}

fn a_master_killed_between_two_results_leaves_each_result_once(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::in_mode(cluster, "kill-master", mode).unwrap();
    let gate = user.gate().wait();
    let job = format!(
        "version: 1
name: half-done
executors: {{ instances: {EXECUTORS}, memory: 256MiB, cores: 1 }}
stages:
  - name: work
    tasks: 5
    shell: |
      if [ $DRAWLOOM_TASK -ge 3 ]; then {gate}; fi
      echo result of $DRAWLOOM_TASK
    output: results
"
    );
    let mut client = user.submit(&job, &[]).unwrap();
    let application = Application::submitted_by(cluster, &mut client).unwrap();
    let half_done = |summary: &serde_json::Value| summary["tasks"]["finished"] == 3;
    application.wait_summary("three results", half_done).unwrap();
    wait::until("the other tasks", STEP, || user.gate().arrivals().len() == 2).unwrap();
    let executors = pids(&application.executors());
    application.master(1).unwrap().signal(Signal::KILL);
    let second = |summary: &serde_json::Value| summary["attempt"] == 2;
    application
        .wait_summary("the second ApplicationMaster", second)
        .unwrap();
    assert_eq!(pids(&application.executors()), executors, "they outlive it");
    user.gate().open().unwrap();
    client
        .wait(STEP)
        .unwrap()
        .must_end(0, &["succeeded: 5 of 5 tasks"]);
    let results = user.must(["fs", "cat", "results/part-*"]).unwrap();
    let expected: String = (0..5).map(|task| format!("result of {task}\n")).collect();
    assert_eq!(results, expected);
    let listed = user.list("results").unwrap().unwrap();
    assert_eq!(listed.len(), 5 + 1, "{listed:?}");
    application.wait_gone().unwrap();
    assert_eq!(user.staged().unwrap(), [""; 0]);
}

fn pids(processes: &[Process]) -> BTreeSet<i32> {
    processes.iter().map(|process| process.pid).collect()
}
