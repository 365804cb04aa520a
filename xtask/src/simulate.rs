//! `cargo xtask simulate`: applications in virtual time, one a seed, until an invariant breaks.

use crate::steps;

/// Which seeds.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The first seed; alone, it is run with a trace
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other; 1000 a few seconds
    #[arg(long)]
    seeds: Option<u64>,
    /// Goes on after a failure and names all seeds that failed
    #[arg(long)]
    keep_going: bool,
}

/// Builds the simulation with the checks of a debug build and the speed of another, and runs it.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut command = steps::cargo(RUN);
    command.args(["--seed", &args.seed.to_string()]);
    command.args(["--seeds", &args.seeds.unwrap_or(1).to_string()]);
    if args.keep_going {
        command.arg("--keep-going");
    }
    steps::run("simulation", &mut command)
}

const RUN: [&str; 8] = [
    "run",
    "--quiet",
    "--locked",
    "--package",
    "drawloom-simulation",
    "--profile",
    "simulation",
    "--",
];
