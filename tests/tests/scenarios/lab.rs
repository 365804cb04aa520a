//! An embedded cluster in this process, and jobs of the real binary on it, whose tasks wait at a gate until a test
//! has done its worst.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::http;
use harness::mode::Mode;
use harness::process::{Drawloom, Output, Running};
use harness::processes::{self, Process};
use harness::wait;
use mini::{Action, Cluster, Fault, Options, Order, Trigger};
use serde_json::Value;
use tokio::runtime::Runtime;

/// How long a step may take on a busy machine.
pub(crate) const STEP: Duration = Duration::from_secs(120);

/// How long an answer may take before it is asked for again: the ApplicationMaster may be dying.
const ASK: Duration = Duration::from_secs(20);

/// Timings that make waits short, and budgets that no scenario uses up by accident.
const CONF: &str = "executor.heartbeat.interval: 200ms, executor.heartbeat.suspect: 1s, executor.heartbeat.dead: 3s, \
                    executor.relaunch.backoff.max: 300ms, executor.max-failures: 50, task.max-failures: 20, \
                    task.kill.grace: 1s, rm.heartbeat.idle: 500ms, scheduler.max-registered-wait: 2s";

/// A cluster and a person's directory.
pub(crate) struct Lab {
    runtime: Runtime,
    cluster: Option<Cluster>,
    home: tempfile::TempDir,
    /// A program with arguments that commands are started through: it decides where the person is.
    pub(crate) from: Vec<String>,
}

impl Lab {
    pub(crate) fn new(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options {
            nodes: 3,
            ..Options::default()
        };
        change(&mut options);
        let runtime = Runtime::new().unwrap();
        let cluster = runtime.block_on(Cluster::start(options)).unwrap();
        Self {
            runtime,
            cluster: Some(cluster),
            home: tempfile::tempdir().unwrap(),
            from: Vec::new(),
        }
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().unwrap()
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn order(&self, order: &Order) {
        // Orders may start tasks.
        let _entered = self.runtime.enter();
        self.cluster().order(order);
    }

    /// The `nth` call of a method from now on meets `action`.
    pub(crate) fn fault(&self, method: &str, nth: u32, action: Action) {
        let on = Trigger::call(method);
        self.cluster().faults().order(Fault { on, nth, action });
    }

    /// Every node's copy of the binary becomes a shell script, for whatever begins from now on.
    pub(crate) fn replace_binary(&self, script: &str) {
        let nodes = self.cluster().directory().join("nodes");
        let copies = files_below(&nodes, |path| {
            path.ends_with("drawloom") && path.iter().any(|part| part == "filecache") && !path.is_symlink()
        });
        assert!(
            !copies.is_empty(),
            "no copy of the binary below {}",
            nodes.display()
        );
        for copy in &copies {
            let new = copy.with_extension("new");
            fs::write(&new, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
            // Over it rather than into it: it runs.
            fs::rename(&new, copy).unwrap();
        }
    }

    pub(crate) fn drawloom(&self, args: &[&str]) -> Drawloom {
        Drawloom::without_cluster(&self.home().join("said"))
            .env("HADOOP_CONF_DIR", self.cluster().conf_dir())
            .env("HOME", self.home())
            .env("XDG_CONFIG_HOME", self.home())
            .env("DRAWLOOM_DEPLOY_MODE", Mode::of_run().to_string())
            .current_dir(self.home())
            .args(args)
            .through(&self.from)
    }

    /// A job of `tasks` tasks on `executors` executors of one slot, each of which runs `script` and then gives its
    /// result; submitted.
    pub(crate) fn job(&self, name: &str, executors: u32, tasks: u32, script: &str) -> Job<'_> {
        self.job_with(name, executors, tasks, script, "")
    }

    /// The same with more settings, `key=value …`.
    pub(crate) fn job_with(
        &self,
        name: &str,
        executors: u32,
        tasks: u32,
        script: &str,
        conf: &str,
    ) -> Job<'_> {
        let results = self.home().join(format!("{name}-results"));
        let text = format!(
            "version: 1\nname: {name}\nexecutors: {{ instances: {executors}, memory: 256MiB, cores: 1 }}\n\
             conf: {{ {CONF} }}\nstages:\n  - name: work\n    tasks: {tasks}\n    shell: |\n      {}\n      \
             echo result of $DRAWLOOM_TASK\n    output: file://{}\n",
            script.replace('\n', "\n      "),
            results.display()
        );
        self.submitted(name, &text, tasks, conf)
    }

