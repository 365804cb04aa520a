//! Configuration files: XML with `<property>` elements and `xi:include`.
//!
//! Bounds, because a file may be anybody's: 16 MiB a file, a million nodes, 16 includes deep, 256 in all, only
//! regular files. A document type may declare entities as long as all references together cannot expand to more
//! than 64 MiB; external entities are never fetched. Nothing here recurses on the depth of the document.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node, ParsingOptions};

use super::{ConfError, Origin};

const MAX_FILE: u64 = 16 << 20;
const MAX_NODES: u32 = 1_000_000;
const MAX_DEPTH: usize = 16;
const MAX_INCLUDES: usize = 256;
const MAX_ENTITY_TEXT: usize = 64 << 20;
/// How many entities `roxmltree` follows below one reference in the text.
const ENTITIES_PER_REFERENCE: usize = 255;

/// One `<property>` as written.
pub(super) struct Property {
    /// Trimmed, never empty.
    pub(super) name: String,
    /// As written; `None` where the element is missing or empty, which leaves lower layers in force.
    pub(super) value: Option<String>,
    pub(super) is_final: bool,
    pub(super) origin: Origin,
}

/// The properties of the file at `path`, included ones in their place.
pub(super) fn read_file(path: &Path) -> Result<Vec<Property>, ConfError> {
    let text = file_text(path)?;
    read_text(path, &text)
}

/// The properties of `text`; `path` names it in origins, and includes are relative to it.
pub(super) fn read_text(path: &Path, text: &str) -> Result<Vec<Property>, ConfError> {
    let mut reader = Reader {
        top: parent(path),
        properties: Vec::new(),
        open: Vec::new(),
        included: 0,
    };
    reader.read(path, text)?;
    Ok(reader.properties)
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

/// At most one byte more than allowed; opens nothing that could block.
fn file_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn file_text(path: &Path) -> Result<String, ConfError> {
    let bytes = file_bytes(path).map_err(|source| ConfError::Read {
        path: path.to_owned(),
        source,
    })?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ConfError::TooLarge {
            path: path.to_owned(),
            limit: MAX_FILE,
        });
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        ConfError::NotUtf8 {
            path: path.to_owned(),
            line: 1 + good.iter().filter(|b| **b == b'\n').count() as u32,
        }
    })
}

/// Whether every entity reference of the text, followed as far as the parser follows it, stays within bounds.
fn entities_are_bounded(text: &str) -> bool {
    let references = text.bytes().filter(|b| *b == b'&').count();
    references
        .saturating_mul(ENTITIES_PER_REFERENCE)
        .saturating_mul(text.len())
        <= MAX_ENTITY_TEXT
}

fn parse<'a>(path: &Path, text: &'a str) -> Result<Document<'a>, ConfError> {
    let bounded = entities_are_bounded(text);
    let options = ParsingOptions {
        allow_dtd: bounded,
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|error| {
        let problem = match &error {
            roxmltree::Error::DtdDetected => "a document type in a file with this many references".to_owned(),
            other => without_position(&other.to_string()),
        };
        let at = error.pos();
        ConfError::Xml {
            path: path.to_owned(),
            line: at.row,
            column: at.col,
            problem,
        }
    })
}

/// The parser's words without its " at row:column", which the error prints in front.
fn without_position(message: &str) -> String {
    let is_position = |tail: &str| !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_digit() || b == b':');
    match message.rsplit_once(" at ") {
        Some((words, tail)) if is_position(tail) => words.to_owned(),
        _ => message.to_owned(),
    }
}

/// Line numbers of byte offsets.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Lines(
            text.bytes()
                .enumerate()
                .filter(|(_, b)| *b == b'\n')
                .map(|(at, _)| at)
                .collect(),
        )
    }

    fn line(&self, node: Node<'_, '_>) -> u32 {
        1 + self.0.partition_point(|newline| *newline < node.range().start) as u32
    }
}

fn is_element(node: &Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

/// All text inside an element; comments in between do not divide it.
fn text_of(node: Node<'_, '_>) -> String {
    node.descendants()
        .filter(Node::is_text)
        .filter_map(|text| text.text())
        .collect()
}

/// Reads one file and what it includes.
struct Reader {
    /// Directory of the file that was asked for; Hadoop would look for includes on its class path there.
    top: PathBuf,
    properties: Vec<Property>,
    /// Files being read, outermost first.
    open: Vec<PathBuf>,
    included: usize,
}

/// The file being read.
struct Place<'a> {
    path: &'a Path,
    lines: Lines,
}

