//! `cargo xtask deny`: bans, licences and sources of the dependencies, by cargo-deny and `deny.toml`.
//!
//! Advisories are not part of it: their database is a git repository that a build machine without access to its host
//! cannot fetch. `cargo deny check advisories` does that part wherever it can be fetched.

use crate::steps;
use harness::workspace;
use std::path::PathBuf;
use std::process::Command;

/// Runs the offline checks, installing cargo-deny into `target/tools` when it is missing.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut command = Command::new(cargo_deny()?);
    command
        .args(["--locked", "check", "bans", "licenses", "sources"])
        .current_dir(workspace::root());
    steps::run("cargo deny", &mut command)
}

fn cargo_deny() -> anyhow::Result<PathBuf> {
    if let Some(installed) = workspace::on_path("cargo-deny") {
        return Ok(installed);
    }
    let root = workspace::target().join("tools");
    let ours = root.join("bin/cargo-deny");
    if !ours.is_file() {
        // It runs for two seconds; its release build would be optimized as a whole for minutes.
        let mut install = steps::cargo(["install", "cargo-deny", "--locked", "--debug", "--root"]);
        // Its own target folder: ours holds the workspace's lock while other builds run.
        install
            .arg(&root)
            .env("CARGO_TARGET_DIR", root.join("build"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        steps::run("installing cargo-deny", &mut install)?;
    }
    Ok(ours)
}
