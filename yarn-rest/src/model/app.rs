//! An application as the ResourceManager reports it.

use std::collections::BTreeMap;

use hadoop::ids::ApplicationId;
use serde::{Deserialize, Deserializer};

use super::name::names;
use super::{Resource, ResourceLimit, Timeout};
use crate::lenient;

names! {
    /// The state of an application. Reports show the first eight; the state resource also shows the
    /// ResourceManager's internal ones.
    AppState {
        /// Known to the ResourceManager, nothing else.
        New = "NEW",
        /// Being written to the state store.
        NewSaving = "NEW_SAVING",
        /// Handed to the scheduler.
        Submitted = "SUBMITTED",
        /// In the queue, its ApplicationMaster not yet registered.
        Accepted = "ACCEPTED",
        /// The ApplicationMaster has registered.
        Running = "RUNNING",
        /// The ApplicationMaster has unregistered; whether it succeeded is in the final status.
        Finished = "FINISHED",
        /// Given up by the ResourceManager.
        Failed = "FAILED",
        /// Killed on request.
        Killed = "KILLED",
        /// Internal: the last state is being written to the state store.
        FinalSaving = "FINAL_SAVING",
        /// Internal: unregistered, the ApplicationMaster's process still there. Reports show FINISHED.
        Finishing = "FINISHING",
        /// Internal: a kill is under way. Reports show KILLED.
        Killing = "KILLING",
    }
}

impl AppState {
    /// The states that reports show of an application that has not ended.
    pub const ALIVE: [Self; 5] = [
        Self::New,
        Self::NewSaving,
        Self::Submitted,
        Self::Accepted,
        Self::Running,
    ];

    /// Has the application ended, so that nothing will change any more?
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
    }
}

names! {
    /// What an ApplicationMaster said of its application when it unregistered.
    FinalStatus {
        /// Nothing yet, or nothing ever.
        Undefined = "UNDEFINED",
        /// It succeeded.
        Succeeded = "SUCCEEDED",
        /// It failed.
        Failed = "FAILED",
        /// It was killed.
        Killed = "KILLED",
        /// It ended, and part of it failed.
        Ended = "ENDED",
    }
}

