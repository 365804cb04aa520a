//! The private directory of an attempt: `drawloom-tasks/<number>` in the container's directory.
//!
//! It holds links to the localized files, `tmp` for temporary files, and what the attempt itself makes. It is the
//! working directory of the command and goes away with the attempt.
//!
//! Making and removing two directories, and giving them other names, is work for the journal of the file system, about
//! a tenth of what a short command takes in all. So a directory that an attempt has left as it found it, and that no
//! process can hold any more, serves the next attempt: [`Directories`] owns those.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::id::TaskAttemptId;
use wire::task::{Capture, StageSpec};

/// The directory in the container's directory that holds those of attempts.
const WORK: &str = "drawloom-tasks";

/// The directory in that of an attempt for temporary files.
const TEMPORARY: &str = "tmp";

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

/// How a directory looks from outside: owner, mode, attributes. What an attempt has changed of it is seen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    inode: u64,
    /// A directory that has held many files stays large on some file systems, and slow to read.
    size: u64,
    owner: (u32, u32),
    mode: u32,
    /// Bytes of the names of extended attributes, access control lists among them.
    attributes: usize,
}

impl Look {
    fn at(path: &Path) -> io::Result<Self> {
        let metadata: Metadata = fs::symlink_metadata(path)?;
        Ok(Self {
            inode: metadata.ino(),
            size: metadata.size(),
            owner: (metadata.uid(), metadata.gid()),
            mode: metadata.mode(),
            // A file system without attributes refuses to list them.
            attributes: rustix::fs::llistxattr(path, &mut [0; 0]).unwrap_or(0),
        })
    }
}

/// A directory and the `tmp` in it, as they looked when they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    outer: Look,
    inner: Look,
}

impl Pair {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self {
            outer: Look::at(path)?,
            inner: Look::at(&path.join(TEMPORARY))?,
        })
    }
}

/// Whether a directory holds nothing but this; everything is something when it cannot be read.
fn holds_only(path: &Path, names: &[&str]) -> bool {
    let Ok(entries) = fs::read_dir(path) else {
        return false;
    };
    let mut found = 0;
    for entry in entries {
        match entry {
            Ok(entry) if names.iter().any(|name| entry.file_name() == *name) => found += 1,
            _ => return false,
        }
    }
    found == names.len()
}

/// Directories that wait for an attempt, each with what it looked like when it was made.
#[derive(Debug, Default)]
struct Spare {
    ready: Vec<(PathBuf, Pair)>,
    /// How many were made so far: their names.
    made: u64,
}

/// The directories of all attempts of an executor.
#[derive(Debug)]
pub(crate) struct Directories {
    container: PathBuf,
    /// The most that wait: as many as attempts run at a time.
    most: usize,
    spare: Mutex<Spare>,
}

impl Directories {
    /// None yet; they will be below the container's directory. `slots` is how many attempts run at a time.
    pub(crate) fn new(container: &Path, slots: u32) -> Arc<Self> {
        Arc::new(Self {
            container: container.to_owned(),
            most: usize::try_from(slots).unwrap_or(usize::MAX),
            spare: Mutex::default(),
        })
    }

    fn spare(&self) -> MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A directory for an attempt of this stage, with its links.
    ///
    /// # Errors
    /// A text for people.
    pub(crate) fn create(self: &Arc<Self>, stage: &StageSpec) -> Result<Directory, String> {
        let (path, made) = self.take()?;
        let directory = Directory {
            path,
            made,
            released: AtomicBool::new(false),
            home: Arc::clone(self),
        };
        for name in &stage.files {
            directory.link(&self.container, name)?;
        }
        if stage.capture == Capture::Directory {
            let output = directory.output();
            fs::create_dir_all(&output).map_err(|error| unprepared(&output, &error))?;
        }
        Ok(directory)
    }

    /// One that waits, or a new one.
    fn take(&self) -> Result<(PathBuf, Pair), String> {
        let mut spare = self.spare();
        if let Some(ready) = spare.ready.pop() {
            return Ok(ready);
        }
        spare.made += 1;
        let path = self.container.join(WORK).join(spare.made.to_string());
        drop(spare);
        match make(&path) {
            Ok(made) => Ok((path, made)),
            Err(error) => Err(unprepared(&path, &error)),
        }
    }

    /// Keeps a directory for another attempt, unless there are enough or it is not as it was made.
    fn keep(&self, path: &Path, made: Pair) -> bool {
        let as_made = holds_only(path, &[TEMPORARY])
            && holds_only(&path.join(TEMPORARY), &[])
            && Pair::at(path).is_ok_and(|now| now == made);
        let mut spare = self.spare();
        let keep = as_made && spare.ready.len() < self.most;
        if keep {
            spare.ready.push((path.to_owned(), made));
        }
        keep
    }
}

fn unprepared(path: &Path, error: &io::Error) -> String {
    format!("cannot prepare the directory {}: {error}", path.display())
}

fn make(path: &Path) -> io::Result<Pair> {
    remove(path)?;
    fs::create_dir_all(path.join(TEMPORARY))?;
    Pair::at(path)
}

