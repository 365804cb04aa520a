//! The list of containers that this attempt was granted, kept beside the ApplicationMaster's logs.
//!
//! After the end of an application the ResourceManager no longer says which containers it had, though their logs lie on
//! the nodes for hours. `drawloom logs` reads this file first and so finds them. Losing a line costs only that.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// The file's name in the container's log directory. Each line: container id, a blank, the node's web address.
pub const FILE_NAME: &str = "containers.list";

/// The open list.
#[derive(Debug, Default)]
pub struct Roster(Option<File>);

impl Roster {
    /// Opens the list in the first of YARN's log directories (`LOG_DIRS`, comma-separated).
    #[must_use]
    pub fn open(log_dirs: Option<&str>) -> Self {
        let directory = log_dirs.and_then(|dirs| dirs.split(',').next()).map(Path::new);
        let open = |directory: &Path| {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(directory.join(FILE_NAME))
        };
        match directory.map(open) {
            Some(Ok(file)) => Self(Some(file)),
            Some(Err(error)) => {
                tracing::warn!(%error, "the list of containers cannot be written; `drawloom logs` will miss them");
                Self(None)
            }
            None => Self(None),
        }
    }

    /// Adds a container.
    pub fn add(&mut self, container: impl std::fmt::Display, node_http: &str) {
        let Some(file) = &mut self.0 else { return };
        if let Err(error) = file.write_all(format!("{container} {node_http}\n").as_bytes()) {
            tracing::debug!(%error, "a container is missing from the list");
        }
    }
}

/// Reads the list's lines; what is no line of ours is left out.
pub fn parse(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.trim().split_once(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let dirs = format!("{},/elsewhere", directory.path().display());
        Roster::open(Some(&dirs)).add("container_1_0001_01_000002", "n1:8042");
        Roster::open(Some(&dirs)).add("container_1_0001_01_000003", "n2:8042");
        let text = std::fs::read_to_string(directory.path().join(FILE_NAME)).unwrap();
        let lines: Vec<_> = parse(&text).collect();
        assert_eq!(
            lines,
            [
                ("container_1_0001_01_000002", "n1:8042"),
                ("container_1_0001_01_000003", "n2:8042")
            ]
        );
    }

    #[test]
    fn without_a_log_directory_nothing_is_kept() {
        Roster::open(None).add("container_1_0001_01_000002", "n1:8042");
        Roster::open(Some("/nowhere/at/all")).add("container_1_0001_01_000002", "n1:8042");
    }
}
