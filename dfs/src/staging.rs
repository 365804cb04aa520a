//! The staging directory: how an application's files get to where YARN's NodeManagers localize them from.
//!
//! ```text
//! <base>/                                   0700   hdfs://…/user/<user>/.drawloom by default
//!   cache/<sha256 of the contents>/<name>   0700 / 0700   uploaded once, shared by all applications of the user
//!   apps/<application id>/<name>            0700 / 0600   removed when the application ends
//! ```
//!
//! A cached file is written under a temporary name and renamed into place when it is complete, so a file under its
//! final name is whole; one of the right length is used as it is. Its modification time is the same whoever uploads it
//! when ([`CACHED_TIME_MS`]), and NodeManagers, which know files by location and time, keep it in their caches, too.
//! When it was last wanted is the modification time of its directory, which nobody compares: a use sets it, and
//! [`Staging::remove_cache_entry`] takes a directory out of everybody's way before it looks at the time a last time. So a
//! submission that relies on a cached file while another one removes old files either is seen by it, or the file is
//! uploaded anew, by that submission or by another, and is the one that was relied on.
//!
//! YARN compares the modification time of a file with the one in the request to the millisecond, so it is read after
//! the file is closed and in place.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::TryStreamExt;
use sha2::{Digest, Sha256};

use crate::error::DfsError;
use crate::fs::{CreateOptions, FileStatus, FileSystem, Overwrite, write_all};
use crate::local::LocalFileSystem;
use crate::path::DfsPath;
use crate::registry::FileSystems;
use crate::transfer::{self, Side};

mod resource;

pub use resource::{LocalResource, ResourceKind, ResourceSpec, Visibility};

/// Name of the staging directory in the user's home.
pub const STAGING_DIR: &str = ".drawloom";

const PRIVATE_DIR: u32 = 0o700;
/// Its owner may write it, because HDFS lets nobody else set its time.
const CACHED_FILE: u32 = 0o700;
const APPLICATION_FILE: u32 = 0o600;

/// The modification time of every cached file, milliseconds since 1970 UTC (2000-01-01): its contents are named by their
/// hash, so whoever uploads them again uploads the file that others already rely on.
pub const CACHED_TIME_MS: u64 = 946_684_800_000;

/// Bytes read at a time when a local file is hashed.
const HASH_BUFFER: usize = 1 << 20;

/// Why a file could not be staged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StagingError {
    /// A file of the submitting host cannot be read.
    #[error("cannot read {path}")]
    Source {
        /// The local file.
        path: String,
        /// Why.
        source: DfsError,
    },
    /// The staging file system refused.
    #[error("cannot stage {what} in {base}")]
    Target {
        /// The file or directory.
        what: String,
        /// The staging directory.
        base: String,
        /// Why.
        source: DfsError,
    },
    /// The name cannot be used as a file name in the staging directory.
    #[error("\"{name}\" cannot be the name of a staged file")]
    Name {
        /// The name asked for.
        name: String,
    },
}

impl StagingError {
    /// What a person can do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Source { source, .. } => source.help().map(str::to_owned),
            Self::Name { .. } => Some("give it a plain name behind '#', without '/'".to_owned()),
            Self::Target { base, source, .. } => Some(match source {
                DfsError::PermissionDenied { .. } => format!(
                    "make {base} writable for this user (an administrator creates the home directory), \
                     or name another staging directory"
                ),
                other => other.help()?.to_owned(),
            }),
        }
    }

    /// Whether the directory was an old one, which somebody has removed while it was written to.
    fn is_taken_away(&self) -> bool {
        matches!(self, Self::Target { source, .. } if source.is_not_found())
    }

    /// The error of the file system underneath.
    #[must_use]
    pub fn cause(&self) -> Option<&DfsError> {
        match self {
            Self::Source { source, .. } | Self::Target { source, .. } => Some(source),
            Self::Name { .. } => None,
        }
    }
}

