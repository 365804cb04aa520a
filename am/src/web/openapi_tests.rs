//! docs/openapi.json says what the server answers, no more and no less.

use std::collections::BTreeSet;

use serde_json::Value;

use super::tests::Stand;
use super::{Order, Request, own};

const BASE: &str = "/api/v1/drawloom/";

fn document() -> Value {
    serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap()
}

fn paths(document: &Value, method: &str) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let with = paths.filter_map(|(path, item)| Some((path.clone(), item.get(method)?.clone())));
    with.collect()
}

/// What of `value` is not as `schema` says.
fn faults(document: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return self::faults(
            document,
            &document["components"]["schemas"][name],
            value,
            at,
            faults,
        );
    }
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let fits = match schema["type"].as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        other => panic!("a type {other}"),
    };
    if !fits {
        return faults.push(format!("{at}: {value} is no {}", schema["type"]));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        self::faults(document, &schema["items"], item, &format!("{at}/{index}"), faults);
    }
    for (key, item) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(key) {
            Some(schema) => self::faults(document, schema, item, &format!("{at}/{key}"), faults),
            None if schema["additionalProperties"] == true => {}
            None => faults.push(format!("{at}/{key} is not documented")),
        }
    }
    for key in schema["required"].as_array().into_iter().flatten() {
        if value.is_object() && value.get(key.as_str().unwrap()).is_none() {
            faults.push(format!("{at} lacks {key}"));
        }
    }
}

#[test]
fn every_answer_is_as_documented() {
    let document = document();
    for stand in [Stand::new(), Stand::busy()] {
        for (path, operation) in paths(&document, "get") {
            let answer = stand.get(&path);
            assert_eq!(answer.status, 200, "{path}");
            let value: Value = serde_json::from_str(&answer.body).unwrap();
            let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
            let mut found = Vec::new();
            faults(&document, schema, &value, &path, &mut found);
            assert_eq!(found, [""; 0]);
        }
    }
}

#[test]
fn every_name_is_documented() {
    let documented: BTreeSet<_> = paths(&document(), "get")
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    let served: BTreeSet<_> = own::NAMES.iter().map(|name| format!("{BASE}{name}")).collect();
    assert_eq!(documented, served);
}

#[test]
fn every_order_is_documented_and_taken() {
    let mut taken = BTreeSet::new();
    for (path, operation) in paths(&document(), "put") {
        let states =
            &operation["requestBody"]["content"]["application/json"]["schema"]["properties"]["state"];
        for state in states["enum"].as_array().unwrap() {
            let path = path
                .replace("{job}", "0")
                .replace("{stage}", "0")
                .replace("{task}", "1")
                .replace("{executor}", "container_1717955085543_0001_01_000002");
            let request = Request {
                path,
                order: Some(format!("{{\"state\":{state}}}").into()),
                ..Request::default()
            };
            taken.insert(match Order::read(&request).unwrap() {
                Order::KillJob(_) => "kill job",
                Order::KillTask { .. } => "kill task",
                Order::StopExecutor(_) => "stop executor",
                Order::DrainExecutor(_) => "drain executor",
            });
        }
    }
    assert_eq!(taken.len(), 4);
}
