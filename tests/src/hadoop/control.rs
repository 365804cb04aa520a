//! What tests do to a running cluster and ask of it.

use super::layout::Role;
use super::{Daemon, Hadoop, readiness, tail};
use crate::cluster::{Cluster, TailsOnPanic};
use crate::http::{self, Response};
use crate::processes::{self, Process};
use crate::wait;
use anyhow::{Context, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const ASK: Duration = Duration::from_secs(60);
const COMMAND: Duration = Duration::from_secs(180);
const RESTART: Duration = Duration::from_secs(180);

/// A container whose log folder a NodeManager still has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerOnDisk {
    /// Number of the node.
    pub node: usize,
    /// `application_…`
    pub application: String,
    /// `container_…`
    pub container: String,
    /// The folder with its `stdout`, `stderr` and whatever else it logged.
    pub logs: PathBuf,
}

impl Hadoop {
    /// The folder of everything this cluster writes.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.layout.dir
    }

    /// What `HADOOP_CONF_DIR` should be for a client: core-site, hdfs-site and yarn-site.
    #[must_use]
    pub fn conf_dir(&self) -> PathBuf {
        self.layout.client_conf()
    }

    /// `fs.defaultFS`: `hdfs://127.0.0.1:<port>`, or `file:///` without HDFS.
    #[must_use]
    pub fn default_fs(&self) -> String {
        self.layout.default_fs()
    }

    /// `http://127.0.0.1:<port>` of the first ResourceManager.
    #[must_use]
    pub fn rm_web(&self) -> String {
        format!("http://{}", self.layout.rms[0].web)
    }

    /// `http://127.0.0.1:<port>` of a NodeManager.
    #[must_use]
    pub fn node_web(&self, node: usize) -> String {
        format!("http://{}", self.layout.nodes[node].web)
    }

    /// The node's id, `<host>:<port>`.
    #[must_use]
    pub fn node_id(&self, node: usize) -> String {
        format!("{}:{}", self.node_host(node), self.layout.nodes[node].rpc.number)
    }

    /// The node's host: Hadoop names nodes by the canonical name of the address they bind.
    #[must_use]
    pub fn node_host(&self, node: usize) -> String {
        match self.layout.nodes[node].rpc.host {
            Ipv4Addr::LOCALHOST => "localhost".to_owned(),
            other => other.to_string(),
        }
    }

    /// Has the ResourceManager take these nodes, and no others, out of service: their containers may end within
    /// `grace` (`yarn rmadmin -refreshNodes -g`). All nodes of a host go together; see [`Builder::distinct_hosts`].
    ///
    /// # Errors
    /// Fails with the admin tool's words.
    ///
    /// [`Builder::distinct_hosts`]: super::Builder::distinct_hosts
    pub fn decommission(&self, nodes: &[usize], grace: Duration) -> anyhow::Result<()> {
        let hosts: Vec<_> = nodes.iter().map(|node| self.node_host(*node)).collect();
        fs::write(self.layout.excluded_nodes(), hosts.join("\n"))?;
        let seconds = grace.as_secs().to_string();
        let args = ["-refreshNodes", "-g", &seconds, "-server"];
        self.tool("org.apache.hadoop.yarn.client.cli.RMAdminCLI", &args)?;
        Ok(())
    }

    /// A document of the active ResourceManager's REST, such as `/ws/v1/cluster/apps`.
    ///
    /// # Errors
    /// Fails when no ResourceManager answers 200 with JSON.
    pub fn rm_get(&self, path: &str) -> anyhow::Result<Value> {
        match self.layout.rms.as_slice() {
            [only] => http::get_json(only.web.addr(), path, ASK),
            _ => readiness::active_rm(&self.layout, path).context("no active ResourceManager answers"),
        }
    }

    /// Sends JSON to the first ResourceManager, e.g. `POST` to `/ws/v1/cluster/apps?user.name=alice`.
    ///
    /// # Errors
    /// Fails when it does not answer; a status that means refusal is an answer.
    pub fn rm_send(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Response> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        http::request(self.layout.rms[0].web.addr(), method, path, &body, ASK)
    }

    /// Submits an application without anything of ours: a shell command in the AM's container. Gives its id.
    ///
    /// # Errors
    /// Fails when the ResourceManager refuses.
    pub fn submit_shell(&self, user: &str, command: &str, attempts: u32) -> anyhow::Result<String> {
        let path = |end: &str| format!("/ws/v1/cluster/apps{end}?user.name={user}");
        let answer = self.rm_send("POST", &path("/new-application"), &Value::Null)?;
        let answer: Value = serde_json::from_slice(&answer.body).context("new-application is not JSON")?;
        let id = answer["application-id"]
            .as_str()
            .context("new-application without an id")?;
        let application = json!({
            "application-id": id,
            "application-name": "shell",
            "application-type": "SHELL",
            "max-app-attempts": attempts,
            "resource": { "memory": 128, "vCores": 1 },
            "am-container-spec": { "commands": { "command": command } },
        });
        let submitted = self.rm_send("POST", &path(""), &application)?;
        let words = String::from_utf8_lossy(&submitted.body).into_owned();
        ensure!(
            submitted.status == 202,
            "submission answered {}: {words}",
            submitted.status
        );
        Ok(id.to_owned())
    }

    /// A document of a NodeManager's REST, such as `/ws/v1/node/containers`.
    ///
    /// # Errors
    /// Fails when the NodeManager does not answer 200 with JSON.
    pub fn node_get(&self, node: usize, path: &str) -> anyhow::Result<Value> {
        http::get_json(self.layout.nodes[node].web.addr(), path, ASK)
    }

    /// Sends a signal to a daemon. After KILL and TERM it is gone when this returns; TERM of a daemon may take seconds.
    ///
    /// # Errors
    /// Fails when the daemon is not running, or does not end.
    pub fn signal(&self, role: Role, signal: Signal) -> anyhow::Result<()> {
        let daemon = self.daemon(role)?;
        daemon.signal(signal)?;
        if signal == Signal::KILL || signal == Signal::TERM {
            daemon.wait_end()
        } else {
            Ok(())
        }
    }

    /// Starts a daemon again, on its old ports and folders, killing it first if it lives; returns when it listens.
    /// A ResourceManager without high availability is active then; nodes may still be about to register.
    ///
    /// # Errors
    /// Fails when the daemon ends at once or does not listen in time.
    pub fn restart(&self, role: Role) -> anyhow::Result<()> {
        let daemon = self.daemon(role)?;
        daemon.kill()?;
        daemon.spawn(self.command(role))?;
        let ready = || {
            daemon.must_live()?;
            Ok(self.is_back(role).then_some(()))
        };
        wait::for_value(&format!("{role} to listen again"), RESTART, ready)
    }

    fn is_back(&self, role: Role) -> bool {
        let layout = &self.layout;
        match role {
            Role::ResourceManager(i) if self.high_availability => readiness::takes_orders(&layout.rms[i]),
            Role::ResourceManager(_) => readiness::rm_is_active(layout),
            Role::NodeManager(i) => readiness::listens(layout.nodes[i].web.addr()),
            Role::NameNode | Role::DataNode(_) => readiness::hdfs_is_ready(layout),
        }
    }

    /// [`Hadoop::signal`] for a NodeManager. After KILL its containers live on as orphans.
    ///
    /// # Errors
    /// As [`Hadoop::signal`].
    pub fn kill_node(&self, node: usize, signal: Signal) -> anyhow::Result<()> {
        self.signal(Role::NodeManager(node), signal)
    }

    /// [`Hadoop::restart`] for a NodeManager.
    ///
    /// # Errors
    /// As [`Hadoop::restart`].
    pub fn restart_node(&self, node: usize) -> anyhow::Result<()> {
        self.restart(Role::NodeManager(node))
    }

    /// SIGKILL for the first ResourceManager.
    ///
    /// # Errors
    /// As [`Hadoop::signal`].
    pub fn kill_rm(&self) -> anyhow::Result<()> {
        self.signal(Role::ResourceManager(0), Signal::KILL)
    }

    /// [`Hadoop::restart`] for the first ResourceManager.
    ///
    /// # Errors
    /// As [`Hadoop::restart`].
    pub fn restart_rm(&self) -> anyhow::Result<()> {
        self.restart(Role::ResourceManager(0))
    }

    /// Freezes a daemon (SIGSTOP): it stays connected and says nothing.
    ///
    /// # Errors
    /// As [`Hadoop::signal`].
    pub fn freeze(&self, role: Role) -> anyhow::Result<()> {
        self.signal(role, Signal::STOP)
    }

    /// Lets a frozen daemon go on (SIGCONT).
    ///
    /// # Errors
    /// As [`Hadoop::signal`].
    pub fn thaw(&self, role: Role) -> anyhow::Result<()> {
        self.signal(role, Signal::CONT)
    }

    /// Makes a ResourceManager the active one (high availability only). Kill the other before: the store has no fencing.
    ///
    /// # Errors
    /// Fails with the admin tool's words.
    pub fn transition_to_active(&self, rm: usize) -> anyhow::Result<()> {
        let id = format!("rm{rm}");
        let args = ["-transitionToActive", "--forceactive", &id];
        self.tool("org.apache.hadoop.yarn.client.cli.RMAdminCLI", &args)?;
        wait::until("the ResourceManager to be active", RESTART, || {
            readiness::rm_is_active(&self.layout)
        })
    }

    /// Runs one of Hadoop's command line classes with the client's configuration, e.g.
    /// `org.apache.hadoop.yarn.client.cli.ApplicationCLI` with `-kill`; gives what it printed.
    ///
    /// # Errors
    /// Fails when it exits other than 0 or takes longer than three minutes; the message quotes its words.
    pub fn tool(&self, class: &str, args: &[&str]) -> anyhow::Result<String> {
        let mut command = self.java.command(&self.conf_dir(), &self.release.lib);
        command
            .env(processes::MARKER, format!("{}/", self.dir().display()))
            .arg(class)
            .args(args);
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = class.rsplit('.').next().unwrap_or(class);
        // Tests of one cluster may run side by side.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = self.dir().join(format!("logs/tool-{name}-{number}.log"));
        super::jars::run_logged(&mut command, &log, COMMAND)
            .with_context(|| format!("{class} {args:?} failed"))?;
        Ok(fs::read_to_string(&log)?)
    }

    /// Waits until exactly `count` nodes are RUNNING in the ResourceManager's eyes.
    ///
    /// # Errors
    /// Fails at the limit.
    pub fn wait_nodes(&self, count: usize, limit: Duration) -> anyhow::Result<()> {
        wait::until(&format!("{count} running nodes"), limit, || {
            readiness::running_nodes(&self.layout) == count
        })
    }

    /// Every container that has a log folder, by node.
    #[must_use]
    pub fn containers_on_disk(&self) -> Vec<ContainerOnDisk> {
        let nodes = 0..self.layout.nodes.len();
        containers_below(nodes.map(|node| self.layout.home(Role::NodeManager(node)).join("logs")))
    }

    /// Every living process this cluster started: daemons, clients, containers and what containers started.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        processes::of_cluster(self.dir())
    }

    /// Every living process of an application's containers and their descendants.
    #[must_use]
    pub fn processes_of_app(&self, application: &str) -> Vec<Process> {
        processes::of_application(application)
    }

    /// A guard for a test on a shared cluster.
    #[must_use]
    pub fn tails_on_panic(&self) -> TailsOnPanic<'_> {
        TailsOnPanic(self)
    }

    /// The last lines of a daemon's log.
    #[must_use]
    pub fn log_tail(&self, role: Role, lines: usize) -> String {
        tail(&self.layout.log(role), lines)
    }

    /// The last lines of every daemon's log and of every container's files.
    #[must_use]
    pub fn tails(&self, lines: usize) -> String {
        let mut text = format!("cluster in {}\n", self.dir().display());
        for daemon in &self.daemons {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "--- {}\n{}", daemon.role, tail(&daemon.log, lines));
        }
        text + &tails_of(&self.containers_on_disk(), lines)
    }

    fn daemon(&self, role: Role) -> anyhow::Result<&Daemon> {
        let found = self.daemons.iter().find(|daemon| daemon.role == role);
        found.with_context(|| format!("this cluster has no {role}"))
    }
}

