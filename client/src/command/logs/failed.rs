//! `drawloom logs --failed`: which files are of what failed.
//!
//! While the application runs its ApplicationMaster knows; afterwards the final diagnostics name the decisive attempt
//! and its container, and the ApplicationMaster itself when that failed.

use std::collections::BTreeSet;

use hadoop::ids::{ApplicationId, ContainerId};
use yarn_rest::Client;

use super::attempt_of;
use crate::error::{CommandError, Exit};
use crate::pages;
use crate::submit::preflight::rest_failed;
use crate::submit::watch;

/// What failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Failed {
    /// Stage, and `TASK.ATTEMPT`.
    attempts: BTreeSet<(String, String)>,
    /// Lost executors, and failed ApplicationMasters.
    containers: BTreeSet<String>,
}

impl Failed {
    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty() && self.containers.is_empty()
    }

    /// Whether a file is of something that failed.
    pub(super) fn has(&self, container: &ContainerId, file: &str) -> bool {
        match attempt_of(file) {
            Some((stage, attempt)) => self.attempts.contains(&(stage.to_owned(), attempt.to_owned())),
            None => self.containers.contains(&container.to_string()),
        }
    }

    /// Takes `stage count, task 17, attempt 2` or `stage count, task 17 failed …; last attempt 17.2 on …`.
    fn add_attempt(&mut self, text: &str) {
        let Some((stage, rest)) = text
            .split_once("stage ")
            .and_then(|(_, rest)| rest.split_once(", task "))
        else {
            return;
        };
        let task = leading_number(rest);
        let numbered = rest.split_once("attempt ").map(|(_, attempt)| attempt);
        let attempt = numbered.map(|text| text.split_once('.').map_or(text, |(_, attempt)| attempt));
        if let (Some(task), Some(attempt)) = (task, attempt.and_then(leading_number)) {
            self.attempts
                .insert((file_name_of(stage), format!("{task}.{attempt}")));
        }
    }
}

fn leading_number(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| &text[..end])
}

/// A stage's name as it stands in the names of log files (`executor::log_name`).
fn file_name_of(stage: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    stage
        .chars()
        .take(80)
        .map(|c| if legal(c) { c } else { '_' })
        .collect()
}

/// Finds out.
///
/// # Errors
/// The application is unknown, or YARN cannot be asked.
pub(super) async fn find(client: &Client, user: &str, id: ApplicationId) -> Result<Failed, CommandError> {
    let report = client.application(id).await.map_err(rest_failed)?;
    let mut failed = Failed::default();
    if let Ok(Some(summary)) = pages::summary(&report, user).await {
        for note in &summary.failures {
            if note.kind == "executor" {
                failed.containers.insert(note.subject.clone());
            } else {
                failed.add_attempt(&note.subject);
            }
        }
    }
    if report.is_final() {
        failed.add_attempt(report.diagnostics.lines().next().unwrap_or_default());
    }
    if watch::verdict(&report).0 == Exit::Lost {
        for attempt in client.attempts(id).await.unwrap_or_default() {
            failed
                .containers
                .extend(attempt.am_container.map(|id| id.to_string()));
        }
    }
    Ok(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_found_in_notes_and_in_diagnostics() {
        let mut failed = Failed::default();
        failed.add_attempt("stage count words, task 17, attempt 2");
        failed.add_attempt(
            "failed: stage run, task 1 failed 4 times; last attempt 1.3 on n1 (container_1): exit code 3",
        );
        failed.add_attempt("failed: something else");
        let container = "container_1_0001_01_000002".parse().unwrap();
        assert!(failed.has(&container, "task-0.1.0-17.2-count_words.stderr"));
        assert!(failed.has(&container, "task-0.0.0-1.3-run.stdout"));
        assert!(!failed.has(&container, "task-0.0.0-1.2-run.stdout"));
        assert!(!failed.has(&container, "stderr"));
        assert_eq!(failed.attempts.len(), 2);
    }
}
