//! How this process speaks to the person: colours, how much is said, and the screen of one who waits.
//!
//! [`Terminal`] is decided once, from the flags, the environment and what the two outputs are. `Screen` owns what is
//! drawn on standard error while somebody waits: lines that stay, and below them, on a terminal only, a bar that is
//! drawn anew. Nothing else writes there meanwhile but logging, which a person asks for.

mod paint;
mod screen;

use std::fmt;
use std::io::{IsTerminal, Write};

use clap::ValueEnum;

pub(crate) use paint::Paint;
pub(crate) use screen::{Screen, columns, fit};

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Also into files and pipes
    Always,
    /// Nowhere
    Never,
}

/// What standard output and standard error are, and what the person wants of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// For standard output.
    pub(crate) out: Paint,
    /// For standard error.
    pub(crate) err: Paint,
    /// Whether standard output can be drawn anew.
    pub(crate) live_out: bool,
    /// Whether standard error can be drawn anew.
    pub(crate) live: bool,
    /// `--quiet`: results and errors only.
    pub(crate) quiet: bool,
}

impl Terminal {
    /// From the flags and this process's outputs.
    #[must_use]
    pub fn detect(color: Color, quiet: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let plain = set("NO_COLOR");
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let paint = |tty: bool| Paint::new(wants_color(color, tty && !plain && !dumb));
        Self {
            out: paint(out),
            err: paint(err),
            live_out: out && !dumb,
            live: err && !dumb && !quiet,
            quiet,
        }
    }
}

/// What a library's caller gets, who has no flags.
impl Default for Terminal {
    fn default() -> Self {
        Self::detect(Color::Auto, false)
    }
}

/// Says a line on standard error. That it cannot be written there, because nobody reads it or the disk is full, is
/// no failure of what is said (`eprintln!` panics then).
pub fn tell(line: impl fmt::Display) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

fn wants_color(choice: Color, by_itself: bool) -> bool {
    match choice {
        Color::Auto => by_itself,
        Color::Always => true,
        Color::Never => false,
    }
}
