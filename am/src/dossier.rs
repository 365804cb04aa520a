//! Dossiers: what is known of a lost executor, in one record that a person can act on.
//!
//! Problem: the reason for a loss is scattered. YARN has a number and a text, the NodeManager a log that vanishes with
//! the application, the executor's heartbeats knew its memory, the launcher its phases, the driver its tasks. A
//! [`Dossier`] holds them together, says who is to blame ([`Blame`]) and what would help, with numbers ([`advice`]).
//!
//! The record is made at the moment of the loss; what comes later (YARN's status of a container that we had given
//! up, the end of its standard error) is added to it. The answer of `/api/v1/drawloom/dossiers` is a list of them,
//! the type is shared with the client, additive only. At most [`MAX_DOSSIERS`] are kept, each bounded (J).

pub mod advice;
pub mod exit;
pub mod shelf;

use serde::{Deserialize, Serialize};

/// The path below the tracking URL.
pub const PATH: &str = "api/v1/drawloom/dossiers";

/// The most dossiers that are kept: the latest.
pub const MAX_DOSSIERS: usize = 50;

/// The most of an executor's standard error that is kept, in bytes.
pub const STDERR_TAIL: usize = 8 << 10;

/// The most tasks that are named.
pub const MAX_TASKS: usize = 20;

/// Whose doing a loss was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// The job's own: what it runs ended the executor.
    User,
    /// The container was too small for what ran in it.
    Resource,
    /// The node: its disks, its load, its network.
    Node,
    /// YARN or the storage: files that cannot be fetched, daemons that restarted.
    Infrastructure,
    /// Nobody: YARN or we decided so.
    Policy,
    /// Not known; also what a newer version may say.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Blame {
    /// The verdict in one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Resource => "resource",
            Self::Node => "node",
            Self::Infrastructure => "infrastructure",
            Self::Policy => "policy",
            Self::Unknown => "unknown",
        }
    }
}

/// When the container reached each phase, in milliseconds since the ApplicationMaster's start; absent when it did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Phases {
    /// The ask that led to it went out.
    pub asked_ms: u64,
    /// It was granted, and its start was sent.
    pub granted_ms: u64,
    /// The NodeManager took it over.
    pub started_ms: Option<u64>,
    /// Its process began, by the node's clock.
    pub process_ms: Option<u64>,
    /// Its executor registered.
    pub registered_ms: Option<u64>,
    /// Its first task ran.
    pub first_task_ms: Option<u64>,
    /// It ended or was given up.
    pub ended_ms: Option<u64>,
}

/// Memory, in bytes; 0 is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Memory {
    /// What the container was given.
    pub limit: u64,
    /// The most that executor and tasks were seen to use together.
    pub peak: u64,
    /// The most of the executor process alone.
    pub executor_peak: u64,
    /// Processes of its control group that the kernel ended for want of memory.
    pub oom_kills: u64,
}

/// What else was lost on the node within the last ten minutes, this loss included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeHistory {
    /// Executors lost there.
    pub losses: u32,
    /// Those that count against the node.
    pub strikes: u32,
    /// How much longer the node is avoided, in milliseconds; absent when it is not.
    pub avoided_for_ms: Option<u64>,
}

/// All that is known of one lost executor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Dossier {
    /// The executor, which is the container.
    pub executor: String,
    /// Its node.
    pub node: String,
    /// When it was lost, in milliseconds since 1970.
    pub unix_ms: u64,
    /// Why, in words.
    pub cause: String,
    /// Whose doing it was.
    pub verdict: Blame,
    /// Whether it counts for `executor.max-failures`.
    pub counts: bool,
    /// Its life.
    pub phases: Phases,
    /// YARN's exit status, once reported.
    pub exit_status: Option<i32>,
    /// What that number means.
    pub exit_meaning: String,
    /// The NodeManager's or ResourceManager's words, the last of them.
    pub diagnostics: String,
    /// The end of the executor's standard error.
    pub stderr_tail: String,
    /// Memory.
    pub memory: Memory,
    /// Tasks that ran there, as `stage count, task 3, attempt 0`; at most [`MAX_TASKS`].
    pub tasks: Vec<String>,
    /// How many there were.
    pub tasks_total: u32,
    /// The node's.
    pub node_history: NodeHistory,
    /// What would help.
    pub advice: String,
}

/// The last bytes of a text, cut between characters.
#[must_use]
pub fn last_of(text: &str, bytes: usize) -> &str {
    let from = text.len().saturating_sub(bytes);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at));
    &text[from.unwrap_or(text.len())..]
}

impl Dossier {
    /// The last line of its standard error that says something.
    #[must_use]
    pub fn last_words(&self) -> Option<&str> {
        let mut lines = self.stderr_tail.lines().map(str::trim);
        lines.rfind(|line| !line.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dossier_survives_json_and_what_a_newer_version_says() {
        let dossier = Dossier {
            executor: "container_1_0001_01_000002".into(),
            verdict: Blame::Resource,
            exit_status: Some(-104),
            ..Dossier::default()
        };
        let text = serde_json::to_string(&dossier).unwrap();
        assert_eq!(serde_json::from_str::<Dossier>(&text).unwrap(), dossier);
        let newer = r#"{"executor":"c","verdict":"weather","barometer":7}"#;
        let read: Dossier = serde_json::from_str(newer).unwrap();
        assert_eq!((read.executor.as_str(), read.verdict), ("c", Blame::Unknown));
    }

    #[test]
    fn only_whole_characters_are_kept() {
        assert_eq!(last_of("aäb", 2), "b");
        assert_eq!(last_of("ab", 9), "ab");
        assert_eq!(last_of("ä", 1), "");
    }

    #[test]
    fn the_last_words_are_the_last_line_that_says_something() {
        let dossier = Dossier {
            stderr_tail: "one\ntwo\n\n".into(),
            ..Dossier::default()
        };
        assert_eq!(dossier.last_words(), Some("two"));
    }
}
