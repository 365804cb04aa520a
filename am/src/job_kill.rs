//! Ending one job of an application on order, as the client and this process see it.
//!
//! As with [`crate::restart`], whoever may write to the staging directory may order it: an empty directory [`order`]
//! there, and a look at [`PATH`] with the parameter `job`, its number, has the ApplicationMaster act on it.

use serde::{Deserialize, Serialize};

use crate::restart::ORDERS;

/// The page that has the ApplicationMaster look, relative to its root.
pub const PATH: &str = "api/v1/drawloom/kill-job";

/// Where an order to end a job is left, relative to the staging directory.
#[must_use]
pub fn order(job: u32) -> String {
    format!("{ORDERS}/kill-job-{job}")
}

/// The answer of [`PATH`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The job's number.
    pub job: u32,
    /// Why it is not ended; nothing when it is.
    #[serde(default)]
    pub refused: Option<String>,
}
