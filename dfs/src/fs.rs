//! The interface every file system here offers: the few operations that staging, task input and output, and the
//! journal need.
//!
//! Rules all implementations keep (the `conformance` module checks them):
//! - a path of another file system is refused with [`DfsError::InvalidPath`];
//! - [`FileSystem::create`] without overwrite is atomic: of many callers exactly one succeeds, so it can be a lock;
//! - [`FileSystem::rename`] is atomic and never replaces anything unless asked to;
//! - nothing waits without a deadline, and nothing panics: a failure is a [`DfsError`].

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;

use crate::error::DfsError;
use crate::path::DfsPath;

/// A stream of file contents, in chunks of the implementation's liking (64 KiB to 1 MiB), in order. It ends after
/// the first error.
pub type ByteStream = BoxStream<'static, Result<Bytes, DfsError>>;

/// A stream of directory entries. It ends after the first error.
pub type StatusStream = BoxStream<'static, Result<FileStatus, DfsError>>;

/// What a file system knows about a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStatus {
    /// Where it is.
    pub path: DfsPath,
    /// Bytes; 0 for a directory. Of a file being written only what was flushed.
    pub len: u64,
    /// Directory or file.
    pub is_dir: bool,
    /// Last change of the contents, milliseconds since 1970 UTC. YARN compares it exactly when it localizes.
    pub modified_ms: u64,
    /// Owner's name (the numeric id as text on local files).
    pub owner: String,
    /// Unix permission bits, without the type.
    pub permission: u32,
    /// Bytes per block, 0 where there are none.
    pub block_size: u64,
    /// Copies kept, 1 on local files, 0 for directories.
    pub replication: u32,
}

/// What to do when the target exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// Fail with [`DfsError::AlreadyExists`].
    No,
    /// Replace a file (an empty directory too, when a directory is renamed onto it).
    Yes,
}

/// How [`FileSystem::create`] makes a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateOptions {
    /// Unix permission bits of the new file, exactly: no umask applies.
    pub permission: u32,
    /// What to do when the file exists. `Yes` on HDFS also takes an open file away from its writer.
    pub overwrite: Overwrite,
    /// Make missing directories above (mode 0755), or fail with [`DfsError::NotFound`].
    pub create_parents: bool,
    /// Copies to keep; the site's default when none.
    pub replication: Option<u32>,
    /// Bytes per block; the site's default when none.
    pub block_size: Option<u64>,
}

impl Default for CreateOptions {
    /// Mode 0644, no overwrite, missing parents made, the site's replication and block size.
    fn default() -> Self {
        let overwrite = Overwrite::No;
        Self {
            permission: 0o644,
            overwrite,
            create_parents: true,
            replication: None,
            block_size: None,
        }
    }
}

impl CreateOptions {
    /// Mode 0644 and existing files replaced.
    #[must_use]
    pub fn overwriting() -> Self {
        Self {
            overwrite: Overwrite::Yes,
            ..Self::default()
        }
    }

    /// These options with other permission bits.
    #[must_use]
    pub fn permission(mut self, permission: u32) -> Self {
        self.permission = permission;
        self
    }
}

/// What lies below a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentSummary {
    /// Bytes of all files.
    pub len: u64,
    /// Number of files.
    pub files: u64,
    /// Number of directories, the one asked for included.
    pub directories: u64,
    /// Most names allowed below it, if limited.
    pub name_quota: Option<u64>,
    /// Most bytes (times replication) allowed below it, if limited.
    pub space_quota: Option<u64>,
    /// Bytes times replication.
    pub space_consumed: u64,
}

/// How long each kind of call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// A call to the NameNode: status, one page of a listing, create, rename, delete, lease recovery.
    pub metadata: Duration,
    /// The next chunk of a file.
    pub read: Duration,
    /// Handing over at most 1 MiB for writing.
    pub write: Duration,
    /// A flush to the disks of all DataNodes of the block.
    pub sync: Duration,
    /// Closing a file.
    pub close: Duration,
}

impl Default for Deadlines {
    /// 60 s for everything, 120 s for closing: patient enough for a failover, for people and tasks that wait.
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            metadata: minute,
            read: minute,
            write: minute,
            sync: minute,
            close: 2 * minute,
        }
    }
}

