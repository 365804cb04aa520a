//! Hadoop's file patterns: `*`, `?`, `[abc]`, `[a-z]`, `[^a]`, `{a,b/c}` and `\` before a character taken literally.
//!
//! A wildcard never matches a `/`. Braces are multiplied out first, then each component of a pattern is matched
//! against one directory's entries, so only directories that can matter are listed. As in Hadoop's `Globber`, a
//! pattern that matches nothing gives an empty list, and names that begin with a dot match like any other.

use std::collections::BTreeMap;

use futures::TryStreamExt;

use crate::error::DfsError;
use crate::fs::{FileStatus, FileSystem};
use crate::path::DfsPath;

/// Patterns that braces may multiply out to.
const MAX_ALTERNATIVES: usize = 10_000;

/// Whether `text` holds any character with a meaning in patterns.
#[must_use]
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{', '\\'])
}

/// Everything on `fs` that matches the absolute `pattern`, sorted by path, without duplicates. At most `limit`.
///
/// # Errors
/// [`DfsError::InvalidPath`] for an unfinished `[`, `{` or `\`; [`DfsError::Other`] with class `TooManyFiles` beyond
/// `limit`; else as listing. Directories that cannot be read are errors, missing ones are not.
pub async fn glob(fs: &dyn FileSystem, pattern: &DfsPath, limit: usize) -> Result<Vec<FileStatus>, DfsError> {
    let mut found = BTreeMap::new();
    for alternative in expand_braces(pattern.path())? {
        for status in match_components(fs, pattern, &alternative, limit).await? {
            found.insert(status.path.clone(), status);
        }
        check_limit(pattern, found.len(), limit)?;
    }
    Ok(found.into_values().collect())
}

fn check_limit(pattern: &DfsPath, count: usize, limit: usize) -> Result<(), DfsError> {
    if count <= limit {
        return Ok(());
    }
    Err(DfsError::other(
        pattern,
        "TooManyFiles",
        &format!("more than {limit} matches"),
    ))
}

async fn match_components(
    fs: &dyn FileSystem,
    pattern: &DfsPath,
    alternative: &str,
    limit: usize,
) -> Result<Vec<FileStatus>, DfsError> {
    let mut candidates = vec![pattern.root()];
    let components: Vec<&str> = alternative.split('/').filter(|c| !c.is_empty()).collect();
    let mut matched = Vec::new();
    for (at, component) in components.iter().enumerate() {
        let name =
            NamePattern::parse(component).map_err(|why| DfsError::invalid_path(pattern.to_string(), why))?;
        let last = at + 1 == components.len();
        if let (Some(literal), false) = (name.literal(), last) {
            candidates = candidates.iter().map(|dir| dir.join(&literal)).collect();
            continue;
        }
        matched = Vec::new();
        for directory in &candidates {
            expand_one(fs, directory, &name, last, &mut matched).await?;
            check_limit(pattern, matched.len(), limit)?;
        }
        candidates = matched.iter().map(|status| status.path.clone()).collect();
    }
    if components.is_empty() {
        matched.push(fs.status(&pattern.root()).await?);
    }
    Ok(matched)
}

/// Adds the entries of `directory` that match; only directories unless this is the last component.
async fn expand_one(
    fs: &dyn FileSystem,
    directory: &DfsPath,
    name: &NamePattern,
    last: bool,
    matched: &mut Vec<FileStatus>,
) -> Result<(), DfsError> {
    if let Some(literal) = name.literal() {
        return match fs.status(&directory.join(&literal)).await {
            Ok(status) => {
                matched.push(status);
                Ok(())
            }
            Err(error) => missing_is_empty(error),
        };
    }
    let mut entries = fs.list(directory, false);
    loop {
        match entries.try_next().await {
            Ok(None) => return Ok(()),
            // A file lists as itself; it has no entries that could match.
            Ok(Some(entry)) if entry.path == *directory => return Ok(()),
            Ok(Some(entry)) if (last || entry.is_dir) && name.matches(entry.path.name()) => {
                matched.push(entry);
            }
            Ok(Some(_)) => {}
            Err(error) => return missing_is_empty(error),
        }
    }
}

