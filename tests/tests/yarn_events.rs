//! What YARN itself does to running applications, on a real Hadoop: NodeManagers that restart and leave, a
//! ResourceManager that stands still, containers taken for another queue, files that are not what they were, memory
//! that is enforced, signals that are sent. The same and more are scenarios on the embedded cluster; here the words
//! and numbers are YARN's own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::application::{Application, STEP};
use harness::hadoop::{Builder, Calculator, ContainerOnDisk, Hadoop, Role, Shared, Signal, Site};
use harness::process::{Output, Running};
use harness::processes::Process;
use harness::user::User;
use harness::wait;
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

static HADOOP: Shared = Shared::new(eventful);

/// How often an application is begun whose containers should be on both nodes.
const TRIES: u32 = 5;

/// Two hosts of four executors and two of a resource of the site's own each, two queues with half of them that may take the other half, and what belongs to
/// the other queue is taken back within seconds.
fn eventful() -> Builder {
    let preemption = "yarn.resourcemanager.monitor.capacity.preemption";
    let queue = "yarn.scheduler.capacity.root";
    let mut builder = Hadoop::builder()
        .nodes(2)
        .hdfs(false)
        .distinct_hosts(true)
        .node_recovery(true)
        .node_resources(1024, 8)
        .calculator(Calculator::Dominant)
        .property(Site::Yarn, "yarn.resource-types", "acme")
        .property(Site::Yarn, "yarn.nodemanager.resource-type.acme", 2)
        .property(Site::Yarn, "yarn.nodemanager.resource.memory.enforced", false)
        .property(Site::Yarn, "yarn.nodemanager.pmem-check-enabled", true)
        .property(Site::Yarn, "yarn.resourcemanager.scheduler.monitor.enable", true)
        .property(Site::Yarn, &format!("{preemption}.monitoring_interval"), 500)
        .property(Site::Yarn, &format!("{preemption}.max_wait_before_kill"), 2000)
        .property(
            Site::Yarn,
            &format!("{preemption}.total_preemption_per_round"),
            "1.0",
        )
        .property(
            Site::Yarn,
            &format!("{preemption}.natural_termination_factor"),
            "1.0",
        )
        .property(
            Site::CapacityScheduler,
            &format!("{queue}.queues"),
            "default,rival",
        );
    for name in ["default", "rival"] {
        builder = builder
            .property(Site::CapacityScheduler, &format!("{queue}.{name}.capacity"), 50)
            .property(
                Site::CapacityScheduler,
                &format!("{queue}.{name}.maximum-capacity"),
                100,
            )
            .property(
                Site::CapacityScheduler,
                &format!("{queue}.{name}.user-limit-factor"),
                2,
            );
    }
    builder
}

/// A job of tasks that wait at its person's gate and then give their results.
struct Plan<'a> {
    /// The person, who has this job only.
    name: &'a str,
    queue: &'a str,
    executors: usize,
    tasks: usize,
    /// What tasks do before they come to the gate.
    before: &'a str,
    /// What a task has of its executor's other resources.
    resources: &'a str,
    conf: &'a [&'a str],
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self {
            name: "ada",
            queue: "default",
            executors: 2,
            tasks: 2,
            before: "",
            resources: "",
            conf: &[],
        }
    }
}

/// A submitted job.
struct Gated<'a> {
    user: User<'a>,
    client: Running,
    application: Application<'a>,
    tasks: usize,
}

impl<'a> Gated<'a> {
    /// Submitted, and each executor has a task at the gate.
    fn begin(hadoop: &'a Hadoop, plan: &Plan<'_>) -> Self {
        let gated = Self::submit(hadoop, plan);
        wait::until("a task on each executor", STEP, || {
            gated.user.gate().arrivals().len() >= plan.executors
        })
        .unwrap();
        gated
    }

    /// The same with an executor on a node without the ApplicationMaster, where it usually is: a node that is silent
    /// for a moment gets nothing, and another application is begun.
    fn begin_apart(hadoop: &'a Hadoop, plan: &Plan<'_>) -> Self {
        for time in 1..=TRIES {
            let name = &format!("{}-{time}", plan.name);
            let gated = Self::begin(hadoop, &Plan { name, ..*plan });
            if gated.container_apart().is_some() {
                return gated;
            }
            gated.user.must(["kill", gated.application.id()]).unwrap();
        }
        panic!("all containers are on one node, {TRIES} times");
    }

