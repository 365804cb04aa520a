//! What every [`FileSystem`] must do, as checks that run on any of them: on local files in this crate's unit tests, on
//! a real HDFS in the suites.
//!
//! A failed check panics with the call site, so it reads like any test. Compiled with the feature `conformance`.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;

use crate::error::DfsError;
use crate::fs::{CreateOptions, FileStatus, FileSystem, Overwrite, list_all, read_all, write_all};
use crate::glob::glob;
use crate::path::DfsPath;

pub mod faults;
#[cfg(test)]
mod tests;

/// Runs all checks below `base`, which is made and removed again.
///
/// # Panics
/// When the file system does not behave.
pub async fn check_all(fs: Arc<dyn FileSystem>, base: &DfsPath) {
    let suite = Suite {
        fs,
        base: base.clone(),
    };
    suite
        .fs
        .delete(base, true)
        .await
        .expect("the place for the checks can be cleared");
    suite
        .fs
        .mkdirs(base, 0o755)
        .await
        .expect("the place for the checks can be made");
    suite.files_come_back_as_written().await;
    suite.ranges_are_clamped().await;
    suite.large_files_stream_in_order().await;
    suite.creation_is_a_lock().await;
    suite.creation_keeps_to_its_options().await;
    suite.writers_count_flush_and_give_up().await;
    suite.times_and_modes_are_exact().await;
    suite.directories_are_made_and_removed().await;
    suite.renaming_never_replaces_by_accident().await;
    suite.renaming_a_directory_takes_open_files_along().await;
    suite.listings_are_ordered_and_complete().await;
    suite.patterns_find_what_they_should().await;
    suite.leases_of_closed_files_are_free().await;
    suite.summaries_add_up().await;
    suite.strange_names_survive().await;
    suite.foreign_paths_are_refused().await;
    suite
        .fs
        .delete(base, true)
        .await
        .expect("the checks can be removed");
}

struct Suite {
    fs: Arc<dyn FileSystem>,
    base: DfsPath,
}

/// Bytes that differ at every offset modulo a prime, so that any shift shows.
fn pattern(len: usize) -> Bytes {
    (0..len).map(|at| (at % 251) as u8).collect::<Vec<_>>().into()
}

fn expect_error<T: std::fmt::Debug>(result: Result<T, DfsError>, right: impl Fn(&DfsError) -> bool) {
    match result {
        Err(error) => assert!(right(&error), "another error was expected than {error:?}"),
        Ok(value) => panic!("an error was expected, not {value:?}"),
    }
}

fn names(entries: &[FileStatus], base: &DfsPath) -> Vec<String> {
    let name = |entry: &FileStatus| {
        entry
            .path
            .relative_to(base)
            .expect("entries lie below the base")
            .to_owned()
    };
    entries.iter().map(name).collect()
}

impl Suite {
    fn at(&self, name: &str) -> DfsPath {
        self.base.join(name)
    }

    async fn write(&self, name: &str, data: &'static [u8]) -> DfsPath {
        let path = self.at(name);
        let written = write_all(
            self.fs.as_ref(),
            &path,
            Bytes::from_static(data),
            &CreateOptions::default(),
        )
        .await;
        assert_eq!(written, Ok(data.len() as u64), "writing {path}");
        path
    }

    async fn read(&self, path: &DfsPath) -> Bytes {
        read_all(self.fs.as_ref(), path, 1 << 30)
            .await
            .expect("the file can be read")
    }

    async fn status(&self, path: &DfsPath) -> FileStatus {
        self.fs.status(path).await.expect("the file is there")
    }

    async fn range(&self, path: &DfsPath, offset: u64, len: u64) -> Vec<u8> {
        let reader = self.fs.open(path).await.expect("the file can be opened");
        let chunks: Vec<Bytes> = reader
            .read(offset, len)
            .try_collect()
            .await
            .expect("the range can be read");
        chunks.concat()
    }

