//! The one command surface of the repository; CI runs the same steps through it.

mod bench;
mod ci;
mod cluster;
mod codegen;
mod deny;
mod dist;
mod operators;
mod second_look;
mod simulate;
mod soak;
mod steps;
mod suites;

use clap::Parser;
use std::process::ExitCode;

/// Everything there is to do in this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// All checks: format, lints, documentation, generated code, dependencies, tests
    Ci,
    /// Tests: crates without a cluster, then the suites on a real Hadoop
    Test(suites::Args),
    /// Jobs with checked outputs under faults of a seeded order
    Soak(soak::Args),
    /// What operators look at, in a browser and in a Prometheus
    #[command(subcommand)]
    Operators(operators::Operators),
    /// A real Hadoop on this machine, to try things on
    Hadoop(cluster::Cluster),
    /// Measures start-up, memory, size and the scheduler core
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Simulates applications against models of YARN and of executors, and checks the invariants
    Simulate(simulate::Args),
    /// Generates the protobuf code that is committed
    Codegen {
        /// Only says whether the committed code is what would be generated
        #[arg(long)]
        check: bool,
    },
    /// Checks bans, licences and sources of the dependencies
    Deny,
    /// A stripped release build as a tarball with its checksum, in target/dist
    Dist,
}

fn main() -> ExitCode {
    match run(Task::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Ci => ci::run(),
        Task::Test(args) => suites::run(&args),
        Task::Soak(args) => soak::run(&args),
        Task::Operators(what) => what.run(),
        Task::Hadoop(cluster) => cluster.run(),
        Task::Bench(bench) => bench.run(),
        Task::Simulate(args) => simulate::run(&args),
        Task::Codegen { check: true } => codegen::check(),
        Task::Codegen { check: false } => codegen::run(),
        Task::Deny => deny::run(),
        Task::Dist => dist::run(),
    }
}
