//! How a server ends a connection, in the words of Hadoop's.

use super::{CallId, ProtocolError};
use crate::proto::common::rpc_response_header_proto::RpcErrorCodeProto;

pub(super) const ACCESS_CONTROL: &str = "org.apache.hadoop.security.AccessControlException";
pub(super) const INVALID_TOKEN: &str = "org.apache.hadoop.security.token.SecretManager$InvalidToken";
pub(super) const SASL_EXCEPTION: &str = "javax.security.sasl.SaslException";
pub(super) const IPC_EXCEPTION: &str = "org.apache.hadoop.ipc.IpcException";
pub(super) const SERVER_EXCEPTION: &str = "org.apache.hadoop.ipc.RpcServerException";

/// A refusal that ends the connection, as the client gets to see it.
pub(super) struct Fatal {
    pub(super) call: CallId,
    pub(super) code: RpcErrorCodeProto,
    pub(super) class: &'static str,
    pub(super) message: String,
}

impl Fatal {
    pub(super) fn unauthorized(call: CallId, class: &'static str, message: impl Into<String>) -> Self {
        Self {
            call,
            code: RpcErrorCodeProto::FatalUnauthorized,
            class,
            message: message.into(),
        }
    }

    /// `Server.setupBadVersionResponse`.
    pub(super) fn version(theirs: u8) -> Self {
        Self {
            call: CallId(-1),
            code: RpcErrorCodeProto::FatalVersionMismatch,
            class: "org.apache.hadoop.ipc.RPC$VersionMismatch",
            message: format!("Server IPC version 9 cannot communicate with client version {theirs}"),
        }
    }

    pub(super) fn bad_header(call: CallId, message: &str) -> Self {
        let code = RpcErrorCodeProto::FatalInvalidRpcHeader;
        Self {
            call,
            code,
            class: SERVER_EXCEPTION,
            message: message.to_owned(),
        }
    }
}

impl From<ProtocolError> for Fatal {
    fn from(error: ProtocolError) -> Self {
        let code = RpcErrorCodeProto::FatalDeserializingRequest;
        Self {
            call: CallId(-2),
            code,
            class: SERVER_EXCEPTION,
            message: error.to_string(),
        }
    }
}
