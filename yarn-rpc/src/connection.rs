//! Hadoop RPC version 9 as a pure connection machine.

/// The other side does not keep to the protocol, or authentication cannot be agreed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("protocol")]
pub struct ProtocolError;
