//! `cargo xtask soak`: the suite `soak` for as long as a person likes; CI gives it a minute.

use crate::operators::Ground;
use crate::steps;

/// How long, from which seed, on what.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Chooses the faults; the time when not given. It is printed first
    #[arg(long)]
    seed: Option<u64>,
    /// How long jobs are submitted and faults happen
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// The embedded cluster, or a real Hadoop on this machine
    #[arg(long, value_enum, default_value_t = Ground::Mini)]
    on: Ground,
}

/// Runs the soak; the figures are the last line but those of the test runner.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    steps::binary_under_test()?;
    let mut command = steps::suite("soak");
    command.args(match args.on {
        Ground::Mini => ["--include-ignored", "embedded"],
        Ground::Hadoop => ["--include-ignored", "real_hadoop"],
    });
    command.env("SOAK_SECONDS", (args.minutes * 60).to_string());
    if let Some(seed) = args.seed {
        command.env("SOAK_SEED", seed.to_string());
    }
    steps::run("soak", &mut command)
}
