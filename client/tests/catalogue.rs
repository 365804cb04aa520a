//! docs/errors.md has every error that the client can end with, with its exit code, and none that it has not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A sentence as it is in the code, what is filled in replaced by `…`, and the exit code.
type Entry = (String, String);

fn crate_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of every source file, without its tests.
fn sources(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            sources(&path, found);
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
            found.push(code.to_owned());
        }
    }
}

/// The string literal that code begins with, its continued lines joined.
fn literal(code: &str) -> Option<String> {
    let code = code.trim_start();
    let code = code.strip_prefix("format!(").unwrap_or(code).trim_start();
    let mut chars = code.strip_prefix('"')?.chars();
    let mut text = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => match chars.next()? {
                '\n' => chars = chars.as_str().trim_start().chars(),
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
}

fn without_values(text: &str) -> String {
    let mut parts = text.split('{');
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        plain.push('…');
        plain.push_str(part.split_once('}').map_or("", |(_, rest)| rest));
    }
    plain
}

/// Numbers of `Exit`.
fn exit_code(name: &str) -> &'static str {
    match name.trim() {
        "Exit::JobFailed" => "1",
        "Exit::Usage" => "2",
        "Exit::Refused" => "3",
        "Exit::Killed" => "4",
        "Exit::Lost" => "5",
        "Exit::TimedOut" => "6",
        "Exit::Interrupted" => "130",
        _ => "as it ended",
    }
}

/// Errors that are made with a sentence in place. Those that pass on the words of a library are not ours to list.
fn made_in(code: &str) -> BTreeSet<Entry> {
    let mut found = BTreeSet::new();
    for (call, exit) in [("usage", "2"), ("refused", "3"), ("new", "")] {
        let call = format!("CommandError::{call}(");
        for rest in code.split(&call).skip(1) {
            let (exit, sentence) = match exit {
                "" => {
                    let (name, rest) = rest.split_once(',').unwrap();
                    (exit_code(name), rest)
                }
                exit => (exit, rest),
            };
            let Some(sentence) = literal(sentence) else {
                continue;
            };
            let sentence = without_values(&sentence);
            if sentence.chars().any(|c| c.is_ascii_alphabetic()) {
                found.insert((sentence, exit.to_owned()));
            }
        }
    }
    found
}

fn documented() -> BTreeSet<Entry> {
    let text = fs::read_to_string(crate_dir().join("../docs/errors.md")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let sentence = cells.next()?.strip_suffix('`')?;
        Some((sentence.to_owned(), cells.next()?.to_owned()))
    });
    rows.collect()
}

#[test]
fn every_error_is_in_the_catalogue_with_its_exit_code() {
    let mut files = Vec::new();
    sources(&crate_dir().join("src"), &mut files);
    let made: BTreeSet<Entry> = files.iter().flat_map(|code| made_in(code)).collect();
    assert!(made.len() > 50, "the code is read: {made:#?}");
    let documented = documented();
    let missing: Vec<_> = made.difference(&documented).collect();
    assert!(
        missing.is_empty(),
        "add to docs/errors.md: {}",
        missing
            .iter()
            .map(|(sentence, exit)| format!("\n| `{sentence}` | {exit} |  |"))
            .collect::<String>()
    );
    let gone: Vec<_> = documented.difference(&made).collect();
    assert!(gone.is_empty(), "no longer in the code: {gone:#?}");
}

#[test]
fn sentences_are_read_as_the_compiler_does() {
    let code = "CommandError::usage(format!(\n    \"{path} is \\\n      {:?}\", x)) CommandError::new(Exit::Lost, \"gone\")";
    let found: Vec<_> = made_in(code).into_iter().collect();
    assert_eq!(
        found,
        [
            ("gone".to_owned(), "5".to_owned()),
            ("… is …".to_owned(), "2".to_owned())
        ]
    );
}
