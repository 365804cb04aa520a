//! A job file as a tree of nodes that know their place.
//!
//! Scalars stay text: what a value means is for the key that it belongs to, so `1.10` is a version where a text is
//! wanted and a number where a number is. JSON is read by the same parser, being YAML.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::problem::{Place, Problem};

/// The most nodes of a document, aliases written out: a file that grows beyond it is refused.
const MAX_NODES: usize = 200_000;
/// The deepest nesting.
const MAX_DEPTH: usize = 64;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A text as written, without quotes.
    Scalar {
        /// The text.
        text: String,
        /// Written without quotes: `~`, `null` and nothing then mean that there is no value.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// What a person would call it.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Whether it is an explicit or implied null.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }
}

/// Reads one document.
///
/// # Errors
/// The place and the reason where the text stops being YAML.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| scan_problem(&error))?;
        builder.take(event, span)?;
    }
    let nothing = || Problem::new(Place { line: 1, column: 1 }, "the file is empty");
    builder.root.ok_or_else(nothing)
}

fn scan_problem(error: &ScanError) -> Problem {
    let marker = error.marker();
    let place = Place {
        line: marker.line(),
        column: marker.col() + 1,
    };
    Problem::new(place, format!("this is not YAML: {}", error.info()))
}

fn place_of(span: Span) -> Place {
    Place {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}

/// A collection that is still open.
struct Open {
    anchor: usize,
    node: Node,
    key: Option<Node>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let place = place_of(span);
        self.count(place, 1)?;
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let text = text.into_owned();
                let value = Value::Scalar { text, plain };
                self.close(Node { place, value }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(place, Value::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.begin(place, Value::Map(Vec::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(place, anchor),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Problem::new(place, "a second document: a job file holds one"))
            }
            Event::DocumentStart(_)
            | Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, place: Place, value: Value, anchor: usize) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Problem::new(place, "nested too deeply"));
        }
        let node = Node { place, value };
        let key = None;
        self.open.push(Open { anchor, node, key });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Problem> {
        match self.open.pop() {
            Some(done) => self.close(done.node, done.anchor),
            None => Ok(()),
        }
    }

    fn alias(&mut self, place: Place, anchor: usize) -> Result<(), Problem> {
        let unknown = || Problem::new(place, "an alias for an anchor that is not complete here");
        let node = self.anchors.get(&anchor).cloned().ok_or_else(unknown)?;
        self.count(place, size(&node))?;
        self.close(Node { place, ..node }, 0)
    }

    fn count(&mut self, place: Place, nodes: usize) -> Result<(), Problem> {
        self.nodes += nodes;
        let fits = self.nodes <= MAX_NODES;
        fits.then_some(())
            .ok_or_else(|| Problem::new(place, "the file is too large, aliases written out"))
    }

    /// Puts a complete node where it belongs.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut parent.node.value, parent.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(entries), Some(key)) => entries.push((key, node)),
            (Value::Map(_), None) => parent.key = Some(node),
            (Value::Scalar { .. }, _) => {}
        }
        Ok(())
    }
}

/// The nodes of a tree, itself included.
fn size(node: &Node) -> usize {
    match &node.value {
        Value::Scalar { .. } => 1,
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => {
            1 + entries
                .iter()
                .map(|(key, value)| size(key) + size(value))
                .sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scalars_stay_as_written() {
        let node = parse("a: 1.10\nb: '~'\nc:\n").unwrap();
        let Value::Map(entries) = node.value else {
            panic!("no mapping")
        };
        let texts: Vec<_> = entries
            .iter()
            .map(|(_, value)| (value.kind(), value.place.line))
            .collect();
        assert_eq!(
            texts,
            [("a single value", 1), ("a single value", 2), ("nothing", 3)]
        );
    }

    #[test]
    fn an_unclosed_list_is_placed() {
        let problem = parse("version: 1\nstages: [a, b\n").unwrap_err();
        assert!(problem.text.starts_with("this is not YAML"), "{}", problem.text);
        assert!(problem.place.line >= 2);
    }

    #[test]
    fn aliases_cannot_grow_without_end() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let previous = format!("*a{}", level - 1);
            let list = vec![previous; 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{list}]\n"));
        }
        assert!(parse(&text).unwrap_err().text.contains("too large"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}a-c:,&*'\"\n -]{0,60}") {
            let _ = parse(&text);
        }
    }
}
