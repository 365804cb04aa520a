//! Attempts of an application.

use hadoop::ids::{ApplicationAttemptId, ContainerId};
use serde::Deserialize;

use super::name::names;
use crate::lenient;

names! {
    /// The state of an attempt.
    AttemptState {
        /// Known, nothing else.
        New = "NEW",
        /// Handed to the scheduler.
        Submitted = "SUBMITTED",
        /// In the queue.
        Scheduled = "SCHEDULED",
        /// Its container has been granted.
        Allocated = "ALLOCATED",
        /// The grant is being written to the state store.
        AllocatedSaving = "ALLOCATED_SAVING",
        /// Its container is being started.
        Launched = "LAUNCHED",
        /// Its ApplicationMaster is registered.
        Running = "RUNNING",
        /// Its ApplicationMaster has unregistered and is still there.
        Finishing = "FINISHING",
        /// Over.
        Finished = "FINISHED",
        /// Its ApplicationMaster ended without unregistering, or never registered.
        Failed = "FAILED",
        /// Killed on request.
        Killed = "KILLED",
    }
}

/// An attempt. The list and the single object use different names for the same things, and each has
/// fields the other lacks; this is the union.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Attempt {
    /// The id.
    #[serde(rename = "appAttemptId", deserialize_with = "lenient::parsed")]
    pub id: ApplicationAttemptId,
    /// The state. 3.3 leaves it out of the list.
    #[serde(
        rename = "appAttemptState",
        default,
        deserialize_with = "lenient::some_parsed"
    )]
    pub state: Option<AttemptState>,
    /// The ApplicationMaster's container.
    #[serde(
        rename = "containerId",
        alias = "amContainerId",
        default,
        deserialize_with = "lenient::some_parsed"
    )]
    pub am_container: Option<ContainerId>,
    /// When it started.
    #[serde(
        rename = "startTime",
        alias = "startedTime",
        default,
        deserialize_with = "lenient::number"
    )]
    pub started_time: u64,
    /// When it ended.
    #[serde(default, deserialize_with = "lenient::number")]
    pub finished_time: u64,
    /// Id (`host:port`) of the node; in the list only.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub node_id: Option<String>,
    /// Web address (`host:port`) of the node; in the list only.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub node_http_address: Option<String>,
    /// Page with the logs; in the list only.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub logs_link: Option<String>,
    /// The ApplicationMaster's host; in the single object only.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub host: Option<String>,
    /// The port the ApplicationMaster registered; in the single object only.
    #[serde(default, deserialize_with = "lenient::some_number")]
    pub rpc_port: Option<u16>,
    /// The proxy's URL; in the single object only, and there before registration too.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub tracking_url: Option<String>,
    /// The URL the ApplicationMaster registered; in the single object only.
    #[serde(default, deserialize_with = "lenient::some_text")]
    pub original_tracking_url: Option<String>,
    /// What was said of it; in the single object only.
    #[serde(rename = "diagnosticsInfo", default, deserialize_with = "lenient::text")]
    pub diagnostics: String,
}
