//! A job that shows everything pages have: a graph of stages, failed attempts, tasks that wait, and an executor that can
//! be killed; on the embedded cluster or on a real one.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::hadoop::{Hadoop, Signal};
use harness::http::{self, Response};
use harness::process::{Drawloom, Output, Running};
use harness::processes::{self, Process};
use harness::wait;
use mini::{Cluster, Options};
use serde_json::Value;
use tokio::runtime::Runtime;

/// How long a step may take on a busy machine.
const STEP: Duration = Duration::from_secs(120);
/// Of the job; each has one slot.
const EXECUTORS: u64 = 3;

/// Where the job runs.
enum Yarn {
    Embedded(
        Cluster,
        #[expect(dead_code, reason = "the cluster lives in it")] Runtime,
    ),
    Real(Box<Hadoop>),
}

/// The cluster, a person's directory and the job.
pub(crate) struct Lab {
    yarn: Yarn,
    home: tempfile::TempDir,
    client: Option<Running>,
    application: String,
}

impl Lab {
    pub(crate) fn embedded() -> Self {
        let runtime = Runtime::new().unwrap();
        let cluster = runtime.block_on(Cluster::start(Options::default())).unwrap();
        Self::submit(Yarn::Embedded(cluster, runtime))
    }

    pub(crate) fn real() -> Self {
        let hadoop = Hadoop::builder().nodes(2).start().unwrap();
        Self::submit(Yarn::Real(Box::new(hadoop)))
    }

    fn submit(yarn: Yarn) -> Self {
        let mut lab = Self {
            yarn,
            home: tempfile::tempdir().unwrap(),
            client: None,
            application: String::new(),
        };
        fs::write(lab.home.path().join("job.yaml"), lab.job()).unwrap();
        let mut client = lab.drawloom(&["submit", "job.yaml"]).spawn().unwrap();
        let line = client.wait_for_text("submitted", STEP).unwrap();
        let id = line
            .split_whitespace()
            .find(|word| word.starts_with("application_"));
        lab.application = id.unwrap().to_owned();
        lab.client = Some(client);
        lab.wait_summary("the tasks at the gate", |summary| {
            summary["stages"][3]["tasks"]["running"] == EXECUTORS
                && summary["executors"]["registered"] == EXECUTORS
        });
        lab
    }

    fn job(&self) -> String {
        let gate = self.gate().display().to_string();
        format!(
            "version: 1
name: pages <of> many & more
executors: {{ instances: {EXECUTORS}, memory: 256MiB, cores: 1 }}
conf: {{ task.max-failures: 20, exclude.enabled: false }}
stages:
  - name: read
    tasks: 40
    shell: 'if [ $((DRAWLOOM_TASK % 9)) = 4 ] && mkdir {gate}-failed-$DRAWLOOM_TASK 2>/dev/null; then echo the disk is full of eels >&2; exit 3; fi'
  - name: left-hand-side-of-a-graph-with-a-long-name
    after: [read]
    tasks: 3
    shell: 'true'
  - name: right
    after: [read]
    tasks: 2
    shell: 'true'
  - name: wait
    after: [left-hand-side-of-a-graph-with-a-long-name, right]
    tasks: 130
    shell: 'until [ -e {gate} ]; do sleep 0.1; done'
  - name: last
    after: [wait]
    tasks: 1
    shell: 'true'
"
        )
    }

    fn gate(&self) -> PathBuf {
        self.home.path().join("gate")
    }

    pub(crate) fn drawloom(&self, args: &[&str]) -> Drawloom {
        let drawloom = match &self.yarn {
            Yarn::Embedded(cluster, _) => Drawloom::without_cluster(&self.home.path().join("said"))
                .env("HADOOP_CONF_DIR", cluster.conf_dir()),
            Yarn::Real(hadoop) => Drawloom::new(hadoop.as_ref()),
        };
        drawloom
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path())
            .current_dir(self.home.path())
            .args(args)
    }

    /// Where the ResourceManager's pages are.
    pub(crate) fn proxy(&self) -> SocketAddr {
        let address = match &self.yarn {
            Yarn::Embedded(cluster, _) => cluster.web_address().to_owned(),
            Yarn::Real(hadoop) => hadoop.rm_web().replace("http://", ""),
        };
        address.parse().unwrap()
    }

    /// A path of the application's pages at the proxy.
    pub(crate) fn path(&self, page: &str) -> String {
        format!("/proxy/{}/{page}", self.application)
    }

    pub(crate) fn url(&self, page: &str) -> String {
        format!("http://{}{}", self.proxy(), self.path(page))
    }

    pub(crate) fn get(&self, page: &str) -> Response {
        http::request_with(
            self.proxy(),
            "GET",
            &self.path(page),
            "Accept: text/html\r\n",
            "",
            STEP,
        )
        .unwrap()
    }

    pub(crate) fn api(&self, path: &str) -> Value {
        http::get_json(self.proxy(), &self.path(&format!("api/v1/{path}")), STEP).unwrap()
    }

    /// What Spark's API says of the application.
    pub(crate) fn spark(&self, path: &str) -> Value {
        self.api(&format!("applications/{}/{path}", self.application))
    }

    pub(crate) fn wait_summary(&self, what: &str, wanted: impl Fn(&Value) -> bool) {
        let path = self.path("api/v1/drawloom/summary");
        let look = || http::get_json(self.proxy(), &path, STEP).is_ok_and(|summary| wanted(&summary));
        let found = wait::until(what, STEP, look);
        found.unwrap_or_else(|error| panic!("{error}: {}", self.api("drawloom/summary")));
    }

    /// Kills an executor at its task, and waits for the one that takes its place.
    pub(crate) fn lose_an_executor(&self) {
        let is_executor = |process: &Process| process.command.ends_with("drawloom executor");
        let all = processes::of_application(&self.application);
        all.into_iter().find(is_executor).unwrap().signal(Signal::KILL);
        self.wait_summary("another executor", |summary| {
            summary["executors"]["lost"] == 1
                && summary["executors"]["registered"] == EXECUTORS
                && summary["stages"][3]["tasks"]["running"] == EXECUTORS
        });
    }

    pub(crate) fn application(&self) -> &str {
        &self.application
    }

    pub(crate) fn executors(&self) -> u64 {
        EXECUTORS
    }

    /// Lets the job go on to its end.
    pub(crate) fn end(mut self) -> Output {
        fs::write(self.gate(), "").unwrap();
        self.client.take().unwrap().wait(STEP).unwrap()
    }

    /// A file for people, kept after the test.
    pub(crate) fn kept(name: &str) -> PathBuf {
        let dir = harness::workspace::target().join("pages");
        fs::create_dir_all(&dir).unwrap();
        Path::join(&dir, name)
    }
}
