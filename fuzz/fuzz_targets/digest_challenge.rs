//! DIGEST-MD5: arbitrary challenges for the client, arbitrary responses for the server, arbitrary proofs, arbitrary
//! wrapped messages.
//!
//! A challenge that a client answers is one that a server could have sent: the server with that nonce accepts the
//! answer, the client accepts its proof, and protected messages pass in both directions.

#![no_main]

use hadoop::sasl::Qop;
use hadoop::sasl::digest::{Challenge, Client, Credentials, DEFAULT_REALM, Established, Response, Server};
use libfuzzer_sys::fuzz_target;

const IDENTIFIER: &[u8] = b"\x0a\x0d\x0a\x09\x08\x01\x10\xe7\x89\xe9\xf0\xff1\x10\x01\x10\xea\xe5\x84\x89";
const PASSWORD: &[u8] = b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13";
/// Of the recorded responses among the seeds, so that they get past the first check.
const NONCE: &str = "kc6IA9vtp0QZWHQlD30zw8wvq3pibKl5bz6xxLPL";

fuzz_target!(|bytes: &[u8]| {
    for preference in [Qop::AuthConf, Qop::AuthInt, Qop::Auth] {
        answer(bytes, preference);
    }
    if let Ok(challenge) = Challenge::parse(bytes) {
        let again = Challenge::parse(challenge.to_text().as_bytes());
        assert_eq!(again.map(|again| again.nonce), Ok(challenge.nonce));
    }
    if let Ok(response) = Response::parse(bytes) {
        assert_eq!(Response::parse(response.to_text().as_bytes()), Ok(response));
    }
    let accepted = Server::new(NONCE, Qop::ALL.to_vec()).accept(bytes, |_| Some(PASSWORD.to_vec()));
    assert!(
        accepted.is_err() || bytes.len() > 200,
        "a proof cannot be guessed: {accepted:?}"
    );
});

fn answer(challenge: &[u8], preference: Qop) {
    let client = Client::new(
        Credentials::of_token(IDENTIFIER, PASSWORD),
        vec![preference],
        "cnonce",
    );
    let Ok((text, awaiting)) = client.respond(challenge) else {
        return;
    };
    let response = Response::parse(text.as_bytes()).expect("the client writes what a server reads");
    if response.realm != DEFAULT_REALM {
        assert!(awaiting.verify(challenge).is_err(), "a challenge is no proof");
        return;
    }
    let server = Server::new(response.nonce, vec![preference]);
    let accepted = server
        .accept(text.as_bytes(), |_| Some(PASSWORD.to_vec()))
        .expect("the password is right");
    assert_eq!(accepted.identifier, IDENTIFIER);
    let established = awaiting
        .verify(accepted.rspauth.as_bytes())
        .expect("the server knows the password");
    exchange(established, accepted.established, challenge);
}

/// A message each way, then one that nobody wrapped.
fn exchange(client: Established, server: Established, message: &[u8]) {
    assert_eq!(client.qop, server.qop);
    let (Some(mut client), Some(mut server)) = (client.layer, server.layer) else {
        return;
    };
    assert_eq!(server.unwrap(&client.wrap(message)).as_deref(), Ok(message));
    assert_eq!(client.unwrap(&server.wrap(message)).as_deref(), Ok(message));
    assert!(client.unwrap(message).is_err() && server.unwrap(message).is_err());
}
