//! ContainerManagementProtocol: starting, stopping and asking about containers at their NodeManager.
//!
//! [`NodeManagers`] holds at most one connection per node, opened with the node's token on first use and closed when
//! idle. Every call has a deadline and is repeated while its failure is retriable, as [`NmConfig`] says. Each call
//! names one container: a batch that fails half-way could not be told from one that had no effect.
//!
//! ```no_run
//! use yarn_rpc::am_nm::{NmConfig, NmTokenStore, NodeManagers};
//! use yarn_rpc::records::{Container, ContainerLaunchContext};
//!
//! # async fn example(tokens: NmTokenStore, container: &Container) -> Result<(), yarn_rpc::am_nm::NmError> {
//! let nodes = NodeManagers::new(tokens, NmConfig::default());
//! let context = ContainerLaunchContext {
//!     commands: vec!["/bin/sleep 60 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr".into()],
//!     ..Default::default()
//! };
//! nodes.start_container(container, &context).await?;
//! nodes.stop_container(&container.node, container.id).await
//! # }
//! ```

mod error;
mod tokens;

pub use error::NmError;
pub use tokens::NmTokenStore;

use crate::client::{ClientIdentity, RpcClient, RpcConfig};
use crate::connection::Protocol;
use crate::error::{RemoteException, RpcError};
use crate::proto::yarn as pb;
use crate::records::{Container, ContainerLaunchContext, ContainerStatus};
use hadoop::credentials::Token;
use hadoop::ids::{ContainerId, NodeId};
use hadoop::sasl::Qop;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Deadlines and repetition of calls to NodeManagers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NmConfig {
    /// Connect and authenticate.
    pub connect_deadline: Duration,
    /// One try of one call.
    pub call_deadline: Duration,
    /// How many tries, the first included.
    pub tries: u32,
    /// Pause before the second try; doubles.
    pub retry_pause: Duration,
    /// A connection without calls for so long is closed.
    pub idle_close: Duration,
    /// Acceptable protections, best first (`hadoop.rpc.protection`).
    pub protection: Vec<Qop>,
}

impl Default for NmConfig {
    fn default() -> Self {
        Self {
            connect_deadline: Duration::from_secs(5),
            call_deadline: Duration::from_secs(20),
            tries: 4,
            retry_pause: Duration::from_millis(250),
            idle_close: Duration::from_secs(8),
            protection: Qop::ALL.to_vec(),
        }
    }
}

/// A signal the NodeManager sends to the process group of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContainerSignal {
    /// SIGQUIT. Containers start with it blocked.
    ThreadDump,
    /// SIGTERM.
    Graceful,
    /// SIGKILL.
    Forceful,
}

/// The NodeManagers of an application; cheap to clone, all clones share their connections.
#[derive(Debug, Clone)]
pub struct NodeManagers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tokens: NmTokenStore,
    config: NmConfig,
    nodes: Mutex<BTreeMap<NodeId, RpcClient>>,
}

impl NodeManagers {
    /// Connections opened with the tokens of `tokens`, which the session fills.
    pub fn new(tokens: NmTokenStore, config: NmConfig) -> Self {
        Self {
            shared: Arc::new(Shared {
                tokens,
                config,
                nodes: Mutex::default(),
            }),
        }
    }

    /// Starts a container. Success means accepted: files are fetched and the process starts later.
    ///
    /// A container that already runs or ran counts as started, since the answer to an earlier try may be lost.
    ///
    /// # Errors
    /// [`NmError::is_void`] tells whether the grant is lost; release the container then, and ask for another.
    pub async fn start_container(
        &self,
        container: &Container,
        context: &ContainerLaunchContext,
    ) -> Result<(), NmError> {
        let token = container.token.as_ref().ok_or(NmError::NoContainerToken)?;
        let request = pb::StartContainersRequestProto {
            start_container_request: vec![pb::StartContainerRequestProto {
                container_launch_context: Some(context.into()),
                container_token: Some(token.into()),
            }],
        };
        let check = |answer: pb::StartContainersResponseProto| match failure(answer.failed_requests) {
            Some(exception) if is_started(&exception) => Ok(()),
            failure => only_failure(failure),
        };
        self.call(&container.node, "startContainers", &request, check)
            .await
    }

    /// Ends a container: SIGTERM, then SIGKILL after the node's grace time. One that has ended is a success.
    pub async fn stop_container(&self, node: &NodeId, container: ContainerId) -> Result<(), NmError> {
        let request = pb::StopContainersRequestProto {
            container_id: vec![container.into()],
        };
        let check = |answer: pb::StopContainersResponseProto| only_failure(failure(answer.failed_requests));
        self.call(node, "stopContainers", &request, check).await
    }

