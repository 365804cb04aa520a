//! Hadoop's configuration, read the way Hadoop reads it.
//!
//! A [`Configuration`] is resolved once, when it is built, from layers: the built-in values of `core-default.xml`,
//! then `core-site.xml`, and the same for `hdfs` and `yarn` (`org.apache.hadoop.conf.Configuration` loads its
//! resources in this order, so a `yarn.*` key belongs into `yarn-site.xml`: put into `core-site.xml` it loses
//! against `yarn-default.xml`, and a [`Note`] says so), then explicit overrides.
//!
//! - `<final>true</final>` keeps a value from later files, not from an override, as in `Configuration.set`.
//! - `${name}` is replaced by an environment variable (`${env.NAME}`, `${env.NAME-default}`,
//!   `${env.NAME:-default}`), a system property (`user.name`, `user.home`, `java.io.tmpdir`) or another key, at most
//!   20 times; a name bound to nothing stays as written.
//! - An empty `<value/>` leaves the lower layer's value in force.
//! - Old names (`fs.default.name`) count as the new ones.
//!
//! Owner of state: nobody; a configuration is a value. Nothing here reads the process environment: callers pass a
//! lookup. Files are read only by [`Location`] and [`Builder`]; every other method is pure.
//!
//! ```
//! use std::path::Path;
//! use hadoop::conf::Configuration;
//!
//! let site = r#"<configuration>
//!   <property><name>rm.host</name><value>rm7.example.com</value></property>
//!   <property><name>yarn.resourcemanager.hostname</name><value>${rm.host}</value></property>
//! </configuration>"#;
//! let conf = Configuration::builder()
//!     .defaults()
//!     .xml(Path::new("yarn-site.xml"), site)?
//!     .set("yarn.am.liveness-monitor.expiry-interval-ms", "60s", "--hadoop-conf")
//!     .build(&|_| None);
//!
//! assert_eq!(conf.resource_managers()?.client[0].to_string(), "rm7.example.com:8032");
//! assert_eq!(conf.am_expiry()?.as_secs(), 60);
//! let entry = conf.entry("yarn.resourcemanager.hostname").expect("set above");
//! assert_eq!(entry.origin.to_string(), "yarn-site.xml:3");
//! # Ok::<(), hadoop::conf::ConfError>(())
//! ```

mod addresses;
mod builder;
mod defaults;
mod error;
mod expand;
mod hdfs;
mod location;
mod origin;
mod values;
mod xml;

use std::collections::BTreeMap;
use std::path::Path;

pub use addresses::{HostPort, ParseAddressError, ResourceManagers, WebAddress};
pub use builder::Builder;
pub use error::ConfError;
pub use location::{FoundBy, Location, SYSTEM_DIR};
pub use origin::{Note, Origin, Unexpanded};
pub use values::{Allocation, ParseProtectionError, Protection, TimeUnit};

/// A lookup of environment variables, passed in by the caller; the shells pass `|name| std::env::var(name).ok()`.
pub type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// One resolved value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value with variables expanded and surrounding blanks removed.
    pub value: String,
    /// The value as written.
    pub raw: String,
    /// Where it was written.
    pub origin: Origin,
    /// Whether its file declared it final.
    pub is_final: bool,
}

/// A resolved configuration: every key with its value and where the value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    entries: BTreeMap<String, Entry>,
    notes: Vec<Note>,
}

impl Configuration {
    /// Starts from nothing; add layers in order, then [`Builder::build`].
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The built-in defaults alone, as for a machine without any Hadoop configuration.
    pub fn defaults(env: &Env<'_>) -> Self {
        Self::builder().defaults().build(env)
    }

    /// Defaults and the site files of a configuration directory.
    ///
    /// # Errors
    /// A file that is there but cannot be read or understood; see [`Builder::dir`].
    pub fn load(dir: &Path, env: &Env<'_>) -> Result<Self, ConfError> {
        Ok(Self::builder().dir(dir)?.build(env))
    }

