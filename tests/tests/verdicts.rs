//! However a job ends: the exit code, YARN's final status, the diagnostics and the processes left agree.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::application::{Application, STEP, wait_ended};
use harness::cluster::OfRun;
use harness::hadoop::{Hadoop, Signal};
use harness::in_both_modes;
use harness::mode::Mode;
use harness::process::{Output, Running};
use harness::user::User;
use harness::wait;
use serde_json::Value;

static CLUSTER: OfRun = OfRun::new(|| {
    use harness::hadoop::Site;
    // How often lifetimes are looked at.
    let key = "yarn.resourcemanager.application-timeouts.monitor.interval-ms";
    Hadoop::builder().nodes(2).property(Site::Yarn, key, 500)
});

fn job(name: &str, stage: &str) -> String {
    format!(
        "version: 1
name: {name}
executors: {{ instances: 2, memory: 256MiB, cores: 1 }}
stages:
  - name: work
{stage}
"
    )
}

fn waiting_job(user: &User<'_>) -> String {
    let gate = user.gate().wait();
    job("waits", &format!("    tasks: 2\n    shell: \"{gate}\""))
}

/// A job both of whose tasks are at the gate.
struct Waiting<'a> {
    user: User<'a>,
    client: Running,
    application: Application<'a>,
}

impl<'a> Waiting<'a> {
    fn begin(name: &str) -> Self {
        Self::begin_in(Mode::Cluster, name)
    }

    fn begin_in(mode: Mode, name: &str) -> Self {
        let user = User::in_mode(CLUSTER.get(), name, mode).unwrap();
        let mut client = user.submit(&waiting_job(&user), &[]).unwrap();
        let application = Application::submitted_by(CLUSTER.get(), &mut client).unwrap();
        wait::until("both tasks", STEP, || user.gate().arrivals().len() == 2).unwrap();
        Self {
            user,
            client,
            application,
        }
    }

    /// Requires that the application ends in this state and that nothing is left of it.
    fn ended(self, state: &str, code: i32, words: &[&str]) -> (Output, Value) {
        let output = self.client.wait(STEP).unwrap();
        output.must_end(code, words);
        let report = self.application.wait_end().unwrap();
        assert_eq!(report["state"], state, "{report}");
        self.application.wait_gone().unwrap();
        assert_eq!(self.user.staged().unwrap(), [""; 0]);
        (output, report)
    }
}

in_both_modes!(
    a_failing_command_fails_the_job_and_the_diagnostics_say_all,
    a_program_that_is_not_there_fails_the_job_with_its_name,
    drawloom_kill_ends_it_as_killed,
    yarns_own_kill_ends_it_as_killed,
    the_clients_timeout_kills_it,
    the_end_of_its_lifetime_ends_it_as_timed_out,
    a_task_that_takes_too_long_fails_with_its_timeout,
    an_application_that_loses_all_its_masters_is_lost,
    an_application_survives_the_loss_of_its_first_master,
);

fn a_failing_command_fails_the_job_and_the_diagnostics_say_all(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::in_mode(cluster, "fails", mode).unwrap();
    let stage = "    tasks: 3
    shell: |
      echo nothing of note
      if [ $DRAWLOOM_TASK = 1 ]; then echo first words >&2; echo the disk is full of eels >&2; exit 7; fi
    output: results";
    let output = user
        .submit_and_wait(&job("fails", stage), &["--conf", "task.max-failures=2"])
        .unwrap();
    output.must_end(
        1,
        &[
            "verdict    failed",
            "cause: ",
            "help: ",
            "drawloom logs application_",
        ],
    );
    let application = Application::of_output(cluster, &output).unwrap();
    let report = application.report().unwrap();
    assert_eq!(
        (&report["state"], &report["finalStatus"]),
        (&"FINISHED".into(), &"FAILED".into()),
        "{report}"
    );
    let diagnostics = report["diagnostics"].as_str().unwrap();
    let nodes = cluster.rm_get("/ws/v1/cluster/nodes").unwrap();
    let host = nodes["nodes"]["node"][0]["nodeHostName"].as_str().unwrap();
    let named = [
        "stage work",
        "task 1",
        "failed 2 times",
        "attempt 1.1",
        host,
        "container_",
        "exit code 7",
        "first words",
        "the disk is full of eels",
    ];
    for words in named {
        assert!(diagnostics.contains(words), "no {words:?} in: {diagnostics}");
        assert!(output.stderr.contains(words), "no {words:?} in: {output}");
    }
    let start: String = diagnostics.chars().take(80).collect();
    assert!(start.starts_with("failed: stage work, task 1"), "{start}");
    application.wait_gone().unwrap();
    assert_eq!(user.staged().unwrap(), [""; 0]);
    let results = user.list("results").unwrap().unwrap_or_default();
    assert!(!results.contains(&"_SUCCESS".to_owned()), "{results:?}");
    assert!(!results.contains(&"_temporary".to_owned()), "{results:?}");
}

