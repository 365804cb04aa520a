//! `drawloom explain`: why an application waits or why it failed.

use std::path::Path;

use serde::Serialize;
use serde_json::json;
use yarn_rest::AppReport;

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
        Format::Json => print(&format!("{}\n", json!(explain_json(&facts.report, &reasons)))),
        Format::Text => print(&terminal.out.labels(&text(&facts, &reasons))),
    }
}

fn explain_json<'a>(report: &AppReport, reasons: &'a [Reason]) -> ExplainJson<'a> {
    ExplainJson {
        id: report.id.to_string(),
        state: report.state.to_string(),
        verdict: verdict(report).1,
        reasons,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::command::json_schema::{assert_documented, assert_still_printed, section};

    const DOCUMENT: &str = include_str!("../../../docs/command-json.md");

    #[test]
    fn the_json_only_grows_and_is_documented() {
        let report = json!({ "id": "application_1_0001", "state": "ACCEPTED" });
        let report: AppReport = serde_json::from_value(report).unwrap();
        let reasons = [Reason {
            code: "queue-full",
            why: "it is full".to_owned(),
            help: "wait".to_owned(),
        }];
        let printed = json!(explain_json(&report, &reasons));
        assert_documented(section(DOCUMENT, "`drawloom explain APP -o json`"), &printed);
        assert_still_printed(&printed, &[include_str!("samples/explain-1.json")]);
    }

    /// Words in quotes that stand where a code does, in the modules that make reasons.
    fn codes() -> BTreeSet<String> {
        let sources = [
            include_str!("../explain/waiting.rs"),
            include_str!("../explain/failed.rs"),
        ];
        let is_code = |word: &&str| {
            let of_words = |c: char| c.is_ascii_lowercase() || c == '-';
            word.len() > 3 && word.contains(|c: char| c.is_ascii_lowercase()) && word.chars().all(of_words)
        };
        let plain = ["memory", "killed", "preempted", "refused", "lost", "scheduler"];
        let words = sources
            .iter()
            .flat_map(|source| source.split('"').skip(1).step_by(2));
        let codes = words
            .filter(is_code)
            .filter(|word| word.contains('-') || plain.contains(word));
        codes.map(str::to_owned).collect()
    }

    #[test]
    fn every_code_of_a_reason_is_documented() {
        let rows = section(DOCUMENT, "Codes of reasons").lines().filter_map(|line| {
            let (codes, _) = line.strip_prefix("| `")?.split_once("` |")?;
            Some(codes.to_owned())
        });
        let documented: BTreeSet<String> = rows.collect();
        let made: BTreeSet<String> = codes()
            .into_iter()
            .filter(|code| !NO_CODES.contains(&code.as_str()))
            .collect();
        assert_eq!(documented, made);
    }

    /// Words of YARN that the modules have in quotes.
    const NO_CODES: [&str; 1] = ["max-capacity"];
}