impl Cluster for Hadoop {
    fn dir(&self) -> &Path {
        Self::dir(self)
    }

    fn repair(&self) {
        for daemon in &self.daemons {
            // One that is dead cannot be told to go on, and is started.
            let _ = daemon.signal(Signal::CONT);
            if daemon.must_live().is_err()
                && let Err(error) = self.restart(daemon.role)
            {
                eprintln!("{} stays down: {error:#}", daemon.role);
            }
        }
    }

    fn conf_dir(&self) -> PathBuf {
        Self::conf_dir(self)
    }

    fn rm_get(&self, path: &str) -> anyhow::Result<Value> {
        Self::rm_get(self, path)
    }

    fn rm_send(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Response> {
        Self::rm_send(self, method, path, body)
    }

    fn kill_application(&self, id: &str) -> anyhow::Result<()> {
        let class = "org.apache.hadoop.yarn.client.cli.ApplicationCLI";
        self.tool(class, &["application", "-kill", id]).map(drop)
    }

    fn containers_on_disk(&self) -> Vec<ContainerOnDisk> {
        Self::containers_on_disk(self)
    }

    fn local_dirs(&self) -> Vec<PathBuf> {
        let nodes = 0..self.layout.nodes.len();
        nodes
            .map(|node| self.layout.home(Role::NodeManager(node)).join("local"))
            .collect()
    }

    fn home(&self, user: &str) -> String {
        format!("/user/{user}")
    }

    fn list(&self, path: &str) -> anyhow::Result<Option<Vec<String>>> {
        self.hdfs_list(path)
    }

    fn tails(&self, lines: usize) -> String {
        Self::tails(self, lines)
    }

    fn as_hadoop(&self) -> Option<&Hadoop> {
        Some(self)
    }
}

/// The containers with a folder in the log folders of nodes, which are counted from 0.
pub(crate) fn containers_below(nodes: impl Iterator<Item = PathBuf>) -> Vec<ContainerOnDisk> {
    let mut found = Vec::new();
    for (node, logs) in nodes.enumerate() {
        for (application, dir) in folders(&logs, "application_") {
            let containers = folders(&dir, "container_").into_iter();
            found.extend(containers.map(|(container, logs)| ContainerOnDisk {
                node,
                application: application.clone(),
                container,
                logs,
            }));
        }
    }
    found.sort();
    found
}

/// The last lines of every container's files.
pub(crate) fn tails_of(containers: &[ContainerOnDisk], lines: usize) -> String {
    let mut text = String::new();
    for container in containers {
        for file in ["prelaunch.err", "stdout", "stderr"] {
            let words = tail(&container.logs.join(file), lines);
            if !words.is_empty() {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "--- {} {file}\n{words}", container.container);
            }
        }
    }
    text
}

fn folders(dir: &Path, prefix: &str) -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let named = entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
    named.filter(|(name, _)| name.starts_with(prefix)).collect()
}
