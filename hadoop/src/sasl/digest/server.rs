//! The side that can compute every token's password.

use super::keys::Direction;
use super::layer::{CIPHER, SecurityLayer};
use super::{
    Challenge, Credentials, DEFAULT_REALM, DEFAULT_URI, DigestError, Established, Response, identifier_of,
    same,
};
use crate::sasl::Qop;

/// A server that has sent, or is about to send, its challenge.
#[derive(Debug, Clone)]
pub struct Server {
    nonce: String,
    qops: Vec<Qop>,
}

/// A client that has proved to know its password.
#[derive(Debug)]
pub struct Accepted {
    /// The token identifier it authenticated with.
    pub identifier: Vec<u8>,
    /// The proof to send back.
    pub rspauth: String,
    /// Protection of everything after that.
    pub established: Established,
}

impl Server {
    /// `nonce` is random text that is used once; `qops` are the protections offered, in order.
    pub fn new(nonce: impl Into<String>, qops: Vec<Qop>) -> Self {
        Self {
            nonce: nonce.into(),
            qops,
        }
    }

    /// The text to send first.
    pub fn challenge(&self) -> String {
        let ciphers = if self.qops.contains(&Qop::AuthConf) {
            vec![CIPHER.to_owned()]
        } else {
            Vec::new()
        };
        let challenge = Challenge {
            realms: vec![DEFAULT_REALM.to_owned()],
            nonce: self.nonce.clone(),
            qop: self.qops.iter().map(|qop| qop.name().to_owned()).collect(),
            ciphers,
        };
        challenge.to_text()
    }

    /// Checks a response. `password_of` gives the password of a token identifier, or nothing if it is unknown.
    pub fn accept(
        &self,
        response: &[u8],
        password_of: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<Accepted, DigestError> {
        let response = Response::parse(response)?;
        self.check(&response)?;
        let identifier = identifier_of(&response.username)?;
        let password =
            password_of(&identifier).ok_or_else(|| DigestError::UnknownIdentifier(identifier.clone()))?;
        let credentials = Credentials::of_token(&identifier, &password);
        let keys = response.keys(&credentials.password);
        let expected = response.proof(&keys, Direction::ClientToServer);
        if !same(expected.as_bytes(), response.response.as_bytes()) {
            return Err(DigestError::WrongPassword);
        }
        let rspauth = format!("rspauth={}", response.proof(&keys, Direction::ServerToClient));
        let layer = SecurityLayer::new(&keys, response.qop, Direction::ServerToClient);
        Ok(Accepted {
            identifier,
            rspauth,
            established: Established {
                qop: response.qop,
                layer,
            },
        })
    }

    fn check(&self, response: &Response) -> Result<(), DigestError> {
        expect("nonce", &response.nonce, &self.nonce)?;
        expect("realm", &response.realm, DEFAULT_REALM)?;
        expect("digest-uri", &response.digest_uri, DEFAULT_URI)?;
        if !self.qops.contains(&response.qop) {
            return Err(DigestError::NoCommonProtection {
                offered: self.qops.iter().map(|qop| qop.name().to_owned()).collect(),
                wanted: vec![response.qop.name()],
            });
        }
        match (response.qop, response.cipher.as_deref()) {
            (Qop::AuthConf, None) => Err(DigestError::Missing("cipher")),
            (Qop::AuthConf, Some(cipher)) => expect("cipher", cipher, CIPHER),
            _ => Ok(()),
        }
    }
}

fn expect(directive: &'static str, found: &str, expected: &str) -> Result<(), DigestError> {
    if found == expected {
        return Ok(());
    }
    Err(DigestError::Mismatch {
        directive,
        found: found.to_owned(),
        expected: expected.to_owned(),
    })
}
