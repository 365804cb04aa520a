//! Vectors computed by the JDK's provider, exchanges recorded from live daemons, and both of our ends together.

use super::keys::hex;
use super::*;
use crate::sasl::Qop;
use proptest::prelude::*;

const USER: &str = "Cg0KCQgBEIXS9di6MhABEJvitqr8/////wE=";
const PASSWORD: &str = "AAECAwQFBgcICQoLDA0ODxAREhM=";

struct Vector {
    qop: Qop,
    nonce: &'static str,
    cnonce: &'static str,
    response: &'static str,
    rspauth: &'static str,
}

const AUTH: Vector = Vector {
    qop: Qop::Auth,
    nonce: "H02x+RcCaRhrJxhgxFDJvcELDjahM3g1N26FZ0bb",
    cnonce: "yn20OqSEsObjDXfn8QgeV6hqakedfJ0fh0E+scj7",
    response: "d0e680c7a61009e0a14908ef51e4b7fc",
    rspauth: "79cc1418da0cf094ecc0b5627e864c45",
};
const AUTH_INT: Vector = Vector {
    qop: Qop::AuthInt,
    nonce: "ZHK9HxKFMl83IPU89kuQXICV3qQK7FkDJ/txuE8v",
    cnonce: "NOG5g9LFNBGfDCnN7PJXS0fEdM22wwbjLBoeC6x8",
    response: "c31a1f047635c5e177eb7bfe9b701e99",
    rspauth: "1029d4fe71ead7629c8f6d96dff0f599",
};
const AUTH_CONF: Vector = Vector {
    qop: Qop::AuthConf,
    nonce: "ySxSysZTqG/QzjVtQzpi22gk9feQKalmOlZSXhpQ",
    cnonce: "OwJVvh4j/Fxdvf9kmffpafoSngTYr0ynzgY7vCVU",
    response: "dc669161de4c9275dc2ad66514e10422",
    rspauth: "f3eb633e93f266397156ec60b5c7d80c",
};

fn raw(base64: &str) -> Vec<u8> {
    STANDARD.decode(base64).unwrap()
}

/// Runs both ends with a vector's nonces and returns their layers.
fn run(vector: &Vector) -> (Option<SecurityLayer>, Option<SecurityLayer>) {
    let server = Server::new(vector.nonce, Qop::ALL.to_vec());
    let credentials = Credentials::of_token(&raw(USER), &raw(PASSWORD));
    let client = Client::new(credentials, vec![vector.qop], vector.cnonce);
    let (response, proof) = client.respond(server.challenge().as_bytes()).unwrap();
    assert!(
        response.contains(&format!("response={}", vector.response)),
        "{response}"
    );
    let accepted = server
        .accept(response.as_bytes(), |_| Some(raw(PASSWORD)))
        .unwrap();
    assert_eq!(accepted.identifier, raw(USER));
    assert_eq!(accepted.rspauth, format!("rspauth={}", vector.rspauth));
    let established = proof.verify(accepted.rspauth.as_bytes()).unwrap();
    assert_eq!(established.qop, vector.qop);
    (established.layer, accepted.established.layer)
}

fn layers(vector: &Vector) -> (SecurityLayer, SecurityLayer) {
    let (client, server) = run(vector);
    (client.unwrap(), server.unwrap())
}

#[test]
fn auth_proves_both_sides_and_has_no_layer() {
    let (client, server) = run(&AUTH);
    assert!(client.is_none() && server.is_none());
}

#[test]
fn auth_int_messages_are_those_of_the_jdk() {
    let (mut client, mut server) = layers(&AUTH_INT);
    let first = client.wrap(b"hello");
    assert_eq!(hex(&first), "68656c6c6f6555639660a3027b95bc000100000000");
    let second = client.wrap(b"second message");
    assert_eq!(
        hex(&second),
        "7365636f6e64206d657373616765b6f33b76c2cebc0fac26000100000001"
    );
    let back = server.wrap(b"hello");
    assert_eq!(hex(&back), "68656c6c6fbade1726f16d70c654b1000100000000");
    assert_eq!(server.unwrap(&first).unwrap(), b"hello");
    assert_eq!(server.unwrap(&second).unwrap(), b"second message");
    assert_eq!(client.unwrap(&back).unwrap(), b"hello");
}

#[test]
fn auth_conf_messages_are_those_of_the_jdk() {
    let (mut client, mut server) = layers(&AUTH_CONF);
    let ours = [client.wrap(b"hello"), client.wrap(b"second message")];
    assert_eq!(hex(&ours[0]), "66e103ada072f8aae3e94efba94ab277000100000000");
    assert_eq!(
        hex(&ours[1]),
        "5339cc1e2dd44f114d098634b2aab7c7855ed2e397e0a2cff86ec68f40dcb780000100000001"
    );
    let theirs = [server.wrap(b"hello"), server.wrap(b"second message")];
    assert_eq!(hex(&theirs[0]), "9a37de690c2c3ab66ca74b0b81ffecf3000100000000");
    assert_eq!(
        hex(&theirs[1]),
        "6e75282b69388359f674356a7a5a857a65041177e593a0d6ef93dfd1878c592f000100000001"
    );
    assert_eq!(server.unwrap(&ours[0]).unwrap(), b"hello");
    assert_eq!(server.unwrap(&ours[1]).unwrap(), b"second message");
    assert_eq!(client.unwrap(&theirs[0]).unwrap(), b"hello");
    assert_eq!(client.unwrap(&theirs[1]).unwrap(), b"second message");
}

