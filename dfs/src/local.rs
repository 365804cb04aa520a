//! Files of this machine with the semantics of HDFS: no umask, atomic create, rename that never replaces by accident.
//!
//! What differs, because the operating system differs: there are no leases ([`FileSystem::recover_lease`] always
//! says `true` and fences nobody), an open file shows what was written at once, and renaming without overwrite is
//! atomic only where the kernel offers it (Linux `renameat2`; elsewhere a check comes first).

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use futures::stream::{self, StreamExt};

use crate::error::DfsError;
use crate::fs::{
    ContentSummary, CreateOptions, FileReader, FileStatus, FileSystem, FileWriter, Overwrite, StatusStream,
    check_root,
};
use crate::path::{DfsPath, FILE_SCHEME};

mod reader;
mod writer;

use reader::LocalReader;

/// The file system of this machine, with the rights of this process.
#[derive(Debug, Clone)]
pub struct LocalFileSystem {
    root: DfsPath,
    home: DfsPath,
}

impl LocalFileSystem {
    /// The local file system; `home` is what relative paths and default staging are under.
    ///
    /// # Errors
    /// [`DfsError::InvalidPath`] when `home` is relative or not UTF-8.
    pub fn new(home: &Path) -> Result<Self, DfsError> {
        let home = DfsPath::local(home)?;
        Ok(Self {
            root: home.root(),
            home,
        })
    }

    fn native(&self, path: &DfsPath) -> Result<PathBuf, DfsError> {
        check_root(&self.root, path)?;
        Ok(PathBuf::from(path.path()))
    }

    /// Runs a few system calls on `path` off the event loop.
    async fn blocking<T: Send + 'static>(
        &self,
        path: &DfsPath,
        call: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, DfsError> {
        let native = self.native(path)?;
        run_blocking(move || call(&native))
            .await
            .map_err(|error| DfsError::from_io(path, &error))
    }
}

/// Runs `call` on the pool for blocking work; a panic there becomes an error.
async fn run_blocking<T: Send + 'static>(
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(stopped) => Err(io::Error::other(stopped)),
    }
}

#[async_trait]
impl FileSystem for LocalFileSystem {
    fn root(&self) -> &DfsPath {
        &self.root
    }

    fn home(&self) -> DfsPath {
        self.home.clone()
    }

    async fn status(&self, path: &DfsPath) -> Result<FileStatus, DfsError> {
        let metadata = self.blocking(path, |native| std::fs::metadata(native)).await?;
        Ok(to_status(path.clone(), &metadata))
    }

    fn list(&self, path: &DfsPath, recursive: bool) -> StatusStream {
        if let Err(error) = check_root(&self.root, path) {
            return stream::once(async { Err(error) }).boxed();
        }
        let walk = Walk {
            pending: Vec::new(),
            start: Some(path.clone()),
            recursive,
        };
        stream::try_unfold(walk, |mut walk| async move {
            Ok(walk.next().await?.map(|entry| (entry, walk)))
        })
        .boxed()
    }

    async fn open(&self, path: &DfsPath) -> Result<Box<dyn FileReader>, DfsError> {
        let metadata = self
            .blocking(path, |native| std::fs::File::open(native)?.metadata())
            .await?;
        if metadata.is_dir() {
            return Err(DfsError::IsADirectory {
                path: path.to_string(),
            });
        }
        Ok(Box::new(LocalReader::new(
            path.clone(),
            self.native(path)?,
            metadata.len(),
        )))
    }

    async fn create(&self, path: &DfsPath, options: &CreateOptions) -> Result<Box<dyn FileWriter>, DfsError> {
        let wanted = options.clone();
        let file = self
            .blocking(path, move |native| writer::create_file(native, &wanted))
            .await?;
        Ok(Box::new(writer::LocalWriter::new(path.clone(), file)))
    }

