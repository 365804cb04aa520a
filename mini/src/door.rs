//! Ports that can be shut, and servers that can stand still.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::tasks::over;

/// Pause after an accept, or a bind, that failed.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// What becomes of those who knock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// They are served.
    Open,
    /// They are not answered, as if the host stood still.
    Frozen,
    /// They are refused, as if nobody listened; who was in is thrown out.
    Shut,
}

#[derive(Debug, Clone, Copy)]
struct Position {
    door: Door,
    /// Changes when everybody who is in is thrown out.
    cuts: u32,
}

/// Opens and shuts the door of a server.
#[derive(Debug)]
pub(crate) struct DoorKeeper(watch::Sender<Position>);

/// A server's, or a connection's, side of its door.
#[derive(Debug, Clone)]
pub(crate) struct Doorway(watch::Receiver<Position>);

impl DoorKeeper {
    pub(crate) fn new(door: Door) -> Self {
        Self(watch::channel(Position { door, cuts: 0 }).0)
    }

    pub(crate) fn doorway(&self) -> Doorway {
        Doorway(self.0.subscribe())
    }

    pub(crate) fn set(&self, door: Door) {
        self.0.send_modify(|position| {
            position.door = door;
            // Whoever looks late must see that it was shut, although it is open again.
            position.cuts += u32::from(door == Door::Shut);
        });
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        self.0.send_modify(|position| position.cuts += 1);
    }
}

impl Doorway {
    /// Waits while the server stands still.
    pub(crate) async fn pass(&mut self) {
        // A keeper that is gone freezes nobody.
        drop(self.0.wait_for(|position| position.door != Door::Frozen).await);
    }

    fn position(&mut self) -> Position {
        *self.0.borrow_and_update()
    }

    /// Waits for the next change; there is none when nobody can make one.
    async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A port that is listened at, or kept without listening, so that connections are refused and nobody else takes it.
enum Port {
    Open(TcpListener),
    Kept(TcpSocket),
}

impl Port {
    fn keep(address: SocketAddr) -> io::Result<TcpSocket> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    }

    async fn turned(self, door: Door, address: SocketAddr) -> Self {
        match (self, door) {
            (Self::Open(listener), Door::Shut) => {
                drop(listener);
                Self::Kept(kept(address).await)
            }
            (Self::Kept(socket), Door::Open | Door::Frozen) => match socket.listen(BACKLOG) {
                Ok(listener) => Self::Open(listener),
                Err(error) => {
                    tracing::warn!(%error, %address, "a port cannot be listened at again");
                    Self::Kept(kept(address).await)
                }
            },
            (port, _) => port,
        }
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self {
            Self::Open(listener) => listener.accept().await,
            Self::Kept(_) => std::future::pending().await,
        }
    }
}

/// Takes a port again that was ours a moment ago.
async fn kept(address: SocketAddr) -> TcpSocket {
    loop {
        match Port::keep(address) {
            Ok(socket) => return socket,
            Err(error) => tracing::debug!(%error, %address, "a port is not free again yet"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Accepts connections until `ended` says so; each is a task that ends with the door's shutting.
pub(crate) async fn serve<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    mut doorway: Doorway,
    mut ended: watch::Receiver<bool>,
    connection: impl Fn(TcpStream, SocketAddr, Doorway) -> F,
) {
    let Ok(address) = listener.local_addr() else {
        return tracing::warn!("a server does not know its address");
    };
    let mut connections = JoinSet::new();
    let Position { door, cuts: mut at } = doorway.position();
    let mut port = Port::Open(listener).turned(door, address).await;
    loop {
        tokio::select! {
            accepted = port.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, doorway.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a server cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(over) = connections.join_next(), if !connections.is_empty() => tell(over),
            () = doorway.changed() => {
                let now = doorway.position();
                if now.cuts != at {
                    connections.shutdown().await;
                }
                port = port.turned(now.door, address).await;
                at = now.cuts;
            }
            () = over(&mut ended) => return,
        }
    }
}

fn tell(ended: Result<(), JoinError>) {
    if let Some(error) = ended.err().filter(JoinError::is_panic) {
        tracing::error!(%error, "a connection's task panicked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn echo(mut stream: TcpStream, _: SocketAddr, mut doorway: Doorway) {
        let mut byte = [0];
        while stream.read_exact(&mut byte).await.is_ok() {
            doorway.pass().await;
            if stream.write_all(&byte).await.is_err() {
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_shut_door_throws_out_and_refuses_and_opens_again_at_the_same_port() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let keeper = DoorKeeper::new(Door::Open);
        let (end, ended) = watch::channel(false);
        let server = tokio::spawn(serve(listener, keeper.doorway(), ended, echo));
        let mut client = TcpStream::connect(address).await.unwrap();
        keeper.set(Door::Shut);
        let mut byte = [0];
        assert!(client.read_exact(&mut byte).await.is_err());
        while TcpStream::connect(address).await.is_ok() {}
        keeper.set(Door::Open);
        let mut client = loop {
            match TcpStream::connect(address).await {
                Ok(client) => break client,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        client.write_all(b"x").await.unwrap();
        client.read_exact(&mut byte).await.unwrap();
        end.send_replace(true);
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_frozen_server_answers_when_it_goes_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let keeper = DoorKeeper::new(Door::Frozen);
        let (_end, ended) = watch::channel(false);
        let server = tokio::spawn(serve(listener, keeper.doorway(), ended, echo));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"x").await.unwrap();
        let mut byte = [0];
        let early = tokio::time::timeout(Duration::from_millis(50), client.read_exact(&mut byte)).await;
        assert!(early.is_err());
        keeper.set(Door::Open);
        client.read_exact(&mut byte).await.unwrap();
        server.abort();
    }
}
