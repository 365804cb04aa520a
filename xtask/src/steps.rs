//! Running other programs as named steps.

use anyhow::{Context, ensure};
use harness::workspace;
use std::env;
use std::ffi::OsString;
use std::process::Command;
use std::time::Instant;

/// The cargo that runs us, in the workspace's folder.
pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.args(args).current_dir(workspace::root());
    command
}

/// Builds the release binary.
///
/// # Errors
/// Fails when the build does.
pub(crate) fn release_build() -> anyhow::Result<()> {
    let mut build = cargo(["build", "--release", "--package", "drawloom", "--locked"]);
    run("release build", &mut build)
}

/// The binary that suites run, if the person brings none.
///
/// # Errors
/// Fails when the build does.
pub(crate) fn binary_under_test() -> anyhow::Result<()> {
    if env::var_os("DRAWLOOM_BIN").is_some() {
        return Ok(());
    }
    let mut build = cargo(["build", "--profile", "fast", "--package", "drawloom", "--locked"]);
    run("binary under test", &mut build)
}

/// The test runner for one suite, to which its arguments are added; what tests print is seen.
pub(crate) fn suite(name: &str) -> Command {
    let mut command = cargo(["test", "--package", "drawloom-tests", "--locked", "--test"]);
    command.args([name, "--", "--nocapture"]);
    command
}

/// A program that is an example of a package, to which its arguments are added; `fast` is quick to build, `release` is
/// what users run.
pub(crate) fn example(profile: &str, package: &str, name: &str) -> Command {
    let mut command = cargo(["run", "--locked", "--quiet", "--profile", profile]);
    command.args(["--package", package, "--example", name, "--"]);
    command
}

/// Runs a step; its words go to the terminal.
///
/// # Errors
/// Fails when the program is missing or exits other than 0.
pub(crate) fn run(title: &str, command: &mut Command) -> anyhow::Result<()> {
    timed(title, || {
        let status = command
            .status()
            .with_context(|| format!("cannot start {:?}", command.get_program()))?;
        ensure!(status.success(), "{title} failed ({status})");
        Ok(())
    })
}

/// Announces a step and says how long it took.
///
/// # Errors
/// Whatever the step says.
pub(crate) fn timed(title: &str, step: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    eprintln!("== {title}");
    let start = Instant::now();
    step()?;
    eprintln!("== {title}: {:.1?}", start.elapsed());
    Ok(())
}

/// What a program prints, without the newline at its end.
///
/// # Errors
/// Fails when the program is missing or exits other than 0.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    ensure!(
        output.status.success(),
        "{:?} failed ({})",
        command.get_program(),
        output.status
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
