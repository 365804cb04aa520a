//! Hadoop RPC byte by byte: headers, authentication, what is refused and in which words.

use hadoop::credentials::Token;
use hadoop::sasl::Qop;
use hadoop::sasl::digest::{Client, Credentials};
use prost::Message;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use yarn_rpc::connection::Protocol;
use yarn_rpc::proto::common::rpc_sasl_proto::{SaslAuth, SaslState};
use yarn_rpc::proto::common::{
    IpcConnectionContextProto, RequestHeaderProto, RpcRequestHeaderProto, RpcResponseHeaderProto,
    RpcSaslProto, UserInformationProto,
};
use yarn_rpc::proto::yarn as pb;

use super::case::{Case, case};
use super::lab::{Yarn, holds};
use super::master::{Master, refused};

pub(crate) const CASES: &[Case] = &[
    case!(
        only_tokens_are_offered,
        "`SaslRpcServer`: one offer, TOKEN, DIGEST-MD5, protocol empty, server id `default`"
    ),
    case!(
        the_challenge_is_hadoops,
        "`SaslRpcServer`: realm default, qop auth, utf-8, md5-sess"
    ),
    case!(
        a_wrong_password_is_mismatched,
        "JDK DIGEST-MD5: SaslException `Mismatched response.`"
    ),
    case!(
        a_token_of_nobody_is_invalid,
        "`AMRMTokenSecretManager.retrievePassword`: InvalidToken `… not found in AMRMTokenSecretManager.`"
    ),
    case!(
        a_token_is_invalid_after_the_end,
        "`AMRMTokenSecretManager`: the application's end removes its attempt"
    ),
    case!(
        names_alone_are_not_enough,
        "`Server`: AccessControlException `SIMPLE authentication is not enabled.  Available:[TOKEN]`"
    ),
    case!(
        an_unknown_kind_of_authentication_is_refused,
        "`Server`: IpcException `Unknown auth protocol:17`"
    ),
    case!(
        a_browser_is_told_off,
        "`Server`: an HTTP request is answered with HTTP/1.1 404"
    ),
    case!(
        another_version_is_refused,
        "`Server.setupBadVersionResponse`: RPC$VersionMismatch, FATAL"
    ),
    case!(
        an_offer_must_be_echoed_exactly,
        "`Server.saslProcess`: without protocol or server id, `TOKEN authentication is not enabled`"
    ),
    case!(
        who_is_somebody_else_is_refused,
        "`Server.processConnectionContext`: `doesn't match what the client claims to be`"
    ),
    case!(
        who_names_itself_is_accepted,
        "`Server`: userInfo equal to the attempt's id"
    ),
    case!(
        a_call_before_the_context_is_refused,
        "`Server`: `Connection context not established`"
    ),
    case!(
        a_second_context_is_refused,
        "`Server`: `Connection context already processed`"
    ),
    case!(
        another_special_call_is_refused,
        "`Server`: `Unknown out of band call #-7`"
    ),
    case!(
        a_call_needs_its_kind,
        "`Server.checkRpcHeaders`: `No rpc kind in rpcRequestHeader`"
    ),
    case!(
        a_call_needs_its_operation,
        "`Server.checkRpcHeaders`: `No rpc op in rpcRequestHeader`"
    ),
    case!(
        pings_are_not_answered,
        "`Server`: a ping is ignored, the next call is answered"
    ),
    case!(
        an_unknown_method_keeps_the_connection,
        "`ProtobufRpcEngine2`: RpcNoSuchMethodException as ERROR"
    ),
    case!(
        an_unknown_protocol_keeps_the_connection,
        "`ProtobufRpcEngine2`: RpcNoSuchProtocolException as ERROR"
    ),
    case!(
        answers_carry_the_call,
        "`RpcResponseHeaderProto`: call id, version 9, the client's id"
    ),
];

const CLIENT: [u8; 16] = *b"0123456789abcdef";
const SASL: i32 = -33;
const CONTEXT: i32 = -3;
const AUTH_SASL: u8 = 0xdf;

/// A connection that may say anything.
struct Wire {
    stream: TcpStream,
}

/// A response header, and what follows it.
struct Reply {
    header: RpcResponseHeaderProto,
    body: Vec<u8>,
}

fn header(call: i32) -> RpcRequestHeaderProto {
    RpcRequestHeaderProto {
        rpc_kind: Some(2),
        rpc_op: Some(0),
        call_id: call,
        client_id: if call == SASL { Vec::new() } else { CLIENT.to_vec() },
        retry_count: Some(if call < 0 { -1 } else { 0 }),
        ..Default::default()
    }
}

