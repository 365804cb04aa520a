//! The moments at which an ApplicationMaster may die, one test each. docs/reliability.md has them as a table, which
//! [`the_table_of_windows_names_tests_that_exist`] holds against the code; some of them are tested in other crates.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use mini::node_manager::NodeManager;
use mini::resource_manager::Recovery;
use mini::{Action, Fault, Options, Order, Trigger};
use rustix::process::Signal;

use crate::bench::{Bench, Job, Tasks, is, signal, until};

const TASKS: usize = 6;
const EXECUTORS: usize = 2;

/// A cluster in which nothing has room beside an ApplicationMaster.
fn apart() -> Options {
    Options {
        nodes: 4,
        node_memory_mb: 320,
        ..Options::default()
    }
}

impl Bench {
    /// Tasks that wait at the gate, and are open to what befalls the cluster.
    fn write_gated(&self, executors: usize, conf: &str) {
        self.write_tasks(&Tasks {
            tasks: TASKS,
            executors,
            script: &self.gate(),
            conf,
        });
    }

    /// The `nth` call of a method from now on meets this.
    fn fault(&self, method: &str, nth: u32, action: Action) {
        let on = Trigger::call(method);
        self.cluster.faults().order(Fault { on, nth, action });
    }
}

impl Job<'_> {
    /// The results are there, each once, and nothing else is.
    async fn must_end_well(&mut self, bench: &Bench) {
        let code = self.end().await;
        assert_eq!(code, Some(0), "{}\n{}", self.said(), self.log(2));
        let succeeded = ("FINISHED".to_owned(), "SUCCEEDED".to_owned());
        assert_eq!(self.verdict().await, succeeded);
        bench.assert_results(TASKS);
        self.nothing_is_left().await;
    }

    async fn registered_with(&self, attempt: u32, executors: usize) {
        until("all executors with the next one", || {
            (self.log(attempt).matches("executor registered").count() >= executors).then_some(())
        })
        .await;
    }

    /// The number of the node that the first ApplicationMaster is on.
    fn node_of_master(&self, bench: &Bench) -> usize {
        let own = self.application.replace("application", "container") + "_01_000001";
        let runs = |node: &NodeManager| node.containers().iter().any(|one| one.id.to_string() == own);
        bench.cluster.nodes().iter().position(runs).unwrap() + 1
    }

    /// The process has ended, or is what its parent has not yet looked at.
    async fn ended_by_itself(&self, master: rustix::process::Pid) {
        until("the end of the ApplicationMaster", || {
            (!is(master, "drawloom am")).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w1_a_master_that_dies_before_it_is_registered_leaves_a_clean_start() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    bench.fault("registerApplicationMaster", 1, Action::LoseRequest);
    bench.fault("registerApplicationMaster", 1, Action::Order(Order::KillMasters));
    bench.write_gated(EXECUTORS, "");
    bench.open();
    let mut job = bench.submit(&[]).await;
    job.must_end_well(&bench).await;
    bench.assert_nothing_run_again(TASKS);
    assert!(!job.log(1).contains("registered with the ResourceManager"));
    assert!(!job.log(2).contains("container taken over"), "there is none");
    drop(job);
    bench.cluster.shutdown().await;
}

/// The call has its effect after its caller was killed, so that what was granted is held by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn w2_containers_granted_in_an_answer_that_nobody_read_are_asked_for_again() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    bench.write_gated(EXECUTORS, "");
    bench.open();
    bench.fault("allocate", 1, Action::Order(Order::KillMasters));
    let mut job = bench.submit(&[]).await;
    job.must_end_well(&bench).await;
    bench.assert_nothing_run_again(TASKS);
    assert!(job.log(1).contains("asking for containers"), "{}", job.log(1));
    assert!(!job.log(1).contains("container granted"), "{}", job.log(1));
    assert_eq!(job.log(2).matches("container granted").count(), EXECUTORS);
    drop(job);
    bench.cluster.shutdown().await;
}

/// The executor's node is cut off from the ResourceManager, which therefore does not see it running.
#[tokio::test(flavor = "multi_thread")]
async fn w3_an_executor_that_yarn_has_not_seen_running_is_ended_and_its_task_runs_elsewhere() {
    let Some(bench) = Bench::new(apart()).await else {
        return;
    };
    bench.write_gated(1, "");
    for node in 1..=4 {
        let on = Trigger::Call {
            method: "startContainers".to_owned(),
            node: Some(node),
        };
        let action = Action::Order(Order::PartNode(node));
        bench.cluster.faults().order(Fault { on, nth: 1, action });
    }
    let mut job = bench.submit(&[]).await;
    bench.began(1).await;
    let other = bench.cluster.faults().pending();
    let node = if other[0].action == Action::Order(Order::PartNode(1)) {
        2
    } else {
        1
    };
    let unseen = job.all_executors(1).await;
    let began = bench.runs("began").remove(0);
    signal(job.master(1).await, Signal::KILL);
    job.master(2).await;
    bench.cluster.order(&Order::RejoinNode(node));
    until("the end of the executor", || {
        job.executors().is_disjoint(&unseen).then_some(())
    })
    .await;
    bench.open();
    job.must_end_well(&bench).await;
    assert_eq!(bench.begun_again(TASKS), BTreeMap::from([(began.task(), 2)]));
    drop(job);
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w4_tasks_that_run_when_the_master_dies_run_on_and_are_taken_over() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    bench.write_gated(EXECUTORS, "");
    let mut job = bench.submit(&[]).await;
    bench.began(EXECUTORS).await;
    let executors = job.all_executors(EXECUTORS).await;
    signal(job.master(1).await, Signal::KILL);
    job.registered_with(2, EXECUTORS).await;
    job.must_have(&executors).await;
    bench.open();
    job.must_end_well(&bench).await;
    bench.assert_nothing_run_again(TASKS);
    drop(job);
    bench.cluster.shutdown().await;
}

/// The marking of a stage's output was begun for certain, and its end is not in the journal.
#[tokio::test(flavor = "multi_thread")]
async fn w7_a_commit_that_was_begun_is_done_again_and_no_task_is() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    for record in 3..40 {
        bench.write_tasks(&Tasks {
            tasks: 2,
            executors: 1,
            script: "true",
            conf: "",
        });
        let crash = format!("1:{record}");
        let variables = [("DRAWLOOM_CRASH_AFTER_RECORD", crash.as_str())];
        let mut job = bench.submit_with(&[], &variables).await;
        let code = job.end().await;
        assert_eq!(code, Some(0), "{}", job.said());
        bench.assert_results(2);
        bench.assert_nothing_run_again(2);
        let log = job.log(2);
        assert!(!log.is_empty(), "the first one died after record {record}");
        if log.contains("committing=1") {
            drop(job);
            return bench.cluster.shutdown().await;
        }
    }
    panic!("a commit is among the first records of so small a job");
}

