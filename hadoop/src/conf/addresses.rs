//! Where the ResourceManagers are.
//!
//! With `yarn.resourcemanager.ha.enabled` every address has a form per id of `yarn.resourcemanager.ha.rm-ids`: the
//! address key with the id behind it (`yarn.resourcemanager.scheduler.address.rm1`), or the host name with the id
//! behind it and the service's usual port, as `HAUtil` and `RMHAUtils` find them.

use std::fmt;
use std::str::FromStr;

use super::{ConfError, Configuration};

/// A host and a port. Text: `rm7.example.com:8032`, an IPv6 host in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// Host name or address; an IPv6 address without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// The base of a web service: scheme, host and port. Text: `http://rm7.example.com:8088`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WebAddress {
    /// Whether it is `https`.
    pub https: bool,
    /// Where it listens.
    pub at: HostPort,
}

/// The addresses of all ResourceManagers, in the order of `yarn.resourcemanager.ha.rm-ids`; one of each without HA.
/// Which one is active nobody knows before asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceManagers {
    /// For ApplicationMasters: register, allocate, finish.
    pub scheduler: Vec<HostPort>,
    /// For clients: submit, report, kill.
    pub client: Vec<HostPort>,
    /// Web pages and REST; `https` if `yarn.http.policy` is `HTTPS_ONLY`.
    pub web: Vec<WebAddress>,
}

/// A text that is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected <host>:<port>")]
pub struct ParseAddressError;

impl HostPort {
    /// A host and a port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        HostPort {
            host: host.into(),
            port,
        }
    }

    /// Reads `host:port`, or `host` alone with `default` as the port.
    ///
    /// # Errors
    /// An empty host, a port that is no port number, or an IPv6 address without brackets.
    pub fn parse_with_default(text: &str, default: u16) -> Result<Self, ParseAddressError> {
        let (host, port) = split_port(text.trim()).ok_or(ParseAddressError)?;
        let port = port.map_or(Some(default), |digits| {
            let plain = digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        });
        Ok(HostPort::new(host, port.ok_or(ParseAddressError)?))
    }

    /// Whether the host means "all addresses of this machine": what an unset `yarn.resourcemanager.hostname` gives.
    /// A server can listen there; a client on another machine reaches nobody.
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host.as_str(), "0.0.0.0" | "::" | "0:0:0:0:0:0:0:0")
    }
}

/// Host without brackets, and the text after the colon that follows it.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match rest {
        "" => None,
        rest => Some(rest.strip_prefix(':')?),
    };
    let valid = !host.is_empty() && !host.contains(['/', ' ', '[', ']', '@']);
    valid.then_some((host, port))
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for HostPort {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        match split_port(text) {
            Some((_, Some(_))) => Self::parse_with_default(text, 0),
            _ => Err(ParseAddressError),
        }
    }
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.at)
    }
}

impl FromStr for WebAddress {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(ParseAddressError)?;
        let https = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(ParseAddressError),
        };
        let at = HostPort::parse_with_default(rest.trim_end_matches('/'), if https { 443 } else { 80 })?;
        Ok(WebAddress { https, at })
    }
}

/// One service of a ResourceManager: its address key and usual port.
#[derive(Clone, Copy)]
struct Service {
    key: &'static str,
    port: u16,
}

const SCHEDULER: Service = Service {
    key: "yarn.resourcemanager.scheduler.address",
    port: 8030,
};
const CLIENT: Service = Service {
    key: "yarn.resourcemanager.address",
    port: 8032,
};
const HTTP: Service = Service {
    key: "yarn.resourcemanager.webapp.address",
    port: 8088,
};
const HTTPS: Service = Service {
    key: "yarn.resourcemanager.webapp.https.address",
    port: 8090,
};
const HOSTNAME: &str = "yarn.resourcemanager.hostname";
const RM_IDS: &str = "yarn.resourcemanager.ha.rm-ids";

impl Configuration {
    /// Where the ResourceManagers are.
    ///
    /// # Errors
    /// HA is enabled without ids, an id has neither address nor host name, or an address is malformed.
    pub fn resource_managers(&self) -> Result<ResourceManagers, ConfError> {
        let ids = self.rm_ids()?;
        let https = self
            .get("yarn.http.policy")
            .is_some_and(|policy| policy.eq_ignore_ascii_case("HTTPS_ONLY"));
        let web = self.service(if https { HTTPS } else { HTTP }, &ids)?;
        Ok(ResourceManagers {
            scheduler: self.service(SCHEDULER, &ids)?,
            client: self.service(CLIENT, &ids)?,
            web: web.into_iter().map(|at| WebAddress { https, at }).collect(),
        })
    }

    /// The ids of the ResourceManagers; none without HA.
    fn rm_ids(&self) -> Result<Vec<&str>, ConfError> {
        if !self.bool("yarn.resourcemanager.ha.enabled", false) {
            return Ok(Vec::new());
        }
        let ids = self.strings(RM_IDS);
        if ids.is_empty() {
            let needed_for =
                "yarn.resourcemanager.ha.enabled is true and needs the ids of the ResourceManagers";
            return Err(ConfError::Missing {
                key: RM_IDS.to_owned(),
                needed_for: needed_for.to_owned(),
            });
        }
        Ok(ids)
    }

    fn service(&self, service: Service, ids: &[&str]) -> Result<Vec<HostPort>, ConfError> {
        if ids.is_empty() {
            return Ok(vec![self.address(service, "")?]);
        }
        ids.iter()
            .map(|id| self.address(service, &format!(".{id}")))
            .collect()
    }

