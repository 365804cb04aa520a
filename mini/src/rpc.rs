//! Hadoop RPC servers: one task per connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hadoop::ids::ApplicationAttemptId;
use hadoop::sasl::Qop;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use yarn_rpc::connection::{Secrets, ServerCall, ServerConnection, ServerEvent, ServerSettings, ServerUser};

use crate::door::{self, Doorway};
use crate::failure::{Failure, INVALID_TOKEN};
use crate::faults::{Faults, Verdict};
use crate::peer::is_ours;

/// Bytes read at a time.
const BUFFER: usize = 64 << 10;

/// What answers calls.
pub(crate) trait Service: Send + Sync + 'static {
    /// The interface that is served.
    fn protocol(&self) -> &'static str;

    /// The password of a token, if it is valid now.
    fn password(&self, identifier: &[u8]) -> Option<Vec<u8>>;

    /// What is said of a token that is not valid.
    fn refusal(&self, _identifier: &[u8]) -> String {
        "this token is not known".to_owned()
    }

    /// The name of a token's holder, where that is an attempt.
    fn holder(&self, _identifier: &[u8]) -> Option<ApplicationAttemptId> {
        None
    }

    /// How callers may say who they are.
    fn offers(&self, nonce: String, protection: Vec<Qop>) -> ServerSettings {
        ServerSettings::token(nonce, protection)
    }

    /// Whether a name is enough, so that only processes of our own user may come.
    fn takes_names(&self) -> bool {
        false
    }

    /// Answers a call. No call waits for anything.
    fn call(&self, caller: &ServerUser, method: &str, body: &[u8]) -> Result<Vec<u8>, Failure>;
}

/// The tokens that a service takes.
struct TokensOf<'a>(&'a dyn Service);

impl Secrets for TokensOf<'_> {
    fn password(&self, identifier: &[u8]) -> Option<Vec<u8>> {
        self.0.password(identifier)
    }

    fn refusal(&self, identifier: &[u8]) -> String {
        self.0.refusal(identifier)
    }

    fn holder(&self, identifier: &[u8]) -> Option<String> {
        self.0.holder(identifier).map(|attempt| attempt.to_string())
    }
}

/// The identifier of the caller's token; empty if he has none.
pub(crate) fn token_of(caller: &ServerUser) -> &[u8] {
    match caller {
        ServerUser::Token(identifier) => identifier,
        ServerUser::Simple(_) => &[],
    }
}

/// What all connections of a server share.
pub(crate) struct Server {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) protection: Vec<Qop>,
    pub(crate) faults: Arc<Faults>,
    /// Whether others than our own user may connect.
    pub(crate) exposed: bool,
    /// The number of the node that is served, from 1; none for a ResourceManager.
    pub(crate) node: Option<usize>,
}

/// Serves until `ended` says so.
pub(crate) async fn serve(
    listener: TcpListener,
    server: Server,
    doorway: Doorway,
    ended: watch::Receiver<bool>,
) {
    let server = Arc::new(server);
    let connection = move |stream, peer, doorway| connection(stream, peer, doorway, server.clone());
    door::serve(listener, doorway, ended, connection).await;
}

async fn connection(stream: TcpStream, peer: SocketAddr, doorway: Doorway, server: Arc<Server>) {
    if server.service.takes_names() && !server.exposed {
        match stream.local_addr() {
            Ok(own) if is_ours(peer, own).await => {}
            Ok(_) | Err(_) => return tracing::warn!(%peer, "a connection of another user was refused"),
        }
    }
    if let Err(error) = talk(stream, doorway, &server).await {
        tracing::debug!(%peer, %error, "an RPC connection failed");
    }
}

async fn talk(mut stream: TcpStream, mut doorway: Doorway, server: &Server) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut machine = ServerConnection::new(server.service.offers(nonce()?, server.protection.clone()));
    let secrets = TokensOf(&*server.service);
    let mut caller = ServerUser::Simple(String::new());
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        doorway.pass().await;
        machine.receive(&buffer[..count], &secrets);
        while let Some(event) = machine.next_event() {
            match event {
                ServerEvent::Ready(user) => caller = user,
                ServerEvent::Failed(_) => {}
                ServerEvent::Call(call) => {
                    if !answer(&mut machine, server, &caller, &call).await {
                        return Ok(());
                    }
                }
            }
        }
        doorway.pass().await;
        stream.write_all(&machine.take_output()).await?;
        if machine.is_over() {
            return Ok(());
        }
    }
}

/// Answers a call; false if the connection is to be lost instead.
async fn answer(
    machine: &mut ServerConnection,
    server: &Server,
    caller: &ServerUser,
    call: &ServerCall,
) -> bool {
    let verdict = server.faults.of_call(&call.method, server.node);
    if let Verdict::Fail(failure) = &verdict {
        machine.respond_error(call.id, &failure.class, &failure.message);
        return true;
    }
    if verdict == Verdict::LoseRequest {
        return false;
    }
    let result = call_of(server, caller, call);
    match verdict {
        Verdict::LoseAnswer => return false,
        Verdict::Delay(time) => tokio::time::sleep(time).await,
        Verdict::Duplicate => respond(machine, call, &result),
        Verdict::Pass | Verdict::LoseRequest | Verdict::Fail(_) => {}
    }
    respond(machine, call, &result);
    true
}

fn respond(machine: &mut ServerConnection, call: &ServerCall, result: &Result<Vec<u8>, Failure>) {
    match result {
        Ok(body) => machine.respond(call.id, body),
        Err(failure) => machine.respond_error(call.id, &failure.class, &failure.message),
    }
}

fn call_of(server: &Server, caller: &ServerUser, call: &ServerCall) -> Result<Vec<u8>, Failure> {
    let served = server.service.protocol();
    if call.protocol != served {
        let text = format!("Unknown protocol: {}", call.protocol);
        return Err(Failure::new(
            "org.apache.hadoop.ipc.RpcNoSuchProtocolException",
            text,
        ));
    }
    server.service.call(caller, &call.method, &call.body)
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
    failure.class == INVALID_TOKEN || failure.message.starts_with("java.io.IOException: ")
}

fn nonce() -> io::Result<String> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
