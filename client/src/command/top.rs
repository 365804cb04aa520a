//! `drawloom top`: executors and stages of a running application, as they work.
//!
//! On a terminal the table is drawn anew until Ctrl-C or the end of the application; elsewhere it is printed once.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use am::summary::{EXECUTORS_PATH, ExecutorLine, Summary, TaskCounts};
use comfy_table::{Table, presets};
use tokio::time::Instant;
use yarn_rest::AppReport;

use super::{application_id, print, print_or_stop, span};
use crate::cli::Top;
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::pages;
use crate::submit::preflight::rest_failed;
use crate::submit::watch::verdict;
use crate::terminal::{Paint, Terminal, fit};

/// Rows of executors at most; the busiest.
const MOST: usize = 40;
/// Never looks more often.
const SHORTEST: Duration = Duration::from_millis(100);
/// Moves to the first place of the screen and clears it.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Shows the application.
///
/// # Errors
/// It is unknown, or the ResourceManager cannot be asked.
pub(crate) async fn run(
    conf_dir: Option<&Path>,
    terminal: Terminal,
    command: &Top,
) -> Result<(), CommandError> {
    let id = application_id(&command.app)?;
    let cluster = Cluster::find(conf_dir)?;
    let client = cluster.rest()?;
    let live = std::io::stdout().is_terminal();
    let mut before = None;
    loop {
        let report = client.application(id).await.map_err(rest_failed)?;
        let seen = Seen::look(report, &cluster.user).await;
        let text = seen.text(before.as_ref());
        if !live {
            return print(&text);
        }
        draw(&text, terminal.out)?;
        if seen.report.is_final() {
            return Ok(());
        }
        before = Some(seen);
        tokio::time::sleep(Duration::from(command.interval).max(SHORTEST)).await;
    }
}

fn draw(text: &str, paint: Paint) -> Result<(), CommandError> {
    let text = headed(&fit(text), paint);
    let mut out = std::io::stdout().lock();
    let drawn = out
        .write_all(CLEAR.as_bytes())
        .and_then(|()| out.write_all(text.as_bytes()));
    print_or_stop(drawn.and_then(|()| out.flush()))
}

