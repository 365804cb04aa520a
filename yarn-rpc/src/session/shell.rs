//! The session as a task: owns the machine and the connection to the ResourceManager.

use super::{Pacing, SessionCommand, SessionEvent};
use crate::am_nm::NmTokenStore;
use crate::client::RpcConfig;
use hadoop::credentials::Token;
use tokio::sync::mpsc;

/// What a session needs to know.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// `host:port` of the scheduler service of every ResourceManager, tried in turn.
    pub resource_managers: Vec<String>,
    /// The AMRM token (see [`hadoop::credentials`]).
    pub token: Token,
    /// Host shown in reports, where this process can be reached.
    pub host: String,
    /// Port shown in reports; `None` for none.
    pub rpc_port: Option<u16>,
    /// Where the ResourceManager's proxy finds our pages; `None` for none.
    pub tracking_url: Option<String>,
    /// When to speak.
    pub pacing: Pacing,
    /// Deadlines and protections of the connection.
    pub rpc: RpcConfig,
    /// Where tokens for NodeManagers are put; give the same store to [`crate::am_nm::NodeManagers`].
    pub nm_tokens: NmTokenStore,
}

/// The session has ended, so that commands reach nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session with the ResourceManager has ended")]
pub struct SessionClosed;

/// Sends commands to a session. Cheap to clone. The session ends, without unregistering, when all are dropped.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    commands: mpsc::Sender<SessionCommand>,
}

impl SessionHandle {
    /// Queues a command; waits while the queue is full.
    pub async fn send(&self, command: SessionCommand) -> Result<(), SessionClosed> {
        self.commands.send(command).await.map_err(|_| SessionClosed)
    }
}

/// The running session.
#[derive(Debug)]
pub struct AmSession;

impl AmSession {
    /// Starts the task: connects, registers and heartbeats until it is told to unregister or superseded.
    ///
    /// The channel of events is bounded; while it is full commands are still taken and no heartbeat is missed for
    /// the lack of a reader, but a reader that never returns holds the session up in the end.
    pub fn start(config: SessionConfig) -> (SessionHandle, mpsc::Receiver<SessionEvent>) {
        let _ = config;
        unimplemented!()
    }
}
