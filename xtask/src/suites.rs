//! `cargo xtask test`: crates without a cluster first, then the suites over real processes.
//!
//! The suites run one test at a time: each drives a cluster of several JVMs, and two cores are what CI has.

use crate::steps;
use anyhow::Context;
use harness::hadoop::{Hadoop, Version};
use std::env;

/// What to test; nothing given means everything.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Only what needs neither cluster nor built binary
    #[arg(long, conflicts_with = "suite")]
    pure: bool,
    /// Only this suite of tests/tests (may be repeated)
    #[arg(long)]
    suite: Vec<String>,
    /// Only suite tests whose name contains this
    #[arg(requires = "suite")]
    filter: Option<String>,
}

/// Runs the tests.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    // First, because tests of the embedded cluster run it too when it is there.
    if !args.pure && env::var_os("DRAWLOOM_BIN").is_none() {
        steps::run("binary under test", &mut steps::cargo(BINARY))?;
    }
    if args.suite.is_empty() {
        steps::run("tests of the crates", &mut steps::cargo(CRATES))?;
        steps::run("tests of the harness", &mut steps::cargo(HARNESS))?;
    }
    if args.pure || !hadoop_is_possible()? {
        return Ok(());
    }
    real_hadoop(args)
}

const CRATES: [&str; 6] = [
    "test",
    "--workspace",
    "--exclude",
    "drawloom-tests",
    "--locked",
    "--no-fail-fast",
];
const HARNESS: [&str; 5] = ["test", "--package", "drawloom-tests", "--lib", "--locked"];
const BINARY: [&str; 6] = ["build", "--profile", "fast", "--package", "drawloom", "--locked"];
const SUITES: [&str; 5] = [
    "test",
    "--package",
    "drawloom-tests",
    "--locked",
    "--no-fail-fast",
];

fn real_hadoop(args: &Args) -> anyhow::Result<()> {
    let mut command = steps::cargo(SUITES);
    if args.suite.is_empty() {
        command.args(["--test", "*"]);
    }
    for suite in &args.suite {
        command.args(["--test", suite]);
    }
    command.args(["--", "--test-threads=1"]).args(&args.filter);
    // No closing line of ours: the output ends with what the test runner says.
    eprintln!("== suites on a real Hadoop");
    let status = command.status().context("cannot start cargo")?;
    anyhow::ensure!(status.success(), "suites on a real Hadoop failed ({status})");
    Ok(())
}

/// Without Java or Maven a person may go on, loudly; CI may not.
fn hadoop_is_possible() -> anyhow::Result<bool> {
    let Err(reason) = Hadoop::can_start(Version::default()) else {
        return Ok(true);
    };
    if env::var_os("CI").is_some_and(|value| value != "false" && !value.is_empty()) {
        return Err(reason.context("CI is set, so the suites on a real Hadoop may not be skipped"));
    }
    eprintln!("!!! SKIPPED: all suites on a real Hadoop, because {reason:#}");
    Ok(false)
}
