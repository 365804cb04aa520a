//! The task that owns one connection.

use crate::connection::{CallError, CallId, ClientConnection, ClientEvent, ConnectionError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// Calls that wait for the task to take them.
const QUEUE: usize = 64;
/// Bytes read at once.
const READ: usize = 8 * 1024;

/// A connection that is authenticated. The task ends when the last clone is gone.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    address: Arc<str>,
    calls: mpsc::Sender<Outgoing>,
    task: AbortHandle,
}

type Answer = Result<Vec<u8>, CallError>;

#[derive(Debug)]
struct Outgoing {
    method: &'static str,
    body: Vec<u8>,
    answer: oneshot::Sender<Answer>,
}

impl Connection {
    /// Authenticates on a fresh stream; returns when that is done.
    pub(super) async fn open(
        address: &str,
        stream: TcpStream,
        machine: ClientConnection,
        idle_close: Option<Duration>,
    ) -> Result<Self, ConnectionError> {
        let mut task = Task {
            stream,
            machine,
            waiting: BTreeMap::new(),
            idle_close,
        };
        task.authenticate().await?;
        let (calls, queue) = mpsc::channel(QUEUE);
        let name: Arc<str> = address.into();
        let watched = name.clone();
        let task = tokio::spawn(async move {
            let end = task.serve(queue).await;
            tracing::debug!(address = &*watched, ?end, "connection over");
        });
        Ok(Self {
            address: name,
            calls,
            task: task.abort_handle(),
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn is_open(&self) -> bool {
        !self.calls.is_closed()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.calls.same_channel(&other.calls)
    }

    /// Ends the connection; calls under way fail.
    pub(super) fn give_up(&self) {
        self.task.abort();
    }

    /// Makes a call; `None` when the connection ended before it took the call.
    pub(super) async fn call(&self, method: &'static str, body: Vec<u8>) -> Option<Answer> {
        let (answer, answered) = oneshot::channel();
        self.calls.send(Outgoing { method, body, answer }).await.ok()?;
        // The task may be ended, or panic: then its end of the channel is gone.
        Some(
            answered
                .await
                .unwrap_or(Err(CallError::Connection(ConnectionError::Closed))),
        )
    }
}

struct Task {
    stream: TcpStream,
    machine: ClientConnection,
    waiting: BTreeMap<CallId, oneshot::Sender<Answer>>,
    idle_close: Option<Duration>,
}

impl Task {
    async fn authenticate(&mut self) -> Result<(), ConnectionError> {
        let mut buffer = [0; 2048];
        loop {
            self.flush().await;
            match self.machine.next_event() {
                Some(ClientEvent::Ready { .. }) => return Ok(()),
                Some(ClientEvent::Failed(error)) => return Err(error),
                Some(ClientEvent::Answer { .. }) => {}
                None => {
                    let count = self.stream.read(&mut buffer).await;
                    self.received(count.ok().map(|count| &buffer[..count]));
                }
            }
        }
    }

    async fn serve(mut self, mut queue: mpsc::Receiver<Outgoing>) -> ConnectionError {
        let mut buffer = vec![0; READ];
        loop {
            self.flush().await;
            if let Some(end) = self.deliver() {
                return end;
            }
            // Nobody can ask any more, and nobody waits.
            if queue.is_closed() && queue.is_empty() && self.waiting.values().all(oneshot::Sender::is_closed)
            {
                return ConnectionError::Closed;
            }
            let idle = self.idle_close.filter(|_| self.waiting.is_empty());
            tokio::select! {
                Some(call) = queue.recv() => self.call(call),
                count = self.stream.read(&mut buffer) => {
                    self.received(count.ok().map(|count| &buffer[..count]));
                }
                // Calls that are in the queue by now are still made; later ones find it closed.
                () = tokio::time::sleep(idle.unwrap_or_default()), if idle.is_some() => queue.close(),
            }
        }
    }

    fn call(&mut self, call: Outgoing) {
        let id = self.machine.call(call.method, &call.body);
        self.waiting.insert(id, call.answer);
    }

    /// Bytes of the socket; none, or a failure to read, is its end.
    fn received(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) if !bytes.is_empty() => self.machine.receive(bytes),
            _ => self.machine.end_of_stream(),
        }
    }

    /// Sends what is to be sent. A failure shows as the end of the stream, after the server's last words are read.
    async fn flush(&mut self) {
        let output = self.machine.take_output();
        if !output.is_empty()
            && let Err(error) = self.stream.write_all(&output).await
        {
            tracing::debug!(%error, "write failed");
        }
    }

    /// Hands out answers; gives the reason when the connection is over.
    fn deliver(&mut self) -> Option<ConnectionError> {
        while let Some(event) = self.machine.next_event() {
            match event {
                ClientEvent::Answer { call, result } => {
                    if let Some(answer) = self.waiting.remove(&call) {
                        // Whoever asked may have given up waiting.
                        let _ = answer.send(result);
                    }
                }
                ClientEvent::Failed(error) => return Some(error),
                ClientEvent::Ready { .. } => {}
            }
        }
        None
    }
}
