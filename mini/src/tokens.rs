//! The tokens of the three kinds an ApplicationMaster meets, made and checked with one secret.
//!
//! Identifiers are Hadoop's own messages. A password is a keyed hash of kind and identifier; which hash is nobody's
//! business but ours, because only this process makes and checks passwords.

mod keys;

pub use keys::TokenKind;

use std::fmt;

use hadoop::credentials::{Token, kind};
use hadoop::ids::{ApplicationAttemptId, ContainerId, NodeId};
use hmac::{Hmac, KeyInit, Mac};
use prost::Message;
use sha2::Sha256;
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::{Priority, Resource};

use crate::UnixMs;

/// Length of Hadoop's own token passwords (HMAC-SHA1), kept so that sizes are the usual ones.
const PASSWORD: usize = 20;

/// Makes and checks tokens.
pub struct Keys {
    secret: [u8; 32],
    rings: keys::Rings,
}

/// What a container's token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerGrant {
    /// The container.
    pub container: ContainerId,
    /// Where it may run.
    pub node: NodeId,
    /// For whom.
    pub user: String,
    /// How large.
    pub resource: Resource,
    /// The priority it was asked with.
    pub priority: Priority,
    /// The number it was asked with.
    pub allocation_request_id: i64,
    /// When it was granted.
    pub created_ms: UnixMs,
    /// Until when it may be started.
    pub expires_ms: UnixMs,
    /// Start time of the ResourceManager that granted it.
    pub resource_manager: u64,
    /// Whether it is an ApplicationMaster's.
    pub is_master: bool,
    /// Raised by every update.
    pub version: i32,
}

