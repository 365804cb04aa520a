//! One connection, of an executor or of a driver in the client: bytes to frames and back, each step with its deadline.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use wire::frame::{self, Decoder, FrameError, Framed};
use wire::id::{BootNonce, Epoch};
use wire::launcher::{DriverHello, DriverMessage, LauncherMessage};
use wire::message::{DialerMessage, Envelope, ExecutorMessage, GatewayMessage, Hello};

use super::{Admission, ConnectionId, DriverAdmission, GatewayEvent, Limits};

/// Room asked of the read buffer at a time, in bytes: the least, which heartbeats do not fill, and what it grows to
/// with a busy executor. Each idle connection holds the least.
const READ_CHUNK: usize = 512;
const LARGEST_READ_CHUNK: usize = 64 << 10;
/// Bytes of messages from which on no further one is written together with them.
const BATCH: usize = 64 << 10;

/// Acknowledgements that go in one frame.
const MOST_JOINED: usize = 4096;

/// What all connections share.
pub(super) struct Shared {
    pub(super) acceptor: TlsAcceptor,
    pub(super) epoch: Epoch,
    pub(super) limits: Limits,
    pub(super) events: mpsc::Sender<GatewayEvent>,
}

/// Why a connection ended, other than in peace.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("no {0} within {1:?}")]
    Late(&'static str, Duration),
    #[error("closed by the other side")]
    Closed,
    #[error("the connection broke off")]
    Lost,
    #[error("the first frame was no hello")]
    NoHello,
    #[error("a frame of another life")]
    OtherLife,
    #[error("replaced, given up or too slow")]
    Dropped,
    #[error("the ApplicationMaster is ending")]
    Ending,
}

/// Serves one connection to its end.
pub(super) async fn serve(tcp: TcpStream, id: ConnectionId, shared: Arc<Shared>) {
    let peer = tcp.peer_addr().ok();
    if let Err(ended) = converse(tcp, id, &shared).await {
        tracing::debug!(%id, ?peer, reason = %ended, "gateway connection ended");
    }
}

async fn converse(tcp: TcpStream, id: ConnectionId, shared: &Shared) -> Result<(), Ended> {
    // What a connection holds while it idles is held ten thousand times; room for its beginning goes with that.
    let mut link = Box::pin(FrameLink::accept(tcp, shared)).await?;
    let first = Box::pin(link.first_frame()).await?;
    link.boot = first.boot;
    match first.message {
        DialerMessage::Executor(ExecutorMessage::Hello(hello)) => {
            converse_with_executor(&mut link, id, first.epoch, hello).await
        }
        DialerMessage::Driver(DriverMessage::Hello(hello)) => {
            converse_with_driver(&mut link, id, first.epoch, hello).await
        }
        DialerMessage::Executor(_) | DialerMessage::Driver(_) => Err(Ended::NoHello),
    }
}

async fn converse_with_executor(
    link: &mut FrameLink<'_>,
    connection: ConnectionId,
    epoch: Epoch,
    hello: Hello,
) -> Result<(), Ended> {
    let executor = hello.executor.clone();
    let (reply, decision) = oneshot::channel();
    let event = GatewayEvent::Hello {
        connection,
        epoch,
        boot: link.boot,
        hello,
        reply,
    };
    match link.ask(event, decision).await? {
        Admission::Refused { reason, message } => {
            link.refuse(GatewayMessage::Refused { reason, message }).await
        }
        Admission::Admitted(inbox) => {
            let received = |messages| GatewayEvent::Received {
                connection,
                executor: executor.clone(),
                messages,
            };
            let silence = link.shared.limits.silence;
            let end = link.relay(inbox, silence, received).await;
            let reason = end.err().unwrap_or(Ended::Dropped).to_string();
            link.report(GatewayEvent::Closed {
                connection,
                executor,
                reason,
            })
            .await
        }
    }
}