#[tokio::test(flavor = "multi_thread")]
async fn w8_a_master_that_dies_after_the_verdict_is_followed_by_one_that_only_tells_it() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    bench.write_gated(EXECUTORS, "");
    bench.open();
    bench.fault("finishApplicationMaster", 1, Action::Order(Order::KillMasters));
    // It asks again at once, and may be heard before it dies.
    for call in 1..=4 {
        bench.fault("finishApplicationMaster", call, Action::LoseRequest);
    }
    let mut job = bench.submit(&[]).await;
    job.must_end_well(&bench).await;
    bench.assert_nothing_run_again(TASKS);
    assert!(!job.log(2).is_empty(), "there was a second attempt");
    // It may have asked for containers before it had read the journal.
    let ran_nothing = format!("succeeded: 0 of {TASKS} tasks done");
    assert!(job.said().contains(&ran_nothing), "{}", job.said());
    drop(job);
    bench.cluster.shutdown().await;
}

/// The ResourceManager has the verdict, and the process dies before it knows that.
#[tokio::test(flavor = "multi_thread")]
async fn w9_a_master_that_dies_after_it_unregistered_is_not_followed() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    bench.write_gated(EXECUTORS, "");
    bench.open();
    bench.fault("finishApplicationMaster", 1, Action::Order(Order::KillMasters));
    let mut job = bench.submit(&[]).await;
    job.must_end_well(&bench).await;
    bench.assert_nothing_run_again(TASKS);
    assert_eq!(job.log(2), "", "there is no second attempt");
    drop(job);
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w10_a_master_that_cannot_reach_the_resource_manager_ends_itself_and_commits_nothing() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    bench.write_gated(EXECUTORS, "  am.rm-silence-max: 2s");
    let mut job = bench.submit(&[]).await;
    bench.began(EXECUTORS).await;
    let executors = job.all_executors(EXECUTORS).await;
    let master = job.master(1).await;
    bench.cluster.order(&Order::StopResourceManager);
    job.ended_by_itself(master).await;
    let log = job.log(1);
    assert!(log.contains("the ResourceManager has been silent for 2"), "{log}");
    assert!(log.contains("this attempt ends without unregistering"), "{log}");
    // What ends now finds nobody who lets it commit.
    bench.open();
    bench.ended(EXECUTORS).await;
    job.must_have(&executors).await;
    assert_eq!(bench.results("results"), [""; 0]);
    let start = Order::StartResourceManager(Recovery::WorkPreserving);
    bench.cluster.order(&start);
    job.must_end_well(&bench).await;
    bench.assert_nothing_run_again(TASKS);
    drop(job);
    bench.cluster.shutdown().await;
}

