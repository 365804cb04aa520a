//! The names YARN gives to applications, attempts, containers and nodes.
//!
//! Each id is a value with its text form beside it; `parse` of `print` is the identity for every value, and ids
//! order as Hadoop orders them (by start of the ResourceManager, then by number). Text forms are those of
//! `ApplicationId`, `ApplicationAttemptId`, `ContainerId` and `NodeId` in `hadoop-yarn-api`.
//!
//! ```
//! use hadoop::ids::{ApplicationId, ContainerId};
//!
//! let container: ContainerId = "container_e17_1717955085543_0001_01_000005".parse()?;
//! assert_eq!((container.epoch(), container.sequence()), (17, 5));
//! assert_eq!(container.application(), ApplicationId::new(1_717_955_085_543, 1));
//! assert_eq!(container.attempt.to_string(), "appattempt_1717955085543_0001_000001");
//! # Ok::<(), hadoop::ids::ParseIdError>(())
//! ```

use std::fmt;
use std::str::FromStr;

/// Bits of a container id that hold the sequence number; the bits above are the ResourceManager's epoch.
const SEQUENCE_BITS: u32 = 40;
const SEQUENCE_MASK: u64 = (1 << SEQUENCE_BITS) - 1;

/// A text that is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseIdError {
    /// The text as given.
    pub text: String,
    /// The form it should have, as in `an application id (application_<timestamp>_<number>)`.
    pub expected: &'static str,
}

/// An application: when its ResourceManager started, and its number since then.
///
/// Text: `application_1717955085543_0001`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApplicationId {
    /// Start of the ResourceManager that took the application, in milliseconds since 1970.
    pub cluster_timestamp: u64,
    /// Number of the application since that start, from 1.
    pub id: u32,
}

/// One try at running an application's ApplicationMaster.
///
/// Text: `appattempt_1717955085543_0001_000002`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApplicationAttemptId {
    /// The application.
    pub application: ApplicationId,
    /// Number of the attempt, from 1.
    pub attempt: u32,
}

/// A container. After a ResourceManager has recovered its state it counts epochs, which become part of the id.
///
/// Text: `container_1717955085543_0001_01_000005`, with an epoch `container_e17_1717955085543_0001_01_000005`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId {
    /// The attempt the container was granted to.
    pub attempt: ApplicationAttemptId,
    /// Epoch (upper 24 bits) and sequence number (lower 40 bits), as `ContainerIdProto.id` carries them.
    pub id: u64,
}

/// A NodeManager: the host and the port of its container management service.
///
/// Text: `worker7.example.com:45454`. The host is kept as given; an IPv6 host keeps its brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId {
    /// Host name or address.
    pub host: String,
    /// Port of the container management service; it changes when a NodeManager with an ephemeral port restarts.
    pub port: u16,
}

impl ApplicationId {
    /// The application with this number of the ResourceManager started at `cluster_timestamp` (milliseconds).
    pub fn new(cluster_timestamp: u64, id: u32) -> Self {
        ApplicationId {
            cluster_timestamp,
            id,
        }
    }

    /// The application's attempt with this number.
    pub fn attempt(self, attempt: u32) -> ApplicationAttemptId {
        ApplicationAttemptId {
            application: self,
            attempt,
        }
    }
}

impl ApplicationAttemptId {
    /// Attempt number `attempt` (from 1) of an application.
    pub fn new(application: ApplicationId, attempt: u32) -> Self {
        ApplicationAttemptId { application, attempt }
    }
}

impl ContainerId {
    /// A container by the number the wire carries, epoch included.
    pub fn new(attempt: ApplicationAttemptId, id: u64) -> Self {
        ContainerId { attempt, id }
    }

    /// A container by epoch (24 bits) and sequence number (40 bits); higher bits are cut off.
    pub fn with_epoch(attempt: ApplicationAttemptId, epoch: u32, sequence: u64) -> Self {
        ContainerId {
            attempt,
            id: (u64::from(epoch) << SEQUENCE_BITS) | (sequence & SEQUENCE_MASK),
        }
    }