    /// A submitted job file of so many tasks.
    pub(crate) fn submitted(&self, name: &str, text: &str, tasks: u32, conf: &str) -> Job<'_> {
        let file = format!("{name}.yaml");
        fs::write(self.home().join(&file), text).unwrap();
        let more = conf.split_whitespace().flat_map(|setting| ["--conf", setting]);
        let client = self.drawloom(&["submit", &file]).args(more);
        let mut client = client.spawn().unwrap();
        let line = client.wait_for_text("submitted", STEP).unwrap();
        let id = line
            .split_whitespace()
            .find(|word| word.starts_with("application_"));
        Job {
            lab: self,
            id: id.unwrap().to_owned(),
            client: Some(client),
            results: self.home().join(format!("{name}-results")),
            tasks,
        }
    }

    /// A job whose tasks wait at the gate; given back once `arrived` of them do.
    pub(crate) fn gated(&self, name: &str, executors: u32, tasks: u32, arrived: usize) -> Job<'_> {
        let job = self.job(name, executors, tasks, &self.gate());
        self.wait_arrivals(arrived);
        job
    }

    /// Shell commands that wait at the gate.
    pub(crate) fn gate(&self) -> String {
        let home = self.home().display();
        format!(
            "mkdir -p {home}/arrivals; touch {home}/arrivals/$DRAWLOOM_TASK.$DRAWLOOM_TASK_ATTEMPT\n\
             until [ -e {home}/open ]; do sleep 0.02; done"
        )
    }

    pub(crate) fn arrivals(&self) -> Vec<String> {
        let entries = fs::read_dir(self.home().join("arrivals"))
            .into_iter()
            .flatten()
            .flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    pub(crate) fn wait_arrivals(&self, count: usize) {
        wait::until("tasks at the gate", STEP, || self.arrivals().len() >= count).unwrap();
    }

    pub(crate) fn open_gate(&self) {
        fs::write(self.home().join("open"), "").unwrap();
    }

    /// The number, from 1, of the node that a container is on.
    pub(crate) fn node_of(&self, container: &str) -> usize {
        let at = self.cluster().nodes().iter().position(|node| {
            let there = node.containers();
            there.iter().any(|view| view.id.to_string() == container)
        });
        at.unwrap() + 1
    }
}

fn files_below(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder {
                open.push(path);
            } else if wanted(&path) {
                found.push(path);
            }
        }
    }
    found
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster.take() {
            self.runtime.block_on(cluster.shutdown());
        }
    }
}

/// A submitted job.
pub(crate) struct Job<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) id: String,
    /// The client that waits for it.
    pub(crate) client: Option<Running>,
    results: PathBuf,
    tasks: u32,
}