fn a_program_that_is_not_there_fails_the_job_with_its_name(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::in_mode(cluster, "no-program", mode).unwrap();
    let stage = "    tasks: 1\n    retries: 0\n    command: [./does-not-exist.sh]";
    let output = user.submit_and_wait(&job("no-program", stage), &[]).unwrap();
    output.must_end(1, &["./does-not-exist.sh", "is it named in `files`?"]);
}

fn drawloom_kill_ends_it_as_killed(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let waiting = Waiting::begin_in(mode, "kill");
    let id = waiting.application.id().to_owned();
    let killed = waiting
        .user
        .run(["kill", &id, "--reason", "enough of this"])
        .unwrap();
    killed.must_end(0, &["killed"]);
    let again = waiting.user.run(["kill", &id]).unwrap();
    again.must_end(0, &["had ended already: killed"]);
    let (_, report) = waiting.ended("KILLED", 4, &["verdict    killed"]);
    assert!(
        report["diagnostics"].as_str().unwrap().contains("enough of this"),
        "{report}"
    );
}

fn yarns_own_kill_ends_it_as_killed(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let waiting = Waiting::begin_in(mode, "yarn-kill");
    cluster.kill_application(waiting.application.id()).unwrap();
    waiting.ended("KILLED", 4, &["verdict    killed"]);
}

#[test]
fn two_interrupts_kill_it() {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let mut waiting = Waiting::begin("interrupt-twice");
    waiting.client.signal(Signal::INT).unwrap();
    waiting.client.wait_for_text("Press Ctrl-C again", STEP).unwrap();
    waiting.client.signal(Signal::INT).unwrap();
    waiting.ended("KILLED", 130, &["was killed"]);
}

/// Only there does it take long enough to upload a file that the upload can be interrupted.
mod on_hadoop {
    use super::{CLUSTER, STEP, Signal, User, wait, waiting_job};

    #[test]
    fn an_interrupt_while_files_are_staged_leaves_neither_application_nor_files() {
        let hadoop = CLUSTER.hadoop();
        let _tails = hadoop.tails_on_panic();
        let user = User::new(hadoop, "interrupt-early").unwrap();
        // Large enough to be at it still when the binary, which is uploaded before it, is seen.
        let large = std::fs::File::create(user.dir().join("large")).unwrap();
        large.set_len(1 << 30).unwrap();
        let client = user.submit(&waiting_job(&user), &["--files", "large"]).unwrap();
        let begun = || {
            let cached = user.list(".drawloom/cache").unwrap();
            cached.is_some_and(|files| !files.is_empty())
        };
        wait::until("the first upload", STEP, begun).unwrap();
        client.signal(Signal::INT).unwrap();
        let output = client.wait(STEP).unwrap();
        output.must_end(130, &["interrupted before the job was submitted"]);
        assert!(!output.stderr.contains("submitted  "), "{output}");
        assert_eq!(user.staged().unwrap(), [""; 0]);
    }
}

#[test]
fn one_interrupt_stops_the_waiting_and_the_job_goes_on() {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let waiting = Waiting::begin("interrupt-once");
    waiting.client.signal(Signal::INT).unwrap();
    let output = waiting.client.wait(STEP).unwrap();
    let kill = format!("drawloom kill {}", waiting.application.id());
    output.must_end(130, &["goes on", &kill]);
    assert_eq!(waiting.application.report().unwrap()["state"], "RUNNING");
    waiting.user.gate().open().unwrap();
    let report = waiting.application.wait_end().unwrap();
    assert_eq!(report["finalStatus"], "SUCCEEDED", "{report}");
    waiting.application.wait_gone().unwrap();
    assert_eq!(
        waiting.user.staged().unwrap(),
        [""; 0],
        "the ApplicationMaster removes what was staged"
    );
}

#[test]
fn one_interrupt_of_a_client_with_the_driver_ends_the_job_as_killed() {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let waiting = Waiting::begin_in(Mode::Client, "interrupt");
    waiting.client.signal(Signal::INT).unwrap();
    let (output, report) = waiting.ended("FINISHED", 130, &["ending the job", "was killed"]);
    assert_eq!(report["finalStatus"], "KILLED", "{output}");
}

#[test]
fn a_client_with_the_driver_that_is_killed_fails_its_job() {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::in_mode(cluster, "vanish", Mode::Client).unwrap();
    let mut client = user
        .submit(&waiting_job(&user), &["--conf", "client.reconnect=3s"])
        .unwrap();
    let application = Application::submitted_by(cluster, &mut client).unwrap();
    wait::until("both tasks", STEP, || user.gate().arrivals().len() == 2).unwrap();
    client.signal(Signal::KILL).unwrap();
    assert_eq!(client.wait(STEP).unwrap().signal, Some(9));
    let report = application.wait_end().unwrap();
    assert_eq!(report["finalStatus"], "FAILED", "{report}");
    let diagnostics = report["diagnostics"].as_str().unwrap();
    assert!(diagnostics.contains("client.reconnect"), "{diagnostics}");
    application.wait_gone().unwrap();
    assert_eq!(user.staged().unwrap(), [""; 0]);
}

