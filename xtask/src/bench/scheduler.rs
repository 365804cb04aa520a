//! `cargo xtask bench scheduler`: the driver core alone, without network or process.

use crate::steps;

/// Runs it in the release profile; it prints its own lines.
///
/// # Errors
/// Fails when it does.
pub(super) fn run() -> anyhow::Result<()> {
    let mut core = steps::example("release", "drawloom-driver", "throughput");
    steps::run("scheduler core", &mut core)
}
