//! `cargo xtask ci`: what must hold for every commit, in the order of how soon it says no.

use crate::{codegen, deny, steps, suites};

/// Runs every check; the tests come last, so that the end of the output is theirs.
pub(crate) fn run() -> anyhow::Result<()> {
    steps::run("format", &mut steps::cargo(["fmt", "--all", "--check"]))?;
    steps::timed("generated code", codegen::check)?;
    steps::run("lints", &mut steps::cargo(CLIPPY))?;
    steps::run(
        "documentation",
        steps::cargo(DOC).env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    steps::timed("dependencies", deny::run)?;
    suites::run(&suites::Args::default())
}

const CLIPPY: [&str; 7] = [
    "clippy",
    "--workspace",
    "--all-targets",
    "--locked",
    "--",
    "-D",
    "warnings",
];
const DOC: [&str; 4] = ["doc", "--workspace", "--no-deps", "--locked"];
