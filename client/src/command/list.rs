//! `drawloom list`: applications that the ResourceManager knows.

use std::path::Path;

use comfy_table::{Table, presets};
use serde::Serialize;
use yarn_rest::request::AppFilter;
use yarn_rest::{AppReport, AppState};

use super::{moment, print, span};
use crate::cli::{Format, List};
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::submit::preflight::rest_failed;
use crate::terminal::tell;

/// One application, as `-o json` prints it. Additive only.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    name: String,
    user: String,
    queue: String,
    application_type: String,
    state: String,
    final_status: String,
    progress: f64,
    started_ms: u64,
    elapsed_ms: u64,
}

/// Prints the list.
///
/// # Errors
/// The ResourceManager cannot be asked.
pub(crate) async fn run(conf_dir: Option<&Path>, command: &List) -> Result<(), CommandError> {
    let cluster = Cluster::find(conf_dir)?;
    let mut filter = AppFilter::default();
    if !command.all {
        filter.states = AppState::ALIVE.to_vec();
    }
    if !command.all_types {
        filter.application_types = vec!["DRAWLOOM".to_owned()];
    }
    let mut apps = cluster.rest()?.applications(&filter).await.map_err(rest_failed)?;
    apps.sort_by_key(|app| app.id);
    let rows: Vec<Row> = apps.iter().map(row).collect();
    match command.output {
        Format::Json => print(&format!("{}\n", serde_json::json!(rows))),
        Format::Text if rows.is_empty() => {
            tell(nothing(command));
            Ok(())
        }
        Format::Text => print(&format!("{}\n", table(&rows))),
    }
}

/// What to say where there is nothing to list.
fn nothing(command: &List) -> &'static str {
    match (command.all, command.all_types) {
        (false, _) => "no applications run or wait; --all shows those that have ended",
        (true, false) => "no applications of type DRAWLOOM; --all-types shows others",
        (true, true) => "the ResourceManager knows no applications",
    }
}

fn row(app: &AppReport) -> Row {
    Row {
        id: app.id.to_string(),
        name: app.name.clone(),
        user: app.user.clone(),
        queue: app.queue.clone(),
        application_type: app.application_type.clone(),
        state: app.state.to_string(),
        final_status: app.final_status.to_string(),
        progress: app.progress,
        started_ms: app.started_time,
        elapsed_ms: app.elapsed_time,
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "APPLICATION",
        "NAME",
        "USER",
        "QUEUE",
        "STATE",
        "PROGRESS",
        "STARTED",
        "ELAPSED",
    ]);
    for row in rows {
        let state = if row.final_status == "UNDEFINED" {
            row.state.clone()
        } else {
            format!("{}/{}", row.state, row.final_status)
        };
        table.add_row([
            row.id.clone(),
            row.name.clone(),
            row.user.clone(),
            row.queue.clone(),
            state,
            format!("{:.0}%", row.progress),
            moment(row.started_ms),
            span(row.elapsed_ms),
        ]);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::command::json_schema::{assert_documented, assert_still_printed, section};

    #[test]
    fn the_json_only_grows_and_is_documented() {
        let report = json!({ "id": "application_1_0001", "state": "RUNNING", "progress": 1.5 });
        let report: AppReport = serde_json::from_value(report).unwrap();
        let printed = json!([row(&report)]);
        let document = include_str!("../../../docs/command-json.md");
        assert_documented(section(document, "`drawloom list -o json`"), &printed);
        assert_still_printed(&printed, &[include_str!("samples/list-1.json")]);
    }
}
