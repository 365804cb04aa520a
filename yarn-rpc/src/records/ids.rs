//! Ids and tokens between the wire and [`hadoop::ids`].

use crate::proto::{common::TokenProto, yarn as pb};
use hadoop::credentials::Token;
use hadoop::ids::{ApplicationAttemptId, ApplicationId, ContainerId, NodeId};

/// A message lacks a field, or holds a value, that makes it unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The field is absent.
    #[error("the answer lacks {0}")]
    Missing(&'static str),
    /// The field is outside of what it may hold.
    #[error("{field} holds {value}, which cannot be")]
    OutOfRange {
        /// Which field, as Hadoop names it.
        field: &'static str,
        /// What it holds.
        value: i64,
    },
}

/// The value of a field that must be there.
pub(crate) fn required<T>(value: Option<T>, field: &'static str) -> Result<T, RecordError> {
    value.ok_or(RecordError::Missing(field))
}

/// A number that the wire calls signed and that is never negative.
pub(crate) fn unsigned<T: TryFrom<i64>>(value: i64, field: &'static str) -> Result<T, RecordError> {
    T::try_from(value).map_err(|_| RecordError::OutOfRange { field, value })
}

impl From<ApplicationId> for pb::ApplicationIdProto {
    fn from(id: ApplicationId) -> Self {
        Self {
            id: Some(id.id as i32),
            cluster_timestamp: Some(id.cluster_timestamp as i64),
        }
    }
}

impl TryFrom<&pb::ApplicationIdProto> for ApplicationId {
    type Error = RecordError;

    fn try_from(id: &pb::ApplicationIdProto) -> Result<Self, RecordError> {
        let timestamp = required(id.cluster_timestamp, "cluster_timestamp")?;
        let number = required(id.id, "application id")?;
        Ok(Self::new(
            unsigned(timestamp, "cluster_timestamp")?,
            unsigned(i64::from(number), "application id")?,
        ))
    }
}

impl From<ApplicationAttemptId> for pb::ApplicationAttemptIdProto {
    fn from(id: ApplicationAttemptId) -> Self {
        Self {
            application_id: Some(id.application.into()),
            attempt_id: Some(id.attempt as i32),
        }
    }
}

impl TryFrom<&pb::ApplicationAttemptIdProto> for ApplicationAttemptId {
    type Error = RecordError;

    fn try_from(id: &pb::ApplicationAttemptIdProto) -> Result<Self, RecordError> {
        let application = required(id.application_id.as_ref(), "application_id")?.try_into()?;
        let attempt = required(id.attempt_id, "attemptId")?;
        Ok(Self::new(application, unsigned(i64::from(attempt), "attemptId")?))
    }
}

impl From<ContainerId> for pb::ContainerIdProto {
    fn from(id: ContainerId) -> Self {
        Self {
            app_id: None,
            app_attempt_id: Some(id.attempt.into()),
            id: Some(id.id as i64),
        }
    }
}

impl TryFrom<&pb::ContainerIdProto> for ContainerId {
    type Error = RecordError;

    fn try_from(id: &pb::ContainerIdProto) -> Result<Self, RecordError> {
        let attempt = required(id.app_attempt_id.as_ref(), "app_attempt_id")?.try_into()?;
        Ok(Self::new(
            attempt,
            unsigned(required(id.id, "container id")?, "container id")?,
        ))
    }
}

impl From<&NodeId> for pb::NodeIdProto {
    fn from(id: &NodeId) -> Self {
        Self {
            host: Some(id.host.clone()),
            port: Some(i32::from(id.port)),
        }
    }
}

impl TryFrom<&pb::NodeIdProto> for NodeId {
    type Error = RecordError;

    fn try_from(id: &pb::NodeIdProto) -> Result<Self, RecordError> {
        let host = required(id.host.clone(), "node host")?;
        let port = required(id.port, "node port")?;
        Ok(Self::new(host, unsigned(i64::from(port), "node port")?))
    }
}

impl From<&Token> for TokenProto {
    fn from(token: &Token) -> Self {
        Self {
            identifier: token.identifier.to_vec(),
            password: token.password.to_vec(),
            kind: token.kind.clone(),
            service: token.service.clone(),
        }
    }
}

impl From<&TokenProto> for Token {
    fn from(token: &TokenProto) -> Self {
        Self {
            identifier: token.identifier.clone(),
            password: token.password.clone(),
            kind: token.kind.clone(),
            service: token.service.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;

    #[test]
    fn the_recorded_container_id_with_an_epoch_has_its_recorded_bytes() {
        let id: ContainerId = "container_e17_1717955085543_0001_01_000005".parse().unwrap();
        let bytes = pb::ContainerIdProto::from(id).encode_to_vec();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "120d0a09080110e789e9f0ff311001188580808080a004");
    }

    #[test]
    fn an_id_without_its_parts_names_what_is_missing() {
        let empty = pb::ContainerIdProto::default();
        assert_eq!(
            ContainerId::try_from(&empty),
            Err(RecordError::Missing("app_attempt_id"))
        );
        let negative = pb::NodeIdProto {
            host: Some("h".into()),
            port: Some(-1),
        };
        let error = RecordError::OutOfRange {
            field: "node port",
            value: -1,
        };
        assert_eq!(NodeId::try_from(&negative), Err(error));
    }

    proptest! {
        #[test]
        fn every_container_id_survives_the_wire(ts in 0..i64::MAX as u64, app in 0..i32::MAX as u32,
                                                attempt in 0..i32::MAX as u32, id in 0..i64::MAX as u64) {
            let id = ContainerId::new(ApplicationId::new(ts, app).attempt(attempt), id);
            prop_assert_eq!(ContainerId::try_from(&pb::ContainerIdProto::from(id)), Ok(id));
        }
    }
}