fn from_hex(text: &str) -> Vec<u8> {
    let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

#[test]
fn exchanges_recorded_from_live_daemons_are_reproduced() {
    let text = include_str!("../testdata/recorded.txt");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut seen = 0;
    for exchange in lines.chunks_exact(7) {
        let [title, identifier, password, cnonce, challenge, response, rspauth] = exchange else {
            unreachable!()
        };
        let qop = Response::parse(response.as_bytes()).unwrap().qop;
        let credentials = Credentials::of_token(&from_hex(identifier), &from_hex(password));
        let client = Client::new(credentials, vec![qop], *cnonce);
        let (ours, proof) = client.respond(challenge.as_bytes()).unwrap();
        assert_eq!(&ours, response, "{title}");
        proof.verify(format!("rspauth={rspauth}").as_bytes()).unwrap();
        seen += 1;
    }
    assert_eq!((seen, lines.len()), (6, 42));
}

#[test]
fn a_live_challenge_prints_as_it_was_read() {
    let text = include_str!("../testdata/recorded.txt");
    let challenge = text.lines().find(|line| line.starts_with("realm=")).unwrap();
    let parsed = Challenge::parse(challenge.as_bytes()).unwrap();
    assert_eq!(parsed.qop, ["auth-conf", "auth-int", "auth"]);
    assert_eq!(parsed.to_text(), challenge);
}

fn client(qops: &[Qop]) -> Client {
    Client::new(Credentials::of_token(b"who", b"secret"), qops.to_vec(), "c")
}

#[test]
fn a_client_takes_its_own_first_preference() {
    let challenge = b"realm=\"default\",nonce=\"n\",qop=\"auth,auth-int,auth-conf\",cipher=\"rc4,3des\"";
    let (response, _) = client(&[Qop::AuthInt, Qop::Auth]).respond(challenge).unwrap();
    assert_eq!(Response::parse(response.as_bytes()).unwrap().qop, Qop::AuthInt);
}

#[test]
fn without_a_common_protection_or_cipher_there_is_no_response() {
    let no_privacy = b"realm=\"default\",nonce=\"n\",qop=\"auth\"";
    let error = client(&[Qop::AuthConf]).respond(no_privacy).unwrap_err();
    assert!(matches!(error, DigestError::NoCommonProtection { .. }));
    let no_3des = b"realm=\"default\",nonce=\"n\",qop=\"auth-conf\",cipher=\"rc4\"";
    let error = client(&[Qop::AuthConf]).respond(no_3des).unwrap_err();
    assert_eq!(error, DigestError::NoCommonCipher(vec!["rc4".into()]));
}

#[test]
fn a_server_refuses_whoever_does_not_fit() {
    let server = Server::new("n", vec![Qop::Auth]);
    let (good, _) = client(&[Qop::Auth])
        .respond(server.challenge().as_bytes())
        .unwrap();
    let accept = |text: &str| {
        server
            .accept(text.as_bytes(), |_| Some(b"secret".to_vec()))
            .map(|_| ())
    };
    assert_eq!(accept(&good), Ok(()));
    let wrong = server
        .accept(good.as_bytes(), |_| Some(b"other".to_vec()))
        .map(|_| ());
    assert_eq!(wrong, Err(DigestError::WrongPassword));
    let unknown = server.accept(good.as_bytes(), |_| None).map(|_| ());
    assert_eq!(unknown, Err(DigestError::UnknownIdentifier(b"who".to_vec())));
    for (from, to) in [
        ("\"/default\"", "\"/other\""),
        ("realm=\"default\",", ""),
        ("nonce=\"n\"", "nonce=\"m\""),
        ("nc=00000001", "nc=00000002"),
        ("qop=auth", "qop=auth-int"),
        ("username=\"", "username=\"*"),
    ] {
        assert!(good.contains(from), "{good}");
        assert!(accept(&good.replacen(from, to, 1)).is_err(), "{from} -> {to}");
    }
    assert_eq!(accept(&good.replacen("nc=00000001,", "", 1)), Ok(()));
}

#[test]
fn a_server_that_does_not_know_the_password_is_found_out() {
    let server = Server::new("n", vec![Qop::Auth]);
    let (_, proof) = client(&[Qop::Auth])
        .respond(server.challenge().as_bytes())
        .unwrap();
    let lie = b"rspauth=00000000000000000000000000000000";
    assert_eq!(proof.verify(lie).map(|_| ()), Err(DigestError::WrongProof));
}

#[test]
fn replayed_changed_and_cut_messages_are_refused() {
    for vector in [AUTH_INT, AUTH_CONF] {
        let (mut client, mut server) = layers(&vector);
        let first = client.wrap(b"hello");
        server.unwrap(&first).unwrap();
        assert!(server.unwrap(&first).is_err());
        for at in 0..first.len() {
            let (mut client, mut server) = layers(&vector);
            let mut changed = client.wrap(b"hello");
            changed[at] ^= 1;
            assert!(server.unwrap(&changed).is_err(), "byte {at}");
            assert!(layers(&vector).1.unwrap(&first[..at]).is_err(), "cut at {at}");
        }
    }
}

proptest! {
    #[test]
    fn messages_of_any_size_come_back_in_order(messages: Vec<Vec<u8>>, conf: bool) {
        let (mut client, mut server) = layers(if conf { &AUTH_CONF } else { &AUTH_INT });
        for message in messages {
            prop_assert_eq!(server.unwrap(&client.wrap(&message)).unwrap(), message.clone());
            prop_assert_eq!(client.unwrap(&server.wrap(&message)).unwrap(), message);
        }
    }

    #[test]
    fn garbage_never_panics(bytes: Vec<u8>) {
        let _ = Challenge::parse(&bytes);
        let _ = Response::parse(&bytes);
        let _ = layers(&AUTH_CONF).1.unwrap(&bytes);
    }
}
