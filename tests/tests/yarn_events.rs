//! What YARN itself does to running applications, on a real Hadoop: NodeManagers that restart, memory that is enforced,
//! signals that are sent. The same and more are scenarios on the embedded cluster; here the words and numbers are
//! YARN's own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::application::{Application, STEP};
use harness::hadoop::{Hadoop, Signal, Site};
use harness::process::Running;
use harness::user::User;
use harness::wait;
use serde_json::Value;
use std::fs;

/// Two tasks at the gate, on two executors.
struct Gated<'a> {
    user: User<'a>,
    client: Running,
    application: Application<'a>,
}

impl<'a> Gated<'a> {
    fn begin(hadoop: &'a Hadoop, before: &str, conf: &[&str]) -> Self {
        let user = User::new(hadoop, "ada").unwrap();
        let text = format!(
            "version: 1\nname: events\nexecutors: {{ instances: 2, memory: 256MiB, cores: 1 }}\nstages:\n  - name: work\n    \
             tasks: 2\n    shell: |\n      {before}\n      {}\n      echo result of $DRAWLOOM_TASK\n    output: file://{}\n",
            user.gate().wait(),
            user.dir().join("results").display()
        );
        let settings: Vec<&str> = conf.iter().flat_map(|setting| ["--conf", setting]).collect();
        let mut client = user.submit(&text, &settings).unwrap();
        let application = Application::submitted_by(hadoop, &mut client).unwrap();
        wait::until("both tasks", STEP, || user.gate().arrivals().len() >= 2).unwrap();
        Self {
            user,
            client,
            application,
        }
    }

    /// The number of the node that an executor has to itself.
    fn node_apart(&self) -> usize {
        let containers = self.application.containers();
        let master = containers
            .iter()
            .find(|one| one.container.ends_with("_000001"))
            .unwrap();
        1 - master.node
    }

    fn dossiers(&self) -> Value {
        let page = self.application.page("api/v1/drawloom/dossiers").unwrap();
        serde_json::from_slice(&page.body).unwrap_or_default()
    }

    /// Opens the gate and requires the right results.
    fn succeed(self) {
        self.user.gate().open().unwrap();
        self.client
            .wait(STEP)
            .unwrap()
            .must_end(0, &["succeeded: 2 of 2 tasks"]);
        for task in 0..2 {
            let part = self.user.dir().join(format!("results/part-{task:05}"));
            assert_eq!(fs::read_to_string(part).unwrap(), format!("result of {task}\n"));
        }
        self.application.wait_gone().unwrap();
    }
}

#[test]
fn a_node_manager_that_restarts_with_recovery_costs_nothing() {
    let hadoop = Hadoop::builder()
        .nodes(2)
        .hdfs(false)
        .node_recovery(true)
        .start()
        .unwrap();
    let _tails = hadoop.tails_on_panic();
    let gated = Gated::begin(&hadoop, "", &[]);
    let node = gated.node_apart();
    hadoop.kill_node(node, Signal::KILL).unwrap();
    hadoop.restart_node(node).unwrap();
    hadoop.wait_nodes(2, STEP).unwrap();
    let summary = gated.application.summary().unwrap();
    assert_eq!(summary["executors"]["lost"], 0, "{summary}");
    assert_eq!(gated.user.gate().arrivals().len(), 2, "no task ran again");
    gated.succeed();
}

#[test]
fn memory_that_yarn_enforces_is_told_with_its_numbers() {
    let enforced = "yarn.nodemanager.resource.memory.enforced";
    let hadoop = Hadoop::builder()
        .nodes(2)
        .hdfs(false)
        .property(Site::Yarn, enforced, false)
        .property(Site::Yarn, "yarn.nodemanager.pmem-check-enabled", true)
        .start()
        .unwrap();
    let _tails = hadoop.tails_on_panic();
    let fat = "if [ $DRAWLOOM_TASK = 0 -a $DRAWLOOM_TASK_ATTEMPT = 0 ]; then head -c 500M /dev/zero | tail | sleep 60; fi";
    // Its task comes to the gate with the second attempt.
    let gated = Gated::begin(&hadoop, fat, &["executor.memory.enforced=false"]);
    let dossier = gated.dossiers()[0].clone();
    assert_eq!(dossier["verdict"], "resource", "{dossier:#}");
    let advice = dossier["advice"].as_str().unwrap();
    assert!(advice.contains("asked 256 MiB, peak "), "{dossier:#}");
    gated.succeed();
}

#[test]
fn a_thread_dump_that_yarn_is_asked_for_is_written_and_ends_nobody() {
    let hadoop = Hadoop::builder().nodes(2).hdfs(false).start().unwrap();
    let _tails = hadoop.tails_on_panic();
    let gated = Gated::begin(&hadoop, "", &[]);
    let executor = gated.application.executors().remove(0);
    let container = executor.variable("CONTAINER_ID").unwrap();
    let cli = "org.apache.hadoop.yarn.client.cli.ApplicationCLI";
    hadoop
        .tool(cli, &["container", "-signal", &container, "OUTPUT_THREAD_DUMP"])
        .unwrap();
    let log = gated
        .application
        .containers()
        .into_iter()
        .find(|one| one.container == container);
    let log = log.unwrap().logs.join("stderr");
    wait::until("the dump", STEP, || {
        fs::read_to_string(&log)
            .unwrap_or_default()
            .contains("session: serving")
    })
    .unwrap();
    assert!(!executor.has_ended());
    gated.succeed();
}