    /// The value of a key: expanded, without surrounding blanks. `None` if no layer names the key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entry(key).map(|entry| entry.value.as_str())
    }

    /// The value of a key with how it came to be; old names are understood.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(defaults::current_name(key))
    }

    /// All keys in order. Check [`is_sensitive`] before showing a value.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// What a person should know about how the layers fitted together.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The resolved values as a flat map, to be shipped to another process of the application. Keys whose values
    /// are secret by their name ([`is_sensitive`]) stay behind.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        let open = self.entries.iter().filter(|(key, _)| !is_sensitive(key));
        open.map(|(key, entry)| (key.clone(), entry.value.clone()))
            .collect()
    }

    /// A configuration from a map made by [`Self::to_map`]. Values are taken as they are; no default is added.
    pub fn from_map(map: BTreeMap<String, String>) -> Self {
        let entry = |value: String| Entry {
            raw: value.clone(),
            value,
            origin: Origin::Shipped,
            is_final: false,
        };
        Configuration {
            entries: map.into_iter().map(|(key, value)| (key, entry(value))).collect(),
            notes: Vec::new(),
        }
    }
}

/// Whether a key's value is a secret by its name (passwords, secret keys, tokens): not to be shown or shipped.
/// Follows the default of `hadoop.security.sensitive-config-keys`.
pub fn is_sensitive(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let ends = ["secret", "password", "credential", "ssl.keystore.pass"];
    let oauth = key.contains("oauth") && key.ends_with("token");
    let cloud = key.starts_with("fs.")
        && ["secret.key", "secretkey", "account.key", "encryption.key"]
            .iter()
            .any(|part| key.contains(part));
    oauth || cloud || ends.iter().any(|end| key.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_shipped_map_resolves_to_the_same_values(map in proptest::collection::btree_map("[a-z.]{1,12}", "\\PC{0,20}", 0..12)) {
            let there = Configuration::from_map(map);
            let back = Configuration::from_map(there.to_map());
            for (key, entry) in there.entries().filter(|(key, _)| !is_sensitive(key)) {
                prop_assert_eq!(back.get(key), Some(entry.value.as_str()));
            }
        }
    }

    #[test]
    fn shipping_expands_and_leaves_secrets_behind() {
        let conf = Configuration::builder()
            .defaults()
            .set("yarn.resourcemanager.hostname", "rm1", "test")
            .set("fs.s3a.secret.key", "hush", "test")
            .set("ssl.server.keystore.password", "hush", "test")
            .build(&|_| None);
        let map = conf.to_map();
        assert_eq!(map["yarn.resourcemanager.scheduler.address"], "rm1:8030");
        assert!(!map.values().any(|value| value == "hush"));
        let shipped = Configuration::from_map(map).resource_managers().unwrap();
        assert_eq!(shipped, conf.resource_managers().unwrap());
    }

    /// `testdata/site` puts every rule to the test; `expected.tsv` is what Hadoop 3.4.3 made of it
    /// (`YarnConfiguration.getTrimmed` of each key, with FOO=foo, EMPTY= and the user root).
    #[test]
    fn values_are_those_that_hadoop_computes() {
        let env = |name: &str| {
            [("FOO", "foo"), ("EMPTY", ""), ("USER", "root"), ("HOME", "/root")]
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/site");
        let conf = Configuration::load(&dir, &env).unwrap();
        let expected = std::fs::read_to_string(dir.join("expected.tsv")).unwrap();
        for (key, value) in expected.lines().filter_map(|line| line.split_once('\t')) {
            match value {
                "!IllegalStateException" => assert!(conf.get(key).unwrap().contains("${"), "{key}"),
                value => assert_eq!(conf.get(key), Some(value), "{key}"),
            }
        }
        assert_eq!(
            conf.entries().filter(|(key, _)| key.starts_with("a.")).count(),
            27
        );
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for key in [
            "a.b.password",
            "fs.azure.account.key.x",
            "dfs.client.oauth2.refresh.token",
            "hadoop.http.Secret",
        ] {
            assert!(is_sensitive(key), "{key}");
        }
        for key in [
            "yarn.am.liveness-monitor.expiry-interval-ms",
            "fs.defaultFS",
            "hadoop.token.files",
        ] {
            assert!(!is_sensitive(key), "{key}");
        }
    }
}
