//! One executor's connection: bytes to frames and back, each step with its deadline.

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
use wire::frame::{self, Decoder, FrameError};
use wire::id::{BootNonce, Epoch};
use wire::message::{Envelope, ExecutorMessage, GatewayMessage};

use super::{Admission, ConnectionId, GatewayEvent, Limits};

/// Room asked of the read buffer at a time, in bytes: the least, which heartbeats do not fill, and what it grows to
/// with a busy executor.
const READ_CHUNK: usize = 2048;
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
    let peer = tcp
        .peer_addr()
        .map_or_else(|_| "unknown".to_owned(), |address| address.to_string());
    if let Err(ended) = converse(tcp, id, &shared).await {
        tracing::debug!(%id, peer, reason = %ended, "gateway connection ended");
    }
}

async fn converse(tcp: TcpStream, id: ConnectionId, shared: &Shared) -> Result<(), Ended> {
    let mut link = FrameLink::accept(tcp, shared).await?;
    let first = link.first_frame().await?;
    let ExecutorMessage::Hello(hello) = first.message else {
        return Err(Ended::NoHello);
    };
    let executor = hello.executor.clone();
    let (reply, decision) = oneshot::channel();
    let event = GatewayEvent::Hello {
        connection: id,
        epoch: first.epoch,
        boot: first.boot,
        hello,
        reply,
    };
    shared.events.send(event).await.map_err(|_| Ended::Ending)?;
    link.boot = first.boot;
    match decision.await.map_err(|_| Ended::Ending)? {
        Admission::Refused { reason, message } => {
            link.refuse(GatewayMessage::Refused { reason, message }).await
        }
        Admission::Admitted(inbox) => {
            let end = link.relay(id, &executor, inbox).await;
            let reason = end.err().unwrap_or(Ended::Dropped).to_string();
            let closed = GatewayEvent::Closed {
                connection: id,
                executor,
                reason,
            };
            shared.events.send(closed).await.map_err(|_| Ended::Ending)
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

    async fn first_frame(&mut self) -> Result<Envelope<ExecutorMessage>, Ended> {
        let limit = self.shared.limits.handshake;
        timeout(limit, self.read())
            .await
            .map_err(|_| Ended::Late("hello", limit))?
    }

    /// The next frame. May be dropped while it waits: what has arrived stays in the decoder.
    async fn read(&mut self) -> Result<Envelope<ExecutorMessage>, Ended> {
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

    /// Carries messages both ways until one side ends.
    async fn relay(
        &mut self,
        id: ConnectionId,
        executor: &wire::id::ExecutorId,
        mut inbox: mpsc::Receiver<GatewayMessage>,
    ) -> Result<(), Ended> {
        let silence = self.shared.limits.silence;
        let mut deadline = Instant::now() + silence;
        loop {
            tokio::select! {
                frame = timeout_at(deadline, self.read()) => {
                    let frame = frame.map_err(|_| Ended::Late("frame", silence))??;
                    deadline = Instant::now() + silence;
                    let event = self.judge_all(id, executor, frame)?;
                    self.shared.events.send(event).await.map_err(|_| Ended::Ending)?;
                }
                message = inbox.recv() => match message {
                    Some(message) => self.write_batch(message, &mut inbox).await?,
                    None => return self.close().await,
                },
            }
        }
    }

    /// What a frame and those that have arrived with it mean to the loop; frames of another life never get there.
    fn judge_all(
        &mut self,
        connection: ConnectionId,
        executor: &wire::id::ExecutorId,
        first: Envelope<ExecutorMessage>,
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
        Ok(GatewayEvent::Received {
            connection,
            executor: executor.clone(),
            messages,
        })
    }

    async fn write_batch(
        &mut self,
        first: GatewayMessage,
        inbox: &mut mpsc::Receiver<GatewayMessage>,
    ) -> Result<(), Ended> {
        let mut last = first;
        while self.out.len() < BATCH
            && let Ok(message) = inbox.try_recv()
        {
            if let Some(message) = joined(&mut last, message) {
                self.encode(std::mem::replace(&mut last, message))?;
            }
        }
        self.encode(last)?;
        self.flush().await
    }

    fn encode(&mut self, message: GatewayMessage) -> Result<(), Ended> {
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

    async fn refuse(&mut self, refusal: GatewayMessage) -> Result<(), Ended> {
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

/// Puts an acknowledgement to the one before it; gives back what cannot be put there.
fn joined(last: &mut GatewayMessage, next: GatewayMessage) -> Option<GatewayMessage> {
    match (last, next) {
        (GatewayMessage::Acknowledge { sequences }, GatewayMessage::Acknowledge { sequences: more })
            if sequences.len() < MOST_JOINED =>
        {
            sequences.extend(more);
            None
        }
        (_, next) => Some(next),
    }
}