    async fn files_come_back_as_written(&self) {
        let path = self.write("plain/file", b"contents").await;
        assert_eq!(self.read(&path).await, "contents");
        let status = self.status(&path).await;
        assert_eq!((status.len, status.is_dir, &status.path), (8, false, &path));
        let empty = self.write("plain/empty", b"").await;
        assert!(self.read(&empty).await.is_empty());
        let missing = self.at("plain/missing");
        expect_error(self.fs.status(&missing).await, DfsError::is_not_found);
        expect_error(self.fs.open(&missing).await, DfsError::is_not_found);
        let below_file = self.fs.status(&path.join("below")).await;
        expect_error(below_file, |e| {
            matches!(e, DfsError::NotFound { .. } | DfsError::NotADirectory { .. })
        });
        expect_error(self.fs.open(&self.at("plain")).await, |e| {
            matches!(e, DfsError::IsADirectory { .. })
        });
    }

    async fn ranges_are_clamped(&self) {
        let path = self.write("range", b"0123456789").await;
        assert_eq!(self.range(&path, 3, 4).await, b"3456");
        assert_eq!(self.range(&path, 8, 100).await, b"89");
        assert_eq!(self.range(&path, 0, u64::MAX).await, b"0123456789");
        for (offset, len) in [(10, 1), (11, 5), (u64::MAX, u64::MAX), (4, 0)] {
            assert!(self.range(&path, offset, len).await.is_empty(), "{offset} {len}");
        }
    }

    /// More than one block on HDFS, where the smallest block is 1 MiB by default.
    async fn large_files_stream_in_order(&self) {
        let (path, data) = (self.at("large"), pattern(5 << 20));
        let options = CreateOptions {
            block_size: Some(1 << 20),
            ..CreateOptions::default()
        };
        let mut writer = self
            .fs
            .create(&path, &options)
            .await
            .expect("a large file can be created");
        for piece in [0..7, 7..3_000_000, 3_000_000..data.len()] {
            writer
                .write(data.slice(piece))
                .await
                .expect("a piece can be written");
        }
        assert_eq!(writer.written(), data.len() as u64);
        assert_eq!(writer.close().await, Ok(data.len() as u64));
        assert!(self.read(&path).await == data, "the large file differs");
        let (from, len) = ((1 << 20) - 3, (2 << 20) + 5);
        assert!(
            self.range(&path, from as u64, len as u64).await == data[from..from + len],
            "a range differs"
        );
    }

