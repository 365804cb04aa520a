//! What the server opens with.

use super::DigestError;
use super::directives::{Directives, list, push_plain, push_quoted};
use crate::sasl::Qop;

/// A server's challenge. Parameters that are not listed have the meaning RFC 2831 gives to their absence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Realms to choose from.
    pub realms: Vec<String>,
    /// The server's nonce.
    pub nonce: String,
    /// Protections offered, as named by the server; known ones by [`Challenge::qops`].
    pub qop: Vec<String>,
    /// Ciphers offered for `auth-conf`.
    pub ciphers: Vec<String>,
}

impl Challenge {
    /// Reads a challenge. Unknown directives are skipped; never panics, whatever the bytes.
    pub fn parse(message: &[u8]) -> Result<Self, DigestError> {
        let directives = Directives::parse(message)?;
        directives.expect("algorithm", "md5-sess")?;
        directives.expect("charset", "utf-8")?;
        let owned = |values: Vec<&str>| values.into_iter().map(str::to_owned).collect();
        Ok(Self {
            realms: directives.all("realm").map(str::to_owned).collect(),
            nonce: directives.required("nonce")?.to_owned(),
            qop: owned(list(directives.optional("qop")?.unwrap_or("auth"))),
            ciphers: owned(list(directives.optional("cipher")?.unwrap_or(""))),
        })
    }

    /// The known ones of the protections offered.
    pub fn qops(&self) -> impl Iterator<Item = Qop> {
        self.qop.iter().filter_map(|name| Qop::from_name(name))
    }

    /// The text on the wire, as the JDK writes it.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for realm in &self.realms {
            push_quoted(&mut text, "realm", realm);
        }
        push_quoted(&mut text, "nonce", &self.nonce);
        push_quoted(&mut text, "qop", &self.qop.join(","));
        push_plain(&mut text, "charset", "utf-8");
        if !self.ciphers.is_empty() {
            push_quoted(&mut text, "cipher", &self.ciphers.join(","));
        }
        push_plain(&mut text, "algorithm", "md5-sess");
        text
    }
}
