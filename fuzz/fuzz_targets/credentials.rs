//! Credentials files and tokens: whatever can be read is written and read again unchanged, in both forms.

#![no_main]

use hadoop::credentials::{Credentials, Format, Token};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(credentials) = Credentials::from_bytes(bytes) {
        check_credentials(&credentials);
    }
    if let Ok(Ok(token)) = std::str::from_utf8(bytes).map(Token::from_url_string) {
        check_token(&token);
    }
});

fn check_credentials(credentials: &Credentials) {
    for format in [Format::Writable, Format::Protobuf] {
        let again = Credentials::from_bytes(&credentials.to_bytes(format)).expect("our own bytes are whole");
        assert_eq!(&again, credentials);
    }
    credentials.tokens.values().for_each(check_token);
    assert!(credentials.for_containers().tokens.len() <= credentials.tokens.len());
}

fn check_token(token: &Token) {
    let again = Token::from_url_string(&token.to_url_string()).expect("our own text is whole");
    assert_eq!(&again, token);
    if let Some(identifier) = token.am_rm_identifier() {
        let text = identifier.attempt.to_string();
        assert_eq!(text.parse(), Ok(identifier.attempt));
    }
    let _ = format!("{token:?}");
}