    fn submit(hadoop: &'a Hadoop, plan: &Plan<'_>) -> Self {
        let user = User::new(hadoop, plan.name).unwrap();
        let file = user.write("shipped.txt", "as it was").unwrap();
        let text = format!(
            "version: 1\nname: events\nqueue: {}\nfiles: [{}]\nexecutors: {{ instances: {}, memory: 256MiB, cores: 1 }}\n\
             stages:\n  - name: work\n    tasks: {}\n    resources: {{ {} }}\n    shell: |\n      {}\n      {}\n      \
             echo result of $DRAWLOOM_TASK\n    output: file://{}\n",
            plan.queue,
            file.display(),
            plan.executors,
            plan.tasks,
            plan.resources,
            plan.before,
            user.gate().wait(),
            user.dir().join("results").display()
        );
        let settings: Vec<&str> = plan.conf.iter().flat_map(|setting| ["--conf", setting]).collect();
        let mut client = user.submit(&text, &settings).unwrap();
        let application = Application::submitted_by(hadoop, &mut client).unwrap();
        Self {
            user,
            client,
            application,
            tasks: plan.tasks,
        }
    }

    /// An executor's container that is not on the ApplicationMaster's node.
    fn container_apart(&self) -> Option<ContainerOnDisk> {
        let containers = self.application.containers();
        let is_master = |one: &&ContainerOnDisk| one.container.ends_with("_000001");
        let node = containers.iter().find(is_master).unwrap().node;
        containers.into_iter().find(|one| one.node != node)
    }

    /// The number of a node that has an executor and not the ApplicationMaster, and the executor.
    fn node_apart(&self) -> (usize, Process) {
        let apart = self.container_apart().unwrap();
        let there = |process: &Process| process.variable("CONTAINER_ID").as_ref() == Some(&apart.container);
        let executor = self.application.executors().into_iter().find(there);
        (apart.node, executor.unwrap())
    }

    /// The dossiers of lost executors once there are so many and YARN has said how they ended, the oldest first.
    fn dossiers(&self, count: usize) -> Vec<Value> {
        let mut last = Value::Null;
        let found = wait::for_value("dossiers", STEP, || {
            let page = self.application.page("api/v1/drawloom/dossiers");
            last = page.map_or(Value::Null, |page| {
                serde_json::from_slice(&page.body).unwrap_or_default()
            });
            let list = last.as_array().cloned().unwrap_or_default();
            let complete = list.len() >= count && list.iter().all(|one| one["exitStatus"].is_i64());
            Ok(complete.then_some(list))
        });
        found.unwrap_or_else(|error| panic!("{error:#}; the last dossiers: {last:#}"))
    }

    fn wait_executors(&self, lost: usize, registered: usize) {
        let pleases = |summary: &Value| {
            let executors = &summary["executors"];
            executors["lost"] == lost && executors["registered"] == registered
        };
        let what = format!("{lost} losses, {registered} executors");
        self.application.wait_summary(&what, pleases).unwrap();
    }

    /// No task was begun a second time.
    fn assert_no_rerun(&self) {
        let again = |arrival: &String| !arrival.ends_with(".0");
        let again: Vec<_> = self.user.gate().arrivals().into_iter().filter(again).collect();
        assert_eq!(again, [""; 0], "no task ran again");
    }

    /// Opens the gate and requires the right results.
    fn succeed(self) -> Output {
        self.user.gate().open().unwrap();
        let output = self.client.wait(STEP).unwrap();
        output.must_end(0, &[&format!("succeeded: {0} of {0} tasks", self.tasks)]);
        for task in 0..self.tasks {
            let part = self.user.dir().join(format!("results/part-{task:05}"));
            assert_eq!(fs::read_to_string(part).unwrap(), format!("result of {task}\n"));
        }
        self.application.wait_gone().unwrap();
        output
    }
}

#[test]
fn a_node_manager_that_restarts_with_recovery_costs_nothing() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let name = "restarts";
    let gated = Gated::begin_apart(
        hadoop,
        &Plan {
            name,
            ..Plan::default()
        },
    );
    let (node, _) = gated.node_apart();
    hadoop.kill_node(node, Signal::KILL).unwrap();
    hadoop.restart_node(node).unwrap();
    hadoop.wait_nodes(2, STEP).unwrap();
    let all = |summary: &Value| summary["executors"]["registered"] == 2;
    let summary = gated.application.wait_summary("the executors", all).unwrap();
    assert_eq!(summary["executors"]["lost"], 0, "{summary}");
    gated.assert_no_rerun();
    gated.succeed();
}

