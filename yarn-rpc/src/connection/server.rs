//! The side that answers: for test clusters and in-process tests.

use super::frame::{self, FrameBuffer};
use super::refusal::{ACCESS_CONTROL, Fatal, INVALID_TOKEN, IPC_EXCEPTION, SASL_EXCEPTION};
use super::request::{AUTH_NONE, AUTH_SASL, MAGIC};
use super::wrapping::Wrapping;
use super::{CallId, ConnectionError};
use crate::proto::common::{
    IpcConnectionContextProto, RequestHeaderProto, RpcRequestHeaderProto, RpcResponseHeaderProto,
    RpcSaslProto,
    rpc_response_header_proto::{RpcErrorCodeProto, RpcStatusProto},
    rpc_sasl_proto::{SaslAuth, SaslState},
};
use bytes::Bytes;
use hadoop::sasl::Qop;
use hadoop::sasl::digest::{DigestError, Server};
use std::collections::VecDeque;

/// Knows the passwords of tokens.
pub trait Secrets {
    /// The password of a token identifier, or nothing if it is not (or not any more) valid.
    fn password(&self, identifier: &[u8]) -> Option<Vec<u8>>;

    /// What is said of an identifier that has no password.
    fn refusal(&self, identifier: &[u8]) -> String {
        let _ = identifier;
        DigestError::UnknownIdentifier(Vec::new()).to_string()
    }

    /// The name of a token's holder, which clients may repeat in their context. None: they must not name anybody.
    fn holder(&self, identifier: &[u8]) -> Option<String> {
        let _ = identifier;
        None
    }
}

impl<F: Fn(&[u8]) -> Option<Vec<u8>>> Secrets for F {
    fn password(&self, identifier: &[u8]) -> Option<Vec<u8>> {
        self(identifier)
    }
}

/// What a server offers.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Random text, used once.
    pub nonce: String,
    /// Protections offered to tokens, in order; empty for a server that takes no tokens.
    pub token: Vec<Qop>,
    /// Whether a name alone is enough.
    pub simple: bool,
}

impl ServerSettings {
    /// Takes a name without proof, no tokens.
    pub fn simple(nonce: impl Into<String>) -> Self {
        Self {
            nonce: nonce.into(),
            token: Vec::new(),
            simple: true,
        }
    }

    /// Takes tokens only, as the ResourceManager's scheduler and every NodeManager do.
    pub fn token(nonce: impl Into<String>, qops: Vec<Qop>) -> Self {
        Self {
            nonce: nonce.into(),
            token: qops,
            simple: false,
        }
    }
}

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerUser {
    /// The holder of this token.
    Token(Vec<u8>),
    /// Somebody who says so.
    Simple(String),
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerCall {
    /// To answer it with.
    pub id: CallId,
    /// Interface.
    pub protocol: String,
    /// Method.
    pub method: String,
    /// The encoded request message.
    pub body: Vec<u8>,
}

/// What happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent {
    /// Authenticated, and the context has come.
    Ready(ServerUser),
    /// A call to answer by [`ServerConnection::respond`] or [`ServerConnection::respond_error`].
    Call(ServerCall),
    /// Over: send the output that is left and close.
    Failed(ConnectionError),
}

/// The server's end of one connection. See the [module](super).
pub struct ServerConnection {
    settings: ServerSettings,
    phase: Phase,
    user: Option<ServerUser>,
    wrapping: Option<Wrapping>,
    input: FrameBuffer,
    output: Vec<u8>,
    events: VecDeque<ServerEvent>,
    client_id: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Header,
    Sasl,
    Context,
    Open,
    Over,
}

impl ServerConnection {
    /// A connection of which nothing has come yet.
    pub fn new(settings: ServerSettings) -> Self {
        Self {
            settings,
            phase: Phase::Header,
            user: None,
            wrapping: None,
            input: FrameBuffer::default(),
            output: Vec::new(),
            events: VecDeque::new(),
            client_id: Vec::new(),
        }
    }

    /// Takes in bytes as they came from the socket.
    pub fn receive(&mut self, bytes: &[u8], secrets: &dyn Secrets) {
        if self.phase == Phase::Over {
            return;
        }
        self.input.push(bytes);
        if let Err(fatal) = self.work_off(secrets) {
            self.refuse(&fatal);
        }
    }

