//! What the client answers.

use super::DigestError;
use super::directives::{Directives, push_plain, push_quoted};
use super::keys::{Direction, Keys};
use crate::sasl::Qop;

/// The only value of the nonce count: there is no second authentication on a connection.
const FIRST_USE: &str = "00000001";

/// The largest wrapped message both sides say they take. Neither Hadoop nor this crate enforces it.
const MAX_BUFFER: &str = "65536";

/// A client's response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Base64 of the token identifier.
    pub username: String,
    /// One of the server's realms.
    pub realm: String,
    /// The server's nonce.
    pub nonce: String,
    /// The client's nonce.
    pub cnonce: String,
    /// Protocol, slash, server id.
    pub digest_uri: String,
    /// The protection chosen.
    pub qop: Qop,
    /// The cipher chosen, with `auth-conf` only.
    pub cipher: Option<String>,
    /// The proof: 32 hexadecimal digits.
    pub response: String,
}

impl Response {
    /// Reads a response as servers do: `nc`, `maxbuf`, `charset` and `qop` may be absent.
    pub fn parse(message: &[u8]) -> Result<Self, DigestError> {
        let directives = Directives::parse(message)?;
        directives.expect("nc", FIRST_USE)?;
        directives.expect("charset", "utf-8")?;
        let qop = directives.optional("qop")?.unwrap_or("auth");
        let unknown = || DigestError::Mismatch {
            directive: "qop",
            found: qop.to_owned(),
            expected: "auth, auth-int or auth-conf".to_owned(),
        };
        let required = |name| directives.required(name).map(str::to_owned);
        Ok(Self {
            username: required("username")?,
            realm: required("realm")?,
            nonce: required("nonce")?,
            cnonce: required("cnonce")?,
            digest_uri: required("digest-uri")?,
            qop: Qop::from_name(qop).ok_or_else(unknown)?,
            cipher: directives.optional("cipher")?.map(str::to_owned),
            response: required("response")?,
        })
    }

    /// The text on the wire, as the JDK writes it.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        push_plain(&mut text, "charset", "utf-8");
        push_quoted(&mut text, "username", &self.username);
        push_quoted(&mut text, "realm", &self.realm);
        push_quoted(&mut text, "nonce", &self.nonce);
        push_plain(&mut text, "nc", FIRST_USE);
        push_quoted(&mut text, "cnonce", &self.cnonce);
        push_quoted(&mut text, "digest-uri", &self.digest_uri);
        push_plain(&mut text, "maxbuf", MAX_BUFFER);
        push_plain(&mut text, "response", &self.response);
        push_plain(&mut text, "qop", self.qop.name());
        if let Some(cipher) = &self.cipher {
            push_quoted(&mut text, "cipher", cipher);
        }
        text
    }

    /// The keys both sides share when the password is this one.
    pub(super) fn keys(&self, password: &str) -> Keys {
        Keys::derive(&self.username, &self.realm, password, &self.nonce, &self.cnonce)
    }

    /// The proof that one side gives to the other.
    pub(super) fn proof(&self, keys: &Keys, by: Direction) -> String {
        let method = match by {
            Direction::ClientToServer => "AUTHENTICATE",
            Direction::ServerToClient => "",
        };
        let body = match self.qop {
            Qop::Auth => "",
            Qop::AuthInt | Qop::AuthConf => ":00000000000000000000000000000000",
        };
        let request = format!("{method}:{}{body}", self.digest_uri);
        keys.proof(&[&self.nonce, FIRST_USE, &self.cnonce, self.qop.name()], &request)
    }
}
