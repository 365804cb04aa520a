//! Client and server machines against each other.

use hadoop::sasl::Qop;
use hadoop::sasl::digest::Credentials;
use proptest::prelude::*;
use std::collections::BTreeMap;
use yarn_rpc::connection::{
    Auth, CallError, CallId, ClientConnection, ClientEvent, ConnectionError, Protocol, ProtocolError,
    ServerCall, ServerConnection, ServerEvent, ServerSettings, ServerUser,
};
use yarn_rpc::error::RemoteKind;

const PROTOCOL: Protocol = Protocol::APPLICATION_MASTER;

fn password(identifier: &[u8]) -> Option<Vec<u8>> {
    (identifier == b"who").then(|| b"secret".to_vec())
}

fn token(qop: Qop) -> Auth {
    Auth::token(Credentials::of_token(b"who", b"secret"), vec![qop], "cnonce")
}

struct Pair {
    client: ClientConnection,
    server: ServerConnection,
}

impl Pair {
    fn new(auth: Auth, settings: ServerSettings) -> Self {
        let client = ClientConnection::new(PROTOCOL, [1; 16], auth);
        Self {
            client,
            server: ServerConnection::new(settings),
        }
    }

    fn with_token(qop: Qop) -> Self {
        Self::new(token(qop), ServerSettings::token("nonce", vec![qop]))
    }

    /// Moves bytes in pieces of `cut` until nobody has anything to say.
    fn talk(&mut self, cut: usize) {
        loop {
            let (there, back) = (self.client.take_output(), self.server.take_output());
            if there.is_empty() && back.is_empty() {
                return;
            }
            there
                .chunks(cut)
                .for_each(|piece| self.server.receive(piece, &password));
            back.chunks(cut).for_each(|piece| self.client.receive(piece));
        }
    }

    fn calls(&mut self) -> Vec<ServerCall> {
        let events = std::iter::from_fn(|| self.server.next_event());
        events
            .filter_map(|event| {
                if let ServerEvent::Call(call) = event {
                    Some(call)
                } else {
                    None
                }
            })
            .collect()
    }

    fn events(&mut self) -> Vec<ClientEvent> {
        std::iter::from_fn(|| self.client.next_event()).collect()
    }
}

fn only_failure(events: &[ClientEvent]) -> &ConnectionError {
    let [ClientEvent::Failed(error)] = events else {
        panic!("{events:?}")
    };
    error
}

#[test]
fn every_protection_carries_calls_and_answers() {
    for qop in Qop::ALL {
        let mut pair = Pair::with_token(qop);
        let call = pair.client.call("allocate", b"ask");
        pair.talk(5);
        assert_eq!(
            pair.server.next_event(),
            Some(ServerEvent::Ready(ServerUser::Token(b"who".to_vec())))
        );
        let calls = pair.calls();
        assert_eq!(
            (calls[0].method.as_str(), calls[0].body.as_slice()),
            ("allocate", &b"ask"[..])
        );
        pair.server.respond(calls[0].id, b"grant");
        pair.talk(5);
        let answer = ClientEvent::Answer {
            call,
            result: Ok(b"grant".to_vec()),
        };
        assert_eq!(pair.events(), [ClientEvent::Ready { qop }, answer]);
    }
}

#[test]
fn messages_larger_than_a_wrapped_buffer_pass() {
    let mut pair = Pair::with_token(Qop::AuthConf);
    let body: Vec<u8> = (0..300_000_u32).map(|i| i as u8).collect();
    pair.client.call("allocate", &body);
    pair.talk(4096);
    let calls = pair.calls();
    assert_eq!(calls[0].body, body);
    pair.server.respond(calls[0].id, &body);
    pair.talk(4096);
    assert!(matches!(&pair.events()[1], ClientEvent::Answer { result: Ok(answer), .. } if *answer == body));
}

