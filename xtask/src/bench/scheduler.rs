//! `cargo xtask bench scheduler`: the driver core alone, without network or process; then the whole path, where
//! functions that do nothing go through driver, gateway and two executor processes.

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

const WHOLE_PATH: [&str; 7] = [
    "run",
    "--release",
    "--package",
    "drawloom",
    "--example",
    "tasks_per_second",
    "--locked",
];

/// Runs both in the release profile; each prints its own lines.
///
/// # Errors
/// Fails when one does.
pub(super) fn run() -> anyhow::Result<()> {
    steps::run("scheduler core", &mut steps::cargo(CORE))?;
    steps::run("whole path", &mut steps::cargo(WHOLE_PATH))
}
