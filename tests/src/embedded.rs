//! The embedded cluster as a person runs it: `drawloom mini` in a process of its own.
//!
//! [`Embedded`] owns the process and the folder below which it keeps its files. As with a real one, nothing of it is
//! alive after its owner, however that ends.

use crate::cluster::Cluster;
use crate::hadoop::{ContainerOnDisk, Hadoop, containers_below, fresh_directory, tails_of};
use crate::http::{self, Response};
use crate::process::{Drawloom, Running};
use crate::watchdog::Watchdog;
use crate::{processes, wait};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ASK: Duration = Duration::from_secs(60);
const START: Duration = Duration::from_secs(120);

/// What the real cluster's nodes have by default too.
const NODE: [&str; 4] = ["--memory", "4096MiB", "--cores", "8"];

/// A running cluster; see the module.
#[derive(Debug)]
pub struct Embedded {
    dir: PathBuf,
    conf: PathBuf,
    web: SocketAddr,
    process: Running,
    /// Dropped after the process.
    _watchdog: Watchdog,
}

impl Embedded {
    /// Starts a cluster of so many nodes.
    ///
    /// # Errors
    /// Fails when the binary is missing or does not say within two minutes how to use its cluster.
    pub fn start(nodes: usize) -> anyhow::Result<Self> {
        let dir = fresh_directory(None)?;
        let watchdog = Watchdog::start(&dir)?;
        let command = Drawloom::without_cluster(&dir.join("logs"))
            .env(processes::MARKER, format!("{}/", dir.display()))
            // Below it everything is made.
            .env("TMPDIR", &dir)
            .env("HOME", &dir)
            .args(["mini", "--nodes", &nodes.to_string()])
            .args(NODE);
        let mut process = command.spawn()?;
        let conf = process.wait_for_text("export HADOOP_CONF_DIR=", START)?;
        let conf = conf.rsplit('=').next().map(PathBuf::from).unwrap_or_default();
        let pages = process.wait_for_text("pages: http://", START)?;
        let web = pages
            .trim_start_matches("pages: http://")
            .trim_end_matches("/cluster");
        Ok(Self {
            web: web.parse().with_context(|| format!("no address in {pages:?}"))?,
            dir,
            conf,
            process,
            _watchdog: watchdog,
        })
    }

    /// The folders of the nodes, in the order of their names.
    fn nodes(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.conf.with_file_name("nodes"));
        let mut nodes: Vec<_> = entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|node| node.path())
            .collect();
        nodes.sort();
        nodes
    }
}

impl Cluster for Embedded {
    fn dir(&self) -> &Path {
        &self.dir
    }

    fn conf_dir(&self) -> PathBuf {
        self.conf.clone()
    }

    fn rm_get(&self, path: &str) -> anyhow::Result<Value> {
        http::get_json(self.web, path, ASK)
    }

    fn rm_send(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Response> {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        http::request(self.web, method, path, &body, ASK)
    }

    /// What `yarn application -kill` does, by REST: there is no Hadoop here to do it with.
    fn kill_application(&self, id: &str) -> anyhow::Result<()> {
        let path = format!("/ws/v1/cluster/apps/{id}/state?user.name=operator");
        let answer = self.rm_send("PUT", &path, &json!({"state": "KILLED"}))?;
        let words = String::from_utf8_lossy(&answer.body);
        ensure!(
            matches!(answer.status, 200 | 202),
            "killing answered {}: {words}",
            answer.status
        );
        let ended = || self.rm_get(&path).is_ok_and(|answer| answer["state"] == "KILLED");
        wait::until("the application to be killed", START, ended)
    }

    fn containers_on_disk(&self) -> Vec<ContainerOnDisk> {
        containers_below(self.nodes().iter().map(|node| node.join("logs")))
    }

    fn local_dirs(&self) -> Vec<PathBuf> {
        self.nodes().iter().map(|node| node.join("local")).collect()
    }

    /// The default file system is the local one.
    fn home(&self, user: &str) -> String {
        crate::user::folder(&self.dir, user).display().to_string()
    }

    fn list(&self, path: &str) -> anyhow::Result<Option<Vec<String>>> {
        let entries = match fs::read_dir(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            entries => entries.with_context(|| format!("cannot list {path}"))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(Some(names))
    }

    fn tails(&self, lines: usize) -> String {
        let own = format!(
            "embedded cluster in {}\n{}",
            self.dir.display(),
            self.process.stderr()
        );
        own + &tails_of(&self.containers_on_disk(), lines)
    }

    fn as_hadoop(&self) -> Option<&Hadoop> {
        None
    }
}