fn frame(header: &RpcRequestHeaderProto, rest: &[Vec<u8>]) -> Vec<u8> {
    let mut body = header.encode_length_delimited_to_vec();
    rest.iter().for_each(|part| body.extend_from_slice(part));
    let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

impl Wire {
    /// Connected, and the seven bytes of the connection's header sent.
    async fn open(yarn: &Yarn, version: u8, auth: u8) -> Self {
        let mut stream = TcpStream::connect(yarn.scheduler()).await.unwrap();
        stream
            .write_all(&[b'h', b'r', b'p', b'c', version, 0, auth])
            .await
            .unwrap();
        Self { stream }
    }

    async fn send(&mut self, header: &RpcRequestHeaderProto, rest: &[Vec<u8>]) {
        self.stream.write_all(&frame(header, rest)).await.unwrap();
    }

    async fn reply(&mut self) -> Reply {
        let length = self.stream.read_u32().await.unwrap();
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut frame).await.unwrap();
        let mut rest = &frame[..];
        let header = RpcResponseHeaderProto::decode_length_delimited(&mut rest).unwrap();
        Reply {
            header,
            body: rest.to_vec(),
        }
    }

    async fn sasl(&mut self, message: RpcSaslProto) -> Reply {
        self.send(&header(SASL), &[message.encode_length_delimited_to_vec()])
            .await;
        self.reply().await
    }

    /// The server's offers.
    async fn offers(&mut self) -> Vec<SaslAuth> {
        let negotiate = RpcSaslProto {
            state: SaslState::Negotiate as i32,
            ..Default::default()
        };
        let reply = self.sasl(negotiate).await;
        RpcSaslProto::decode_length_delimited(&reply.body[..])
            .unwrap()
            .auths
    }

    /// Authenticates with an offer that is changed before it is echoed.
    async fn authenticate(&mut self, token: &Token, change: impl FnOnce(&mut SaslAuth)) -> Reply {
        let mut offer = self.offers().await.remove(0);
        let challenge = offer.challenge.take().unwrap();
        let credentials = Credentials::of_token(&token.identifier, &token.password);
        let (response, _) = Client::new(credentials, vec![Qop::Auth], "cnonce")
            .respond(&challenge)
            .unwrap();
        change(&mut offer);
        self.sasl(RpcSaslProto {
            state: SaslState::Initiate as i32,
            token: Some(response.into_bytes()),
            auths: vec![offer],
            ..Default::default()
        })
        .await
    }

    /// An authenticated connection, its context not sent yet.
    async fn authenticated(yarn: &Yarn, master: &Master) -> Self {
        let mut wire = Self::open(yarn, 9, AUTH_SASL).await;
        let reply = wire.authenticate(&yarn.token(master.attempt).await, |_| ()).await;
        assert_eq!(reply.header.status, 0, "{:?}", reply.header);
        wire
    }

    async fn context(&mut self, user: Option<&str>) {
        let user = UserInformationProto {
            effective_user: user.map(str::to_owned),
            real_user: None,
        };
        let context = IpcConnectionContextProto {
            user_info: Some(user),
            protocol: Some(Protocol::APPLICATION_MASTER.name.to_owned()),
        };
        self.send(&header(CONTEXT), &[context.encode_length_delimited_to_vec()])
            .await;
    }

    async fn call(&mut self, header: &RpcRequestHeaderProto, protocol: &str, method: &str) {
        let name = RequestHeaderProto {
            method_name: method.to_owned(),
            declaring_class_protocol_name: protocol.to_owned(),
            client_protocol_version: 1,
        };
        let body = pb::AllocateRequestProto::default().encode_length_delimited_to_vec();
        self.send(header, &[name.encode_length_delimited_to_vec(), body])
            .await;
    }

    async fn allocate(&mut self, header: &RpcRequestHeaderProto) {
        self.call(header, Protocol::APPLICATION_MASTER.name, "allocate")
            .await;
    }
}

/// That a reply ends the connection for this reason.
fn fatal(reply: &Reply, call: i32, detail: i32, class: &str, words: &str) {
    let header = &reply.header;
    assert_eq!(
        (header.status, header.call_id as i32, header.error_detail),
        (2, call, Some(detail)),
        "{header:?}"
    );
    error(reply, class, words);
}

fn error(reply: &Reply, class: &str, words: &str) {
    let name = reply.header.exception_class_name();
    assert_eq!(name.rsplit(['.', '$']).next(), Some(class), "{name}");
    holds(reply.header.error_msg(), &[words]);
}

const UNAUTHORIZED: i32 = 15;
const BAD_HEADER: i32 = 12;

async fn only_tokens_are_offered(yarn: &Yarn) {
    let offers = Wire::open(yarn, 9, AUTH_SASL).await.offers().await;
    assert_eq!(offers.len(), 1);
    let offer = &offers[0];
    assert_eq!(
        (offer.method.as_str(), offer.mechanism.as_str()),
        ("TOKEN", "DIGEST-MD5")
    );
    assert_eq!(
        (offer.protocol.as_deref(), offer.server_id.as_deref()),
        (Some(""), Some("default"))
    );
}

