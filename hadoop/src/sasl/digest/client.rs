//! The side that has a token.

use super::keys::{Direction, Keys};
use super::layer::{CIPHER, SecurityLayer};
use super::{Challenge, Credentials, DEFAULT_REALM, DEFAULT_URI, DigestError, MAX_MESSAGE, Response, same};
use crate::sasl::Qop;

/// A client that has not been challenged yet.
#[derive(Debug, Clone)]
pub struct Client {
    credentials: Credentials,
    preference: Vec<Qop>,
    cnonce: String,
    digest_uri: String,
}

/// Authentication is complete.
#[derive(Debug)]
pub struct Established {
    /// The protection agreed on.
    pub qop: Qop,
    /// What every later message passes through; none with [`Qop::Auth`].
    pub layer: Option<SecurityLayer>,
}

impl Client {
    /// `preference` lists acceptable protections, best first; `cnonce` is random text that is used once.
    pub fn new(credentials: Credentials, preference: Vec<Qop>, cnonce: impl Into<String>) -> Self {
        Self {
            credentials,
            preference,
            cnonce: cnonce.into(),
            digest_uri: DEFAULT_URI.to_owned(),
        }
    }

    /// For a service other than protocol `""` and server id `default`.
    #[must_use]
    pub fn for_service(mut self, protocol: &str, server_id: &str) -> Self {
        self.digest_uri = format!("{protocol}/{server_id}");
        self
    }

    /// Answers a challenge: the text to send, and what waits for the server's proof.
    pub fn respond(&self, challenge: &[u8]) -> Result<(String, AwaitingProof), DigestError> {
        let challenge = Challenge::parse(challenge)?;
        let qop = self.choose(&challenge)?;
        let realm = challenge
            .realms
            .into_iter()
            .next()
            .unwrap_or_else(|| DEFAULT_REALM.to_owned());
        let mut response = Response {
            username: self.credentials.username.clone(),
            realm,
            nonce: challenge.nonce,
            cnonce: self.cnonce.clone(),
            digest_uri: self.digest_uri.clone(),
            qop,
            cipher: (qop == Qop::AuthConf).then(|| CIPHER.to_owned()),
            response: String::new(),
        };
        let keys = response.keys(&self.credentials.password);
        response.response = response.proof(&keys, Direction::ClientToServer);
        let text = response.to_text();
        if text.len() >= MAX_MESSAGE {
            return Err(DigestError::TooLong(text.len()));
        }
        Ok((text, AwaitingProof { keys, response }))
    }

    /// Our own first preference among the protections offered, as the JDK's client chooses.
    fn choose(&self, challenge: &Challenge) -> Result<Qop, DigestError> {
        let offered = |wanted: &Qop| challenge.qops().any(|qop| qop == *wanted);
        let Some(qop) = self.preference.iter().copied().find(offered) else {
            return Err(DigestError::NoCommonProtection {
                offered: challenge.qop.clone(),
                wanted: self.preference.iter().map(|qop| qop.name()).collect(),
            });
        };
        if qop == Qop::AuthConf && !challenge.ciphers.iter().any(|cipher| cipher == CIPHER) {
            return Err(DigestError::NoCommonCipher(challenge.ciphers.clone()));
        }
        Ok(qop)
    }
}

/// A client whose response is on its way: the server still has to prove that it knows the password.
pub struct AwaitingProof {
    keys: Keys,
    response: Response,
}

impl std::fmt::Debug for AwaitingProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwaitingProof")
            .field("response", &self.response)
            .finish_non_exhaustive()
    }
}

impl AwaitingProof {
    /// Checks the server's `rspauth=…`.
    pub fn verify(self, message: &[u8]) -> Result<Established, DigestError> {
        let directives = super::directives::Directives::parse(message)?;
        let expected = self.response.proof(&self.keys, Direction::ServerToClient);
        if !same(directives.required("rspauth")?.as_bytes(), expected.as_bytes()) {
            return Err(DigestError::WrongProof);
        }
        let qop = self.response.qop;
        Ok(Established {
            qop,
            layer: SecurityLayer::new(&self.keys, qop, Direction::ClientToServer),
        })
    }
}