/// An application directory that may have been left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationDir {
    /// The application id it was made for.
    pub application: String,
    /// Where it is.
    pub path: DfsPath,
    /// Last time a file was added or removed, milliseconds since 1970 UTC.
    pub modified_ms: u64,
}

/// Where a file that was cached beside an application's directory lies: `digest` is the SHA-256 of its contents, as
/// hexadecimal text. None when `application_dir` is no directory that [`Staging::application_dir`] gives.
#[must_use]
pub fn cached_beside(application_dir: &DfsPath, digest: &str, name: &str) -> Option<DfsPath> {
    let base = application_dir.parent()?.parent()?;
    Some(base.join("cache").join(digest).join(name))
}

/// Brings a cached file to this host, where its owner may run it, and compares its contents with `digest`.
///
/// # Errors
/// What the file systems say, and contents that are others.
pub async fn fetch_cached(
    fs: &dyn FileSystem,
    cached: &DfsPath,
    digest: &str,
    to: &Path,
) -> Result<(), DfsError> {
    use std::os::unix::fs::PermissionsExt as _;
    let here = transfer::local_path(to)?;
    let local = LocalFileSystem::new(Path::new("/"))?;
    let (from, target) = (
        Side { fs, path: cached },
        Side {
            fs: &local,
            path: &here,
        },
    );
    let copied = transfer::copy(from, target, Overwrite::Yes, &mut |_| {}).await;
    copied.map_err(|error| match error {
        transfer::TransferError::Source(error) | transfer::TransferError::Target(error) => error,
    })?;
    let (found, _) = hash_file(to).await?;
    if found != digest {
        let detail = format!("its contents have the digest {found}");
        return Err(DfsError::other(cached, "Damaged", &detail));
    }
    let executable = std::fs::Permissions::from_mode(CACHED_FILE);
    std::fs::set_permissions(to, executable).map_err(|error| DfsError::from_io(&here, &error))
}

/// The SHA-256 of contents.
#[must_use]
pub fn digest(contents: &[u8]) -> [u8; 32] {
    Sha256::digest(contents).into()
}

/// The staging directory of one user.
#[derive(Debug, Clone)]
pub struct Staging {
    fs: Arc<dyn FileSystem>,
    base: DfsPath,
}

impl Staging {
    /// The staging directory `base` on `fs`. Nothing is made before it is needed.
    #[must_use]
    pub fn new(fs: Arc<dyn FileSystem>, base: DfsPath) -> Self {
        Self { fs, base }
    }

    /// The configured staging directory, or `.drawloom` in the user's home on the default file system.
    ///
    /// # Errors
    /// [`DfsError::InvalidPath`] when `configured` is no usable location.
    pub fn locate(file_systems: &FileSystems, configured: Option<&str>) -> Result<Self, DfsError> {
        if let Some(text) = configured {
            let base = file_systems.resolve(text)?;
            return Ok(Self::new(file_systems.get(&base)?, base));
        }
        let fs = file_systems.default_fs()?;
        let base = fs.home().join(STAGING_DIR);
        Ok(Self::new(fs, base))
    }

    /// Where everything is staged.
    #[must_use]
    pub fn base(&self) -> &DfsPath {
        &self.base
    }

    /// The file system staged on.
    #[must_use]
    pub fn fs(&self) -> &Arc<dyn FileSystem> {
        &self.fs
    }

    /// The directory of an application, existing or not.
    #[must_use]
    pub fn application_dir(&self, application: &str) -> DfsPath {
        self.base.join("apps").join(application)
    }

    /// Stages a file of this host in the cache, once per contents, and says what YARN needs to localize it.
    ///
    /// # Errors
    /// [`StagingError`]; a file that changes meanwhile is an error of its source.
    pub async fn cache_file(&self, local: &Path, spec: &ResourceSpec) -> Result<LocalResource, StagingError> {
        let name = file_name(spec.file_name())?;
        let (digest, len) = hash_file(local)
            .await
            .map_err(|source| unreadable(local, source))?;
        let directory = self.base.join("cache").join(&digest);
        let target = directory.join(&name);
        let status = match self.used_again(&directory, &target, len).await {
            Some(status) => status,
            None => match self.upload(local, &directory, &target, len).await {
                Err(error) if error.is_taken_away() => self.upload(local, &directory, &target, len).await?,
                uploaded => uploaded?,
            },
        };
        Ok(LocalResource::of(&status, spec, Visibility::Private))
    }

