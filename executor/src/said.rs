//! What a task says about itself while it runs: how far it is, what it is doing, and named numbers that it counts.
//!
//! A function says it through its context; a command through lines, either appended to the file that
//! [`VARIABLE`] names or, as with Hadoop streaming, on standard error. What is kept is bounded, whatever a task says
//! (invariant J): at most [`MOST_COUNTERS`] counters, names and status cut at [`LONGEST_NAME`] bytes, and no line
//! above [`LONGEST_LINE`].
//!
//! | line in the file | line on standard error | meaning |
//! |---|---|---|
//! | `progress 0.25` | | a quarter is done |
//! | `status TEXT` | `reporter:status:TEXT` | for people |
//! | `counter GROUP NAME BY` | `reporter:counter:GROUP,NAME,BY` | adds to a counter |

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wire::task::{Counter, LONGEST_NAME, MOST_COUNTERS};

use crate::board::Gauge;

/// Names the file that a command may append lines to.
pub(crate) const VARIABLE: &str = "DRAWLOOM_PROGRESS";

/// The longest line that is understood, in bytes; longer ones are left out.
const LONGEST_LINE: usize = 1024;

/// How much of the file is read at a time, in bytes.
const CHUNK: usize = 64 << 10;

/// What one attempt has said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    gauge: Gauge,
    counters: Mutex<BTreeMap<(String, String), i64>>,
}

impl Said {
    pub(crate) fn gauge(&self) -> &Gauge {
        &self.gauge
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<(String, String), i64>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to a counter; one too many is not kept.
    pub(crate) fn count(&self, group: &str, name: &str, by: i64) {
        let short = |text: &str| text[..text.floor_char_boundary(LONGEST_NAME)].to_owned();
        let key = (short(group), short(name));
        let mut counters = self.table();
        if counters.len() < MOST_COUNTERS || counters.contains_key(&key) {
            let counter = counters.entry(key).or_insert(0);
            *counter = counter.saturating_add(by);
        }
    }

    pub(crate) fn counters(&self) -> Vec<Counter> {
        let counters = self.table();
        let counter = |((group, name), value): (&(String, String), &i64)| Counter {
            group: group.clone(),
            name: name.clone(),
            value: *value,
        };
        counters.iter().map(counter).collect()
    }

    /// Takes a line of the file; what it does not understand it ignores.
    fn hear(&self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "progress" => {
                if let Ok(done) = rest.trim().parse() {
                    self.gauge.set_progress(done);
                }
            }
            "status" => self.gauge.set_status(rest.trim()),
            "counter" => {
                let mut parts = rest.split_whitespace();
                if let (Some(group), Some(name), Some(Ok(by))) =
                    (parts.next(), parts.next(), parts.next().map(str::parse))
                {
                    self.count(group, name, by);
                }
            }
            _ => {}
        }
    }

    /// Takes a line of standard error; only those of Hadoop streaming's reporter mean something.
    fn hear_reporter(&self, line: &str) {
        let Some(report) = line.strip_prefix("reporter:") else {
            return;
        };
        if let Some(text) = report.strip_prefix("status:") {
            self.gauge.set_status(text.trim());
        } else if let Some(counter) = report.strip_prefix("counter:") {
            let mut parts = counter.splitn(3, ',');
            if let (Some(group), Some(name), Some(Ok(by))) = (
                parts.next(),
                parts.next(),
                parts.next().map(|by| by.trim().parse()),
            ) {
                self.count(group.trim(), name.trim(), by);
            }
        }
    }
}

/// Finds lines in what arrives in pieces.
#[derive(Debug, Default)]
struct Lines {
    /// The beginning of a line that has not ended.
    open: Vec<u8>,
    /// The line is too long: the rest of it is left out, too.
    skipping: bool,
}

impl Lines {
    fn feed(&mut self, mut bytes: &[u8], mut hear: impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end]);
            if !self.skipping
                && let Ok(line) = std::str::from_utf8(&self.open)
            {
                hear(line);
            }
            self.open.clear();
            self.skipping = false;
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.skipping || self.open.len() + bytes.len() > LONGEST_LINE {
            self.skipping = true;
            self.open.clear();
        } else {
            self.open.extend_from_slice(bytes);
        }
    }
}

/// Listens to the standard error of a command.
#[derive(Debug, Default)]
pub(crate) struct ErrorListener(Lines);

impl ErrorListener {
    pub(crate) fn hear(&mut self, bytes: &[u8], said: &Said) {
        self.0.feed(bytes, |line| said.hear_reporter(line));
    }
}

/// Reads the file of a command as it grows.
#[derive(Debug)]
pub(crate) struct FileListener {
    path: PathBuf,
    state: Mutex<(u64, Lines)>,
}

impl FileListener {
    /// The file need not exist.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            state: Mutex::default(),
        }
    }

    /// Takes in what was appended since the last time.
    pub(crate) fn look(&self, said: &Said) {
        // Most tasks say nothing: then there is no file.
        if let Ok(file) = File::open(&self.path)
            && let Err(error) = self.read(&file, said)
        {
            tracing::debug!(path = %self.path.display(), %error, "what a task says cannot be read");
        }
    }

    fn read(&self, file: &File, said: &Said) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (offset, lines) = &mut *state;
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = file.read_at(&mut chunk, *offset)?;
            if read == 0 {
                return Ok(());
            }
            *offset += read as u64;
            lines.feed(&chunk[..read], |line| said.hear(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(said: &Said) -> Vec<(String, i64)> {
        let text = |counter: Counter| (format!("{}/{}", counter.group, counter.name), counter.value);
        said.counters().into_iter().map(text).collect()
    }

    #[test]
    fn lines_of_the_file_are_understood_whatever_pieces_they_come_in() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("progress");
        let (listener, said) = (FileListener::new(path.clone()), Said::default());
        listener.look(&said);
        std::fs::write(
            &path,
            "progress 0.25\nstatus reading a file\ncounter rows bad 3\ncounter ro",
        )
        .unwrap();
        listener.look(&said);
        assert_eq!(
            (said.gauge.progress(), said.gauge.status().as_str()),
            (0.25, "reading a file")
        );
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("ws bad 4\nprogress 7\nnonsense\ncounter x\n");
        std::fs::write(&path, text).unwrap();
        listener.look(&said);
        assert_eq!(counted(&said), [("rows/bad".to_owned(), 7)]);
        assert_eq!(said.gauge.progress(), 1.0);
    }

    #[test]
    fn a_reporter_of_hadoop_streaming_is_understood_on_standard_error() {
        let (mut listener, said) = (ErrorListener::default(), Said::default());
        listener.hear(b"hello\nreporter:counter:Word Count,lines read,5\nrepor", &said);
        listener.hear(b"ter:status:half way\nreporter:counter:broken\n", &said);
        assert_eq!(counted(&said), [("Word Count/lines read".to_owned(), 5)]);
        assert_eq!(said.gauge.status(), "half way");
    }

    proptest! {
        #[test]
        fn whatever_is_said_what_is_kept_is_bounded(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..10)) {
            let (mut listener, said) = (ErrorListener::default(), Said::default());
            for piece in &pieces {
                listener.hear(piece, &said);
                prop_assert!(listener.0.open.len() <= LONGEST_LINE);
            }
            for number in 0..300 {
                listener.hear(format!("reporter:counter:g,{number},1\n").as_bytes(), &said);
            }
            prop_assert!(said.counters().len() <= MOST_COUNTERS);
        }
    }
}
