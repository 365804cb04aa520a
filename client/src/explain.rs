//! Why an application waits or why it failed: from what YARN, the scheduler and the ApplicationMaster say, to reasons
//! that a person can act on.
//!
//! [`Facts`] is everything that could be asked, each part absent where it could not; [`reasons`] is pure. Reasons come
//! ranked: what alone explains the state first, then what adds to it. Each has a stable code, a sentence with
//! numbers, and the smallest change that would help.

mod collect;
mod failed;
mod waiting;

use am::dossier::Dossier;
use am::summary::Summary;
use serde::{Deserialize, Serialize};
use yarn_rest::model::{ClusterMetrics, Node, Queue};
use yarn_rest::{AppReport, Verdict};

pub(crate) use collect::collect;

/// Why executors are missing, as the ApplicationMaster says (`/api/v1/drawloom/pending`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Pending {
    /// In a sentence; nothing when none is missing.
    pub(crate) why: Option<String>,
    /// Nodes that are avoided after failures.
    pub(crate) excluded_nodes: Vec<String>,
}

/// All that is known.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// The ResourceManager's report.
    pub(crate) report: AppReport,
    /// What the current attempt's own diagnostics add.
    pub(crate) attempt_diagnostics: String,
    /// Its queue.
    pub(crate) queue: Option<Queue>,
    /// The cluster's counts.
    pub(crate) metrics: Option<ClusterMetrics>,
    /// All nodes, in every state.
    pub(crate) nodes: Option<Vec<Node>>,
    /// What the scheduler says that it did for the application.
    pub(crate) activities: Vec<String>,
    /// Why executors are missing.
    pub(crate) pending: Option<Pending>,
    /// How it is doing.
    pub(crate) summary: Option<Summary>,
    /// Lost executors, the latest last.
    pub(crate) dossiers: Vec<Dossier>,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Reason {
    /// A stable word for programs.
    pub(crate) code: &'static str,
    /// What is so, with numbers.
    pub(crate) why: String,
    /// The smallest change that would help; empty when nothing needs to be done.
    pub(crate) help: String,
}

impl Reason {
    fn new(code: &'static str, why: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            code,
            why: why.into(),
            help: help.into(),
        }
    }
}

/// Every reason that the facts give, the most telling first; empty when all is well.
pub(crate) fn reasons(facts: &Facts) -> Vec<Reason> {
    match facts.report.final_verdict() {
        Some(Verdict::Succeeded) => Vec::new(),
        Some(verdict) => failed::reasons(facts, &verdict),
        None => waiting::reasons(facts),
    }
}

#[cfg(test)]
#[path = "explain/tests.rs"]
mod tests;