async fn the_challenge_is_hadoops(yarn: &Yarn) {
    let offers = Wire::open(yarn, 9, AUTH_SASL).await.offers().await;
    let challenge = String::from_utf8(offers[0].challenge.clone().unwrap()).unwrap();
    assert!(challenge.starts_with("realm=\"default\",nonce=\""), "{challenge}");
    assert!(
        challenge.ends_with("\",qop=\"auth\",charset=utf-8,algorithm=md5-sess"),
        "{challenge}"
    );
}

async fn a_wrong_password_is_mismatched(yarn: &Yarn) {
    let master = yarn.unregistered(json!({})).await;
    let wrong = Token {
        password: b"guessed".to_vec(),
        ..yarn.token(master.attempt).await
    };
    let reply = Wire::open(yarn, 9, AUTH_SASL)
        .await
        .authenticate(&wrong, |_| ())
        .await;
    let words = "DIGEST-MD5: digest response format violation. Mismatched response.";
    fatal(&reply, SASL, UNAUTHORIZED, "SaslException", words);
}

async fn a_token_of_nobody_is_invalid(yarn: &Yarn) {
    let master = yarn.unregistered(json!({})).await;
    let mut token = yarn.token(master.attempt).await;
    let mut identifier = yarn_token(&token);
    identifier.app_attempt_id.as_mut().unwrap().attempt_id = Some(9);
    token.identifier = identifier.encode_to_vec();
    let reply = Wire::open(yarn, 9, AUTH_SASL)
        .await
        .authenticate(&token, |_| ())
        .await;
    let words = format!("{} not found in AMRMTokenSecretManager.", master.app().attempt(9));
    fatal(&reply, SASL, UNAUTHORIZED, "InvalidToken", &words);
}

/// What an AMRM token says.
#[derive(Clone, PartialEq, Message)]
struct Identifier {
    #[prost(message, optional, tag = "1")]
    app_attempt_id: Option<pb::ApplicationAttemptIdProto>,
    #[prost(int32, optional, tag = "2")]
    key_id: Option<i32>,
}

fn yarn_token(token: &Token) -> Identifier {
    Identifier::decode(&token.identifier[..]).unwrap()
}

async fn a_token_is_invalid_after_the_end(yarn: &Yarn) {
    let master = yarn.master().await;
    yarn.kill(master.app()).await;
    let mut later = Master::new(master.attempt, yarn.client(yarn.token(master.attempt).await));
    let words = format!("{} not found in AMRMTokenSecretManager.", master.attempt);
    refused(later.register().await, "InvalidToken", &words);
}

async fn names_alone_are_not_enough(yarn: &Yarn) {
    let reply = Wire::open(yarn, 9, 0).await.reply().await;
    let words = "SIMPLE authentication is not enabled.  Available:[TOKEN]";
    fatal(&reply, -1, UNAUTHORIZED, "AccessControlException", words);
}

async fn an_unknown_kind_of_authentication_is_refused(yarn: &Yarn) {
    let reply = Wire::open(yarn, 9, 17).await.reply().await;
    fatal(
        &reply,
        -1,
        UNAUTHORIZED,
        "IpcException",
        "Unknown auth protocol:17",
    );
}

