//! `cargo xtask hadoop`: the fixture of the suites, for a person.
//!
//! `up` runs this program again, detached, as the owner of the cluster. The owner holds a file lock for as long as it
//! lives, which is how the others know; when it ends, by `down` or otherwise, the fixture's watchdog ends the rest.

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use harness::hadoop::{Builder, Calculator, Hadoop, Protection, Scheduler, Site, Summary, Version, tail};
use harness::processes::{self, Process};
use harness::{wait, workspace};
use rustix::process::{Pid, Signal, kill_process, setsid};
use std::env;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Maven's time and the cluster's own, each bounded where it is spent.
const UP: Duration = Duration::from_secs(1200);
const DOWN: Duration = Duration::from_secs(30);

/// Which cluster, and what to do with it.
#[derive(Debug, Args)]
pub(crate) struct Cluster {
    /// Another cluster beside the usual one; letters, digits and `-`
    #[arg(long, global = true, default_value = "up", value_parser = name)]
    name: String,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Starts a cluster and prints the HADOOP_CONF_DIR to export
    Up(Options),
    /// Ends the cluster and everything that runs in it
    Down,
    /// Shows the daemons and where they listen
    Status,
    /// Owns the cluster; what `up` starts
    #[command(hide = true)]
    Own(Options),
}

/// What the cluster should be like.
#[derive(Debug, Args)]
struct Options {
    /// Hadoop release: 3.3.6, 3.4.3 or 3.5.0
    #[arg(long, default_value_t)]
    version: Version,
    /// NodeManagers
    #[arg(long, default_value_t = 2)]
    nodes: usize,
    /// DataNodes
    #[arg(long, default_value_t = 1)]
    datanodes: usize,
    /// Without HDFS: the default file system is file:///
    #[arg(long)]
    no_hdfs: bool,
    /// Memory of each node, MiB
    #[arg(long, default_value_t = 4096)]
    node_memory: u32,
    /// Virtual cores of each node
    #[arg(long, default_value_t = 8)]
    node_vcores: u32,
    /// Smallest container and unit of rounding, MiB
    #[arg(long, default_value_t = 64)]
    minimum_allocation: u32,
    /// capacity or fair
    #[arg(long, default_value = "capacity")]
    scheduler: Scheduler,
    /// The capacity scheduler's resource calculator: default or dominant
    #[arg(long, default_value = "default")]
    calculator: Calculator,
    /// RPC protection: authentication, integrity or privacy
    #[arg(long, default_value = "authentication")]
    protection: Protection,
    /// NodeManager heartbeat, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    nm_heartbeat: u64,
    /// Silence that ends an ApplicationMaster, seconds (Hadoop's default)
    #[arg(long, value_name = "S")]
    am_expiry: Option<u64>,
    /// Silence that makes a node lost, seconds (Hadoop's default)
    #[arg(long, value_name = "S")]
    nm_expiry: Option<u64>,
    /// The ResourceManager keeps applications over a restart
    #[arg(long)]
    rm_recovery: bool,
    /// NodeManagers keep containers over a restart
    #[arg(long)]
    nm_recovery: bool,
    /// Two ResourceManagers, manual failover
    #[arg(long)]
    ha: bool,
    /// Logs of finished applications are uploaded to /tmp/logs
    #[arg(long)]
    log_aggregation: bool,
    /// Extra property; FILE is core, hdfs, yarn or capacity-scheduler (may be repeated)
    #[arg(long, value_name = "FILE:KEY=VALUE")]
    property: Vec<String>,
}

