//! The private directory of an attempt: `drawloom-tasks/<number>` in the container's directory.
//!
//! It holds links to the localized files, `tmp` for temporary files, and what the attempt itself makes. It is the
//! working directory of the command and goes away with the attempt.
//!
//! Making and removing two directories, and giving them other names, is work for the journal of the file system, about
//! a tenth of what a short command takes in all. So a directory that an attempt has left as it found it, and that no
//! process can hold any more, serves the next attempt: [`Directories`] owns those.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, SeekFrom, Stat};
use wire::id::TaskAttemptId;
use wire::task::{Capture, StageSpec};

/// The directory in the container's directory that holds those of attempts.
const WORK: &str = "drawloom-tasks";

/// The directory in that of an attempt for temporary files.
const TEMPORARY: &str = "tmp";

/// Room for the first entries of a directory, in bytes: one more than there should be is enough.
const ROOM: usize = 512;

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
    size: i64,
    owner: (u32, u32),
    mode: u32,
    /// Bytes of the names of extended attributes, access control lists among them.
    attributes: usize,
}

/// A directory that is held open, and how it looked when it was made.
#[derive(Debug)]
struct Seen {
    directory: OwnedFd,
    look: Look,
}

impl Seen {
    fn new(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())?;
        let look = Self::look(&directory, &rustix::fs::fstat(&directory)?);
        Ok(Self { directory, look })
    }

    fn look(directory: &OwnedFd, stat: &Stat) -> Look {
        Look {
            inode: stat.st_ino,
            size: stat.st_size,
            owner: (stat.st_uid, stat.st_gid),
            mode: stat.st_mode,
            // A file system without attributes refuses to list them.
            attributes: rustix::fs::flistxattr(directory, &mut [0; 0]).unwrap_or(0),
        }
    }

    /// Whether the directory looks as it did; `stat` is what is found where it was made.
    fn is_as_made(&self, stat: &Stat) -> bool {
        Self::look(&self.directory, stat) == self.look
    }

    /// Whether the directory holds nothing, or just this.
    fn holds_only(&self, name: Option<&str>) -> rustix::io::Result<bool> {
        rustix::fs::seek(&self.directory, SeekFrom::Start(0))?;
        let (mut room, mut found) = ([MaybeUninit::uninit(); ROOM], 0);
        let mut entries = RawDir::new(&self.directory, &mut room);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            match entry.file_name().to_bytes() {
                b"." | b".." => {}
                other if name.is_some_and(|name| name.as_bytes() == other) => found += 1,
                _ => return Ok(false),
            }
        }
        Ok(found == usize::from(name.is_some()))
    }
}

/// A directory and the one in it for temporary files.
#[derive(Debug)]
struct Made {
    path: PathBuf,
    outer: Seen,
    inner: Seen,
}

impl Made {
    fn new(path: PathBuf) -> io::Result<Self> {
        remove(&path)?;
        let inner = path.join(TEMPORARY);
        fs::create_dir_all(&inner)?;
        Ok(Self {
            outer: Seen::new(&path)?,
            inner: Seen::new(&inner)?,
            path,
        })
    }

    /// Whether both are where they were made, and as they were; not when they cannot be read.
    fn is_untouched(&self) -> bool {
        let look = || -> rustix::io::Result<bool> {
            let (outer, inner) = (&self.outer, &self.inner);
            Ok(outer.is_as_made(&rustix::fs::lstat(&self.path)?)
                && outer.holds_only(Some(TEMPORARY))?
                && inner.is_as_made(&rustix::fs::statat(
                    &outer.directory,
                    TEMPORARY,
                    AtFlags::SYMLINK_NOFOLLOW,
                )?)
                && inner.holds_only(None)?)
        };
        look().unwrap_or(false)
    }
}

/// Directories that wait for an attempt.
#[derive(Debug, Default)]
struct Spare {
    ready: Vec<Arc<Made>>,
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
        let directory = Directory {
            made: self.take()?,
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
    fn take(&self) -> Result<Arc<Made>, String> {
        let mut spare = self.spare();
        if let Some(ready) = spare.ready.pop() {
            return Ok(ready);
        }
        spare.made += 1;
        let path = self.container.join(WORK).join(spare.made.to_string());
        drop(spare);
        let made = Made::new(path.clone()).map_err(|error| unprepared(&path, &error))?;
        Ok(Arc::new(made))
    }

    /// Keeps a directory for another attempt, unless there are enough or it is not as it was made.
    fn keep(&self, made: &Arc<Made>) -> bool {
        if !made.is_untouched() {
            return false;
        }
        let mut spare = self.spare();
        let keep = spare.ready.len() < self.most;
        if keep {
            spare.ready.push(Arc::clone(made));
        }
        keep
    }
}

fn unprepared(path: &Path, error: &io::Error) -> String {
    format!("cannot prepare the directory {}: {error}", path.display())
}

/// An attempt's directory. Removed when dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    made: Arc<Made>,
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
        symlink(&target, self.path().join(name)).map_err(|error| format!("cannot link {name}: {error}"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.made.path
    }

    /// No process is left that works in the directory or has it open, so it may serve another attempt if it is as it
    /// was made.
    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::Relaxed);
    }

    /// Where temporary files go.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.path().join(TEMPORARY)
    }

    /// The file in which the command may say how it does.
    pub(crate) fn progress_file(&self) -> PathBuf {
        self.temporary().join("progress")
    }

    /// Where a task with a result of several files puts them.
    pub(crate) fn output(&self) -> PathBuf {
        self.path().join("output")
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
        if self.released.load(Ordering::Relaxed) && self.home.keep(&self.made) {
            return;
        }
        if let Err(error) = remove(self.path()) {
            tracing::warn!(path = %self.path().display(), %error, "cannot remove the directory of a task");
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
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

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
        // Keeps the number of the inode from being used again when it is removed.
        let _held = fs::File::open(&path).unwrap();
        leave(&first);
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
        let replace = |path: PathBuf| {
            let elsewhere = path.with_extension("moved");
            fs::rename(&path, &elsewhere).unwrap();
            fs::create_dir(&path).unwrap();
            fs::remove_dir_all(elsewhere).unwrap();
        };
        let leavers: [&dyn Fn(&Directory); 8] = [
            &|_| {},
            &|directory| write(directory.path().join("file")),
            &|directory| write(directory.temporary().join("file")),
            &|directory| fs::remove_dir(directory.temporary()).unwrap(),
            &|directory| replace(directory.temporary()),
            &|directory| {
                replace(directory.path().to_owned());
                fs::create_dir(directory.temporary()).unwrap();
            },
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
