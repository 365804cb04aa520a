//! One token: what a client shows to a service instead of a password of its user.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::Message as _;

use super::protobuf::AmRmIdentifierMessage;
use super::{CredentialsError, writable};
use crate::ids::{ApplicationAttemptId, ApplicationId};

/// Kinds of tokens, as services and their clients name them.
pub mod kind {
    /// ApplicationMaster to ResourceManager.
    pub const AM_RM: &str = "YARN_AM_RM_TOKEN";
    /// ApplicationMaster to NodeManager.
    pub const NODE_MANAGER: &str = "NMToken";
    /// Permission to start one container.
    pub const CONTAINER: &str = "ContainerToken";
    /// Client to ResourceManager.
    pub const RM_DELEGATION: &str = "RM_DELEGATION_TOKEN";
    /// Anybody to NameNode.
    pub const HDFS_DELEGATION: &str = "HDFS_DELEGATION_TOKEN";
    /// Client to ApplicationMaster.
    pub const CLIENT: &str = "YARN_CLIENT_TOKEN";
    /// Anybody to the timeline service.
    pub const TIMELINE: &str = "TIMELINE_DELEGATION_TOKEN";
}

/// Padding is never written and never demanded.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A token. `Debug` shows everything but the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What the token says; its form depends on the kind. SASL uses it, Base64-encoded, as the user name.
    pub identifier: Vec<u8>,
    /// Proof that the service made the identifier. SASL uses it, Base64-encoded, as the password.
    pub password: Vec<u8>,
    /// Which service it is for; see [`kind`].
    pub kind: String,
    /// Which instance of the service, as in `10.0.0.1:8020` or `ha-hdfs:ns1`; empty in AMRM tokens.
    pub service: String,
}

/// What the identifier of an AMRM token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmRmTokenIdentifier {
    /// The attempt it was made for.
    pub attempt: ApplicationAttemptId,
    /// The master key it was signed with; a rolled token differs here.
    pub key_id: i32,
}

impl Token {
    /// The form used in URLs and REST bodies (`Token.encodeToUrlString`).
    pub fn to_url_string(&self) -> String {
        let mut bytes = Vec::new();
        writable::write_token(self, &mut bytes);
        BASE64.encode(bytes)
    }

    /// Reads the form used in URLs and REST bodies.
    ///
    /// # Errors
    /// Not URL-safe Base64, or not a token inside.
    pub fn from_url_string(text: &str) -> Result<Self, CredentialsError> {
        let bytes = BASE64.decode(text.trim()).map_err(|_| CredentialsError::Base64)?;
        writable::read_token(&mut bytes.as_slice())
    }

    /// What the identifier says, if this is an AMRM token and its identifier is whole.
    pub fn am_rm_identifier(&self) -> Option<AmRmTokenIdentifier> {
        if self.kind != kind::AM_RM {
            return None;
        }
        let message = AmRmIdentifierMessage::decode(self.identifier.as_slice()).ok()?;
        let attempt = message.attempt?;
        let application = attempt.application?;
        let timestamp = u64::try_from(application.cluster_timestamp?).ok()?;
        let application = ApplicationId::new(timestamp, u32::try_from(application.id?).ok()?);
        let attempt = application.attempt(u32::try_from(attempt.attempt?).ok()?);
        Some(AmRmTokenIdentifier {
            attempt,
            key_id: message.key_id?,
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("kind", &self.kind)
            .field("service", &self.service)
            .field("identifier", &BASE64.encode(&self.identifier))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str =
        "GgoNCgkIARDnienw_zEQARDq5YSJ______8BFAABAgMEBQYHCAkKCwwNDg8QERITEFlBUk5fQU1fUk1fVE9LRU4A";

    #[test]
    fn a_recorded_url_form_is_read_and_written() {
        let token = Token::from_url_string(RECORDED).unwrap();
        assert_eq!(token.to_url_string(), RECORDED);
        let id = token.am_rm_identifier().unwrap();
        assert_eq!(id.attempt.to_string(), "appattempt_1717955085543_0001_000001");
        assert_eq!(id.key_id, -249_482_518);
    }

    #[test]
    fn padding_is_tolerated() {
        let token = Token {
            kind: "kk".to_owned(),
            ..Token::from_url_string(RECORDED).unwrap()
        };
        let bare = token.to_url_string();
        let padded = format!("{bare}{}\n", "=".repeat((4 - bare.len() % 4) % 4));
        assert_ne!(padded.trim_end(), bare, "the case must need padding");
        assert_eq!(Token::from_url_string(&padded).unwrap(), token);
    }

    #[test]
    fn texts_that_hold_no_token_are_refused() {
        assert!(matches!(
            Token::from_url_string("a+b/"),
            Err(CredentialsError::Base64)
        ));
        assert!(matches!(
            Token::from_url_string(&RECORDED[..40]),
            Err(CredentialsError::Truncated(_))
        ));
        assert!(matches!(
            Token::from_url_string(""),
            Err(CredentialsError::Truncated(_))
        ));
    }

    #[test]
    fn only_am_tokens_with_whole_identifiers_are_decoded() {
        let token = Token::from_url_string(RECORDED).unwrap();
        assert_eq!(
            Token {
                kind: "NMToken".to_owned(),
                ..token.clone()
            }
            .am_rm_identifier(),
            None
        );
        let cut = token.identifier[..5].to_vec();
        assert_eq!(
            Token {
                identifier: cut,
                ..token
            }
            .am_rm_identifier(),
            None
        );
    }
}
