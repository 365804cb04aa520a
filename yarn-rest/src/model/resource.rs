//! Amounts of memory, cores and other resources.

use serde::{Deserialize, Serialize};

use crate::lenient;

/// An amount of the two resources every cluster has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resource {
    /// Memory in MiB.
    #[serde(deserialize_with = "lenient::number")]
    pub memory: u64,
    /// Virtual cores.
    #[serde(rename = "vCores", deserialize_with = "lenient::number")]
    pub vcores: u32,
}

impl Resource {
    /// `memory` MiB and `vcores` virtual cores.
    pub fn new(memory: u64, vcores: u32) -> Self {
        Self { memory, vcores }
    }
}

/// What the cluster knows of one kind of resource.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceLimit {
    /// The name: `memory-mb`, `vcores`, or a site's own such as `yarn.io/gpu`.
    pub name: String,
    /// The unit of the amounts, for example `Mi`; empty for plain counts.
    #[serde(default, deserialize_with = "lenient::text")]
    pub units: String,
    /// The most one container gets.
    #[serde(default, deserialize_with = "lenient::number")]
    pub value: u64,
}
