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

/// An example program of the package `drawloom`, as `cargo xtask test` builds it.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    target().join("debug/examples").join(name)
}

/// The first executable of this name on `PATH`.
#[must_use]
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Every test that a table names, with its file, in docs/reliability.md: `name` (`file`).
    #[test]
    fn the_scenarios_of_the_docs_name_tests_that_exist() {
        let page = fs::read_to_string(root().join("docs/reliability.md")).unwrap();
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| S")).collect();
        assert_eq!(rows.len(), 48);
        for (number, row) in (1..).zip(rows) {
            assert!(row.starts_with(&format!("| S{number} |")), "{row}");
            for part in row.split("` (`").collect::<Vec<_>>().windows(2) {
                let test = part[0].rsplit('`').next().unwrap();
                let file = part[1].split('`').next().unwrap();
                let source = fs::read_to_string(root().join(file)).unwrap();
                assert!(
                    source.contains(&format!("fn {test}(")),
                    "S{number}: {file} lacks {test}"
                );
            }
        }
    }
}
