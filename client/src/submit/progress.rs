//! What a waiting person is told: a line for each phase, and for each change after that.
//!
//! Pure: reports go in, lines come out. Nothing is said twice, and numbers are said again only when they have moved
//! by a step that a person would care for.

use std::time::Duration;

use am::summary::{FailureNote, Summary};
use yarn_rest::{AppReport, Phase};

use crate::terminal::Paint;

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    phase: Option<Phase>,
    registered: Option<(u32, u32)>,
    finished: Option<(u32, u32)>,
    /// Moment and subject of the latest failure that was said.
    failure: Option<(u64, String)>,
    url_said: bool,
    silent: bool,
    unlinked: bool,
    /// Numbers are in a bar, so there are no lines for them.
    bar: bool,
}

/// The number of lines between no task and all tasks, at most.
const STEPS: u32 = 20;
/// The most failures that are said at once.
const MOST: usize = 5;

impl Progress {
    /// With a bar that shows numbers, there are no lines for them.
    pub(super) fn new(bar: bool) -> Self {
        Self {
            bar,
            ..Self::default()
        }
    }

    /// Lines for what the ResourceManager reports.
    pub(super) fn report(&mut self, elapsed: Duration, report: &AppReport) -> Vec<String> {
        let phase = report.phase();
        let mut lines = Vec::new();
        if std::mem::take(&mut self.silent) {
            lines.push(line(elapsed, "answered", "the ResourceManager is back"));
        }
        if self.phase.is_some_and(|said| said >= phase) {
            return lines;
        }
        let before = self.phase.replace(phase);
        // Between two reports it can go from one phase over the next; one that is over tells nothing of its phases.
        let came = |to: Phase| before < Some(to) && (to..=Phase::Running).contains(&phase);
        if came(Phase::Accepted) {
            lines.push(line(elapsed, "accepted", &format!("in queue {}", report.queue)));
        }
        if came(Phase::AmStarting) {
            lines.push(line(elapsed, "starting", &starting(report)));
        }
        if let Some(url) = &report.am_container_logs
            && !std::mem::replace(&mut self.url_said, true)
        {
            lines.push(line(elapsed, "AM logs", url));
        }
        if came(Phase::Running) {
            let url = report.tracking_url.as_deref().unwrap_or("");
            lines.push(line(elapsed, "AM up", url));
        }
        lines
    }

    /// A line when the ResourceManager stops to answer.
    pub(super) fn silence(&mut self, elapsed: Duration, error: &yarn_rest::Error) -> Option<String> {
        let first = !std::mem::replace(&mut self.silent, true);
        first.then(|| {
            line(
                elapsed,
                "silent",
                &format!("asking the ResourceManager again: {error}"),
            )
        })
    }

    /// A line when the driver in this process loses its connection, and one when it is back.
    pub(super) fn link(&mut self, elapsed: Duration, down: Option<&str>) -> Option<String> {
        match (down, std::mem::replace(&mut self.unlinked, down.is_some())) {
            (Some(why), false) => {
                let text = format!("no connection to the ApplicationMaster, executors go on: {why}");
                Some(line(elapsed, "link lost", &text))
            }
            (None, true) => Some(line(elapsed, "link back", "nothing is run again")),
            _ => None,
        }
    }

    /// Lines for what the ApplicationMaster says.
    pub(super) fn summary(&mut self, elapsed: Duration, summary: &Summary) -> Vec<String> {
        if self.bar {
            return self.failures(elapsed, &summary.failures);
        }
        let mut lines = Vec::new();
        let executors = (summary.executors.registered, summary.executors.wanted);
        if executors.1 > 0 && self.registered.replace(executors) != Some(executors) {
            lines.push(line(
                elapsed,
                "executors",
                &format!("{}/{}", executors.0, executors.1),
            ));
        }
        lines.extend(self.failures(elapsed, &summary.failures));
        let tasks = (summary.tasks.finished, summary.tasks.total);
        if tasks.1 > 0 && self.worth_saying(tasks) {
            self.finished = Some(tasks);
            lines.push(line(elapsed, "tasks", &tasks_text(summary)));
        }
        lines
    }

