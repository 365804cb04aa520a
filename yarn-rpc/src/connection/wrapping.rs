//! The stream inside the stream: with a security layer every frame travels inside SASL messages.

use super::ProtocolError;
use super::frame::FrameBuffer;
use crate::proto::common::{RpcSaslProto, rpc_sasl_proto::SaslState};
use bytes::Bytes;
use hadoop::sasl::digest::SecurityLayer;

/// Java peers announce buffers of 64 KiB; a wrapped message with its overhead stays below that.
const MAX_WRAPPED: usize = 65_510;

/// A security layer and the frames that are being put together behind it.
pub(super) struct Wrapping {
    layer: SecurityLayer,
    inner: FrameBuffer,
}

impl Wrapping {
    pub(super) fn new(layer: SecurityLayer) -> Self {
        Self {
            layer,
            inner: FrameBuffer::default(),
        }
    }

    /// The SASL messages that carry these bytes.
    pub(super) fn wrap<'a>(&'a mut self, bytes: &'a [u8]) -> impl Iterator<Item = RpcSaslProto> + 'a {
        let layer = &mut self.layer;
        bytes.chunks(MAX_WRAPPED).map(|chunk| RpcSaslProto {
            state: SaslState::Wrap as i32,
            token: Some(layer.wrap(chunk)),
            ..Default::default()
        })
    }

    /// Takes in a SASL message; whole frames then come from [`Wrapping::next`].
    pub(super) fn push(&mut self, message: &RpcSaslProto) -> Result<(), ProtocolError> {
        if message.state != SaslState::Wrap as i32 {
            return Err(ProtocolError::Unexpected("SASL negotiation"));
        }
        let token = message
            .token
            .as_ref()
            .ok_or(ProtocolError::Malformed("SASL message"))?;
        self.inner.push(&self.layer.unwrap(token)?);
        Ok(())
    }

    pub(super) fn next(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        self.inner.next()
    }
}
