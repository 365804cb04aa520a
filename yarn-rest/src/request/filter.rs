//! The filter of the list of applications.

use std::fmt;

use super::Target;
use crate::model::{AppState, FinalStatus};

/// Which applications a list shall hold. Empty fields do not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppFilter {
    /// States to keep. The ResourceManager refuses names it does not know with a 400 that lists the
    /// legal ones.
    pub states: Vec<AppState>,
    /// The final status to keep.
    pub final_status: Option<FinalStatus>,
    /// The submitting user.
    pub user: Option<String>,
    /// The queue. 3.3.6 wants the short name (`default`), later ones take the path (`root.default`).
    pub queue: Option<String>,
    /// The application's name.
    pub name: Option<String>,
    /// Application types, compared without regard to case.
    pub application_types: Vec<String>,
    /// Tags; an application needs one of them.
    pub application_tags: Vec<String>,
    /// At most so many, counted after the other filters.
    pub limit: Option<u32>,
    /// Started at or after this time, milliseconds since the epoch.
    pub started_from: Option<u64>,
    /// Started at or before this time, milliseconds since the epoch.
    pub started_to: Option<u64>,
    /// Finished at or after this time, milliseconds since the epoch.
    pub finished_from: Option<u64>,
    /// Finished at or before this time, milliseconds since the epoch.
    pub finished_to: Option<u64>,
    /// Parts the answer shall leave out, to make it cheaper.
    pub without: Vec<AppPart>,
}

/// A part of an application object that a list can leave out (`deSelects`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppPart {
    /// The asks that wait for containers; the largest part by far.
    ResourceRequests,
    /// The timeouts.
    Timeouts,
    /// The node label expression of the application.
    AppNodeLabel,
    /// The node label expression of the ApplicationMaster.
    AmNodeLabel,
    /// The usage by partition.
    ResourceInfo,
}

impl fmt::Display for AppPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ResourceRequests => "resourceRequests",
            Self::Timeouts => "timeouts",
            Self::AppNodeLabel => "appNodeLabelExpression",
            Self::AmNodeLabel => "amNodeLabelExpression",
            Self::ResourceInfo => "resourceInfo",
        })
    }
}

impl AppFilter {
    /// Applications of `user`.
    pub fn of_user(user: impl Into<String>) -> Self {
        Self {
            user: Some(user.into()),
            ..Self::default()
        }
    }

    pub(crate) fn apply(&self, target: Target) -> Target {
        target
            .query_list("states", &self.states)
            .query_some("finalStatus", self.final_status.as_ref())
            .query_some("user", self.user.as_ref())
            .query_some("queue", self.queue.as_ref())
            .query_some("name", self.name.as_ref())
            .query_list("applicationTypes", &self.application_types)
            .query_list("applicationTags", &self.application_tags)
            .query_some("limit", self.limit)
            .query_some("startedTimeBegin", self.started_from)
            .query_some("startedTimeEnd", self.started_to)
            .query_some("finishedTimeBegin", self.finished_from)
            .query_some("finishedTimeEnd", self.finished_to)
            .query_list("deSelects", &self.without)
    }
}