/// Nobody says that the node is lost: YARN waits for it, and executors wait for the next ApplicationMaster.
#[tokio::test(flavor = "multi_thread")]
async fn w11_executors_outlive_the_node_of_the_master_and_the_time_until_yarn_notices() {
    let options = Options {
        node_expiry: Duration::from_secs(3),
        ..apart()
    };
    let Some(bench) = Bench::new(options).await else {
        return;
    };
    bench.write_gated(EXECUTORS, "");
    let mut job = bench.submit(&[]).await;
    bench.began(EXECUTORS).await;
    let executors = job.all_executors(EXECUTORS).await;
    let node = job.node_of_master(&bench);
    bench.cluster.order(&Order::FreezeNode(node));
    job.registered_with(2, EXECUTORS).await;
    job.must_have(&executors).await;
    bench.cluster.order(&Order::ThawNode(node));
    bench.open();
    job.must_end_well(&bench).await;
    bench.assert_nothing_run_again(TASKS);
    drop(job);
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w12_after_the_last_attempt_nothing_is_left_running_and_the_application_has_failed() {
    let Some(bench) = Bench::new(Options::default()).await else {
        return;
    };
    bench.write_gated(EXECUTORS, "  am.max-attempts: 1");
    let mut job = bench.submit(&[]).await;
    bench.began(EXECUTORS).await;
    signal(job.master(1).await, Signal::KILL);
    assert_eq!(job.end().await, Some(5), "{}", job.said());
    assert_eq!(job.verdict().await.0, "FAILED");
    job.no_process_is_left().await;
    drop(job);
    bench.cluster.shutdown().await;
}

#[test]
fn the_table_of_windows_names_tests_that_exist() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(workspace.join("docs/reliability.md")).unwrap();
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| W")).collect();
    assert_eq!(rows.len(), 12);
    for (number, row) in (1..).zip(rows) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[1], format!("W{number}"));
        let quoted: Vec<_> = cells[4].split('`').skip(1).step_by(2).collect();
        let (file, tests) = quoted.split_last().unwrap();
        let source = std::fs::read_to_string(workspace.join(file)).unwrap();
        assert!(!tests.is_empty(), "{row}");
        for test in tests {
            assert!(test.starts_with(&format!("w{number}_")), "{test}");
            assert!(source.contains(&format!("fn {test}(")), "{file} lacks {test}");
        }
    }
}
