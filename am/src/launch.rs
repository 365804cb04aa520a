//! The staged file `launch.json`: what the ApplicationMaster must know to start executors, and what the client had
//! seen of the cluster when it submitted.
//!
//! The client writes it, every attempt of the ApplicationMaster reads it; neither changes it afterwards. It holds no
//! secret: tokens and keys travel in YARN's credentials.

use serde::{Deserialize, Serialize};

use crate::configuration::Entry;

pub use wire::environment::{self as env, CONF_FILE_NAME};

/// The version of the file's format; another one is refused.
pub const VERSION: u32 = 1;

/// The file's name in the application's staging directory, from where the ApplicationMaster reads it.
pub const FILE_NAME: &str = "launch.json";

/// The plan's ([`driver::plan::AppPlan`]) name in the staging directory, from where the ApplicationMaster reads it.
pub const PLAN_FILE_NAME: &str = "plan.json";

/// The name under which our executable is localized.
pub const BINARY_NAME: &str = "drawloom";

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchFile {
    /// [`VERSION`].
    pub version: u32,
    /// Who submitted, as YARN knows the user.
    pub user: String,
    /// The queue that was asked for.
    pub queue: String,
    /// The application's tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The node label expression for executors.
    #[serde(default)]
    pub node_label: Option<String>,
    /// Who may see and change the application.
    #[serde(default)]
    pub acls: Acls,
    /// What is localized for every executor: the binary ([`BINARY_NAME`]), the configuration ([`CONF_FILE_NAME`]) and
    /// the job's files and archives.
    pub resources: Vec<Localized>,
    /// The running nodes at submission; may be empty when they could not be read.
    #[serde(default)]
    pub nodes: Vec<NodeAtSubmission>,
    /// Container memory of the ApplicationMaster, in MiB; 0 in what earlier builds staged.
    #[serde(default)]
    pub am_memory_mib: u64,
    /// When the client submitted, in milliseconds since 1970.
    pub submitted_unix_ms: u64,
    /// Whether `/metrics` answers every address.
    #[serde(default)]
    pub open_metrics: bool,
    /// The event log.
    #[serde(default)]
    pub history: HistoryTarget,
    /// The settings, in the order of the reference.
    #[serde(default)]
    pub configuration: Vec<Entry>,
}

/// Where the event log goes, and who shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HistoryTarget {
    /// The directory, which must be there; none: no event log.
    #[serde(default)]
    pub dir: Option<String>,
    /// The address of a Spark History Server that reads it.
    #[serde(default)]
    pub server: Option<String>,
}

/// Access lists in Hadoop's form: comma-separated users, a blank, comma-separated groups; `*` for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Acls {
    /// Who may see logs and pages besides the owner.
    #[serde(default)]
    pub view: Option<String>,
    /// Who may kill it besides the owner.
    #[serde(default)]
    pub modify: Option<String>,
}

/// A file or archive that YARN puts into a container's working directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Localized {
    /// The name in the working directory.
    pub name: String,
    /// Where it is, with a scheme.
    pub uri: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its modification time in milliseconds since 1970; NodeManagers compare it exactly (`FSDownload`).
    pub timestamp_ms: u64,
    /// File or archive.
    pub kind: LocalizedKind,
    /// Whose caches may keep it.
    pub visibility: Visibility,
}

/// How a resource is put in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocalizedKind {
    /// As it is.
    #[default]
    File,
    /// Unpacked into a directory of its name.
    Archive,
}

/// Whose cache on a node keeps a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Visibility {
    /// Everybody's; the file must be readable by all, its directories passable by all.
    Public,
    /// The user's.
    Private,
    /// The application's.
    #[default]
    Application,
}

/// A node as the ResourceManager's REST interface described it at submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAtSubmission {
    /// The NodeManager's host, as in its node id.
    pub host: String,
    /// The NodeManager's port, as in its node id.
    pub port: u16,
    /// Its rack, for instance `/default-rack`.
    pub rack: String,
    /// Memory that was free, in MiB.
    pub available_memory_mib: u64,
    /// Memory that it gives to containers in all, in MiB; absent in what earlier builds staged.
    #[serde(default)]
    pub memory_mib: Option<u64>,
    /// Virtual cores that were free.
    #[serde(default)]
    pub available_cores: u32,
}

/// A `launch.json` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LaunchFileError {
    /// It is no JSON of the right shape.
    #[error("{FILE_NAME} cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It is of another version.
    #[error("{FILE_NAME} has version {0}, this build reads version {VERSION}: submit with the same build")]
    Version(u32),
}

impl LaunchFile {
    /// Reads the file's text.
    ///
    /// # Errors
    /// [`LaunchFileError`]
    pub fn parse(text: &[u8]) -> Result<Self, LaunchFileError> {
        #[derive(Deserialize)]
        struct Probe {
            version: u32,
        }
        let Probe { version } = serde_json::from_slice(text)?;
        if version != VERSION {
            return Err(LaunchFileError::Version(version));
        }
        Ok(serde_json::from_slice(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> LaunchFile {
        LaunchFile {
            version: VERSION,
            user: "ada".into(),
            queue: "default".into(),
            tags: vec!["nightly".into()],
            node_label: None,
            acls: Acls::default(),
            resources: vec![Localized {
                name: BINARY_NAME.into(),
                uri: "hdfs://nn:8020/user/ada/.drawloom/bin/ab12".into(),
                size: 12_000_000,
                timestamp_ms: 1_795_218_448_194,
                kind: LocalizedKind::File,
                visibility: Visibility::Private,
            }],
            nodes: vec![],
            am_memory_mib: 256,
            submitted_unix_ms: 1,
            open_metrics: false,
            history: HistoryTarget {
                dir: Some("hdfs://nn:8020/spark-history".into()),
                server: None,
            },
            configuration: vec![Entry {
                key: "queue".into(),
                value: "etl".into(),
                origin: "--queue".into(),
            }],
        }
    }

    #[test]
    fn what_the_client_writes_the_application_master_reads() {
        let text = serde_json::to_vec(&sample()).unwrap();
        assert_eq!(LaunchFile::parse(&text).unwrap(), sample());
    }

    #[test]
    fn what_an_older_client_wrote_is_read() {
        let stored = br#"{"version":1,"user":"ada","queue":"default","resources":[],"submitted_unix_ms":1}"#;
        let read = LaunchFile::parse(stored).unwrap();
        assert_eq!(
            (read.user.as_str(), read.history),
            ("ada", HistoryTarget::default())
        );
        assert!(read.configuration.is_empty() && read.acls == Acls::default());
    }

    #[test]
    fn another_version_is_refused_before_its_shape_is_looked_at() {
        let error = LaunchFile::parse(br#"{"version": 9, "shape": "unknown"}"#).unwrap_err();
        assert!(matches!(error, LaunchFileError::Version(9)), "{error}");
    }
}
