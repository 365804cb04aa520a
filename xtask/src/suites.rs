//! `cargo xtask test`: crates without a cluster first, then the suites over real processes.
//!
//! Suites on a real Hadoop whose tests start clusters, or do to one what all on it feel, run one test at a time: a
//! cluster is several JVMs, and two cores are what CI has. The tests of others run side by side on one cluster.
//! Whatever fails is looked at a second time ([`second_look`]).

use crate::{second_look, steps};
use anyhow::{bail, ensure};
use harness::hadoop::{Hadoop, Version};
use harness::workspace;
use std::process::Command;
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
    /// Where suites run that can on both: hadoop or mini; nothing given means hadoop, and on both if no suite is named
    #[arg(long, requires = "suite", value_parser = ["hadoop", "mini"])]
    on: Option<String>,
}

/// Runs the tests.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    // First, because tests of the embedded cluster run it too when it is there.
    if !args.pure {
        steps::binary_under_test()?;
    }
    if args.suite.is_empty() {
        test_crates()?;
    }
    if args.pure {
        return Ok(());
    }
    let wanted = if args.suite.is_empty() {
        all_suites()?
    } else {
        args.suite.clone()
    };
    if args.on.as_deref() == Some("mini") {
        only_embedded(&wanted)?;
    }
    if wanted.iter().any(|suite| suite == "examples") {
        steps::run("program of functions", &mut steps::cargo(PROGRAM))?;
    }
    let mut wrong = Vec::new();
    for group in groups(args, &wanted) {
        if !group.suites.is_empty() && (!group.on_hadoop || hadoop_is_possible()?) {
            // Who waits for half an hour wants to know all that is wrong.
            wrong.extend(group.run().err().map(|error| format!("{error:#}")));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// What needs no built binary.
fn test_crates() -> anyhow::Result<()> {
    let crates = || {
        let mut command = steps::cargo(CRATES);
        if env::var_os(PROPERTY_SEED).is_none() {
            command.env(PROPERTY_SEED, "1");
        }
        command
    };
    let conformance = || {
        let mut command = steps::cargo(CONFORMANCE);
        command.env("DRAWLOOM_CONFORMANCE", "mini");
        command
    };
    let title = "tests of the crates";
    steps::timed(title, || second_look::run(title, crates, &[]))?;
    let title = "tests of the harness";
    steps::timed(title, || second_look::run(title, || steps::cargo(HARNESS), &[]))?;
    let title = "conformance of the embedded cluster";
    steps::timed(title, || second_look::run(title, conformance, &[]))
}

/// All runs of the wanted suites, the soonest done first.
fn groups<'a>(args: &'a Args, wanted: &[String]) -> Vec<Group<'a>> {
    let only = |named: &dyn Fn(&str) -> bool| -> Vec<String> {
        wanted.iter().filter(|suite| named(suite)).cloned().collect()
    };
    let embedded = |title, suites| Group {
        threads: SIDE_BY_SIDE,
        ..Group::new(title, suites, args)
    };
    let mut groups = vec![embedded(
        "suites on the embedded cluster",
        only(&|suite| EMBEDDED.contains(&suite)),
    )];
    if args.suite.is_empty() {
        let client = embedded(
            "scenarios with the driver in the client",
            vec!["scenarios".to_owned()],
        );
        groups.push(Group {
            deploy_mode: Some("client"),
            ..client
        });
    }
    if args.suite.is_empty() || args.on.as_deref() == Some("mini") {
        let both = only(&|suite| BOTH.contains(&suite));
        groups.push(Group {
            on_mini: true,
            ..embedded("suites of both clusters on the embedded one", both)
        });
    }
    if args.on.as_deref() != Some("mini") {
        let real = |title, threads, suites| Group {
            on_hadoop: true,
            threads,
            ..Group::new(title, suites, args)
        };
        let side_by_side = only(&|suite| SHARED.contains(&suite));
        groups.push(real(
            "suites that share a real Hadoop",
            SIDE_BY_SIDE,
            side_by_side,
        ));
        let alone = only(&|suite| !EMBEDDED.contains(&suite) && !SHARED.contains(&suite));
        groups.push(real("suites on a real Hadoop", "1", alone));
    }
    groups
}

