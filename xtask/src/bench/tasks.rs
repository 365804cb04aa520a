//! `cargo xtask bench tasks`: tasks a second over the whole path, functions and commands that do nothing.

use crate::steps;
use harness::workspace;

/// How many.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Calls of a function that does nothing; 0 for none
    #[arg(long, default_value_t = 100_000)]
    functions: u32,
    /// Commands that do nothing; 0 for none
    #[arg(long, default_value_t = 20_000)]
    commands: u32,
}

/// A program of functions, and what measures it and the binary.
const PROGRAM: [&str; 8] = [
    "build",
    "--profile",
    "fast",
    "--locked",
    "--package",
    "drawloom",
    "--example",
    "tasks_per_second",
];

/// Builds what is needed and measures; the rows go to standard output.
///
/// # Errors
/// Fails when a build or a run does.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    steps::run("program of functions", &mut steps::cargo(PROGRAM))?;
    let program = workspace::target().join("fast/examples/tasks_per_second");
    let mut measure = steps::example("fast", "drawloom-tests", "tasks");
    measure
        .args([args.functions.to_string(), args.commands.to_string()])
        .env("FUNCTIONS_BIN", program);
    steps::run("tasks", &mut measure)
}