async fn converse_with_driver(
    link: &mut FrameLink<'_>,
    connection: ConnectionId,
    epoch: Epoch,
    hello: DriverHello,
) -> Result<(), Ended> {
    let (reply, decision) = oneshot::channel();
    let event = GatewayEvent::DriverHello {
        connection,
        epoch,
        boot: link.boot,
        certificate: link.certificate(),
        hello,
        reply,
    };
    match link.ask(event, decision).await? {
        DriverAdmission::Refused { reason, message } => {
            link.refuse(LauncherMessage::Refused { reason, message }).await
        }
        DriverAdmission::Admitted(inbox) => {
            let received = |messages| GatewayEvent::DriverSaid { connection, messages };
            let silence = link.shared.limits.driver_silence;
            let end = link.relay(inbox, silence, received).await;
            let reason = end.err().unwrap_or(Ended::Dropped).to_string();
            link.report(GatewayEvent::DriverClosed { connection, reason })
                .await
        }
    }
}

/// A TLS stream that carries frames.
struct FrameLink<'a> {
    stream: TlsStream<TcpStream>,
    decoder: Decoder,
    out: BytesMut,
    /// Room to ask of the read buffer next.
    chunk: usize,
    boot: BootNonce,
    shared: &'a Shared,
}

impl<'a> FrameLink<'a> {
    async fn accept(tcp: TcpStream, shared: &'a Shared) -> Result<Self, Ended> {
        tcp.set_nodelay(true)?;
        let limit = shared.limits.handshake;
        let accepted = timeout(limit, shared.acceptor.accept(tcp)).await;
        let stream = accepted.map_err(|_| Ended::Late("TLS handshake", limit))??;
        Ok(Self {
            stream,
            decoder: Decoder::default(),
            out: BytesMut::new(),
            chunk: READ_CHUNK,
            boot: BootNonce(0),
            shared,
        })
    }

    async fn first_frame(&mut self) -> Result<Envelope<DialerMessage>, Ended> {
        let limit = self.shared.limits.handshake;
        timeout(limit, self.read())
            .await
            .map_err(|_| Ended::Late("hello", limit))?
    }

