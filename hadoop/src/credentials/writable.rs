//! The `Writable` form: counts, lengths as [`vint`](super::vint)s, texts as length and UTF-8.

use super::{Credentials, CredentialsError, Token, vint};

pub(super) fn read_credentials(mut bytes: &[u8]) -> Result<Credentials, CredentialsError> {
    let from = &mut bytes;
    let mut credentials = Credentials::default();
    for _ in 0..length(from, "the number of tokens")? {
        let alias = text(from, "a token's alias")?;
        credentials.tokens.insert(alias, read_token(from)?);
    }
    for _ in 0..length(from, "the number of secrets")? {
        let alias = text(from, "a secret's alias")?;
        credentials
            .secrets
            .insert(alias, bytes_of(from, "a secret")?.to_vec());
    }
    Ok(credentials)
}

pub(super) fn read_token(from: &mut &[u8]) -> Result<Token, CredentialsError> {
    Ok(Token {
        identifier: bytes_of(from, "a token's identifier")?.to_vec(),
        password: bytes_of(from, "a token's password")?.to_vec(),
        kind: text(from, "a token's kind")?,
        service: text(from, "a token's service")?,
    })
}

pub(super) fn write_credentials(credentials: &Credentials, out: &mut Vec<u8>) {
    vint::put(credentials.tokens.len() as i64, out);
    for (alias, token) in &credentials.tokens {
        put_bytes(alias.as_bytes(), out);
        write_token(token, out);
    }
    vint::put(credentials.secrets.len() as i64, out);
    for (alias, secret) in &credentials.secrets {
        put_bytes(alias.as_bytes(), out);
        put_bytes(secret, out);
    }
}

pub(super) fn write_token(token: &Token, out: &mut Vec<u8>) {
    put_bytes(&token.identifier, out);
    put_bytes(&token.password, out);
    put_bytes(token.kind.as_bytes(), out);
    put_bytes(token.service.as_bytes(), out);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    vint::put(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

fn length(from: &mut &[u8], what: &'static str) -> Result<usize, CredentialsError> {
    let value = vint::take(from).ok_or(CredentialsError::Truncated(what))?;
    usize::try_from(value).map_err(|_| CredentialsError::Length(what))
}

fn bytes_of<'a>(from: &mut &'a [u8], what: &'static str) -> Result<&'a [u8], CredentialsError> {
    let length = length(from, what)?;
    let (bytes, rest) = from
        .split_at_checked(length)
        .ok_or(CredentialsError::Truncated(what))?;
    *from = rest;
    Ok(bytes)
}

fn text(from: &mut &[u8], what: &'static str) -> Result<String, CredentialsError> {
    let bytes = bytes_of(from, what)?;
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| CredentialsError::Text(what))
}
