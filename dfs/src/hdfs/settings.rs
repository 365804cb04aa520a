//! The configuration handed to the crate: Hadoop's own, resolved, with the crate's weak spots made good.

use std::collections::BTreeMap;

use hdfs_native::{Client, ClientBuilder, HdfsError};

use crate::fs::Deadlines;
use crate::path::{DEFAULT_NAMENODE_PORT, DfsPath};

/// A place without files, so that the crate does not look for `HADOOP_CONF_DIR` itself.
const NO_CONF_DIR: &str = "/dev/null";

const NAMENODES: &str = "dfs.ha.namenodes";
const RPC_ADDRESS: &str = "dfs.namenode.rpc-address";
const MAX_ATTEMPTS: &str = "dfs.client.failover.max.attempts";
const SLEEP_MAX: &str = "dfs.client.failover.sleep.max.millis";
const SOCKET_TIMEOUT: &str = "dfs.client.socket-timeout";

/// Attempts on a single NameNode that refuses connections: about 10 s, as long as Java's client tries.
const ATTEMPTS_SINGLE: u64 = 6;
/// Attempts on a name service: about 30 s of failover.
const ATTEMPTS_SERVICE: u64 = 30;
/// Longest pause between attempts, milliseconds.
const LONGEST_SLEEP: u64 = 2_000;

/// What is needed to build a client for a file system.
#[derive(Debug, Clone)]
pub(crate) struct ClientSettings {
    properties: BTreeMap<String, String>,
    user: String,
}

impl ClientSettings {
    /// Picks what concerns HDFS from the resolved `properties` and fits timeouts into `deadlines`.
    pub(crate) fn new(properties: &BTreeMap<String, String>, user: &str, deadlines: &Deadlines) -> Self {
        let concerns = |key: &str| {
            ["dfs.", "fs.", "hadoop.security.", "hadoop.rpc."]
                .iter()
                .any(|p| key.starts_with(p))
        };
        let mut picked: BTreeMap<String, String> = properties
            .iter()
            .filter(|(key, _)| concerns(key))
            .map(|(key, value)| (key.clone(), value.trim().to_owned()))
            .collect();
        at_most(&mut picked, SLEEP_MAX, LONGEST_SLEEP);
        // A dead DataNode must leave time to try another replica.
        let third = u64::try_from(deadlines.read.as_millis() / 3).unwrap_or(u64::MAX);
        at_most(&mut picked, SOCKET_TIMEOUT, third.max(1));
        Self {
            properties: picked,
            user: user.to_owned(),
        }
    }

    /// The user's home directory as the NameNode's clients compute it.
    pub(crate) fn home(&self) -> String {
        let prefix = self
            .properties
            .get("dfs.user.home.dir.prefix")
            .map_or("/user", String::as_str);
        format!("{}/{}", prefix.trim_end_matches('/'), self.user)
    }

    /// A client for `root`. Of a name service the NameNode number `first` (counted round) is called first.
    pub(super) fn build(&self, root: &DfsPath, first: usize) -> Result<Client, HdfsError> {
        let (authority, properties) = self.for_authority(root.authority(), first);
        let builder = ClientBuilder::new()
            .with_config_dir(NO_CONF_DIR)
            .with_config(properties)
            .with_url(format!("{}://{authority}", root.scheme()));
        if self.is_secure() {
            // Who acts follows from the ticket or token; naming a user would ask for impersonation.
            return builder.build();
        }
        builder.with_user(&self.user).build()
    }

    /// The NameNodes of an authority, as `host:port`: several of a name service, else one.
    pub(crate) fn addresses(&self, authority: &str) -> Vec<String> {
        let namenodes = self.namenodes(authority);
        if namenodes.is_empty() {
            return vec![self.for_authority(authority, 0).0];
        }
        let address = |name| self.properties.get(&format!("{RPC_ADDRESS}.{authority}.{name}"));
        let known = namenodes.into_iter().filter_map(address);
        known.map(|address| with_port(address)).collect()
    }

    fn is_secure(&self) -> bool {
        self.properties
            .get("hadoop.security.authentication")
            .is_some_and(|kind| kind != "simple")
    }

    /// The authority to dial and the properties for it.
    fn for_authority(&self, authority: &str, first: usize) -> (String, BTreeMap<String, String>) {
        let mut properties = self.properties.clone();
        let namenodes = self.namenodes(authority);
        if namenodes.is_empty() {
            properties.insert(MAX_ATTEMPTS.to_owned(), ATTEMPTS_SINGLE.to_string());
            let single = self.properties.get(&format!("{RPC_ADDRESS}.{authority}"));
            return (with_port(single.map_or(authority, String::as_str)), properties);
        }
        let mut order: Vec<&str> = namenodes.clone();
        order.rotate_left(first % namenodes.len());
        properties.insert(format!("{NAMENODES}.{authority}"), order.join(","));
        for namenode in namenodes {
            if let Some(address) = properties.get_mut(&format!("{RPC_ADDRESS}.{authority}.{namenode}")) {
                *address = with_port(address);
            }
        }
        let configured = number(&properties, MAX_ATTEMPTS).unwrap_or(0);
        properties.insert(
            MAX_ATTEMPTS.to_owned(),
            configured.max(ATTEMPTS_SERVICE).to_string(),
        );
        (authority.to_owned(), properties)
    }

