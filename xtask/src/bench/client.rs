//! `cargo xtask bench client`: what `drawloom submit` costs the person's machine while a job runs, on the embedded cluster.
//!
//! Processor time is what the kernel charges for the process when it has ended; memory is the highest it has been
//! (`VmHWM`), read until the end. The client does not know which cluster it speaks to; HDFS's client is not in it here.

use super::memory::Memory;
use super::samples::Samples;
use super::times;
use anyhow::{Context, ensure};
use harness::embedded::Embedded;
use harness::process::Drawloom;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long the job is, seconds
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Calls of `drawloom status` that are counted
    #[arg(long, default_value_t = 20)]
    calls: usize,
}

/// Two of them do the job's tasks, of one second each.
const EXECUTORS: u32 = 2;
/// Between two looks at a running process.
const LOOK: Duration = Duration::from_millis(50);
/// Spark 4.3.0 waiting for an application that does nothing, warm: processor seconds and MB, by mode.
const SPARK: [(&str, f64, f64); 2] = [("cluster", 5.87, 280.0), ("client", 9.0, 294.0)];

/// Runs the benchmark.
///
/// # Errors
/// Fails when the cluster does not come up or a command fails.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let cluster = Embedded::start(2)?;
    let mut rows = Vec::new();
    let mut application = String::new();
    for (mode, spark_cpu, spark_peak) in SPARK {
        eprintln!("a job of {} s with its driver in {mode} mode", args.seconds);
        let cost = waiting(&cluster, mode, args.seconds)?;
        let (cpu, peak) = (cost.cpu, cost.peak);
        rows.push(format!(
            "| {mode} mode, job of {} s: CPU, s | {cpu:.2} | 0.2 | {spark_cpu:.2} | {:.3} |",
            args.seconds,
            cpu / spark_cpu
        ));
        rows.push(format!(
            "| the same: peak memory, MB | {peak:.1} | 20 | {spark_peak:.0} | {:.3} |",
            peak / spark_peak
        ));
        application = cost.application;
    }
    let calls = (0..=args.calls).map(|_| status(&cluster, &application));
    let walls: Vec<f64> = calls.collect::<anyhow::Result<_>>()?;
    // The first warms up.
    let walls: Samples = walls.into_iter().skip(1).collect();
    rows.push(format!("| `drawloom status`, ms | {walls:.1} | 50 | | |"));
    println!(
        "| figure | drawloom | aim | Spark 4.3.0 | ratio |\n|---|---|---|---|---|\n{}",
        rows.join("\n")
    );
    Ok(())
}

struct Cost {
    application: String,
    cpu: f64,
    peak: f64,
}

fn drawloom(cluster: &Embedded, args: &[&str]) -> Command {
    let mut command = Drawloom::new(cluster).args(args).into_command();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Submits a job and waits for its end.
fn waiting(cluster: &Embedded, mode: &str, seconds: u32) -> anyhow::Result<Cost> {
    let (tasks, executors) = ((seconds * EXECUTORS).to_string(), EXECUTORS.to_string());
    let args = [
        "run",
        "-n",
        &tasks,
        "--num-executors",
        &executors,
        "--executor-memory",
        "256m",
        "--deploy-mode",
        mode,
        "--",
        "sleep",
        "1",
    ];
    let before = times::children_cpu()?;
    let mut client = drawloom(cluster, &args)
        .spawn()
        .context("cannot start drawloom")?;
    let mut peak = 0.0;
    while client.try_wait()?.is_none() {
        if let Some(memory) = Memory::of_pid(client.id()) {
            peak = memory.peak;
        }
        thread::sleep(LOOK);
    }
    let cpu = times::children_cpu()? - before;
    let output = client.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let word = said
        .split_whitespace()
        .find(|word| word.starts_with("application_"));
    let application = word.context("no id was said")?.to_owned();
    Ok(Cost {
        application,
        cpu,
        peak,
    })
}

/// Milliseconds of one call.
fn status(cluster: &Embedded, application: &str) -> anyhow::Result<f64> {
    let mut command = drawloom(cluster, &["status", application]);
    let begun = Instant::now();
    let output = command.output()?;
    let wall = begun.elapsed();
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(wall.as_secs_f64() * 1000.0)
}
