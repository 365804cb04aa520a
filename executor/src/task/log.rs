//! What a task writes for people, kept within a limit whatever the task does.
//!
//! The beginning goes into the log itself. What comes later goes into two files that take turns, so that the last
//! part is always there; when the task is over they are appended to the log, with a note of what was left out.
//! At any moment everything kept is readable, and a task that writes without end cannot fill the disk.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How much of a log is kept, in bytes: the first half and the last.
pub(crate) const LOG_LIMIT: u64 = 64 << 20;

/// Endings of the names of the two files that take turns, behind the name of the log.
pub const LATER_PARTS: [&str; 2] = [".later-1", ".later-2"];

/// A log that is being written. A full or broken disk makes it shorter and does no other harm.
#[derive(Debug)]
pub(crate) struct BoundedLog {
    path: PathBuf,
    limit: u64,
    head: Option<File>,
    in_head: u64,
    segments: Segments,
    total: u64,
    kept_tail: usize,
    tail: VecDeque<u8>,
    broken: bool,
}

impl BoundedLog {
    /// A log at `path` of at most `limit` bytes, whose last `kept_tail` bytes are also kept in memory. The file is
    /// made at the first byte.
    pub(crate) fn new(path: PathBuf, limit: u64, kept_tail: usize) -> Self {
        let segments = Segments::new(&path, limit / 4);
        Self {
            path,
            limit,
            head: None,
            in_head: 0,
            segments,
            total: 0,
            kept_tail,
            tail: VecDeque::new(),
            broken: false,
        }
    }

    /// Bytes written so far, kept or not.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Appends.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        self.remember(bytes);
        if !self.broken
            && let Err(error) = self.store(bytes)
        {
            self.broken = true;
            tracing::warn!(path = %self.path.display(), %error, "a task's log cannot be written any further");
        }
    }

    fn remember(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(self.kept_tail)..];
        let surplus = (self.tail.len() + kept.len()).saturating_sub(self.kept_tail);
        self.tail.drain(..surplus);
        self.tail.extend(kept);
    }

    fn store(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = usize::try_from(self.limit / 2 - self.in_head).unwrap_or(usize::MAX);
        let (first, rest) = bytes.split_at(bytes.len().min(room));
        if !first.is_empty() {
            self.head()?.write_all(first)?;
            self.in_head += first.len() as u64;
        }
        self.segments.write(rest)
    }

    fn head(&mut self) -> io::Result<&mut File> {
        match &mut self.head {
            Some(head) => Ok(head),
            head => Ok(head.insert(File::create(&self.path)?)),
        }
    }

    /// Puts the log together.
    pub(crate) fn finish(&mut self) {
        let left_out = self.total - self.in_head - self.segments.kept();
        if let Some(head) = &mut self.head
            && let Err(error) = self.segments.append_to(head, left_out)
        {
            tracing::warn!(path = %self.path.display(), %error, "a task's log is not complete");
        }
    }

    /// The last part as text, from the beginning of a line where that is possible.
    pub(crate) fn tail(&self) -> String {
        let bytes: Vec<u8> = self.tail.iter().copied().collect();
        let cut = self.total > bytes.len() as u64;
        let line = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let whole_lines = if cut && line < bytes.len() {
            &bytes[line..]
        } else {
            &bytes[..]
        };
        let text = String::from_utf8_lossy(whole_lines).into_owned();
        // A byte that is no UTF-8 becomes a character of three bytes.
        let surplus = text.len().saturating_sub(self.kept_tail);
        let start = (surplus..=text.len())
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text[start..].to_owned()
    }
}

/// Two files that take turns.
#[derive(Debug)]
struct Segments {
    log: PathBuf,
    limit: u64,
    /// The one being written and the bytes in it.
    current: Option<(File, u64)>,
    /// Which of the two is being written.
    turn: usize,
    /// Bytes in the other one.
    in_previous: u64,
}

/// The file of a turn, beside the log.
fn segment(log: &Path, turn: usize) -> PathBuf {
    let mut name = log.file_name().unwrap_or_default().to_owned();
    name.push(format!(".later-{}", turn + 1));
    log.with_file_name(name)
}

impl Segments {
    fn new(log: &Path, limit: u64) -> Self {
        Self {
            log: log.to_owned(),
            limit: limit.max(1),
            current: None,
            turn: 0,
            in_previous: 0,
        }
    }

    fn kept(&self) -> u64 {
        self.in_previous + self.current.as_ref().map_or(0, |(_, length)| *length)
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let limit = self.limit;
            let (file, length) = self.with_room()?;
            let room = usize::try_from(limit - *length).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(bytes.len().min(room));
            file.write_all(now)?;
            *length += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    fn with_room(&mut self) -> io::Result<&mut (File, u64)> {
        let full = self
            .current
            .as_ref()
            .is_some_and(|(_, length)| *length >= self.limit);
        if full {
            self.in_previous = self.limit;
            self.turn = 1 - self.turn;
            self.current = None;
        }
        match &mut self.current {
            Some(current) => Ok(current),
            current => Ok(current.insert((File::create(segment(&self.log, self.turn))?, 0))),
        }
    }

    fn append_to(&mut self, head: &mut File, left_out: u64) -> io::Result<()> {
        if self.current.take().is_none() {
            return Ok(());
        }
        if left_out > 0 {
            write!(head, "\n[drawloom: {left_out} bytes are left out here]\n")?;
        }
        for path in [1 - self.turn, self.turn].map(|turn| segment(&self.log, turn)) {
            if let Ok(mut segment) = File::open(&path) {
                io::copy(&mut segment, head)?;
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(limit: u64, pieces: &[Vec<u8>]) -> (Vec<u8>, usize, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("task.stderr");
        let mut log = BoundedLog::new(path.clone(), limit, 16);
        for piece in pieces {
            log.write(piece);
        }
        log.finish();
        let files = fs::read_dir(dir.path()).unwrap().count();
        (fs::read(path).unwrap_or_default(), files, log.tail())
    }

    proptest! {
        #[test]
        fn a_log_keeps_its_beginning_and_its_end(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..30)) {
            let all = pieces.concat();
            let (kept, files, tail) = written(64, &pieces);
            prop_assert!(files <= 1 && tail.len() <= 16);
            if all.len() <= 64 - 16 {
                prop_assert_eq!(&kept, &all);
            }
            prop_assert!(kept.len() <= 64 + 80);
            prop_assert!(kept.starts_with(&all[..all.len().min(32)]));
            prop_assert!(kept.ends_with(&all[all.len().saturating_sub(16)..]));
        }
    }

    #[test]
    fn what_is_left_out_is_noted() {
        let (kept, files, tail) = written(64, &[vec![b'a'; 32], vec![b'b'; 100], b"x\nthe end\n".to_vec()]);
        let text = String::from_utf8(kept).unwrap();
        assert!(
            text.contains("\n[drawloom: ") && text.contains(" bytes are left out here]\n"),
            "{text}"
        );
        assert!(text.ends_with("x\nthe end\n"));
        assert_eq!(files, 1);
        assert_eq!(tail, "the end\n");
    }

    #[test]
    fn a_task_that_says_nothing_leaves_no_file() {
        assert_eq!(written(64, &[]).1, 0);
    }

    #[test]
    fn a_tail_of_broken_text_stays_within_its_limit() {
        let (_, _, tail) = written(64, &[vec![0xff; 40]]);
        assert!(tail.len() <= 16 && tail.chars().all(|c| c == '\u{fffd}'));
    }
}
