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
use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Maven's time and the cluster's own, each bounded where it is spent.
const UP: Duration = Duration::from_secs(1200);
const DOWN: Duration = Duration::from_secs(30);

/// What to do with the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
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
pub(crate) struct Options {
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
    fn builder(&self) -> anyhow::Result<Builder> {
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
            .directory(dir());
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

/// Does it.
pub(crate) fn run(action: Action) -> anyhow::Result<()> {
    match action {
        Action::Up(options) => up(&options),
        Action::Down => down(),
        Action::Status => status(),
        Action::Own(options) => own(&options),
    }
}

fn up(options: &Options) -> anyhow::Result<()> {
    options.builder()?;
    let start = Instant::now();
    if owner()?.is_some() {
        let summary = Summary::read(&dir()).context("a cluster is being started or ended just now")?;
        eprintln!("already up; `cargo xtask hadoop down` ends it");
        print(&summary);
        return Ok(());
    }
    clear()?;
    let mut owner = spawn_owner()?;
    let summary = wait::for_value("the cluster", UP, || {
        if let Some(status) = owner.try_wait()? {
            bail!("the cluster did not start ({status}):\n{}", tail(&log(), 60));
        }
        Ok(Summary::read(&dir()).ok())
    })?;
    eprintln!("Hadoop {} is up after {:.1?}", summary.version, start.elapsed());
    print(&summary);
    Ok(())
}

/// This program again, with the same options, its words in a file.
fn spawn_owner() -> anyhow::Result<Child> {
    let options = env::args_os().skip_while(|arg| arg != "up").skip(1);
    let log = File::create(log())?;
    let mut command = Command::new(env::current_exe()?);
    command.args(["hadoop", "own"]).args(options).current_dir("/");
    command.stdin(Stdio::null()).stderr(log.try_clone()?).stdout(log);
    command.spawn().context("cannot start the cluster's owner")
}

fn own(options: &Options) -> anyhow::Result<()> {
    // Away from the terminal, so that neither Ctrl-C nor closing it ends the cluster. Fails only for a group leader.
    let _ = setsid();
    let lock = lock_file()?;
    // Whoever asks for the owner takes the lock for a moment.
    wait::until("the lock of another cluster", Duration::from_secs(3), || {
        lock.try_lock().is_ok()
    })?;
    fs::write(pid_file(), std::process::id().to_string())?;
    let _hadoop = options.builder()?.start()?;
    loop {
        thread::park();
    }
}

fn down() -> anyhow::Result<()> {
    match owner()? {
        Some(pid) => end_owner(pid)?,
        None => eprintln!("no cluster is up"),
    }
    clear()
}

/// The owner needs no farewell: when it is gone, the watchdog ends the cluster.
fn end_owner(pid: Pid) -> anyhow::Result<()> {
    let running = processes::of_cluster(&dir());
    kill_process(pid, Signal::TERM).context("cannot end the cluster's owner")?;
    wait::for_value("the cluster's owner to end", DOWN, || {
        Ok(owner()?.is_none().then_some(()))
    })?;
    wait::until("the cluster to end", DOWN, || {
        running.iter().all(Process::has_ended)
    })
}

/// Ends what is left of an earlier cluster and removes its folder.
fn clear() -> anyhow::Result<()> {
    let dir = dir();
    // A watchdog at work would take the next cluster in this folder for its own.
    wait::until("the watchdog of the last cluster", DOWN, || {
        processes::watchdogs(&dir).is_empty()
    })?;
    let survivors = processes::end_cluster(&dir, DOWN);
    ensure!(survivors.is_empty(), "these processes do not end: {survivors:?}");
    if pid_file().exists() {
        fs::remove_file(pid_file())?;
    }
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}

fn status() -> anyhow::Result<()> {
    ensure!(owner()?.is_some(), "no cluster is up");
    let summary = Summary::read(&dir()).context("the cluster is being started")?;
    println!(
        "Hadoop {} at {}, {}",
        summary.version,
        dir().display(),
        summary.default_fs
    );
    for daemon in &summary.daemons {
        let process = daemon
            .process(&dir())
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

fn print(summary: &Summary) {
    for daemon in &summary.daemons {
        eprintln!("{:<5} {}", daemon.name, daemon.web);
    }
    eprintln!(
        "fs    {}\nlogs  {}",
        summary.default_fs,
        dir().join("logs").display()
    );
    println!("export HADOOP_CONF_DIR={}", summary.conf_dir.display());
}

/// The process that owns the cluster, if one holds the lock.
fn owner() -> anyhow::Result<Option<Pid>> {
    if lock_file()?.try_lock().is_ok() {
        return Ok(None);
    }
    let written = wait::for_value("the owner's process id", DOWN, || {
        Ok(fs::read_to_string(pid_file()).ok())
    })?;
    let pid = written.trim().parse().ok().and_then(Pid::from_raw);
    pid.map(Some)
        .with_context(|| format!("{} holds no process id", pid_file().display()))
}

fn lock_file() -> anyhow::Result<File> {
    fs::create_dir_all(run_dir())?;
    let file = run_dir().join("up.lock");
    let options = OpenOptions::new().create(true).append(true).open(&file);
    options.with_context(|| format!("cannot open {}", file.display()))
}

fn run_dir() -> PathBuf {
    workspace::hadoop().join("run")
}

fn dir() -> PathBuf {
    run_dir().join("up")
}

fn log() -> PathBuf {
    run_dir().join("up.log")
}

fn pid_file() -> PathBuf {
    run_dir().join("up.pid")
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
