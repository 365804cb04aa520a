//! The protobuf form: one length-delimited `CredentialsProto` of Hadoop's `Security.proto`.

use prost::Message;

use super::{Credentials, CredentialsError, Token};

#[derive(Clone, PartialEq, Message)]
struct CredentialsMessage {
    #[prost(message, repeated, tag = "1")]
    tokens: Vec<EntryMessage>,
    #[prost(message, repeated, tag = "2")]
    secrets: Vec<EntryMessage>,
}

/// `CredentialsKVProto`: an alias with a token or a secret.
#[derive(Clone, PartialEq, Message)]
struct EntryMessage {
    #[prost(string, required, tag = "1")]
    alias: String,
    #[prost(message, optional, tag = "2")]
    token: Option<TokenMessage>,
    #[prost(bytes = "vec", optional, tag = "3")]
    secret: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct TokenMessage {
    #[prost(bytes = "vec", required, tag = "1")]
    identifier: Vec<u8>,
    #[prost(bytes = "vec", required, tag = "2")]
    password: Vec<u8>,
    #[prost(string, required, tag = "3")]
    kind: String,
    #[prost(string, required, tag = "4")]
    service: String,
}

/// The parts of `AMRMTokenIdentifierProto` and of the ids in it that are read here.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AmRmIdentifierMessage {
    #[prost(message, optional, tag = "1")]
    pub(super) attempt: Option<AttemptMessage>,
    #[prost(int32, optional, tag = "2")]
    pub(super) key_id: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AttemptMessage {
    #[prost(message, optional, tag = "1")]
    pub(super) application: Option<ApplicationMessage>,
    #[prost(int32, optional, tag = "2")]
    pub(super) attempt: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ApplicationMessage {
    #[prost(int32, optional, tag = "1")]
    pub(super) id: Option<i32>,
    #[prost(int64, optional, tag = "2")]
    pub(super) cluster_timestamp: Option<i64>,
}

pub(super) fn read_credentials(bytes: &[u8]) -> Result<Credentials, CredentialsError> {
    let message = CredentialsMessage::decode_length_delimited(bytes);
    let message = message.map_err(|error| CredentialsError::Protobuf(error.to_string()))?;
    let mut credentials = Credentials::default();
    for EntryMessage { alias, token, .. } in message.tokens {
        let token = token.ok_or(CredentialsError::Truncated("a token's entry"))?;
        credentials.tokens.insert(alias, token.into());
    }
    for EntryMessage { alias, secret, .. } in message.secrets {
        credentials.secrets.insert(
            alias,
            secret.ok_or(CredentialsError::Truncated("a secret's entry"))?,
        );
    }
    Ok(credentials)
}

pub(super) fn write_credentials(credentials: &Credentials, out: &mut Vec<u8>) {
    let token = |(alias, token): (&String, &Token)| EntryMessage {
        alias: alias.clone(),
        token: Some(token.into()),
        secret: None,
    };
    let secret = |(alias, secret): (&String, &Vec<u8>)| EntryMessage {
        alias: alias.clone(),
        token: None,
        secret: Some(secret.clone()),
    };
    let message = CredentialsMessage {
        tokens: credentials.tokens.iter().map(token).collect(),
        secrets: credentials.secrets.iter().map(secret).collect(),
    };
    out.extend_from_slice(&message.encode_length_delimited_to_vec());
}

impl From<TokenMessage> for Token {
    fn from(message: TokenMessage) -> Self {
        let TokenMessage {
            identifier,
            password,
            kind,
            service,
        } = message;
        Token {
            identifier,
            password,
            kind,
            service,
        }
    }
}

impl From<&Token> for TokenMessage {
    fn from(token: &Token) -> Self {
        let Token {
            identifier,
            password,
            kind,
            service,
        } = token.clone();
        TokenMessage {
            identifier,
            password,
            kind,
            service,
        }
    }
}
