//! Log files that YARN has collected: one file per node and application on the cluster's file system, in the format
//! TFile.
//!
//! A NodeManager with `yarn.log-aggregation-enable` writes the logs of an application's containers into one TFile
//! (`AggregatedLogFormat.LogWriter`, `LogAggregationTFileController`), which is a BCFile: blocks of records, compressed one
//! by one, and behind them an index that says where the blocks are. A record's key names a container; its value has the
//! container's log files one behind the other, each as name, length in digits and contents. Keys that are no container
//! (`VERSION`, `APPLICATION_OWNER`, `APPLICATION_ACL`) are passed over.
//!
//! [`AggregatedLog`] does no input or output: it says which bytes of the file it wants next and takes them in pieces as
//! they come. It reads what is uncompressed or compressed with `gz`; `lzo` needs a library that Hadoop does not ship either.
//! The other format, IFile, has an index of serialized Java objects and is not read: [`AggregatedLogError::NotATFile`].
//!
//! Invariants: no input makes it panic; the ranges it asks for lie within the file, go forward and never overlap, but for
//! the index; it holds one piece of contents, one header, and the index (at most [`MAX_INDEX`] bytes) at a time.
//!
//! ```no_run
//! use hadoop::aggregated_log::{AggregatedLog, Step};
//!
//! let file = std::fs::read("node1_45454")?;
//! let mut log = AggregatedLog::new(file.len() as u64);
//! loop {
//!     match log.step()? {
//!         Step::Read(range) => log.push(&file[range.start as usize..range.end as usize]),
//!         Step::File(file) => println!("{} of {}", file.name, file.container),
//!         Step::Contents(bytes) => print!("{}", String::from_utf8_lossy(&bytes)),
//!         Step::End { .. } => println!(),
//!         // Everything that was asked for has been pushed at once.
//!         Step::More | Step::Done => break,
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod index;
mod record;
#[cfg(test)]
mod tests;
mod vlong;

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::ids::ContainerId;
use block::Decoder;
use index::{Blocks, Region};
use record::Records;

/// The largest index that is read, in bytes: that of a file of some 100 GiB.
pub const MAX_INDEX: u64 = 16 << 20;

/// What to do, or what has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read these bytes of the file next, and push them in pieces as they come.
    Read(Range<u64>),
    /// Push more of the bytes that were asked for last.
    More,
    /// A log file begins.
    File(CollectedFile),
    /// Bytes of that file.
    Contents(Bytes),
    /// The log file is over.
    End {
        /// Bytes that its length promised and that are not there: the NodeManager could not read them.
        missing: u64,
    },
    /// Everything has been read.
    Done,
}

/// A log file of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedFile {
    /// The container.
    pub container: ContainerId,
    /// The file's name, for example `stderr`.
    pub name: String,
    /// Its length in bytes.
    pub length: u64,
}

/// What is no collected log, or is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AggregatedLogError {
    /// It does not end as a TFile does.
    #[error("it is no TFile: not whole, or of another format (IFile)")]
    NotATFile,
    /// It is a later format.
    #[error("it is a BCFile of version {major}, and only version 1 is known")]
    Version {
        /// What it says.
        major: u16,
    },
    /// Its blocks are compressed in a way that cannot be undone here.
    #[error("it is compressed with `{name}`, and only `none` and `gz` can be read")]
    Compression {
        /// The algorithm, shortened.
        name: String,
    },
    /// The bytes mean nothing.
    #[error("{what} is damaged")]
    Damaged {
        /// What was being read.
        what: &'static str,
    },
    /// It ends too early.
    #[error("{what} ends early")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// The index is larger than any that makes sense.
    #[error("its index has more than {MAX_INDEX} bytes")]
    IndexTooLarge,
}

use AggregatedLogError as Error;

/// What is being read.
#[derive(Debug)]
enum Stage {
    Trailer,
    MetaIndex(Range<u64>),
    DataIndex(Region),
    Blocks { coming: Blocks, block: Option<Block> },
}

