//! Reading a split at line ends, as Hadoop's `TextInputFormat` does.
//!
//! A line belongs to the split in which it begins. So a split that does not begin at 0 first looks at the byte before
//! its offset: it leaves out everything up to and including the first line end from there on, and every split reads on
//! past its end until the line that began inside is complete. Whatever the cuts, each line is read exactly once, and
//! the splits put together are the file. Only `\n` ends a line; a last line needs none.

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::{self, StreamExt};

use crate::error::DfsError;
use crate::fs::{ByteStream, FileReader};

/// Bytes asked for at a time when the last line goes on behind the split.
const FIRST_TAIL: u64 = 16 << 10;
const LONGEST_TAIL: u64 = 1 << 20;

/// Decides byte by byte range what belongs to a split. Pure; positions are offsets in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LineCutter {
    /// Position of the next byte to come.
    at: u64,
    /// End of the split.
    end: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Inside a line that began before the split.
    Skipping,
    /// Inside lines of the split.
    Copying,
    /// Nothing further belongs to the split.
    Done,
}

impl LineCutter {
    /// The cutter of `[offset, offset + len)`; its first byte is that at [`LineCutter::at`].
    fn new(offset: u64, len: u64) -> Self {
        let end = offset.saturating_add(len);
        let state = match (offset, len) {
            (_, 0) => State::Done,
            (0, _) => State::Copying,
            _ => State::Skipping,
        };
        Self {
            at: offset.saturating_sub(1),
            end,
            state,
        }
    }

    /// Takes the next bytes of the file and gives those that belong to the split, without copying.
    fn feed(&mut self, mut chunk: Bytes) -> Bytes {
        if self.state == State::Skipping {
            self.skip(&mut chunk);
        }
        if self.state == State::Copying {
            self.copy(chunk)
        } else {
            Bytes::new()
        }
    }

    /// Drops bytes up to the end of the line. A line end at the last byte of the split or behind means that no line
    /// begins inside.
    fn skip(&mut self, chunk: &mut Bytes) {
        let inside = self.end.saturating_sub(self.at).saturating_sub(1);
        let searched = usize::try_from(inside).unwrap_or(usize::MAX).min(chunk.len());
        let found = chunk[..searched].iter().position(|byte| *byte == b'\n');
        let dropped = found.map_or(searched, |at| at + 1);
        drop(chunk.split_to(dropped));
        self.at += dropped as u64;
        self.state = match found {
            Some(_) => State::Copying,
            None if !chunk.is_empty() || self.at + 1 >= self.end => State::Done,
            None => State::Skipping,
        };
    }

    /// Keeps everything up to the first line end at the last byte of the split or behind.
    fn copy(&mut self, mut chunk: Bytes) -> Bytes {
        let inside = usize::try_from((self.end - 1).saturating_sub(self.at))
            .unwrap_or(usize::MAX)
            .min(chunk.len());
        let kept = match chunk[inside..].iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                self.state = State::Done;
                inside + at + 1
            }
            None => chunk.len(),
        };
        self.at += kept as u64;
        chunk.split_to(kept)
    }
}

/// The lines of one split. Holds one chunk of the underlying reader at a time.
pub struct LineSplitReader {
    reader: Box<dyn FileReader>,
    cutter: LineCutter,
    source: ByteStream,
    /// Up to where bytes were asked for.
    asked: u64,
    /// Bytes to ask for next when the last line goes on.
    tail: u64,
}

impl LineSplitReader {
    /// The lines that begin in `[offset, offset + len)` of an open file.
    #[must_use]
    pub fn new(reader: Box<dyn FileReader>, offset: u64, len: u64) -> Self {
        let cutter = LineCutter::new(offset, len);
        let source = match cutter.state {
            State::Done => stream::empty().boxed(),
            _ => reader.read(cutter.at, cutter.end - cutter.at),
        };
        let asked = cutter.end;
        Self {
            reader,
            cutter,
            source,
            asked,
            tail: FIRST_TAIL,
        }
    }