    /// The next frame. May be dropped while it waits: what has arrived stays in the decoder.
    async fn read<M: Framed>(&mut self) -> Result<Envelope<M>, Ended> {
        loop {
            if let Some(envelope) = self.decoder.next_frame()? {
                return Ok(envelope);
            }
            let chunk = self.chunk;
            let buffer = self.decoder.buffer();
            buffer.reserve(chunk);
            match self.stream.read_buf(buffer).await {
                Ok(0) => return Err(Ended::Closed),
                Ok(read) => self.chunk = next_chunk(chunk, read),
                // A process that dies says no goodbye in TLS either.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(Ended::Lost),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The certificate that the other side has proved to be its own, DER.
    fn certificate(&self) -> Vec<u8> {
        let (_, tls) = self.stream.get_ref();
        let chain = tls.peer_certificates().unwrap_or_default();
        chain.first().map(|own| own.to_vec()).unwrap_or_default()
    }

    async fn report(&self, event: GatewayEvent) -> Result<(), Ended> {
        self.shared.events.send(event).await.map_err(|_| Ended::Ending)
    }

    /// Reports a hello and awaits the decision.
    async fn ask<D>(&self, hello: GatewayEvent, decision: oneshot::Receiver<D>) -> Result<D, Ended> {
        self.report(hello).await?;
        decision.await.map_err(|_| Ended::Ending)
    }

    /// Carries messages both ways until one side ends. While the loop does not take what has arrived, nothing further
    /// is read: whoever sends too much is held back by its own connection. What the loop has to say goes out all the
    /// same, because it may be what the loop waits for.
    async fn relay<In: Framed, Out: Joined>(
        &mut self,
        mut inbox: mpsc::Receiver<Box<Out>>,
        silence: Duration,
        received: impl Fn(Vec<In>) -> GatewayEvent,
    ) -> Result<(), Ended> {
        let shared = self.shared;
        let mut arrived = None;
        let mut deadline = Instant::now() + silence;
        loop {
            tokio::select! {
                frame = timeout_at(deadline, self.read()), if arrived.is_none() => {
                    let frame = frame.map_err(|_| Ended::Late("frame", silence))??;
                    arrived = Some(self.judge_all(frame, &received)?);
                }
                place = shared.events.reserve(), if arrived.is_some() => {
                    let place = place.map_err(|_| Ended::Ending)?;
                    if let Some(event) = arrived.take() {
                        place.send(event);
                    }
                    deadline = Instant::now() + silence;
                }
                message = inbox.recv() => match message {
                    Some(message) => self.write_batch(*message, &mut inbox).await?,
                    None => return self.close().await,
                },
            }
        }
    }

    /// What a frame and those that have arrived with it mean to the loop; frames of another life never get there.
    fn judge_all<In: Framed>(
        &mut self,
        first: Envelope<In>,
        received: impl Fn(Vec<In>) -> GatewayEvent,
    ) -> Result<GatewayEvent, Ended> {
        let mut messages = Vec::new();
        let mut next = Some(first);
        while let Some(frame) = next {
            if frame.boot != self.boot {
                return Err(Ended::OtherLife);
            }
            if frame.epoch > self.shared.epoch {
                return Ok(GatewayEvent::HigherEpoch(frame.epoch));
            }
            messages.push(frame.message);
            next = self.decoder.next_frame()?;
        }
        Ok(received(messages))
    }

    async fn write_batch<Out: Joined>(
        &mut self,
        first: Out,
        inbox: &mut mpsc::Receiver<Box<Out>>,
    ) -> Result<(), Ended> {
        let mut last = first;
        while self.out.len() < BATCH
            && let Ok(message) = inbox.try_recv()
        {
            if let Some(message) = last.joined(*message) {
                self.encode(std::mem::replace(&mut last, message))?;
            }
        }
        self.encode(last)?;
        self.flush().await
    }

    fn encode<Out: Framed>(&mut self, message: Out) -> Result<(), Ended> {
        let envelope = Envelope {
            epoch: self.shared.epoch,
            boot: self.boot,
            message,
        };
        Ok(frame::encode(envelope, &mut self.out)?)
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        let limit = self.shared.limits.write;
        let out = self.out.split().freeze();
        let write = async {
            self.stream.write_all(&out).await?;
            self.stream.flush().await
        };
        Ok(timeout(limit, write)
            .await
            .map_err(|_| Ended::Late("room for a frame", limit))??)
    }

    async fn refuse(&mut self, refusal: impl Framed) -> Result<(), Ended> {
        self.encode(refusal)?;
        self.flush().await?;
        self.close().await
    }

    async fn close(&mut self) -> Result<(), Ended> {
        let limit = self.shared.limits.write;
        Ok(timeout(limit, self.stream.shutdown())
            .await
            .map_err(|_| Ended::Late("end", limit))??)
    }
}

/// Room for the next read: more when it was used up, less when little of it was.
fn next_chunk(chunk: usize, read: usize) -> usize {
    if read >= chunk {
        (chunk * 2).min(LARGEST_READ_CHUNK)
    } else if read < chunk / 4 {
        (chunk / 2).max(READ_CHUNK)
    } else {
        chunk
    }
}

/// Messages of which some can go as one.
trait Joined: Framed {
    /// Puts the next message to this one; gives back what cannot be put there.
    fn joined(&mut self, next: Self) -> Option<Self>;
}

impl Joined for GatewayMessage {
    fn joined(&mut self, next: Self) -> Option<Self> {
        match (self, next) {
            (Self::Acknowledge { sequences }, Self::Acknowledge { sequences: more })
                if sequences.len() < MOST_JOINED =>
            {
                sequences.extend(more);
                None
            }
            (_, next) => Some(next),
        }
    }
}

impl Joined for LauncherMessage {
    fn joined(&mut self, next: Self) -> Option<Self> {
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use wire::security::{self, ApplicationKeys};

    /// Beside it, a connection holds what rustls does: two keys, a certificate, and 4 KiB to read into.
    #[tokio::test]
    async fn the_task_of_a_connection_is_small() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let keys = ApplicationKeys::issue().unwrap();
        let shared = Shared {
            acceptor: TlsAcceptor::from(security::server_config(&keys.am).unwrap()),
            epoch: Epoch(1),
            limits: Limits::default(),
            events: mpsc::channel(1).0,
        };
        let task = serve(tcp, ConnectionId(1), Arc::new(shared));
        assert!(size_of_val(&task) <= 3500, "{} bytes", size_of_val(&task));
    }
}
