//! Lists of log files.

use hadoop::ids::ContainerId;
use serde::Deserialize;

use super::name::names;
use crate::lenient;

names! {
    /// Where a log file lies.
    AggregationType {
        /// On the node's own disk.
        Local = "LOCAL",
        /// In the file system where finished applications' logs are collected.
        Aggregated = "AGGREGATED",
    }
}

/// The log files of a container in one place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogFiles {
    /// The container.
    #[serde(default, deserialize_with = "lenient::some_parsed")]
    pub container_id: Option<ContainerId>,
    /// Id (`host:port`) of the node.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub node_id: Option<String>,
    /// Where they lie.
    #[serde(
        rename = "logAggregationType",
        default,
        deserialize_with = "lenient::some_parsed"
    )]
    pub place: Option<AggregationType>,
    /// The files.
    #[serde(rename = "containerLogInfo", default, deserialize_with = "lenient::list")]
    pub files: Vec<LogFile>,
}

/// One log file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogFile {
    /// The name, for example `stderr`.
    pub file_name: String,
    /// Bytes.
    #[serde(default, deserialize_with = "lenient::number")]
    pub file_size: u64,
    /// When it was last written, as Java prints times: `Fri Nov 20 23:49:09 +0000 2026`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub last_modified_time: String,
}