#[test]
fn an_exception_fails_its_call_only() {
    let mut pair = Pair::with_token(Qop::Auth);
    let (first, second) = (pair.client.call("a", b""), pair.client.call("b", b""));
    pair.talk(1000);
    let class = "org.apache.hadoop.yarn.exceptions.ApplicationMasterNotRegisteredException";
    pair.server.respond(second, b"ok");
    pair.server.respond_error(first, class, "register first\n\tat x");
    pair.talk(1000);
    let events = pair.events();
    assert_eq!(
        events[1],
        ClientEvent::Answer {
            call: second,
            result: Ok(b"ok".to_vec())
        }
    );
    let ClientEvent::Answer {
        call,
        result: Err(CallError::Remote(exception)),
    } = &events[2]
    else {
        panic!()
    };
    assert_eq!(
        (*call, exception.kind),
        (first, RemoteKind::ApplicationMasterNotRegistered)
    );
    assert_eq!(exception.message, "register first");
    assert!(pair.client.is_ready());
}

#[test]
fn a_fatal_answer_fails_every_call_and_later_ones_at_once() {
    let mut pair = Pair::with_token(Qop::AuthInt);
    let calls = [pair.client.call("a", b""), pair.client.call("b", b"")];
    pair.talk(1000);
    pair.server
        .respond_fatal(CallId(-1), "org.apache.hadoop.ipc.StandbyException", "not me");
    pair.talk(1000);
    let late = pair.client.call("c", b"");
    let mut failed = Vec::new();
    for event in pair.events() {
        if let ClientEvent::Answer {
            call,
            result: Err(CallError::Connection(ConnectionError::Refused(e))),
        } = event
        {
            assert_eq!(e.kind, RemoteKind::Standby);
            failed.push(call);
        }
    }
    assert_eq!(failed, [calls[0], calls[1], late]);
}

#[test]
fn a_wrong_password_and_an_unknown_token_are_told_apart() {
    let settings = || ServerSettings::token("nonce", vec![Qop::Auth]);
    let auth = |who: &[u8]| Auth::token(Credentials::of_token(who, b"wrong"), vec![Qop::Auth], "cnonce");
    for (who, kind) in [
        (&b"who"[..], RemoteKind::Sasl),
        (b"else", RemoteKind::InvalidToken),
    ] {
        let mut pair = Pair::new(auth(who), settings());
        pair.talk(1000);
        let events = pair.events();
        let ConnectionError::Refused(exception) = only_failure(&events) else {
            panic!("{events:?}")
        };
        assert_eq!(exception.kind, kind);
    }
}

#[test]
fn a_name_is_enough_only_where_the_server_says_so() {
    let mut pair = Pair::new(Auth::simple("alice"), ServerSettings::simple("n"));
    pair.talk(1);
    let alice = Some(ServerEvent::Ready(ServerUser::Simple("alice".into())));
    assert_eq!(pair.server.next_event(), alice);

    let mut pair = Pair::new(Auth::simple("alice"), ServerSettings::token("n", vec![Qop::Auth]));
    pair.talk(1);
    let text = pair.events().into_iter().find_map(|event| match event {
        ClientEvent::Failed(ConnectionError::Refused(exception)) => Some(exception.message),
        _ => None,
    });
    assert_eq!(
        text.as_deref(),
        Some("SIMPLE authentication is not enabled.  Available:[TOKEN]")
    );
}

#[test]
fn a_token_falls_back_to_a_name_only_when_one_is_given() {
    let mut both = ServerSettings::simple("n");
    both.token = vec![Qop::Auth];
    for (settings, user) in [
        (ServerSettings::simple("n"), ServerUser::Simple("alice".into())),
        (both, ServerUser::Token(b"who".to_vec())),
    ] {
        let mut pair = Pair::new(token(Qop::Auth).or_simple("alice"), settings);
        pair.talk(3);
        assert_eq!(pair.server.next_event(), Some(ServerEvent::Ready(user)));
    }
    let mut pair = Pair::new(token(Qop::Auth), ServerSettings::simple("n"));
    pair.talk(3);
    let events = pair.events();
    assert!(matches!(
        only_failure(&events),
        ConnectionError::Protocol(ProtocolError::NoCommonMethod { .. })
    ));
}