/// The lines that begin a part, in colour.
fn headed(text: &str, paint: Paint) -> String {
    let heads = ["application_", "STAGE ", "EXECUTOR "];
    let line = |line: &str| match heads.iter().any(|head| line.trim_start().starts_with(head)) {
        true => paint.heading(line),
        false => line.to_owned(),
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The application at one moment.
struct Seen {
    at: Instant,
    report: AppReport,
    summary: Option<Summary>,
    executors: Vec<ExecutorLine>,
}

impl Seen {
    /// Whoever does not answer is left out.
    async fn look(report: AppReport, user: &str) -> Self {
        let (summary, executors) = tokio::join!(
            pages::summary(&report, user),
            pages::answer::<Vec<ExecutorLine>>(&report, user, EXECUTORS_PATH),
        );
        Self {
            at: Instant::now(),
            summary: summary.ok().flatten().filter(|_| !report.is_final()),
            executors: executors.ok().flatten().unwrap_or_default(),
            report,
        }
    }

    fn text(&self, before: Option<&Self>) -> String {
        let report = &self.report;
        let state = match report.is_final() {
            true => verdict(report).1.to_owned(),
            false => report.state.to_string().to_lowercase(),
        };
        let mut text = format!(
            "{} ({}): {state}, {} in {} as {}\n",
            report.id,
            report.name,
            span(report.elapsed_time),
            report.queue,
            report.user
        );
        let Some(summary) = &self.summary else {
            if !report.is_final() {
                text.push_str(
                    "the ApplicationMaster does not answer (yet): drawloom explain says why it waits\n",
                );
            }
            return text;
        };
        text.push_str(&self.counts(summary, before));
        text.push_str(&format!("\n{}\n", stages(summary)));
        text.push_str(&format!("\n{}\n", executors(&self.executors)));
        text
    }

    fn counts(&self, summary: &Summary, before: Option<&Self>) -> String {
        let (tasks, executors) = (summary.tasks, summary.executors);
        let rate = before.and_then(|before| {
            let earlier = before.summary.as_ref()?.tasks.finished;
            let seconds = self.at.duration_since(before.at).as_secs_f64();
            Some(f64::from(tasks.finished.saturating_sub(earlier)) / seconds)
        });
        let rate = rate.map_or_else(String::new, |rate| format!(", {rate:.1} a second"));
        format!(
            "tasks {}/{}, {} running, {} failed attempts{rate}; executors {}/{}, {} starting, {} lost\n",
            tasks.finished,
            tasks.total,
            tasks.running,
            tasks.failed_attempts,
            executors.registered,
            executors.wanted,
            executors.starting,
            executors.lost
        )
    }
}

fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    table
}

fn stages(summary: &Summary) -> Table {
    let mut table = plain(&["STAGE", "STATE", "DONE", "RUNNING", "FAILED"]);
    for stage in &summary.stages {
        let TaskCounts {
            total,
            finished,
            running,
            failed_attempts,
        } = stage.tasks;
        table.add_row([
            stage.name.clone(),
            stage.state.clone(),
            format!("{finished}/{total}"),
            running.to_string(),
            failed_attempts.to_string(),
        ]);
    }
    table
}

fn executors(lines: &[ExecutorLine]) -> Table {
    let mut table = plain(&[
        "EXECUTOR", "STATE", "SLOTS", "DONE", "FAILED", "MEMORY", "HEARD", "NODE",
    ]);
    let mut lines: Vec<_> = lines.iter().collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.used_slots));
    for line in lines.iter().take(MOST) {
        table.add_row([
            line.id.clone(),
            line.state.clone(),
            format!("{}/{}", line.used_slots, line.slots),
            line.succeeded.to_string(),
            line.failed.to_string(),
            format!("{}/{} MiB", line.memory >> 20, line.memory_limit >> 20),
            format!("{} ago", span(line.silent_ms)),
            line.host.clone(),
        ]);
    }
    if lines.len() > MOST {
        let mut more = vec![String::new(); 8];
        more[0] = format!("and {} more", lines.len() - MOST);
        table.add_row(more);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(finished: u32) -> Seen {
        let report = serde_json::json!({
            "id": "application_1_0001", "name": "wc", "user": "ada", "queue": "root.default", "state": "RUNNING",
            "elapsedTime": 61_000,
        });
        let summary = serde_json::json!({
            "executors": { "wanted": 3, "registered": 2, "starting": 1, "lost": 0 },
            "tasks": { "total": 10, "finished": finished, "running": 2, "failedAttempts": 1 },
            "stages": [{ "name": "count", "state": "running",
                         "tasks": { "total": 10, "finished": finished, "running": 2, "failedAttempts": 1 } }],
        });
        let line = |number: u32| ExecutorLine {
            id: format!("container_1_0001_01_{number:06}"),
            host: format!("n{number}"),
            state: "alive".into(),
            slots: 2,
            used_slots: number - 2,
            succeeded: 3,
            memory: 200 << 20,
            memory_limit: 512 << 20,
            silent_ms: 1200,
            ..ExecutorLine::default()
        };
        Seen {
            at: Instant::now(),
            report: serde_json::from_value(report).unwrap(),
            summary: Some(serde_json::from_value(summary).unwrap()),
            executors: vec![line(2), line(3)],
        }
    }

    #[test]
    fn a_screen_reads_from_top_to_bottom() {
        insta::assert_snapshot!(seen(4).text(None));
    }

    #[test]
    fn the_rate_is_that_since_the_last_look() {
        let (before, mut now) = (seen(4), seen(8));
        now.at = before.at + Duration::from_secs(2);
        assert!(now.text(Some(&before)).contains("2.0 a second"));
    }
}