/// Suites that need the binary, but no Hadoop.
const EMBEDDED: [&str; 6] = ["client", "examples", "history", "operators", "scenarios", "soak"];
/// Suites that run on a real Hadoop and on the embedded cluster (`harness::cluster`).
const BOTH: [&str; 3] = ["bad_input", "faults", "verdicts"];
/// Suites on a real Hadoop each of whose tests is a person of its own on the suite's cluster.
const SHARED: [&str; 4] = ["bad_input", "cli", "faults", "verdicts"];
/// How many tests run at once that mostly wait.
const SIDE_BY_SIDE: &str = "3";

/// Whoever asks for the embedded cluster must not believe that a suite has run which cannot.
fn only_embedded(wanted: &[String]) -> anyhow::Result<()> {
    let able = [&BOTH[..], &EMBEDDED].concat();
    match wanted.iter().find(|suite| !able.contains(&suite.as_str())) {
        Some(suite) => bail!(
            "{suite} needs a real Hadoop; both clusters run {}",
            BOTH.join(", ")
        ),
        None => Ok(()),
    }
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
/// What the suite `soak` draws its faults from; the same on every machine for the same reason. `cargo xtask soak` draws
/// others each time.
const SOAK_SEED: &str = "SOAK_SEED";
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
/// A program of Rust functions, as the tests of the crates have built it.
const PROGRAM: [&str; 6] = [
    "build",
    "--package",
    "drawloom",
    "--example",
    "primes",
    "--locked",
];
/// What suites read that run as a whole in one mode (`harness::mode::Mode::of_run`).
const DEPLOY_MODE: &str = "TEST_DEPLOY_MODE";
/// What suites read that run on both clusters (`harness::cluster::Kind::of_run`).
const CLUSTER: &str = "TEST_CLUSTER";
const SUITES: [&str; 5] = [
    "test",
    "--package",
    "drawloom-tests",
    "--locked",
    "--no-fail-fast",
];

/// Suites that are run the same way.
#[derive(Debug)]
struct Group<'a> {
    title: &'static str,
    suites: Vec<String>,
    threads: &'static str,
    on_hadoop: bool,
    /// Whether suites of both run on the embedded cluster, without the tests that only a real one can be had for.
    on_mini: bool,
    filter: Option<&'a str>,
    deploy_mode: Option<&'a str>,
}

impl<'a> Group<'a> {
    /// One test at a time.
    fn new(title: &'static str, suites: Vec<String>, args: &'a Args) -> Self {
        Self {
            title,
            suites,
            threads: "1",
            on_hadoop: false,
            on_mini: false,
            filter: args.filter.as_deref(),
            deploy_mode: args.deploy_mode.as_deref(),
        }
    }

    fn run(&self) -> anyhow::Result<()> {
        let mut arguments = vec!["--test-threads", self.threads];
        arguments.extend(self.filter);
        if self.on_mini {
            arguments.extend(["--skip", "on_hadoop::"]);
        }
        // No closing line of ours: the output ends with what the test runner says.
        eprintln!("== {}", self.title);
        second_look::run(self.title, || self.command(), &arguments)
    }

    fn command(&self) -> Command {
        let mut command = steps::cargo(SUITES);
        command.envs(self.deploy_mode.map(|mode| (DEPLOY_MODE, mode)));
        command.envs(self.on_mini.then_some((CLUSTER, "mini")));
        if env::var_os(SOAK_SEED).is_none() {
            command.env(SOAK_SEED, "1");
        }
        for suite in &self.suites {
            command.args(["--test", suite]);
        }
        command
    }
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
