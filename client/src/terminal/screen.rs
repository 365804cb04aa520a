//! What is drawn on standard error while somebody waits.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use rustix::fd::AsFd;
use rustix::termios::tcgetwinsize;

use super::Terminal;

/// To the first column, and clears to the end of the line.
const ERASE: &str = "\r\x1b[K";
/// Of a terminal that does not say how large it is.
const USUAL: (usize, usize) = (80, 24);

/// Lines that stay, and a bar below them.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: Terminal,
    /// The bar that is drawn at the moment.
    bar: Mutex<Option<String>>,
}

impl Screen {
    /// A screen on which nothing is drawn yet.
    pub(crate) fn new(terminal: Terminal) -> Self {
        Self {
            terminal,
            bar: Mutex::new(None),
        }
    }

    /// What it is drawn on.
    pub(crate) fn terminal(&self) -> Terminal {
        self.terminal
    }

    /// Says something that a person who wants quiet does not hear.
    pub(crate) fn line(&self, text: &str) {
        if !self.terminal.quiet {
            self.urgent(text);
        }
    }

    /// Says something that everybody must hear. That nobody reads it does not end the wait.
    pub(crate) fn urgent(&self, text: &str) {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = match bar.as_deref() {
            Some(bar) => write(&format!("{ERASE}{text}\n{bar}")),
            None => write(&format!("{text}\n")),
        };
    }

    /// Draws the bar anew; only where that can be done. It is made for a width, and drawn no wider.
    pub(crate) fn bar(&self, made: impl FnOnce(usize) -> String) {
        if !self.terminal.live {
            return;
        }
        // A line that fills the terminal would be broken by some.
        let width = size_of(std::io::stderr()).0.saturating_sub(1);
        let text = cut(&made(width), width);
        let _ = write(&format!("{ERASE}{text}"));
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// Takes the bar away.
    pub(crate) fn clear_bar(&self) {
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        if bar.take().is_some() {
            let _ = write(ERASE);
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.clear_bar();
    }
}

fn write(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stderr().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Columns and rows of a terminal.
fn size_of(terminal: impl AsFd) -> (usize, usize) {
    match tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => USUAL,
    }
}

/// Of the terminal of standard output.
pub(crate) fn columns() -> usize {
    size_of(std::io::stdout()).0
}

/// As much of a text as the terminal of standard output shows at once, its last row left free.
pub(crate) fn fit(text: &str) -> String {
    fit_in(text, size_of(std::io::stdout()))
}

fn fit_in(text: &str, (columns, rows): (usize, usize)) -> String {
    let rows = rows.saturating_sub(1).max(1);
    let mut lines: Vec<String> = text
        .lines()
        .take(rows)
        .map(|line| cut(line.trim_end(), columns))
        .collect();
    if text.lines().count() > rows
        && let Some(last) = lines.last_mut()
    {
        *last = "…".to_owned();
    }
    lines.join("\n") + "\n"
}

/// The first `columns` characters; what is left out is marked.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(columns.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_to_the_screen_and_what_is_missing_is_marked() {
        assert_eq!(fit_in("one\ntwo\n", (80, 24)), "one\ntwo\n");
        assert_eq!(
            fit_in("long line  \nb\nc\nd\n", (5, 4)),
            "long…\nb\n…\n",
            "the last row stays free"
        );
        assert_eq!(cut("ab", 0), "…");
    }
}
