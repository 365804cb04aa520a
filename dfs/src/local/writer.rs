//! Writing local files.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::{make_directories, run_blocking};
use crate::error::DfsError;
use crate::fs::{CreateOptions, FileWriter, Overwrite};
use crate::path::DfsPath;

/// An open local file.
#[derive(Debug)]
pub(super) struct LocalWriter {
    path: DfsPath,
    file: tokio::fs::File,
    written: u64,
    lost: Option<String>,
}

impl LocalWriter {
    pub(super) fn new(path: DfsPath, file: File) -> Self {
        Self {
            path,
            file: tokio::fs::File::from_std(file),
            written: 0,
            lost: None,
        }
    }

    fn check(&self) -> Result<(), DfsError> {
        match &self.lost {
            None => Ok(()),
            Some(detail) => Err(DfsError::WriterLost {
                path: self.path.to_string(),
                detail: detail.clone(),
            }),
        }
    }

    fn fail(&mut self, error: &io::Error) -> DfsError {
        self.lost = Some(error.to_string());
        DfsError::from_io(&self.path, error)
    }
}

#[async_trait]
impl FileWriter for LocalWriter {
    fn path(&self) -> &DfsPath {
        &self.path
    }

    fn written(&self) -> u64 {
        self.written
    }

    async fn write(&mut self, data: Bytes) -> Result<(), DfsError> {
        self.check()?;
        self.file
            .write_all(&data)
            .await
            .map_err(|error| self.fail(&error))?;
        self.written += data.len() as u64;
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), DfsError> {
        self.check()?;
        let flushed = self.file.flush().await;
        flushed.map_err(|error| self.fail(&error))?;
        self.file.sync_data().await.map_err(|error| self.fail(&error))
    }

    async fn close(mut self: Box<Self>) -> Result<u64, DfsError> {
        self.check()?;
        self.file.flush().await.map_err(|error| self.fail(&error))?;
        Ok(self.written)
    }

    async fn abort(self: Box<Self>) -> Result<(), DfsError> {
        let native = self.path.path().to_owned();
        drop(self.file);
        let removed = run_blocking(move || std::fs::remove_file(native)).await;
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DfsError::from_io(&self.path, &error))
            }
            _ => Ok(()),
        }
    }
}

/// Creates the file with exactly the permission bits asked for.
pub(super) fn create_file(path: &Path, options: &CreateOptions) -> io::Result<File> {
    if let (true, Some(parent)) = (options.create_parents, path.parent()) {
        make_directories(parent, 0o755).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => io::ErrorKind::NotADirectory.into(),
            _ => error,
        })?;
    }
    let file = open_new(path, options)?;
    file.set_permissions(std::fs::Permissions::from_mode(options.permission))?;
    Ok(file)
}

fn open_new(path: &Path, options: &CreateOptions) -> io::Result<File> {
    let mut open = OpenOptions::new();
    open.write(true).mode(options.permission).create_new(true);
    match open.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && options.overwrite == Overwrite::Yes => {
            // A new file rather than a truncated one, as on HDFS: readers and writers of the old one are left alone,
            // and a read-only file can be replaced by whoever may write the directory.
            if std::fs::metadata(path)?.is_dir() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            std::fs::remove_file(path)?;
            open.open(path)
        }
        other => other,
    }
}
