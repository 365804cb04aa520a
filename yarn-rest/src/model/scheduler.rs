//! The scheduler, its queues, and what it says of its decisions.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Resource;
use crate::lenient;

/// The scheduler and its tree of queues (`GET /scheduler`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "SchedulerShape")]
pub struct Scheduler {
    /// `capacityScheduler`, `fairScheduler` or `fifoScheduler`.
    pub kind: String,
    /// The root queue. The FIFO scheduler has no other.
    pub root: Queue,
}

/// The Capacity Scheduler's info *is* the root queue, the Fair Scheduler's holds it.
#[derive(Deserialize)]
struct SchedulerShape {
    #[serde(rename = "schedulerInfo")]
    info: SchedulerInfo,
}

#[derive(Deserialize)]
struct SchedulerInfo {
    #[serde(rename = "type", default, deserialize_with = "lenient::text")]
    kind: String,
    #[serde(rename = "rootQueue")]
    fair_root: Option<Queue>,
    #[serde(flatten)]
    root: Queue,
}

impl From<SchedulerShape> for Scheduler {
    fn from(shape: SchedulerShape) -> Self {
        let SchedulerInfo {
            kind,
            fair_root,
            root,
        } = shape.info;
        Self {
            kind,
            root: fair_root.unwrap_or(root),
        }
    }
}

/// A queue and the queues below it. Numbers a scheduler does not have are 0.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Queue {
    /// The name: the last part of the path under the Capacity Scheduler, the whole path under the Fair
    /// Scheduler.
    #[serde(rename = "queueName", deserialize_with = "lenient::text")]
    pub name: String,
    /// The path, if the release says it.
    #[serde(rename = "queuePath", deserialize_with = "lenient::some_text")]
    pub path: Option<String>,
    /// `RUNNING` or `STOPPED`; none under the Fair Scheduler.
    #[serde(alias = "qstate", deserialize_with = "lenient::some_text")]
    pub state: Option<String>,
    /// Percent of the parent guaranteed to it.
    #[serde(deserialize_with = "lenient::float")]
    pub capacity: f64,
    /// Percent of its own guarantee in use; more than 100 when it borrows.
    #[serde(deserialize_with = "lenient::float")]
    pub used_capacity: f64,
    /// Percent of the parent it can grow to.
    #[serde(deserialize_with = "lenient::float")]
    pub max_capacity: f64,
    /// Percent of the whole cluster guaranteed to it.
    #[serde(deserialize_with = "lenient::float")]
    pub absolute_capacity: f64,
    /// Percent of the whole cluster in use by it.
    #[serde(deserialize_with = "lenient::float")]
    pub absolute_used_capacity: f64,
    /// Percent of the whole cluster it can grow to.
    #[serde(deserialize_with = "lenient::float")]
    pub absolute_max_capacity: f64,
    /// Who has applications in it; Capacity Scheduler only.
    #[serde(deserialize_with = "users")]
    pub users: Vec<QueueUser>,
    /// Applications in it.
    #[serde(deserialize_with = "lenient::number")]
    pub num_applications: u32,
    /// Applications whose ApplicationMaster may run.
    #[serde(
        rename = "numActiveApplications",
        alias = "numActiveApps",
        deserialize_with = "lenient::number"
    )]
    pub active_applications: u32,
    /// Applications that wait.
    #[serde(
        rename = "numPendingApplications",
        alias = "numPendingApps",
        deserialize_with = "lenient::number"
    )]
    pub pending_applications: u32,
    /// What is in use.
    #[serde(rename = "resourcesUsed", alias = "usedResources")]
    pub used: Resource,
    /// The most its ApplicationMasters may hold together.
    #[serde(rename = "AMResourceLimit", alias = "amMaxResources")]
    pub am_limit: Resource,
    /// What its ApplicationMasters hold.
    #[serde(rename = "usedAMResource", alias = "amUsedResources")]
    pub am_used: Resource,
    /// Whether a submission may create queues below it: `legacy` or `flexible`, else `off`. Hadoop 3.4 and later.
    #[serde(deserialize_with = "lenient::some_text")]
    pub auto_creation_eligibility: Option<String>,
    /// Who may do what in it, each list as it was configured; Capacity Scheduler only. Whoever may do something in a queue
    /// above may do it here too, and none of it counts unless `yarn.acl.enable` is true.
    #[serde(rename = "queueAcls", deserialize_with = "acls")]
    pub acls: Vec<QueueAcl>,
    /// The queues below it.
    #[serde(rename = "queues", alias = "childQueues", deserialize_with = "queues")]
    pub children: Vec<Queue>,
}

