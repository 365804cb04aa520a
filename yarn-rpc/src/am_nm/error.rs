//! Why a NodeManager did not do what it was asked.

use crate::error::{RemoteException, RemoteKind, RpcError};
use hadoop::ids::NodeId;

/// Why a NodeManager did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum NmError {
    /// No token for that node has arrived yet.
    #[error("no token for NodeManager {0}: the ResourceManager sends it with the first container there")]
    NoToken(NodeId),
    /// A container without its own token cannot be started (it belongs to an earlier attempt).
    #[error("the container has no token to start it with")]
    NoContainerToken,
    /// The container was not started in time: it is void, ask for another.
    #[error("the grant has expired: {0}")]
    GrantExpired(RemoteException),
    /// Granted by a ResourceManager that has restarted since: it is void, ask for another.
    #[error("the grant is from before a restart of the ResourceManager: {0}")]
    PreviousResourceManager(RemoteException),
    /// The node's or the container's token is not accepted.
    #[error("the NodeManager does not accept the token: {0}")]
    Token(RemoteException),
    /// The container has ended; its final status comes from the ResourceManager.
    #[error("the container has ended: {0}")]
    Ended(RemoteException),
    /// The node does not know the container.
    #[error("the NodeManager does not know the container: {0}")]
    Unknown(RemoteException),
    /// The node is still starting.
    #[error("the NodeManager is not ready yet: {0}")]
    NotReady(RemoteException),
    /// Refused for another reason, usually something in the launch context.
    #[error("refused by the NodeManager: {0}")]
    Refused(RemoteException),
    /// The node was not reached, or its answer is unusable.
    #[error("failed to call NodeManager {node}")]
    Rpc {
        /// Which.
        node: NodeId,
        /// Why.
        source: Box<RpcError>,
    },
}

impl NmError {
    /// Whether the container is void whatever is tried: ask for another.
    pub fn is_void(&self) -> bool {
        matches!(
            self,
            Self::GrantExpired(_) | Self::PreviousResourceManager(_) | Self::NoContainerToken
        )
    }

    /// Whether the same call may succeed later.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::NotReady(_) => true,
            Self::Rpc { source, .. } => source.is_retriable(),
            _ => false,
        }
    }

    /// Sorts an exception by its class and, where the class says too little, by the words `ContainerManagerImpl` uses.
    pub(crate) fn classify(exception: RemoteException) -> Self {
        let says = |words: &str| exception.message.contains(words);
        if says("token is expired") {
            Self::GrantExpired(exception)
        } else if says("allocated by a previous RM") {
            Self::PreviousResourceManager(exception)
        } else if exception.kind == RemoteKind::NmNotYetReady {
            Self::NotReady(exception)
        } else if says("recently stopped") {
            Self::Ended(exception)
        } else if says("not handled by this NodeManager") {
            Self::Unknown(exception)
        } else if matches!(
            exception.kind,
            RemoteKind::InvalidToken | RemoteKind::Sasl | RemoteKind::AccessControl
        ) {
            Self::Token(exception)
        } else {
            Self::Refused(exception)
        }
    }

    /// From the failure of a whole call.
    pub(crate) fn from_rpc(node: &NodeId, error: RpcError) -> Self {
        match error {
            RpcError::Remote(exception) | RpcError::Refused { exception, .. } => Self::classify(exception),
            error => Self::Rpc {
                node: node.clone(),
                source: Box::new(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(class: &str, message: &str) -> NmError {
        NmError::classify(RemoteException::new(class, message))
    }

    #[test]
    fn the_words_of_live_nodes_are_understood() {
        let yarn = "org.apache.hadoop.yarn.exceptions.YarnException";
        let expired =
            "Unauthorized request to start container.\nThis token is expired. current time is 1 found 0";
        assert!(matches!(of(yarn, expired), NmError::GrantExpired(_)));
        let invalid = "org.apache.hadoop.yarn.exceptions.InvalidContainerException";
        let previous = "\nContainer container_1_1_1_2 rejected as it is allocated by a previous RM";
        assert!(of(invalid, previous).is_void());
        let stopped = "Container container_1 was recently stopped on node manager.";
        assert!(matches!(of(yarn, stopped), NmError::Ended(_)));
        let unknown = "Container container_1 is not handled by this NodeManager";
        assert!(matches!(of(yarn, unknown), NmError::Unknown(_)));
        let token = "org.apache.hadoop.security.token.SecretManager$InvalidToken";
        assert!(matches!(
            of(token, "Given NMToken for application : x"),
            NmError::Token(_)
        ));
        let starting = "org.apache.hadoop.yarn.exceptions.NMNotYetReadyException";
        assert!(of(starting, "Rejecting new containers").is_retriable());
        assert!(matches!(
            of(yarn, "The auxService:x does not exist"),
            NmError::Refused(_)
        ));
    }
}
