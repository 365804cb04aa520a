//! `cargo xtask dist`: the release as people download it.

use crate::steps;
use anyhow::Context;
use harness::workspace;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Files that lie beside the binary.
const DOCUMENTS: [&str; 3] = ["LICENSE", "CHANGELOG.md", "README.md"];

/// Builds the release profile (stripped) and packs `drawloom-<version>-<target>.tar.gz` with a `.sha256` beside it.
pub(crate) fn run() -> anyhow::Result<()> {
    steps::release_build()?;
    let name = format!("drawloom-{}-{}", env!("CARGO_PKG_VERSION"), host()?);
    let dist = workspace::target().join("dist");
    let tree = dist.join(&name);
    lay_out(&tree)?;
    pack(&dist, &name)
}

/// The target triple of this machine's compiler.
fn host() -> anyhow::Result<String> {
    let about = steps::output(Command::new("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

fn lay_out(tree: &Path) -> anyhow::Result<()> {
    if tree.exists() {
        fs::remove_dir_all(tree)?;
    }
    fs::create_dir_all(tree.join("bin"))?;
    fs::copy(
        workspace::target().join("release/drawloom"),
        tree.join("bin/drawloom"),
    )?;
    for document in DOCUMENTS {
        fs::copy(workspace::root().join(document), tree.join(document))
            .with_context(|| format!("cannot copy {document}"))?;
    }
    Ok(())
}

/// Same content, same bytes: names sorted, no owner, no times.
fn pack(dist: &Path, name: &str) -> anyhow::Result<()> {
    let tarball = format!("{name}.tar.gz");
    let mut tar = Command::new("tar");
    tar.args([
        "--sort=name",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--mtime=@0",
        "-I",
        "gzip -n",
        "-cf",
    ]);
    steps::run("tarball", tar.args([&tarball, name]).current_dir(dist))?;
    let sum = steps::output(Command::new("sha256sum").arg(&tarball).current_dir(dist))?;
    fs::write(dist.join(format!("{tarball}.sha256")), format!("{sum}\n"))?;
    println!("{}\n{sum}", dist.join(&tarball).display());
    Ok(())
}
