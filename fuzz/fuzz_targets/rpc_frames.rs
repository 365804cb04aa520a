//! Hadoop RPC: arbitrary bytes for either end of a connection, from its first byte or after a genuine handshake.
//!
//! The first byte of the input chooses the end and its authentication, the second the size of the pieces in which
//! the rest arrives. Whatever arrives, in pieces or at once: the same events and the same output, every call
//! answered exactly once, and nothing after the end. (A client that meets an error drops what it had not sent yet,
//! so with everything at once it may say less.) Answers are also read as the messages YARN sends.

#![no_main]

use hadoop::sasl::Qop;
use hadoop::sasl::digest::Credentials;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use yarn_rpc::connection::{
    Auth, ClientConnection, ClientEvent, Protocol, ServerConnection, ServerEvent, ServerSettings,
};
use yarn_rpc::proto::yarn;
use yarn_rpc::records::{Container, ContainerStatus, NmToken, NodeReport};

/// Of the recorded exchanges among the seeds.
const IDENTIFIER: &[u8] =
    b"\x0a\x0d\x0a\x09\x08\x01\x10\xc9\xe6\xd0\xdc\x9f\x34\x10\x01\x10\xd2\xf1\xb1\xe4\x06";
const PASSWORD: &[u8] = b"\xb7\xb3\x5d\xf8\x66\x82\x76\xd8\xfa\xcc\x6a\x83\xfb\xac\x39\x9b\x2e\xf2\x66\x5b";
const CNONCE: &str = "ZHJhd2xvb20tcHJvYmUtY25vbmNlLTAwMDAwMDAw";
const NONCE: &str = "kc6IA9vtp0QZWHQlD30zw8wvq3pibKl5bz6xxLPL";
const CALLS: usize = 3;

/// Who receives the bytes, and when.
#[derive(Clone, Copy)]
struct Mode {
    server: bool,
    /// Without a token there is no handshake.
    token: Option<Qop>,
    after_handshake: bool,
}

fuzz_target!(|input: &[u8]| {
    let [mode, size, bytes @ ..] = input else {
        return;
    };
    let mode = Mode::of(*mode);
    let pieces = || bytes.chunks(usize::from(*size).max(1));
    if mode.server {
        assert_eq!(serve(mode, pieces()), serve(mode, [bytes].into_iter()));
    } else {
        let (piecewise, at_once) = (call(mode, pieces()), call(mode, [bytes].into_iter()));
        assert_eq!(piecewise.0, at_once.0);
        assert!(piecewise.1.starts_with(&at_once.1));
    }
});

impl Mode {
    fn of(byte: u8) -> Self {
        let tokens = [None, Some(Qop::Auth), Some(Qop::AuthInt), Some(Qop::AuthConf)];
        Mode {
            server: byte & 1 != 0,
            after_handshake: byte & 2 != 0,
            token: tokens[usize::from(byte >> 2) % tokens.len()],
        }
    }

    /// A client with calls in flight.
    fn client(self) -> ClientConnection {
        let auth = match self.token {
            None => Auth::simple("ada"),
            Some(qop) => Auth::token(Credentials::of_token(IDENTIFIER, PASSWORD), vec![qop], CNONCE),
        };
        let mut client = ClientConnection::new(Protocol::APPLICATION_MASTER, [7; 16], auth);
        for _ in 0..CALLS {
            client.call("allocate", b"\x20\x01");
        }
        client
    }

    fn server(self) -> ServerConnection {
        ServerConnection::new(match self.token {
            None => ServerSettings::simple(NONCE),
            Some(qop) => ServerSettings::token(NONCE, vec![qop]),
        })
    }

    /// Both ends, at the point where the arbitrary bytes begin.
    fn pair(self) -> (ClientConnection, ServerConnection) {
        let (mut client, mut server) = (self.client(), self.server());
        while self.after_handshake {
            let request = client.take_output();
            if request.is_empty() {
                break;
            }
            server.receive(&request, &password);
            client.receive(&server.take_output());
        }
        (client, server)
    }
}

fn password(identifier: &[u8]) -> Option<Vec<u8>> {
    (identifier == IDENTIFIER).then(|| PASSWORD.to_vec())
}

/// Everything a client did with the bytes.
fn call<'a>(mode: Mode, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<ClientEvent>, Vec<u8>) {
    let (mut client, _) = mode.pair();
    let mut output = client.take_output();
    for piece in pieces {
        client.receive(piece);
        output.extend(client.take_output());
    }
    client.end_of_stream();
    client.receive(b"nobody reads this");
    let events: Vec<_> = std::iter::from_fn(|| client.next_event()).collect();
    let answers = events
        .iter()
        .filter(|event| matches!(event, ClientEvent::Answer { .. }))
        .count();
    assert_eq!((answers, client.in_flight()), (CALLS, 0));
    assert!(matches!(events.last(), Some(ClientEvent::Failed(_))));
    for event in &events {
        if let ClientEvent::Answer { result: Ok(body), .. } = event {
            read_as_messages(body);
        }
    }
    (events, output)
}

/// Everything a server did with the bytes; it answers each call.
fn serve<'a>(mode: Mode, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<ServerEvent>, Vec<u8>) {
    let (_, mut server) = mode.pair();
    let (mut events, mut output) = (Vec::new(), Vec::new());
    for piece in std::iter::once(&[][..]).chain(pieces) {
        server.receive(piece, &password);
        output.extend(server.take_output());
        events.extend(std::iter::from_fn(|| server.next_event()));
    }
    for event in &events {
        if let ServerEvent::Call(call) = event {
            server.respond(call.id, &call.body);
        }
    }
    output.extend(server.take_output());
    (events, output)
}

/// The bytes as each response the ResourceManager and NodeManagers give; the parts as our records.
fn read_as_messages(body: &[u8]) {
    if let Ok(response) = yarn::AllocateResponseProto::decode(body) {
        response
            .allocated_containers
            .iter()
            .for_each(|part| drop(Container::try_from(part)));
        response
            .completed_container_statuses
            .iter()
            .for_each(|part| drop(ContainerStatus::try_from(part)));
        response
            .nm_tokens
            .iter()
            .for_each(|part| drop(NmToken::try_from(part)));
        response
            .updated_nodes
            .iter()
            .for_each(|part| drop(NodeReport::try_from(part)));
    }
    let _ = yarn::RegisterApplicationMasterResponseProto::decode(body);
    let _ = yarn::StartContainersResponseProto::decode(body);
    let _ = yarn::GetApplicationReportResponseProto::decode(body);
}
