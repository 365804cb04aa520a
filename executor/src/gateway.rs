//! The connection to the ApplicationMaster's gateway: TLS with both sides authenticated, frames both ways. Executors
//! dial with it, and in client mode the driver.
//!
//! Every wait has its deadline: dialing here, answers in the session (silence ends a connection).

use std::future::{Future, pending, poll_fn};
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wire::frame::{self, Decoder, FrameError, Framed};
use wire::message::Envelope;
use wire::security;

use crate::settings::whole_chain;

/// What may wait to be sent, in bytes. A gateway that takes nothing for so long is as good as gone.
const UNSENT_LIMIT: usize = 64 << 20;

/// What is not sent at once, in bytes: a record of TLS.
const HELD: usize = 16 << 10;

/// Makes a connection, handshake included, within `limit`.
///
/// # Errors
/// A text that says at which step it failed.
pub async fn dial<Out: Framed, In: Framed>(
    address: String,
    limit: Duration,
    config: Arc<ClientConfig>,
) -> Result<Connection<Out, In>, String> {
    let steps = async {
        let stream = TcpStream::connect(&address)
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        // Frames are small and each is wanted at once.
        stream
            .set_nodelay(true)
            .map_err(|error| format!("cannot set up the connection: {error}"))?;
        let connected = TlsConnector::from(config)
            .connect(security::server_name(), stream)
            .await;
        connected.map_err(|error| format!("no secure connection: {}", whole_chain(&error)))
    };
    let limited = tokio::time::timeout(limit, steps).await;
    let stream = limited.unwrap_or_else(|_| Err(format!("no connection within {limit:?}")));
    stream
        .map(Connection::new)
        .map_err(|error| format!("{address}: {error}"))
}

/// A connection that is being made; `E` says why it could not be.
pub type Dialing<Out, In, E> = Pin<Box<dyn Future<Output = Result<Connection<Out, In>, E>>>>;

/// What is known of a connection with the gateway.
#[expect(missing_debug_implementations, reason = "a future has nothing to show")]
pub enum Line<Out, In, E = String> {
    /// There is none.
    Down,
    /// It is being made.
    Dialing(Dialing<Out, In, E>),
    /// It stands.
    Up(Box<Connection<Out, In>>),
}

/// What happened on a [`Line`].
#[derive(Debug)]
pub enum LineEvent<Out, In, E = String> {
    /// The connection was made, or not.
    Dialed(Result<Box<Connection<Out, In>>, E>),
    /// A frame arrived, or the connection is over.
    Frame(Result<Box<Envelope<In>>, String>),
}

impl<Out: Framed, In: Framed, E> Line<Out, In, E> {
    /// The next thing that happens on the line; nothing while it is down. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> LineEvent<Out, In, E> {
        match self {
            Self::Down => pending().await,
            Self::Dialing(dialing) => LineEvent::Dialed(dialing.await.map(Box::new)),
            Self::Up(connection) => LineEvent::Frame(connection.next().await.map(Box::new)),
        }
    }
}

/// Why a connection is over. A process that dies says no goodbye in TLS, which rustls reports with a link to its manual.
fn broken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the gateway ended the connection without a goodbye".to_owned(),
        _ => format!("the connection broke: {error}"),
    }
}

/// A connection with the gateway, on which `Out` is sent and `In` received.
#[derive(Debug)]
pub struct Connection<Out, In> {
    stream: TlsStream<TcpStream>,
    decoder: Decoder,
    unsent: BytesMut,
    flushed: bool,
    /// Nothing is sent yet.
    held: bool,
    messages: PhantomData<fn(Out) -> In>,
}

impl<Out: Framed, In: Framed> Connection<Out, In> {
    fn new(stream: TlsStream<TcpStream>) -> Self {
        Self {
            stream,
            decoder: Decoder::default(),
            unsent: BytesMut::new(),
            flushed: true,
            held: false,
            messages: PhantomData,
        }
    }

    /// Takes a frame to be sent while [`Connection::next`] or [`Connection::finish`] runs.
    ///
    /// # Errors
    /// When the frame cannot be encoded, or far too much waits to be sent.
    pub fn send(&mut self, envelope: Envelope<Out>) -> Result<(), String> {
        frame::encode(envelope, &mut self.unsent).map_err(|error| error.to_string())?;
        self.flushed = false;
        if self.unsent.len() > UNSENT_LIMIT {
            return Err("the gateway takes nothing".to_owned());
        }
        Ok(())
    }

    /// The next frame; sends meanwhile. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// Why the connection is over.
    pub async fn next(&mut self) -> Result<Envelope<In>, String> {
        loop {
            match self.decoder.next_frame() {
                Ok(Some(envelope)) => return Ok(envelope),
                Ok(None) => {}
                // A newer minor version of the protocol may say more than we understand.
                Err(FrameError::Unknown) => continue,
                Err(error) => return Err(error.to_string()),
            }
            let read = poll_fn(|context| self.poll_exchange(context)).await;
            match read {
                Ok(0) => return Err("the gateway closed the connection".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    /// Whether what is to be sent waits for more; not [`HELD`] bytes of it.
    pub(crate) fn hold(&mut self, hold: bool) {
        self.held = hold && self.unsent.len() < HELD;
    }

    /// Writes what can be written at once, unless it waits; what goes wrong is seen by [`Connection::next`].
    pub(crate) async fn push(&mut self) {
        if !self.flushed && !self.held {
            poll_fn(|context| {
                let _seen_later = self.poll_send(context);
                Poll::Ready(())
            })
            .await;
        }
    }

    /// Sends what waits and says that nothing follows.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn finish(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_send(context)).await?;
        poll_fn(|context| Pin::new(&mut self.stream).poll_shutdown(context)).await
    }

    /// Writes what can be written, and is ready when something was read.
    fn poll_exchange(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !self.held
            && let Poll::Ready(Err(error)) = self.poll_send(context)
        {
            return Poll::Ready(Err(error));
        }
        let mut chunk = [0; 8 << 10];
        let mut buffer = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        self.decoder.feed(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.unsent))?;
            self.unsent.advance(written);
        }
        if !self.flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_died_is_told_in_our_words() {
        let eof = io::Error::new(io::ErrorKind::UnexpectedEof, "see https://docs.rs/");
        assert_eq!(broken(&eof), "the gateway ended the connection without a goodbye");
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(broken(&reset), "the connection broke: connection reset");
    }
}