    /// The socket has no more bytes.
    pub fn end_of_stream(&mut self) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            self.events
                .push_back(ServerEvent::Failed(ConnectionError::Closed));
        }
    }

    /// The bytes to send now.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The next thing that happened.
    pub fn next_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// Whether nothing more will be read or answered.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Answers a call with an encoded response message.
    pub fn respond(&mut self, call: CallId, body: &[u8]) {
        let header = self.header(call, RpcStatusProto::Success);
        self.send(&frame::encode(&[&header], Some(body)));
    }

    /// Answers a call with an exception: Java class name, and message (a stack trace may follow it).
    pub fn respond_error(&mut self, call: CallId, class: &str, message: &str) {
        let header = RpcResponseHeaderProto {
            exception_class_name: Some(class.to_owned()),
            error_msg: Some(message.to_owned()),
            error_detail: Some(detail(class) as i32),
            ..self.header(call, RpcStatusProto::Error)
        };
        self.send(&frame::encode(&[&header], None));
    }

    /// Ends the connection with an exception.
    pub fn respond_fatal(&mut self, call: CallId, class: &'static str, message: &str) {
        self.refuse(&Fatal::unauthorized(call, class, message));
    }

    fn header(&self, call: CallId, status: RpcStatusProto) -> RpcResponseHeaderProto {
        RpcResponseHeaderProto {
            call_id: call.0 as u32,
            status: status as i32,
            server_ipc_version_num: Some(9),
            client_id: Some(self.client_id.clone()),
            retry_count: Some(0),
            ..Default::default()
        }
    }

    fn send(&mut self, frame: &[u8]) {
        match &mut self.wrapping {
            _ if self.phase == Phase::Over => {}
            None => self.output.extend_from_slice(frame),
            Some(wrapping) => {
                let messages: Vec<_> = wrapping.wrap(frame).collect();
                messages.iter().for_each(|message| self.send_sasl(message));
            }
        }
    }

    fn send_sasl(&mut self, message: &RpcSaslProto) {
        let header = RpcResponseHeaderProto {
            call_id: CallId::SASL.0 as u32,
            status: RpcStatusProto::Success as i32,
            ..Default::default()
        };
        self.output.extend(frame::encode(&[&header, message], None));
    }

    fn refuse(&mut self, fatal: &Fatal) {
        let header = RpcResponseHeaderProto {
            exception_class_name: Some(fatal.class.to_owned()),
            error_msg: Some(fatal.message.clone()),
            error_detail: Some(fatal.code as i32),
            ..self.header(fatal.call, RpcStatusProto::Fatal)
        };
        self.send(&frame::encode(&[&header], None));
        self.phase = Phase::Over;
        let exception = crate::error::RemoteException::new(fatal.class, &fatal.message);
        self.events
            .push_back(ServerEvent::Failed(ConnectionError::Refused(exception)));
    }

    fn work_off(&mut self, secrets: &dyn Secrets) -> Result<(), Fatal> {
        if self.phase == Phase::Header {
            let Some(header) = self.input.take_prefix(MAGIC.len() + 1) else {
                return Ok(());
            };
            self.connection_header(&header)?;
        }
        while let Some(frame) = self.input.next()? {
            self.outer_frame(frame, secrets)?;
        }
        Ok(())
    }

    fn connection_header(&mut self, header: &[u8]) -> Result<(), Fatal> {
        let (magic, auth) = header.split_at(MAGIC.len());
        if magic.starts_with(b"GET ") {
            self.output.extend_from_slice(NO_WEB_PAGES);
            self.phase = Phase::Over;
            return Ok(());
        }
        if magic != MAGIC {
            return Err(Fatal::version(magic[4]));
        }
        match auth {
            [AUTH_NONE] if self.settings.simple => self.phase = Phase::Context,
            [AUTH_SASL] => self.phase = Phase::Sasl,
            [AUTH_NONE] | [] => {
                let text = self.not_enabled("SIMPLE");
                return Err(Fatal::unauthorized(CallId(-1), ACCESS_CONTROL, text));
            }
            [other, ..] => {
                let text = format!("Unknown auth protocol:{other}");
                return Err(Fatal::unauthorized(CallId(-1), IPC_EXCEPTION, text));
            }
        }
        Ok(())
    }

    fn not_enabled(&self, method: &str) -> String {
        let offers: Vec<String> = self.offers().into_iter().map(|offer| offer.method).collect();
        format!(
            "{method} authentication is not enabled.  Available:[{}]",
            offers.join(", ")
        )
    }

    fn outer_frame(&mut self, mut frame: Bytes, secrets: &dyn Secrets) -> Result<(), Fatal> {
        let header = request_header(&mut frame)?;
        let call = CallId(header.call_id);
        let Some(wrapping) = &mut self.wrapping else {
            return self.frame(&header, frame, secrets);
        };
        if call != CallId::SASL {
            // Live servers execute frames in the clear; this one is strict so that tests notice.
            return Err(Fatal::bad_header(call, "unprotected frame"));
        }
        wrapping.push(&frame::decode(&mut frame, "SASL message")?)?;
        while let Some(mut inner) = self.wrapping.as_mut().map(Wrapping::next).transpose()?.flatten() {
            let header = request_header(&mut inner)?;
            self.frame(&header, inner, secrets)?;
        }
        Ok(())
    }

    fn frame(
        &mut self,
        header: &RpcRequestHeaderProto,
        mut frame: Bytes,
        secrets: &dyn Secrets,
    ) -> Result<(), Fatal> {
        let call = CallId(header.call_id);
        match (call, self.phase) {
            (CallId::PING, _) => Ok(()),
            (CallId::SASL, Phase::Sasl) => {
                let message = frame::decode(&mut frame, "SASL message")?;
                self.sasl(&message, secrets)
            }
            (CallId::CONTEXT, Phase::Context) => {
                self.client_id.clone_from(&header.client_id);
                self.context(&frame::decode(&mut frame, "connection context")?, secrets)
            }
            (CallId(0..), Phase::Open) => self.call(header, frame),
            (CallId(0..), _) => Err(Fatal::bad_header(call, "Connection context not established")),
            (CallId::CONTEXT, Phase::Open) => {
                Err(Fatal::bad_header(call, "Connection context already processed"))
            }
            _ => Err(Fatal::bad_header(
                call,
                &format!("Unknown out of band call #{call}"),
            )),
        }
    }

    fn offers(&self) -> Vec<SaslAuth> {
        let offer = |method: &str, mechanism: &str, server: &str| SaslAuth {
            method: method.to_owned(),
            mechanism: mechanism.to_owned(),
            protocol: Some(String::new()),
            server_id: Some(server.to_owned()),
            challenge: None,
        };
        let token = (!self.settings.token.is_empty()).then(|| offer("TOKEN", "DIGEST-MD5", "default"));
        let simple = self.settings.simple.then(|| offer("SIMPLE", "", ""));
        token.into_iter().chain(simple).collect()
    }

    fn digest(&self) -> Server {
        Server::new(self.settings.nonce.clone(), self.settings.token.clone())
    }

    fn sasl(&mut self, message: &RpcSaslProto, secrets: &dyn Secrets) -> Result<(), Fatal> {
        match SaslState::try_from(message.state) {
            Ok(SaslState::Negotiate) => {
                self.offer();
                Ok(())
            }
            Ok(SaslState::Initiate) => self.initiated(message, secrets),
            _ => Err(Fatal::unauthorized(
                CallId::SASL,
                SASL_EXCEPTION,
                "unexpected SASL state",
            )),
        }
    }

    fn offer(&mut self) {
        let mut offers = self.offers();
        if offers.iter().all(|offer| offer.method == "SIMPLE") {
            self.send_sasl(&sasl(SaslState::Success, None));
            self.phase = Phase::Context;
            return;
        }
        if let Some(token) = offers.iter_mut().find(|offer| offer.method == "TOKEN") {
            token.challenge = Some(self.digest().challenge().into_bytes());
        }
        self.send_sasl(&RpcSaslProto {
            auths: offers,
            ..sasl(SaslState::Negotiate, None)
        });
    }

    /// The echoed offer must be the same to the last has-bit, as Hadoop compares it.
    fn initiated(&mut self, message: &RpcSaslProto, secrets: &dyn Secrets) -> Result<(), Fatal> {
        let refuse = |class, text: String| Fatal::unauthorized(CallId::SASL, class, text);
        let [chosen] = message.auths.as_slice() else {
            return Err(refuse(SASL_EXCEPTION, "Client selected no auth".to_owned()));
        };
        if !self.offers().contains(chosen) {
            return Err(refuse(ACCESS_CONTROL, self.not_enabled(&chosen.method)));
        }
        if chosen.method == "SIMPLE" {
            self.phase = Phase::Context;
            return Ok(());
        }
        let token = message.token.as_deref().unwrap_or_default();
        let accepted = self
            .digest()
            .accept(token, |identifier| secrets.password(identifier));
        let accepted = accepted.map_err(|error| match error {
            DigestError::UnknownIdentifier(identifier) => refuse(INVALID_TOKEN, secrets.refusal(&identifier)),
            _ => refuse(SASL_EXCEPTION, error.to_string()),
        })?;
        self.send_sasl(&sasl(SaslState::Success, Some(accepted.rspauth.into_bytes())));
        self.user = Some(ServerUser::Token(accepted.identifier));
        self.wrapping = accepted.established.layer.map(Wrapping::new);
        self.phase = Phase::Context;
        Ok(())
    }

    /// `Server.processConnectionContext`: the holder of a token is who the token says.
    fn context(&mut self, context: &IpcConnectionContextProto, secrets: &dyn Secrets) -> Result<(), Fatal> {
        let name = context
            .user_info
            .as_ref()
            .and_then(|user| user.effective_user.clone());
        let user = match (self.user.take(), name) {
            (Some(token), None) => token,
            (None, name) => ServerUser::Simple(name.unwrap_or_default()),
            (Some(ServerUser::Token(identifier)), Some(name)) => {
                let holder = secrets.holder(&identifier).unwrap_or_default();
                if holder != name {
                    let text = format!(
                        "Authenticated user ({holder} (auth:TOKEN)) doesn't match what the client claims to be \
                         ({name} (auth:SIMPLE))"
                    );
                    return Err(Fatal::unauthorized(CallId::CONTEXT, ACCESS_CONTROL, text));
                }
                ServerUser::Token(identifier)
            }
            (Some(user @ ServerUser::Simple(_)), Some(_)) => user,
        };
        self.phase = Phase::Open;
        self.events.push_back(ServerEvent::Ready(user));
        Ok(())
    }

    fn call(&mut self, header: &RpcRequestHeaderProto, mut frame: Bytes) -> Result<(), Fatal> {
        let request: RequestHeaderProto = frame::decode(&mut frame, "request header")?;
        let body = frame::take(&mut frame, "request message")?;
        frame::finish(&frame, "request")?;
        self.events.push_back(ServerEvent::Call(ServerCall {
            id: CallId(header.call_id),
            protocol: request.declaring_class_protocol_name,
            method: request.method_name,
            body: body.to_vec(),
        }));
        Ok(())
    }
}

