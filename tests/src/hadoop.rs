//! A real Hadoop on loopback: ResourceManager, NodeManagers, NameNode and DataNodes as plain Java processes.
//!
//! [`Hadoop`] owns the processes and the folder they live in. When it is dropped nothing it started is alive any more,
//! containers included; when its owner dies instead, a watchdog does the same. Every listener is on 127.0.0.1, every
//! port is chosen free, and nothing is shared with another cluster but the read-only jars.

mod control;
mod daemon;
mod jars;
mod java;
mod layout;
mod options;
mod ports;
mod readiness;
mod shared;
mod sites;
mod spark;
mod summary;
mod version;
mod xml;

use crate::watchdog::Watchdog;
use crate::{http, processes, wait, workspace};
use anyhow::{Context, ensure};
pub use control::ContainerOnDisk;
pub(crate) use control::{containers_below, tails_of};
use daemon::Daemon;
use jars::Release;
use java::Java;
use layout::Layout;
pub use layout::Role;
pub use options::{Builder, Calculator, Protection, Scheduler, Site};
pub use rustix::process::Signal;
pub use shared::Shared;
pub use spark::HistoryServer;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};
pub use summary::{DaemonSummary, Summary};
pub use version::Version;

/// How long ending everything may take.
const END: Duration = Duration::from_secs(60);

/// How folders begin that belong to a test process, whose id follows.
const OWNED: &str = "test-";

/// Folders of dead owners are kept this long for whoever wants to read their logs.
const KEEP_LOGS: Duration = Duration::from_secs(2 * 3600);

/// A running cluster; see the module.
#[derive(Debug)]
pub struct Hadoop {
    version: Version,
    layout: Layout,
    java: Java,
    release: Release,
    daemons: Vec<Daemon>,
    high_availability: bool,
    started: bool,
    watchdog: Option<Watchdog>,
}

impl Hadoop {
    /// Options of a cluster to start.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Whether a cluster of this release can be started on this machine.
    ///
    /// # Errors
    /// Says which of Java and Maven is missing; Maven is not needed once the jars are there.
    pub fn can_start(version: Version) -> anyhow::Result<()> {
        Java::find()?;
        jars::can_resolve(version)
    }

    pub(crate) fn start(options: &Builder) -> anyhow::Result<Self> {
        let java = Java::find()?;
        let release = jars::release(options.version, &java)?;
        let dir = fresh_directory(options.directory.as_deref())?;
        let layout = Layout::new(options, &dir)?;
        sites::write(options, &layout)?;
        if layout.namenode.is_some() {
            copy_dir(
                &release.formatted_name_dir,
                &layout.home(Role::NameNode).join("name"),
            )?;
        }
        let daemons = layout
            .roles()
            .into_iter()
            .map(|role| Daemon::new(role, layout.log(role)))
            .collect();
        let mut hadoop = Self {
            version: options.version,
            java,
            release,
            daemons,
            high_availability: options.high_availability,
            started: false,
            watchdog: Some(Watchdog::start(&layout.dir)?),
            layout,
        };
        hadoop.bring_up(options.start_limit)?;
        hadoop.started = true;
        Ok(hadoop)
    }

    fn bring_up(&self, limit: Duration) -> anyhow::Result<()> {
        for daemon in &self.daemons {
            daemon.spawn(self.command(daemon.role))?;
        }
        if self.high_availability {
            self.wait_daemons("the ResourceManagers to take orders", limit, || {
                self.layout.rms.iter().all(readiness::takes_orders)
            })?;
            self.transition_to_active(0)?;
        }
        self.wait_daemons("all nodes and HDFS", limit, || {
            readiness::rm_is_active(&self.layout)
                && readiness::running_nodes(&self.layout) == self.layout.nodes.len()
                && readiness::hdfs_is_ready(&self.layout)
        })?;
        self.make_common_directories()?;
        self.summary().write(&self.layout.dir)
    }

    fn make_common_directories(&self) -> anyhow::Result<()> {
        if self.layout.namenode.is_some() {
            self.make_hdfs_dir("/tmp", "1777")?;
            self.make_hdfs_dir("/user", "1777")?;
        }
        Ok(())
    }

    /// Makes an HDFS directory as the superuser, with parents, and sets its permission (octal).
    ///
    /// # Errors
    /// Fails without HDFS or when the NameNode refuses.
    pub fn make_hdfs_dir(&self, path: &str, permission: &str) -> anyhow::Result<()> {
        self.webhdfs(path, "MKDIRS")?;
        self.webhdfs(path, &format!("SETPERMISSION&permission={permission}"))
    }

    /// Gives an HDFS path to a user.
    ///
    /// # Errors
    /// Fails without HDFS or when the NameNode refuses.
    pub fn set_hdfs_owner(&self, path: &str, owner: &str) -> anyhow::Result<()> {
        self.webhdfs(path, &format!("SETOWNER&owner={owner}"))
    }

    /// Names of what is in an HDFS directory, as the superuser sees it; none when there is no such directory.
    ///
    /// # Errors
    /// Fails without HDFS or when the NameNode refuses.
    pub fn hdfs_list(&self, path: &str) -> anyhow::Result<Option<Vec<String>>> {
        let response = self.webhdfs_request("GET", path, "LISTSTATUS")?;
        if response.status == 404 {
            return Ok(None);
        }
        let words = String::from_utf8_lossy(&response.body);
        ensure!(
            response.status == 200,
            "listing of {path} answered {}: {words}",
            response.status
        );
        let answer: serde_json::Value = serde_json::from_str(&words)?;
        let entries = answer["FileStatuses"]["FileStatus"].as_array().cloned();
        let name = |entry: &serde_json::Value| entry["pathSuffix"].as_str().unwrap_or_default().to_owned();
        Ok(Some(entries.unwrap_or_default().iter().map(name).collect()))
    }

