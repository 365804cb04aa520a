//! The syntax under challenges and responses: `name=value,name="quoted value"`.

use super::{DigestError, MAX_MESSAGE};
use std::fmt::Write;

/// Directives in the order they came. Names are lower case.
pub(super) struct Directives(Vec<(String, String)>);

impl Directives {
    pub(super) fn parse(message: &[u8]) -> Result<Self, DigestError> {
        if message.len() > MAX_MESSAGE {
            return Err(DigestError::TooLong(message.len()));
        }
        let text = std::str::from_utf8(message).map_err(|_| DigestError::Malformed("not UTF-8"))?;
        let mut list = Vec::new();
        // Empty elements are legal: `a=1,,b=2`.
        let mut rest = skip_separators(text);
        while !rest.is_empty() {
            let (directive, after) = directive(rest)?;
            list.push(directive);
            rest = end_of_element(after)?;
        }
        Ok(Self(list))
    }

    /// The values of a directive that may come often.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a directive that may come once.
    pub(super) fn optional(&self, name: &'static str) -> Result<Option<&str>, DigestError> {
        let mut values = self
            .0
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, value)| value.as_str());
        let first = values.next();
        if values.next().is_some() {
            Err(DigestError::Repeated(name))
        } else {
            Ok(first)
        }
    }

    /// The value of a directive that must come once.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, DigestError> {
        self.optional(name)?.ok_or(DigestError::Missing(name))
    }

    /// Fails unless the directive is absent or holds this, whatever the case.
    pub(super) fn expect(&self, directive: &'static str, expected: &str) -> Result<(), DigestError> {
        match self.optional(directive)? {
            Some(found) if !found.eq_ignore_ascii_case(expected) => Err(DigestError::Mismatch {
                directive,
                found: found.to_owned(),
                expected: expected.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// Elements of a quoted list such as `qop="auth,auth-int"`.
pub(super) fn list(value: &str) -> Vec<&str> {
    value
        .split(',')
        .map(str::trim)
        .filter(|element| !element.is_empty())
        .collect()
}

/// Appends `name="value"` with its escapes, after a comma if something stands before it.
pub(super) fn push_quoted(text: &mut String, name: &str, value: &str) {
    push_name(text, name);
    text.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

/// Appends `name=value`.
pub(super) fn push_plain(text: &mut String, name: &str, value: &str) {
    push_name(text, name);
    text.push_str(value);
}

fn push_name(text: &mut String, name: &str) {
    let comma = if text.is_empty() { "" } else { "," };
    write!(text, "{comma}{name}=").expect("writing to a string cannot fail");
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn skip_separators(text: &str) -> &str {
    text.trim_start_matches(|c| is_blank(c) || c == ',')
}

/// After a value: blanks, then a comma or the end.
fn end_of_element(text: &str) -> Result<&str, DigestError> {
    let text = text.trim_start_matches(is_blank);
    if text.is_empty() || text.starts_with(',') {
        return Ok(skip_separators(text));
    }
    Err(DigestError::Malformed("no comma between directives"))
}

type Directive = (String, String);

fn directive(text: &str) -> Result<(Directive, &str), DigestError> {
    let (name, rest) = text
        .split_once('=')
        .ok_or(DigestError::Malformed("directive without `=`"))?;
    let name = name.trim_end_matches(is_blank);
    if name.is_empty() || name.contains(|c: char| is_blank(c) || matches!(c, ',' | '"')) {
        return Err(DigestError::Malformed("directive without a name"));
    }
    let rest = rest.trim_start_matches(is_blank);
    let (value, rest) = match rest.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => {
            let end = rest.find(|c| is_blank(c) || c == ',').unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        }
    };
    Ok(((name.to_ascii_lowercase(), value), rest))
}

/// The value up to the closing quote, and what follows it.
fn unquote(text: &str) -> Result<(String, &str), DigestError> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            _ => value.push(c),
        }
    }
    Err(DigestError::Malformed("quote without an end"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        Directives::parse(text.as_bytes()).unwrap().0
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn blanks_quotes_escapes_and_empty_elements_are_read() {
        assert_eq!(parsed(""), []);
        let text = " ,A = 1 ,, b=\"x, \\\"y\\\\\" ,c=\"\"";
        assert_eq!(
            parsed(text),
            [pair("a", "1"), pair("b", "x, \"y\\"), pair("c", "")]
        );
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["a", "=1", "a=\"1", "a=\"1\"b=2", "a=1 2", "\"a\"=1", "a=\"\\"] {
            assert!(Directives::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Directives::parse(b"a=\xff").is_err());
        assert_eq!(
            Directives::parse(&[b','; 5000]).err(),
            Some(DigestError::TooLong(5000))
        );
    }

    #[test]
    fn a_directive_that_comes_once_must_not_come_twice() {
        let twice = Directives::parse(b"nonce=1,nonce=2").unwrap();
        assert_eq!(twice.required("nonce"), Err(DigestError::Repeated("nonce")));
        assert_eq!(twice.required("qop"), Err(DigestError::Missing("qop")));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_fail_badly(bytes: Vec<u8>) {
            let _ = Directives::parse(&bytes);
        }

        #[test]
        fn any_value_reads_back_when_quoted(value in "\\PC{0,40}") {
            let mut text = String::new();
            push_quoted(&mut text, "x", &value);
            push_plain(&mut text, "y", "1");
            prop_assert_eq!(parsed(&text), [pair("x", &value), pair("y", "1")]);
        }
    }
}
