//! `drawloom status`: how an application is doing, or how it ended.

use std::path::Path;

use am::dossier::Dossier;
use am::summary::{FailureNote, JobSummary, Summary};
use driver::view::LocalityCounts;
use serde::Serialize;
use yarn_rest::AppReport;

use super::{application_id, losses, moment, print, span};
use crate::cli::{Format, Status};
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::pages::{dossiers, summary};
use crate::submit::preflight::rest_failed;
use crate::submit::watch::{diagnosis, verdict};

/// What `-o json` prints. Additive only.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusJson<'a> {
    id: String,
    name: &'a str,
    user: &'a str,
    queue: &'a str,
    state: String,
    final_status: String,
    verdict: &'static str,
    progress: f64,
    tracking_url: Option<&'a str>,
    diagnostics: &'a str,
    started_ms: u64,
    finished_ms: u64,
    elapsed_ms: u64,
    /// Absent when the ApplicationMaster cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Summary>,
    /// What is known of lost executors, the latest last. Absent when the ApplicationMaster cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    dossiers: Option<Vec<Dossier>>,
}

/// Prints the status.
///
/// # Errors
/// The application is unknown or the ResourceManager cannot be asked.
pub(crate) async fn run(conf_dir: Option<&Path>, command: &Status) -> Result<(), CommandError> {
    let id = application_id(&command.app)?;
    let cluster = Cluster::find(conf_dir)?;
    let report = cluster.rest()?.application(id).await.map_err(rest_failed)?;
    let summary = if report.is_final() {
        None
    } else {
        summary(&report, &cluster.user).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "the ApplicationMaster's summary cannot be had");
            None
        })
    };
    let dossiers = lost_executors(&report, summary.as_ref(), &cluster.user).await;
    match command.output {
        Format::Json => {
            let status = status_json(&report, summary, dossiers);
            print(&format!("{}\n", serde_json::json!(status)))
        }
        Format::Text => print(&text(&report, summary.as_ref(), &dossiers.unwrap_or_default())),
    }
}

/// Asked for only where some were lost.
async fn lost_executors(report: &AppReport, summary: Option<&Summary>, user: &str) -> Option<Vec<Dossier>> {
    if summary?.executors.lost == 0 {
        return Some(Vec::new());
    }
    dossiers(report, user).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "the ApplicationMaster's dossiers cannot be had");
        None
    })
}

fn status_json(
    report: &AppReport,
    summary: Option<Summary>,
    dossiers: Option<Vec<Dossier>>,
) -> StatusJson<'_> {
    StatusJson {
        id: report.id.to_string(),
        name: &report.name,
        user: &report.user,
        queue: &report.queue,
        state: report.state.to_string(),
        final_status: report.final_status.to_string(),
        verdict: verdict(report).1,
        progress: report.progress,
        tracking_url: report.tracking_url.as_deref(),
        diagnostics: &report.diagnostics,
        started_ms: report.started_time,
        finished_ms: report.finished_time,
        elapsed_ms: report.elapsed_time,
        summary,
        dossiers,
    }
}

