//! Taking a log file out of its wrapping.
//!
//! Neither a NodeManager nor a log server ever sends a log file as it is (`format=octet-stream` changes
//! the Content-Type only). The bytes come as
//!
//! ```text
//! Container: container_1795218548822_0001_01_000001 on localhost:20030
//! LogAggregationType: LOCAL
//! ====================================================================
//! LogType:stdout
//! LogLastModifiedTime:Fri Nov 20 23:49:09 +0000 2026
//! LogLength:3
//! LogContents:
//! hi
//! End of LogType:stdout.This log file belongs to a running container (…) and so may not be complete.
//! **************************************************************************
//! ```
//!
//! (`LogToolUtils.outputContainerLogThroughZeroCopy`, `NMWebServices.getLogs`). An empty file has no
//! header, only the trailer. If a part of the file was asked for, `LogLength` still is the length of the
//! whole. When logs are collected while the application runs, a second section follows with what has been
//! collected before.
//!
//! [`LogUnwrapper`] does no input or output. It holds at most one line of the wrapping, and never a copy
//! of the contents.

use bytes::{Buf, Bytes, BytesMut};
use hadoop::ids::ContainerId;

use crate::model::AggregationType;
use crate::request::LogRange;

/// What the header of a section says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogHeader {
    /// The container.
    pub container: Option<ContainerId>,
    /// Id of the node: `host:port`, or `host_port` for collected logs.
    pub node: String,
    /// Where the file lies.
    pub place: Option<AggregationType>,
    /// The file's name.
    pub file: String,
    /// When it was last written, as Java prints times.
    pub last_modified: String,
    /// Its length in bytes, of which the section may hold a part.
    pub length: u64,
}

impl LogHeader {
    /// Where in the file the section's contents begin, if `range` was asked for. To follow a growing file,
    /// ask for a tail that is surely long enough, and drop what lies before the end of what is known.
    pub fn offset(&self, range: LogRange) -> u64 {
        match range {
            LogRange::All | LogRange::First(_) => 0,
            LogRange::Last(_) => self.length - range.contents_of(self.length),
        }
    }
}

/// A piece of an unwrapped log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPart {
    /// A section begins. Not there if the file is empty.
    Header(LogHeader),
    /// Bytes of the file.
    Contents(Bytes),
    /// The section is over.
    End {
        /// Did the container still run, so that the file may grow?
        running: bool,
    },
}

/// A wrapping that is not what YARN writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogFormatError {
    /// The answer does not begin like a log.
    #[error("the answer is not a wrapped log file; it begins with `{line}`")]
    NotALog {
        /// Its first line, shortened.
        line: String,
    },
    /// The length in the header is not a number.
    #[error("the log's length `{text}` is not a number")]
    BadLength {
        /// The text in its place.
        text: String,
    },
    /// Something else than the trailer follows the contents.
    #[error("after the log's contents comes `{line}` instead of its end")]
    BadTrailer {
        /// The line, shortened.
        line: String,
    },
    /// The answer ended early.
    #[error("the log ended {missing} bytes before its end")]
    Truncated {
        /// Bytes that did not come.
        missing: u64,
    },
    /// The answer ended within a header.
    #[error("the log ended within its header")]
    TruncatedHeader,
}

#[derive(Debug)]
enum State {
    /// Before a section.
    Between,
    /// Within a header.
    Header(LogHeader),
    /// Within the contents, so many bytes before their end.
    Contents(u64),
    /// Behind the contents, before the trailer's first line.
    BeforeTrailer,
    /// Before the trailer's line of asterisks.
    Trailer { running: bool },
}

/// Takes the contents out of a log as it arrives, split anywhere.
///
/// ```
/// use yarn_rest::container_log::{LogPart, LogUnwrapper};
/// use yarn_rest::request::LogRange;
///
/// let mut log = LogUnwrapper::new(LogRange::All);
/// log.push(b"Container: container_1_0001_01_000001 on n1:45454\nLogLength:3\nLogContents:\nh");
/// log.push(b"i\nEnd of LogType:stdout.\n****************************************\n\n");
/// let mut text = Vec::new();
/// while let Some(part) = log.next_part()? {
///     if let LogPart::Contents(bytes) = part {
///         text.extend_from_slice(&bytes);
///     }
/// }
/// log.finish()?;
/// assert_eq!(text, b"hi\n");
/// # Ok::<(), yarn_rest::container_log::LogFormatError>(())
/// ```
#[derive(Debug)]
pub struct LogUnwrapper {
    range: LogRange,
    state: State,
    buffer: BytesMut,
}

const CONTAINER: &str = "Container: ";
const END: &str = "End of LogType:";
const RUNNING: &str = "belongs to a running container";

/// A line of the wrapping is far shorter than this.
const LONGEST_LINE: usize = 16 * 1024;

