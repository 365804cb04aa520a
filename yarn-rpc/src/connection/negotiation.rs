//! The client's part in agreeing on authentication.

use super::ProtocolError;
use crate::proto::common::{
    RpcSaslProto,
    rpc_sasl_proto::{SaslAuth, SaslState},
};
use hadoop::sasl::Qop;
use hadoop::sasl::digest::{AwaitingProof, Client, Credentials, Established};

/// How a client proves who it is.
#[derive(Debug, Clone)]
pub struct Auth {
    user: Option<String>,
    token: Option<TokenAuth>,
}

#[derive(Debug, Clone)]
struct TokenAuth {
    credentials: Credentials,
    preference: Vec<Qop>,
    cnonce: String,
}

impl Auth {
    /// By saying so. Enough where `hadoop.security.authentication` is `simple` and no token is demanded.
    pub fn simple(user: impl Into<String>) -> Self {
        Self {
            user: Some(user.into()),
            token: None,
        }
    }

    /// With a token; `preference` lists acceptable protections, best first; `cnonce` is random text used once.
    pub fn token(credentials: Credentials, preference: Vec<Qop>, cnonce: impl Into<String>) -> Self {
        let token = TokenAuth {
            credentials,
            preference,
            cnonce: cnonce.into(),
        };
        Self {
            user: None,
            token: Some(token),
        }
    }

    /// Also willing to say a name when the server wants no token.
    #[must_use]
    pub fn or_simple(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// After a token was accepted: it names the user, another name would be refused.
    pub(super) fn forget_user(&mut self) {
        self.user = None;
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }
}

/// What the client does after a SASL message of the server.
pub(super) enum Step {
    /// Sends this and waits for the next message.
    Send(RpcSaslProto),
    /// Authenticated by token.
    Done(Box<Established>),
    /// The server wants no proof; sends this first, if anything.
    Simple(Option<RpcSaslProto>),
}

/// Negotiation from the client's first message to the server's last.
pub(super) enum Negotiation {
    AwaitingOffer,
    AwaitingProof(Box<AwaitingProof>),
    /// The proof came early, in a challenge; only the server's word that all is well is missing.
    AwaitingSuccess(Box<Established>),
    Over,
}

impl Negotiation {
    /// The client's first message.
    pub(super) fn opening() -> RpcSaslProto {
        message(SaslState::Negotiate, None)
    }

    pub(super) fn handle(&mut self, message: RpcSaslProto, auth: &Auth) -> Result<Step, ProtocolError> {
        let state = SaslState::try_from(message.state).map_err(|_| ProtocolError::Malformed("SASL state"))?;
        match (std::mem::replace(self, Self::Over), state) {
            (Self::AwaitingOffer, SaslState::Negotiate) => self.choose(&message.auths, auth),
            // A server that authenticates nobody.
            (Self::AwaitingOffer, SaslState::Success) => simple(auth, None, &[]),
            (Self::AwaitingProof(proof), SaslState::Success) => Ok(Step::Done(Box::new(
                proof.verify(&message.token.unwrap_or_default())?,
            ))),
            (Self::AwaitingProof(proof), SaslState::Challenge) => {
                *self = Self::AwaitingSuccess(Box::new(proof.verify(&message.token.unwrap_or_default())?));
                Ok(Step::Send(self::message(SaslState::Response, Some(Vec::new()))))
            }
            (Self::AwaitingSuccess(established), SaslState::Success) => Ok(Step::Done(established)),
            _ => Err(ProtocolError::Unexpected("SASL message")),
        }
    }

    fn choose(&mut self, offers: &[SaslAuth], auth: &Auth) -> Result<Step, ProtocolError> {
        let digest = |offer: &&SaslAuth| offer.method == "TOKEN" && offer.mechanism == "DIGEST-MD5";
        match (&auth.token, offers.iter().find(digest)) {
            (Some(token), Some(offer)) => self.initiate(token, offer.clone()),
            _ => {
                let chosen = offers.iter().find(|offer| offer.method == "SIMPLE").cloned();
                simple(auth, chosen, offers)
            }
        }
    }

    fn initiate(&mut self, token: &TokenAuth, mut offer: SaslAuth) -> Result<Step, ProtocolError> {
        let challenge = offer.challenge.take().unwrap_or_default();
        let (protocol, server) = (offer.protocol(), offer.server_id());
        let client = Client::new(
            token.credentials.clone(),
            token.preference.clone(),
            token.cnonce.clone(),
        )
        .for_service(protocol, server);
        let (response, proof) = client.respond(&challenge)?;
        *self = Self::AwaitingProof(Box::new(proof));
        Ok(Step::Send(RpcSaslProto {
            auths: vec![offer],
            ..message(SaslState::Initiate, Some(response.into_bytes()))
        }))
    }
}

/// Goes on without proof, if a name was given and the server would have it.
fn simple(auth: &Auth, chosen: Option<SaslAuth>, offers: &[SaslAuth]) -> Result<Step, ProtocolError> {
    if auth.user.is_none() || (chosen.is_none() && !offers.is_empty()) {
        return Err(no_common_method(auth, offers));
    }
    let initiate = |offer| RpcSaslProto {
        auths: vec![offer],
        ..message(SaslState::Initiate, Some(Vec::new()))
    };
    Ok(Step::Simple(chosen.map(initiate)))
}

fn no_common_method(auth: &Auth, offers: &[SaslAuth]) -> ProtocolError {
    let name = |offer: &SaslAuth| format!("{} {}", offer.method, offer.mechanism).trim().to_owned();
    let offered = if offers.is_empty() {
        vec!["SIMPLE".to_owned()]
    } else {
        offers.iter().map(name).collect()
    };
    let have = match (&auth.token, &auth.user) {
        (Some(_), Some(_)) => "a token (DIGEST-MD5) or a user name",
        (Some(_), None) => "a token (DIGEST-MD5)",
        (None, _) => "a user name",
    };
    ProtocolError::NoCommonMethod { offered, have }
}

fn message(state: SaslState, token: Option<Vec<u8>>) -> RpcSaslProto {
    RpcSaslProto {
        version: None,
        state: state as i32,
        token,
        auths: Vec::new(),
    }
}