/// An attempt's directory. Removed when dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    made: Pair,
    /// No process is left that could hold it.
    released: AtomicBool,
    home: Arc<Directories>,
}

impl Directory {
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

    /// No process is left that works in the directory or has it open, so it may serve another attempt if it is as it
    /// was made.
    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::Relaxed);
    }

    /// Where temporary files go.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.path.join(TEMPORARY)
    }

    /// The file in which the command may say how it does.
    pub(crate) fn progress_file(&self) -> PathBuf {
        self.temporary().join("progress")
    }

    /// Where a task with a result of several files puts them.
    pub(crate) fn output(&self) -> PathBuf {
        self.path.join("output")
    }

    /// A name for a local copy of the input: the input's own when there is one input, so that its ending tells what
    /// it is.
    pub(crate) fn input(&self, name: Option<&str>) -> PathBuf {
        self.temporary().join(format!("input-{}", name.unwrap_or("all")))
    }

    /// A list of all inputs, for tasks with more than one.
    pub(crate) fn input_list(&self) -> PathBuf {
        self.temporary().join("inputs.tsv")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.released.load(Ordering::Relaxed) && self.home.keep(&self.path, self.made) {
            return;
        }
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
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::task::tests::stage;

    fn id() -> TaskAttemptId {
        "0:1.0/7.2".parse().unwrap()
    }

    fn create(container: &Path, stage: &StageSpec) -> Result<Directory, String> {
        Directories::new(container, 2).create(stage)
    }

    #[test]
    fn localized_files_are_linked_and_everything_is_removed_again() {
        let container = tempfile::tempdir().unwrap();
        fs::write(container.path().join("dict.txt"), "x").unwrap();
        let mut stage = stage("true");
        stage.files = vec!["dict.txt".to_owned()];
        let directory = create(container.path(), &stage).unwrap();
        assert_eq!(
            fs::read_to_string(directory.path().join("dict.txt")).unwrap(),
            "x"
        );
        assert!(directory.temporary().is_dir());
        let path = directory.path().to_owned();
        assert_eq!(path, container.path().join("drawloom-tasks/1"));
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
            let error = create(container.path(), &stage).unwrap_err();
            assert!(error.contains("not the name of a file"), "{error}");
        }
    }

    #[test]
    fn a_file_that_was_not_localized_is_named() {
        let container = tempfile::tempdir().unwrap();
        let mut stage = stage("true");
        stage.files = vec!["missing.sh".to_owned()];
        let error = create(container.path(), &stage).unwrap_err();
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

    /// The inode of a directory that `leave` was done with, and inode and contents of the next one.
    fn next_after(leave: impl FnOnce(&Directory)) -> (u64, u64, Vec<String>) {
        let container = tempfile::tempdir().unwrap();
        let directories = Directories::new(container.path(), 2);
        let inode = |directory: &Directory| fs::metadata(directory.path()).unwrap().ino();
        let stage = stage("true");
        let first = directories.create(&stage).unwrap();
        let (path, before) = (first.path().to_owned(), inode(&first));
        let mode = fs::metadata(&path).unwrap().mode();
        leave(&first);
        // Keeps the number of the inode from being used again when it is removed.
        let _held = fs::File::open(&path).unwrap();
        drop(first);
        let second = directories.create(&stage).unwrap();
        let names = |path: &Path| {
            let names = fs::read_dir(path)
                .unwrap()
                .map(|entry| entry.unwrap().file_name());
            names.map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(names(&second.temporary()), [""; 0]);
        assert_eq!(
            fs::metadata(second.path()).unwrap().mode(),
            mode,
            "whatever the umask is"
        );
        (before, inode(&second), names(second.path()))
    }

    #[test]
    fn a_directory_that_was_left_as_it_was_found_serves_the_next_attempt() {
        let (before, after, names) = next_after(Directory::release);
        assert_eq!((after, names), (before, vec!["tmp".to_owned()]));
    }

    #[test]
    fn a_directory_that_was_changed_or_may_be_held_serves_nobody_else() {
        let write = |path: PathBuf| fs::write(path, "x").unwrap();
        let leavers: [&dyn Fn(&Directory); 6] = [
            &|_| {},
            &|directory| write(directory.path().join("file")),
            &|directory| write(directory.temporary().join("file")),
            &|directory| fs::remove_dir(directory.temporary()).unwrap(),
            &|directory| fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap(),
            &|directory| fs::set_permissions(directory.temporary(), Permissions::from_mode(0o1777)).unwrap(),
        ];
        for (number, leave) in leavers.into_iter().enumerate() {
            let (before, after, names) = next_after(|directory| {
                leave(directory);
                if number > 0 {
                    directory.release();
                }
            });
            assert!(after != before && names == ["tmp"], "{number}: {names:?}");
        }
    }

    #[test]
    fn no_more_directories_wait_than_attempts_run() {
        let container = tempfile::tempdir().unwrap();
        let directories = Directories::new(container.path(), 2);
        let all: Vec<_> = (0..5)
            .map(|_| directories.create(&stage("true")).unwrap())
            .collect();
        all.iter().for_each(Directory::release);
        drop(all);
        assert_eq!(fs::read_dir(container.path().join(WORK)).unwrap().count(), 2);
    }
}
