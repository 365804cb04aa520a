//! What a waiting person is told: a line for each phase, and for each change after that.
//!
//! Pure: reports go in, lines come out. Nothing is said twice, and numbers are said again only when they have moved
//! by a step that a person would care for.

use std::time::Duration;

use am::summary::Summary;
use yarn_rest::{AppReport, Phase};

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    phase: Option<Phase>,
    registered: Option<(u32, u32)>,
    finished: Option<(u32, u32)>,
    failures: usize,
    url_said: bool,
}

/// The number of lines between no task and all tasks, at most.
const STEPS: u32 = 20;

impl Progress {
    /// Lines for what the ResourceManager reports.
    pub(super) fn report(&mut self, elapsed: Duration, report: &AppReport) -> Vec<String> {
        let phase = report.phase();
        if self.phase.is_some_and(|said| said >= phase) {
            return Vec::new();
        }
        self.phase = Some(phase);
        let mut lines = Vec::new();
        match phase {
            Phase::Accepted => lines.push(line(elapsed, "accepted", &format!("in queue {}", report.queue))),
            Phase::AmStarting => lines.push(line(elapsed, "starting", &starting(report))),
            Phase::Running => lines.push(line(
                elapsed,
                "AM up",
                report.tracking_url.as_deref().unwrap_or(""),
            )),
            _ => {}
        }
        if phase >= Phase::AmStarting && !std::mem::replace(&mut self.url_said, true) {
            lines.extend(
                report
                    .am_container_logs
                    .as_ref()
                    .map(|url| line(elapsed, "AM logs", url)),
            );
        }
        lines
    }

    /// Lines for what the ApplicationMaster says.
    pub(super) fn summary(&mut self, elapsed: Duration, summary: &Summary) -> Vec<String> {
        let mut lines = Vec::new();
        let executors = (summary.executors.registered, summary.executors.wanted);
        if executors.1 > 0 && self.registered.replace(executors) != Some(executors) {
            lines.push(line(
                elapsed,
                "executors",
                &format!("{}/{}", executors.0, executors.1),
            ));
        }
        let fresh = summary
            .failures
            .iter()
            .skip(self.failures.min(summary.failures.len()));
        for failure in fresh.take(5) {
            let text = format!(
                "{} on {}: {}",
                failure.subject,
                failure.host,
                first_line(&failure.cause)
            );
            lines.push(line(elapsed, "failure", &text));
        }
        self.failures = summary.failures.len();
        let tasks = (summary.tasks.finished, summary.tasks.total);
        if tasks.1 > 0 && self.worth_saying(tasks) {
            self.finished = Some(tasks);
            lines.push(line(elapsed, "tasks", &tasks_text(summary)));
        }
        lines
    }

    fn worth_saying(&self, (finished, total): (u32, u32)) -> bool {
        let Some((said, said_total)) = self.finished else {
            return true;
        };
        let step = (total / STEPS).max(1);
        total != said_total || finished >= said + step || (finished == total && finished != said)
    }
}

fn starting(report: &AppReport) -> String {
    let node = report.am_host_http_address.as_deref().unwrap_or("a node");
    format!("the ApplicationMaster, on {node}")
}

fn tasks_text(summary: &Summary) -> String {
    let current = summary
        .stages
        .iter()
        .find(|stage| stage.state == "running" || stage.state == "committing");
    let stage = current.map_or_else(String::new, |stage| format!("  (stage {})", stage.name));
    format!("{}/{}{stage}", summary.tasks.finished, summary.tasks.total)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// One line: the time since the start, what, and the details.
pub(super) fn line(elapsed: Duration, what: &str, details: &str) -> String {
    format!("{:>8.2}s  {what:<10} {details}", elapsed.as_secs_f64())
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use am::summary::{ExecutorCounts, FailureNote, TaskCounts};

    use super::*;

    fn report(fields: &str) -> AppReport {
        serde_json::from_str(&format!(
            r#"{{"id":"application_1_0001","queue":"root.default",{fields}}}"#
        ))
        .unwrap()
    }

    const AT: Duration = Duration::from_millis(1234);

    fn summary(registered: u32, finished: u32, failures: usize) -> Summary {
        Summary {
            executors: ExecutorCounts {
                wanted: 3,
                registered,
                ..Default::default()
            },
            tasks: TaskCounts {
                total: 100,
                finished,
                ..Default::default()
            },
            failures: (0..failures)
                .map(|n| FailureNote {
                    subject: format!("stage count, task {n}, attempt 0"),
                    host: "n1".to_owned(),
                    cause: "exit code 3\nmore".to_owned(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }
    }

    #[test]
    fn each_phase_is_said_once() {
        let mut progress = Progress::default();
        let accepted = report(r#""state":"ACCEPTED""#);
        assert_eq!(
            progress.report(AT, &accepted),
            ["    1.23s  accepted   in queue root.default"]
        );
        assert!(progress.report(AT, &accepted).is_empty());
        let running = report(
            r#""state":"RUNNING","trackingUrl":"http://rm/proxy/a/","amContainerLogs":"http://n/logs""#,
        );
        assert_eq!(
            progress.report(AT, &running),
            [
                "    1.23s  AM up      http://rm/proxy/a/",
                "    1.23s  AM logs    http://n/logs"
            ]
        );
        assert!(progress.report(AT, &accepted).is_empty(), "phases do not go back");
    }

    #[test]
    fn numbers_are_said_when_they_have_moved_enough() {
        let mut progress = Progress::default();
        assert_eq!(progress.summary(AT, &summary(1, 0, 0)).len(), 2);
        assert!(progress.summary(AT, &summary(1, 4, 0)).is_empty());
        assert_eq!(
            progress.summary(AT, &summary(1, 5, 0)),
            ["    1.23s  tasks      5/100"]
        );
        assert_eq!(
            progress.summary(AT, &summary(3, 5, 0)),
            ["    1.23s  executors  3/3"]
        );
        assert_eq!(
            progress.summary(AT, &summary(3, 100, 0)),
            ["    1.23s  tasks      100/100"]
        );
    }

    #[test]
    fn a_failure_is_said_when_it_is_new() {
        let mut progress = Progress::default();
        progress.summary(AT, &summary(3, 0, 1));
        let lines = progress.summary(AT, &summary(3, 0, 2));
        assert_eq!(
            lines,
            ["    1.23s  failure    stage count, task 1, attempt 0 on n1: exit code 3"]
        );
    }
}