    fn namenodes(&self, service: &str) -> Vec<&str> {
        let listed = self
            .properties
            .get(&format!("{NAMENODES}.{service}"))
            .map_or("", String::as_str);
        listed
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect()
    }
}

/// `host` or `host:port` with the port filled in. IPv6 addresses come in brackets.
fn with_port(authority: &str) -> String {
    let host_end = authority.rfind(']').unwrap_or(0);
    if authority[host_end..].contains(':') {
        return authority.to_owned();
    }
    format!("{authority}:{DEFAULT_NAMENODE_PORT}")
}

fn number(properties: &BTreeMap<String, String>, key: &str) -> Option<u64> {
    properties.get(key)?.parse().ok()
}

/// Lowers a number to `limit`. 0 means "no limit" for a timeout, so it is lowered, too.
fn at_most(properties: &mut BTreeMap<String, String>, key: &str, limit: u64) {
    let value = number(properties, key)
        .filter(|value| *value > 0)
        .map_or(limit, |value| value.min(limit));
    properties.insert(key.to_owned(), value.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(properties: &[(&str, &str)]) -> ClientSettings {
        let map = properties
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        ClientSettings::new(&map, "alice", &Deadlines::default())
    }

    #[test]
    fn a_host_without_a_port_gets_the_default_port() {
        let plain = settings(&[]);
        assert_eq!(plain.for_authority("nn", 0).0, "nn:8020");
        assert_eq!(plain.for_authority("nn:9000", 0).0, "nn:9000");
        assert_eq!(plain.for_authority("[::1]", 0).0, "[::1]:8020");
        assert_eq!(plain.for_authority("[::1]:9", 0).0, "[::1]:9");
    }

    #[test]
    fn name_services_are_trimmed_get_ports_and_rotate() {
        let service = settings(&[
            ("dfs.ha.namenodes.ns", "nn1, nn2 ,"),
            ("dfs.namenode.rpc-address.ns.nn1", " a "),
            ("dfs.namenode.rpc-address.ns.nn2", "b:9000"),
        ]);
        let (authority, first) = service.for_authority("ns", 0);
        assert_eq!(authority, "ns");
        assert_eq!(first["dfs.ha.namenodes.ns"], "nn1,nn2");
        assert_eq!(first["dfs.namenode.rpc-address.ns.nn1"], "a:8020");
        assert_eq!(first["dfs.namenode.rpc-address.ns.nn2"], "b:9000");
        assert_eq!(service.for_authority("ns", 3).1["dfs.ha.namenodes.ns"], "nn2,nn1");
    }

    #[test]
    fn the_namenodes_of_an_authority_are_named_with_their_ports() {
        let service = settings(&[
            ("dfs.ha.namenodes.ns", "nn1, nn2"),
            ("dfs.namenode.rpc-address.ns.nn1", "a"),
            ("dfs.namenode.rpc-address.ns.nn2", "b:9000"),
        ]);
        assert_eq!(service.addresses("ns"), ["a:8020", "b:9000"]);
        assert_eq!(service.addresses("nn:9000"), ["nn:9000"]);
    }

    #[test]
    fn a_name_service_with_one_namenode_is_dialled_directly() {
        let service = settings(&[("dfs.namenode.rpc-address.ns", "a:9000")]);
        assert_eq!(service.for_authority("ns", 0).0, "a:9000");
    }

    #[test]
    fn timeouts_of_the_crate_fit_into_the_deadlines() {
        let tuned = settings(&[
            ("dfs.client.socket-timeout", "60000"),
            ("dfs.client.failover.sleep.max.millis", "500"),
            ("yarn.x", "1"),
        ]);
        let (_, properties) = tuned.for_authority("nn", 0);
        assert_eq!(properties["dfs.client.socket-timeout"], "20000");
        assert_eq!(properties["dfs.client.failover.sleep.max.millis"], "500");
        assert!(!properties.contains_key("yarn.x"));
    }

    #[test]
    fn the_home_directory_follows_the_prefix() {
        assert_eq!(settings(&[]).home(), "/user/alice");
        assert_eq!(
            settings(&[("dfs.user.home.dir.prefix", "/home/")]).home(),
            "/home/alice"
        );
    }
}
