//! Text to count words in, and a count of them that owes nothing to what is tested.

use anyhow::{Context, ensure};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// At least `size` bytes of text that people wrote: sources and documents of this workspace and of the crates it is
/// built from, always in the same order.
///
/// # Errors
/// Fails when cargo's folder of crates cannot be found or does not hold so much.
pub fn written_by_people(size: usize) -> anyhow::Result<Vec<u8>> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let crates = home
        .context("neither CARGO_HOME nor HOME is set")?
        .join("registry/src");
    let mut text = Vec::with_capacity(size);
    collect(&crates, size, &mut text)
        .with_context(|| format!("cannot read the sources of crates in {}", crates.display()))?;
    ensure!(
        text.len() >= size,
        "{} holds only {} bytes of text, {size} are needed",
        crates.display(),
        text.len()
    );
    Ok(text)
}

fn collect(dir: &Path, size: usize, text: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir)?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if text.len() >= size {
            return Ok(());
        }
        let is_text = path.extension().is_some_and(|end| end == "rs" || end == "md");
        if path.is_dir() && !path.is_symlink() {
            collect(&path, size, text)?;
        } else if is_text && path.is_file() {
            text.extend(fs::read(&path)?);
            text.push(b'\n');
        }
    }
    Ok(())
}

/// Cuts text into `parts` at line ends.
#[must_use]
pub fn cut(text: &[u8], parts: usize) -> Vec<&[u8]> {
    let mut rest = text;
    let mut cuts = Vec::new();
    for left in (1..=parts).rev() {
        let end = match rest
            .iter()
            .skip(rest.len() / left)
            .position(|byte| *byte == b'\n')
        {
            Some(at) if left > 1 => rest.len() / left + at + 1,
            _ => rest.len(),
        };
        let (part, after) = rest.split_at(end);
        cuts.push(part);
        rest = after;
    }
    cuts
}

/// How often each word of ASCII letters and digits occurs, the most frequent first and then by the word: what
/// `examples/wordcount` gives, line by line.
#[must_use]
pub fn word_counts(text: &[u8]) -> String {
    let mut counts: BTreeMap<&[u8], u64> = BTreeMap::new();
    let words = text.split(|byte| !byte.is_ascii_alphanumeric());
    for word in words.filter(|word| !word.is_empty()) {
        *counts.entry(word).or_default() += 1;
    }
    let mut counts: Vec<(&[u8], u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let line = |(word, count): (&[u8], u64)| format!("{}\t{count}\n", String::from_utf8_lossy(word));
    counts.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{cut, word_counts};

    #[test]
    fn words_are_counted_the_most_frequent_first() {
        assert_eq!(word_counts(b"b a-b\n\xc3\xa9a9, c"), "b\t2\na\t1\na9\t1\nc\t1\n");
        assert_eq!(word_counts(b" \n"), "");
    }

    #[test]
    fn pieces_end_at_line_ends_and_nothing_is_lost() {
        let text = b"one\ntwo\nthree\nfour";
        let pieces = cut(text, 3);
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces.concat(), text);
        assert!(pieces[..2].iter().all(|piece| piece.ends_with(b"\n")));
        assert_eq!(cut(b"", 2), [b"", b""]);
    }
}