    /// How often the ResourceManager had recovered when it made this container; 0 before the first time.
    pub fn epoch(&self) -> u32 {
        u32::try_from(self.id >> SEQUENCE_BITS).expect("24 bits remain after the shift")
    }

    /// Number of the container within its attempt and epoch, from 1; the ApplicationMaster's is usually 1.
    pub fn sequence(&self) -> u64 {
        self.id & SEQUENCE_MASK
    }

    /// The application the container belongs to.
    pub fn application(&self) -> ApplicationId {
        self.attempt.application
    }
}

impl NodeId {
    /// The node with this host and container management port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        NodeId {
            host: host.into(),
            port,
        }
    }
}

impl fmt::Display for ApplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "application_{}_{:04}", self.cluster_timestamp, self.id)
    }
}

impl fmt::Display for ApplicationAttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ApplicationId {
            cluster_timestamp,
            id,
        } = self.application;
        write!(f, "appattempt_{cluster_timestamp}_{id:04}_{:06}", self.attempt)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ApplicationId {
            cluster_timestamp,
            id,
        } = self.application();
        f.write_str("container_")?;
        if self.epoch() > 0 {
            write!(f, "e{:02}_", self.epoch())?;
        }
        write!(
            f,
            "{cluster_timestamp}_{id:04}_{:02}_{:06}",
            self.attempt.attempt,
            self.sequence()
        )
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A number of plain ASCII digits: no sign, no blanks.
fn digits<T: FromStr>(part: Option<&str>) -> Option<T> {
    let part = part?;
    let plain = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| part.parse().ok()).flatten()
}

fn parse_application(parts: &mut std::str::Split<'_, char>) -> Option<ApplicationId> {
    Some(ApplicationId::new(digits(parts.next())?, digits(parts.next())?))
}

/// The value if nothing is left of the text it came from.
fn complete<T>(value: Option<T>, mut rest: std::str::Split<'_, char>) -> Option<T> {
    value.filter(|_| rest.next().is_none())
}

impl FromStr for ApplicationId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let parse = |rest: &str| {
            let mut parts = rest.split('_');
            complete(parse_application(&mut parts), parts)
        };
        text.strip_prefix("application_")
            .and_then(parse)
            .ok_or_else(|| ParseIdError {
                text: text.to_owned(),
                expected: "an application id (application_<timestamp>_<number>)",
            })
    }
}

impl FromStr for ApplicationAttemptId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let parse = |rest: &str| {
            let mut parts = rest.split('_');
            let application = parse_application(&mut parts)?;
            complete(digits(parts.next()).map(|n| application.attempt(n)), parts)
        };
        text.strip_prefix("appattempt_")
            .and_then(parse)
            .ok_or_else(|| ParseIdError {
                text: text.to_owned(),
                expected: "an application attempt id (appattempt_<timestamp>_<number>_<attempt>)",
            })
    }
}

/// What follows `container_`: an optional epoch, application, attempt, sequence number.
fn parse_container(rest: &str) -> Option<ContainerId> {
    let (epoch, rest) = match rest.strip_prefix('e') {
        Some(rest) => rest
            .split_once('_')
            .and_then(|(epoch, rest)| Some((digits(Some(epoch))?, rest)))?,
        None => (0, rest),
    };
    let mut parts = rest.split('_');
    let attempt = parse_application(&mut parts)?.attempt(digits(parts.next())?);
    let sequence = complete(digits(parts.next()), parts)?;
    let fits = u64::from(epoch) < 1 << (u64::BITS - SEQUENCE_BITS) && sequence <= SEQUENCE_MASK;
    fits.then(|| ContainerId::with_epoch(attempt, epoch, sequence))
}

impl FromStr for ContainerId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        text.strip_prefix("container_")
            .and_then(parse_container)
            .ok_or_else(|| ParseIdError {
                text: text.to_owned(),
                expected: "a container id (container_[e<epoch>_]<timestamp>_<number>_<attempt>_<sequence>)",
            })
    }
}

