//! Hadoop's `*-site.xml` files.

use anyhow::Context;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Keys and values of one configuration file.
#[derive(Clone, Debug, Default)]
pub(super) struct Properties(BTreeMap<String, String>);

impl Properties {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers write literals, numbers and `path.display()`"
    )]
    pub(super) fn set(&mut self, key: impl Into<String>, value: impl ToString) {
        self.0.insert(key.into(), value.to_string());
    }

    /// These, overridden and completed by `other`.
    pub(super) fn with(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.0.extend(other.0.clone());
        all
    }

    pub(super) fn write(&self, file: &Path) -> anyhow::Result<()> {
        fs::write(file, self.to_xml()).with_context(|| format!("cannot write {}", file.display()))
    }

    fn to_xml(&self) -> String {
        let mut text = String::from("<?xml version=\"1.0\"?>\n<configuration>\n");
        for (key, value) in &self.0 {
            let (key, value) = (escape(key), escape(value));
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "  <property><name>{key}</name><value>{value}</value></property>"
            );
        }
        text + "</configuration>\n"
    }
}

impl<const N: usize> From<[(&str, String); N]> for Properties {
    fn from(pairs: [(&str, String); N]) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::Properties;

    #[test]
    fn values_are_escaped_and_later_ones_win() {
        let first = Properties::from([("a", "1".to_owned()), ("b", "2".to_owned())]);
        let both = first.with(&Properties::from([("a", "<&>".to_owned())]));
        let text = both.to_xml();
        assert!(
            text.contains("<name>a</name><value>&lt;&amp;&gt;</value>"),
            "{text}"
        );
        assert!(text.contains("<name>b</name><value>2</value>"), "{text}");
        assert!(!text.contains("<value>1</value>"), "{text}");
    }
}
