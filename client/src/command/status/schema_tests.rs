//! `status -o json` only grows: what an earlier version printed is still printed, with the same types, and all of it is
//! documented.

use serde_json::{Value, json};

use super::*;
use crate::command::json_schema::{assert_documented, assert_still_printed};

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

/// Samples are of versions that are out there: add one, change none.
#[test]
fn what_earlier_versions_printed_is_still_printed() {
    assert_still_printed(&full(), &[include_str!("samples/status-1.json")]);
}

#[test]
fn every_field_is_documented_with_its_type() {
    assert_documented(include_str!("../../../../docs/status-json.md"), &full());
}
