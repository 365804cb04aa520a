//! What is wrong with a job file, and where. All problems are collected before anything is said.

use std::fmt;

/// A place in a file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character within the line.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what would be right.
    pub text: String,
}

impl Problem {
    /// A problem at a place.
    pub fn new(place: Place, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { place, text }
    }
}

/// The word among `known` that somebody who typed `word` may have meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate));
    let (score, best) = scored.min()?;
    let letters = word.chars().count();
    (score <= letters.div_ceil(3) && score < letters).then_some(best)
}

/// Edits that turn one word into the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let known = ["stages", "files", "executors"];
        assert_eq!(nearest("stage", known), Some("stages"));
        assert_eq!(nearest("excutors", known), Some("executors"));
        assert_eq!(nearest("pools", known), None);
        assert_eq!(distance("", "abc"), 3);
    }
}
