//! Hadoop RPC servers: one accepting task per service, one task per connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hadoop::sasl::Qop;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use yarn_rpc::connection::{ServerCall, ServerConnection, ServerEvent, ServerSettings, ServerUser};

use crate::failure::{Failure, INVALID_TOKEN};
use crate::faults::{Faults, Verdict};
use crate::tasks::over;

/// Bytes read at a time.
const BUFFER: usize = 64 << 10;
/// Pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What answers calls.
pub(crate) trait Service: Send + Sync + 'static {
    /// The interface that is served.
    fn protocol(&self) -> &'static str;

    /// The password of a token, if it is valid now.
    fn password(&self, identifier: &[u8]) -> Option<Vec<u8>>;

    /// Answers a call of the holder of a token. No call waits for anything.
    fn call(&self, token: &[u8], method: &str, body: &[u8]) -> Result<Vec<u8>, Failure>;
}

/// What all connections of a server share.
pub(crate) struct Server {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) protection: Vec<Qop>,
    pub(crate) faults: Arc<Faults>,
    /// Changes when all connections are to be lost.
    pub(crate) restarts: watch::Receiver<u32>,
}

/// Serves until `ended` says so.
pub(crate) async fn serve(listener: TcpListener, server: Server, mut ended: watch::Receiver<bool>) {
    let server = Arc::new(server);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, server.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "an RPC server cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(over) = connections.join_next(), if !connections.is_empty() => {
                if let Some(error) = over.err().filter(tokio::task::JoinError::is_panic) {
                    tracing::error!(%error, "an RPC connection panicked");
                }
            }
            () = over(&mut ended) => return,
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, server: Arc<Server>) {
    if let Err(error) = talk(stream, &server).await {
        tracing::debug!(%peer, %error, "an RPC connection failed");
    }
}

async fn talk(mut stream: TcpStream, server: &Server) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let settings = ServerSettings::token(nonce()?, server.protection.clone());
    let mut machine = ServerConnection::new(settings);
    let secrets = |identifier: &[u8]| server.service.password(identifier);
    let mut restarts = server.restarts.clone();
    restarts.mark_unchanged();
    let mut token = Vec::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = tokio::select! {
            count = stream.read(&mut buffer) => count?,
            () = restarted(&mut restarts) => return Ok(()),
        };
        if count == 0 {
            return Ok(());
        }
        machine.receive(&buffer[..count], &secrets);
        while let Some(event) = machine.next_event() {
            match event {
                ServerEvent::Ready(ServerUser::Token(identifier)) => token = identifier,
                ServerEvent::Ready(ServerUser::Simple(_)) | ServerEvent::Failed(_) => {}
                ServerEvent::Call(call) => {
                    if !answer(&mut machine, server, &token, &call).await {
                        return Ok(());
                    }
                }
            }
        }
        stream.write_all(&machine.take_output()).await?;
        if machine.is_over() {
            return Ok(());
        }
    }
}

/// Waits for the next restart; there is none where nobody could order it.
async fn restarted(restarts: &mut watch::Receiver<u32>) {
    if restarts.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Answers a call; false if the connection is to be lost instead.
async fn answer(machine: &mut ServerConnection, server: &Server, token: &[u8], call: &ServerCall) -> bool {
    let verdict = server.faults.verdict(&call.method);
    if let Verdict::Fail(failure) = &verdict {
        machine.respond_error(call.id, &failure.class, &failure.message);
        return true;
    }
    if let Verdict::LoseRequest = verdict {
        return false;
    }
    let result = call_of(server, token, call);
    match verdict {
        Verdict::LoseAnswer => return false,
        Verdict::Delay(time) => tokio::time::sleep(time).await,
        Verdict::Pass | Verdict::LoseRequest | Verdict::Fail(_) => {}
    }
    match result {
        Ok(body) => machine.respond(call.id, &body),
        Err(failure) => machine.respond_error(call.id, &failure.class, &failure.message),
    }
    true
}

fn call_of(server: &Server, token: &[u8], call: &ServerCall) -> Result<Vec<u8>, Failure> {
    let served = server.service.protocol();
    if call.protocol != served {
        let text = format!("Unknown protocol: {}", call.protocol);
        return Err(Failure::new(
            "org.apache.hadoop.ipc.RpcNoSuchProtocolException",
            text,
        ));
    }
    server.service.call(token, &call.method, &call.body)
}

/// Decodes a request.
pub(crate) fn decoded<M: prost::Message + Default>(body: &[u8]) -> Result<M, Failure> {
    M::decode(body).map_err(|error| {
        Failure::new(
            "com.google.protobuf.InvalidProtocolBufferException",
            error.to_string(),
        )
    })
}

/// Whether an exception concerns a whole call of several containers.
pub(crate) fn ends_call(failure: &Failure) -> bool {
    failure.class == INVALID_TOKEN || failure.class == "java.io.IOException"
}

fn nonce() -> io::Result<String> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