#[test]
fn memory_that_yarn_enforces_is_told_with_its_numbers() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let before = "if [ $DRAWLOOM_TASK = 0 -a $DRAWLOOM_TASK_ATTEMPT = 0 ]; then head -c 500M /dev/zero | tail | sleep 60; fi";
    // Its task comes to the gate with the second attempt.
    let plan = Plan {
        name: "memory",
        before,
        conf: &["executor.memory.enforced=false"],
        ..Plan::default()
    };
    let gated = Gated::begin(hadoop, &plan);
    let dossier = gated.dossiers(1).remove(0);
    assert_eq!(dossier["verdict"], "resource", "{dossier:#}");
    let advice = dossier["advice"].as_str().unwrap();
    assert!(advice.contains("asked 256 MiB, peak "), "{dossier:#}");
    gated.succeed();
}

/// Daemons that stand still until this is dropped, also by a failing test.
struct Frozen<'a>(&'a Hadoop, Vec<Role>);

impl<'a> Frozen<'a> {
    fn new(hadoop: &'a Hadoop, roles: Vec<Role>) -> Self {
        roles.iter().for_each(|role| hadoop.freeze(*role).unwrap());
        Self(hadoop, roles)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        for role in &self.1 {
            // A daemon that is gone fails what comes next, with its own words.
            let _ = self.0.thaw(*role);
        }
    }
}

/// What `yarn container -signal` is asked to send.
fn signal(hadoop: &Hadoop, container: &str, what: &str) {
    let cli = "org.apache.hadoop.yarn.client.cli.ApplicationCLI";
    hadoop
        .tool(cli, &["container", "-signal", container, what])
        .unwrap();
}

#[test]
fn signals_that_yarn_is_asked_for_dump_end_and_kill_and_are_told() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let name = "signals";
    let gated = Gated::begin(
        hadoop,
        &Plan {
            name,
            ..Plan::default()
        },
    );
    let executors = gated.application.executors();
    let container = executors[0].variable("CONTAINER_ID").unwrap();
    let containers = gated.application.containers();
    let log = containers.iter().find(|one| one.container == container);
    let log = log.unwrap().logs.join("stderr");
    signal(hadoop, &container, "OUTPUT_THREAD_DUMP");
    wait::until("the dump", STEP, || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        text.contains("session: serving")
    })
    .unwrap();
    assert!(!executors[0].has_ended());

    signal(hadoop, &container, "GRACEFUL_SHUTDOWN");
    gated.wait_executors(1, 2);
    let other = executors[1].variable("CONTAINER_ID").unwrap();
    signal(hadoop, &other, "FORCEFUL_SHUTDOWN");
    gated.wait_executors(2, 2);
    let dossiers = gated.dossiers(2);
    let statuses: Vec<_> = dossiers.iter().map(|one| &one["exitStatus"]).collect();
    assert!(
        statuses.contains(&&json!(143)) && statuses.contains(&&json!(137)),
        "{dossiers:#?}"
    );
    gated.succeed();
}

#[test]
fn files_that_changed_after_the_submission_end_the_application_with_yarns_words() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    // Nothing is granted while the nodes stand still, so there is time to change what was staged.
    let frozen = Frozen::new(hadoop, vec![Role::NodeManager(0), Role::NodeManager(1)]);
    let plan = Plan {
        name: "changed",
        conf: &["executor.relaunch.backoff.max=300ms"],
        ..Plan::default()
    };
    let gated = Gated::submit(hadoop, &plan);
    let file = find(&gated.user.dir().join(".drawloom"), "shipped.txt");
    fs::write(&file, "as it is now").unwrap();
    drop(frozen);
    let output = gated.client.wait(STEP).unwrap();
    output.must_end(
        1,
        &[
            "executors keep failing",
            "changed on src filesystem",
            "executor.max-failures",
        ],
    );
    gated.application.wait_gone().unwrap();
}

/// The path of a file below a folder.
fn find(folder: &std::path::Path, name: &str) -> std::path::PathBuf {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.ends_with(name) {
                return path;
            }
            open.extend(path.is_dir().then_some(path));
        }
    }
    panic!("no {name} below {}", folder.display())
}

#[test]
fn what_another_queue_takes_back_is_nobodys_failure() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    // The first has six of the eight containers, the second wants its four: two are taken.
    let plan = Plan {
        name: "first",
        executors: 5,
        tasks: 5,
        conf: &["executor.max-failures=1", "am.memory=256MiB"],
        ..Plan::default()
    };
    let first = Gated::begin(hadoop, &plan);
    let plan = Plan {
        name: "second",
        queue: "rival",
        executors: 3,
        tasks: 3,
        ..Plan::default()
    };
    let second = Gated::begin(hadoop, &plan);
    for dossier in first.dossiers(2) {
        let (verdict, counts) = (&dossier["verdict"], &dossier["counts"]);
        assert_eq!(
            (verdict, counts),
            (&json!("policy"), &json!(false)),
            "{dossier:#}"
        );
    }
    let log = first.application.master_log(1).unwrap();
    assert!(log.contains("YARN wants containers back"), "{log}");
    second.succeed();
    first
        .application
        .wait_summary("all executors again", |summary| {
            summary["executors"]["registered"] == 5
        })
        .unwrap();
    first.succeed();
}

