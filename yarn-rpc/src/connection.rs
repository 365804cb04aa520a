//! Hadoop RPC version 9 as pure machines: bytes in, bytes and events out, no socket, no clock.
//!
//! [`ClientConnection`] is the side that calls, [`ServerConnection`] the side that answers. Each owns what one TCP
//! connection needs: header, SASL negotiation, connection context, framing, wrapping, and the calls in flight.
//! The owner moves bytes: [`ClientConnection::receive`] for what came, [`ClientConnection::take_output`] for what
//! is to be sent, [`ClientConnection::next_event`] for what happened.
//!
//! Invariants: every call is answered exactly once, if only by the failure of the connection; how the bytes are cut
//! into reads does not matter; no memory is set aside for bytes that have not come.
//!
//! ```
//! use yarn_rpc::connection::{Auth, ClientConnection, ClientEvent, Protocol, ServerConnection, ServerEvent};
//! use yarn_rpc::connection::ServerSettings;
//!
//! let protocol = Protocol { name: "example.EchoPB", version: 1 };
//! let mut client = ClientConnection::new(protocol, [7; 16], Auth::simple("alice"));
//! let call = client.call("echo", b"\x0a\x02hi");
//!
//! // A server that takes anybody, in the same process.
//! let mut server = ServerConnection::new(ServerSettings::simple("nonce"));
//! server.receive(&client.take_output(), &|_: &[u8]| None);
//! while let Some(event) = server.next_event() {
//!     if let ServerEvent::Call(request) = event {
//!         assert_eq!((request.method.as_str(), &request.body[..]), ("echo", &b"\x0a\x02hi"[..]));
//!         server.respond(request.id, &request.body);
//!     }
//! }
//! client.receive(&server.take_output());
//! assert!(matches!(client.next_event(), Some(ClientEvent::Ready { .. })));
//! let Some(ClientEvent::Answer { call: answered, result }) = client.next_event() else { panic!() };
//! assert_eq!((answered, result.unwrap()), (call, b"\x0a\x02hi".to_vec()));
//! ```

mod client;
mod frame;
mod negotiation;
mod refusal;
mod request;
mod server;
mod wrapping;

pub use client::{CallError, ClientConnection, ClientEvent};
pub use frame::MAX_FRAME;
pub use negotiation::Auth;
pub use server::{Secrets, ServerCall, ServerConnection, ServerEvent, ServerSettings, ServerUser};

use crate::error::RemoteException;
use hadoop::sasl::digest::{DigestError, UnwrapError};
use std::fmt;

/// A Java interface that is called remotely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Protocol {
    /// Its name in connection contexts and requests.
    pub name: &'static str,
    /// Its version.
    pub version: u64,
}

impl Protocol {
    /// ApplicationMaster to ResourceManager: register, allocate, finish.
    pub const APPLICATION_MASTER: Self = Self {
        name: "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB",
        version: 1,
    };
    /// Client to ResourceManager: submit, report, kill.
    pub const APPLICATION_CLIENT: Self = Self {
        name: "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB",
        version: 1,
    };
    /// Client to NameNode, of HDFS (`ClientNamenodeProtocolPB`).
    pub const HDFS_CLIENT: Self = Self {
        name: "org.apache.hadoop.hdfs.protocol.ClientProtocol",
        version: 1,
    };
    /// ApplicationMaster to NodeManager: start, stop, status.
    pub const CONTAINER_MANAGEMENT: Self = Self {
        name: "org.apache.hadoop.yarn.api.ContainerManagementProtocolPB",
        version: 1,
    };
}

/// Number of a call on its connection; unique among the calls in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub i32);

impl CallId {
    const CONTEXT: Self = Self(-3);
    const PING: Self = Self(-4);
    const SASL: Self = Self(-33);
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// The server said so, with a reason, and closed.
    #[error("the server refused the connection: {0}")]
    Refused(RemoteException),
    /// The stream ended.
    #[error("the connection was closed")]
    Closed,
    /// The other side breaks the protocol, or authentication cannot be agreed on.
    #[error("{0}")]
    Protocol(#[from] ProtocolError),
}

/// The other side does not keep to the protocol, or authentication cannot be agreed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A length that no frame can have.
    #[error("a frame of {0} bytes cannot be (the limit is {MAX_FRAME})")]
    FrameLength(u32),
    /// The port speaks HTTP.
    #[error("a web server answers on this port, not Hadoop RPC")]
    WebServer,
    /// The bytes of a frame are not the messages they should be.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// A message that cannot come now.
    #[error("{0} at the wrong time")]
    Unexpected(&'static str),
    /// A frame in the clear after protection was agreed on.
    #[error("the server answered without the agreed protection")]
    Unprotected,
    /// The server offers no way to authenticate that we have.
    #[error("the server wants one of {offered:?} to authenticate, and there is only {have}")]
    NoCommonMethod {
        /// What it offers: method and mechanism.
        offered: Vec<String>,
        /// What we could do.
        have: &'static str,
    },
    /// DIGEST-MD5 failed.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A protected message is not genuine.
    #[error(transparent)]
    Unwrap(#[from] UnwrapError),
}