    async fn mkdirs(&self, path: &DfsPath, permission: u32) -> Result<(), DfsError> {
        self.blocking(path, move |native| make_directories(native, permission))
            .await
    }

    async fn rename(&self, from: &DfsPath, to: &DfsPath, overwrite: Overwrite) -> Result<(), DfsError> {
        check_root(&self.root, to)?;
        let (source, target) = (self.native(from)?, self.native(to)?);
        // Looked at first so that an error names the side it is about.
        self.blocking(from, |native| std::fs::symlink_metadata(native))
            .await?;
        run_blocking(move || rename_file(&source, &target, overwrite))
            .await
            .map_err(|error| DfsError::from_io(to, &error))
    }

    async fn delete(&self, path: &DfsPath, recursive: bool) -> Result<bool, DfsError> {
        self.blocking(path, move |native| delete(native, recursive)).await
    }

    async fn set_permission(&self, path: &DfsPath, permission: u32) -> Result<(), DfsError> {
        self.blocking(path, move |native| set_mode(native, permission))
            .await
    }

    async fn set_modified(&self, path: &DfsPath, modified_ms: u64) -> Result<(), DfsError> {
        let time = UNIX_EPOCH + Duration::from_millis(modified_ms);
        self.blocking(path, move |native| {
            std::fs::File::open(native)?.set_modified(time)
        })
        .await
    }

    async fn recover_lease(&self, path: &DfsPath) -> Result<bool, DfsError> {
        self.status(path).await.map(|_| true)
    }

    async fn content_summary(&self, path: &DfsPath) -> Result<ContentSummary, DfsError> {
        self.blocking(path, summarise).await
    }
}

/// A depth-first walk that holds one sorted directory per level.
struct Walk {
    pending: Vec<std::vec::IntoIter<FileStatus>>,
    start: Option<DfsPath>,
    recursive: bool,
}

impl Walk {
    async fn next(&mut self) -> Result<Option<FileStatus>, DfsError> {
        if let Some(start) = self.start.take() {
            self.pending.push(read_directory(start).await?.into_iter());
        }
        while let Some(level) = self.pending.last_mut() {
            let Some(entry) = level.next() else {
                self.pending.pop();
                continue;
            };
            if entry.is_dir && self.recursive && !is_link(&entry) {
                self.pending
                    .push(read_directory(entry.path.clone()).await?.into_iter());
            }
            return Ok(Some(entry));
        }
        Ok(None)
    }
}

/// Linked directories are listed but not entered: they can lead in circles.
fn is_link(entry: &FileStatus) -> bool {
    Path::new(entry.path.path()).is_symlink()
}

/// The entries of a directory sorted by name, or the file itself. Entries that vanish meanwhile are left out.
async fn read_directory(path: DfsPath) -> Result<Vec<FileStatus>, DfsError> {
    let at = path.clone();
    let read = run_blocking(move || {
        let native = Path::new(path.path());
        let metadata = std::fs::metadata(native)?;
        if !metadata.is_dir() {
            return Ok(vec![to_status(path.clone(), &metadata)]);
        }
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(native)? {
            entries.extend(entry_status(&path, &entry?)?);
        }
        entries.sort_by(|a: &FileStatus, b| a.path.cmp(&b.path));
        Ok(entries)
    });
    read.await.map_err(|error| DfsError::from_io(&at, &error))
}

/// An error for a name that cannot be said: left out, it would be missing from a copy or a job's input without a word.
fn entry_status(directory: &DfsPath, entry: &std::fs::DirEntry) -> io::Result<Option<FileStatus>> {
    let name = entry.file_name();
    let Some(name) = name.to_str() else {
        let why = format!("the name {name:?} in it is not UTF-8; rename it");
        return Err(io::Error::new(io::ErrorKind::InvalidFilename, why));
    };
    let metadata = std::fs::metadata(entry.path()).ok();
    Ok(metadata.map(|metadata| to_status(directory.join(name), &metadata)))
}

