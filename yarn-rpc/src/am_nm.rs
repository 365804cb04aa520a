//! ContainerManagementProtocol: starting, stopping and asking about containers at their NodeManager.
//!
//! [`NodeManagers`] holds at most one connection per node, opened with the node's token on first use and closed when
//! idle. Every call has a deadline and is repeated while its failure is retriable, as [`NmConfig`] says.

mod error;
mod tokens;

pub use error::NmError;
pub use tokens::NmTokenStore;

use crate::records::{Container, ContainerLaunchContext, ContainerStatus};
use hadoop::ids::{ContainerId, NodeId};
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
}

impl Default for NmConfig {
    fn default() -> Self {
        Self {
            connect_deadline: Duration::from_secs(5),
            call_deadline: Duration::from_secs(20),
            tries: 4,
            retry_pause: Duration::from_millis(250),
            idle_close: Duration::from_secs(8),
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
    tokens: NmTokenStore,
    config: NmConfig,
}

impl NodeManagers {
    /// Connections opened with the tokens of `tokens`, which the session fills.
    pub fn new(tokens: NmTokenStore, config: NmConfig) -> Self {
        Self { tokens, config }
    }

    /// Starts a container. Success means accepted: files are fetched and the process starts later.
    ///
    /// A container that already runs or ran counts as started, since the answer to an earlier try may be lost.
    pub async fn start_container(
        &self,
        container: &Container,
        context: &ContainerLaunchContext,
    ) -> Result<(), NmError> {
        let _ = (container, context, &self.tokens, &self.config);
        unimplemented!()
    }

    /// Ends a container: SIGTERM, then SIGKILL after the node's grace time. One that has ended is a success.
    pub async fn stop_container(&self, node: &NodeId, container: ContainerId) -> Result<(), NmError> {
        let _ = (node, container);
        unimplemented!()
    }

    /// What the node knows of a container. One that has ended is [`NmError::Ended`]: the ResourceManager has its
    /// final status.
    pub async fn container_status(
        &self,
        node: &NodeId,
        container: ContainerId,
    ) -> Result<ContainerStatus, NmError> {
        let _ = (node, container);
        unimplemented!()
    }

    /// Sends a signal. Success does not tell whether the container was still there.
    pub async fn signal_container(
        &self,
        node: &NodeId,
        container: ContainerId,
        signal: ContainerSignal,
    ) -> Result<(), NmError> {
        let _ = (node, container, signal);
        unimplemented!()
    }
}
