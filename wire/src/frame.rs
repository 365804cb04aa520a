//! Messages as bytes: a length of four bytes, most significant first, then one protocol-buffers `Frame`.
//!
//! [`encode`] appends a frame to a buffer, [`Decoder`] takes bytes in whatever pieces they arrive and gives frames.
//! A frame is at most [`MAX_FRAME`] bytes, and memory is taken as bytes arrive, never on the word of a length.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

use crate::launcher::{DriverMessage, LauncherMessage};
use crate::message::{DialerMessage, Envelope, ExecutorMessage, GatewayMessage};
use crate::proto;

/// The largest frame, in bytes: far above any batch of tasks that is sent in one piece.
pub const MAX_FRAME: usize = 16 << 20;

/// Bytes that are no frame. The connection must be ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is above [`MAX_FRAME`].
    #[error("a frame of {0} bytes is above the limit of {MAX_FRAME}")]
    TooLong(usize),
    /// The bytes are no protocol buffers, or not ours.
    #[error("a frame cannot be read: {0}")]
    Malformed(String),
    /// The frame is for the other side, or of a kind that this version does not know.
    #[error("a frame of an unknown kind")]
    Unknown,
}

/// A message that has frames.
pub trait Framed: Sized + sealed::Wire {}
impl Framed for ExecutorMessage {}
impl Framed for GatewayMessage {}
impl Framed for DialerMessage {}
impl Framed for DriverMessage {}
impl Framed for LauncherMessage {}

pub(crate) mod sealed {
    use super::FrameError;
    use crate::proto;

    /// The conversion to and from generated types, which stay private.
    pub trait Wire: Sized {
        fn into_body(self) -> proto::frame::Body;
        fn from_body(body: proto::frame::Body) -> Result<Self, FrameError>;
    }
}

/// Appends one frame to `out`.
///
/// # Errors
/// [`FrameError::TooLong`]; `out` is then as before.
pub fn encode<M: Framed>(envelope: Envelope<M>, out: &mut BytesMut) -> Result<(), FrameError> {
    let frame = proto::Frame {
        epoch: envelope.epoch.0,
        boot: envelope.boot.0,
        body: Some(envelope.message.into_body()),
    };
    let length = frame.encoded_len();
    if length > MAX_FRAME {
        return Err(FrameError::TooLong(length));
    }
    out.reserve(4 + length);
    out.put_u32(u32::try_from(length).map_err(|_| FrameError::TooLong(length))?);
    frame
        .encode(out)
        .map_err(|error| FrameError::Malformed(error.to_string()))
}

/// Makes frames of bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    /// Takes what has arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer to read into directly, which saves a copy.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    /// Any [`FrameError`]; the stream cannot be read on after [`FrameError::TooLong`].
    pub fn next_frame<M: Framed>(&mut self) -> Result<Option<Envelope<M>>, FrameError> {
        let Some(payload) = self.take_payload()? else {
            return Ok(None);
        };
        let malformed = |error: prost::DecodeError| FrameError::Malformed(error.to_string());
        let frame = proto::Frame::decode(payload).map_err(malformed)?;
        let body = frame.body.ok_or(FrameError::Unknown)?;
        Ok(Some(Envelope {
            epoch: crate::id::Epoch(frame.epoch),
            boot: crate::id::BootNonce(frame.boot),
            message: M::from_body(body)?,
        }))
    }

    fn take_payload(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*prefix) as usize;
        if length > MAX_FRAME {
            return Err(FrameError::TooLong(length));
        }
        if self.buffer.len() < 4 + length {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}
