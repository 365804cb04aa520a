//! Where the ApplicationMaster of an attempt can be dialed, as the name of a directory in the staging directory.
//!
//! Each attempt but the first, whose address executors find in their environment, makes an empty directory
//! `endpoints/EPOCH-PORT-HOST` as soon as it listens. Executors that have lost their ApplicationMaster list
//! `endpoints` and take the highest epoch. Making a directory is one atomic call on every file system, nothing is
//! ever overwritten, and a late attempt hides nobody; a file with the same content would take HDFS half a second to
//! close. The name holds no secret and proves nothing: whoever is dialed has to show a certificate of the
//! application's own authority ([`crate::security`]), and executors obey only the highest epoch they have seen.

use std::fmt;
use std::str::FromStr;

use crate::id::{Epoch, InvalidId};

/// The directory of endpoints in the application's staging directory.
pub const DIRECTORY: &str = "endpoints";

/// The address of one attempt. Prints as `EPOCH-PORT-HOST`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The attempt.
    pub epoch: Epoch,
    /// The host of its node.
    pub host: String,
    /// The port of its gateway.
    pub port: u16,
}

impl Endpoint {
    /// `HOST:PORT`, to be dialed.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // HDFS takes no colon in a name.
        let host = self.host.replace('%', "%25").replace(':', "%3A");
        write!(f, "{}-{}-{host}", self.epoch, self.port)
    }
}

impl FromStr for Endpoint {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        parse(text).ok_or_else(|| InvalidId::new(text, "endpoint", "EPOCH-PORT-HOST"))
    }
}

fn parse(text: &str) -> Option<Endpoint> {
    let mut parts = text.splitn(3, '-');
    let epoch = Epoch(parts.next()?.parse().ok()?);
    let port = parts.next()?.parse().ok().filter(|port| *port > 0)?;
    let host = parts.next().filter(|host| !host.is_empty())?;
    let host = host.replace("%3A", ":").replace("%25", "%");
    Some(Endpoint { epoch, host, port })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_a_place_to_dial() {
        let endpoint: Endpoint = "2-4711-am-host.example".parse().unwrap();
        assert_eq!(
            (endpoint.epoch, endpoint.address()),
            (Epoch(2), "am-host.example:4711".to_owned())
        );
        for text in ["", "2", "2-0-host", "2-4711-", "x-4711-host", "2-99999-host"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_endpoint_survives_its_name(epoch: u32, port in 1_u16.., host in "[a-z0-9.:%-]{1,40}") {
            let endpoint = Endpoint { epoch: Epoch(epoch), host, port };
            let name = endpoint.to_string();
            prop_assert!(!name.contains([':', '/']));
            prop_assert_eq!(name.parse::<Endpoint>().unwrap(), endpoint);
        }
    }
}
