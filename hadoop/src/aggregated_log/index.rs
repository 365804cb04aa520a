//! Where the blocks of a BCFile are.
//!
//! The file ends with the offset of the index of meta blocks (8 bytes), a version (two times 2 bytes) and a magic number
//! (`BCFile.Reader`). One of the meta blocks, `BCFile.index`, lists the blocks of data and says how they are compressed.

use std::ops::Range;

use bytes::{Buf, BytesMut};

use super::block::{Compression, Decoder};
use super::{AggregatedLogError as Error, MAX_INDEX, vlong};

/// `BCFile.Magic`; the file begins and ends with it.
const MAGIC: [u8; 16] = [
    0xd1, 0x11, 0xd3, 0x68, 0x91, 0xb5, 0xd7, 0xb6, 0x39, 0xdf, 0x41, 0x40, 0x92, 0xba, 0xe1, 0x50,
];
const TRAILER: u64 = 8 + 4 + MAGIC.len() as u64;
const VERSION: u16 = 1;
/// The meta block that lists the blocks.
const DATA_INDEX: &str = "data:BCFile.index";

/// A block of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) range: Range<u64>,
    pub(super) compression: Compression,
}

/// Where the end of the file is that says where everything else is.
pub(super) fn trailer(length: u64) -> Result<Range<u64>, Error> {
    let first = MAGIC.len() as u64;
    let begin = length.checked_sub(TRAILER).filter(|begin| *begin >= first);
    begin.map(|begin| begin..length).ok_or(Error::NotATFile)
}

/// Where the index of the meta blocks is.
pub(super) fn read_trailer(bytes: &[u8], length: u64) -> Result<Range<u64>, Error> {
    let mut fields = Fields(bytes);
    let start = fields.array().map(u64::from_be_bytes)?;
    let (major, _minor) = (fields.array().map(u16::from_be_bytes)?, fields.array::<2>()?);
    if fields.0 != MAGIC {
        return Err(Error::NotATFile);
    }
    if major != VERSION {
        return Err(Error::Version { major });
    }
    let range = start..length - TRAILER;
    match range.is_empty() || range.end - range.start > MAX_INDEX {
        true => Err(damaged()),
        false => Ok(range),
    }
}

/// Where the list of the blocks is: one of the meta blocks, which end at `end`.
pub(super) fn data_index(bytes: &[u8], end: u64) -> Result<Region, Error> {
    let mut fields = Fields(bytes);
    for _ in 0..fields.number()? {
        let name = fields.text()?;
        let compression = Compression::named(fields.text()?);
        let range = fields.range(end)?;
        if name == DATA_INDEX {
            let compression = compression?;
            if range.end - range.start > MAX_INDEX {
                return Err(Error::IndexTooLarge);
            }
            return Ok(Region { range, compression });
        }
    }
    Err(damaged())
}

/// The blocks, which come one behind the other and before their list. They are read from it one by one: as text it is
/// bounded by [`MAX_INDEX`], taken apart it would be several times as large.
#[derive(Debug)]
pub(super) struct Blocks {
    list: BytesMut,
    left: u64,
    compression: Compression,
    /// Where the next may begin, and where all are over.
    room: Range<u64>,
}

impl Blocks {
    /// From the bytes of the list, which is at `index`.
    pub(super) fn read(bytes: &[u8], index: &Region) -> Result<Self, Error> {
        let mut list = Decoder::new(index.compression).decode_all(bytes, MAX_INDEX)?;
        let mut fields = Fields(&list);
        let compression = Compression::named(fields.text()?)?;
        let left = fields.number()?;
        let read = list.len() - fields.0.len();
        list.advance(read);
        Ok(Self {
            list,
            left,
            compression,
            room: 0..index.range.start,
        })
    }

    /// The next block, none after the last. One without bytes was never written.
    pub(super) fn next(&mut self) -> Result<Option<Region>, Error> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        let mut fields = Fields(&self.list);
        let range = fields.range(self.room.end)?;
        let read = self.list.len() - fields.0.len();
        if range.is_empty() || range.start < self.room.start {
            return Err(damaged());
        }
        self.list.advance(read);
        self.left = left;
        self.room.start = range.end;
        Ok(Some(Region {
            range,
            compression: self.compression,
        }))
    }
}

fn damaged() -> Error {
    Error::Damaged { what: "the index" }
}

/// What is left of an index.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N)?.try_into().map_err(|_| damaged())
    }

    /// A count, a length or an offset.
    fn number(&mut self) -> Result<u64, Error> {
        let (value, length) = vlong::peek(self.0)?.ok_or_else(damaged)?;
        self.take(length)?;
        u64::try_from(value).map_err(|_| damaged())
    }

    /// Bytes are asked for before they are made room for.
    fn text(&mut self) -> Result<&'a str, Error> {
        let length = usize::try_from(self.number()?).map_err(|_| damaged())?;
        std::str::from_utf8(self.take(length)?).map_err(|_| damaged())
    }

    /// Offset, length in the file, and length when decompressed, which wraps in large blocks and is not looked at.
    fn range(&mut self, end: u64) -> Result<Range<u64>, Error> {
        let (start, length, _plain) = (self.number()?, self.number()?, self.number()?);
        let range = start..start.checked_add(length).ok_or_else(damaged)?;
        match range.end <= end {
            true => Ok(range),
            false => Err(damaged()),
        }
    }
}
