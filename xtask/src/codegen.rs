//! `cargo xtask codegen`: compiles the `.proto` files of our crates and writes the Rust code into them.
//!
//! The generated code is committed, so that nobody needs a compiler for protocol buffers to build drawloom
//! ([protox] is one in Rust, and only this tool links it). [`check`] is for CI: it generates into memory and
//! says which file differs.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Crates that may have `proto/*.proto`; the code goes to `src/proto/<package>.rs`.
const CRATES: [&str; 2] = ["yarn-rpc", "wire"];

/// Generates the code and writes the files that changed.
pub(crate) fn run() -> Result<()> {
    for (path, text) in generate_all()? {
        if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        let parent = path.parent().context("a generated file lies in a directory")?;
        std::fs::create_dir_all(parent).with_context(|| format!("failed to create {}", parent.display()))?;
        std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// Generates the code and fails when a committed file differs from it.
pub(crate) fn check() -> Result<()> {
    let stale = |(path, text): &(&PathBuf, &String)| {
        !std::fs::read_to_string(path).is_ok_and(|committed| committed == **text)
    };
    let generated = generate_all()?;
    let names: Vec<String> = generated
        .iter()
        .filter(stale)
        .map(|(path, _)| path.display().to_string())
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    bail!(
        "generated code is out of date, run `cargo xtask codegen`: {}",
        names.join(", ")
    )
}

/// Every file that should exist, with its text.
fn generate_all() -> Result<BTreeMap<PathBuf, String>> {
    let root = workspace_root()?;
    let mut files = BTreeMap::new();
    for name in CRATES {
        let dir = root.join(name);
        let protos = proto_files(&dir.join("proto"))?;
        if !protos.is_empty() {
            let code = generate(&dir.join("proto"), &protos)
                .with_context(|| format!("failed to generate code for {name}"))?;
            files.extend(
                code.into_iter()
                    .map(|(file, text)| (dir.join("src/proto").join(file), text)),
            );
        }
    }
    Ok(files)
}

/// The directory of the workspace: the parent of this crate.
fn workspace_root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask lies in the workspace")?.to_owned())
}

/// The `.proto` files of a directory in order; none when it does not exist.
fn proto_files(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("failed to list {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// File name and formatted text of the code for one crate.
fn generate(dir: &Path, protos: &[PathBuf]) -> Result<BTreeMap<String, String>> {
    let descriptors = protox::compile(protos, [dir])?;
    let out = tempfile::tempdir().context("failed to make a temporary directory")?;
    prost_build::Config::new()
        .out_dir(out.path())
        // Results of tasks are passed on without a copy.
        .bytes([".drawloom"])
        .compile_fds(descriptors)?;
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(out.path())? {
        let entry = entry?;
        let text = std::fs::read_to_string(entry.path())?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), rustfmt(&text)?);
    }
    Ok(files)
}

/// The text as the workspace's formatter would have it.
fn rustfmt(text: &str) -> Result<String> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout", "--config-path"])
        .arg(workspace_root()?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to start rustfmt; `rustup component add rustfmt` installs it")?;
    let mut stdin = child.stdin.take().context("rustfmt was given a pipe")?;
    let input = text.to_owned();
    let feeder = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().context("failed to read from rustfmt")?;
    let fed = feeder.join();
    if !output.status.success() || !matches!(fed, Ok(Ok(()))) {
        bail!("rustfmt refused the generated code: {}", output.status);
    }
    String::from_utf8(output.stdout).context("rustfmt printed something that is not UTF-8")
}
