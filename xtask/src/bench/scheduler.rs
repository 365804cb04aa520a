//! `cargo xtask bench scheduler`: the driver core alone, no network and no process.

use crate::steps;

const EXAMPLE: [&str; 7] = [
    "run",
    "--release",
    "--package",
    "drawloom-driver",
    "--example",
    "throughput",
    "--locked",
];

/// Runs the core's own benchmark in the release profile; it prints its table itself.
///
/// # Errors
/// Fails when it does.
pub(super) fn run() -> anyhow::Result<()> {
    steps::run("scheduler core", &mut steps::cargo(EXAMPLE))
}
