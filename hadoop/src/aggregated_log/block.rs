//! What a block is compressed with, and how that is undone piece by piece.

use std::fmt;

use bytes::BytesMut;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use super::AggregatedLogError as Error;

/// So much is decompressed at a time, in bytes.
const PIECE: usize = 32 << 10;

/// How a block is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    /// `gz`: streams of zlib (`DefaultCodec`), not files of gzip.
    Zlib,
}

impl Compression {
    pub(super) fn named(name: &str) -> Result<Self, Error> {
        match name {
            "none" => Ok(Self::None),
            "gz" => Ok(Self::Zlib),
            _ => Err(Error::Compression {
                name: name.chars().take(40).collect(),
            }),
        }
    }
}

/// Undoes the compression of one block.
pub(super) enum Decoder {
    Plain,
    Zlib(Box<InflateState>),
}

impl Decoder {
    pub(super) fn new(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::Plain,
            Compression::Zlib => Self::Zlib(InflateState::new_boxed(DataFormat::Zlib)),
        }
    }

    /// Appends to `plain` what can be had from `input`, a piece at most when it is compressed. Says whether anything
    /// came; if not, more input is needed.
    pub(super) fn decode(&mut self, input: &mut BytesMut, plain: &mut BytesMut) -> Result<bool, Error> {
        match self {
            Self::Plain => {
                let some = !input.is_empty();
                plain.unsplit(input.split());
                Ok(some)
            }
            Self::Zlib(state) => decompress(state, input, plain),
        }
    }

    /// Decompresses a whole block of at most `limit` bytes.
    pub(super) fn decode_all(mut self, bytes: &[u8], limit: u64) -> Result<BytesMut, Error> {
        let (mut input, mut plain) = (BytesMut::from(bytes), BytesMut::new());
        while self.decode(&mut input, &mut plain)? {
            if plain.len() as u64 > limit {
                return Err(Error::IndexTooLarge);
            }
        }
        Ok(plain)
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Zlib(_) => "Zlib",
        })
    }
}

fn decompress(state: &mut InflateState, input: &mut BytesMut, plain: &mut BytesMut) -> Result<bool, Error> {
    let mut piece = [0; PIECE];
    let result = inflate(state, input, &mut piece, MZFlush::None);
    let taken = input.split_to(result.bytes_consumed);
    plain.extend_from_slice(&piece[..result.bytes_written]);
    match result.status {
        // Another stream may follow.
        Ok(MZStatus::StreamEnd) => state.reset(DataFormat::Zlib),
        Ok(_) | Err(MZError::Buf) => {}
        Err(_) => {
            return Err(Error::Damaged {
                what: "a compressed block",
            });
        }
    }
    Ok(!taken.is_empty() || result.bytes_written > 0)
}
