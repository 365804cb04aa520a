//! The ApplicationMaster dies on a real Hadoop with HDFS, in every way that we know of: executors go on, no finished
//! task is run again, no running one is restarted, the application succeeds.
//!
//! The ignored tests are the same at the size of docs/reliability.md, and print what they measure:
//! `cargo xtask test --suite recovery -- --ignored`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::application::{Application, STEP};
use harness::hadoop::{Hadoop, Shared, Signal};
use harness::process::Running;
use harness::processes::Process;
use harness::user::User;
use harness::wait;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

static HADOOP: Shared = Shared::new(|| Hadoop::builder().nodes(3));

const EXECUTORS: usize = 3;

/// One line that a task wrote: which attempt, where, when.
#[derive(Debug, Clone)]
struct Mark {
    attempt: String,
    executor: String,
    /// Nanoseconds since 1970.
    at: u128,
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// A job of many short tasks that write down when they begin and end.
struct Many<'a> {
    user: User<'a>,
    tasks: usize,
    client: Option<Running>,
    application: Application<'a>,
}

impl<'a> Many<'a> {
    fn begin(hadoop: &'a Hadoop, name: &str, tasks: usize, seconds: &str, conf: &str) -> Self {
        let user = User::new(hadoop, name).unwrap();
        let dir = user.dir().display().to_string();
        let job = format!(
            "version: 1
name: {name}
executors: {{ instances: {EXECUTORS}, memory: 256MiB, cores: 1 }}
conf: {{ task.max-failures: 1, executor.heartbeat.interval: 500ms, executor.heartbeat.suspect: 3s{conf} }}
stages:
  - name: work
    tasks: {tasks}
    shell: |
      mark() {{ echo $DRAWLOOM_TASK.$DRAWLOOM_TASK_ATTEMPT $DRAWLOOM_EXECUTOR_ID $(date +%s%N) >> {dir}/$1; }}
      mark began
      sleep {seconds}
      mark ended
      echo result of $DRAWLOOM_TASK
    output: results
"
        );
        let mut client = user.submit(&job, &[]).unwrap();
        let application = Application::submitted_by(hadoop, &mut client).unwrap();
        Self {
            user,
            tasks,
            client: Some(client),
            application,
        }
    }

    fn marks(&self, name: &str) -> Vec<Mark> {
        let path: PathBuf = self.user.dir().join(name);
        let text = fs::read_to_string(path).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mark = |line: &str| {
            let words: Vec<_> = line.split(' ').collect();
            Mark {
                attempt: words[0].to_owned(),
                executor: words[1].to_owned(),
                at: words[2].parse().unwrap(),
            }
        };
        whole.lines().map(mark).collect()
    }

    fn wait_ended(&self, count: usize) {
        let limit = STEP * 4;
        wait::until("tasks to end", limit, || self.marks("ended").len() >= count).unwrap();
    }

    fn wait_percent(&self, percent: usize) {
        self.wait_ended((self.tasks * percent).div_ceil(100));
    }

    fn master(&self, attempt: u32) -> Process {
        // A ResourceManager that has restarted puts its epoch into the ids of containers.
        let tail = format!("_{attempt:02}_000001");
        let is_master = |process: &Process| {
            let container = process.variable("CONTAINER_ID").unwrap_or_default();
            process.command.ends_with("drawloom am") && container.ends_with(&tail)
        };
        let find = || Ok(self.application.processes().into_iter().find(is_master));
        wait::for_value("an ApplicationMaster", STEP, find).unwrap()
    }

    fn executors(&self) -> BTreeSet<i32> {
        let sessions = || {
            let all: BTreeSet<_> = self.application.executors().iter().map(|one| one.pid).collect();
            Ok((all.len() == EXECUTORS).then_some(all))
        };
        wait::for_value("the executors", STEP, sessions).unwrap()
    }

    /// Requires these executors, and no others: a task looks like its executor until it runs its command.
    fn must_have(&self, executors: &BTreeSet<i32>) {
        let same = || {
            let all: BTreeSet<_> = self.application.executors().iter().map(|one| one.pid).collect();
            all == *executors
        };
        wait::until("the executors of before", STEP, same).unwrap();
    }