    async fn creation_is_a_lock(&self) {
        let path = self.at("lock");
        let options = CreateOptions::default();
        let attempts = (0..8).map(|_| self.fs.create(&path, &options));
        let results = futures::future::join_all(attempts).await;
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "exactly one creator wins");
        for loser in lost {
            expect_error(loser, |e| matches!(e, DfsError::AlreadyExists { .. }));
        }
        for writer in won.into_iter().flatten() {
            writer.close().await.expect("the winner can close");
        }
        expect_error(self.fs.create(&path, &options).await, |e| {
            matches!(e, DfsError::AlreadyExists { .. })
        });
    }

    async fn creation_keeps_to_its_options(&self) {
        let path = self.write("replaced", b"a long old text").await;
        let options = CreateOptions::overwriting().permission(0o600);
        write_all(self.fs.as_ref(), &path, Bytes::from_static(b"new"), &options)
            .await
            .expect("overwriting works");
        assert_eq!(self.read(&path).await, "new");
        assert_eq!(self.status(&path).await.permission, 0o600);
        let options = CreateOptions {
            create_parents: false,
            ..CreateOptions::default()
        };
        expect_error(
            self.fs.create(&self.at("no/parent"), &options).await,
            DfsError::is_not_found,
        );
        let over_directory = self.fs.create(&self.base, &CreateOptions::overwriting()).await;
        expect_error(over_directory, |e| matches!(e, DfsError::AlreadyExists { .. }));
        let below_file = self.fs.create(&path.join("x"), &CreateOptions::default()).await;
        expect_error(below_file, |e| matches!(e, DfsError::NotADirectory { .. }));
    }

    async fn writers_count_flush_and_give_up(&self) {
        let path = self.at("journal");
        let mut writer = self
            .fs
            .create(&path, &CreateOptions::default())
            .await
            .expect("created");
        writer.write(Bytes::from_static(b"one")).await.expect("written");
        writer.sync().await.expect("flushed");
        assert_eq!(self.status(&path).await.len, 3, "a flushed length is visible");
        writer.write(Bytes::from_static(b"two")).await.expect("written");
        writer.sync().await.expect("flushed again");
        writer.sync().await.expect("flushed with nothing new");
        assert_eq!(writer.written(), 6);
        writer.close().await.expect("closed");
        assert_eq!(self.read(&path).await, "onetwo");
        let mut unfinished = self
            .fs
            .create(&self.at("unfinished"), &CreateOptions::default())
            .await
            .expect("created");
        unfinished
            .write(Bytes::from_static(b"part"))
            .await
            .expect("written");
        unfinished.abort().await.expect("given up");
        expect_error(
            self.fs.status(&self.at("unfinished")).await,
            DfsError::is_not_found,
        );
    }

    async fn times_and_modes_are_exact(&self) {
        let path = self.write("timed", b"x").await;
        let closed = self.status(&path).await.modified_ms;
        assert_eq!(self.status(&path).await.modified_ms, closed);
        let moved = self.at("timed-moved");
        self.fs
            .rename(&path, &moved, Overwrite::No)
            .await
            .expect("renamed");
        assert_eq!(
            self.status(&moved).await.modified_ms,
            closed,
            "renaming keeps the time"
        );
        self.fs
            .set_modified(&moved, 1_234_567_890_123)
            .await
            .expect("time set");
        self.fs.set_permission(&moved, 0o751).await.expect("mode set");
        let status = self.status(&moved).await;
        assert_eq!(
            (status.modified_ms, status.permission),
            (1_234_567_890_123, 0o751)
        );
        let directory = self.at("timed-directory");
        self.fs.mkdirs(&directory, 0o700).await.expect("made");
        self.fs.set_modified(&directory, 4_000).await.expect("time set");
        assert_eq!(self.status(&directory).await.modified_ms, 4_000);
        let open_to_all = CreateOptions::default().permission(0o666);
        let path = self.at("mode");
        write_all(self.fs.as_ref(), &path, Bytes::new(), &open_to_all)
            .await
            .expect("written");
        assert_eq!(self.status(&path).await.permission, 0o666, "no umask applies");
        expect_error(
            self.fs.set_permission(&self.at("nothing"), 0o700).await,
            DfsError::is_not_found,
        );
        expect_error(
            self.fs.set_modified(&self.at("nothing"), 0).await,
            DfsError::is_not_found,
        );
    }

    async fn directories_are_made_and_removed(&self) {
        let deep = self.at("dirs/a/b");
        self.fs.mkdirs(&deep, 0o700).await.expect("made");
        self.fs
            .mkdirs(&deep, 0o755)
            .await
            .expect("making it again is no error");
        for directory in [&deep, &self.at("dirs/a"), &self.at("dirs")] {
            let status = self.status(directory).await;
            assert_eq!(
                (status.is_dir, status.len, status.permission),
                (true, 0, 0o700),
                "{directory}"
            );
        }
        let file = self.write("dirs/file", b"x").await;
        expect_error(self.fs.mkdirs(&file, 0o755).await, |e| {
            matches!(e, DfsError::AlreadyExists { .. })
        });
        let below = self.fs.mkdirs(&file.join("x"), 0o755).await;
        expect_error(below, |e| matches!(e, DfsError::NotADirectory { .. }));
        expect_error(self.fs.delete(&self.at("dirs"), false).await, |e| {
            matches!(e, DfsError::NotEmpty { .. })
        });
        assert_eq!(self.fs.delete(&deep, false).await, Ok(true));
        assert_eq!(self.fs.delete(&self.at("dirs"), true).await, Ok(true));
        assert_eq!(
            self.fs.delete(&self.at("dirs"), true).await,
            Ok(false),
            "nothing is left to delete"
        );
    }

    async fn renaming_never_replaces_by_accident(&self) {
        let (a, b) = (self.write("move/a", b"a").await, self.write("move/b", b"b").await);
        expect_error(
            self.fs.rename(&a, &b, Overwrite::No).await,
            |e| matches!(e, DfsError::AlreadyExists { path } if *path == b.to_string()),
        );
        assert_eq!(self.read(&b).await, "b");
        self.fs.rename(&a, &b, Overwrite::Yes).await.expect("replaced");
        assert_eq!(self.read(&b).await, "a");
        expect_error(
            self.fs.rename(&a, &b, Overwrite::Yes).await,
            DfsError::is_not_found,
        );
        expect_error(
            self.fs.rename(&b, &self.at("nowhere/b"), Overwrite::No).await,
            DfsError::is_not_found,
        );
        let (full, other) = (self.at("full"), self.at("other"));
        self.write("full/x", b"x").await;
        self.fs.mkdirs(&other, 0o755).await.expect("made");
        expect_error(self.fs.rename(&other, &full, Overwrite::Yes).await, |e| {
            matches!(e, DfsError::NotEmpty { .. })
        });
        expect_error(self.fs.rename(&other, &full, Overwrite::No).await, |e| {
            matches!(e, DfsError::AlreadyExists { .. })
        });
        assert!(
            self.fs.rename(&full, &b, Overwrite::Yes).await.is_err(),
            "a directory never replaces a file"
        );
        self.fs
            .rename(&full, &other, Overwrite::Yes)
            .await
            .expect("an empty directory is replaced");
        assert_eq!(self.read(&other.join("x")).await, "x");
    }

    /// The journal of a dead attempt is renamed away while its writer may still live.
    async fn renaming_a_directory_takes_open_files_along(&self) {
        let segment = self.at("attempt-1/segment");
        let mut writer = self
            .fs
            .create(&segment, &CreateOptions::default())
            .await
            .expect("created");
        writer.write(Bytes::from_static(b"one")).await.expect("written");
        writer.sync().await.expect("flushed");
        let sealed = self.at("attempt-1.sealed");
        self.fs
            .rename(&self.at("attempt-1"), &sealed, Overwrite::No)
            .await
            .expect("renamed");
        writer
            .write(Bytes::from_static(b"two"))
            .await
            .expect("the writer goes on");
        writer.sync().await.expect("its flushes, too");
        let options = CreateOptions {
            create_parents: false,
            ..CreateOptions::default()
        };
        expect_error(
            self.fs.create(&self.at("attempt-1/next"), &options).await,
            DfsError::is_not_found,
        );
        assert_eq!(writer.close().await, Ok(6));
        assert_eq!(self.read(&sealed.join("segment")).await, "onetwo");
    }

    async fn listings_are_ordered_and_complete(&self) {
        for name in ["list/b/2", "list/a", "list/b/1", "list/c"] {
            self.write(name, b"x").await;
        }
        let directory = self.at("list");
        let flat = list_all(self.fs.as_ref(), &directory, false, 10)
            .await
            .expect("listed");
        assert_eq!(names(&flat, &directory), ["a", "b", "c"]);
        let deep = list_all(self.fs.as_ref(), &directory, true, 10)
            .await
            .expect("listed");
        assert_eq!(names(&deep, &directory), ["a", "b", "b/1", "b/2", "c"]);
        let file = directory.join("a");
        let itself = list_all(self.fs.as_ref(), &file, false, 10)
            .await
            .expect("listed");
        assert_eq!(itself.iter().map(|s| &s.path).collect::<Vec<_>>(), [&file]);
        self.fs.mkdirs(&self.at("hollow"), 0o755).await.expect("made");
        assert_eq!(
            list_all(self.fs.as_ref(), &self.at("hollow"), true, 10).await,
            Ok(Vec::new())
        );
        expect_error(
            list_all(self.fs.as_ref(), &self.at("nothing"), false, 10).await,
            DfsError::is_not_found,
        );
        let too_many = list_all(self.fs.as_ref(), &directory, true, 4).await;
        expect_error(
            too_many,
            |e| matches!(e, DfsError::Other { class, .. } if class == "TooManyFiles"),
        );
    }

    async fn patterns_find_what_they_should(&self) {
        for name in [
            "glob/2024/a.txt",
            "glob/2024/b.log",
            "glob/2025/a.txt",
            "glob/x*y",
        ] {
            self.write(name, b"x").await;
        }
        let base = self.at("glob");
        for (pattern, expected) in [
            ("*/a.txt", vec!["2024/a.txt", "2025/a.txt"]),
            ("202[45]/*", vec!["2024/a.txt", "2024/b.log", "2025/a.txt"]),
            ("{2024/b.*,2025/?.txt}", vec!["2024/b.log", "2025/a.txt"]),
            ("x\\*y", vec!["x*y"]),
            ("202?", vec!["2024", "2025"]),
            ("*/a.txt/*", vec![]),
            ("nothing/*", vec![]),
            ("2024/missing", vec![]),
        ] {
            let found = glob(self.fs.as_ref(), &base.join(pattern), 100)
                .await
                .expect("matched");
            assert_eq!(names(&found, &base), expected, "{pattern}");
        }
        expect_error(glob(self.fs.as_ref(), &base.join("*/*"), 2).await, |e| {
            matches!(e, DfsError::Other { .. })
        });
    }

    async fn leases_of_closed_files_are_free(&self) {
        let path = self.write("closed", b"x").await;
        assert_eq!(self.fs.recover_lease(&path).await, Ok(true));
        expect_error(
            self.fs.recover_lease(&self.at("nothing")).await,
            DfsError::is_not_found,
        );
    }

    async fn summaries_add_up(&self) {
        self.write("sum/a", b"123").await;
        self.write("sum/b/c", b"45").await;
        let summary = self.fs.content_summary(&self.at("sum")).await.expect("summed up");
        assert_eq!((summary.len, summary.files, summary.directories), (5, 2, 2));
        assert_eq!((summary.name_quota, summary.space_quota), (None, None));
        expect_error(
            self.fs.content_summary(&self.at("nothing")).await,
            DfsError::is_not_found,
        );
    }

    async fn strange_names_survive(&self) {
        let strange = [
            "with space",
            "percent%20",
            "ümlaut-漢",
            "hash#mark",
            "plus+quote'",
            "ques?tion",
            "[set]",
        ];
        for name in strange {
            let path = self.at("strange").join(name);
            write_all(
                self.fs.as_ref(),
                &path,
                Bytes::from_static(b"x"),
                &CreateOptions::default(),
            )
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(self.read(&path).await, "x", "{name}");
        }
        let listed = list_all(self.fs.as_ref(), &self.at("strange"), false, 100)
            .await
            .expect("listed");
        let found: BTreeSet<&str> = listed.iter().map(|entry| entry.path.name()).collect();
        assert_eq!(found, BTreeSet::from(strange));
    }

    async fn foreign_paths_are_refused(&self) {
        let foreign: DfsPath = "hdfs://another.example:1/x".parse().expect("a valid location");
        let refused = |e: &DfsError| matches!(e, DfsError::InvalidPath { .. });
        expect_error(self.fs.status(&foreign).await, refused);
        expect_error(self.fs.open(&foreign).await, refused);
        expect_error(self.fs.create(&foreign, &CreateOptions::default()).await, refused);
        expect_error(self.fs.rename(&self.base, &foreign, Overwrite::No).await, refused);
        expect_error(list_all(self.fs.as_ref(), &foreign, false, 1).await, refused);
    }
}
