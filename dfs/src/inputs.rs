//! From what a job names as its input to the files its tasks read.

use futures::TryStreamExt;

use crate::error::DfsError;
use crate::fs::{FileStatus, FileSystem};
use crate::glob::is_pattern;
use crate::path::DfsPath;
use crate::registry::FileSystems;
use crate::split::{InputFile, is_hidden};

/// The files that `text` (a file, a pattern or a directory) stands for, sorted by path. Directories are entered at
/// every depth; files and directories whose names begin with `_` or `.` are left out unless `text` names them itself.
/// Whole listings are never held, only the files, of which there may be at most `limit`.
///
/// # Errors
/// [`DfsError::NotFound`] when a path does not exist or a pattern matches nothing; [`DfsError::Other`] with class
/// `TooManyFiles` beyond `limit`; else as listing.
pub async fn input_files(
    file_systems: &FileSystems,
    text: &str,
    limit: usize,
) -> Result<Vec<InputFile>, DfsError> {
    let path = file_systems.resolve(text)?;
    let fs = file_systems.get(&path)?;
    let by_pattern = is_pattern(path.path());
    let mut files = Files {
        found: Vec::new(),
        limit,
    };
    let mut matched = false;
    for status in file_systems.expand(text, limit).await? {
        if by_pattern && is_hidden(status.path.name()) {
            continue;
        }
        matched = true;
        files.add(fs.as_ref(), status).await?;
    }
    if !matched {
        return Err(DfsError::NotFound {
            path: path.to_string(),
        });
    }
    files.found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files.found)
}

struct Files {
    found: Vec<InputFile>,
    limit: usize,
}

impl Files {
    async fn add(&mut self, fs: &dyn FileSystem, status: FileStatus) -> Result<(), DfsError> {
        if !status.is_dir {
            return self.push(status);
        }
        let directory = status.path;
        let mut below = fs.list(&directory, true);
        while let Some(entry) = below.try_next().await? {
            if !entry.is_dir && !hidden_below(&directory, &entry.path) {
                self.push(entry)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, status: FileStatus) -> Result<(), DfsError> {
        if self.found.len() == self.limit {
            let detail = format!("more than {} input files", self.limit);
            return Err(DfsError::other(&status.path, "TooManyFiles", &detail));
        }
        self.found.push(InputFile {
            path: status.path,
            len: status.len,
        });
        Ok(())
    }
}

/// Whether any component behind `directory` is hidden, so that what lies in `_temporary` is, too.
fn hidden_below(directory: &DfsPath, file: &DfsPath) -> bool {
    file.relative_to(directory)
        .unwrap_or_default()
        .split('/')
        .any(is_hidden)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hadoop::conf::Configuration;

    use super::*;
    use crate::fs::{CreateOptions, write_all};

    struct Fixture {
        file_systems: FileSystems,
        _directory: tempfile::TempDir,
    }

    async fn fixture(files: &[&str]) -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let conf = Configuration::builder().build(&|_| None);
        let builder = FileSystems::builder(&conf, "alice").local_working(directory.path());
        let fixture = Fixture {
            file_systems: builder.build().unwrap(),
            _directory: directory,
        };
        let fs = fixture.file_systems.default_fs().unwrap();
        for name in files {
            let path = fixture.file_systems.resolve(name).unwrap();
            write_all(
                fs.as_ref(),
                &path,
                Bytes::from((*name).to_owned()),
                &CreateOptions::default(),
            )
            .await
            .unwrap();
        }
        fixture
    }

    impl Fixture {
        async fn inputs(&self, text: &str, limit: usize) -> Result<Vec<String>, DfsError> {
            let base = self.file_systems.resolve(".")?;
            let files = input_files(&self.file_systems, text, limit).await?;
            assert!(
                files
                    .iter()
                    .all(|file| file.len == file.path.relative_to(&base).unwrap().len() as u64)
            );
            Ok(files
                .iter()
                .map(|file| file.path.relative_to(&base).unwrap().to_owned())
                .collect())
        }
    }

    const FILES: [&str; 6] = [
        "in/b",
        "in/a/1",
        "in/_SUCCESS",
        "in/_temporary/0/x",
        "in/.b.crc",
        "out",
    ];

    #[tokio::test]
    async fn files_patterns_and_directories_are_expanded() {
        let fixture = fixture(&FILES).await;
        assert_eq!(fixture.inputs("in", 10).await.unwrap(), ["in/a/1", "in/b"]);
        assert_eq!(fixture.inputs("in/*", 10).await.unwrap(), ["in/a/1", "in/b"]);
        assert_eq!(fixture.inputs("out", 10).await.unwrap(), ["out"]);
        assert_eq!(fixture.inputs("in/_SUCCESS", 10).await.unwrap(), ["in/_SUCCESS"]);
    }

    #[tokio::test]
    async fn nothing_to_read_is_an_error_but_an_empty_directory_is_not() {
        let fixture = fixture(&["empty/_SUCCESS"]).await;
        assert!(fixture.inputs("nothing", 10).await.unwrap_err().is_not_found());
        assert!(fixture.inputs("nothing-*", 10).await.unwrap_err().is_not_found());
        assert!(fixture.inputs("empty/*", 10).await.unwrap_err().is_not_found());
        assert!(fixture.inputs("empty", 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn more_files_than_allowed_are_refused() {
        let fixture = fixture(&FILES).await;
        let error = fixture.inputs("in", 1).await.unwrap_err();
        assert!(matches!(error, DfsError::Other { class, .. } if class == "TooManyFiles"));
    }
}