    /// A service's address by its own key, else by the host name; both with the id behind them.
    fn address(&self, service: Service, suffix: &str) -> Result<HostPort, ConfError> {
        let keys = [format!("{}{suffix}", service.key), format!("{HOSTNAME}{suffix}")];
        let set = |key: &&String| self.get(key).is_some_and(|value| !value.is_empty());
        let Some(key) = keys.iter().find(set) else {
            let [key, hostname] = keys;
            let needed_for = format!("the address of a ResourceManager (or set {hostname})");
            return Err(ConfError::Missing { key, needed_for });
        };
        let address = HostPort::parse_with_default(self.get(key).unwrap_or_default(), service.port);
        address.map_err(|_| self.refused(key, "an address such as rm.example.com:8032"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn conf(pairs: &[(&str, &str)]) -> Configuration {
        let builder = Configuration::builder().defaults();
        pairs
            .iter()
            .fold(builder, |b, (key, value)| b.set(key, value, "test"))
            .build(&|_| None)
    }

    fn texts<T: ToString>(all: &[T]) -> Vec<String> {
        all.iter().map(T::to_string).collect()
    }

    #[test]
    fn one_resource_manager_by_its_host_name() {
        let rms = conf(&[("yarn.resourcemanager.hostname", "rm1")])
            .resource_managers()
            .unwrap();
        assert_eq!(texts(&rms.scheduler), ["rm1:8030"]);
        assert_eq!(texts(&rms.client), ["rm1:8032"]);
        assert_eq!(texts(&rms.web), ["http://rm1:8088"]);
    }

    #[test]
    fn an_address_wins_over_the_host_name_and_may_lack_the_port() {
        let pairs = [
            ("yarn.resourcemanager.hostname", "rm1"),
            ("yarn.resourcemanager.scheduler.address", "rm2"),
        ];
        assert_eq!(
            texts(&conf(&pairs).resource_managers().unwrap().scheduler),
            ["rm2:8030"]
        );
    }

    #[test]
    fn several_resource_managers_come_in_the_order_of_their_ids() {
        let rms = conf(&[
            ("yarn.resourcemanager.ha.enabled", "true"),
            ("yarn.resourcemanager.ha.rm-ids", "rm2, rm1"),
            ("yarn.resourcemanager.hostname.rm1", "a"),
            ("yarn.resourcemanager.hostname.rm2", "b"),
            (
                "yarn.resourcemanager.scheduler.address.rm1",
                "${yarn.resourcemanager.hostname.rm1}:18030",
            ),
            ("yarn.http.policy", "HTTPS_ONLY"),
        ])
        .resource_managers()
        .unwrap();
        assert_eq!(texts(&rms.scheduler), ["b:8030", "a:18030"]);
        assert_eq!(texts(&rms.client), ["b:8032", "a:8032"]);
        assert_eq!(texts(&rms.web), ["https://b:8090", "https://a:8090"]);
    }

    #[test]
    fn ids_count_only_with_ha() {
        let pairs = [
            ("yarn.resourcemanager.ha.rm-ids", "rm1,rm2"),
            ("yarn.resourcemanager.hostname", "rm0"),
        ];
        assert_eq!(
            texts(&conf(&pairs).resource_managers().unwrap().client),
            ["rm0:8032"]
        );
    }

    #[test]
    fn what_is_missing_for_ha_is_named() {
        let ha = ("yarn.resourcemanager.ha.enabled", "true");
        let error = conf(&[ha]).resource_managers().unwrap_err();
        assert!(matches!(error, ConfError::Missing { key, .. } if key == "yarn.resourcemanager.ha.rm-ids"));
        let error = conf(&[ha, ("yarn.resourcemanager.ha.rm-ids", "rm1")])
            .resource_managers()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "yarn.resourcemanager.webapp.address.rm1 is not set: \
             the address of a ResourceManager (or set yarn.resourcemanager.hostname.rm1)"
        );
    }

    #[test]
    fn a_malformed_address_is_refused_with_its_key() {
        let pairs = [("yarn.resourcemanager.address", "rm1:port")];
        let error = conf(&pairs).resource_managers().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("yarn.resourcemanager.address is `rm1:port` (test)"),
            "{error}"
        );
    }

    #[test]
    fn without_configuration_the_host_is_no_host() {
        let rms = conf(&[]).resource_managers().unwrap();
        assert!(rms.client[0].is_wildcard());
        assert!(!HostPort::new("rm1", 1).is_wildcard());
    }

    #[test]
    fn addresses_of_every_form() {
        assert_eq!("[::1]:80".parse(), Ok(HostPort::new("::1", 80)));
        assert_eq!(
            HostPort::parse_with_default("[::1]", 9),
            Ok(HostPort::new("::1", 9))
        );
        assert_eq!(
            "https://rm1/".parse(),
            Ok(WebAddress {
                https: true,
                at: HostPort::new("rm1", 443)
            })
        );
        for text in [
            "",
            ":80",
            "h:",
            "h:65536",
            "h:+1",
            "::1",
            "[::1",
            "h",
            "a b:1",
            "http://h:1",
        ] {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn addresses_survive_their_text(host in "[a-z0-9.-]{1,20}|[0-9a-f:]{1,20}", port: u16, https: bool) {
            let at = HostPort::new(host, port);
            prop_assert_eq!(at.to_string().parse(), Ok(at.clone()));
            let web = WebAddress { https, at };
            prop_assert_eq!(web.to_string().parse(), Ok(web));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC{0,30}") {
            let _ = text.parse::<HostPort>();
            let _ = text.parse::<WebAddress>();
        }
    }
}
