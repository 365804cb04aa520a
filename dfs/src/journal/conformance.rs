//! What a journal must do on any file system, as checks that run on local files in this crate's tests and on a real
//! HDFS in the suites. A failed check panics with the call site.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{JournalError, JournalWriter, Patience, Recovery, attempts, recover, segment_name};
use crate::fs::{CreateOptions, FileSystem, list_all, read_all, write_all};
use crate::path::DfsPath;

/// How long lease recovery may take here.
const LIMIT: Duration = Duration::from_secs(120);

/// Short enough for a test that waits for the end of it.
const IMPATIENT: Patience = Patience {
    budget: Duration::from_millis(400),
    first_pause: Duration::from_millis(20),
    longest_pause: Duration::from_millis(100),
};

/// Runs all checks below `base`. `ours` writes, `theirs` takes over; on HDFS they must be different clients.
///
/// # Panics
/// When the journal or its file system does not behave.
pub async fn check_journal(ours: Arc<dyn FileSystem>, theirs: Arc<dyn FileSystem>, base: &DfsPath) {
    let cleared = ours.delete(base, true).await;
    cleared.expect("the place for the checks can be cleared");
    let suite = Suite { ours, theirs };
    suite.records_come_back(&base.join("back")).await;
    suite.a_live_writer_is_fenced(&base.join("fenced")).await;
    suite.only_the_latest_attempt_writes(&base.join("latest")).await;
    suite
        .a_restart_removes_what_it_replaces(&base.join("restart"))
        .await;
    suite
        .a_segment_that_cannot_be_removed_leaves_no_gap(&base.join("gap"))
        .await;
    suite
        .a_directory_that_was_just_made_is_used(&base.join("made"))
        .await;
    suite
        .a_second_writer_never_shares_a_segment(&base.join("shared"))
        .await;
    suite.damage_is_refused(&base.join("damage")).await;
    suite
        .earlier_attempts_go_when_a_later_one_is_safe(&base.join("earlier"))
        .await;
    let removed = suite.ours.delete(base, true).await;
    removed.expect("the checks can be removed");
}

struct Suite {
    ours: Arc<dyn FileSystem>,
    theirs: Arc<dyn FileSystem>,
}

fn payloads(texts: &[&str]) -> Vec<Bytes> {
    texts
        .iter()
        .map(|text| Bytes::copy_from_slice(text.as_bytes()))
        .collect()
}

fn texts(recovery: &Recovery) -> Vec<String> {
    let texts = recovery.records.iter();
    texts
        .map(|record| String::from_utf8_lossy(&record.payload).into_owned())
        .collect()
}

impl Suite {
    async fn writer(&self, base: &DfsPath, attempt: u32) -> JournalWriter {
        JournalWriter::create(Arc::clone(&self.ours), base, attempt, Patience::default())
            .await
            .expect("a journal can be made")
    }

    async fn take_over(&self, base: &DfsPath, attempt: u32) -> Result<Recovery, JournalError> {
        recover(self.theirs.as_ref(), base, attempt, LIMIT).await
    }

    async fn records_come_back(&self, base: &DfsPath) {
        let mut writer = self.writer(base, 1).await;
        assert_eq!(writer.append(&payloads(&["a", "b"])).await, Ok(2));
        assert_eq!(writer.append(&payloads(&["c"])).await, Ok(3));
        drop(writer);
        let first = self.take_over(base, 1).await.expect("it can be read");
        assert_eq!(texts(&first), ["a", "b", "c"]);
        let again = self.take_over(base, 1).await.expect("it can be read again");
        assert_eq!(again.records, first.records);
    }

    async fn a_live_writer_is_fenced(&self, base: &DfsPath) {
        let mut writer = self.writer(base, 1).await;
        writer.append(&payloads(&["a"])).await.expect("written");
        let found = self.take_over(base, 1).await.expect("it can be read");
        assert_eq!(texts(&found), ["a"]);
        let refused = writer.append(&payloads(&["late"])).await;
        assert!(matches!(refused, Err(JournalError::Fenced(_))), "{refused:?}");
        let found = self.take_over(base, 1).await.expect("it can be read again");
        assert_eq!(texts(&found)[0], "a");
    }

    async fn only_the_latest_attempt_writes(&self, base: &DfsPath) {
        let mut second = self.writer(base, 2).await;
        second.append(&payloads(&["b"])).await.expect("written");
        let first = JournalWriter::create(Arc::clone(&self.ours), base, 1, Patience::default()).await;
        assert!(matches!(first, Err(JournalError::Fenced(_))), "{first:?}");
    }

    async fn a_restart_removes_what_it_replaces(&self, base: &DfsPath) {
        let mut writer = self.writer(base, 1).await;
        writer.append(&payloads(&["a", "b"])).await.expect("written");
        writer
            .restart(Bytes::from_static(b"both"))
            .await
            .expect("restarted");
        writer.append(&payloads(&["c"])).await.expect("written");
        assert_eq!(self.entries(base).await, 1);
        let found = self.take_over(base, 1).await.expect("it can be read");
        assert_eq!(texts(&found), ["both", "c"]);
        assert_eq!(found.records[0].sequence, 3);
    }