impl Keys {
    /// Keys made of 32 random bytes.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            secret,
            rings: keys::Rings::default(),
        }
    }

    /// Makes a new key of a kind; tokens of the one before it stay good until the next roll or an activation.
    pub fn roll(&self, kind: TokenKind) {
        self.rings.roll(kind);
    }

    /// From now on only tokens of the newest key of a kind are good.
    pub fn activate(&self, kind: TokenKind) {
        self.rings.activate(kind);
    }

    /// Ends all tokens of a kind that were made until now.
    pub fn expire(&self, kind: TokenKind) {
        self.rings.roll(kind);
        self.rings.activate(kind);
    }

    /// Whether holders of this key of ApplicationMasters are to be given a token of a newer one.
    #[must_use]
    pub fn is_outdated(&self, key: i32) -> bool {
        self.rings.is_rolling(TokenKind::Master) && self.rings.newest(TokenKind::Master) != key
    }

    /// Whether ApplicationMasters may still show tokens of an older key than the newest.
    #[must_use]
    pub fn is_rolling(&self) -> bool {
        self.rings.is_rolling(TokenKind::Master)
    }

    fn password(&self, kind: &str, identifier: &[u8]) -> Vec<u8> {
        let mut mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        mac.update(kind.as_bytes());
        mac.update(identifier);
        mac.finalize().into_bytes()[..PASSWORD].to_vec()
    }

    fn token(&self, kind: &str, identifier: &impl Message, service: String) -> Token {
        let identifier = identifier.encode_to_vec();
        Token {
            password: self.password(kind, &identifier),
            identifier,
            kind: kind.to_owned(),
            service,
        }
    }

    /// Whether a container's token was made here, with a key that is still good.
    #[must_use]
    pub fn is_genuine(&self, token: &Token) -> bool {
        let identifier = pb::ContainerTokenIdentifierProto::decode(token.identifier.as_slice());
        let key = identifier.ok().and_then(|identifier| identifier.master_key_id);
        key.is_some_and(|key| self.rings.is_good(TokenKind::Container, key))
            && self.password(&token.kind, &token.identifier) == token.password
    }

    /// What an ApplicationMaster shows to the ResourceManager. Its service is empty, as the daemons leave it.
    #[must_use]
    pub fn am_rm(&self, attempt: ApplicationAttemptId) -> Token {
        let identifier = pb::AmrmTokenIdentifierProto {
            app_attempt_id: Some(attempt.into()),
            key_id: Some(self.rings.newest(TokenKind::Master)),
        };
        self.token(kind::AM_RM, &identifier, String::new())
    }

    /// What an ApplicationMaster shows to a NodeManager.
    #[must_use]
    pub fn node(&self, attempt: ApplicationAttemptId, node: &NodeId, user: &str) -> Token {
        let identifier = pb::NmTokenIdentifierProto {
            app_attempt_id: Some(attempt.into()),
            node_id: Some(node.into()),
            app_submitter: Some(user.to_owned()),
            key_id: Some(self.rings.newest(TokenKind::Node)),
        };
        self.token(kind::NODE_MANAGER, &identifier, node.to_string())
    }

    /// What a container is started with.
    #[must_use]
    pub fn container(&self, grant: &ContainerGrant) -> Token {
        let priority = i32::try_from(grant.priority.0).unwrap_or(i32::MAX);
        let role = match grant.is_master {
            true => pb::ContainerTypeProto::ApplicationMaster,
            false => pb::ContainerTypeProto::Task,
        };
        let identifier = pb::ContainerTokenIdentifierProto {
            container_id: Some(grant.container.into()),
            nm_host_addr: Some(grant.node.to_string()),
            app_submitter: Some(grant.user.clone()),
            resource: Some((&grant.resource).into()),
            expiry_time_stamp: Some(signed(grant.expires_ms)),
            master_key_id: Some(self.rings.newest(TokenKind::Container)),
            rm_identifier: Some(signed(grant.resource_manager)),
            priority: Some(pb::PriorityProto {
                priority: Some(priority),
            }),
            creation_time: Some(signed(grant.created_ms)),
            container_type: Some(role as i32),
            execution_type: Some(pb::ExecutionTypeProto::Guaranteed as i32),
            version: Some(grant.version),
            allocation_request_id: Some(grant.allocation_request_id),
            ..Default::default()
        };
        self.token(kind::CONTAINER, &identifier, grant.node.to_string())
    }

    /// The password that proves an AMRM token; none if its key is not good any more.
    #[must_use]
    pub fn am_rm_password(&self, identifier: &[u8]) -> Option<Vec<u8>> {
        let good = self.rings.is_good(TokenKind::Master, am_rm_key(identifier)?);
        good.then(|| self.password(kind::AM_RM, identifier))
    }

    /// The password that proves a token for a NodeManager; none if its key is not good any more.
    #[must_use]
    pub fn node_password(&self, identifier: &[u8]) -> Option<Vec<u8>> {
        let key = pb::NmTokenIdentifierProto::decode(identifier).ok()?.key_id?;
        let good = self.rings.is_good(TokenKind::Node, key);
        good.then(|| self.password(kind::NODE_MANAGER, identifier))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The attempt that an AMRM token is made for.
#[must_use]
pub fn am_rm_attempt(identifier: &[u8]) -> Option<ApplicationAttemptId> {
    let identifier = pb::AmrmTokenIdentifierProto::decode(identifier).ok()?;
    (&identifier.app_attempt_id?).try_into().ok()
}

/// The number of the key that an AMRM token is made with.
#[must_use]
pub fn am_rm_key(identifier: &[u8]) -> Option<i32> {
    pb::AmrmTokenIdentifierProto::decode(identifier).ok()?.key_id
}

/// Attempt and node that a NodeManager's token is made for.
#[must_use]
pub fn node_identity(identifier: &[u8]) -> Option<(ApplicationAttemptId, NodeId)> {
    let identifier = pb::NmTokenIdentifierProto::decode(identifier).ok()?;
    let attempt = (&identifier.app_attempt_id?).try_into().ok()?;
    Some((attempt, (&identifier.node_id?).try_into().ok()?))
}

/// What a container token grants; nothing if it is none.
#[must_use]
pub fn container_grant(identifier: &[u8]) -> Option<ContainerGrant> {
    let identifier = pb::ContainerTokenIdentifierProto::decode(identifier).ok()?;
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
    let priority = identifier
        .priority
        .as_ref()
        .map_or(0, pb::PriorityProto::priority);
    Some(ContainerGrant {
        container: (&identifier.container_id?).try_into().ok()?,
        node: identifier.nm_host_addr().parse().ok()?,
        user: identifier.app_submitter().to_owned(),
        resource: identifier
            .resource
            .as_ref()
            .map(Resource::from)
            .unwrap_or_default(),
        priority: Priority(u32::try_from(priority).unwrap_or(0)),
        allocation_request_id: identifier.allocation_request_id(),
        created_ms: unsigned(identifier.creation_time()),
        expires_ms: unsigned(identifier.expiry_time_stamp()),
        resource_manager: unsigned(identifier.rm_identifier()),
        is_master: identifier.container_type() == pb::ContainerTypeProto::ApplicationMaster,
        version: identifier.version(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> ContainerGrant {
        ContainerGrant {
            container: "container_7_0001_01_000002".parse().unwrap(),
            node: NodeId::new("127.0.0.1", 4711),
            user: "ada".into(),
            resource: Resource::new(256, 1),
            priority: Priority(3),
            allocation_request_id: 9,
            created_ms: 1000,
            expires_ms: 2000,
            resource_manager: 7,
            is_master: false,
            version: 0,
        }
    }

    #[test]
    fn a_container_token_says_what_was_granted() {
        let keys = Keys::new([1; 32]);
        let token = keys.container(&grant());
        assert_eq!(container_grant(&token.identifier), Some(grant()));
        assert!(keys.is_genuine(&token));
        assert!(!Keys::new([2; 32]).is_genuine(&token));
    }

    #[test]
    fn an_altered_token_or_one_of_another_kind_is_not_genuine() {
        let keys = Keys::new([1; 32]);
        let token = keys.container(&grant());
        let larger = ContainerGrant {
            resource: Resource::new(9999, 1),
            ..grant()
        };
        let forged = Token {
            identifier: keys.container(&larger).identifier,
            ..token.clone()
        };
        assert!(!keys.is_genuine(&forged));
        assert!(!keys.is_genuine(&Token {
            kind: "NMToken".into(),
            ..token
        }));
    }

    #[test]
    fn tokens_of_an_older_key_end_with_the_newer_ones_activation() {
        let keys = Keys::new([1; 32]);
        let (attempt, container) = (grant().container.attempt, keys.container(&grant()));
        let old = keys.am_rm(attempt).identifier;
        keys.roll(TokenKind::Master);
        assert!(keys.am_rm_password(&old).is_some() && keys.is_outdated(1));
        keys.activate(TokenKind::Master);
        assert_eq!(keys.am_rm_password(&old), None);
        assert!(keys.am_rm_password(&keys.am_rm(attempt).identifier).is_some());
        keys.expire(TokenKind::Container);
        assert!(!keys.is_genuine(&container));
    }

    #[test]
    fn attempts_are_read_back_from_identifiers() {
        let keys = Keys::new([1; 32]);
        let attempt = grant().container.attempt;
        assert_eq!(am_rm_attempt(&keys.am_rm(attempt).identifier), Some(attempt));
        let node = grant().node;
        let token = keys.node(attempt, &node, "ada");
        assert_eq!(node_identity(&token.identifier), Some((attempt, node)));
        assert_eq!(am_rm_attempt(b"\xff\xff"), None);
    }
}