#[test]
fn executors_get_what_else_a_cluster_has_and_nobody_what_it_does_not_have() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let plan = Plan {
        name: "others",
        tasks: 3,
        before: "test \"$DRAWLOOM_RESOURCES\" = acme=2 || exit 9",
        resources: "acme: 2",
        conf: &[
            "executors.resources=acme=2",
            "executors.cores=2",
            "task.max-failures=1",
        ],
        ..Plan::default()
    };
    let gated = Gated::begin(hadoop, &plan);
    let alone = |summary: &Value| summary["tasks"]["running"] == 2;
    gated
        .application
        .wait_summary("a task on each executor, and no room for the third", alone)
        .unwrap();
    let containers = gated.application.containers().into_iter();
    let executors = containers.filter(|one| !one.container.ends_with("_000001"));
    let mut nodes: Vec<_> = executors.map(|one| one.node).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, [0, 1], "each node has enough for one");
    let user = User::new(hadoop, "unknown").unwrap();
    let args = ["run", "--conf", "executors.resources=yarn.io/gpu=1", "--", "true"];
    let words = [
        "no resource \"yarn.io/gpu\"",
        "besides memory and cores it has acme",
    ];
    user.run(args).unwrap().must_end(3, &words);
    gated.succeed();
}

#[test]
fn a_node_that_is_decommissioned_in_good_order_is_drained() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let plan = Plan {
        name: "leaving",
        tasks: 4,
        ..Plan::default()
    };
    let gated = Gated::begin_apart(hadoop, &plan);
    let (node, executor) = gated.node_apart();
    hadoop.decommission(&[node], Duration::from_secs(120)).unwrap();
    // Its successor is there before it goes, because its own task has not ended.
    let log = || gated.application.master_log(1).unwrap_or_default();
    wait::until("the news", STEP, || log().contains("Decommissioning")).unwrap();
    assert!(!executor.has_ended());
    gated.user.gate().open().unwrap();
    wait::until("its end", STEP, || executor.has_ended()).unwrap();
    gated.assert_no_rerun();
    let output = gated.succeed();
    assert_eq!(
        output
            .failures()
            .iter()
            .filter(|line| line.contains("stage"))
            .count(),
        0,
        "{output}"
    );
    hadoop.decommission(&[], Duration::ZERO).unwrap();
    hadoop.restart_node(node).unwrap();
    hadoop.wait_nodes(2, STEP).unwrap();
}

#[test]
fn while_the_resource_manager_stands_still_for_a_minute_work_goes_on() {
    const TASKS: usize = 30;
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let user = User::new(hadoop, "still").unwrap();
    let (done, results) = (user.dir().join("done"), user.dir().join("results"));
    let text = format!(
        "version: 1\nname: still\nexecutors: {{ instances: 2, memory: 256MiB, cores: 1 }}\nstages:\n  - name: work\n    \
         tasks: {TASKS}\n    shell: |\n      {}\n      sleep 1\n      echo $DRAWLOOM_TASK.$DRAWLOOM_TASK_ATTEMPT >> {}\n  - name: last\n    \
         after: [work]\n    tasks: 2\n    command: [echo, result]\n    output: file://{}\n",
        user.gate().wait(),
        done.display(),
        results.display()
    );
    let mut client = user.submit(&text, &[]).unwrap();
    let application = Application::submitted_by(hadoop, &mut client).unwrap();
    wait::until("both tasks", STEP, || user.gate().arrivals().len() == 2).unwrap();
    let frozen = Frozen::new(hadoop, vec![Role::ResourceManager(0)]);
    let until = Instant::now() + Duration::from_secs(60);
    user.gate().open().unwrap();
    let lines = || fs::read_to_string(&done).unwrap_or_default().lines().count();
    // That takes longer than results may be committed without a word of the ResourceManager's (10 s).
    wait::until("all tasks of the stage", STEP, || lines() == TASKS).unwrap();
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
    assert!(!results.join("_SUCCESS").exists());
    drop(frozen);
    let output = client.wait(STEP).unwrap();
    output.must_end(0, &[&format!("succeeded: {0} of {0} tasks", TASKS + 2)]);
    assert_eq!(output.failures(), [""; 0], "{output}");
    assert_eq!(lines(), TASKS, "no task ran again");
    assert_eq!(application.containers().len(), 1 + 2);
    application.wait_gone().unwrap();
}
