use std::collections::BTreeMap;

use proptest::prelude::{any, prop_assert_eq, proptest};
use serde::Deserialize;

use super::{
    amounts, body_list, body_object, flag, float, names, number, some_number, some_signed, some_text, texts,
};

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Shapes {
    #[serde(deserialize_with = "number")]
    count: u64,
    #[serde(deserialize_with = "some_number")]
    held: Option<u32>,
    #[serde(deserialize_with = "some_signed")]
    exit: Option<i32>,
    #[serde(deserialize_with = "float")]
    share: f64,
    #[serde(deserialize_with = "some_text")]
    url: Option<String>,
    #[serde(deserialize_with = "flag")]
    on: bool,
    #[serde(deserialize_with = "names")]
    tags: Vec<String>,
    #[serde(deserialize_with = "texts")]
    files: Vec<String>,
    #[serde(deserialize_with = "amounts")]
    seconds: BTreeMap<String, i64>,
}

fn shapes(json: &str) -> Shapes {
    serde_json::from_str(json).unwrap()
}

#[derive(Debug, PartialEq, Deserialize)]
struct Item {
    #[serde(deserialize_with = "number")]
    id: u32,
}

fn ids(json: &str) -> Vec<u32> {
    let items: Vec<Item> = body_list(json.as_bytes(), &["items", "item"]).unwrap();
    items.into_iter().map(|item| item.id).collect()
}

#[test]
fn a_number_may_be_a_text() {
    let numbers = shapes(r#"{"count": 7, "held": 3, "exit": -1000, "share": 12.5, "on": true}"#);
    let strings = shapes(r#"{"count": "7", "held": "3", "exit": "-1000", "share": "12.5", "on": "true"}"#);
    assert_eq!(numbers, strings);
    assert_eq!(numbers.exit, Some(-1000));
}

#[test]
fn minus_one_and_absent_words_mean_nothing() {
    let shapes =
        shapes(r#"{"count": -1, "held": -1, "exit": null, "url": "N/A", "share": "null", "tags": ""}"#);
    assert_eq!(shapes, Shapes::default());
}

#[test]
fn a_word_in_place_of_a_number_is_an_error_that_shows_it() {
    let error = serde_json::from_str::<Shapes>(r#"{"count": "many"}"#).unwrap_err();
    assert!(
        error.to_string().contains("`many` where a number should be"),
        "{error}"
    );
}

#[test]
fn the_whole_range_of_java_longs_is_read() {
    assert_eq!(
        shapes(r#"{"count": 9223372036854775807}"#).count,
        9_223_372_036_854_775_807
    );
}

#[test]
fn a_repeated_entry_key_loses_nothing() {
    let twice = r#"{"seconds": {"entry": {"key": "memory-mb", "value": "840"}, "entry": {"key": "vcores", "value": "3"}}}"#;
    let array =
        r#"{"seconds": {"entry": [{"key": "memory-mb", "value": 840}, {"key": "vcores", "value": 3}]}}"#;
    let plain = r#"{"seconds": {"memory-mb": 840, "vcores": "3"}}"#;
    let wanted = BTreeMap::from([("memory-mb".to_owned(), 840), ("vcores".to_owned(), 3)]);
    for json in [twice, array, plain] {
        assert_eq!(shapes(json).seconds, wanted, "{json}");
    }
    assert!(shapes(r#"{"seconds": {}}"#).seconds.is_empty());
}

#[test]
fn lists_may_be_arrays_lone_objects_or_missing() {
    assert_eq!(ids(r#"{"items": {"item": [{"id": 1}, {"id": "2"}]}}"#), [1, 2]);
    assert_eq!(ids(r#"{"items": {"item": {"id": 1}}}"#), [1]);
    assert_eq!(
        ids(r#"{"items": [{"item": {"id": 1}}, {"item": [{"id": 2}]}]}"#),
        [1, 2]
    );
    assert_eq!(
        ids(r#"{"items": {"item": {"id": 1}, "item": {"id": 2}}}"#),
        [1, 2]
    );
    for empty in [
        r#"{"items": null}"#,
        r#"{"items": {}}"#,
        r#"{"items": ""}"#,
        r#"{"items": {"item": null}}"#,
        r#"{"items": {"item": {}}}"#,
        r#"{"items": {"item": []}}"#,
        "{}",
    ] {
        assert!(ids(empty).is_empty(), "{empty}");
    }
}

#[test]
fn text_that_is_no_json_is_not_an_empty_list() {
    assert!(body_list::<Item>(b"There is no active RM right now.", &["items", "item"]).is_err());
    assert!(body_list::<Item>(br#"{"items": "gone"}"#, &["items", "item"]).is_err());
}

#[test]
fn an_object_may_have_its_root_or_not() {
    for json in [
        r#"{"item": {"id": 4}}"#,
        r#"{"id": 4}"#,
        r#"{"item": {"id": "4"}, "more": 1}"#,
    ] {
        assert_eq!(
            body_object::<Item>(json.as_bytes(), "item").unwrap(),
            Item { id: 4 }
        );
    }
    assert!(body_object::<Item>(b"{}", "item").is_err());
}

#[test]
fn texts_come_alone_or_in_an_array() {
    assert_eq!(shapes(r#"{"files": ["a", "b"]}"#).files, ["a", "b"]);
    assert_eq!(shapes(r#"{"files": "a"}"#).files, ["a"]);
    assert!(shapes(r#"{"files": {}}"#).files.is_empty());
    assert_eq!(shapes(r#"{"tags": "b, a,,"}"#).tags, ["b", "a"]);
}

proptest! {
    #[test]
    fn every_count_reads_the_same_from_number_and_text(value in any::<i64>()) {
        let number = shapes(&format!(r#"{{"count": {value}, "held": {value}}}"#));
        let string = shapes(&format!(r#"{{"count": "{value}", "held": "{value}"}}"#));
        prop_assert_eq!(number, string);
    }

    #[test]
    fn no_body_makes_the_readers_panic(body in "\\PC{0,60}") {
        let _ = body_list::<Item>(body.as_bytes(), &["items", "item"]);
        let _ = body_object::<Item>(body.as_bytes(), "item");
    }
}
