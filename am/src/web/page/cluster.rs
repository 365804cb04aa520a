//! What was asked of YARN and what came of it, and how the application is configured.

use super::super::html::{Cell, Escaped, table};
use super::super::{Request, Scene};
use super::page;
use crate::configuration::Entry;
use crate::history::Status;

/// The latest containers that are shown.
const CONTAINERS: usize = 100;

/// Asks, grants, containers in launch, nodes that are avoided.
pub(in super::super) fn allocation(scene: &Scene<'_>, request: &Request) -> String {
    let counts = scene.launcher.counts();
    let why = scene.launcher.why_pending(scene.now);
    let why = why.map_or_else(
        || "No executor is missing.".to_owned(),
        |why| format!("Waiting: {why}."),
    );
    let numbers = [
        ("Wanted", counts.target),
        ("Asked for and not granted", counts.asked),
        ("Starting", counts.starting + counts.started),
        ("Registered", counts.registered),
        ("Stopping", counts.stopping),
    ];
    let numbers = numbers.map(|(name, count)| vec![Cell::Text(name.to_owned()), Cell::Number(count.into())]);
    let asks = scene
        .launcher
        .asks()
        .map(|(place, count)| vec![Cell::Text(place.to_owned()), Cell::Number(count.into())]);
    let excluded = scene.launcher.avoided().map(|(node, until)| {
        let left = until.map(|until| Cell::Number(until.saturating_sub(scene.now).as_secs()));
        let left = left.unwrap_or_else(|| Cell::Text("as long as tasks avoid it".to_owned()));
        vec![Cell::Text(node.to_string()), left]
    });
    let body = [
        "<h1>Allocation</h1>\n".to_owned(),
        format!("<p>{}</p>\n", Escaped(why)),
        table("Containers for executors", &["", "Now"], &numbers, ""),
        table(
            "Asks",
            &["Where", "Containers"],
            &asks.collect::<Vec<_>>(),
            "Nothing is asked for.",
        ),
        table(
            "Nodes avoided after failures",
            &["Node", "For, s"],
            &excluded.collect::<Vec<_>>(),
            "None.",
        ),
        containers(scene),
    ];
    page(scene, "Allocation", request, &body.concat())
}

fn containers(scene: &Scene<'_>) -> String {
    let all: Vec<_> = scene.launcher.history().chain(scene.launcher.records()).collect();
    let seconds = |at: std::time::Duration| Cell::Text(format!("{:.1}", at.as_secs_f64()));
    let maybe = |at: Option<std::time::Duration>| at.map_or_else(|| Cell::Text(String::new()), seconds);
    let rows = all.iter().rev().take(CONTAINERS).map(|record| {
        let times = &record.times;
        let why = record
            .phase
            .loss()
            .map(|loss| loss.to_string())
            .unwrap_or_default();
        vec![
            Cell::Text(record.executor.to_string()),
            Cell::Text(record.node.to_string()),
            Cell::Text(record.phase.word().to_owned()),
            seconds(times.asked),
            seconds(times.granted),
            maybe(times.started),
            maybe(times.registered),
            maybe(times.ended),
            Cell::Text(why),
        ]
    });
    let heads = [
        "Container",
        "Node",
        "Phase",
        "Asked, s",
        "Granted",
        "Started",
        "Registered",
        "Ended",
        "Why",
    ];
    table(
        "Latest containers",
        &heads,
        &rows.collect::<Vec<_>>(),
        "None was granted yet.",
    )
}

/// Every setting with its origin, and where the event log is.
pub(in super::super) fn configuration(scene: &Scene<'_>, request: &Request) -> String {
    let rows = scene.configuration.iter().map(Entry::shown).map(|entry| {
        [entry.key, entry.value, entry.origin]
            .map(Cell::Text)
            .into_iter()
            .collect()
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    let log = match &scene.history {
        None => "No event log is written: history.dir is not set.".to_owned(),
        Some(Status::Open(bytes)) => format!("The event log is written: {bytes} bytes so far."),
        Some(Status::Elsewhere) => {
            "The event log is written by the client, in which the driver is.".to_owned()
        }
        Some(Status::Complete) => "The event log is complete.".to_owned(),
        Some(Status::GivenUp(why)) => format!("The event log was given up: {why}"),
    };
    let body = [
        "<h1>Configuration</h1>\n".to_owned(),
        format!("<p>{}</p>\n", Escaped(log)),
        table(
            "Settings",
            &["Key", "Value", "Origin"],
            &rows,
            "The client that submitted did not say.",
        ),
    ];
    page(scene, "Configuration", request, &body.concat())
}