#[test]
fn protections_that_do_not_meet_end_the_connection_with_both_lists() {
    let mut pair = Pair::new(token(Qop::AuthConf), ServerSettings::token("n", vec![Qop::Auth]));
    pair.talk(1000);
    let events = pair.events();
    let text = only_failure(&events).to_string();
    assert!(text.contains("\"auth\"") && text.contains("auth-conf"), "{text}");
}

#[test]
fn a_changed_byte_in_a_protected_answer_ends_the_connection() {
    let mut pair = Pair::with_token(Qop::AuthInt);
    let call = pair.client.call("a", b"");
    pair.talk(1000);
    pair.server.respond(call, b"answer");
    let mut bytes = pair.server.take_output();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    pair.client.receive(&bytes);
    let lost = pair.events().into_iter().any(|event| {
        matches!(
            event,
            ClientEvent::Answer {
                result: Err(CallError::Connection(ConnectionError::Protocol(_))),
                ..
            }
        )
    });
    assert!(lost);
}

#[test]
fn pings_are_ignored() {
    let mut pair = Pair::with_token(Qop::AuthConf);
    pair.talk(1000);
    pair.client.ping();
    let call = pair.client.call("a", b"");
    pair.talk(1000);
    assert_eq!(
        pair.calls().iter().map(|call| call.id).collect::<Vec<_>>(),
        [call]
    );
}

#[derive(Debug, Clone)]
enum Op {
    Call,
    Talk(usize),
    AnswerFirst,
    AnswerLast,
    FailFirst,
    Fatal,
    Cut,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => Just(Op::Call),
        6 => (1..400_usize).prop_map(Op::Talk),
        3 => Just(Op::AnswerFirst),
        3 => Just(Op::AnswerLast),
        2 => Just(Op::FailFirst),
        1 => Just(Op::Fatal),
        1 => Just(Op::Cut),
    ];
    proptest::collection::vec(op, 0..40)
}

proptest! {
    #[test]
    fn every_call_is_answered_exactly_once(ops in ops(), qop in proptest::sample::select(Qop::ALL.to_vec())) {
        let mut pair = Pair::with_token(qop);
        let (mut made, mut open) = (Vec::new(), Vec::new());
        for op in ops {
            match op {
                Op::Call => made.push(pair.client.call("m", b"x")),
                Op::Talk(cut) => {
                    pair.talk(cut);
                    open.extend(pair.calls());
                }
                Op::AnswerFirst if !open.is_empty() => { let call = open.remove(0); pair.server.respond(call.id, b"y"); }
                Op::AnswerLast => { if let Some(call) = open.pop() { pair.server.respond(call.id, b"y"); } }
                Op::FailFirst if !open.is_empty() => { let call = open.remove(0); pair.server.respond_error(call.id, "java.io.IOException", "no"); }
                Op::AnswerFirst | Op::FailFirst => {}
                Op::Fatal => pair.server.respond_fatal(CallId(-1), "java.io.IOException", "bye"),
                Op::Cut => pair.client.end_of_stream(),
            }
        }
        pair.talk(100);
        pair.client.end_of_stream();
        let mut answers: BTreeMap<CallId, u32> = BTreeMap::new();
        for event in pair.events() {
            if let ClientEvent::Answer { call, .. } = event {
                *answers.entry(call).or_default() += 1;
            }
        }
        let expected: BTreeMap<CallId, u32> = made.into_iter().map(|call| (call, 1)).collect();
        prop_assert_eq!(answers, expected);
    }

    #[test]
    fn garbage_never_panics_and_is_never_believed(bytes: Vec<u8>, after in 0..3_usize) {
        let mut pair = Pair::with_token(Qop::ALL[after]);
        if after > 0 {
            pair.talk(1000);
        }
        pair.client.receive(&bytes);
        pair.client.end_of_stream();
        prop_assert!(!pair.client.is_ready());
        let mut server = ServerConnection::new(ServerSettings::token("n", vec![Qop::Auth]));
        server.receive(&bytes, &password);
    }
}