impl std::fmt::Debug for ServerConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConnection")
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

/// What a server says on its RPC port to a browser (`Server.RECEIVED_HTTP_REQ_RESPONSE`).
const NO_WEB_PAGES: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-type: text/plain\r\n\r\n\
    It looks like you are making an HTTP request to a Hadoop IPC port. \
    This is not the correct port for the web interface on this daemon.\r\n";

/// Exceptions of the RPC engine itself have a code of their own (`RpcServerException.getRpcErrorCodeProto`).
fn detail(class: &str) -> RpcErrorCodeProto {
    match class.rsplit('.').next() {
        Some("RpcNoSuchMethodException") => RpcErrorCodeProto::ErrorNoSuchMethod,
        Some("RpcNoSuchProtocolException") => RpcErrorCodeProto::ErrorNoSuchProtocol,
        _ => RpcErrorCodeProto::ErrorApplication,
    }
}

/// Reads the header of a request, which must say its kind and operation though both have defaults.
fn request_header(frame: &mut Bytes) -> Result<RpcRequestHeaderProto, Fatal> {
    let header: RpcRequestHeaderProto = frame::decode(frame, "request header")?;
    let call = CallId(header.call_id);
    let missing =
        |what: &str| Fatal::bad_header(call, &format!(" IPC Server: No rpc {what} in rpcRequestHeader"));
    if header.rpc_kind.is_none() {
        return Err(missing("kind"));
    }
    if header.rpc_op.is_none() {
        return Err(missing("op"));
    }
    Ok(header)
}

fn sasl(state: SaslState, token: Option<Vec<u8>>) -> RpcSaslProto {
    RpcSaslProto {
        version: None,
        state: state as i32,
        token,
        auths: Vec::new(),
    }
}
