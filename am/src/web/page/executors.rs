//! The executors that are there and the latest that went, with what is known of why.

use std::time::Duration;

use driver::view::{ExecutorStatus, ExecutorView};
use launcher::record::Record;

use super::super::html::{Cell, Escaped, table};
use super::super::{Request, Scene};
use super::{ROWS, executor_words, page, turning};
use crate::dossier::Dossier;

/// All executors, a page at a time, and the dossiers of lost ones.
pub(in super::super) fn executors(scene: &Scene<'_>, request: &Request) -> String {
    let snapshot = scene.driver.snapshot();
    let from = request.number("offset").unwrap_or(0);
    let shown = snapshot
        .executors
        .iter()
        .rev()
        .skip(from as usize)
        .take(ROWS as usize);
    let shown: Vec<_> = shown.collect();
    let total = snapshot.executors.len();
    let body = [
        "<h1>Executors</h1>\n".to_owned(),
        executor_table(
            &format!("{total} executors, the latest first, from {from}"),
            scene,
            &shown,
        ),
        turning("executors?", from, total),
        dossiers(scene),
    ];
    page(scene, "Executors", request, &body.concat())
}

pub(super) fn executor_table(caption: &str, scene: &Scene<'_>, executors: &[&ExecutorView]) -> String {
    let rows: Vec<_> = executors.iter().map(|executor| row(scene, executor)).collect();
    let heads = [
        "Executor",
        "Node",
        "State",
        "Logs",
        "",
        "Slots in use",
        "Done",
        "Failed",
        "Memory, MiB of",
        "Heard, s ago",
        "Granted, started, registered after s",
    ];
    table(caption, &heads, &rows, "No executor is registered.")
}

fn row(scene: &Scene<'_>, executor: &ExecutorView) -> Vec<Cell> {
    let vital = scene.vitals.of(&executor.id).cloned().unwrap_or_default();
    let used = (vital.resident + vital.tasks_resident) >> 20;
    // Nothing is known of one that is gone, or has not been heard of since it registered.
    let memory = (vital.memory > 0).then(|| format!("{used} of {}", vital.memory >> 20));
    let record = scene.launcher.remembered(&executor.id);
    let silent = scene.now.saturating_sub(executor.last_heard).as_secs_f64();
    let heard = executor.gone.is_none().then(|| format!("{silent:.1}"));
    vec![
        Cell::Text(executor.id.to_string()),
        Cell::Text(executor.host.clone()),
        Cell::Text(executor_words(executor.status)),
        logs(scene, record),
        orders(executor, record),
        Cell::Text(format!("{} of {}", executor.used_slots, executor.slots)),
        Cell::Number(executor.succeeded.into()),
        Cell::Number(executor.failed.into()),
        Cell::Text(memory.unwrap_or_default()),
        Cell::Text(heard.unwrap_or_default()),
        Cell::Text(record.map(launch).unwrap_or_default()),
    ]
}

/// How long each phase of the launch took.
fn launch(record: &Record) -> String {
    let times = &record.times;
    let span = |from: Duration, to: Option<Duration>| to.map(|to| to.saturating_sub(from).as_secs_f64());
    let phases = [
        span(times.asked, Some(times.granted)),
        span(times.granted, times.started),
        span(times.started.unwrap_or(times.granted), times.registered),
    ];
    let known = phases
        .into_iter()
        .map_while(|seconds| Some(format!("{:.1}", seconds?)));
    known.collect::<Vec<_>>().join(", ")
}

fn logs(scene: &Scene<'_>, record: Option<&Record>) -> Cell {
    let link = |file: &'static str| Some((scene.log_url(record?, file)?, file));
    Cell::Links(["stderr", "stdout"].into_iter().filter_map(link).collect())
}

/// What may be done to an executor; nothing to one in the ApplicationMaster's own container, of which the launcher
/// knows nothing.
fn orders(executor: &ExecutorView, record: Option<&Record>) -> Cell {
    if executor.gone.is_some() || record.is_none() {
        return Cell::Text(String::new());
    }
    let to = format!("api/v1/drawloom/executors/{}/state", executor.id);
    let drain = (to.clone(), "DRAINING", format!("Drain {}", executor.id));
    let stop = (to, "STOPPED", format!("Stop {}", executor.id));
    let draining = executor.status == ExecutorStatus::Draining;
    Cell::Orders(if draining { vec![stop] } else { vec![drain, stop] })
}

fn dossiers(scene: &Scene<'_>) -> String {
    let all: Vec<_> = scene.shelf.iter().collect();
    if all.is_empty() {
        return String::new();
    }
    let entries: String = all.iter().rev().map(|dossier| entry(dossier)).collect();
    format!("<h2>Lost executors, the latest first</h2>\n{entries}")
}

fn entry(dossier: &Dossier) -> String {
    let (id, node, cause) = (
        Escaped(&dossier.executor),
        Escaped(&dossier.node),
        Escaped(&dossier.cause),
    );
    let mut text = format!("<details><summary>{id} on {node}: {cause}</summary><dl>");
    let exit = dossier
        .exit_status
        .map(|status| format!("{status} {}", dossier.exit_meaning));
    let tasks = format!("{} ({})", dossier.tasks_total, dossier.tasks.join("; "));
    let rows = [
        ("Whose doing", dossier.verdict.word().to_owned()),
        ("What would help", dossier.advice.clone()),
        ("Exit status", exit.unwrap_or_default()),
        ("YARN says", dossier.diagnostics.clone()),
        ("Tasks there", tasks),
        ("Standard error", dossier.stderr_tail.clone()),
    ];
    for (name, value) in rows.iter().filter(|(_, value)| !value.trim().is_empty()) {
        text.push_str(&format!(
            "<dt>{name}</dt><dd><pre>{}</pre></dd>",
            Escaped(value.trim_end())
        ));
    }
    text + "</dl></details>\n"
}
