//! Where the build keeps its files.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of the workspace's `Cargo.toml`.
#[must_use]
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Cargo's target folder: `CARGO_TARGET_DIR` or `target` in the workspace.
#[must_use]
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Where Hadoop's jars and the state of running clusters lie.
#[must_use]
pub fn hadoop() -> PathBuf {
    target().join("hadoop")
}

/// The `drawloom` binary under test: `DRAWLOOM_BIN`, else what `cargo xtask test` builds with the profile `fast`.
#[must_use]
pub fn drawloom() -> PathBuf {
    match env::var_os("DRAWLOOM_BIN") {
        Some(binary) => PathBuf::from(binary),
        None => target().join("fast").join("drawloom"),
    }
}

/// The first executable of this name on `PATH`.
#[must_use]
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}
