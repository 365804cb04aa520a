//! Colours, or none.

/// Colours text by its meaning, or leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    pub(super) const fn new(on: bool) -> Self {
        Self(on)
    }

    /// Leaves everything as it is.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self(false);

    /// What went well.
    pub(crate) fn good(self, text: &str) -> String {
        self.sgr("32", text)
    }

    /// What failed.
    pub(crate) fn bad(self, text: &str) -> String {
        self.sgr("1;31", text)
    }

    /// What is worth a look.
    pub(crate) fn warning(self, text: &str) -> String {
        self.sgr("33", text)
    }

    /// What to do.
    pub(crate) fn help(self, text: &str) -> String {
        self.sgr("36", text)
    }

    /// What is beside the point.
    pub(crate) fn faint(self, text: &str) -> String {
        self.sgr("2", text)
    }

    /// What a part is about.
    pub(crate) fn heading(self, text: &str) -> String {
        self.sgr("1", text)
    }

    /// Select Graphic Rendition (ECMA-48 8.3.117), and back.
    fn sgr(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Colours the words at the beginning of lines that say what the line is: `error:`, `cause:`, `help:`.
    pub(crate) fn labels(self, text: &str) -> String {
        let line = |line: &str| {
            let text = line.trim_start();
            let indent = &line[..line.len() - text.len()];
            let of = |label: &str| text.strip_prefix(label);
            if let Some(rest) = of("error:") {
                format!("{indent}{}{rest}", self.bad("error:"))
            } else if let Some(rest) = of("cause:") {
                format!("{indent}{}{rest}", self.warning("cause:"))
            } else if let Some(rest) = of("help:") {
                format!("{indent}{}{rest}", self.help("help:"))
            } else {
                line.to_owned()
            }
        };
        text.split('\n').map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_coloured_where_lines_begin_and_nothing_without_colour() {
        let text = "error: no help: here\n  help: there\n";
        assert_eq!(Paint::PLAIN.labels(text), text);
        assert_eq!(
            Paint::new(true).labels(text),
            "\x1b[1;31merror:\x1b[0m no help: here\n  \x1b[36mhelp:\x1b[0m there\n"
        );
    }
}