    /// Stages contents in the cache, once, and says what YARN needs to localize them.
    ///
    /// # Errors
    /// [`StagingError::Target`] or [`StagingError::Name`].
    pub async fn cache_bytes(&self, name: &str, contents: Bytes) -> Result<LocalResource, StagingError> {
        let name = file_name(name)?;
        let directory = self.base.join("cache").join(&hex(&Sha256::digest(&contents)));
        let target = directory.join(&name);
        let len = contents.len() as u64;
        let status = match self.used_again(&directory, &target, len).await {
            Some(status) => Ok(status),
            None => match self.write_cached(&directory, &target, contents.clone()).await {
                Err(error) if error.is_not_found() => self.write_cached(&directory, &target, contents).await,
                written => written,
            },
        };
        let status = status.map_err(|source| self.refused(&name, source))?;
        Ok(LocalResource::of(
            &status,
            &ResourceSpec::file(&name),
            Visibility::Private,
        ))
    }

    async fn write_cached(
        &self,
        directory: &DfsPath,
        target: &DfsPath,
        contents: Bytes,
    ) -> Result<FileStatus, DfsError> {
        let len = contents.len() as u64;
        self.fs.mkdirs(directory, PRIVATE_DIR).await?;
        let temporary = directory.join(&temporary_name(target.name()));
        let options = CreateOptions::default().permission(CACHED_FILE);
        write_all(self.fs.as_ref(), &temporary, contents, &options).await?;
        self.put_in_place(&temporary, target, len).await
    }

    /// The cached file when it is there in full length; from now on it is in use. The time first: what is removed
    /// before it is not there afterwards, and what is to be removed after it has a new time.
    async fn used_again(&self, directory: &DfsPath, target: &DfsPath, len: u64) -> Option<FileStatus> {
        match self.fs.set_modified(directory, unix_ms()).await {
            Ok(()) => {}
            Err(error) if error.is_not_found() => return None,
            Err(error) => tracing::debug!(%directory, %error, "a use cannot be noted"),
        }
        self.complete(target, len).await
    }

    /// The cached file when it is there in full length.
    async fn complete(&self, target: &DfsPath, len: u64) -> Option<FileStatus> {
        let status = self.fs.status(target).await.ok()?;
        (!status.is_dir && status.len == len).then_some(status)
    }

    async fn upload(
        &self,
        local: &Path,
        directory: &DfsPath,
        target: &DfsPath,
        len: u64,
    ) -> Result<FileStatus, StagingError> {
        let refused = |source| self.refused(target.name(), source);
        self.fs.mkdirs(directory, PRIVATE_DIR).await.map_err(refused)?;
        let temporary = directory.join(&temporary_name(target.name()));
        let options = CreateOptions::default().permission(CACHED_FILE);
        let copied = transfer::put_file(self.fs.as_ref(), local, &temporary, &options, &mut |_| {}).await;
        let copied = copied.map_err(|error| match error {
            transfer::TransferError::Source(source) => unreadable(local, source),
            transfer::TransferError::Target(source) => refused(source),
        })?;
        if copied != len {
            self.discard(&temporary).await;
            let detail = format!("it changed from {len} to {copied} bytes while it was staged");
            return Err(unreadable(local, DfsError::other(target, "Changed", &detail)));
        }
        self.put_in_place(&temporary, target, len).await.map_err(refused)
    }

