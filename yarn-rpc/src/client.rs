//! Calls over TCP: the thin shell around [`crate::connection`].
//!
//! A [`RpcClient`] speaks one protocol to one service, which may be at several addresses (ResourceManagers of which
//! one is active). It connects when the first call is made and again when the connection was lost; it tries the
//! addresses in turn and stays with the one that answers. Every call has a deadline, and so has every connect.
//!
//! One task per connection owns socket and machine; calls from any number of tasks share it and are answered in any
//! order. The task ends with the connection, with the last clone of the client, or when it is idle for too long.

mod task;

use crate::connection::{Auth, CallError, ClientConnection, ConnectionError, Protocol};
use crate::error::{RemoteKind, RpcError};
use hadoop::credentials::Token;
use hadoop::sasl::Qop;
use hadoop::sasl::digest::Credentials;
use prost::Message;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;
use task::Connection;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Deadlines and protection of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcConfig {
    /// To connect to one address and authenticate.
    pub connect_deadline: Duration,
    /// For one call, from sending it to its answer.
    pub call_deadline: Duration,
    /// Acceptable protections, best first (`hadoop.rpc.protection`).
    pub protection: Vec<Qop>,
    /// A connection without calls for so long is closed; `None` keeps it.
    pub idle_close: Option<Duration>,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            connect_deadline: Duration::from_secs(10),
            call_deadline: Duration::from_secs(30),
            protection: Qop::ALL.to_vec(),
            idle_close: None,
        }
    }
}

/// How a client proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientIdentity {
    /// By a token (ApplicationMaster to ResourceManager and NodeManagers).
    Token(Token),
    /// By saying so, which is enough for submission on clusters without Kerberos.
    User(String),
}

/// Calls to one service. Cheap to clone; clones share the connection.
#[derive(Debug, Clone)]
pub struct RpcClient {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    addresses: Vec<String>,
    protocol: Protocol,
    config: RpcConfig,
    client_id: [u8; 16],
    identity: SyncMutex<ClientIdentity>,
    state: Mutex<State>,
}

/// Locked while a connection is being made, so that there is one at most.
#[derive(Debug, Default)]
struct State {
    connection: Option<Connection>,
    /// Which address to try first.
    next: usize,
}