    /// What the NameNode knows of a path (`FileStatus` of WebHDFS); none when there is nothing.
    ///
    /// # Errors
    /// Fails without HDFS or when the NameNode refuses.
    pub fn hdfs_status(&self, path: &str) -> anyhow::Result<Option<serde_json::Value>> {
        let response = self.webhdfs_request("GET", path, "GETFILESTATUS")?;
        if response.status == 404 {
            return Ok(None);
        }
        let words = String::from_utf8_lossy(&response.body);
        ensure!(
            response.status == 200,
            "the status of {path} answered {}: {words}",
            response.status
        );
        let mut answer: serde_json::Value = serde_json::from_str(&words)?;
        Ok(Some(answer["FileStatus"].take()))
    }

    fn webhdfs_request(&self, method: &str, path: &str, operation: &str) -> anyhow::Result<http::Response> {
        let ports = self
            .layout
            .namenode
            .as_ref()
            .context("this cluster has no HDFS")?;
        let request = format!("/webhdfs/v1{path}?op={operation}&user.name={}", superuser()?);
        http::request(ports.web.addr(), method, &request, "", Duration::from_secs(60))
    }

    fn webhdfs(&self, path: &str, operation: &str) -> anyhow::Result<()> {
        let response = self.webhdfs_request("PUT", path, operation)?;
        let words = String::from_utf8_lossy(&response.body);
        ensure!(
            response.status == 200,
            "{operation} of {path} answered {}: {words}",
            response.status
        );
        Ok(())
    }

    fn wait_daemons(&self, what: &str, limit: Duration, ready: impl Fn() -> bool) -> anyhow::Result<()> {
        let probe = || {
            self.daemons.iter().try_for_each(Daemon::must_live)?;
            Ok(ready().then_some(()))
        };
        wait::for_value(what, limit, probe).with_context(|| self.tails(10))
    }

    fn command(&self, role: Role) -> Command {
        let mut command = self.java.command(&self.layout.conf(role), &self.release.lib);
        command.env(processes::MARKER, format!("{}/", self.layout.dir.display()));
        let tmp = self.layout.home(role).join("tmp");
        command.arg(format!("-Djava.io.tmpdir={}", tmp.display()));
        if let Some(hosts) = &self.layout.hosts {
            command.arg(format!("-Djdk.net.hosts.file={}", hosts.display()));
        }
        command.arg(role.main_class()).current_dir(self.layout.home(role));
        command
    }

    /// Ends everything this cluster started, as dropping it does.
    ///
    /// # Errors
    /// Fails, naming them, when processes survive for a minute.
    pub fn end(mut self) -> anyhow::Result<()> {
        let survivors = self.end_processes();
        ensure!(
            survivors.is_empty(),
            "these survived the end of the cluster: {survivors:?}"
        );
        Ok(())
    }

    fn end_processes(&mut self) -> Vec<String> {
        for daemon in &self.daemons {
            // What is not running needs no end, and the sweep below is the one that counts.
            let _ = daemon.kill();
        }
        let survivors = processes::end_cluster(&self.layout.dir, END);
        self.watchdog = None;
        survivors
            .into_iter()
            .map(|process| format!("{} {}", process.pid, process.command))
            .collect()
    }
}

impl Drop for Hadoop {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.tails(30));
        }
        let survivors = self.end_processes();
        if !survivors.is_empty() {
            eprintln!("these survived the end of the cluster: {survivors:?}");
        }
        if self.started && !thread::panicking() {
            // Left-overs are pruned by a later start.
            let _ = fs::remove_dir_all(&self.layout.dir);
        }
    }
}

/// The last lines of a file, for messages; empty when it cannot be read.
#[must_use]
pub fn tail(file: &Path, lines: usize) -> String {
    let text = fs::read(file)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// An empty folder for a cluster: this one, or one of its own that a later start removes once its owner is dead.
pub(crate) fn fresh_directory(wanted: Option<&Path>) -> anyhow::Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let run = workspace::hadoop().join("run");
    fs::create_dir_all(&run)?;
    prune(&run)?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let dir = match wanted {
        Some(dir) => dir.to_path_buf(),
        None => run.join(format!("{OWNED}{}-{number}", std::process::id())),
    };
    ensure!(
        dir.is_absolute(),
        "the cluster's directory {} is not absolute",
        dir.display()
    );
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot clear {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    // Processes see this path resolved; the sweep compares texts.
    Ok(fs::canonicalize(&dir)?)
}

/// Removes folders whose owner died long ago.
fn prune(run: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(run)?.flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(OWNED)?.split('-').next());
        let dead = owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        let modified = entry
            .metadata()
            .and_then(|data| data.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH);
        if dead && modified.elapsed().is_ok_and(|age| age > KEEP_LOGS) {
            // Another process may be pruning the same folder.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

fn copy_dir(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// HDFS's superuser is whoever runs the NameNode.
fn superuser() -> anyhow::Result<String> {
    let output = Command::new("id").arg("-un").output().context("cannot run id")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
