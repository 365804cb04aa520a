//! One application on a cluster as the cluster's own daemons show it, and its processes as Linux shows them.

use crate::cluster::Cluster;
use crate::hadoop::{ContainerOnDisk, Hadoop};
use crate::http::Response;
use crate::process::{Output, Running};
use crate::processes::{self, Process};
use crate::wait;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// How long a step of an application may take on a busy machine.
pub const STEP: Duration = Duration::from_secs(120);

/// How long what we started may outlive its application or its parent.
const GONE: Duration = Duration::from_secs(90);

/// Set by the executor's guard for the executor proper.
const SESSION: &str = "DRAWLOOM_EXECUTOR_SESSION";

/// See the module.
#[derive(Clone, Debug)]
pub struct Application<'a> {
    cluster: &'a dyn Cluster,
    id: String,
}

impl<'a> Application<'a> {
    /// The application of this id.
    #[must_use]
    pub fn new(cluster: &'a dyn Cluster, id: &str) -> Self {
        Self {
            cluster,
            id: id.to_owned(),
        }
    }

    /// The one that a running `drawloom submit` says it has submitted.
    ///
    /// # Errors
    /// Fails when it ends without saying so.
    pub fn submitted_by(cluster: &'a dyn Cluster, client: &mut Running) -> anyhow::Result<Self> {
        let line = client.wait_for_text("submitted", STEP)?;
        Self::named_in(cluster, &line)
    }

    /// The one that a finished `drawloom submit` had submitted.
    ///
    /// # Errors
    /// Fails when it names none.
    pub fn of_output(cluster: &'a dyn Cluster, output: &Output) -> anyhow::Result<Self> {
        Self::named_in(cluster, &output.stderr).with_context(|| output.to_string())
    }

    fn named_in(cluster: &'a dyn Cluster, text: &str) -> anyhow::Result<Self> {
        let id = text
            .split_whitespace()
            .find(|word| word.starts_with("application_"))
            .with_context(|| format!("no application is named in {text:?}"))?;
        Ok(Self::new(cluster, id))
    }

    /// Its cluster, which is a real one.
    ///
    /// # Panics
    /// When it is embedded.
    #[must_use]
    pub fn hadoop(&self) -> &'a Hadoop {
        self.cluster.as_hadoop().expect("an application on a real Hadoop")
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The id of a container of an attempt, both counted from 1.
    #[must_use]
    pub fn container(&self, attempt: u32, number: u32) -> String {
        let tail = self.id.trim_start_matches("application");
        format!("container{tail}_{attempt:02}_{number:06}")
    }

    /// The ResourceManager's report.
    ///
    /// # Errors
    /// Fails when the ResourceManager does not know it.
    pub fn report(&self) -> anyhow::Result<Value> {
        let path = format!("/ws/v1/cluster/apps/{}", self.id);
        Ok(self.cluster.rm_get(&path)?["app"].take())
    }

    /// Waits until the ResourceManager reports it in one of `states`.
    ///
    /// # Errors
    /// Fails at the limit, quoting the last report.
    pub fn wait_state(&self, states: &[&str]) -> anyhow::Result<Value> {
        let mut last = Value::Null;
        let probe = || {
            // A ResourceManager that is busy, or about to be back, is asked again.
            last = self.report().unwrap_or_else(|error| format!("{error:#}").into());
            let reached = states.iter().any(|state| last["state"] == *state);
            Ok(reached.then(|| last.clone()))
        };
        let found = wait::for_value(&format!("{} to be {states:?}", self.id), STEP, probe);
        found.with_context(|| format!("the last report is {last}"))
    }

    /// Waits for its end and gives the last report.
    ///
    /// # Errors
    /// As [`Application::wait_state`].
    pub fn wait_end(&self) -> anyhow::Result<Value> {
        self.wait_state(&["FINISHED", "FAILED", "KILLED"])
    }

    /// A page of the ApplicationMaster through the ResourceManager's proxy; `path` is relative to its root.
    ///
    /// # Errors
    /// Fails when the proxy does not answer.
    pub fn page(&self, path: &str) -> anyhow::Result<Response> {
        let path = format!("/proxy/{}/{path}", self.id);
        self.cluster.rm_send("GET", &path, &Value::Null)
    }

