//! `drawloom explain`: why an application waits or why it failed.

use std::path::Path;

use serde::Serialize;

use super::{application_id, print};
use crate::cli::{Explain, Format};
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::explain::{self, Facts, Reason};
use crate::submit::preflight::rest_failed;
use crate::submit::watch::verdict;
use crate::terminal::Terminal;

/// What `-o json` prints. Additive only.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExplainJson<'a> {
    id: String,
    state: String,
    verdict: &'static str,
    reasons: &'a [Reason],
}

/// Prints the reasons, the most telling first.
///
/// # Errors
/// The application is unknown or the ResourceManager cannot be asked.
pub(crate) async fn run(
    conf_dir: Option<&Path>,
    terminal: Terminal,
    command: &Explain,
) -> Result<(), CommandError> {
    let id = application_id(&command.app)?;
    let cluster = Cluster::find(conf_dir)?;
    let client = cluster.rest()?;
    let facts = Box::pin(explain::collect(&client, &cluster.user, id))
        .await
        .map_err(rest_failed)?;
    let reasons = explain::reasons(&facts);
    match command.output {
        Format::Json => {
            let json = ExplainJson {
                id: id.to_string(),
                state: facts.report.state.to_string(),
                verdict: verdict(&facts.report).1,
                reasons: &reasons,
            };
            print(&format!("{}\n", serde_json::json!(json)))
        }
        Format::Text => print(&terminal.out.labels(&text(&facts, &reasons))),
    }
}

fn text(facts: &Facts, reasons: &[Reason]) -> String {
    let report = &facts.report;
    let state = match report.is_final() {
        true => verdict(report).1.to_owned(),
        false => report.state.to_string().to_lowercase(),
    };
    let mut text = format!("{} ({}): {state}\n", report.id, report.name);
    if reasons.is_empty() {
        let nothing = match report.is_final() {
            true => "there is nothing to explain",
            false => "nothing is missing: it has what it asked for and is at work",
        };
        text.push_str(&format!("{nothing}\n"));
    }
    for (number, reason) in (1..).zip(reasons) {
        let why = reason.why.trim_end().replace('\n', "\n   ");
        text.push_str(&format!("{number}. {why}\n"));
        if !reason.help.is_empty() {
            text.push_str(&format!("   help: {}\n", reason.help));
        }
    }
    text
}

#[cfg(test)]
pub(crate) fn shown(facts: &Facts) -> String {
    text(facts, &explain::reasons(facts))
}
