//! DIGEST-MD5 (RFC 2831) as the JDK's SASL provider speaks it, client and server, without sockets.
//!
//! ```text
//! server                                   client
//! Server::new ──────────── challenge ────▶ Client::respond
//! Server::accept ◀───────── response ───── (AwaitingProof)
//!            └──────────── rspauth ──────▶ AwaitingProof::verify ─▶ Established
//! ```
//!
//! Only what Hadoop needs is here: algorithm `md5-sess`, one round, the ciphers `3des` for `auth-conf`
//! (every JDK offers it). User name and password are the Base64 forms of a token's identifier and password.
//! Nonces come from the caller, so that nothing in here is random.
//!
//! ```
//! use hadoop::sasl::Qop;
//! use hadoop::sasl::digest::{Client, Credentials, Server};
//!
//! let server = Server::new("a-nonce", vec![Qop::AuthInt, Qop::Auth]);
//! let client = Client::new(Credentials::of_token(b"who", b"secret"), vec![Qop::AuthInt], "a-cnonce");
//!
//! let (response, proof) = client.respond(server.challenge().as_bytes())?;
//! let accepted = server.accept(response.as_bytes(), |who| (who == b"who").then(|| b"secret".to_vec()))?;
//! let mut established = proof.verify(accepted.rspauth.as_bytes())?;
//!
//! assert_eq!(established.qop, Qop::AuthInt);
//! let mut ours = established.layer.take().expect("auth-int has a layer");
//! let mut theirs = accepted.established.layer.expect("auth-int has a layer");
//! assert_eq!(theirs.unwrap(&ours.wrap(b"hello"))?, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod challenge;
mod client;
mod directives;
mod keys;
mod layer;
mod response;
mod server;

pub use challenge::Challenge;
pub use client::{AwaitingProof, Client, Established};
pub use layer::{SecurityLayer, UnwrapError};
pub use response::Response;
pub use server::{Accepted, Server};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// What every Hadoop server with tokens uses as its realm and as the name of its service.
pub const DEFAULT_REALM: &str = "default";

/// The `digest-uri` for Hadoop's offer: protocol `""`, server id `default`.
pub const DEFAULT_URI: &str = "/default";

/// The longest challenge or response either side takes, in bytes.
pub const MAX_MESSAGE: usize = 4096;

/// Why authentication cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// More than [`MAX_MESSAGE`] bytes.
    #[error("a DIGEST-MD5 message of {0} bytes is too long")]
    TooLong(usize),
    /// The text is not a list of directives.
    #[error("malformed DIGEST-MD5 message: {0}")]
    Malformed(&'static str),
    /// A directive that must be there is not.
    #[error("DIGEST-MD5 message lacks `{0}`")]
    Missing(&'static str),
    /// A directive is there twice.
    #[error("DIGEST-MD5 message has `{0}` twice")]
    Repeated(&'static str),
    /// A directive holds something else than it must.
    #[error("DIGEST-MD5 `{directive}` is `{found}`, expected `{expected}`")]
    Mismatch {
        /// Which.
        directive: &'static str,
        /// What it holds.
        found: String,
        /// What it must hold.
        expected: String,
    },
    /// No protection is acceptable to both sides.
    #[error("server offers the protections {offered:?}, wanted is one of {wanted:?} (hadoop.rpc.protection)")]
    NoCommonProtection {
        /// Of the server.
        offered: Vec<String>,
        /// Ours.
        wanted: Vec<&'static str>,
    },
    /// `auth-conf` without the one cipher that is implemented.
    #[error("server offers the ciphers {0:?}, only 3des is supported")]
    NoCommonCipher(Vec<String>),
    /// The user name is not Base64.
    #[error("DIGEST-MD5 user name is not Base64")]
    BadUserName,
    /// The server does not know this identifier.
    #[error("token identifier is not known")]
    UnknownIdentifier(Vec<u8>),
    /// The client does not know the password.
    #[error("DIGEST-MD5: digest response format violation. Mismatched response.")]
    WrongPassword,
    /// The server does not know the password: it is not who it should be.
    #[error("server failed to prove that it knows the token's password")]
    WrongProof,
}

/// User name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    username: String,
    password: String,
}

impl Credentials {
    /// From the raw bytes of a token, as Hadoop does: Base64 with padding of each.
    pub fn of_token(identifier: &[u8], password: &[u8]) -> Self {
        Self {
            username: STANDARD.encode(identifier),
            password: STANDARD.encode(password),
        }
    }

    /// The user name as sent.
    pub fn username(&self) -> &str {
        &self.username
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// The identifier behind a user name.
fn identifier_of(username: &str) -> Result<Vec<u8>, DigestError> {
    STANDARD.decode(username).map_err(|_| DigestError::BadUserName)
}

/// Equality whose duration does not tell where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

#[cfg(test)]
mod tests;