    /// What the node knows of a container. One that has ended is [`NmError::Ended`]: the ResourceManager has its
    /// final status.
    pub async fn container_status(
        &self,
        node: &NodeId,
        container: ContainerId,
    ) -> Result<ContainerStatus, NmError> {
        const METHOD: &str = "getContainerStatuses";
        let request = pb::GetContainerStatusesRequestProto {
            container_id: vec![container.into()],
        };
        let check = |answer: pb::GetContainerStatusesResponseProto| {
            only_failure(failure(answer.failed_requests))?;
            let status = answer.status.first().map(ContainerStatus::try_from);
            let reason = match status {
                Some(Ok(status)) => return Ok(status),
                Some(Err(error)) => error.to_string(),
                None => "it holds no status".to_owned(),
            };
            Err(NmError::from_rpc(
                node,
                RpcError::BadAnswer {
                    method: METHOD,
                    reason,
                },
            ))
        };
        self.call(node, METHOD, &request, check).await
    }

    /// Sends a signal. Success does not tell whether the container was still there.
    pub async fn signal_container(
        &self,
        node: &NodeId,
        container: ContainerId,
        signal: ContainerSignal,
    ) -> Result<(), NmError> {
        let command = match signal {
            ContainerSignal::ThreadDump => pb::SignalContainerCommandProto::OutputThreadDump,
            ContainerSignal::Graceful => pb::SignalContainerCommandProto::GracefulShutdown,
            ContainerSignal::Forceful => pb::SignalContainerCommandProto::ForcefulShutdown,
        };
        let request = pb::SignalContainerRequestProto {
            container_id: container.into(),
            command: command as i32,
        };
        let check = |_: pb::SignalContainerResponseProto| Ok(());
        self.call(node, "signalToContainer", &request, check).await
    }

    /// Makes a call, several times if need be and sensible.
    async fn call<Q, R, T>(
        &self,
        node: &NodeId,
        method: &'static str,
        request: &Q,
        check: impl Fn(R) -> Result<T, NmError>,
    ) -> Result<T, NmError>
    where
        Q: Message,
        R: Message + Default,
    {
        let config = &self.shared.config;
        let mut pause = config.retry_pause;
        for tries_left in (0..config.tries.max(1)).rev() {
            let answer = self.client(node)?.call(method, request).await;
            match answer
                .map_err(|error| NmError::from_rpc(node, error))
                .and_then(&check)
            {
                Err(error) if tries_left > 0 && error.is_retriable() => {
                    tracing::debug!(%node, method, %error, tries_left, "NodeManager call failed");
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2);
                }
                end => return end,
            }
        }
        unreachable!("the last try returns")
    }

    /// The node's client, with the node's latest token.
    fn client(&self, node: &NodeId) -> Result<RpcClient, NmError> {
        let token = self
            .shared
            .tokens
            .get(node)
            .ok_or_else(|| NmError::NoToken(node.clone()))?;
        let mut nodes = self.shared.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let client = nodes
            .entry(node.clone())
            .or_insert_with(|| self.new_client(node, &token));
        client.set_identity(ClientIdentity::Token(token));
        Ok(client.clone())
    }

    fn new_client(&self, node: &NodeId, token: &Token) -> RpcClient {
        let config = &self.shared.config;
        let rpc = RpcConfig {
            connect_deadline: config.connect_deadline,
            call_deadline: config.call_deadline,
            protection: config.protection.clone(),
            idle_close: Some(config.idle_close),
        };
        let identity = ClientIdentity::Token(token.clone());
        RpcClient::new(
            vec![node.to_string()],
            Protocol::CONTAINER_MANAGEMENT,
            identity,
            rpc,
        )
    }
}

/// The exception of the one container that a request names.
fn failure(failed: Vec<pb::ContainerExceptionMapProto>) -> Option<RemoteException> {
    let exception = failed.into_iter().next()?.exception.unwrap_or_default();
    let mut remote = RemoteException::new(exception.class_name(), exception.message());
    remote.stack = exception.trace().to_owned();
    Some(remote)
}

fn only_failure(failure: Option<RemoteException>) -> Result<(), NmError> {
    failure.map_or(Ok(()), |exception| Err(NmError::classify(exception)))
}

/// What `ContainerManagerImpl` says of a container it has started before.
fn is_started(exception: &RemoteException) -> bool {
    [
        "Attempt to relaunch the same container",
        "already is running on this node",
    ]
    .iter()
    .any(|words| exception.message.contains(words))
}