impl Deadlines {
    /// For a journal, which rather rolls to a new segment than waits: 10 s, flushes 5 s.
    #[must_use]
    pub fn for_journal() -> Self {
        let call = Duration::from_secs(10);
        Self {
            metadata: call,
            read: call,
            write: call,
            sync: Duration::from_secs(5),
            close: 3 * call,
        }
    }
}

/// A file system, or the part of one that a user sees. Cheap to share behind an `Arc`.
#[async_trait]
pub trait FileSystem: fmt::Debug + Send + Sync {
    /// Its root, which also names it.
    fn root(&self) -> &DfsPath;

    /// The user's home directory, which may not exist.
    fn home(&self) -> DfsPath;

    /// What is at `path`; [`DfsError::NotFound`] when nothing is.
    async fn status(&self, path: &DfsPath) -> Result<FileStatus, DfsError>;

    /// The entries of a directory in the order of their names, or the file itself when `path` is one.
    /// `recursive` follows each directory with what is below it. Entries arrive by pages, so memory stays small;
    /// a missing `path` gives one error.
    fn list(&self, path: &DfsPath, recursive: bool) -> StatusStream;

    /// Opens a file for reading.
    async fn open(&self, path: &DfsPath) -> Result<Box<dyn FileReader>, DfsError>;

    /// Creates a file and opens it for writing.
    async fn create(&self, path: &DfsPath, options: &CreateOptions) -> Result<Box<dyn FileWriter>, DfsError>;

    /// Makes a directory and missing ones above it, each with `permission` exactly. An existing directory is left
    /// as it is. [`DfsError::AlreadyExists`] or [`DfsError::NotADirectory`] when a file is in the way.
    async fn mkdirs(&self, path: &DfsPath, permission: u32) -> Result<(), DfsError>;

    /// Renames a file or a directory with everything below it, atomically. The parent of `to` must exist
    /// ([`DfsError::NotFound`]). Writers of files below go on undisturbed. A directory that is not empty is never
    /// replaced.
    async fn rename(&self, from: &DfsPath, to: &DfsPath, overwrite: Overwrite) -> Result<(), DfsError>;

    /// Deletes; `false` when nothing was there. [`DfsError::NotEmpty`] for a directory with entries unless
    /// `recursive`.
    async fn delete(&self, path: &DfsPath, recursive: bool) -> Result<bool, DfsError>;

    /// Sets the permission bits.
    async fn set_permission(&self, path: &DfsPath, permission: u32) -> Result<(), DfsError>;

    /// Sets the modification time, milliseconds since 1970 UTC.
    async fn set_modified(&self, path: &DfsPath, modified_ms: u64) -> Result<(), DfsError>;

    /// Takes a file away from its writer and closes it. `true` when it is closed and all flushed bytes can be
    /// read; `false` when recovery runs: call again. The old writer gets [`DfsError::Fenced`] from its next flush.
    /// It takes some seconds as a rule, minutes after the loss of a node, and may never end when a DataNode was stopped
    /// in the middle of a write: set a limit. Local files have no leases: always `true`, and nobody is fenced.
    async fn recover_lease(&self, path: &DfsPath) -> Result<bool, DfsError>;

    /// Sizes and quotas of everything below `path`.
    async fn content_summary(&self, path: &DfsPath) -> Result<ContentSummary, DfsError>;
}

/// An open file for reading. It can be read from many places at once.
pub trait FileReader: fmt::Debug + Send + Sync {
    /// The file's location.
    fn path(&self) -> &DfsPath;

    /// Bytes that can be read, as of opening. On HDFS a file still being written shows only its complete blocks:
    /// call [`FileSystem::recover_lease`] until it says `true`, then open.
    fn len(&self) -> u64;

    /// Whether there is nothing to read.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes from `offset`, at most `len` of them; what lies past the end of the file is left out.
    fn read(&self, offset: u64, len: u64) -> ByteStream;
}

/// An open file for writing. Dropping it without [`FileWriter::close`] leaves an unfinished file: on HDFS its lease
/// must be recovered, or runs out minutes after the same client has closed its last file.
#[async_trait]
pub trait FileWriter: fmt::Debug + Send {
    /// The file's location.
    fn path(&self) -> &DfsPath;

