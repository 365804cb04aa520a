//! Reading a mapping key by key: every key is asked for once, what nobody asked for is unknown.

use std::collections::BTreeMap;

use super::document::{Node, Value};
use super::problem::{Place, Problem, nearest};

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where.
    pub place: Place,
}

/// The fields of one mapping, taken one by one.
pub(crate) struct Fields {
    /// Where the mapping begins.
    pub place: Place,
    what: &'static str,
    entries: BTreeMap<String, (Place, Node)>,
    asked: Vec<&'static str>,
}

impl Fields {
    /// The fields of a node that should be a mapping; `what` names it in messages. Null is an empty mapping.
    pub(crate) fn of(node: Node, what: &'static str, problems: &mut Vec<Problem>) -> Self {
        let place = node.place;
        let mut fields = Self {
            place,
            what,
            entries: BTreeMap::new(),
            asked: Vec::new(),
        };
        let kind = node.kind();
        match node.value {
            Value::Map(entries) => fields.fill(entries, problems),
            Value::Scalar { .. } if kind == "nothing" => {}
            Value::Scalar { .. } | Value::List(_) => {
                problems.push(Problem::new(
                    place,
                    format!("{what} should be a mapping, it is {kind}"),
                ));
            }
        }
        fields
    }

    fn fill(&mut self, entries: Vec<(Node, Node)>, problems: &mut Vec<Problem>) {
        for (key, value) in entries {
            let place = key.place;
            let Value::Scalar { text, .. } = key.value else {
                problems.push(Problem::new(
                    place,
                    format!("a key of {} should be a word", self.what),
                ));
                continue;
            };
            if let Some((first, _)) = self.entries.get(&text) {
                let text = format!("{text:?} is given twice, first at line {}", first.line);
                problems.push(Problem::new(place, text));
            } else {
                self.entries.insert(text, (place, value));
            }
        }
    }

    /// The node of a key, unless it is absent or null.
    pub(crate) fn node(&mut self, key: &'static str) -> Option<Node> {
        self.asked.push(key);
        let (_, node) = self.entries.remove(key)?;
        (!node.is_null()).then_some(node)
    }

    /// A single value as text.
    pub(crate) fn text(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Option<Placed<String>> {
        let node = self.node(key)?;
        text_of(node, key, problems)
    }

    /// A value that `parse` understands; its refusal becomes a problem here.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Problem>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Placed<T>> {
        let Placed { value, place } = self.text(key, problems)?;
        match parse(&value) {
            Ok(value) => Some(Placed { value, place }),
            Err(why) => {
                problems.push(Problem::new(place, format!("{key}: {why}")));
                None
            }
        }
    }

    /// A list of texts; a single value is a list of one.
    pub(crate) fn texts(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Option<Vec<Placed<String>>> {
        let node = self.node(key)?;
        Some(texts_of(node, key, problems))
    }

    /// The words of a command, which no shell takes apart: a line in place of the list is a mistake.
    pub(crate) fn words(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Option<Vec<Placed<String>>> {
        let node = self.node(key)?;
        if let Value::Scalar { text, .. } = &node.value
            && text.trim().contains(char::is_whitespace)
        {
            let words: Vec<&str> = text.split_whitespace().collect();
            let list = words.join(", ");
            let what = format!("{key} is a list of words, like [{list}]; a line for the shell is `shell: …`");
            problems.push(Problem::new(node.place, what));
        }
        Some(texts_of(node, key, problems))
    }

    /// A mapping of names to texts, in the order of the names.
    pub(crate) fn text_map(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Problem>,
    ) -> BTreeMap<String, Placed<String>> {
        let Some(node) = self.node(key) else {
            return BTreeMap::new();
        };
        let fields = Self::of(node, key, problems);
        let mut texts = BTreeMap::new();
        for (name, (_, node)) in fields.entries {
            let place = node.place;
            let empty = node.is_null().then(|| Placed {
                value: String::new(),
                place,
            });
            if let Some(text) = empty.or_else(|| text_of(node, "the value", problems)) {
                texts.insert(name, text);
            }
        }
        texts
    }

    /// Whether a key that nobody asked for may have been meant to be this one.
    pub(crate) fn has_misspelt(&self, key: &str) -> bool {
        self.entries.keys().any(|other| nearest(other, [key]).is_some())
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn finish(self, problems: &mut Vec<Problem>) {
        for (key, (place, _)) in self.entries {
            let known = self.asked.iter().copied();
            let hint = match nearest(&key, known) {
                Some(word) => format!("did you mean {word:?}?"),
                None => format!("known here are {}", listed(&self.asked)),
            };
            problems.push(Problem::new(
                place,
                format!("unknown key {key:?} in {}: {hint}", self.what),
            ));
        }
    }
}

fn texts_of(node: Node, what: &str, problems: &mut Vec<Problem>) -> Vec<Placed<String>> {
    let nodes = match node.value {
        Value::List(nodes) => nodes,
        Value::Scalar { .. } | Value::Map(_) => vec![node],
    };
    let read = |node| text_of(node, what, problems);
    nodes.into_iter().filter_map(read).collect()
}

fn text_of(node: Node, what: &str, problems: &mut Vec<Problem>) -> Option<Placed<String>> {
    let (kind, place) = (node.kind(), node.place);
    match node.value {
        Value::Scalar { text, .. } => Some(Placed { value: text, place }),
        Value::List(_) | Value::Map(_) => {
            problems.push(Problem::new(
                place,
                format!("{what} should be a single value, it is {kind}"),
            ));
            None
        }
    }
}

fn listed(words: &[&str]) -> String {
    let mut words = words.to_vec();
    words.sort_unstable();
    words.join(", ")
}