impl Reader {
    fn read(&mut self, path: &Path, text: &str) -> Result<(), ConfError> {
        let document = parse(path, text)?;
        let root = document.root_element();
        if !is_element(&root, "configuration") {
            let found = root.tag_name().name().to_owned();
            return Err(ConfError::Root {
                path: path.to_owned(),
                found,
            });
        }
        self.open
            .push(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        let result = self.walk(
            &Place {
                path,
                lines: Lines::of(text),
            },
            root,
        );
        self.open.pop();
        result
    }

    /// Finds properties at any depth, as Hadoop's stream parser does.
    fn walk(&mut self, place: &Place<'_>, root: Node<'_, '_>) -> Result<(), ConfError> {
        let mut open = vec![root.children()];
        while let Some(children) = open.last_mut() {
            match children.next() {
                None => drop(open.pop()),
                Some(node) if is_element(&node, "property") => self.property(place, node),
                Some(node) if is_element(&node, "include") => {
                    open.extend(self.include(place, node)?.map(|fallback| fallback.children()));
                }
                Some(node) => open.push(node.children()),
            }
        }
        Ok(())
    }

    /// A property's parts may be attributes or elements; elements win.
    fn property(&mut self, place: &Place<'_>, node: Node<'_, '_>) {
        let mut name = node.attribute("name").map(str::to_owned);
        let mut value = node.attribute("value").map(str::to_owned);
        let mut is_final = node.attribute("final") == Some("true");
        for child in node.children().filter(Node::is_element) {
            let text = || Some(text_of(child)).filter(|text| !text.is_empty());
            match child.tag_name().name() {
                "name" => name = text().or(name),
                "value" => value = text().or(value),
                "final" => is_final = text_of(child) == "true",
                _ => {}
            }
        }
        let Some(name) = name
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
        else {
            return;
        };
        let origin = Origin::File {
            path: place.path.to_owned(),
            line: place.lines.line(node),
        };
        self.properties.push(Property {
            name,
            value,
            is_final,
            origin,
        });
    }

    /// Reads the included file, or returns the `xi:fallback` to be read in its place.
    fn include<'a, 'i>(
        &mut self,
        place: &Place<'_>,
        node: Node<'a, 'i>,
    ) -> Result<Option<Node<'a, 'i>>, ConfError> {
        let Some(href) = node.attribute("href") else {
            return Ok(None);
        };
        let line = place.lines.line(node);
        if let Some(target) = self.target(place.path, href) {
            self.admit(place.path, line, href, &target)?;
            let text = file_text(&target)?;
            return self.read(&target, &text).map(|()| None);
        }
        let fallback = node.children().find(|child| is_element(child, "fallback"));
        fallback.map(Some).ok_or_else(|| ConfError::IncludeMissing {
            path: place.path.to_owned(),
            line,
            href: href.to_owned(),
        })
    }

    /// The regular file that `href` names: relative to the including file, else to the outermost one.
    fn target(&self, including: &Path, href: &str) -> Option<PathBuf> {
        let href = href
            .strip_prefix("file://")
            .or_else(|| href.strip_prefix("file:"))
            .unwrap_or(href);
        let candidates = [parent(including).join(href), self.top.join(href)];
        candidates.into_iter().find(|path| path.is_file())
    }

    fn admit(&mut self, path: &Path, line: u32, href: &str, target: &Path) -> Result<(), ConfError> {
        let canonical = target.canonicalize().unwrap_or_else(|_| target.to_owned());
        if self.open.contains(&canonical) {
            return Err(ConfError::IncludeLoop {
                path: path.to_owned(),
                line,
                href: href.to_owned(),
            });
        }
        self.included += 1;
        if self.included > MAX_INCLUDES || self.open.len() > MAX_DEPTH {
            let (limit, depth) = (MAX_INCLUDES, MAX_DEPTH);
            return Err(ConfError::TooManyIncludes {
                path: path.to_owned(),
                line,
                limit,
                depth,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<Property>, ConfError> {
        read_text(Path::new("core-site.xml"), text)
    }

    fn pairs(properties: &[Property]) -> Vec<(&str, Option<&str>)> {
        properties
            .iter()
            .map(|p| (p.name.as_str(), p.value.as_deref()))
            .collect()
    }

    fn write(dir: &Path, name: &str, body: &str) -> PathBuf {
        let path = dir.join(name);
        let xml = format!(
            "<?xml version=\"1.0\"?>\n<configuration xmlns:xi=\"http://www.w3.org/2001/XInclude\">{body}</configuration>"
        );
        std::fs::write(&path, xml).unwrap();
        path
    }

    fn property(name: &str, value: &str) -> String {
        format!("<property><name>{name}</name><value>{value}</value></property>")
    }

    #[test]
    fn names_are_trimmed_values_are_not() {
        let got = read(
            "<configuration><property>\n<name> a.b\n</name><value> v </value></property></configuration>",
        );
        assert_eq!(pairs(&got.unwrap()), [("a.b", Some(" v "))]);
    }

    #[test]
    fn a_comment_inside_a_value_is_not_part_of_it() {
        let got = read(
            "<configuration><property><name>a</name><value>1<!-- two -->3<![CDATA[<4>]]>&amp;</value></property></configuration>",
        );
        assert_eq!(pairs(&got.unwrap()), [("a", Some("13<4>&"))]);
    }

    #[test]
    fn an_empty_value_is_no_value() {
        let got = read(
            "<configuration><property><name>a</name><value/></property><property><name>b</name></property></configuration>",
        );
        assert_eq!(pairs(&got.unwrap()), [("a", None), ("b", None)]);
    }

    #[test]
    fn attributes_serve_as_elements() {
        let got =
            read("<configuration><property name=\"a\" value=\"1\" final=\"true\"/></configuration>").unwrap();
        assert_eq!(pairs(&got), [("a", Some("1"))]);
        assert!(got[0].is_final);
    }

    #[test]
    fn properties_are_found_inside_other_elements() {
        let got = read("<configuration><a><property name=\"k\" value=\"1\"/></a></configuration>").unwrap();
        assert_eq!(pairs(&got), [("k", Some("1"))]);
    }

    #[test]
    fn final_is_exactly_true() {
        let with = |text: &str| {
            let xml = format!(
                "<configuration><property name=\"k\"><final>{text}</final></property></configuration>"
            );
            read(&xml).unwrap()[0].is_final
        };
        assert!(with("true"));
        assert!(!with(" true "), "Hadoop does not trim here");
    }

    #[test]
    fn properties_know_their_lines() {
        let got = read(
            "<configuration>\n\n<property><name>a</name></property>\n  <property>\n<name>b</name></property></configuration>",
        );
        let origins: Vec<_> = got.unwrap().iter().map(|p| p.origin.to_string()).collect();
        assert_eq!(origins, ["core-site.xml:3", "core-site.xml:4"]);
    }

    #[test]
    fn malformed_xml_is_located() {
        let error = read("<configuration>\n<property></name>\n</configuration>")
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            "core-site.xml:2:11: malformed XML: expected 'property' tag, not 'name'"
        );
        assert!(matches!(read(""), Err(ConfError::Xml { .. })));
        assert!(matches!(read("<html/>"), Err(ConfError::Root { found, .. }) if found == "html"));
    }

    #[test]
    fn small_entities_are_read_and_large_ones_refused() {
        let small = "<!DOCTYPE c [<!ENTITY h \"rm1\">]><configuration><property><name>a</name><value>&h;</value></property></configuration>";
        assert_eq!(pairs(&read(small).unwrap()), [("a", Some("rm1"))]);
        let references = "&h;".repeat(5_000);
        let large = small
            .replace("rm1", &"x".repeat(5_000))
            .replace("&h;", &references);
        assert!(matches!(read(&large), Err(ConfError::Xml { .. })));
    }

    #[test]
    fn a_billion_laughs_are_refused() {
        let mut entities = "<!ENTITY l0 \"ha\">".to_owned();
        for n in 1..10 {
            entities += &format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10));
        }
        let text = format!("<!DOCTYPE c [{entities}]><configuration>&l9;</configuration>");
        assert!(matches!(read(&text), Err(ConfError::Xml { .. })));
    }

    #[test]
    fn external_entities_are_not_fetched() {
        let text = "<!DOCTYPE c [<!ENTITY e SYSTEM \"file:///etc/hostname\">]><configuration><property><name>a</name><value>&e;</value></property></configuration>";
        assert!(matches!(read(text), Err(ConfError::Xml { .. })));
    }

    #[test]
    fn depth_of_nesting_costs_no_stack() {
        let deep = |tag: &str| {
            format!(
                "{}{}",
                format!("<{tag}>").repeat(100_000),
                format!("</{tag}>").repeat(100_000)
            )
        };
        assert!(read(&deep("configuration")).unwrap().is_empty());
        assert!(read(&format!("<configuration>{}</configuration>", deep("property"))).is_ok());
    }

    #[test]
    fn includes_are_relative_to_the_including_file_and_stay_in_place() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        write(dir.path(), "shared.xml", &property("c", "shared"));
        write(dir.path(), "sub/b.xml", &property("b", "sub"));
        let sub = "<xi:include href=\"b.xml\"/><xi:include href=\"shared.xml\"/>";
        let sub = write(dir.path(), "sub/a.xml", sub);
        let body = [
            &property("a", "1"),
            "<xi:include href=\"sub/a.xml\"/>",
            &property("d", "2"),
        ]
        .concat();
        let top = write(dir.path(), "top.xml", &body);
        let got = read_file(&top).unwrap();
        assert_eq!(
            pairs(&got),
            [
                ("a", Some("1")),
                ("b", Some("sub")),
                ("c", Some("shared")),
                ("d", Some("2"))
            ]
        );
        assert_eq!(
            got[1].origin,
            Origin::File {
                path: sub.with_file_name("b.xml"),
                line: 2
            }
        );
    }

    #[test]
    fn a_missing_include_needs_a_fallback() {
        let dir = tempfile::tempdir().unwrap();
        let missing = write(dir.path(), "a.xml", "<xi:include href=\"gone.xml\"/>");
        assert!(matches!(
            read_file(&missing),
            Err(ConfError::IncludeMissing { line: 2, .. })
        ));
        let fallback = format!(
            "<xi:include href=\"gone.xml\"><xi:fallback>{}</xi:fallback></xi:include>",
            property("f", "1")
        );
        let path = write(dir.path(), "b.xml", &fallback);
        assert_eq!(pairs(&read_file(&path).unwrap()), [("f", Some("1"))]);
        let path = write(dir.path(), "c.xml", &fallback.replace("gone.xml", "b.xml"));
        assert_eq!(
            read_file(&path).unwrap().len(),
            1,
            "an include that is there does without its fallback"
        );
        let remote = write(
            dir.path(),
            "d.xml",
            "<xi:include href=\"http://example.com/x.xml\"/>",
        );
        assert!(matches!(
            read_file(&remote),
            Err(ConfError::IncludeMissing { .. })
        ));
    }

    #[test]
    fn includes_in_a_circle_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let a = write(dir.path(), "a.xml", "<xi:include href=\"b.xml\"/>");
        write(dir.path(), "b.xml", "<xi:include href=\"./a.xml\"/>");
        assert!(matches!(read_file(&a), Err(ConfError::IncludeLoop { href, .. }) if href == "./a.xml"));
    }

