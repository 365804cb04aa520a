//! Copies between file systems, for `drawloom fs put`, `get` and `cat`, and for staging.
//!
//! A file appears under its name only when it is whole: it is written as `name._COPYING_`, as Hadoop's shell does,
//! and renamed. Memory is one chunk per file under way, whatever the size; of a directory eight files are under way.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use futures::stream::FuturesUnordered;
use futures::{StreamExt, TryStreamExt};

use crate::error::DfsError;
use crate::fs::{
    ByteStream, CreateOptions, FileSystem, FileWriter, Overwrite, StatusStream, abandon, finish,
};
use crate::local::LocalFileSystem;
use crate::path::DfsPath;

/// Suffix of files that are not yet whole.
const COPYING: &str = "._COPYING_";

/// Files of a directory that are copied at the same time: small ones cost round trips more than bytes.
const AT_ONCE: usize = 8;

/// How far a copy has come. Reported after each chunk and at the start of each file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The file being copied.
    pub file: DfsPath,
    /// Bytes of it copied so far.
    pub done: u64,
    /// Its length.
    pub total: u64,
}

/// Called with every [`Progress`].
pub type OnProgress<'a> = dyn FnMut(Progress) + Send + 'a;

/// Why a copy failed, by side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// What was to be read.
    #[error("cannot read: {0}")]
    Source(#[source] DfsError),
    /// What was to be written.
    #[error("cannot write: {0}")]
    Target(#[source] DfsError),
}

impl TransferError {
    /// The error of the file system.
    #[must_use]
    pub fn cause(&self) -> &DfsError {
        match self {
            Self::Source(error) | Self::Target(error) => error,
        }
    }
}

/// What a copy of a tree has moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files written.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// One side of a copy: a location and the file system that holds it.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The file system.
    pub fs: &'a dyn FileSystem,
    /// The location.
    pub path: &'a DfsPath,
}

/// The location of a local path, made absolute against the working directory of this process.
///
/// # Errors
/// [`DfsError::InvalidPath`] when it is empty or not UTF-8.
pub fn local_path(path: &Path) -> Result<DfsPath, DfsError> {
    let absolute = std::path::absolute(path)
        .map_err(|error| DfsError::invalid_path(path.display().to_string(), error.to_string()))?;
    DfsPath::local(&absolute)
}

/// Copies a local file to exactly `target` and gives its length. On an error nothing is left.
///
/// # Errors
/// [`TransferError`].
pub async fn put_file(
    fs: &dyn FileSystem,
    local: &Path,
    target: &DfsPath,
    options: &CreateOptions,
    progress: &mut OnProgress<'_>,
) -> Result<u64, TransferError> {
    let from = local_path(local).map_err(TransferError::Source)?;
    let source_fs = LocalFileSystem::new(Path::new("/")).map_err(TransferError::Source)?;
    copy_bytes(
        Side {
            fs: &source_fs,
            path: &from,
        },
        Side { fs, path: target },
        options,
        progress,
    )
    .await
}

/// Copies a file or a directory with everything below it (`put` and `get` are this, one side local). When `to` is an
/// existing directory the copy goes into it under its own name, as `cp -r` does. Missing directories above are made.
///
/// # Errors
/// [`TransferError`]; [`DfsError::AlreadyExists`] when a target file exists and `overwrite` is `No`. Files copied
/// before the error stay.
pub async fn copy(
    from: Side<'_>,
    to: Side<'_>,
    overwrite: Overwrite,
    progress: &mut OnProgress<'_>,
) -> Result<Copied, TransferError> {
    let source = from.fs.status(from.path).await.map_err(TransferError::Source)?;
    let target = target_of(from.path, to).await.map_err(TransferError::Target)?;
    let to = Side {
        fs: to.fs,
        path: &target,
    };
    if !source.is_dir {
        let bytes = copy_file(from, to, overwrite, progress).await?;
        return Ok(Copied { files: 1, bytes });
    }
    let tree = Tree {
        from,
        to,
        overwrite,
        progress: Mutex::new(progress),
    };
    tree.copy().await
}

/// The copy of a directory.
struct Tree<'a, 'p> {
    from: Side<'a>,
    to: Side<'a>,
    overwrite: Overwrite,
    progress: Mutex<&'a mut OnProgress<'p>>,
}