/// A block under way.
#[derive(Debug)]
struct Block {
    decoder: Decoder,
    plain: BytesMut,
    records: Records,
}

impl Block {
    fn new(region: &Region) -> Self {
        Self {
            decoder: Decoder::new(region.compression),
            plain: BytesMut::new(),
            records: Records::default(),
        }
    }

    /// What can be had from `input`.
    fn next(&mut self, input: &mut BytesMut) -> Result<Option<Step>, Error> {
        loop {
            if let Some(step) = self.records.next(&mut self.plain)? {
                return Ok(Some(step));
            }
            if !self.decoder.decode(input, &mut self.plain)? {
                return Ok(None);
            }
        }
    }

    fn finish(&self) -> Result<(), Error> {
        match self.plain.is_empty() && self.records.between() {
            true => Ok(()),
            false => Err(Error::Truncated { what: "a block" }),
        }
    }
}

/// Reads a collected log; see the module.
#[derive(Debug)]
pub struct AggregatedLog {
    length: u64,
    stage: Stage,
    /// Bytes that were asked for and have not been pushed; none before they are asked for.
    left: Option<u64>,
    /// Pushed and not yet taken in.
    input: BytesMut,
}

impl AggregatedLog {
    /// Of a file with so many bytes.
    pub fn new(length: u64) -> Self {
        Self {
            length,
            stage: Stage::Trailer,
            left: None,
            input: BytesMut::new(),
        }
    }

    /// Takes the next bytes of the range that was asked for last. What lies beyond it is dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        let left = self.left.unwrap_or(0);
        let taken = usize::try_from(left).map_or(bytes.len(), |left| bytes.len().min(left));
        self.input.extend_from_slice(&bytes[..taken]);
        self.left = Some(left - taken as u64);
    }

    /// What comes next.
    ///
    /// # Errors
    /// The file is damaged or of another format. Nothing more can be read then.
    pub fn step(&mut self) -> Result<Step, Error> {
        loop {
            let Some(left) = self.left else {
                let Some(range) = self.wanted()? else {
                    return Ok(Step::Done);
                };
                self.left = Some(range.end - range.start);
                return Ok(Step::Read(range));
            };
            if let Stage::Blocks {
                block: Some(block), ..
            } = &mut self.stage
                && let Some(step) = block.next(&mut self.input)?
            {
                return Ok(step);
            }
            if left > 0 {
                return Ok(Step::More);
            }
            self.finish_range()?;
        }
    }

    /// The next range, none when there is none.
    fn wanted(&mut self) -> Result<Option<Range<u64>>, Error> {
        match &mut self.stage {
            Stage::Trailer => index::trailer(self.length).map(Some),
            Stage::MetaIndex(range) => Ok(Some(range.clone())),
            Stage::DataIndex(region) => Ok(Some(region.range.clone())),
            Stage::Blocks { coming, block } => {
                let Some(region) = coming.next()? else {
                    return Ok(None);
                };
                *block = Some(Block::new(&region));
                Ok(Some(region.range))
            }
        }
    }

    /// Everything that was asked for has come.
    fn finish_range(&mut self) -> Result<(), Error> {
        let next = match &mut self.stage {
            Stage::Trailer => Some(Stage::MetaIndex(index::read_trailer(&self.input, self.length)?)),
            Stage::MetaIndex(range) => Some(Stage::DataIndex(index::data_index(&self.input, range.start)?)),
            Stage::DataIndex(region) => Some(Stage::Blocks {
                coming: Blocks::read(&self.input, region)?,
                block: None,
            }),
            Stage::Blocks { block, .. } => {
                block.take().map_or(Ok(()), |block| block.finish())?;
                None
            }
        };
        if let Some(next) = next {
            self.stage = next;
        }
        self.input.clear();
        self.left = None;
        Ok(())
    }
}