impl FromStr for NodeId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let parsed = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        let node = parsed.and_then(|(host, port)| Some(NodeId::new(host, digits(Some(port))?)));
        node.ok_or_else(|| ParseIdError {
            text: text.to_owned(),
            expected: "a node id (<host>:<port>)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn applications() -> impl Strategy<Value = ApplicationId> {
        (any::<u64>(), any::<u32>()).prop_map(|(ts, id)| ApplicationId::new(ts, id))
    }

    fn attempts() -> impl Strategy<Value = ApplicationAttemptId> {
        (applications(), any::<u32>()).prop_map(|(app, n)| app.attempt(n))
    }

    proptest! {
        #[test]
        fn application_ids_survive_their_text(id in applications()) {
            prop_assert_eq!(id.to_string().parse::<ApplicationId>().unwrap(), id);
        }

        #[test]
        fn attempt_ids_survive_their_text(id in attempts()) {
            prop_assert_eq!(id.to_string().parse::<ApplicationAttemptId>().unwrap(), id);
        }

        #[test]
        fn container_ids_survive_their_text(attempt in attempts(), id in any::<u64>()) {
            let id = ContainerId::new(attempt, id);
            prop_assert_eq!(id.to_string().parse::<ContainerId>().unwrap(), id);
            prop_assert_eq!(ContainerId::with_epoch(attempt, id.epoch(), id.sequence()), id);
        }

        #[test]
        fn node_ids_survive_their_text(host in "[a-zA-Z0-9.:\\[\\]-]{1,40}", port in any::<u16>()) {
            let id = NodeId::new(host, port);
            prop_assert_eq!(id.to_string().parse::<NodeId>().unwrap(), id);
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<ApplicationId>();
            let _ = text.parse::<ApplicationAttemptId>();
            let _ = text.parse::<ContainerId>();
            let _ = text.parse::<NodeId>();
        }

        #[test]
        fn numbers_order_applications_even_where_texts_would_not(ts in 1u64..1 << 50, a in 1u32..100_000, b in 1u32..100_000) {
            prop_assert_eq!(ApplicationId::new(ts, a).cmp(&ApplicationId::new(ts, b)), a.cmp(&b));
        }
    }

    #[test]
    fn numbers_are_padded_as_hadoop_pads_them() {
        let attempt = ApplicationId::new(1_717_955_085_543, 1).attempt(1);
        assert_eq!(attempt.application.to_string(), "application_1717955085543_0001");
        assert_eq!(attempt.to_string(), "appattempt_1717955085543_0001_000001");
        assert_eq!(
            ContainerId::new(attempt, 5).to_string(),
            "container_1717955085543_0001_01_000005"
        );
        assert_eq!(
            ContainerId::with_epoch(attempt, 3, 5).to_string(),
            "container_e03_1717955085543_0001_01_000005"
        );
        assert_eq!(ApplicationId::new(7, 123_456).to_string(), "application_7_123456");
    }

    #[test]
    fn an_epoch_occupies_the_upper_bits() {
        let id: ContainerId = "container_e17_1717955085543_0001_01_000005".parse().unwrap();
        assert_eq!(id.id, (17 << 40) | 5);
        assert_eq!(id.id, 18_691_697_672_197);
    }

    #[test]
    fn a_later_epoch_comes_after_any_sequence_number() {
        let attempt = ApplicationId::new(1, 1).attempt(1);
        assert!(ContainerId::with_epoch(attempt, 1, 1) > ContainerId::with_epoch(attempt, 0, 999_999));
    }

    #[test]
    fn foreign_and_damaged_texts_are_refused() {
        for text in [
            "",
            "application_",
            "application_1",
            "application_1_2_3",
            "application_+1_2",
            "job_1_2",
        ] {
            assert!(text.parse::<ApplicationId>().is_err(), "{text}");
        }
        for text in [
            "container_1_1_1",
            "container_e_1_1_1_1",
            "container_e16777216_1_1_1_1",
        ] {
            assert!(text.parse::<ContainerId>().is_err(), "{text}");
        }
        for text in ["host", ":1", "host:", "host:65536", "host:-1"] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_refusal_names_the_form() {
        let error = "application_x".parse::<ApplicationId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`application_x` is not an application id (application_<timestamp>_<number>)"
        );
    }
}
