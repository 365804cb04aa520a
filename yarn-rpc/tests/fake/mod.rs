//! A service on a loopback port: the server machine, and a function that answers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use yarn_rpc::connection::{CallId, Secrets, ServerConnection, ServerEvent, ServerSettings};

/// What the fake does with a call.
pub(crate) enum Reply {
    Answer(Vec<u8>),
    Throw(&'static str, &'static str),
    Fatal(&'static str, &'static str),
    /// No answer, ever.
    Silence,
    /// Answered after the next call.
    Hold(Vec<u8>),
    /// The connection is closed without an answer.
    Close,
}

type Handler = dyn FnMut(&str, &[u8]) -> Reply + Send;

/// Ends with all its connections when dropped.
pub(crate) struct Fake {
    pub(crate) address: String,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

struct Service {
    settings: ServerSettings,
    handler: Mutex<Box<Handler>>,
}

struct Password;

impl Secrets for Password {
    fn password(&self, identifier: &[u8]) -> Option<Vec<u8>> {
        Some([b"secret of ", identifier].concat())
    }
}

/// The token with this identifier that every fake accepts.
pub(crate) fn token(identifier: &[u8]) -> hadoop::credentials::Token {
    hadoop::credentials::Token {
        identifier: identifier.to_vec(),
        password: [b"secret of ", identifier].concat(),
        kind: "k".into(),
        service: String::new(),
    }
}

/// An address on which nobody listens.
pub(crate) async fn dead_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

impl Fake {
    pub(crate) async fn start(
        settings: ServerSettings,
        handler: impl FnMut(&str, &[u8]) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let service = Arc::new(Service {
            settings,
            handler: Mutex::new(Box::new(handler)),
        });
        let mut tasks = JoinSet::new();
        let count = connections.clone();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                open.spawn(serve(stream, service.clone()));
            }
        });
        Self {
            address: address.to_string(),
            connections,
            _tasks: tasks,
        }
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn socket_address(&self) -> SocketAddr {
        self.address.parse().unwrap()
    }
}

async fn serve(mut stream: TcpStream, service: Arc<Service>) {
    let mut machine = ServerConnection::new(service.settings.clone());
    let mut held: Vec<(CallId, Vec<u8>)> = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        while let Some(event) = machine.next_event() {
            let ServerEvent::Call(call) = event else { continue };
            let reply = (service.handler.lock().unwrap())(&call.method, &call.body);
            match reply {
                Reply::Answer(body) => machine.respond(call.id, &body),
                Reply::Throw(class, text) => machine.respond_error(call.id, class, text),
                Reply::Fatal(class, text) => machine.respond_fatal(call.id, class, text),
                Reply::Hold(body) => {
                    held.push((call.id, body));
                    continue;
                }
                Reply::Silence => {}
                Reply::Close => return,
            }
            held.drain(..).for_each(|(id, body)| machine.respond(id, &body));
        }
        if stream.write_all(&machine.take_output()).await.is_err() || machine.is_over() {
            return;
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => machine.receive(&buffer[..count], &Password),
        }
    }
}