/// The report of an application (`GET /apps/{id}`, and each element of `GET /apps`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AppReport {
    /// The id.
    #[serde(deserialize_with = "lenient::parsed")]
    pub id: ApplicationId,
    /// The user it runs as.
    #[serde(default, deserialize_with = "lenient::text")]
    pub user: String,
    /// The name given at submission.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: String,
    /// The queue: `default` in 3.3, the full path `root.default` later.
    #[serde(default, deserialize_with = "lenient::text")]
    pub queue: String,
    /// The state.
    pub state: AppState,
    /// What the ApplicationMaster said at its end.
    #[serde(default = "undefined")]
    pub final_status: FinalStatus,
    /// Progress in percent, 0 to 100.
    #[serde(default, deserialize_with = "lenient::float")]
    pub progress: f64,
    /// Where to look at it: the proxy's URL from registration on, then the application's history or the
    /// ResourceManager's page. None before the ApplicationMaster registers.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub tracking_url: Option<String>,
    /// `UNASSIGNED`, `ApplicationMaster` or `History`.
    #[serde(rename = "trackingUI", default, deserialize_with = "lenient::text")]
    pub tracking_ui: String,
    /// What the ResourceManager, the attempts and the ApplicationMaster had to say.
    #[serde(default, deserialize_with = "lenient::text")]
    pub diagnostics: String,
    /// When the answering ResourceManager started; after a failover that is not the id's timestamp.
    #[serde(default, deserialize_with = "lenient::number")]
    pub cluster_id: u64,
    /// The application type, as given at submission.
    #[serde(default, deserialize_with = "lenient::text")]
    pub application_type: String,
    /// The tags.
    #[serde(default, deserialize_with = "lenient::names")]
    pub application_tags: Vec<String>,
    /// The priority; -1 if none was given.
    #[serde(default, deserialize_with = "lenient::number")]
    pub priority: i32,
    /// When it was submitted.
    #[serde(default, deserialize_with = "lenient::number")]
    pub started_time: u64,
    /// When the ApplicationMaster's container was launched.
    #[serde(default, deserialize_with = "lenient::number")]
    pub launch_time: u64,
    /// When it ended.
    #[serde(default, deserialize_with = "lenient::number")]
    pub finished_time: u64,
    /// Milliseconds from submission to now or to its end.
    #[serde(default, deserialize_with = "lenient::number")]
    pub elapsed_time: u64,
    /// Page with the ApplicationMaster's logs; none before its container is assigned.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub am_container_logs: Option<String>,
    /// Web address (`host:port`) of the node the ApplicationMaster runs on.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub am_host_http_address: Option<String>,
    /// `host:port` the ApplicationMaster registered for calls.
    #[serde(rename = "amRPCAddress", default, deserialize_with = "lenient::some_text")]
    pub am_rpc_address: Option<String>,
    /// Id (`host:port`) of the ApplicationMaster's node.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub master_node_id: Option<String>,
    /// Memory held now; none after the end.
    #[serde(rename = "allocatedMB", default, deserialize_with = "lenient::some_number")]
    pub allocated_mb: Option<u64>,
    /// Cores held now; none after the end.
    #[serde(
        rename = "allocatedVCores",
        default,
        deserialize_with = "lenient::some_number"
    )]
    pub allocated_vcores: Option<u32>,
    /// Containers running now; none after the end.
    #[serde(default, deserialize_with = "lenient::some_number")]
    pub running_containers: Option<u32>,
    /// Memory used so far, in MiB-seconds.
    #[serde(default, deserialize_with = "lenient::number")]
    pub memory_seconds: u64,
    /// Cores used so far, in core-seconds.
    #[serde(default, deserialize_with = "lenient::number")]
    pub vcore_seconds: u64,
    /// Every resource used so far, by name, in units times seconds.
    #[serde(default, deserialize_with = "lenient::amounts")]
    pub resource_seconds_map: BTreeMap<String, i64>,
    /// Is it run by an ApplicationMaster that YARN did not start?
    #[serde(default, deserialize_with = "lenient::flag")]
    pub unmanaged_application: bool,
    /// How far the collection of its logs is, for example `SUCCEEDED` or `DISABLED`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub log_aggregation_status: String,
    /// The node label that its ApplicationMaster is asked on.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub am_node_label_expression: Option<String>,
    /// Asks that wait for containers. Absent while there are none.
    #[serde(default, deserialize_with = "lenient::list")]
    pub resource_requests: Vec<PendingAsk>,
    /// Its timeouts.
    #[serde(default, deserialize_with = "timeouts")]
    pub timeouts: Vec<Timeout>,
}

fn undefined() -> FinalStatus {
    FinalStatus::Undefined
}

fn timeouts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Timeout>, D::Error> {
    lenient::list_at(deserializer, &["timeout"])
}

/// An ask that waits for containers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingAsk {
    /// How many containers are missing.
    #[serde(default, deserialize_with = "lenient::number")]
    pub num_containers: u32,
    /// The size of each.
    #[serde(default)]
    pub capability: Resource,
    /// Node, rack or `*`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub resource_name: String,
    /// The node label asked for.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub node_label_expression: Option<String>,
    /// May the scheduler go elsewhere when the place is full?
    #[serde(default, deserialize_with = "lenient::flag")]
    pub relax_locality: bool,
}

/// A fresh application id (`POST /apps/new-application`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NewApplication {
    /// The id to submit under.
    #[serde(deserialize_with = "lenient::parsed")]
    pub application_id: ApplicationId,
    /// The largest container the cluster gives.
    #[serde(default)]
    pub maximum_resource_capability: Resource,
    /// The same by resource, the site's own resources included.
    #[serde(skip)]
    pub limits: Vec<ResourceLimit>,
}

impl NewApplication {
    /// Reads the answer. The limits lie inside `maximum-resource-capability`, beside the two numbers.
    pub(crate) fn read(body: &[u8]) -> serde_json::Result<Self> {
        let path = [
            "maximum-resource-capability",
            "resourceInformations",
            "resourceInformation",
        ];
        let answer: Self = lenient::body_object(body, "new-application")?;
        Ok(Self {
            limits: lenient::body_list(body, &path)?,
            ..answer
        })
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct StateAnswer {
    pub(crate) state: AppState,
}

#[derive(Debug, Deserialize)]
pub(crate) struct QueueAnswer {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) queue: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PriorityAnswer {
    #[serde(default, deserialize_with = "lenient::number")]
    pub(crate) priority: i32,
}