fn missing_is_empty(error: DfsError) -> Result<(), DfsError> {
    match error {
        DfsError::NotFound { .. } | DfsError::NotADirectory { .. } => Ok(()),
        error => Err(error),
    }
}

/// Multiplies out all braces: `a{b,c{d,e}}` gives `ab`, `acd`, `ace`. Escapes stay in place.
fn expand_braces(pattern: &str) -> Result<Vec<String>, DfsError> {
    let invalid = |why: &str| DfsError::invalid_path(pattern, why);
    let mut pending = vec![pattern.to_owned()];
    let mut done = Vec::new();
    while let Some(text) = pending.pop() {
        match first_braces(&text).map_err(invalid)? {
            None => done.push(text),
            Some((from, to)) => {
                let options = split_options(&text[from + 1..to]);
                pending.extend(
                    options
                        .iter()
                        .rev()
                        .map(|o| format!("{}{o}{}", &text[..from], &text[to + 1..])),
                );
            }
        }
        if pending.len() + done.len() > MAX_ALTERNATIVES {
            return Err(invalid("its braces stand for too many patterns"));
        }
    }
    Ok(done)
}

/// Positions of the first `{` and of the `}` that belongs to it.
fn first_braces(text: &str) -> Result<Option<(usize, usize)>, &'static str> {
    let (mut depth, mut start, mut in_set) = (0usize, 0usize, false);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next().ok_or("nothing follows the last backslash")?;
            }
            '[' => in_set = true,
            ']' => in_set = false,
            '{' if !in_set => {
                if depth == 0 {
                    start = at;
                }
                depth += 1;
            }
            '}' if !in_set && depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some((start, at)));
                }
            }
            _ => {}
        }
    }
    if depth > 0 {
        Err("a '{' is never closed")
    } else {
        Ok(None)
    }
}

/// Splits at the commas that are not inside inner braces, sets or escapes.
fn split_options(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut escaped, mut in_set) = (0usize, 0, false, false);
    let mut options = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_set = true,
            ']' => in_set = false,
            '{' if !in_set => depth += 1,
            '}' if !in_set => depth = depth.saturating_sub(1),
            ',' if depth == 0 && !in_set => {
                options.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    options.push(&text[start..]);
    options
}

/// One component of a pattern, without braces.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NamePattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Char(char),
    AnyChar,
    AnyRun,
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl NamePattern {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut pieces = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            pieces.push(match c {
                '\\' => Piece::Char(chars.next().ok_or("nothing follows the last backslash")?),
                '?' => Piece::AnyChar,
                '*' if pieces.last() == Some(&Piece::AnyRun) => continue,
                '*' => Piece::AnyRun,
                '[' => parse_set(&mut chars)?,
                c => Piece::Char(c),
            });
        }
        Ok(Self(pieces))
    }

    /// The only name it matches, when it holds no wildcard.
    fn literal(&self) -> Option<String> {
        self.0
            .iter()
            .map(|piece| {
                if let Piece::Char(c) = piece {
                    Some(*c)
                } else {
                    None
                }
            })
            .collect()
    }

    /// Greedy matching that on a mismatch goes back to the last `*` only, so it takes at most len x pieces steps.
    fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut piece) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while at < name.len() {
            match self.0.get(piece) {
                Some(Piece::AnyRun) => {
                    retry = Some((piece, at));
                    piece += 1;
                }
                Some(one) if one.accepts(name[at]) => {
                    at += 1;
                    piece += 1;
                }
                _ => {
                    let Some((star, from)) = retry else { return false };
                    retry = Some((star, from + 1));
                    (piece, at) = (star + 1, from + 1);
                }
            }
        }
        self.0[piece..].iter().all(|piece| *piece == Piece::AnyRun)
    }
}

