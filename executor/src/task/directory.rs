//! The private directory of an attempt: `drawloom-tasks/<attempt>` in the container's directory.
//!
//! It holds links to the localized files, `tmp` for temporary files, and what the attempt itself makes. It is the
//! working directory of the command and goes away with the attempt.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use wire::id::TaskAttemptId;
use wire::task::{Capture, StageSpec};

/// The directory in the container's directory that holds those of attempts.
const WORK: &str = "drawloom-tasks";

/// The id of an attempt as a part of a file name: `JOB.STAGE.STAGE_ATTEMPT-PARTITION.ATTEMPT`. HDFS allows no
/// colon in a name, and a slash would be a directory.
pub(crate) fn file_safe(id: TaskAttemptId) -> String {
    let stage = id.stage;
    format!(
        "{}.{}.{}-{}.{}",
        stage.job, stage.stage, stage.stage_attempt, id.partition, id.attempt
    )
}

/// The name of an attempt's log: `task-JOB.STAGE.STAGE_ATTEMPT-PARTITION.ATTEMPT-NAME.STREAM`, where `NAME` is that
/// of the stage with everything but letters, digits, `-` and `_` replaced, and `STREAM` is `stderr` or `stdout`.
/// YARN quotes the end of the newest file with `stderr` in its name when a container fails.
#[must_use]
pub fn log_name(id: TaskAttemptId, stage: &str, stream: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let name: String = stage
        .chars()
        .take(80)
        .map(|c| if legal(c) { c } else { '_' })
        .collect();
    format!("task-{}-{name}.{stream}", file_safe(id))
}

/// The file in an attempt's directory in which its command may say how it does.
pub(crate) fn progress_file(container: &Path, id: TaskAttemptId) -> PathBuf {
    container
        .join(WORK)
        .join(file_safe(id))
        .join("tmp")
        .join("progress")
}

/// An attempt's directory. Removed when dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes the directory below `container`, with its links.
    ///
    /// # Errors
    /// A text for people.
    pub(crate) fn create(container: &Path, id: TaskAttemptId, stage: &StageSpec) -> Result<Self, String> {
        let path = container.join(WORK).join(file_safe(id));
        let fail = |error: io::Error| format!("cannot prepare the directory {}: {error}", path.display());
        remove(&path).map_err(fail)?;
        fs::create_dir_all(path.join("tmp")).map_err(fail)?;
        let directory = Self { path: path.clone() };
        for name in &stage.files {
            directory.link(container, name)?;
        }
        if stage.capture == Capture::Directory {
            fs::create_dir_all(directory.output()).map_err(fail)?;
        }
        Ok(directory)
    }

    fn link(&self, container: &Path, name: &str) -> Result<(), String> {
        let mut parts = Path::new(name).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            return Err(format!("{name:?} in files is not the name of a file"));
        }
        let target = container.join(name);
        if !target.exists() {
            return Err(format!(
                "{name} of files was not localized into {}",
                container.display()
            ));
        }
        symlink(&target, self.path.join(name)).map_err(|error| format!("cannot link {name}: {error}"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where temporary files go.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Where a task with a result of several files puts them.
    pub(crate) fn output(&self) -> PathBuf {
        self.path.join("output")
    }

    /// A name for a local copy of the input: the input's own when there is one input, so that its ending tells what
    /// it is.
    pub(crate) fn input(&self, name: Option<&str>) -> PathBuf {
        self.path
            .join("tmp")
            .join(format!("input-{}", name.unwrap_or("all")))
    }

    /// A list of all inputs, for tasks with more than one.
    pub(crate) fn input_list(&self) -> PathBuf {
        self.path.join("tmp").join("inputs.tsv")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the directory of a task");
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::tests::stage;

    fn id() -> TaskAttemptId {
        "0:1.0/7.2".parse().unwrap()
    }

    #[test]
    fn localized_files_are_linked_and_everything_is_removed_again() {
        let container = tempfile::tempdir().unwrap();
        fs::write(container.path().join("dict.txt"), "x").unwrap();
        let mut stage = stage("true");
        stage.files = vec!["dict.txt".to_owned()];
        let directory = Directory::create(container.path(), id(), &stage).unwrap();
        assert_eq!(
            fs::read_to_string(directory.path().join("dict.txt")).unwrap(),
            "x"
        );
        assert!(directory.temporary().is_dir());
        let path = directory.path().to_owned();
        assert_eq!(path, container.path().join("drawloom-tasks/0.1.0-7.2"));
        drop(directory);
        assert!(!path.exists());
        assert!(container.path().join("dict.txt").exists());
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let container = tempfile::tempdir().unwrap();
        for name in ["../x", "/etc/passwd", "a/b", "..", ""] {
            let mut stage = stage("true");
            stage.files = vec![name.to_owned()];
            let error = Directory::create(container.path(), id(), &stage).unwrap_err();
            assert!(error.contains("not the name of a file"), "{error}");
        }
    }

    #[test]
    fn a_file_that_was_not_localized_is_named() {
        let container = tempfile::tempdir().unwrap();
        let mut stage = stage("true");
        stage.files = vec!["missing.sh".to_owned()];
        let error = Directory::create(container.path(), id(), &stage).unwrap_err();
        assert!(
            error.starts_with("missing.sh of files was not localized"),
            "{error}"
        );
    }

    #[test]
    fn log_names_hold_no_surprises() {
        assert_eq!(
            log_name(id(), "count words/../x", "stderr"),
            "task-0.1.0-7.2-count_words____x.stderr"
        );
    }
}