impl Options {
    fn builder(&self, dir: PathBuf) -> anyhow::Result<Builder> {
        let mut builder = Hadoop::builder()
            .version(self.version)
            .nodes(self.nodes)
            .datanodes(if self.no_hdfs { 0 } else { self.datanodes })
            .node_resources(self.node_memory, self.node_vcores)
            .minimum_allocation_mb(self.minimum_allocation)
            .scheduler(self.scheduler)
            .calculator(self.calculator)
            .protection(self.protection)
            .node_heartbeat(Duration::from_millis(self.nm_heartbeat))
            .rm_recovery(self.rm_recovery)
            .node_recovery(self.nm_recovery)
            .high_availability(self.ha)
            .log_aggregation(self.log_aggregation)
            .directory(dir);
        if let Some(seconds) = self.am_expiry {
            builder = builder.am_expiry(Duration::from_secs(seconds));
        }
        if let Some(seconds) = self.nm_expiry {
            builder = builder.node_expiry(Duration::from_secs(seconds));
        }
        self.property.iter().try_fold(builder, |builder, text| {
            let (site, key, value) = property(text)?;
            Ok(builder.property(site, key, value))
        })
    }
}

fn property(text: &str) -> anyhow::Result<(Site, &str, &str)> {
    let parts = text
        .split_once(':')
        .and_then(|(file, rest)| Some((file, rest.split_once('=')?)));
    let (file, (key, value)) = parts.with_context(|| format!("--property {text} is not FILE:KEY=VALUE"))?;
    Ok((file.parse()?, key, value))
}

/// A folder's name, which becomes part of paths and of file names beside it.
fn name(text: &str) -> anyhow::Result<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    ensure!(
        !text.is_empty() && text.chars().all(fits),
        "{text:?} is not made of letters, digits and -"
    );
    Ok(text.to_owned())
}

