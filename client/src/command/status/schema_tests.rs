//! `status -o json` only grows: what an earlier version printed is still printed, with the same types, and all of it is
//! documented.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

/// An answer with something in every field.
fn full() -> Value {
    let report = json!({
        "id": "application_1700000000000_0001", "name": "wc", "user": "ada", "queue": "root.default",
        "state": "RUNNING", "finalStatus": "UNDEFINED", "progress": 41.5, "startedTime": 1, "finishedTime": 0,
        "elapsedTime": 2, "trackingUrl": "http://rm/proxy/application_1700000000000_0001/", "diagnostics": "",
    });
    let report: AppReport = serde_json::from_value(report).unwrap();
    let summary = json!({
        "jobs": [{ "counters": [{}] }], "stages": [{ "counters": [{}] }], "failures": [{}],
    });
    let dossier = json!({
        "tasks": ["stage count, task 0, attempt 0"], "exitStatus": 137,
        "phases": { "startedMs": 1, "processMs": 1, "registeredMs": 1, "firstTaskMs": 1, "endedMs": 1 },
        "nodeHistory": { "avoidedForMs": 1 },
    });
    let summary = serde_json::from_value(summary).unwrap();
    let dossiers = vec![serde_json::from_value(dossier).unwrap()];
    json!(status_json(&report, Some(summary), Some(dossiers)))
}

/// The type of each field, by its path; `[]` stands for an element of a list.
fn schema(value: &Value) -> BTreeMap<String, &'static str> {
    let mut found = BTreeMap::new();
    collect(value, "", &mut found);
    found
}

fn collect(value: &Value, path: &str, found: &mut BTreeMap<String, &'static str>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(elements) => {
            elements
                .iter()
                .for_each(|element| collect(element, &format!("{path}[]"), found));
            "list"
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                collect(field, &format!("{path}{dot}{name}"), found);
            }
            "object"
        }
    };
    if !path.is_empty() {
        found.insert(path.to_owned(), kind);
    }
}

/// Samples are of versions that are out there: add one, change none.
#[test]
fn what_earlier_versions_printed_is_still_printed() {
    let now = schema(&full());
    let samples = [include_str!("samples/status-1.json")];
    for sample in samples {
        let sample: Value = serde_json::from_str(sample).unwrap();
        for (path, kind) in schema(&sample) {
            assert_eq!(now.get(&path), Some(&kind), "{path} was printed as {kind}");
        }
    }
}

#[test]
fn every_field_is_documented_with_its_type() {
    let text = include_str!("../../../../docs/status-json.md");
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let path = cells.next()?.strip_suffix('`')?;
        Some((path.to_owned(), cells.next()?.trim().to_owned()))
    });
    let documented: BTreeMap<String, String> = rows.collect();
    let printed: BTreeMap<String, String> = schema(&full())
        .into_iter()
        .map(|(path, kind)| (path, kind.to_owned()))
        .collect();
    let lines = |fields: &BTreeMap<String, String>| {
        let lines = fields
            .iter()
            .map(|(path, kind)| format!("\n| `{path}` | {kind} |"));
        lines.collect::<String>()
    };
    assert_eq!(lines(&documented), lines(&printed));
}