impl Tree<'_, '_> {
    /// After an error no more files are begun, and those under way are finished.
    async fn copy(&self) -> Result<Copied, TransferError> {
        self.make_directory(self.to.path).await?;
        let mut entries = self.from.fs.list(self.from.path, true);
        let mut running = FuturesUnordered::new();
        let mut outcome = Ok(Copied::default());
        let mut listed = false;
        loop {
            while !listed && outcome.is_ok() && running.len() < AT_ONCE {
                match self.next_file(&mut entries).await {
                    Ok(Some((file, target))) => running.push(self.copy_one(file, target)),
                    Ok(None) => listed = true,
                    Err(error) => outcome = Err(error),
                }
            }
            match (running.next().await, &mut outcome) {
                (Some(Ok(bytes)), Ok(copied)) => {
                    copied.bytes += bytes;
                    copied.files += 1;
                }
                (Some(Err(error)), Ok(_)) => outcome = Err(error),
                (Some(_), Err(_)) => {}
                (None, _) => return outcome,
            }
        }
    }

    /// The next file and where it goes; directories before it are made.
    async fn next_file(
        &self,
        entries: &mut StatusStream,
    ) -> Result<Option<(DfsPath, DfsPath)>, TransferError> {
        while let Some(entry) = entries.try_next().await.map_err(TransferError::Source)? {
            let below = entry.path.relative_to(self.from.path).unwrap_or_default();
            let target = self.to.path.join(below);
            if !entry.is_dir {
                return Ok(Some((entry.path, target)));
            }
            self.make_directory(&target).await?;
        }
        Ok(None)
    }

    async fn make_directory(&self, path: &DfsPath) -> Result<(), TransferError> {
        self.to
            .fs
            .mkdirs(path, 0o755)
            .await
            .map_err(TransferError::Target)
    }

    async fn copy_one(&self, file: DfsPath, target: DfsPath) -> Result<u64, TransferError> {
        let from = Side {
            fs: self.from.fs,
            path: &file,
        };
        let to = Side {
            fs: self.to.fs,
            path: &target,
        };
        let mut report = |progress| {
            let mut told = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            (*told)(progress);
        };
        copy_file(from, to, self.overwrite, &mut report).await
    }
}

/// An existing directory takes the copy in.
async fn target_of(source: &DfsPath, to: Side<'_>) -> Result<DfsPath, DfsError> {
    match to.fs.status(to.path).await {
        Ok(status) if status.is_dir => Ok(to.path.join(source.name())),
        Ok(_) | Err(DfsError::NotFound { .. }) => Ok(to.path.clone()),
        Err(error) => Err(error),
    }
}

/// Copies one file under a temporary name and renames it.
async fn copy_file(
    from: Side<'_>,
    to: Side<'_>,
    overwrite: Overwrite,
    progress: &mut OnProgress<'_>,
) -> Result<u64, TransferError> {
    if overwrite == Overwrite::No {
        refuse_existing(to).await.map_err(TransferError::Target)?;
    }
    let temporary = to.path.with_path(&format!("{}{COPYING}", to.path.path()));
    let place = Side {
        fs: to.fs,
        path: &temporary,
    };
    let bytes = copy_bytes(from, place, &CreateOptions::overwriting(), progress).await?;
    if let Err(error) = to.fs.rename(&temporary, to.path, overwrite).await {
        if let Err(error) = to.fs.delete(&temporary, false).await {
            tracing::debug!(%temporary, %error, "temporary file left behind");
        }
        return Err(TransferError::Target(error));
    }
    Ok(bytes)
}