impl Cluster {
    /// Does it.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.action {
            Action::Up(options) => self.up(options),
            Action::Down => self.down(),
            Action::Status => self.status(),
            Action::Own(options) => self.own(options),
        }
    }

    fn up(&self, options: &Options) -> anyhow::Result<()> {
        options.builder(self.dir())?;
        let start = Instant::now();
        if self.owner()?.is_some() {
            let summary =
                Summary::read(&self.dir()).context("a cluster is being started or ended just now")?;
            eprintln!("already up; `cargo xtask hadoop down` ends it");
            self.print(&summary);
            return Ok(());
        }
        self.clear()?;
        let mut owner = self.spawn_owner()?;
        let summary = wait::for_value("the cluster", UP, || {
            if let Some(status) = owner.try_wait()? {
                bail!(
                    "the cluster did not start ({status}):\n{}",
                    tail(&self.file("log"), 60)
                );
            }
            Ok(Summary::read(&self.dir()).ok())
        })?;
        eprintln!("Hadoop {} is up after {:.1?}", summary.version, start.elapsed());
        self.print(&summary);
        Ok(())
    }

    /// This program again, with the same options, its words in a file.
    fn spawn_owner(&self) -> anyhow::Result<Child> {
        let given: Vec<OsString> = env::args_os().skip(1).collect();
        let is_action = |at: &usize| given[*at] == "up" && given[at - 1] != "--name";
        let action = (1..given.len()).find(is_action).context("up was not asked for")?;
        let log = File::create(self.file("log"))?;
        let mut command = Command::new(env::current_exe()?);
        command
            .args(&given[..action])
            .arg("own")
            .args(&given[action + 1..])
            .current_dir("/");
        command.stdin(Stdio::null()).stderr(log.try_clone()?).stdout(log);
        command.spawn().context("cannot start the cluster's owner")
    }

    fn own(&self, options: &Options) -> anyhow::Result<()> {
        // Away from the terminal, so that neither Ctrl-C nor closing it ends the cluster. Fails only for a group leader.
        let _ = setsid();
        let lock = self.lock_file()?;
        // Whoever asks for the owner takes the lock for a moment.
        wait::until("the lock of another cluster", Duration::from_secs(3), || {
            lock.try_lock().is_ok()
        })?;
        fs::write(self.file("pid"), std::process::id().to_string())?;
        let _hadoop = options.builder(self.dir())?.start()?;
        loop {
            thread::park();
        }
    }

    fn down(&self) -> anyhow::Result<()> {
        match self.owner()? {
            Some(pid) => self.end_owner(pid)?,
            None => eprintln!("no cluster is up"),
        }
        self.clear()
    }

    /// The owner needs no farewell: when it is gone, the watchdog ends the cluster.
    fn end_owner(&self, pid: Pid) -> anyhow::Result<()> {
        let running = processes::of_cluster(&self.dir());
        kill_process(pid, Signal::TERM).context("cannot end the cluster's owner")?;
        wait::for_value("the cluster's owner to end", DOWN, || {
            Ok(self.owner()?.is_none().then_some(()))
        })?;
        wait::until("the cluster to end", DOWN, || {
            running.iter().all(Process::has_ended)
        })
    }

    /// Ends what is left of an earlier cluster and removes its folder.
    fn clear(&self) -> anyhow::Result<()> {
        let dir = self.dir();
        // A watchdog at work would take the next cluster in this folder for its own.
        wait::until("the watchdog of the last cluster", DOWN, || {
            processes::watchdogs(&dir).is_empty()
        })?;
        let survivors = processes::end_cluster(&dir, DOWN);
        ensure!(survivors.is_empty(), "these processes do not end: {survivors:?}");
        if self.file("pid").exists() {
            fs::remove_file(self.file("pid"))?;
        }
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        }
        Ok(())
    }

    fn status(&self) -> anyhow::Result<()> {
        ensure!(self.owner()?.is_some(), "no cluster is up");
        let dir = self.dir();
        let summary = Summary::read(&dir).context("the cluster is being started")?;
        println!(
            "Hadoop {} at {}, {}",
            summary.version,
            dir.display(),
            summary.default_fs
        );
        for daemon in &summary.daemons {
            let process = daemon
                .process(&dir)
                .map_or("gone".to_owned(), |process| process.pid.to_string());
            let listeners: Vec<String> = daemon
                .listeners
                .iter()
                .map(|(name, address)| format!("{name} {address}"))
                .collect();
            println!(
                "{:<5} {process:>8}  {}  {}",
                daemon.name,
                daemon.web,
                listeners.join(", ")
            );
        }
        Ok(())
    }

    fn print(&self, summary: &Summary) {
        for daemon in &summary.daemons {
            eprintln!("{:<5} {}", daemon.name, daemon.web);
        }
        eprintln!(
            "fs    {}\nlogs  {}",
            summary.default_fs,
            self.dir().join("logs").display()
        );
        println!("export HADOOP_CONF_DIR={}", summary.conf_dir.display());
    }

    /// The process that owns the cluster, if one holds the lock.
    fn owner(&self) -> anyhow::Result<Option<Pid>> {
        if self.lock_file()?.try_lock().is_ok() {
            return Ok(None);
        }
        let file = self.file("pid");
        let written = wait::for_value("the owner's process id", DOWN, || {
            Ok(fs::read_to_string(&file).ok())
        })?;
        let pid = written.trim().parse().ok().and_then(Pid::from_raw);
        pid.map(Some)
            .with_context(|| format!("{} holds no process id", file.display()))
    }

    fn lock_file(&self) -> anyhow::Result<File> {
        fs::create_dir_all(run_dir())?;
        let file = self.file("lock");
        let options = OpenOptions::new().create(true).append(true).open(&file);
        options.with_context(|| format!("cannot open {}", file.display()))
    }

    fn dir(&self) -> PathBuf {
        run_dir().join(&self.name)
    }

    /// A file beside the folder, which outlives it.
    fn file(&self, end: &str) -> PathBuf {
        run_dir().join(format!("{}.{end}", self.name))
    }
}

/// Resolved, for processes are known by the text of this path in their environment.
fn run_dir() -> PathBuf {
    let dir = workspace::hadoop().join("run");
    fs::canonicalize(&dir).unwrap_or(dir)
}

#[cfg(test)]
mod tests {
    use super::property;
    use harness::hadoop::Site;

    #[test]
    fn property_names_its_file_and_keeps_what_follows_the_first_equals() {
        let (site, key, value) = property("yarn:a.b=c=d:e").unwrap();
        assert_eq!((site, key, value), (Site::Yarn, "a.b", "c=d:e"));
        assert!(property("yarn.a=b").is_err());
        assert!(property("nope:a=b").is_err());
        assert!(property("yarn:a").is_err());
    }
}