impl Job<'_> {
    fn get(&self, name: &str) -> anyhow::Result<Value> {
        let address = self.lab.cluster().web_address().parse()?;
        let path = format!("/proxy/{}/api/v1/drawloom/{name}", self.id);
        http::get_json(address, &path, ASK)
    }

    /// What the ApplicationMaster says now.
    pub(crate) fn answer(&self, name: &str) -> Value {
        self.wait_answer(name, name, |answer| !answer.is_null())
    }

    pub(crate) fn wait_answer(&self, name: &str, what: &str, pleases: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = wait::for_value(what, STEP, || {
            last = self.get(name).unwrap_or_default();
            Ok(pleases(&last).then(|| last.clone()))
        });
        found.unwrap_or_else(|error| panic!("{error:#}; the last {name}: {last:#}\n{}", self.log()))
    }

    pub(crate) fn wait_summary(&self, what: &str, pleases: impl Fn(&Value) -> bool) -> Value {
        self.wait_answer("summary", what, pleases)
    }

    /// Waits until so many executors were lost and so many are up.
    pub(crate) fn wait_executors(&self, lost: u32, registered: u32) {
        self.wait_summary(&format!("{lost} losses, {registered} executors"), |summary| {
            let executors = &summary["executors"];
            executors["lost"] == lost && executors["registered"] == registered
        });
    }

    /// The dossier of the latest loss, once there are so many.
    pub(crate) fn dossier(&self, losses: usize) -> Value {
        let dossiers = self.wait_answer("dossiers", "dossiers", |list| {
            list.as_array().is_some_and(|list| list.len() >= losses)
        });
        dossiers.as_array().unwrap().last().unwrap().clone()
    }

    pub(crate) fn executors(&self) -> Vec<Process> {
        let proper = |process: &Process| process.command.starts_with("drawloom executor");
        processes::of_application(&self.id)
            .into_iter()
            .filter(proper)
            .collect()
    }

    /// The id of a process's container.
    pub(crate) fn container_of(&self, process: &Process) -> String {
        process.variable("CONTAINER_ID").unwrap()
    }

    /// The node's number of an executor that does not share it with the ApplicationMaster.
    pub(crate) fn node_apart(&self) -> (usize, Process) {
        let master = self.lab.node_of(&self.container(1));
        let executors = self.executors().into_iter();
        let mut placed =
            executors.map(|executor| (self.lab.node_of(&self.container_of(&executor)), executor));
        placed
            .find(|(node, _)| *node != master)
            .expect("an executor beside the ApplicationMaster's node")
    }

    /// The id of a container of the first attempt.
    pub(crate) fn container(&self, number: u32) -> String {
        format!(
            "container{}_01_{number:06}",
            self.id.trim_start_matches("application")
        )
    }

    /// What the ApplicationMasters have logged.
    pub(crate) fn log(&self) -> String {
        let nodes = self.lab.cluster().nodes().iter();
        let masters = nodes.flat_map(|node| {
            let views = node.containers().into_iter();
            let mine = views.filter(|view| view.id.to_string().ends_with("_000001"));
            mine.filter_map(|view| node.log(view.id, "stderr", None).ok())
        });
        masters
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }

    /// Opens the gate and requires success with exactly the right results, and that nothing is left.
    pub(crate) fn succeed(mut self) -> Output {
        self.lab.open_gate();
        let output = self.end();
        assert_eq!(output.code, Some(0), "{output}\n{}", self.log());
        self.assert_results();
        self.assert_nothing_left();
        output
    }

    /// Requires failure with these words, and that nothing is left.
    pub(crate) fn fail(mut self, words: &[&str]) {
        let output = self.end();
        output.must_end(1, words);
        self.assert_nothing_left();
    }

    /// The client is killed.
    pub(crate) fn drop_client(&mut self) {
        drop(self.client.take());
    }

    /// Whether the results are marked as complete.
    pub(crate) fn is_marked(&self) -> bool {
        self.results.join("_SUCCESS").exists()
    }

    /// Waits for the end of the client.
    pub(crate) fn end(&mut self) -> Output {
        self.client.take().unwrap().wait(STEP * 2).unwrap()
    }

    pub(crate) fn assert_results(&self) {
        let mut expected = vec!["_SUCCESS".to_owned()];
        expected.extend((0..self.tasks).map(|task| format!("part-{task:05}")));
        let entries = fs::read_dir(&self.results).unwrap().flatten();
        let mut listed: Vec<_> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        listed.sort();
        assert_eq!(listed, expected);
        for task in 0..self.tasks {
            let part = fs::read_to_string(self.results.join(format!("part-{task:05}"))).unwrap();
            assert_eq!(part, format!("result of {task}\n"));
        }
    }

    /// No process, no container and no staged file of the job is left.
    pub(crate) fn assert_nothing_left(&self) {
        let gone = wait::until("processes to end", STEP, || {
            processes::of_application(&self.id).is_empty()
        });
        let left = || {
            let left = processes::of_application(&self.id).into_iter();
            left.map(|process| process.command).collect::<Vec<_>>()
        };
        gone.unwrap_or_else(|error| panic!("{error:#}: {:?}", left()));
        let staged = self.lab.home().join(".drawloom/apps").join(&self.id);
        let removed = wait::until("staged files to be removed", STEP, || !staged.exists());
        removed.unwrap_or_else(|error| {
            panic!(
                "{error:#}
{}",
                self.log()
            )
        });
    }
}