    async fn a_segment_that_cannot_be_removed_leaves_no_gap(&self, base: &DfsPath) {
        let mut writer = self.writer(base, 1).await;
        writer.append(&payloads(&["a"])).await.expect("written");
        // Something of its name that refuses to go.
        let first = base.join("a1").join(&segment_name(1));
        let removed = self.theirs.delete(&first, false).await;
        removed.expect("the segment can be removed");
        let made = self.theirs.mkdirs(&first.join("inside"), 0o700).await;
        made.expect("a directory can be made");
        for text in ["b", "c"] {
            let base = Bytes::copy_from_slice(text.as_bytes());
            writer.restart(base).await.expect("restarted");
        }
        assert_eq!(self.entries(base).await, 3, "the segment before the last stays");
        let removed = self.theirs.delete(&first, true).await;
        removed.expect("the directory can be removed");
        writer.restart(Bytes::from_static(b"d")).await.expect("restarted");
        assert_eq!(self.entries(base).await, 1);
        let found = self.take_over(base, 1).await.expect("it can be read");
        assert_eq!(texts(&found), ["d"]);
    }

    /// What the directory of the first attempt holds.
    async fn entries(&self, base: &DfsPath) -> usize {
        let entries = list_all(self.ours.as_ref(), &base.join("a1"), false, 10).await;
        entries.expect("listed").len()
    }

    async fn a_directory_that_was_just_made_is_used(&self, base: &DfsPath) {
        drop(self.writer(base, 1).await);
        let mut again = self.writer(base, 1).await;
        assert_eq!(again.append(&payloads(&["a"])).await, Ok(1));
        let third = JournalWriter::create(Arc::clone(&self.ours), base, 1, Patience::default()).await;
        assert!(matches!(third, Err(JournalError::Fenced(_))), "{third:?}");
    }

    async fn a_second_writer_never_shares_a_segment(&self, base: &DfsPath) {
        let mut writer = JournalWriter::create(Arc::clone(&self.ours), base, 1, IMPATIENT)
            .await
            .expect("a journal can be made");
        let taken = base.join("a1").join(&segment_name(1));
        write_all(
            self.theirs.as_ref(),
            &taken,
            Bytes::new(),
            &CreateOptions::default(),
        )
        .await
        .expect("somebody was faster");
        let refused = writer.append(&payloads(&["a"])).await;
        assert!(matches!(refused, Err(JournalError::Fenced(_))), "{refused:?}");
    }

    async fn damage_is_refused(&self, base: &DfsPath) {
        let mut writer = self.writer(base, 1).await;
        writer
            .append(&payloads(&["first", "second", "third"]))
            .await
            .expect("written");
        drop(writer);
        self.take_over(base, 1).await.expect("it can be read");
        let path = base.join("a1.sealed").join(&segment_name(1));
        let whole = read_all(self.theirs.as_ref(), &path, 1 << 20)
            .await
            .expect("read");
        let mut flipped = whole.to_vec();
        flipped[36] ^= 1;
        self.replace(&path, flipped).await;
        let refused = self.take_over(base, 1).await;
        assert!(
            matches!(refused, Err(JournalError::Damaged { .. })),
            "{refused:?}"
        );
        self.replace(&path, whole[..whole.len() - 3].to_vec()).await;
        let found = self.take_over(base, 1).await.expect("a torn end is no damage");
        assert_eq!(texts(&found), ["first", "second"]);
    }

    async fn earlier_attempts_go_when_a_later_one_is_safe(&self, base: &DfsPath) {
        let mut first = self.writer(base, 1).await;
        first.append(&payloads(&["a"])).await.expect("written");
        self.take_over(base, 1).await.expect("it can be read");
        let mut second = JournalWriter::create(Arc::clone(&self.theirs), base, 2, Patience::default())
            .await
            .expect("a journal can be made");
        second.append(&payloads(&["b"])).await.expect("written");
        second.remove_earlier().await;
        let left = attempts(self.theirs.as_ref(), base).await.expect("listed");
        assert_eq!(left, [2]);
        let late = first.append(&payloads(&["late"])).await;
        assert!(matches!(late, Err(JournalError::Fenced(_))), "{late:?}");
        second
            .append(&payloads(&["c"]))
            .await
            .expect("the second goes on");
    }

    async fn replace(&self, path: &DfsPath, bytes: Vec<u8>) {
        let options = CreateOptions::overwriting();
        let written = write_all(self.theirs.as_ref(), path, Bytes::from(bytes), &options).await;
        written.expect("rewritten");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::LocalFileSystem;

    #[tokio::test]
    async fn local_files_carry_a_journal() {
        let directory = tempfile::tempdir().unwrap();
        let fs: Arc<dyn FileSystem> = Arc::new(LocalFileSystem::new(directory.path()).unwrap());
        check_journal(Arc::clone(&fs), fs.clone(), &fs.home().join("journal")).await;
    }

    #[tokio::test]
    async fn a_place_where_nothing_can_be_written_is_given_up_with_its_reason() {
        let directory = tempfile::tempdir().unwrap();
        let fs: Arc<dyn FileSystem> = Arc::new(LocalFileSystem::new(directory.path()).unwrap());
        let base = fs.home().join("journal");
        let mut writer = JournalWriter::create(Arc::clone(&fs), &base, 1, IMPATIENT)
            .await
            .unwrap();
        std::fs::remove_dir(directory.path().join("journal/a1")).unwrap();
        std::fs::write(directory.path().join("journal/a1"), "in the way").unwrap();
        let refused = writer.append(&payloads(&["a"])).await.unwrap_err();
        assert!(matches!(refused, JournalError::GaveUp { .. }), "{refused}");
    }
}
