//! ApplicationMasterProtocol: register, allocate, finish, as typed calls.
//!
//! Programs usually want [`crate::session`], which knows when to make them.

use crate::client::{ClientIdentity, RpcClient, RpcConfig};
use crate::connection::Protocol;
use crate::error::RpcError;
use crate::proto::yarn as pb;
use hadoop::credentials::Token;

/// Calls to the scheduler service of the active ResourceManager.
#[derive(Debug, Clone)]
pub struct ApplicationMasterClient {
    rpc: RpcClient,
}

impl ApplicationMasterClient {
    /// For the scheduler addresses (`host:port`) of all ResourceManagers and the AMRM token of the attempt.
    pub fn new(addresses: Vec<String>, token: Token, config: RpcConfig) -> Self {
        let identity = ClientIdentity::Token(token);
        Self {
            rpc: RpcClient::new(addresses, Protocol::APPLICATION_MASTER, identity, config),
        }
    }

    /// The token for the next connection.
    pub fn set_token(&self, token: Token) {
        self.rpc.set_identity(ClientIdentity::Token(token));
    }

    /// `registerApplicationMaster`, once per attempt.
    pub async fn register(
        &self,
        request: &pb::RegisterApplicationMasterRequestProto,
    ) -> Result<pb::RegisterApplicationMasterResponseProto, RpcError> {
        self.rpc.call("registerApplicationMaster", request).await
    }

    /// `allocate`, the heartbeat.
    pub async fn allocate(
        &self,
        request: &pb::AllocateRequestProto,
    ) -> Result<pb::AllocateResponseProto, RpcError> {
        self.rpc.call("allocate", request).await
    }

    /// `finishApplicationMaster`, to be repeated until it says `isUnregistered`.
    pub async fn finish(
        &self,
        request: &pb::FinishApplicationMasterRequestProto,
    ) -> Result<pb::FinishApplicationMasterResponseProto, RpcError> {
        self.rpc.call("finishApplicationMaster", request).await
    }
}