/// What one user holds in a queue, and may hold (`UserInfo` of the Capacity Scheduler).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueUser {
    /// The user.
    #[serde(deserialize_with = "lenient::text")]
    pub username: String,
    /// What they hold.
    #[serde(rename = "resourcesUsed")]
    pub used: Resource,
    /// The most they may hold at the moment.
    #[serde(rename = "userResourceLimit")]
    pub limit: Resource,
}

/// Who may do one thing in a queue (`QueueAclInfo`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueAcl {
    /// `SUBMIT_APP`, `ADMINISTER_QUEUE` or `APPLICATION_MAX_PRIORITY`.
    #[serde(deserialize_with = "lenient::text")]
    pub access_type: String,
    /// Users, a blank, groups; `*` for everybody.
    #[serde(deserialize_with = "lenient::text")]
    pub access_control_list: String,
}

fn acls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<QueueAcl>, D::Error> {
    lenient::list_at(deserializer, &["queueAcl"])
}

fn users<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<QueueUser>, D::Error> {
    lenient::list_at(deserializer, &["user"])
}

fn queues<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Queue>, D::Error> {
    lenient::list_at(deserializer, &["queue"])
}

impl Queue {
    /// The queue called `name` in this tree: by its path, or by its last part.
    pub fn find(&self, name: &str) -> Option<&Self> {
        let is_this = self.name == name || self.path.as_deref() == Some(name);
        if is_this {
            return Some(self);
        }
        let inside = name
            .strip_prefix(self.name.as_str())
            .and_then(|rest| rest.strip_prefix('.'));
        self.children
            .iter()
            .find_map(|child| child.find(name).or_else(|| child.find(inside?)))
    }

    /// The queues from this one down to the one called `name`, by its path or its last part, both included; none
    /// when there is no such queue.
    pub fn way_to(&self, name: &str) -> Vec<&Self> {
        if self.name == name || self.path.as_deref() == Some(name) {
            return vec![self];
        }
        let below = self.children.iter().map(|child| child.way_to(name));
        match below.into_iter().find(|way| !way.is_empty()) {
            Some(way) => std::iter::once(self).chain(way).collect(),
            None => Vec::new(),
        }
    }

    /// Whether a submission may create queues below it.
    pub fn creates_queues(&self) -> bool {
        self.auto_creation_eligibility
            .as_deref()
            .is_some_and(|eligibility| eligibility != "off")
    }

    /// The queues that take applications.
    pub fn leaves(&self) -> Vec<&Self> {
        if self.children.is_empty() {
            return vec![self];
        }
        self.children.iter().flat_map(Self::leaves).collect()
    }
}

/// What the scheduler recorded of its decisions. Its shape differs between releases and schedulers, so it
/// is kept as it came; what a person asks of it is in [`Activities::reasons`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Activities(pub Value);

impl Activities {
    /// Has nothing been recorded yet? The first question only starts the recording; ask again after a
    /// scheduling round (a second is enough on a cluster with default heartbeats).
    pub fn is_waiting(&self) -> bool {
        let diagnostic = self.0.get("diagnostic").and_then(Value::as_str);
        diagnostic.is_some_and(|text| text.starts_with("waiting for"))
    }

    /// Every reason in the record, once each, in alphabetical order: for example "Queue's AM resource
    /// limit exceeded" or "Node does not have sufficient resource for request".
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = BTreeSet::new();
        if !self.is_waiting() {
            collect_reasons(&self.0, &mut reasons);
        }
        reasons.into_iter().collect()
    }
}

fn collect_reasons(value: &Value, reasons: &mut BTreeSet<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|element| collect_reasons(element, reasons)),
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key.starts_with("diagnostic") && !text.trim().is_empty() => {
                        reasons.insert(text.trim().to_owned());
                    }
                    _ => collect_reasons(value, reasons),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