    /// What the ApplicationMaster says of itself, through the proxy.
    ///
    /// # Errors
    /// Fails when it cannot be asked, which is so before it has registered and after its end.
    pub fn summary(&self) -> anyhow::Result<Value> {
        let response = self.page("api/v1/drawloom/summary")?;
        ensure!(
            response.status == 200,
            "the summary has status {}",
            response.status
        );
        serde_json::from_slice(&response.body).context("the summary is not JSON")
    }

    /// Waits for a summary that pleases.
    ///
    /// # Errors
    /// Fails at the limit, quoting the last summary.
    pub fn wait_summary(&self, what: &str, pleases: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let mut last = Value::Null;
        let probe = || {
            last = self.summary().unwrap_or_default();
            Ok(pleases(&last).then(|| last.clone()))
        };
        let found = wait::for_value(what, STEP, probe);
        found.with_context(|| format!("the last summary is {last}"))
    }

    /// Its containers that have a log folder, whether or not they live.
    #[must_use]
    pub fn containers(&self) -> Vec<ContainerOnDisk> {
        let mut containers = self.cluster.containers_on_disk();
        containers.retain(|container| container.application == self.id);
        containers
    }

    /// What the ApplicationMaster of an attempt has logged.
    ///
    /// # Errors
    /// Fails when there is no log.
    pub fn master_log(&self, attempt: u32) -> anyhow::Result<String> {
        let id = self.container(attempt, 1);
        let containers = self.containers();
        let found = containers.iter().find(|container| container.container == id);
        let file = found
            .with_context(|| format!("no logs of {id}"))?
            .logs
            .join("stderr");
        Ok(fs::read_to_string(file)?)
    }

    /// Its living processes.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        processes::of_application(&self.id)
    }

    /// The living ApplicationMaster of an attempt.
    #[must_use]
    pub fn master(&self, attempt: u32) -> Option<Process> {
        let id = self.container(attempt, 1);
        let is_master = |process: &Process| {
            process.command.ends_with("drawloom am") && process.variable("CONTAINER_ID").as_ref() == Some(&id)
        };
        self.processes().into_iter().find(is_master)
    }

    /// The living executors: the processes that run tasks, not their guards.
    #[must_use]
    pub fn executors(&self) -> Vec<Process> {
        let is_session = |process: &Process| {
            process.command.ends_with("drawloom executor") && process.variable(SESSION).is_some()
        };
        self.processes().into_iter().filter(is_session).collect()
    }

    /// The guard of an executor: its parent.
    ///
    /// # Errors
    /// Fails when it is gone.
    pub fn guard_of(&self, executor: &Process) -> anyhow::Result<Process> {
        let found = processes::all()
            .into_iter()
            .find(|process| process.pid == executor.parent);
        found.with_context(|| format!("executor {} has no parent", executor.pid))
    }

    /// Waits until none of its processes is left.
    ///
    /// # Errors
    /// Fails when some are left after a minute and a half, naming them.
    pub fn wait_gone(&self) -> anyhow::Result<()> {
        let gone = wait::until("the application's processes to end", GONE, || {
            self.processes().is_empty()
        });
        gone.with_context(|| format!("alive: {:?}", commands(&self.processes())))
    }
}

/// Waits until these have ended.
///
/// # Errors
/// Fails when some live after a minute and a half, naming them.
pub fn wait_ended(processes: &[Process]) -> anyhow::Result<()> {
    let ended = || processes.iter().all(Process::has_ended);
    wait::until("processes to end", GONE, ended).with_context(|| {
        let alive: Vec<_> = processes
            .iter()
            .filter(|process| !process.has_ended())
            .cloned()
            .collect();
        format!("alive: {:?}", commands(&alive))
    })
}

fn commands(processes: &[Process]) -> Vec<String> {
    let line = |process: &Process| format!("{} {}", process.pid, process.command);
    processes.iter().map(line).collect()
}