    /// Lines for the failures after the latest that was said. Only the latest are kept by who tells them, so their
    /// number says nothing.
    fn failures(&mut self, elapsed: Duration, failures: &[FailureNote]) -> Vec<String> {
        let of = |failure: &FailureNote| (failure.unix_ms, failure.subject.clone());
        let said = failures
            .iter()
            .rposition(|failure| self.failure.as_ref() == Some(&of(failure)));
        let fresh = &failures[said.map_or(0, |at| at + 1)..];
        self.failure = fresh.last().map(of).or(self.failure.take());
        let mut lines: Vec<String> = fresh
            .iter()
            .take(MOST)
            .map(|failure| failure_line(elapsed, failure))
            .collect();
        if fresh.len() > MOST {
            let more = format!("and {} more", fresh.len() - MOST);
            lines.push(line(elapsed, "failure", &more));
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

fn failure_line(elapsed: Duration, failure: &FailureNote) -> String {
    let cause = first_line(&failure.cause);
    let text = format!("{} on {}: {cause}", failure.subject, failure.host);
    line(elapsed, "failure", &text)
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

/// Columns of the time in a line, and behind two more those of what it is about.
const TIME: usize = 9;
const WHAT: usize = 10;

/// A line in colours.
pub(super) fn painted(paint: Paint, line: &str) -> String {
    let parts = || {
        let (time, rest) = line.split_at_checked(TIME)?;
        let (what, details) = rest.strip_prefix("  ")?.split_at_checked(WHAT)?;
        Some((time, what, details.strip_prefix(' ')?))
    };
    let Some((time, what, details)) = parts() else {
        return line.to_owned();
    };
    let details = match what.trim_end() {
        "verdict" if details.starts_with("succeeded") => paint.good(details),
        "verdict" => paint.bad(details),
        "failure" | "link lost" | "silent" | "waiting" => paint.warning(details),
        "help" => paint.help(details),
        _ => details.to_owned(),
    };
    format!("{}  {} {details}", paint.faint(time), paint.heading(what))
}

#[cfg(test)]
mod tests {
    use am::summary::{ExecutorCounts, TaskCounts};

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
            r#""state":"RUNNING","amHostHttpAddress":"n1:8042","trackingUrl":"http://rm/proxy/a/","amContainerLogs":"http://n/logs""#,
        );
        assert_eq!(
            progress.report(AT, &running),
            [
                "    1.23s  starting   the ApplicationMaster, on n1:8042",
                "    1.23s  AM logs    http://n/logs",
                "    1.23s  AM up      http://rm/proxy/a/"
            ]
        );
        assert!(progress.report(AT, &accepted).is_empty(), "phases do not go back");
    }

    #[test]
    fn a_phase_that_no_report_showed_is_said_too() {
        let starting =
            report(r#""state":"ACCEPTED","amHostHttpAddress":"n1:8042","amContainerLogs":"http://n/logs""#);
        let lines = Progress::default().report(AT, &starting);
        assert_eq!(lines[0], "    1.23s  accepted   in queue root.default");
        assert_eq!(
            lines[1],
            "    1.23s  starting   the ApplicationMaster, on n1:8042"
        );
        let refused = report(r#""state":"FAILED""#);
        assert!(Progress::default().report(AT, &refused).is_empty());
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

    #[test]
    fn a_failure_is_said_when_earlier_ones_are_no_longer_kept() {
        let mut progress = Progress::default();
        progress.summary(AT, &summary(3, 0, 50));
        let mut later = summary(3, 0, 52);
        later.failures.drain(..2);
        let lines = progress.summary(AT, &later);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].contains("task 51"), "{lines:?}");
        assert!(progress.summary(AT, &later).is_empty());
    }

    #[test]
    fn with_a_bar_only_failures_are_lines() {
        let mut progress = Progress::new(true);
        let lines = progress.summary(AT, &summary(1, 50, 1));
        assert!(lines.len() == 1 && lines[0].contains("exit code 3"), "{lines:?}");
    }

    #[test]
    fn a_line_is_coloured_by_what_it_is_about_and_stays_the_same_text() {
        let verdict = line(AT, "verdict", "succeeded: 3 of 3 tasks");
        assert_eq!(painted(Paint::PLAIN, &verdict), verdict);
        assert_eq!(painted(Paint::PLAIN, "short"), "short");
    }

    #[test]
    fn many_failures_at_once_are_counted() {
        let lines = Progress::default().summary(AT, &summary(0, 0, 9));
        assert!(
            lines.iter().any(|line| line.ends_with("failure    and 4 more")),
            "{lines:?}"
        );
    }

    #[test]
    fn a_silent_resource_manager_is_said_once_and_so_is_its_return() {
        let mut progress = Progress::default();
        let running = report(r#""state":"RUNNING""#);
        progress.report(AT, &running);
        let gone = || yarn_rest::Error::Interrupted("reset".to_owned());
        assert!(progress.silence(AT, &gone()).is_some());
        assert_eq!(progress.silence(AT, &gone()), None);
        assert_eq!(progress.report(AT, &running).len(), 1);
        assert!(progress.report(AT, &running).is_empty());
    }
}
