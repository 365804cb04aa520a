//! For tests: what `-o json` prints only grows, and all of it is documented.

use std::collections::BTreeMap;

use serde_json::Value;

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

/// Requires that what earlier versions printed is still printed, with the same types.
pub(super) fn assert_still_printed(now: &Value, samples: &[&str]) {
    let now = schema(now);
    for sample in samples {
        let sample: Value = serde_json::from_str(sample).unwrap();
        for (path, kind) in schema(&sample) {
            assert_eq!(now.get(&path), Some(&kind), "{path} was printed as {kind}");
        }
    }
}

/// Requires that a text has a row for each field, with its type, and for no other.
pub(super) fn assert_documented(text: &str, printed: &Value) {
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let path = cells.next()?.strip_suffix('`')?;
        Some((path.to_owned(), cells.next()?.trim().to_owned()))
    });
    let documented: BTreeMap<String, String> = rows.collect();
    let printed = schema(printed).into_iter();
    let printed: BTreeMap<String, String> = printed.map(|(path, kind)| (path, kind.to_owned())).collect();
    let lines = |fields: &BTreeMap<String, String>| {
        let lines = fields
            .iter()
            .map(|(path, kind)| format!("\n| `{path}` | {kind} |"));
        lines.collect::<String>()
    };
    assert_eq!(lines(&documented), lines(&printed));
}

/// The part of a text below a heading.
pub(super) fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, below) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    below.split("\n## ").next().unwrap_or(below)
}