    /// Bytes handed over so far.
    fn written(&self) -> u64;

    /// Appends. Data is buffered and sent on; only [`FileWriter::sync`] and [`FileWriter::close`] say it is safe.
    /// After an error the writer is lost.
    async fn write(&mut self, data: Bytes) -> Result<(), DfsError>;

    /// Everything written is on the disks of all replicas, and the NameNode knows the length (hsync with an updated
    /// length). After a transient error of the NameNode ([`DfsError::SafeMode`], [`DfsError::Standby`],
    /// [`DfsError::Unreachable`]) call again; after [`DfsError::Fenced`] stop; after anything else, a passed
    /// deadline included, the writer is lost and every later call says [`DfsError::WriterLost`].
    async fn sync(&mut self) -> Result<(), DfsError>;

    /// Finishes the file and gives its length.
    async fn close(self: Box<Self>) -> Result<u64, DfsError>;

    /// Gives up and deletes the unfinished file, unless the writer learned that another client has taken it over.
    async fn abort(self: Box<Self>) -> Result<(), DfsError>;
}

/// Lists everything at `path` into memory.
///
/// # Errors
/// As [`FileSystem::list`]; [`DfsError::Other`] with class `TooManyFiles` beyond `limit` entries.
pub async fn list_all(
    fs: &dyn FileSystem,
    path: &DfsPath,
    recursive: bool,
    limit: usize,
) -> Result<Vec<FileStatus>, DfsError> {
    let mut stream = fs.list(path, recursive);
    let mut entries = Vec::new();
    while let Some(entry) = stream.try_next().await? {
        if entries.len() == limit {
            return Err(DfsError::other(
                path,
                "TooManyFiles",
                &format!("more than {limit} entries"),
            ));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Reads a whole small file into memory.
///
/// # Errors
/// As opening and reading; [`DfsError::Other`] with class `FileTooLarge` beyond `limit` bytes.
pub async fn read_all(fs: &dyn FileSystem, path: &DfsPath, limit: u64) -> Result<Bytes, DfsError> {
    let reader = fs.open(path).await?;
    if reader.len() > limit {
        let detail = format!("{} bytes, at most {limit} are read here", reader.len());
        return Err(DfsError::other(path, "FileTooLarge", &detail));
    }
    let mut stream = reader.read(0, reader.len());
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.try_next().await? {
        chunks.push(chunk);
    }
    Ok(if chunks.len() == 1 {
        chunks.remove(0)
    } else {
        chunks.concat().into()
    })
}

/// Writes a whole small file and closes it. A file that could not be finished is removed again.
///
/// # Errors
/// As [`FileSystem::create`], [`FileWriter::write`] and [`FileWriter::close`].
pub async fn write_all(
    fs: &dyn FileSystem,
    path: &DfsPath,
    data: Bytes,
    options: &CreateOptions,
) -> Result<u64, DfsError> {
    let mut writer = fs.create(path, options).await?;
    if let Err(error) = writer.write(data).await {
        abandon(writer).await;
        return Err(error);
    }
    finish(fs, writer).await
}

/// Closes; a file that cannot be closed is removed, unless another client has taken it over.
pub(crate) async fn finish(fs: &dyn FileSystem, writer: Box<dyn FileWriter>) -> Result<u64, DfsError> {
    let path = writer.path().clone();
    let closed = writer.close().await;
    if let Err(error) = &closed
        && !matches!(error, DfsError::Fenced { .. })
        && let Err(error) = fs.delete(&path, false).await
    {
        tracing::debug!(%path, %error, "unfinished file left behind");
    }
    closed
}

/// Aborts after an error that is about to be reported, so that the abort's own error would only hide it.
pub(crate) async fn abandon(writer: Box<dyn FileWriter>) {
    let path = writer.path().clone();
    if let Err(error) = writer.abort().await {
        tracing::debug!(%path, %error, "unfinished file left behind");
    }
}

/// Refuses a location of another file system.
pub(crate) fn check_root(root: &DfsPath, path: &DfsPath) -> Result<(), DfsError> {
    if root.same_file_system(path) {
        return Ok(());
    }
    Err(DfsError::invalid_path(
        path.to_string(),
        format!("it does not belong to {root}"),
    ))
}