fn to_status(path: DfsPath, metadata: &Metadata) -> FileStatus {
    let is_dir = metadata.is_dir();
    let since_epoch = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    FileStatus {
        path,
        len: if is_dir { 0 } else { metadata.len() },
        is_dir,
        modified_ms: since_epoch.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        owner: metadata.uid().to_string(),
        permission: metadata.permissions().mode() & 0o7777,
        block_size: 0,
        replication: u32::from(!is_dir),
    }
}

fn set_mode(path: &Path, permission: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(permission))
}

/// Makes `path` and what is missing above it, each with exactly `permission` whatever the umask.
fn make_directories(path: &Path, permission: u32) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    if let Some(parent) = path.parent() {
        make_directories(parent, permission).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => io::ErrorKind::NotADirectory.into(),
            _ => error,
        })?;
    }
    match std::fs::create_dir(path) {
        Ok(()) => set_mode(path, permission),
        // Somebody else was faster; what they made must be a directory.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

fn delete(path: &Path, recursive: bool) -> io::Result<bool> {
    let removed = match std::fs::symlink_metadata(path) {
        Err(error) => Err(error),
        Ok(found) if !found.is_dir() => std::fs::remove_file(path),
        Ok(_) if recursive => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_dir(path),
    };
    match removed {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn rename_file(from: &Path, to: &Path, overwrite: Overwrite) -> io::Result<()> {
    match overwrite {
        Overwrite::No => rename_without_replacing(from, to),
        Overwrite::Yes => {
            let onto_file = std::fs::symlink_metadata(to).is_ok_and(|target| !target.is_dir());
            if onto_file && std::fs::symlink_metadata(from)?.is_dir() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(from, to)
        }
    }
}

#[cfg(target_os = "linux")]
fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems (older network mounts) do not know the flag.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => checked_rename(from, to),
        other => Ok(other?),
    }
}

#[cfg(not(target_os = "linux"))]
fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    checked_rename(from, to)
}

fn checked_rename(from: &Path, to: &Path) -> io::Result<()> {
    if std::fs::symlink_metadata(to).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(from, to)
}

fn summarise(path: &Path) -> io::Result<ContentSummary> {
    let mut summary = ContentSummary {
        len: 0,
        files: 0,
        directories: 0,
        name_quota: None,
        space_quota: None,
        space_consumed: 0,
    };
    let mut pending = vec![path.to_owned()];
    while let Some(next) = pending.pop() {
        let metadata = std::fs::symlink_metadata(&next)?;
        if metadata.is_dir() {
            summary.directories += 1;
            for entry in std::fs::read_dir(&next)? {
                pending.push(entry?.path());
            }
        } else {
            summary.files += 1;
            summary.len += metadata.len();
            summary.space_consumed += metadata.len();
        }
    }
    Ok(summary)
}

/// The scheme this file system answers to.
pub(crate) fn is_local(path: &DfsPath) -> bool {
    path.scheme() == FILE_SCHEME
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn linked_directories_are_listed_but_not_entered() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(directory.path(), directory.path().join("loop")).unwrap();
        let fs = LocalFileSystem::new(directory.path()).unwrap();
        let entries = crate::fs::list_all(&fs, &fs.home(), true, 10).await.unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].path.name(), "loop");
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_said_is_an_error_and_not_left_out() {
        use std::os::unix::ffi::OsStrExt as _;
        let directory = tempfile::tempdir().unwrap();
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
        std::fs::write(directory.path().join(name), "x").unwrap();
        let fs = LocalFileSystem::new(directory.path()).unwrap();
        let listed = crate::fs::list_all(&fs, &fs.home(), true, 10).await;
        let text = listed.unwrap_err().to_string();
        assert!(text.contains("not UTF-8") && text.contains("caf"), "{text}");
    }

    #[test]
    fn a_relative_home_is_refused() {
        assert!(LocalFileSystem::new(Path::new("relative")).is_err());
    }
}