fn text(report: &AppReport, summary: Option<&Summary>, dossiers: &[Dossier]) -> String {
    let mut text = String::new();
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!(
                "{name:<12} {}\n",
                value.trim_end().replace('\n', "\n             ")
            ));
        }
    };
    field("application", &format!("{} ({})", report.id, report.name));
    field("state", &state(report));
    field("queue", &format!("{} as {}", report.queue, report.user));
    field(
        "started",
        &format!(
            "{}, {} long",
            moment(report.started_time),
            span(report.elapsed_time)
        ),
    );
    field("pages", report.tracking_url.as_deref().unwrap_or_default());
    field("AM logs", report.am_container_logs.as_deref().unwrap_or_default());
    if let Some(summary) = summary {
        let executors = summary.executors;
        let counts = format!(
            "{} of {} registered, {} starting, {} lost so far",
            executors.registered, executors.wanted, executors.starting, executors.lost
        );
        field("executors", &counts);
        for job in summary.jobs.iter().filter(|_| summary.jobs.len() > 1) {
            let cause = job.cause.lines().next().unwrap_or_default();
            let line = format!("{:<16} {:<10} {cause}", job.name, job.state);
            field("job", &line);
        }
        for stage in &summary.stages {
            let tasks = stage.tasks;
            let counts = format!(
                "{:<16} {:<10} {}/{} tasks, {} running, {} failed attempts",
                stage.name, stage.state, tasks.finished, tasks.total, tasks.running, tasks.failed_attempts
            );
            field("stage", &(counts + &near_input(stage.placed)));
            for counter in &stage.counters {
                let text = format!("{}.{} = {}", counter.group, counter.name, counter.value);
                field("counter", &text);
            }
        }
        for job in summary.jobs.iter().filter(|job| adds_up(summary, job)) {
            for counter in &job.counters {
                let text = format!(
                    "{}.{} = {} in all of {}",
                    counter.group, counter.name, counter.value, job.name
                );
                field("counter", &text);
            }
        }
        for failure in &summary.failures {
            field("failure", &failure_line(failure));
        }
        for loss in losses::paragraphs(dossiers) {
            field("lost", &loss);
        }
    }
    let reason = if report.is_final() || !report.diagnostics.trim().is_empty() {
        diagnosis(report)
    } else {
        String::new()
    };
    if verdict(report).1 != "succeeded" || !report.diagnostics.trim().is_empty() {
        field("diagnostics", &reason);
    }
    text
}

/// Whether the counters of a job say more than those of its stages.
fn adds_up(summary: &Summary, job: &JobSummary) -> bool {
    let own = summary.stages.iter().filter(|stage| stage.job == job.job);
    own.filter(|stage| !stage.counters.is_empty()).count() > 1
}

fn near_input(placed: LocalityCounts) -> String {
    match placed.particular() {
        0 => String::new(),
        all => format!(", {} of {all} attempts near their input", placed.near()),
    }
}

fn state(report: &AppReport) -> String {
    match report.is_final() {
        true => format!("{} ({})", verdict(report).1, report.state),
        false => format!("{}, {:.0}% done", report.state, report.progress),
    }
}

fn failure_line(failure: &FailureNote) -> String {
    format!(
        "{} {} on {}: {}",
        moment(failure.unix_ms),
        failure.subject,
        failure.host,
        failure.cause
    )
}

#[cfg(test)]
#[path = "status/schema_tests.rs"]
mod schema_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_from_top_to_bottom() {
        let report: AppReport = serde_json::from_str(
            r#"{"id":"application_1_0001","name":"wc","user":"ada","queue":"root.default","state":"RUNNING",
                "progress":41.5,"trackingUrl":"http://rm/proxy/application_1_0001/","startedTime":1795218448194,
                "elapsedTime":61000}"#,
        )
        .unwrap();
        let summary: Summary = serde_json::from_str(
            r#"{"executors":{"wanted":3,"registered":2,"starting":1,"lost":1},
                "stages":[{"name":"count","state":"running","tasks":{"total":10,"finished":4,"running":2,"failedAttempts":1},
                    "counters":[{"group":"words","name":"seen","value":5}],"placed":{"node":5,"rack":1,"any":1}},
                    {"name":"total","state":"running","tasks":{"total":1},"counters":[{"group":"words","name":"seen","value":2}]}],
                "jobs":[{"name":"wc","state":"running","counters":[{"group":"words","name":"seen","value":7}]}],
                "failures":[{"unixMs":1795218448194,"subject":"container_1_0001_01_000002","host":"n1","cause":"ended by SIGKILL"}]}"#,
        )
        .unwrap();
        insta::assert_snapshot!(text(&report, Some(&summary), &[]));
    }
}
