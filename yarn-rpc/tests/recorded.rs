//! Replays exchanges with live daemons: same settings, same calls, so the client must send the same bytes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use bytes::{Buf, Bytes};
use hadoop::sasl::Qop;
use hadoop::sasl::digest::Credentials;
use prost::Message;
use yarn_rpc::connection::{Auth, CallError, ClientConnection, ClientEvent, Protocol};
use yarn_rpc::proto::common::{RequestHeaderProto, RpcRequestHeaderProto, RpcResponseHeaderProto};

#[derive(Default)]
struct Section<'a> {
    title: &'a str,
    settings: Vec<(&'a str, &'a str)>,
    steps: Vec<(&'a str, Vec<u8>)>,
}

impl<'a> Section<'a> {
    fn setting(&self, name: &str) -> &'a str {
        self.settings.iter().find(|(n, _)| *n == name).unwrap().1
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn sections() -> Vec<Section<'static>> {
    let mut sections: Vec<Section<'static>> = Vec::new();
    for line in include_str!("vectors/recorded.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (word, rest) = line.split_once(' ').unwrap();
        if word == "section" {
            sections.push(Section {
                title: rest,
                ..Section::default()
            });
            continue;
        }
        let section = sections.last_mut().unwrap();
        match word {
            "call" | "send" | "recv" | "plain" => section.steps.push((word, hex(rest))),
            _ => section.settings.push((word, rest)),
        }
    }
    sections
}

/// Method and request message of a recorded request frame.
fn request(frame: &[u8]) -> (String, Vec<u8>) {
    let mut bytes = Bytes::copy_from_slice(&frame[4..]);
    RpcRequestHeaderProto::decode_length_delimited(&mut bytes).unwrap();
    let header = RequestHeaderProto::decode_length_delimited(&mut bytes).unwrap();
    (header.method_name, message(&mut bytes))
}

fn message(bytes: &mut Bytes) -> Vec<u8> {
    let length = prost::decode_length_delimiter(&mut *bytes).unwrap();
    assert_eq!(length, bytes.remaining());
    bytes.to_vec()
}

fn connection(section: &Section<'_>) -> ClientConnection {
    let credentials = Credentials::of_token(
        &hex(section.setting("identifier")),
        &hex(section.setting("password")),
    );
    let qop = Qop::from_name(section.setting("qop")).unwrap();
    let protocol = match section.title.split(',').next() {
        Some("ResourceManager") => Protocol::APPLICATION_MASTER,
        _ => Protocol::CONTAINER_MANAGEMENT,
    };
    let client_id = hex(section.setting("client")).try_into().unwrap();
    ClientConnection::new(
        protocol,
        client_id,
        Auth::token(credentials, vec![qop], section.setting("cnonce")),
    )
}

/// Compares an answer with a recorded response frame.
fn check_answer(title: &str, event: Option<ClientEvent>, frame: &[u8]) {
    let Some(ClientEvent::Answer { call, result }) = event else {
        panic!("{title}: {event:?}")
    };
    let mut bytes = Bytes::copy_from_slice(&frame[4..]);
    let header = RpcResponseHeaderProto::decode_length_delimited(&mut bytes).unwrap();
    assert_eq!(call.0, header.call_id as i32, "{title}");
    match result {
        Ok(body) => assert_eq!(body, message(&mut bytes), "{title}"),
        Err(CallError::Remote(exception)) => assert_eq!(exception.class, header.exception_class_name()),
        Err(error) => panic!("{title}: {error}"),
    }
}

/// Runs one section with the server's bytes cut into pieces of `cut`; returns the number of answers.
fn replay(section: &Section<'_>, cut: usize) -> usize {
    let mut client = connection(section);
    let (mut sent, mut expected, mut answers, mut ready) = (Vec::new(), Vec::new(), 0, false);
    for (word, bytes) in &section.steps {
        match *word {
            "call" => {
                let (method, body) = request(bytes);
                client.call(&method, &body);
            }
            "send" => expected.extend_from_slice(bytes),
            "recv" => bytes.chunks(cut).for_each(|piece| client.receive(piece)),
            _ => {
                if !ready {
                    assert!(
                        matches!(client.next_event(), Some(ClientEvent::Ready { .. })),
                        "{}",
                        section.title
                    );
                    ready = true;
                }
                check_answer(section.title, client.next_event(), bytes);
                answers += 1;
            }
        }
        sent.extend(client.take_output());
    }
    assert_eq!(sent, expected, "{}: bytes sent differ", section.title);
    answers
}

#[test]
fn whole_exchanges_with_live_daemons_are_reproduced_byte_by_byte() {
    let sections = sections();
    let answers: Vec<usize> = sections
        .iter()
        .map(|section| replay(section, usize::MAX))
        .collect();
    assert_eq!(answers, [5, 2, 2, 1, 2, 2]);
}

#[test]
fn how_the_bytes_are_cut_does_not_matter() {
    for section in sections() {
        for cut in [1, 2, 3, 7, 64] {
            replay(&section, cut);
        }
    }
}