impl RpcClient {
    /// A client for the service at these addresses (`host:port`), tried in turn. Does not connect yet.
    pub fn new(
        addresses: Vec<String>,
        protocol: Protocol,
        identity: ClientIdentity,
        config: RpcConfig,
    ) -> Self {
        let shared = Shared {
            addresses,
            protocol,
            config,
            client_id: random(),
            identity: SyncMutex::new(identity),
            state: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// A client that is connected to the first address that accepts.
    pub async fn connect(
        addresses: Vec<String>,
        protocol: Protocol,
        identity: ClientIdentity,
        config: RpcConfig,
    ) -> Result<Self, RpcError> {
        let client = Self::new(addresses, protocol, identity, config);
        client.connection().await?;
        Ok(client)
    }

    /// The identity for the next connection. The present one goes on as it is, also after its token has expired.
    pub fn set_identity(&self, identity: ClientIdentity) {
        *self
            .shared
            .identity
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = identity;
    }

    /// Makes a call with the configured deadline.
    pub async fn call<Q, R>(&self, method: &'static str, request: &Q) -> Result<R, RpcError>
    where
        Q: Message,
        R: Message + Default,
    {
        self.call_within(method, request, self.shared.config.call_deadline)
            .await
    }

    /// Makes a call. `deadline` covers sending and waiting; connecting, if need be, has its own.
    ///
    /// # Errors
    /// See [`RpcError`]. After a deadline the connection is given up, since nobody knows what it is busy with; calls
    /// of others on it fail as [`RpcError::Closed`]. After a deadline, and when the service says that it is not the
    /// active one, the next call goes to the next address.
    pub async fn call_within<Q, R>(
        &self,
        method: &'static str,
        request: &Q,
        deadline: Duration,
    ) -> Result<R, RpcError>
    where
        Q: Message,
        R: Message + Default,
    {
        let (connection, answer) = self.attempt(method, request.encode_to_vec(), deadline).await?;
        match answer {
            Ok(body) => R::decode(body.as_slice()).map_err(|error| RpcError::BadAnswer {
                method,
                reason: error.to_string(),
            }),
            Err(error) => {
                self.note_failure(&connection, &error).await;
                Err(error)
            }
        }
    }

    /// Makes a call on a connection that takes it: the present one may be about to close.
    async fn attempt(
        &self,
        method: &'static str,
        body: Vec<u8>,
        deadline: Duration,
    ) -> Result<(Connection, Result<Vec<u8>, RpcError>), RpcError> {
        loop {
            let connection = self.connection().await?;
            let address = connection.address().to_owned();
            match timeout(deadline, connection.call(method, body.clone())).await {
                Ok(Some(answer)) => {
                    return Ok((connection, answer.map_err(|error| from_call(&address, error))));
                }
                Ok(None) => tracing::debug!(address, "the connection closed before it took a call"),
                Err(_) => {
                    let late = RpcError::Deadline {
                        address,
                        what: method,
                        after: deadline,
                    };
                    return Ok((connection, Err(late)));
                }
            }
        }
    }

    /// The present connection, or a new one.
    async fn connection(&self) -> Result<Connection, RpcError> {
        let mut state = self.shared.state.lock().await;
        if let Some(connection) = state
            .connection
            .as_ref()
            .filter(|connection| connection.is_open())
        {
            return Ok(connection.clone());
        }
        state.connection = None;
        let count = self.shared.addresses.len();
        let mut told = RpcError::NoAddress(self.shared.protocol.name.to_owned());
        for turn in 0..count {
            let index = (state.next + turn) % count;
            match self.open(&self.shared.addresses[index]).await {
                Ok(connection) => {
                    state.next = index;
                    state.connection = Some(connection.clone());
                    return Ok(connection);
                }
                Err(error) => {
                    tracing::debug!(
                        address = self.shared.addresses[index],
                        error = error.chain(),
                        "not connected"
                    );
                    // What one service says outweighs that another cannot be reached.
                    if told.exception().is_none() || error.exception().is_some() {
                        told = error;
                    }
                }
            }
        }
        Err(told)
    }

    /// Connects to one address and authenticates, within one deadline.
    async fn open(&self, address: &str) -> Result<Connection, RpcError> {
        let deadline = self.shared.config.connect_deadline;
        let failed = |source| RpcError::Connect {
            address: address.to_owned(),
            source,
        };
        let late = |what| RpcError::Deadline {
            address: address.to_owned(),
            what,
            after: deadline,
        };
        let started = tokio::time::Instant::now();
        let stream = timeout(deadline, TcpStream::connect(address)).await;
        let stream = stream.map_err(|_| late("connect"))?.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let machine = ClientConnection::new(self.shared.protocol, self.shared.client_id, self.auth());
        let rest = deadline.saturating_sub(started.elapsed());
        let opening = Connection::open(address, stream, machine, self.shared.config.idle_close);
        let opened = timeout(rest, opening).await.map_err(|_| late("authentication"))?;
        opened.map_err(|error| from_connection(address, error))
    }

    fn auth(&self) -> Auth {
        match &*self
            .shared
            .identity
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
        {
            ClientIdentity::User(name) => Auth::simple(name.clone()),
            ClientIdentity::Token(token) => {
                let credentials = Credentials::of_token(&token.identifier, &token.password);
                Auth::token(credentials, self.shared.config.protection.clone(), cnonce())
            }
        }
    }

    /// Gives up a connection that is of no use any more, and moves on when another address may serve better.
    async fn note_failure(&self, connection: &Connection, error: &RpcError) {
        let moves_on =
            matches!(error, RpcError::Deadline { .. }) || error.remote_kind() == Some(RemoteKind::Standby);
        let is_lost = moves_on || !matches!(error, RpcError::Remote(_));
        let mut state = self.shared.state.lock().await;
        if !is_lost
            || !state
                .connection
                .as_ref()
                .is_some_and(|present| present.is_same(connection))
        {
            return;
        }
        state.connection = None;
        connection.give_up();
        if moves_on {
            state.next = (state.next + 1) % self.shared.addresses.len().max(1);
        }
    }
}

fn from_call(address: &str, error: CallError) -> RpcError {
    match error {
        CallError::Remote(exception) => RpcError::Remote(exception),
        CallError::Connection(error) => from_connection(address, error),
    }
}

fn from_connection(address: &str, error: ConnectionError) -> RpcError {
    let address = address.to_owned();
    match error {
        ConnectionError::Refused(exception) => RpcError::Refused { address, exception },
        ConnectionError::Closed => RpcError::Closed { address },
        ConnectionError::Protocol(source) => RpcError::Protocol { address, source },
    }
}

/// Random bytes, from the operating system.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

fn cnonce() -> String {
    random::<20>().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}