async fn a_browser_is_told_off(yarn: &Yarn) {
    let mut stream = TcpStream::connect(yarn.scheduler()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut text = Vec::new();
    // The server closes with bytes of ours unread, which may end in a reset.
    let _ = stream.read_to_end(&mut text).await;
    let text = String::from_utf8_lossy(&text);
    assert!(
        text.starts_with("HTTP/1.1 404 Not Found\r\nContent-type: text/plain\r\n\r\n"),
        "{text}"
    );
    holds(
        &text,
        &["It looks like you are making an HTTP request to a Hadoop IPC port."],
    );
}

async fn another_version_is_refused(yarn: &Yarn) {
    let reply = Wire::open(yarn, 10, AUTH_SASL).await.reply().await;
    fatal(
        &reply,
        -1,
        14,
        "VersionMismatch",
        "Server IPC version 9 cannot communicate with client version 10",
    );
}

async fn an_offer_must_be_echoed_exactly(yarn: &Yarn) {
    let master = yarn.unregistered(json!({})).await;
    let token = yarn.token(master.attempt).await;
    let changes: [fn(&mut SaslAuth); 2] = [|offer| offer.protocol = None, |offer| offer.server_id = None];
    for change in changes {
        let reply = Wire::open(yarn, 9, AUTH_SASL)
            .await
            .authenticate(&token, change)
            .await;
        let words = "TOKEN authentication is not enabled.  Available:[TOKEN]";
        fatal(&reply, SASL, UNAUTHORIZED, "AccessControlException", words);
    }
}

async fn who_is_somebody_else_is_refused(yarn: &Yarn) {
    let master = yarn.unregistered(json!({})).await;
    let mut wire = Wire::authenticated(yarn, &master).await;
    wire.context(Some("root")).await;
    let words = format!(
        "Authenticated user ({} (auth:TOKEN)) doesn't match what the client claims to be (root (auth:SIMPLE))",
        master.attempt
    );
    fatal(
        &wire.reply().await,
        CONTEXT,
        UNAUTHORIZED,
        "AccessControlException",
        &words,
    );
}

async fn who_names_itself_is_accepted(yarn: &Yarn) {
    let master = yarn.master().await;
    let mut wire = Wire::authenticated(yarn, &master).await;
    wire.context(Some(&master.attempt.to_string())).await;
    wire.allocate(&header(0)).await;
    assert_eq!(wire.reply().await.header.status, 0);
}

async fn a_call_before_the_context_is_refused(yarn: &Yarn) {
    let master = yarn.unregistered(json!({})).await;
    let mut wire = Wire::authenticated(yarn, &master).await;
    wire.allocate(&header(0)).await;
    fatal(
        &wire.reply().await,
        0,
        BAD_HEADER,
        "RpcServerException",
        "Connection context not established",
    );
}

/// An open connection of a registered master.
async fn open(yarn: &Yarn) -> Wire {
    let master = yarn.master().await;
    let mut wire = Wire::authenticated(yarn, &master).await;
    wire.context(None).await;
    wire
}

async fn a_second_context_is_refused(yarn: &Yarn) {
    let mut wire = open(yarn).await;
    wire.context(None).await;
    fatal(
        &wire.reply().await,
        CONTEXT,
        BAD_HEADER,
        "RpcServerException",
        "Connection context already processed",
    );
}

async fn another_special_call_is_refused(yarn: &Yarn) {
    let mut wire = open(yarn).await;
    wire.allocate(&header(-7)).await;
    fatal(
        &wire.reply().await,
        -7,
        BAD_HEADER,
        "RpcServerException",
        "Unknown out of band call #-7",
    );
}

async fn a_call_needs_its_kind(yarn: &Yarn) {
    let mut wire = open(yarn).await;
    let kindless = RpcRequestHeaderProto {
        rpc_kind: None,
        ..header(0)
    };
    wire.allocate(&kindless).await;
    let words = " IPC Server: No rpc kind in rpcRequestHeader";
    fatal(&wire.reply().await, 0, BAD_HEADER, "RpcServerException", words);
}

async fn a_call_needs_its_operation(yarn: &Yarn) {
    let mut wire = open(yarn).await;
    let idle = RpcRequestHeaderProto {
        rpc_op: None,
        ..header(0)
    };
    wire.allocate(&idle).await;
    let words = " IPC Server: No rpc op in rpcRequestHeader";
    fatal(&wire.reply().await, 0, BAD_HEADER, "RpcServerException", words);
}

async fn pings_are_not_answered(yarn: &Yarn) {
    let mut wire = open(yarn).await;
    wire.send(&header(-4), &[]).await;
    wire.allocate(&header(5)).await;
    let reply = wire.reply().await;
    assert_eq!((reply.header.call_id, reply.header.status), (5, 0));
}

async fn an_unknown_method_keeps_the_connection(yarn: &Yarn) {
    let mut wire = open(yarn).await;
    wire.call(&header(0), Protocol::APPLICATION_MASTER.name, "makeCoffee")
        .await;
    let reply = wire.reply().await;
    error(
        &reply,
        "RpcNoSuchMethodException",
        "Unknown method makeCoffee called on",
    );
    assert_eq!((reply.header.status, reply.header.error_detail), (1, Some(2)));
    wire.allocate(&header(1)).await;
    assert_eq!(wire.reply().await.header.status, 0);
}

async fn an_unknown_protocol_keeps_the_connection(yarn: &Yarn) {
    let mut wire = open(yarn).await;
    wire.call(&header(0), "org.example.NoSuchPB", "allocate").await;
    let reply = wire.reply().await;
    error(
        &reply,
        "RpcNoSuchProtocolException",
        "Unknown protocol: org.example.NoSuchPB",
    );
    assert_eq!((reply.header.status, reply.header.error_detail), (1, Some(3)));
}

async fn answers_carry_the_call(yarn: &Yarn) {
    let mut wire = open(yarn).await;
    wire.allocate(&header(17)).await;
    let header = wire.reply().await.header;
    assert_eq!((header.call_id, header.server_ipc_version_num), (17, Some(9)));
    assert_eq!(header.client_id(), CLIENT);
}