/// Says before the copy rather than after it that the target is taken.
async fn refuse_existing(to: Side<'_>) -> Result<(), DfsError> {
    match to.fs.status(to.path).await {
        Ok(_) => Err(DfsError::AlreadyExists {
            path: to.path.to_string(),
        }),
        Err(DfsError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Copies the bytes of one file; an unfinished target is removed.
async fn copy_bytes(
    from: Side<'_>,
    to: Side<'_>,
    options: &CreateOptions,
    progress: &mut OnProgress<'_>,
) -> Result<u64, TransferError> {
    let reader = from.fs.open(from.path).await.map_err(TransferError::Source)?;
    let total = reader.len();
    let mut report = |done| {
        progress(Progress {
            file: from.path.clone(),
            done,
            total,
        });
    };
    report(0);
    let mut writer = to
        .fs
        .create(to.path, options)
        .await
        .map_err(TransferError::Target)?;
    match pump(reader.read(0, total), writer.as_mut(), &mut report).await {
        Ok(()) => finish(to.fs, writer).await.map_err(TransferError::Target),
        Err(error) => {
            abandon(writer).await;
            Err(error)
        }
    }
}

async fn pump(
    mut chunks: ByteStream,
    writer: &mut dyn FileWriter,
    report: &mut (dyn FnMut(u64) + Send),
) -> Result<(), TransferError> {
    while let Some(chunk) = chunks.try_next().await.map_err(TransferError::Source)? {
        writer.write(chunk).await.map_err(TransferError::Target)?;
        report(writer.written());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::fs::{read_all, write_all};

    struct Fixture {
        fs: LocalFileSystem,
        _directory: tempfile::TempDir,
    }

    fn fixture() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        Fixture {
            fs: LocalFileSystem::new(directory.path()).unwrap(),
            _directory: directory,
        }
    }

    impl Fixture {
        fn at(&self, name: &str) -> DfsPath {
            self.fs.home().join(name)
        }

        async fn write(&self, name: &str, contents: &'static str) {
            let data = Bytes::from_static(contents.as_bytes());
            write_all(&self.fs, &self.at(name), data, &CreateOptions::default())
                .await
                .unwrap();
        }

        async fn text(&self, name: &str) -> String {
            String::from_utf8(
                read_all(&self.fs, &self.at(name), 1 << 20)
                    .await
                    .unwrap()
                    .to_vec(),
            )
            .unwrap()
        }

        async fn copy(&self, from: &str, to: &str, overwrite: Overwrite) -> Result<Copied, TransferError> {
            let (from, to) = (self.at(from), self.at(to));
            let side = |path| Side { fs: &self.fs, path };
            copy(side(&from), side(&to), overwrite, &mut |_| {}).await
        }
    }

    #[tokio::test]
    async fn a_tree_is_copied_with_its_structure() {
        let fixture = fixture();
        fixture.write("in/a", "1").await;
        fixture.write("in/b/c", "22").await;
        fixture.fs.mkdirs(&fixture.at("in/empty"), 0o755).await.unwrap();
        let copied = fixture.copy("in", "out", Overwrite::No).await.unwrap();
        assert_eq!(copied, Copied { files: 2, bytes: 3 });
        assert_eq!(fixture.text("out/b/c").await, "22");
        assert!(fixture.fs.status(&fixture.at("out/empty")).await.unwrap().is_dir);
        fixture.copy("in/a", "out", Overwrite::Yes).await.unwrap();
        assert_eq!(fixture.text("out/a").await, "1");
    }

    #[tokio::test]
    async fn existing_files_are_kept_unless_overwriting_is_asked_for() {
        let fixture = fixture();
        fixture.write("a", "new").await;
        fixture.write("b", "old").await;
        let refused = fixture.copy("a", "b", Overwrite::No).await.unwrap_err();
        assert!(matches!(
            refused,
            TransferError::Target(DfsError::AlreadyExists { .. })
        ));
        assert_eq!(fixture.text("b").await, "old");
        fixture.copy("a", "b", Overwrite::Yes).await.unwrap();
        assert_eq!(fixture.text("b").await, "new");
        let missing = fixture.copy("nothing", "b", Overwrite::Yes).await.unwrap_err();
        assert!(matches!(
            missing,
            TransferError::Source(DfsError::NotFound { .. })
        ));
    }

    #[tokio::test]
    async fn progress_counts_up_to_the_length() {
        let fixture = fixture();
        fixture.write("a", "12345").await;
        let mut seen = Vec::new();
        let local = fixture.at("a").to_local().unwrap();
        let report = &mut |progress: Progress| seen.push((progress.done, progress.total));
        put_file(
            &fixture.fs,
            &local,
            &fixture.at("b"),
            &CreateOptions::default(),
            report,
        )
        .await
        .unwrap();
        assert_eq!(seen, [(0, 5), (5, 5)]);
    }
}