#[test]
fn a_job_whose_driver_is_in_the_client_cannot_be_left_alone() {
    let user = User::in_mode(CLUSTER.get(), "no-detach", Mode::Client).unwrap();
    let output = user.submit_and_wait(&waiting_job(&user), &["--detach"]).unwrap();
    output.must_end(2, &["client mode", "--deploy-mode cluster"]);
}

fn the_clients_timeout_kills_it(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::in_mode(cluster, "timeout", mode).unwrap();
    let output = user
        .submit_and_wait(&waiting_job(&user), &["--timeout", "15s"])
        .unwrap();
    output.must_end(6, &["--timeout", "was killed"]);
    let application = Application::of_output(cluster, &output).unwrap();
    assert_eq!(application.wait_end().unwrap()["state"], "KILLED");
    application.wait_gone().unwrap();
    assert_eq!(user.staged().unwrap(), [""; 0]);
}

fn the_end_of_its_lifetime_ends_it_as_timed_out(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::in_mode(cluster, "lifetime", mode).unwrap();
    let output = user
        .submit_and_wait(&waiting_job(&user), &["--conf", "lifetime=6s"])
        .unwrap();
    output.must_end(6, &["timed out", "lifetime"]);
    let application = Application::of_output(cluster, &output).unwrap();
    application.wait_gone().unwrap();
    assert_eq!(user.staged().unwrap(), [""; 0]);
}

#[test]
fn a_detached_submission_prints_just_the_id_and_its_job_succeeds_alone() {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::new(cluster, "detached").unwrap();
    let output = user
        .submit_and_wait(&job("detached", "    tasks: 1\n    shell: 'true'"), &["--detach"])
        .unwrap();
    output.must_end(0, &[]);
    let id = output.stdout.trim_end();
    assert!(
        id.starts_with("application_") && !id.contains(char::is_whitespace),
        "{output}"
    );
    let application = Application::new(cluster, id);
    assert_eq!(application.wait_end().unwrap()["finalStatus"], "SUCCEEDED");
    application.wait_gone().unwrap();
    assert_eq!(user.staged().unwrap(), [""; 0]);
}

fn a_task_that_takes_too_long_fails_with_its_timeout(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::in_mode(cluster, "slow-task", mode).unwrap();
    let stage = "    tasks: 1\n    timeout: 5s\n    retries: 0\n    shell: echo so slow >&2; sleep 800";
    let output = user.submit_and_wait(&job("slow", stage), &[]).unwrap();
    output.must_end(1, &["verdict    failed", "timeout of 5s", "so slow"]);
    Application::of_output(cluster, &output)
        .unwrap()
        .wait_gone()
        .unwrap();
}

fn an_application_that_loses_all_its_masters_is_lost(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let waiting = Waiting::begin_in(mode, "masters");
    for attempt in [1, 2] {
        kill_master(&waiting.application, attempt);
    }
    waiting.ended("FAILED", 5, &["verdict    lost"]);
}

fn an_application_survives_the_loss_of_its_first_master(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let waiting = Waiting::begin_in(mode, "master");
    kill_master(&waiting.application, 1);
    waiting.user.gate().open().unwrap();
    let (_, report) = waiting.ended("FINISHED", 0, &["verdict    succeeded"]);
    assert_eq!(report["finalStatus"], "SUCCEEDED", "{report}");
}

/// Kills the ApplicationMaster of an attempt once it has registered.
fn kill_master(application: &Application<'_>, attempt: u32) {
    application
        .wait_summary("the ApplicationMaster's pages", |summary| {
            summary["attempt"] == attempt
        })
        .unwrap();
    let master = application.master(attempt).unwrap();
    master.signal(Signal::KILL);
    wait_ended(&[master]).unwrap();
}

#[test]
fn what_a_killed_job_without_a_client_has_left_staged_goes_with_the_next_submission() {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::new(cluster, "leftovers").unwrap();
    let detach = |user: &User<'_>| {
        user.submit_and_wait(&waiting_job(user), &["--detach"])
            .unwrap()
            .stdout
    };
    let first = Application::new(cluster, detach(&user).trim_end());
    first.wait_state(&["RUNNING"]).unwrap();
    cluster.kill_application(first.id()).unwrap();
    assert_eq!(user.staged().unwrap(), [first.id()]);
    let second = Application::new(cluster, detach(&user).trim_end());
    assert_eq!(user.staged().unwrap(), [second.id()]);
    second.wait_state(&["RUNNING"]).unwrap();
    user.must(["kill", second.id()]).unwrap();
    assert_eq!(user.staged().unwrap(), [""; 0]);
}