    /// Gives a complete file its time and its final name. If somebody else was faster, theirs is as good.
    async fn put_in_place(
        &self,
        temporary: &DfsPath,
        target: &DfsPath,
        len: u64,
    ) -> Result<FileStatus, DfsError> {
        if let Err(error) = self.fs.set_modified(temporary, CACHED_TIME_MS).await {
            tracing::debug!(%temporary, %error, "it keeps the time of its upload");
        }
        match self.fs.rename(temporary, target, Overwrite::No).await {
            Ok(()) => return self.fs.status(target).await,
            Err(DfsError::AlreadyExists { .. }) => {}
            Err(error) => {
                self.discard(temporary).await;
                return Err(error);
            }
        }
        if let Some(status) = self.complete(target, len).await {
            self.discard(temporary).await;
            return Ok(status);
        }
        // Damaged from outside: the contents are named by their hash, so replacing is right.
        self.fs.rename(temporary, target, Overwrite::Yes).await?;
        self.fs.status(target).await
    }

    /// Removes a temporary file after an error that is reported instead.
    async fn discard(&self, path: &DfsPath) {
        if let Err(error) = self.fs.delete(path, false).await {
            tracing::debug!(%path, %error, "temporary file left behind");
        }
    }

    /// Writes a file of the application, readable by the user only, and replaces one of the same name.
    ///
    /// # Errors
    /// [`StagingError::Target`] or [`StagingError::Name`].
    pub async fn application_file(
        &self,
        application: &str,
        name: &str,
        contents: Bytes,
    ) -> Result<LocalResource, StagingError> {
        let target = self
            .application_dir(&file_name(application)?)
            .join(&file_name(name)?);
        let written = self.write_application_file(&target, contents).await;
        let status = written.map_err(|source| self.refused(name, source))?;
        Ok(LocalResource::of(
            &status,
            &ResourceSpec::file(name),
            Visibility::Application,
        ))
    }

    async fn write_application_file(
        &self,
        target: &DfsPath,
        contents: Bytes,
    ) -> Result<FileStatus, DfsError> {
        if let Some(directory) = target.parent() {
            self.fs.mkdirs(&directory, PRIVATE_DIR).await?;
        }
        let options = CreateOptions::overwriting().permission(APPLICATION_FILE);
        write_all(self.fs.as_ref(), target, contents, &options).await?;
        self.fs.status(target).await
    }

    /// What YARN needs to localize a file that already lies on a file system the NodeManagers reach.
    ///
    /// # Errors
    /// [`StagingError::Source`] when it is missing or a directory.
    pub async fn remote_file(
        file_systems: &FileSystems,
        path: &DfsPath,
        spec: &ResourceSpec,
    ) -> Result<LocalResource, StagingError> {
        let unreadable = |source| StagingError::Source {
            path: path.to_string(),
            source,
        };
        let fs = file_systems.get(path).map_err(unreadable)?;
        let status = fs.status(path).await.map_err(unreadable)?;
        if status.is_dir {
            return Err(unreadable(DfsError::IsADirectory {
                path: path.to_string(),
            }));
        }
        Ok(LocalResource::of(&status, spec, Visibility::Private))
    }

    /// Removes everything of an application. `false` when there was nothing.
    ///
    /// # Errors
    /// [`StagingError::Target`] or [`StagingError::Name`].
    pub async fn remove_application(&self, application: &str) -> Result<bool, StagingError> {
        let directory = self.application_dir(&file_name(application)?);
        self.fs
            .delete(&directory, true)
            .await
            .map_err(|source| self.refused(application, source))
    }

    /// Application directories not touched since `before_ms`. Whether their applications have ended only YARN can say.
    ///
    /// # Errors
    /// [`StagingError::Target`].
    pub async fn old_applications(&self, before_ms: u64) -> Result<Vec<ApplicationDir>, StagingError> {
        let entries = self.older_than(&self.base.join("apps"), before_ms).await?;
        let directories = entries.into_iter().filter(|entry| entry.is_dir);
        let dir = |entry: FileStatus| ApplicationDir {
            application: entry.path.name().to_owned(),
            modified_ms: entry.modified_ms,
            path: entry.path,
        };
        Ok(directories.map(dir).collect())
    }