    /// Requires success after so many attempts, and the right results.
    fn must_succeed(&mut self, attempts: usize) {
        let output = self.client.take().unwrap().wait(STEP * 4).unwrap();
        output.must_end(0, &["verdict    succeeded"]);
        let report = self.application.report().unwrap();
        assert_eq!(report["finalStatus"], "SUCCEEDED", "{report}");
        let path = format!("/ws/v1/cluster/apps/{}/appattempts", self.application.id());
        let listed = self.user.hadoop().rm_get(&path).unwrap();
        let listed = listed["appAttempts"]["appAttempt"].as_array().unwrap().len();
        assert_eq!(listed, attempts);
        let results = self.user.must(["fs", "cat", "results/part-*"]).unwrap();
        let expected: String = (0..self.tasks)
            .map(|task| format!("result of {task}\n"))
            .collect();
        assert_eq!(results, expected);
        self.application.wait_gone().unwrap();
        assert_eq!(self.user.staged().unwrap(), [""; 0]);
    }

    /// How often each task was begun, where that is not once.
    fn begun_again(&self) -> BTreeMap<String, usize> {
        let mut begun = BTreeMap::new();
        for mark in self.marks("began") {
            let task = mark.attempt.split('.').next().unwrap().to_owned();
            *begun.entry(task).or_insert(0) += 1;
        }
        assert_eq!(begun.len(), self.tasks);
        begun.retain(|_, times| *times != 1);
        begun
    }

    /// From `since` to the first task that began on each executor after it, in seconds; the smallest and the largest.
    /// None when there was nothing left to begin.
    fn gaps(&self, since: u128) -> Option<(f64, f64)> {
        let mut first: BTreeMap<String, u128> = BTreeMap::new();
        for mark in self.marks("began").into_iter().filter(|mark| mark.at > since) {
            first.entry(mark.executor).or_insert(mark.at);
        }
        let least = first.values().min()?;
        let most = first.values().max()?;
        let seconds = |at: &u128| (at - since) as f64 / 1e9;
        Some((seconds(least), seconds(most)))
    }
}

/// Kills the ApplicationMaster at a share of the tasks done; nothing else may happen.
fn killed_at(hadoop: &Hadoop, percent: usize, tasks: usize, seconds: &str) {
    let name = format!("killed-{percent}-{tasks}");
    let mut many = Many::begin(hadoop, &name, tasks, seconds, "");
    many.wait_percent(percent);
    let executors = many.executors();
    let first = many.master(1);
    let killed = now();
    first.signal(Signal::KILL);
    // With little left to do the second one is over before it is seen.
    let up = (percent < 90).then(|| {
        many.master(2);
        let up = now();
        many.must_have(&executors);
        (up - killed) as f64 / 1e9
    });
    many.must_succeed(2);
    assert_eq!(many.begun_again(), BTreeMap::new(), "nothing is run again");
    eprintln!(
        "killed at {percent} % of {tasks}: attempt 2's process after {up:.2?} s, next tasks begun after {:.2?} s",
        many.gaps(killed),
    );
}

#[test]
fn a_master_killed_early_midway_or_late_costs_no_task_and_no_executor() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    for percent in [10, 50, 95] {
        killed_at(hadoop, percent, 45, "0.3");
    }
}

#[test]
#[ignore = "a measurement of some minutes"]
fn three_hundred_tasks_of_a_second() {
    let hadoop = Hadoop::builder()
        .nodes(3)
        .node_heartbeat(Duration::from_secs(1))
        .start()
        .unwrap();
    let _tails = hadoop.tails_on_panic();
    for percent in [10, 50, 95] {
        killed_at(&hadoop, percent, 300, "1");
    }
}

#[test]
fn a_master_killed_twice_in_a_row_costs_nothing_either() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let conf = ", am.failures.validity-interval: 1ms";
    let mut many = Many::begin(hadoop, "twice", 30, "0.3", conf);
    many.wait_ended(5);
    let executors = many.executors();
    many.master(1).signal(Signal::KILL);
    many.master(2).signal(Signal::KILL);
    many.master(3);
    many.must_have(&executors);
    many.must_succeed(3);
    assert_eq!(many.begun_again(), BTreeMap::new());
}

