//! Amounts of memory, cores and other things a container is made of.

use crate::proto::yarn as pb;
use std::collections::BTreeMap;
use std::fmt;

/// What a container gets or a node has.
///
/// The scheduler may give more than was asked (memory is rounded up) and, unless it is configured with the
/// dominant resource calculator, reports one core whatever was asked: never match a grant by its resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// Memory in MiB.
    pub memory_mb: u64,
    /// Virtual cores.
    pub vcores: u32,
    /// Other resources (`yarn.io/gpu`), by name, in the unit the cluster declares for them.
    pub others: BTreeMap<String, i64>,
}

impl Resource {
    /// Memory in MiB and virtual cores, nothing else.
    pub fn new(memory_mb: u64, vcores: u32) -> Self {
        Self {
            memory_mb,
            vcores,
            others: BTreeMap::new(),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB, {} cores", self.memory_mb, self.vcores)?;
        self.others
            .iter()
            .try_for_each(|(name, value)| write!(f, ", {value} {name}"))
    }
}

impl From<&Resource> for pb::ResourceProto {
    fn from(resource: &Resource) -> Self {
        let other = |(name, value): (&String, &i64)| pb::ResourceInformationProto {
            key: name.clone(),
            value: Some(*value),
            r#type: Some(pb::ResourceTypesProto::Countable as i32),
            ..Default::default()
        };
        Self {
            memory: Some(i64::try_from(resource.memory_mb).unwrap_or(i64::MAX)),
            virtual_cores: Some(i32::try_from(resource.vcores).unwrap_or(i32::MAX)),
            resource_value_map: resource.others.iter().map(other).collect(),
        }
    }
}

impl From<&pb::ResourceProto> for Resource {
    /// Negative amounts, which headroom can show for a moment, become zero.
    fn from(resource: &pb::ResourceProto) -> Self {
        let own = |name: &str| matches!(name, "memory-mb" | "vcores");
        let others = resource
            .resource_value_map
            .iter()
            .filter(|entry| !own(&entry.key));
        Self {
            memory_mb: u64::try_from(resource.memory()).unwrap_or(0),
            vcores: u32::try_from(resource.virtual_cores()).unwrap_or(0),
            others: others.map(|entry| (entry.key.clone(), entry.value())).collect(),
        }
    }
}