    /// Cached contents (directories named by hash) last wanted before `before_ms`. A running application whose
    /// containers have not yet localized such a file still needs it.
    ///
    /// # Errors
    /// [`StagingError::Target`].
    pub async fn old_cache_entries(&self, before_ms: u64) -> Result<Vec<DfsPath>, StagingError> {
        let entries = self.older_than(&self.base.join("cache"), before_ms).await?;
        Ok(entries.into_iter().map(|entry| entry.path).collect())
    }

    /// Removes cached contents unless somebody has wanted them since `before_ms`; `false` when they stay.
    ///
    /// # Errors
    /// [`StagingError::Target`].
    pub async fn remove_cache_entry(&self, entry: &DfsPath, before_ms: u64) -> Result<bool, StagingError> {
        let removed = self.remove_unless_wanted(entry, before_ms).await;
        removed.map_err(|source| self.refused(entry.name(), source))
    }

    async fn remove_unless_wanted(&self, entry: &DfsPath, before_ms: u64) -> Result<bool, DfsError> {
        // Out of the way first: from here on nobody begins to rely on it, and whoever did before has set its time.
        let aside = self.base.join("cache").join(&temporary_name(entry.name()));
        match self.fs.rename(entry, &aside, Overwrite::No).await {
            Err(error) if error.is_not_found() => return Ok(false),
            renamed => renamed?,
        }
        let wanted = self.fs.status(&aside).await?.modified_ms >= before_ms;
        if wanted && self.fs.rename(&aside, entry, Overwrite::No).await.is_ok() {
            return Ok(false);
        }
        // Not wanted, or somebody was faster to put the same contents there again.
        self.fs.delete(&aside, true).await
    }

    async fn older_than(&self, directory: &DfsPath, before_ms: u64) -> Result<Vec<FileStatus>, StagingError> {
        let old = self.fs.list(directory, false).try_filter(|entry| {
            let keep = entry.modified_ms < before_ms;
            async move { keep }
        });
        match old.try_collect().await {
            Err(error) if DfsError::is_not_found(&error) => Ok(Vec::new()),
            other => other.map_err(|source| self.refused(directory.name(), source)),
        }
    }

    fn refused(&self, what: &str, source: DfsError) -> StagingError {
        StagingError::Target {
            what: what.to_owned(),
            base: self.base.to_string(),
            source,
        }
    }
}

fn unreadable(local: &Path, source: DfsError) -> StagingError {
    StagingError::Source {
        path: local.display().to_string(),
        source,
    }
}

/// Lets only one plain component through, so that nothing is written outside its directory.
fn file_name(name: &str) -> Result<String, StagingError> {
    let plain = !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']);
    if plain {
        Ok(name.to_owned())
    } else {
        Err(StagingError::Name {
            name: name.to_owned(),
        })
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A name that no other upload uses: by process, by moment, by count. Creation without overwrite backs it up.
fn temporary_name(name: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos());
    format!(".{name}.{}-{nanos:x}-{count}.tmp", std::process::id())
}

/// SHA-256 (hex) and length of a local file, read in pieces on the pool for blocking work.
///
/// # Errors
/// As opening and reading the file.
async fn hash_file(local: &Path) -> Result<(String, u64), DfsError> {
    let path = transfer::local_path(local)?;
    let native = path.path().to_owned();
    let hashed = tokio::task::spawn_blocking(move || hash_blocking(Path::new(&native))).await;
    hashed
        .unwrap_or_else(|stopped| Err(std::io::Error::other(stopped)))
        .map_err(|error| DfsError::from_io(&path, &error))
}

fn hash_blocking(path: &Path) -> std::io::Result<(String, u64)> {
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0; HASH_BUFFER];
    let (mut hasher, mut len) = (Sha256::new(), 0);
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        len += read as u64;
    }
    Ok((hex(&hasher.finalize()), len))
}

/// Bytes as hexadecimal text, which is how a digest names a cached file.
#[must_use]
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
