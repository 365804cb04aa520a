//! The listening socket of the gateway.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use wire::id::Epoch;
use wire::security::{self, Identity};

use super::connection::{self, Shared};
use super::{ConnectionId, GatewayEvent, Limits};

/// From one warning of connections that were turned away to the next, at least.
const WARN_PAUSE: Duration = Duration::from_secs(60);
/// Pause after an accept that failed, for instance for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A gateway that is bound and not served yet.
#[derive(Debug)]
pub struct Gateway {
    listener: TcpListener,
    turned_away: Counter,
}

impl Gateway {
    /// Binds a free port on all interfaces.
    ///
    /// # Errors
    /// When the system gives no port.
    pub async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        Ok(Self {
            listener,
            turned_away: Counter::default(),
        })
    }

    /// Counts connections that were turned away because there are too many.
    #[must_use]
    pub fn turned_away(&self) -> Counter {
        self.turned_away.clone()
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What serves it: a task that accepts connections and reports to `events`, until the receiver is dropped.
    ///
    /// # Errors
    /// Keys that cannot be used.
    pub fn serve(
        self,
        identity: &Identity,
        epoch: Epoch,
        limits: Limits,
        events: mpsc::Sender<GatewayEvent>,
    ) -> Result<impl Future<Output = ()> + Send + 'static, security::KeyError> {
        let acceptor = TlsAcceptor::from(security::server_config(identity)?);
        let shared = Shared {
            acceptor,
            epoch,
            limits,
            events,
        };
        let door = Door {
            turned_away: self.turned_away,
            warned: None,
        };
        Ok(accept(self.listener, door, Arc::new(shared)))
    }
}

/// Lets connections in while there is room.
struct Door {
    turned_away: Counter,
    /// When a warning was given last, and how many had been turned away by then.
    warned: Option<(Instant, u64)>,
}

impl Door {
    fn admit(
        &mut self,
        connections: &mut JoinSet<()>,
        tcp: TcpStream,
        id: ConnectionId,
        shared: &Arc<Shared>,
    ) {
        if connections.len() < shared.limits.connections {
            connections.spawn(connection::serve(tcp, id, shared.clone()));
        } else {
            self.turn_away(shared.limits.connections);
        }
    }

    fn turn_away(&mut self, most: usize) {
        self.turned_away.inc();
        let told = match self.warned {
            Some((at, _)) if at.elapsed() < WARN_PAUSE => return,
            Some((_, told)) => told,
            None => 0,
        };
        let count = self.turned_away.get();
        self.warned = Some((Instant::now(), count));
        let fresh = count - told;
        tracing::warn!(
            most,
            fresh,
            "the gateway has as many connections as it serves: others are turned away and will dial again"
        );
    }
}

async fn accept(listener: TcpListener, mut door: Door, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut last = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) => {
                    last += 1;
                    door.admit(&mut connections, tcp, ConnectionId(last), &shared);
                }
                Err(error) => {
                    tracing::warn!(%error, "the gateway cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = connections.join_next(), if !connections.is_empty() => pass_panic_on(ended),
            () = shared.events.closed() => return,
        }
    }
}

/// A connection's panic is a bug of ours: it becomes the listener's, whose owner reports it.
fn pass_panic_on(ended: Result<(), tokio::task::JoinError>) {
    if let Some(payload) = ended.err().and_then(|error| error.try_into_panic().ok()) {
        std::panic::resume_unwind(payload);
    }
}

#[cfg(test)]
#[path = "gateway_tests.rs"]
mod tests;
