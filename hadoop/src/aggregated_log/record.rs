//! The records of a block: keys, and values in chunks with log files in them.
//!
//! A record is the key's length, the key, and the value in chunks: each has its length before it, negative in all but the
//! last (`Chunk.ChunkDecoder`). Keys, names and lengths of log files are texts of `DataOutput.writeUTF`: two bytes of
//! length, and UTF-8 but for characters outside the basic plane, which are read as question marks here.

use bytes::{Buf, BytesMut};

use super::{AggregatedLogError as Error, CollectedFile, Step, vlong};
use crate::ids::ContainerId;

/// The longest key (`TFile.MAX_KEY_SIZE`), in bytes.
const LONGEST_KEY: usize = 64 << 10;

/// Takes records apart as their bytes come. It holds at most one chunk's piece and one header.
#[derive(Debug, Default)]
pub(super) struct Records {
    state: State,
    /// Bytes of the value, without the chunks' lengths.
    value: BytesMut,
}

#[derive(Debug, Default)]
enum State {
    /// Before a key.
    #[default]
    Key,
    /// Within a value.
    Value { chunk: Chunk, log: Log },
}

/// The chunk that is being read.
#[derive(Debug)]
struct Chunk {
    left: u64,
    last: bool,
}

/// What of a value is being read.
#[derive(Debug)]
enum Log {
    /// The value of a key that is no container.
    PassedOver,
    /// Before a log file.
    Header(ContainerId),
    /// Within one, so many bytes before its end.
    Contents(ContainerId, u64),
}

impl Records {
    /// Whether no record is under way.
    pub(super) fn between(&self) -> bool {
        matches!(self.state, State::Key)
    }

    /// The next step, none until more bytes come.
    pub(super) fn next(&mut self, bytes: &mut BytesMut) -> Result<Option<Step>, Error> {
        loop {
            match &mut self.state {
                State::Key => {
                    let Some(key) = take_key(bytes)? else {
                        return Ok(None);
                    };
                    self.state = State::begin(key.parse().ok());
                }
                State::Value { chunk, log } => {
                    if let Some(step) = log.next(&mut self.value)? {
                        return Ok(Some(step));
                    }
                    if chunk.left == 0 && chunk.last {
                        let end = log.end(&self.value)?;
                        *self = Self::default();
                        if end.is_some() {
                            return Ok(end);
                        }
                    } else if !chunk.take(bytes, &mut self.value)? {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

impl State {
    fn begin(container: Option<ContainerId>) -> Self {
        let chunk = Chunk { left: 0, last: false };
        let log = container.map_or(Log::PassedOver, Log::Header);
        Self::Value { chunk, log }
    }
}

impl Chunk {
    /// Moves what has come of this chunk, or reads the length of the next. Says whether there was anything.
    fn take(&mut self, bytes: &mut BytesMut, value: &mut BytesMut) -> Result<bool, Error> {
        if self.left == 0 {
            let Some((length, size)) = vlong::peek(bytes)? else {
                return Ok(false);
            };
            bytes.advance(size);
            self.last = length >= 0;
            self.left = length.unsigned_abs();
            return Ok(true);
        }
        let there = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.left -= there as u64;
        value.unsplit(bytes.split_to(there));
        Ok(there > 0)
    }
}

impl Log {
    fn next(&mut self, value: &mut BytesMut) -> Result<Option<Step>, Error> {
        match self {
            Self::PassedOver => {
                value.clear();
                Ok(None)
            }
            Self::Header(container) => {
                let container = *container;
                let Some((name, length)) = take_header(value)? else {
                    return Ok(None);
                };
                *self = Self::Contents(container, length);
                Ok(Some(Step::File(CollectedFile {
                    container,
                    name,
                    length,
                })))
            }
            Self::Contents(container, 0) => {
                *self = Self::Header(*container);
                Ok(Some(Step::End { missing: 0 }))
            }
            Self::Contents(..) if value.is_empty() => Ok(None),
            Self::Contents(_, left) => {
                let there = usize::try_from(*left).map_or(value.len(), |left| left.min(value.len()));
                *left -= there as u64;
                Ok(Some(Step::Contents(value.split_to(there).freeze())))
            }
        }
    }

    /// The value is over. A log file that broke off while it was collected ends here too.
    fn end(&self, rest: &BytesMut) -> Result<Option<Step>, Error> {
        match self {
            Self::Contents(_, missing) => Ok(Some(Step::End { missing: *missing })),
            Self::Header(_) if !rest.is_empty() => Err(Error::Truncated {
                what: "the header of a log file",
            }),
            Self::Header(_) | Self::PassedOver => Ok(None),
        }
    }
}

/// The key's text, once all of it is there.
fn take_key(bytes: &mut BytesMut) -> Result<Option<String>, Error> {
    let damaged = Error::Damaged { what: "a key" };
    let Some((length, size)) = vlong::peek(bytes)? else {
        return Ok(None);
    };
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= LONGEST_KEY);
    let length = length.ok_or_else(|| damaged.clone())?;
    let Some(key) = bytes.get(size..size + length) else {
        return Ok(None);
    };
    let text = peek_text(key).ok_or(damaged)?.0;
    bytes.advance(size + length);
    Ok(Some(text))
}

/// Name and length of a log file, once all of both is there.
fn take_header(value: &mut BytesMut) -> Result<Option<(String, u64)>, Error> {
    let Some((name, name_size)) = peek_text(value) else {
        return Ok(None);
    };
    let Some((digits, digits_size)) = peek_text(&value[name_size..]) else {
        return Ok(None);
    };
    let length = digits.parse().map_err(|_| Error::Damaged {
        what: "the length of a log file",
    })?;
    value.advance(name_size + digits_size);
    Ok(Some((name, length)))
}

/// A text at the front of `bytes` and how many bytes it takes.
fn peek_text(bytes: &[u8]) -> Option<(String, usize)> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let text = String::from_utf8_lossy(rest.get(..length)?).into_owned();
    Some((text, 2 + length))
}
