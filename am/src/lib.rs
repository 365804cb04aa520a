//! The ApplicationMaster process: launcher core, executor gateway, web pages and wiring.

pub mod launch;

use std::process::ExitCode;

/// Runs the ApplicationMaster that YARN has started in this process, to its end.
///
/// # Errors
/// Only what prevents the start; everything later ends in the application's final status.
pub fn run_from_env() -> anyhow::Result<ExitCode> {
    anyhow::bail!("the ApplicationMaster cannot run yet")
}
