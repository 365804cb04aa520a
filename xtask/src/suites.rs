//! `cargo xtask test`: crates without a cluster first, then the suites over real processes.
//!
//! Suites on a real Hadoop run one test at a time: each drives a cluster of several JVMs, and two cores are what CI has.

use crate::steps;
use anyhow::Context;
use harness::hadoop::{Hadoop, Version};
use harness::workspace;
use std::{env, fs};

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
    /// Where the drivers of jobs are that say nothing of it: cluster or client
    #[arg(long, requires = "suite", value_parser = ["cluster", "client"])]
    deploy_mode: Option<String>,
}

/// Runs the tests.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    // First, because tests of the embedded cluster run it too when it is there.
    if !args.pure && env::var_os("DRAWLOOM_BIN").is_none() {
        steps::run("binary under test", &mut steps::cargo(BINARY))?;
    }
    if args.suite.is_empty() {
        let mut crates = steps::cargo(CRATES);
        if env::var_os(PROPERTY_SEED).is_none() {
            crates.env(PROPERTY_SEED, "1");
        }
        steps::run("tests of the crates", &mut crates)?;
        steps::run("tests of the harness", &mut steps::cargo(HARNESS))?;
        let mut conformance = steps::cargo(CONFORMANCE);
        conformance.env("DRAWLOOM_CONFORMANCE", "mini");
        steps::run("conformance of the embedded cluster", &mut conformance)?;
    }
    if args.pure {
        return Ok(());
    }
    let (embedded, real) = split(args)?;
    if !embedded.is_empty() {
        let title = "suites on the embedded cluster";
        let mode = args.deploy_mode.as_deref();
        suites(title, &embedded, EMBEDDED_THREADS, args.filter.as_deref(), mode)?;
    }
    if args.suite.is_empty() {
        let title = "scenarios with the driver in the client";
        suites(
            title,
            &["scenarios".to_owned()],
            EMBEDDED_THREADS,
            None,
            Some("client"),
        )?;
    }
    if real.is_empty() || !hadoop_is_possible()? {
        return Ok(());
    }
    let mode = args.deploy_mode.as_deref();
    suites(
        "suites on a real Hadoop",
        &real,
        "1",
        args.filter.as_deref(),
        mode,
    )
}

/// Suites that need the binary, but no Hadoop.
const EMBEDDED: [&str; 5] = ["client", "examples", "history", "scenarios", "soak"];
/// Their tests mostly wait.
const EMBEDDED_THREADS: &str = "3";

/// The wanted suites, all when none is named: those on the embedded cluster, and those on a real Hadoop.
fn split(args: &Args) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let wanted = if args.suite.is_empty() {
        all_suites()?
    } else {
        args.suite.clone()
    };
    let embedded = |suite: &String| EMBEDDED.contains(&suite.as_str());
    Ok(wanted.into_iter().partition(embedded))
}

/// Names of the tests of the package: files, and folders with a `main.rs`.
fn all_suites() -> anyhow::Result<Vec<String>> {
    let mut suites = Vec::new();
    for entry in fs::read_dir(workspace::root().join("tests/tests"))? {
        let path = entry?.path();
        let is_suite = path.extension().is_some_and(|end| end == "rs") || path.join("main.rs").is_file();
        let name = path.file_stem().filter(|_| is_suite);
        suites.extend(name.map(|name| name.to_string_lossy().into_owned()));
    }
    suites.sort();
    Ok(suites)
}

const CRATES: [&str; 6] = [
    "test",
    "--workspace",
    "--exclude",
    "drawloom-tests",
    "--locked",
    "--no-fail-fast",
];
/// What proptest draws its cases from. A change is judged by the same cases on every machine; plain `cargo test` draws
/// others each time, and with `PROPTEST_CASES=100000` that is how one looks for more.
const PROPERTY_SEED: &str = "PROPTEST_RNG_SEED";
const HARNESS: [&str; 5] = ["test", "--package", "drawloom-tests", "--lib", "--locked"];
/// The suite of that name runs the same cases on both clusters.
const CONFORMANCE: [&str; 6] = [
    "test",
    "--package",
    "drawloom-tests",
    "--test",
    "conformance",
    "--locked",
];
const BINARY: [&str; 6] = ["build", "--profile", "fast", "--package", "drawloom", "--locked"];
/// What suites read that run as a whole in one mode (`harness::mode::Mode::of_run`).
const DEPLOY_MODE: &str = "TEST_DEPLOY_MODE";
const SUITES: [&str; 5] = [
    "test",
    "--package",
    "drawloom-tests",
    "--locked",
    "--no-fail-fast",
];

fn suites(
    title: &str,
    names: &[String],
    threads: &str,
    filter: Option<&str>,
    deploy_mode: Option<&str>,
) -> anyhow::Result<()> {
    let mut command = steps::cargo(SUITES);
    command.envs(deploy_mode.map(|mode| (DEPLOY_MODE, mode)));
    for suite in names {
        command.args(["--test", suite]);
    }
    command.args(["--", "--test-threads", threads]).args(filter);
    // No closing line of ours: the output ends with what the test runner says.
    eprintln!("== {title}");
    let status = command.status().context("cannot start cargo")?;
    anyhow::ensure!(status.success(), "{title} failed ({status})");
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
