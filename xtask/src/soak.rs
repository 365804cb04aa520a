//! `cargo xtask soak`: the suite `soak` for as long as a person likes; CI gives it a minute.

use std::env;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Ground {
    Mini,
    Hadoop,
}

/// Runs the soak; the figures are the last line but those of the test runner.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if env::var_os("DRAWLOOM_BIN").is_none() {
        let build = ["build", "--profile", "fast", "--package", "drawloom", "--locked"];
        steps::run("binary under test", &mut steps::cargo(build))?;
    }
    let test = [
        "test",
        "--package",
        "drawloom-tests",
        "--locked",
        "--test",
        "soak",
        "--",
    ];
    let mut command = steps::cargo(test);
    command.args(["--nocapture", "--include-ignored"]);
    command.arg(match args.on {
        Ground::Mini => "embedded",
        Ground::Hadoop => "real_hadoop",
    });
    command.env("SOAK_SECONDS", (args.minutes * 60).to_string());
    if let Some(seed) = args.seed {
        command.env("SOAK_SEED", seed.to_string());
    }
    steps::run("soak", &mut command)
}
