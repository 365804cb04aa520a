//! Frames: a length, then messages that each carry their own length.

use super::ProtocolError;
use bytes::{Buf, Bytes, BytesMut};
use prost::Message;

/// The longest frame either side accepts, in bytes: Hadoop's default for requests (`ipc.maximum.data.length`) and
/// responses (`ipc.maximum.response.length`).
pub const MAX_FRAME: usize = 128 << 20;

const LENGTH: usize = 4;

/// Cuts a stream into frames. Holds only bytes that have come.
#[derive(Debug, Default)]
pub(super) struct FrameBuffer {
    bytes: BytesMut,
}

impl FrameBuffer {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame without its length.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        let Some(length) = self.bytes.first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        if length == b"HTTP" {
            return Err(ProtocolError::WebServer);
        }
        let length = u32::from_be_bytes(*length);
        if length == 0 || length as usize > MAX_FRAME {
            return Err(ProtocolError::FrameLength(length));
        }
        if self.bytes.len() < LENGTH + length as usize {
            return Ok(None);
        }
        self.bytes.advance(LENGTH);
        Ok(Some(self.bytes.split_to(length as usize).freeze()))
    }

    /// Takes `count` bytes that stand before the first frame, once they have come.
    pub(super) fn take_prefix(&mut self, count: usize) -> Option<Bytes> {
        (self.bytes.len() >= count).then(|| self.bytes.split_to(count).freeze())
    }
}

/// Writes a frame of delimited messages; `body` is an encoded message that gets its length too.
pub(super) fn encode(messages: &[&dyn Delimited], body: Option<&[u8]>) -> Vec<u8> {
    let mut frame = vec![0; LENGTH];
    for message in messages {
        message.append_to(&mut frame);
    }
    if let Some(body) = body {
        prost::encode_length_delimiter(body.len(), &mut frame).expect("a vector grows as needed");
        frame.extend_from_slice(body);
    }
    let length = u32::try_from(frame.len() - LENGTH).expect("messages are far smaller than 4 GiB");
    frame[..LENGTH].copy_from_slice(&length.to_be_bytes());
    frame
}

/// A message of any type, to be written with its length in front.
pub(super) trait Delimited {
    fn append_to(&self, frame: &mut Vec<u8>);
}

impl<M: Message> Delimited for M {
    fn append_to(&self, frame: &mut Vec<u8>) {
        self.encode_length_delimited(frame)
            .expect("a vector grows as needed");
    }
}

/// Reads the next delimited message of a frame.
pub(super) fn decode<M: Message + Default>(
    frame: &mut Bytes,
    what: &'static str,
) -> Result<M, ProtocolError> {
    M::decode(take(frame, what)?).map_err(|_| ProtocolError::Malformed(what))
}

/// Takes the bytes of the next delimited message of a frame.
pub(super) fn take(frame: &mut Bytes, what: &'static str) -> Result<Bytes, ProtocolError> {
    let malformed = ProtocolError::Malformed(what);
    let length = prost::decode_length_delimiter(&mut *frame).map_err(|_| malformed.clone())?;
    if length > frame.len() {
        return Err(malformed);
    }
    Ok(frame.split_to(length))
}

/// Fails when something follows the last message.
pub(super) fn finish(frame: &Bytes, what: &'static str) -> Result<(), ProtocolError> {
    if frame.is_empty() {
        Ok(())
    } else {
        Err(ProtocolError::Malformed(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames_of(buffer: &mut FrameBuffer) -> Vec<Bytes> {
        std::iter::from_fn(|| buffer.next().unwrap()).collect()
    }

    #[test]
    fn lengths_that_no_frame_has_are_refused_before_the_bytes_come() {
        for length in [0_u32, MAX_FRAME as u32 + 1, u32::MAX] {
            let mut buffer = FrameBuffer::default();
            buffer.push(&length.to_be_bytes());
            assert_eq!(buffer.next(), Err(ProtocolError::FrameLength(length)));
        }
        let mut buffer = FrameBuffer::default();
        buffer.push(b"HTTP/1.1 404 Not Found");
        assert_eq!(buffer.next(), Err(ProtocolError::WebServer));
    }

    #[test]
    fn a_lying_length_sets_no_memory_aside() {
        let mut buffer = FrameBuffer::default();
        buffer.push(&(MAX_FRAME as u32).to_be_bytes());
        assert_eq!(buffer.next(), Ok(None));
        assert!(buffer.bytes.capacity() < 1024);
    }

    proptest! {
        #[test]
        fn any_cut_of_the_stream_gives_the_same_frames(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
            cuts in proptest::collection::vec(1..9_usize, 1..20),
        ) {
            let stream: Vec<u8> = bodies.iter().flat_map(|body| encode(&[], Some(body))).collect();
            let mut buffer = FrameBuffer::default();
            let mut frames = Vec::new();
            let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (now, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                buffer.push(now);
                frames.extend(frames_of(&mut buffer));
                rest = later;
            }
            let got: Vec<Vec<u8>> = frames.into_iter().map(|mut f| take(&mut f, "body").unwrap().to_vec()).collect();
            prop_assert_eq!(got, bodies);
        }
    }
}
