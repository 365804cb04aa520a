//! The default file system, and what an HDFS client must be told about it.
//!
//! Clients that read site files themselves often do without variables, blanks around list items and default ports;
//! [`Configuration::hdfs_client_map`] spells all of that out.

use std::collections::BTreeMap;

use super::{Configuration, HostPort};

/// Port of a NameNode's RPC service (`HdfsClientConfigKeys.DFS_NAMENODE_RPC_PORT_DEFAULT`).
const NAME_NODE_PORT: u16 = 8020;
const NAMESERVICES: &str = "dfs.nameservices";
const DEFAULT_FS: &str = "fs.defaultFS";

impl Configuration {
    /// The default file system as a URI (`fs.defaultFS`): `file:///` without configuration.
    ///
    /// The short forms `local` and `host:port` are spelled out as `FileSystem.fixName` does, and a NameNode without
    /// port gets 8020. A nameservice keeps its bare name.
    pub fn default_fs(&self) -> String {
        match self.get(DEFAULT_FS).unwrap_or_default() {
            "" | "local" => "file:///".to_owned(),
            uri if uri.contains('/') => self.with_name_node_port(uri),
            authority => self.with_name_node_port(&format!("hdfs://{authority}")),
        }
    }

    /// A `hdfs://` URI with the port of its NameNode spelled out, unless its authority is a nameservice; any other
    /// URI as it is.
    pub fn with_name_node_port(&self, uri: &str) -> String {
        let Some(rest) = uri.strip_prefix("hdfs://") else {
            return uri.to_owned();
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if self.strings(NAMESERVICES).contains(&authority) {
            return uri.to_owned();
        }
        match HostPort::parse_with_default(authority, NAME_NODE_PORT) {
            Ok(at) => format!("hdfs://{at}{path}"),
            Err(_) => uri.to_owned(),
        }
    }

    /// All open values ([`Self::to_map`]) in forms that need no further interpretation: lists of nameservices and
    /// NameNodes without blanks, NameNode addresses and the default file system with their ports.
    pub fn hdfs_client_map(&self) -> BTreeMap<String, String> {
        let mut map = self.to_map();
        for (key, value) in &mut map {
            if key == NAMESERVICES || key.starts_with("dfs.ha.namenodes.") {
                *value = self.strings(key).join(",");
            } else if key.starts_with("dfs.namenode.rpc-address") {
                let address = HostPort::parse_with_default(value, NAME_NODE_PORT);
                *value = address.map_or_else(|_| value.clone(), |at| at.to_string());
            }
        }
        map.insert(DEFAULT_FS.to_owned(), self.default_fs());
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(pairs: &[(&str, &str)]) -> Configuration {
        let builder = Configuration::builder().defaults();
        pairs
            .iter()
            .fold(builder, |b, (key, value)| b.set(key, value, "test"))
            .build(&|_| None)
    }

    #[test]
    fn the_default_file_system_is_spelled_out() {
        let cases = [
            ("file:///", "file:///"),
            ("local", "file:///"),
            ("hdfs://nn1", "hdfs://nn1:8020"),
            ("hdfs://nn1/", "hdfs://nn1:8020/"),
            ("hdfs://nn1:9000", "hdfs://nn1:9000"),
            ("nn1:9000", "hdfs://nn1:9000"),
            ("hdfs://ns1", "hdfs://ns1"),
            ("hdfs://ns1/a b", "hdfs://ns1/a b"),
            ("s3a://bucket", "s3a://bucket"),
            ("hdfs:///", "hdfs:///"),
        ];
        for (written, expected) in cases {
            let conf = conf(&[("fs.defaultFS", written), ("dfs.nameservices", "ns0, ns1")]);
            assert_eq!(conf.default_fs(), expected);
        }
        assert_eq!(Configuration::from_map(BTreeMap::new()).default_fs(), "file:///");
    }

    #[test]
    fn an_hdfs_client_gets_lists_without_blanks_and_addresses_with_ports() {
        let map = conf(&[
            ("fs.defaultFS", "hdfs://${name}"),
            ("name", "ns1"),
            ("dfs.nameservices", "ns1 , ns2"),
            ("dfs.ha.namenodes.ns1", "nn1, nn2"),
            ("dfs.namenode.rpc-address.ns1.nn1", "h1"),
            ("dfs.namenode.rpc-address.ns1.nn2", "h2:9000"),
        ])
        .hdfs_client_map();
        assert_eq!(map["dfs.nameservices"], "ns1,ns2");
        assert_eq!(map["dfs.ha.namenodes.ns1"], "nn1,nn2");
        assert_eq!(map["dfs.namenode.rpc-address.ns1.nn1"], "h1:8020");
        assert_eq!(map["dfs.namenode.rpc-address.ns1.nn2"], "h2:9000");
    }
}
