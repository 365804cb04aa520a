//! `cargo xtask bench scheduler`: the driver core alone, without network or process.

use crate::steps;

const CORE: [&str; 7] = [
    "run",
    "--release",
    "--package",
    "drawloom-driver",
    "--example",
    "throughput",
    "--locked",
];

/// Runs it in the release profile; it prints its own lines.
///
/// # Errors
/// Fails when it does.
pub(super) fn run() -> anyhow::Result<()> {
    steps::run("scheduler core", &mut steps::cargo(CORE))
}