impl Piece {
    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Char(wanted) => *wanted == c,
            Self::AnyChar | Self::AnyRun => true,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

fn parse_set(chars: &mut std::str::Chars<'_>) -> Result<Piece, &'static str> {
    const OPEN: &str = "a '[' is never closed";
    let rest = chars.as_str();
    let negated = rest.starts_with(['^', '!']);
    if negated {
        chars.next();
    }
    let mut ranges = Vec::new();
    loop {
        let mut low = chars.next().ok_or(OPEN)?;
        match low {
            ']' if !ranges.is_empty() => return Ok(Piece::Set { negated, ranges }),
            '\\' => low = chars.next().ok_or(OPEN)?,
            _ => {}
        }
        let mut ahead = chars.clone();
        let high = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) if high != ']' => {
                *chars = ahead;
                high
            }
            _ => low,
        };
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        expand_braces(pattern)
            .unwrap()
            .iter()
            .any(|p| NamePattern::parse(p).unwrap().matches(name))
    }

    #[test]
    fn wildcards_match_as_in_hadoop() {
        for (pattern, yes, no) in [
            ("*", "anything", ""),
            ("*.txt", "a.txt", "a.txt.gz"),
            ("a?c", "abc", "ac"),
            ("[a-c]x", "bx", "dx"),
            ("[^a-c]x", "dx", "bx"),
            ("[!a]x", "bx", "ax"),
            ("[]a]", "]", "b"),
            ("[a-]", "-", "b"),
            ("a{b,c}d", "acd", "ad"),
            ("{a,b{c,d}}", "bd", "b"),
            ("\\*", "*", "a"),
            ("a*b*c", "aXbYbZc", "aXbYbZ"),
            ("part-[0-9]*", "part-00017", "part-x"),
            ("[{]", "{", "a"),
            ("?", "ü", "uu"),
        ] {
            assert!(matches(pattern, yes), "{pattern} should match {yes}");
            assert!(
                no.is_empty() || !matches(pattern, no),
                "{pattern} should not match {no}"
            );
        }
    }

    #[test]
    fn braces_may_hold_slashes() {
        assert_eq!(expand_braces("/a/{b/c,d}/e").unwrap(), ["/a/b/c/e", "/a/d/e"]);
        assert_eq!(
            expand_braces("/{a,b}{c,d}").unwrap(),
            ["/ac", "/ad", "/bc", "/bd"]
        );
        assert_eq!(expand_braces("/a\\{b,c}").unwrap(), ["/a\\{b,c}"]);
    }

    #[test]
    fn unfinished_patterns_are_refused() {
        assert!(expand_braces("{a,b").is_err());
        assert!(expand_braces("a\\").is_err());
        assert!(NamePattern::parse("[a").is_err());
        assert!(NamePattern::parse("[]").is_err());
        assert!(expand_braces(&"{a,b}".repeat(20)).is_err());
    }

    #[test]
    fn patterns_are_told_from_names() {
        assert!(is_pattern("a*") && is_pattern("{a,b}") && is_pattern("a\\*"));
        assert!(!is_pattern("/plain/name-1.txt"));
    }

    proptest! {
        #[test]
        fn an_escaped_name_matches_only_itself(name in "[a-c*?{}\\[\\],\\\\]{1,8}", other in "[a-c*?]{1,8}") {
            let escaped: String = name.chars().flat_map(|c| ['\\', c]).collect();
            prop_assert!(matches(&escaped, &name));
            prop_assert_eq!(matches(&escaped, &other), name == other);
        }

        #[test]
        fn any_text_parses_or_is_refused_without_a_panic(text in "[a-c*?{}\\[\\],\\\\/^!-]{0,16}", name in ".{0,8}") {
            if let Ok(patterns) = expand_braces(&text) {
                for pattern in patterns {
                    if let Ok(pattern) = NamePattern::parse(&pattern) {
                        let _ = pattern.matches(&name);
                    }
                }
            }
        }

        #[test]
        fn stars_agree_with_a_plain_recursive_matcher(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            fn plain(pattern: &[u8], name: &[u8]) -> bool {
                match (pattern.first(), name.first()) {
                    (None, None) => true,
                    (Some(b'*'), _) => {
                        plain(&pattern[1..], name) || (!name.is_empty() && plain(pattern, &name[1..]))
                    }
                    (Some(b'?'), Some(_)) => plain(&pattern[1..], &name[1..]),
                    (Some(p), Some(n)) if p == n => plain(&pattern[1..], &name[1..]),
                    _ => false,
                }
            }
            let expected = plain(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(NamePattern::parse(&pattern).unwrap().matches(&name), expected);
        }
    }
}