    #[test]
    fn includes_that_multiply_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "0.xml", "");
        for n in 1..12 {
            write(
                dir.path(),
                &format!("{n}.xml"),
                &format!("<xi:include href=\"{}.xml\"/>", n - 1).repeat(2),
            );
        }
        assert!(matches!(
            read_file(&dir.path().join("11.xml")),
            Err(ConfError::TooManyIncludes { .. })
        ));
    }

    #[test]
    fn other_encodings_are_refused_with_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("core-site.xml");
        std::fs::write(&path, b"<configuration>\n\xe9</configuration>").unwrap();
        assert!(matches!(
            read_file(&path),
            Err(ConfError::NotUtf8 { line: 2, .. })
        ));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[<>/a!&;\\-\\[\\]\"= ]{0,80}") {
            let _ = read(&text);
            let _ = read(&format!("<configuration>{text}</configuration>"));
            let _ = read(&format!("<configuration><property>{text}</property></configuration>"));
        }

        #[test]
        fn any_value_survives_escaping(value in "[^\\p{C}]{1,40}") {
            let escaped = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let got = read(&format!("<configuration>{}</configuration>", property("k", &escaped))).unwrap();
            prop_assert_eq!(got[0].value.as_deref(), Some(value.as_str()));
        }
    }
}
