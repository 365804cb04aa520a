//! `cargo xtask bench memory`: an application that holds many executors and does nothing, on a real cluster.
//!
//! The executors are real and their containers small; one of them runs a task that sleeps, the others idle.

use super::samples::Samples;
use anyhow::Context;
use harness::hadoop::Hadoop;
use harness::process::{Drawloom, Running};
use harness::processes::Process;
use std::fmt::Display;
use std::fs;
use std::thread;
use std::time::Duration;

/// How many, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Executors
    #[arg(long, default_value_t = 100)]
    executors: usize,
    /// Seconds of idling before memory is read
    #[arg(long, default_value_t = 20)]
    settle: u64,
}

/// Time for all executors to register.
const UP: Duration = Duration::from_secs(240);

const TITLE: &str =
    "| process | number | RSS, MB | of it private, MB | peak RSS, MB | aim |\n|---|---|---|---|---|---|";

/// Runs the benchmark.
///
/// # Errors
/// Fails when the cluster or the application does not come up.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let node_memory = u32::try_from(args.executors * 64 / 2 + 1024)?;
    let hadoop = Hadoop::builder()
        .nodes(3)
        .node_resources(node_memory, 256)
        .node_heartbeat(Duration::from_millis(200))
        .start()?;
    let application = submit(&hadoop, args)?;
    eprintln!("{} executors registered, settling", args.executors);
    thread::sleep(Duration::from_secs(args.settle));
    let table = table(&hadoop, args)?;
    drop(application);
    hadoop.end()?;
    println!("{table}");
    Ok(())
}

fn submit(hadoop: &Hadoop, args: &Args) -> anyhow::Result<Running> {
    let job = hadoop.dir().join("memory.yaml");
    fs::write(
        &job,
        format!(
            "version: 1\nname: bench-memory\nam: {{ memory: 256MiB }}\n\
             executors: {{ instances: {}, memory: 64MiB, cores: 1 }}\n\
             stages:\n  - {{ name: idle, tasks: 1, command: [sleep, \"900\"] }}\n",
            args.executors
        ),
    )?;
    let mut client = Drawloom::new(hadoop).args(["submit"]).args([&job]).spawn()?;
    let all = format!("{0}/{0}", args.executors);
    client
        .wait_for_text(&all, UP)
        .context("not all executors came up")?;
    Ok(client)
}

/// What the kernel says of one process, in MB.
pub(super) struct Memory {
    resident: f64,
    pub(super) peak: f64,
    anonymous: f64,
}

impl Memory {
    fn of(process: &Process) -> Option<Self> {
        Self::of_pid(process.pid)
    }

    /// None when it is gone.
    pub(super) fn of_pid(pid: impl Display) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let megabytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kibibytes: f64 = line.split_whitespace().next()?.parse().ok()?;
            Some(kibibytes * 1024.0 / 1e6)
        };
        Some(Self {
            resident: megabytes("VmRSS:")?,
            peak: megabytes("VmHWM:")?,
            anonymous: megabytes("RssAnon:")?,
        })
    }
}

fn table(hadoop: &Hadoop, args: &Args) -> anyhow::Result<String> {
    let all = hadoop.processes();
    let called = |command: &str| -> Vec<Process> {
        let is = |process: &&Process| process.command.ends_with(command);
        all.iter().filter(is).cloned().collect()
    };
    let master = format!("ApplicationMaster with {} executors", args.executors);
    let rows = [
        row(&master, &called("drawloom am"), "20")?,
        row("executor, idle", &called("drawloom executor"), "12")?,
        row("its guard", &called("drawloom-guard executor"), "")?,
    ];
    Ok(format!("{TITLE}\n{}", rows.join("\n")))
}

fn row(name: &str, processes: &[Process], aim: &str) -> anyhow::Result<String> {
    let read: Vec<Memory> = processes.iter().filter_map(Memory::of).collect();
    anyhow::ensure!(!read.is_empty(), "no process is {name}");
    let samples = |value: fn(&Memory) -> f64| read.iter().map(value).collect::<Samples>();
    Ok(format!(
        "| {name} | {} | {:.1} | {:.1} | {:.1} | {aim} |",
        read.len(),
        samples(|memory| memory.resident),
        samples(|memory| memory.anonymous),
        samples(|memory| memory.peak),
    ))
}