#[test]
fn masters_replaced_on_order_do_not_count_as_failed() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let mut many = Many::begin(hadoop, "replaced", 45, "0.5", "");
    many.wait_ended(3);
    let executors = many.executors();
    for attempt in [2, 3] {
        let id = many.application.id().to_owned();
        let output = many.user.run(["restart-am", &id]).unwrap();
        output.must_end(0, &[&format!("attempt {attempt} has replaced")]);
    }
    many.must_have(&executors);
    many.must_succeed(3);
    assert_eq!(many.begun_again(), BTreeMap::new());
    let id = many.application.id().to_owned();
    let late = many.user.run(["restart-am", &id]).unwrap();
    late.must_end(3, &["has ended already", "drawloom status"]);
}

#[test]
fn a_frozen_master_that_wakes_up_finds_itself_replaced() {
    let expiry = Duration::from_secs(5);
    let hadoop = Hadoop::builder().nodes(2).am_expiry(expiry).start().unwrap();
    let _tails = hadoop.tails_on_panic();
    let mut many = Many::begin(&hadoop, "frozen", 45, "0.5", "");
    many.wait_ended(3);
    let executors = many.executors();
    let first = many.master(1);
    first.signal(Signal::STOP);
    many.master(2);
    let ended = many.marks("ended").len();
    many.wait_ended(ended + 6);
    first.signal(Signal::CONT);
    wait::until("the end of the first", STEP, || first.has_ended()).unwrap();
    many.must_have(&executors);
    many.must_succeed(2);
    assert_eq!(many.begun_again(), BTreeMap::new());
}

#[test]
fn the_resource_manager_may_restart_at_the_same_time() {
    let hadoop = Hadoop::builder().nodes(2).rm_recovery(true).start().unwrap();
    let _tails = hadoop.tails_on_panic();
    let mut many = Many::begin(&hadoop, "both", 45, "0.5", "");
    many.wait_ended(5);
    let executors = many.executors();
    hadoop.kill_rm().unwrap();
    many.master(1).signal(Signal::KILL);
    hadoop.restart_rm().unwrap();
    hadoop.wait_nodes(2, STEP).unwrap();
    many.master(2);
    many.must_have(&executors);
    many.must_succeed(2);
    assert_eq!(many.begun_again(), BTreeMap::new());
}

#[test]
fn a_master_lost_with_its_node_costs_only_what_ran_there() {
    let expiry = Duration::from_secs(5);
    let hadoop = Hadoop::builder()
        .nodes(3)
        .am_expiry(expiry)
        .node_expiry(expiry)
        .start()
        .unwrap();
    let _tails = hadoop.tails_on_panic();
    let mut many = Many::begin(&hadoop, "node", 60, "0.5", "");
    many.wait_ended(5);
    let executors = many.executors();
    let containers = many.application.containers();
    let master = containers
        .iter()
        .find(|one| one.container.ends_with("_000001"))
        .unwrap();
    let there: BTreeSet<_> = containers
        .iter()
        .filter(|one| one.node == master.node)
        .map(|one| one.container.clone())
        .collect();
    let victims: Vec<_> = many.application.processes();
    hadoop.kill_node(master.node, Signal::KILL).unwrap();
    for process in victims {
        let container = process.variable("CONTAINER_ID");
        if container.is_some_and(|container| there.contains(&container)) {
            process.signal(Signal::KILL);
        }
    }
    many.master(2);
    many.must_succeed(2);
    let survivors: Vec<_> = many.begun_again().into_iter().collect();
    let lost = there.len() - 1;
    assert!(lost < executors.len(), "an executor elsewhere: {containers:?}");
    // What ran there, and what had just ended there and was known to nobody that is left.
    assert!(
        survivors.len() <= 2 * lost,
        "{survivors:?}, and {lost} executors were lost"
    );
}