    /// The next bytes, none at the end.
    ///
    /// # Errors
    /// As reading the file.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DfsError> {
        while self.cutter.state != State::Done {
            let Some(chunk) = self.source.try_next().await? else {
                if self.asked >= self.reader.len() {
                    break;
                }
                self.ask_further();
                continue;
            };
            let kept = self.cutter.feed(chunk);
            if !kept.is_empty() {
                return Ok(Some(kept));
            }
        }
        Ok(None)
    }

    fn ask_further(&mut self) {
        self.source = self.reader.read(self.asked, self.tail);
        self.asked = self.asked.saturating_add(self.tail);
        self.tail = (self.tail * 2).min(LONGEST_TAIL);
    }

    /// The same as a stream.
    #[must_use]
    pub fn into_stream(self) -> ByteStream {
        let step = |mut lines: Self| async move { Ok(lines.next().await?.map(|bytes| (bytes, lines))) };
        stream::try_unfold(self, step).boxed()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::path::DfsPath;

    /// A file in memory that gives chunks of a fixed size.
    #[derive(Debug)]
    struct MemoryReader {
        path: DfsPath,
        data: Bytes,
        chunk: usize,
    }

    impl FileReader for MemoryReader {
        fn path(&self) -> &DfsPath {
            &self.path
        }

        fn len(&self) -> u64 {
            self.data.len() as u64
        }

        fn read(&self, offset: u64, len: u64) -> ByteStream {
            let from = usize::try_from(offset).unwrap().min(self.data.len());
            let to = from + usize::try_from(len).unwrap().min(self.data.len() - from);
            let (range, size) = (self.data.slice(from..to), self.chunk);
            let chunks: Vec<_> = (0..range.len())
                .step_by(size)
                .map(|at| Ok(range.slice(at..(at + size).min(range.len()))))
                .collect();
            stream::iter(chunks).boxed()
        }
    }

    fn read_split(data: &[u8], chunk: usize, offset: u64, len: u64) -> Vec<u8> {
        let path = "file:///memory".parse().unwrap();
        let reader = MemoryReader {
            path,
            data: Bytes::copy_from_slice(data),
            chunk,
        };
        let mut lines = LineSplitReader::new(Box::new(reader), offset, len);
        futures::executor::block_on(async {
            let mut bytes = Vec::new();
            while let Some(more) = lines.next().await.unwrap() {
                bytes.extend_from_slice(&more);
            }
            bytes
        })
    }

    fn text(data: &str, offset: u64, len: u64) -> String {
        String::from_utf8(read_split(data.as_bytes(), 3, offset, len)).unwrap()
    }

    #[test]
    fn a_line_belongs_to_the_split_in_which_it_begins() {
        let data = "one\ntwo\nthree\n";
        assert_eq!(text(data, 0, 4), "one\n");
        assert_eq!(text(data, 0, 5), "one\ntwo\n");
        assert_eq!(text(data, 4, 4), "two\n");
        assert_eq!(text(data, 5, 3), "");
        assert_eq!(text(data, 5, 4), "three\n");
        assert_eq!(text(data, 3, 1), "");
        assert_eq!(text(data, 9, 5), "");
    }

    #[test]
    fn edges() {
        assert_eq!(text("", 0, 0), "");
        assert_eq!(text("no end", 0, 2), "no end");
        assert_eq!(text("no end", 2, 4), "");
        assert_eq!(text("a\nlast", 2, 4), "last");
        assert_eq!(text("\n\n\n", 1, 1), "\n");
        assert_eq!(text("abc", 0, 0), "");
        assert_eq!(text("abc\n", 0, 1_000), "abc\n");
        assert_eq!(text("abc\n", 1_000, 10), "");
    }

    #[test]
    fn a_line_longer_than_all_read_ahead_is_finished() {
        let mut data = vec![b'x'; 5 << 20];
        data.push(b'\n');
        let line = data.clone();
        data.extend_from_slice(b"next\n");
        assert_eq!(read_split(&data, 64 << 10, 0, 10), line);
        assert_eq!(read_split(&data, 64 << 10, 10, 5 << 20), b"next\n");
        assert_eq!(read_split(&data, 64 << 10, 10, 100), b"");
    }

    #[test]
    fn chunks_are_passed_on_without_copying() {
        let data = Bytes::from_static(b"aaa\nbbb\n");
        let kept = LineCutter::new(0, 8).feed(data.clone());
        assert_eq!(kept.as_ptr(), data.as_ptr());
    }

    proptest! {
        #[test]
        fn all_splits_together_are_the_file_and_each_is_whole_lines(
            data in "[ab\n]{0,60}", cuts in prop::collection::vec(0usize..70, 0..8), chunk in 1usize..20,
        ) {
            let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(data.len())).collect();
            ends.push(data.len());
            ends.sort_unstable();
            let mut start = 0;
            let mut joined = Vec::new();
            for end in ends {
                let part = read_split(data.as_bytes(), chunk, start as u64, (end - start) as u64);
                let at = joined.len();
                prop_assert!(part.is_empty() || at == 0 || data.as_bytes()[at - 1] == b'\n');
                joined.extend_from_slice(&part);
                start = end;
            }
            prop_assert_eq!(joined, data.as_bytes());
        }

        #[test]
        fn chunk_sizes_do_not_matter(
            data in "[ab\n]{0,40}", offset in 0u64..45, len in 0u64..45, chunk in 1usize..50,
        ) {
            let whole = read_split(data.as_bytes(), 1_000, offset, len);
            prop_assert_eq!(read_split(data.as_bytes(), chunk, offset, len), whole);
        }
    }
}
