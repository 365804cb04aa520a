//! `cargo xtask bench`: the figures of docs/performance.md.
//!
//! Each benchmark prints a Markdown table to standard output and what it does to standard error. Times depend on the
//! machine, so every figure that matters stands beside a floor or an aim measured or stated in the same run.

mod client;
mod memory;
mod pages;
mod recovery;
mod relaunch;
mod samples;
mod scale;
mod scheduler;
mod size;
mod startup;
mod tasks;
mod times;

use crate::steps;
use clap::Subcommand;
use harness::workspace;
use std::env;
use std::process::Command;

/// Names the binary that is measured.
const BINARY: &str = "DRAWLOOM_BIN";

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// From submission to the first running task, against what the cluster itself needs
    Startup(startup::Args),
    /// From the SIGKILL of an executor to its task running elsewhere and to its replacement
    Relaunch(relaunch::Args),
    /// The client: processor time and peak memory while it waits for a job, in both modes, and how long `status` takes
    Client(client::Args),
    /// The journal: tasks a second with and without it, its size, its replay
    Recovery(recovery::Args),
    /// Resident memory of an ApplicationMaster with many executors, and of executors
    Memory(memory::Args),
    /// Size of the stripped release binary, and the libraries it needs
    Size,
    /// An ApplicationMaster with up to ten thousand executors, which are tasks of one process
    Scale(scale::Args),
    /// What pages and answers take when a hundred thousand tasks are done
    Pages(pages::Args),
    /// Throughput of the scheduler core
    Scheduler,
    /// Tasks a second over the whole path, functions and commands, against a bare loop of the same starts
    Tasks(tasks::Args),
}

impl Bench {
    /// Measures with the release build, or with the binary that `DRAWLOOM_BIN` names.
    ///
    /// # Errors
    /// Whatever keeps the benchmark from a figure; a figure that misses its aim is none.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if matches!(self, Self::Scheduler) {
            return scheduler::run();
        }
        if env::var_os(BINARY).is_none() {
            return again_with_release_build();
        }
        match self {
            Self::Startup(args) => startup::run(args),
            Self::Relaunch(args) => relaunch::run(args),
            Self::Client(args) => client::run(args),
            Self::Recovery(args) => recovery::run(args),
            Self::Memory(args) => memory::run(args),
            Self::Scale(args) => scale::run(args),
            Self::Pages(args) => pages::run(args),
            Self::Tasks(args) => tasks::run(args),
            Self::Size => size::run(&workspace::drawloom()),
            Self::Scheduler => Ok(()),
        }
    }
}

/// The harness takes the binary from the environment, which a process does not change for itself.
fn again_with_release_build() -> anyhow::Result<()> {
    steps::release_build()?;
    let mut again = Command::new(env::current_exe()?);
    again
        .args(env::args_os().skip(1))
        .env(BINARY, workspace::target().join("release/drawloom"));
    steps::run("benchmark", &mut again)
}