impl LogUnwrapper {
    /// For the answer to a request for `range`.
    pub fn new(range: LogRange) -> Self {
        Self {
            range,
            state: State::Between,
            buffer: BytesMut::new(),
        }
    }

    /// Takes the next bytes of the answer.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next piece, or none until more bytes are pushed.
    pub fn next_part(&mut self) -> Result<Option<LogPart>, LogFormatError> {
        loop {
            if let State::Contents(left) = &mut self.state {
                if *left > 0 {
                    return Ok(take_contents(left, &mut self.buffer).map(LogPart::Contents));
                }
                self.state = State::BeforeTrailer;
            }
            let Some(line) = self.take_line()? else {
                return Ok(None);
            };
            if let Some(part) = self.read_line(&line)? {
                return Ok(Some(part));
            }
        }
    }

    /// Says whether the answer may end here.
    pub fn finish(&self) -> Result<(), LogFormatError> {
        match self.state {
            State::Contents(missing) if missing > 0 => Err(LogFormatError::Truncated { missing }),
            State::Header(_) => Err(LogFormatError::TruncatedHeader),
            State::Between if !self.buffer.is_empty() => Err(self.not_a_log(&self.buffer)),
            State::Between | State::Contents(_) | State::BeforeTrailer | State::Trailer { .. } => Ok(()),
        }
    }

    fn take_line(&mut self) -> Result<Option<String>, LogFormatError> {
        let Some(length) = self.buffer.iter().position(|byte| *byte == b'\n') else {
            return if self.buffer.len() > LONGEST_LINE {
                Err(self.not_a_log(&self.buffer))
            } else {
                Ok(None)
            };
        };
        let line = self.buffer.split_to(length);
        self.buffer.advance(1);
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    fn read_line(&mut self, line: &str) -> Result<Option<LogPart>, LogFormatError> {
        match std::mem::replace(&mut self.state, State::Between) {
            State::Between => self.begin(line),
            State::Header(header) => self.read_header(header, line),
            State::Contents(_) | State::BeforeTrailer => self.begin_trailer(line),
            State::Trailer { running } => Ok(self.end_trailer(running, line)),
        }
    }

    /// A header, or the trailer of an empty file, or the blank line between sections.
    fn begin(&mut self, line: &str) -> Result<Option<LogPart>, LogFormatError> {
        if let Some(place) = line.strip_prefix(CONTAINER) {
            let (container, node) = place.split_once(" on ").unwrap_or((place, ""));
            let (container, node) = (container.parse().ok(), node.to_owned());
            self.state = State::Header(LogHeader {
                container,
                node,
                ..LogHeader::default()
            });
        } else if line.starts_with(END) {
            return self.begin_trailer(line);
        } else if !line.trim().is_empty() {
            return Err(self.not_a_log(line.as_bytes()));
        }
        Ok(None)
    }

    fn read_header(&mut self, mut header: LogHeader, line: &str) -> Result<Option<LogPart>, LogFormatError> {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        match name {
            "LogAggregationType" => header.place = Some(value.into()),
            "LogType" => value.clone_into(&mut header.file),
            "LogLastModifiedTime" => value.clone_into(&mut header.last_modified),
            "LogLength" => header.length = length(value)?,
            "LogContents" => {
                self.state = State::Contents(self.range.contents_of(header.length));
                return Ok(Some(LogPart::Header(header)));
            }
            _ => {}
        }
        self.state = State::Header(header);
        Ok(None)
    }

    fn begin_trailer(&mut self, line: &str) -> Result<Option<LogPart>, LogFormatError> {
        if line.starts_with(END) {
            self.state = State::Trailer {
                running: line.contains(RUNNING),
            };
        } else if line.trim().is_empty() {
            self.state = State::BeforeTrailer;
        } else {
            return Err(LogFormatError::BadTrailer {
                line: shortened(line.as_bytes()),
            });
        }
        Ok(None)
    }

    fn end_trailer(&mut self, running: bool, line: &str) -> Option<LogPart> {
        if line.starts_with("**") {
            return Some(LogPart::End { running });
        }
        self.state = State::Trailer { running };
        None
    }

    fn not_a_log(&self, line: &[u8]) -> LogFormatError {
        LogFormatError::NotALog {
            line: shortened(line),
        }
    }
}

fn take_contents(left: &mut u64, buffer: &mut BytesMut) -> Option<Bytes> {
    let there = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
    if there == 0 {
        return None;
    }
    *left -= there as u64;
    Some(buffer.split_to(there).freeze())
}

fn length(text: &str) -> Result<u64, LogFormatError> {
    text.parse().map_err(|_| LogFormatError::BadLength {
        text: shortened(text.as_bytes()),
    })
}

fn shortened(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(320)])
        .chars()
        .take(80)
        .collect()
}

#[cfg(test)]
mod tests;
