//! `drawloom top`: executors and stages of a running application, as they work.
//!
//! On a terminal the table is drawn anew until Ctrl-C or the end of the application; elsewhere it is printed once.

use std::io::Write;
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
use crate::submit::watch::{may_pass, verdict};
use crate::terminal::{Paint, Terminal, columns, fit};

/// Rows of executors at most; the busiest.
const MOST: usize = 40;
/// From so many columns on there is room for whole ids.
const WIDE: usize = 110;
/// Never looks more often.
const SHORTEST: Duration = Duration::from_millis(100);
/// To the first place of the screen, to the end of the line, and to that of the screen (ECMA-48 8.3.21, 8.3.41, 8.3.39).
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";

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
    let mut before: Option<Seen> = None;
    loop {
        match (client.application(id).await, &before) {
            (Ok(report), _) => {
                let seen = Seen::look(report, &cluster.user).await;
                if !terminal.live_out {
                    return print(&seen.text(before.as_ref(), usize::MAX));
                }
                draw(&seen.text(before.as_ref(), columns()), terminal.out)?;
                if seen.report.is_final() {
                    return Ok(());
                }
                before = Some(seen);
            }
            // What was there stays, with a word about it.
            (Err(error), Some(seen)) if may_pass(&error, seen.at.elapsed()) => {
                let text = seen.text(None, columns());
                draw(
                    &format!("asking the ResourceManager again: {error}\n{text}"),
                    terminal.out,
                )?;
            }
            (Err(error), _) => return Err(rest_failed(error)),
        }
        tokio::time::sleep(Duration::from(command.interval).max(SHORTEST)).await;
    }
}

/// Draws over what is there, so that nothing flickers.
fn draw(text: &str, paint: Paint) -> Result<(), CommandError> {
    let picture = picture(&headed(&fit(text), paint));
    let mut out = std::io::stdout().lock();
    print_or_stop(out.write_all(picture.as_bytes()).and_then(|()| out.flush()))
}

fn picture(text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("{line}{CLEAR_LINE}\n")).collect();
    format!("{HOME}{lines}{CLEAR_REST}")
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

    /// As it stands on a terminal of so many columns.
    fn text(&self, before: Option<&Self>, columns: usize) -> String {
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
        let table = executors(&self.executors, columns < WIDE);
        text.push_str(&format!("\n{table}\n"));
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

/// Where there is no room for whole ids, what tells executors of one application apart: attempt and number.
fn short_id(id: &str) -> String {
    let mut parts = id.rsplitn(3, '_');
    match (parts.next(), parts.next()) {
        (Some(number), Some(attempt)) => format!("…{attempt}_{number}"),
        _ => id.to_owned(),
    }
}

fn executors(lines: &[ExecutorLine], short: bool) -> Table {
    let mut table = plain(&[
        "EXECUTOR", "STATE", "SLOTS", "DONE", "FAILED", "MEMORY", "HEARD", "NODE",
    ]);
    let mut lines: Vec<_> = lines.iter().collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.used_slots));
    for line in lines.iter().take(MOST) {
        table.add_row([
            if short {
                short_id(&line.id)
            } else {
                line.id.clone()
            },
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
        insta::assert_snapshot!(seen(4).text(None, usize::MAX));
        let narrow = seen(4).text(None, 60);
        let row = narrow.lines().find(|line| line.contains("…01_000002")).unwrap();
        assert!(row.contains("alive"), "{narrow}");
    }

    #[test]
    fn the_rate_is_that_since_the_last_look() {
        let (before, mut now) = (seen(4), seen(8));
        now.at = before.at + Duration::from_secs(2);
        assert!(now.text(Some(&before), 80).contains("2.0 a second"));
    }
}
