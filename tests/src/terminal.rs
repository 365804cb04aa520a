//! A terminal of a chosen size for one command, and what stands on it.

use crate::wait;
use anyhow::Context;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// A command whose outputs are a terminal; killed when dropped before its end.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    columns: usize,
    said: Arc<Mutex<Vec<u8>>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Terminal {
    /// Starts a command on a terminal of so many columns and rows.
    ///
    /// # Errors
    /// No terminal can be had, or the command cannot be started.
    pub fn start(mut command: Command, columns: u16, rows: u16) -> anyhow::Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).context("no pseudo-terminal")?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&ours, size)?;
        let name = ptsname(&ours, Vec::new())?.into_string()?;
        let theirs = OpenOptions::new().read(true).write(true).open(name)?;
        command
            .stdin(Stdio::null())
            .stdout(theirs.try_clone()?)
            .stderr(theirs);
        let child = command.spawn().context("cannot start the command")?;
        // Its copies of the terminal would keep us from seeing the end.
        drop(command);
        let said = Arc::new(Mutex::new(Vec::new()));
        let (into, mut from) = (Arc::clone(&said), File::from(ours));
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The read fails once nobody has the other side any more.
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                into.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(&buffer[..count]);
            }
        });
        Ok(Self {
            child,
            columns: columns.into(),
            said,
            reader: Some(reader),
        })
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All bytes so far.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What stands on the terminal now.
    #[must_use]
    pub fn screen(&self) -> String {
        screen(&self.bytes(), self.columns)
    }

    /// The same with the lines whole that the terminal has broken, as one gets them by marking and copying.
    #[must_use]
    pub fn copied(&self) -> String {
        copied(&self.bytes(), self.columns)
    }

    /// Waits for the end of the command; its exit code, and what is [`Terminal::copied`] then.
    ///
    /// # Errors
    /// As [`Terminal::wait`].
    pub fn finish(mut self, limit: Duration) -> anyhow::Result<(Option<i32>, String)> {
        let status = self.wait(limit)?;
        Ok((status.code(), self.copied()))
    }

    /// Waits for a picture with a text, of a command that draws the whole screen anew each time, and gives that picture: one
    /// that is drawn to its end, because the next was begun.
    ///
    /// # Errors
    /// Fails at the limit, quoting the screen.
    pub fn wait_for_picture(&self, text: &str, limit: Duration) -> anyhow::Result<String> {
        let probe = || {
            let bytes = self.bytes();
            let whole = pictures(&bytes).map(|picture| screen(picture, self.columns));
            Ok(whole.filter(|picture| picture.contains(text)).last())
        };
        let found = wait::for_value(&format!("a picture with {text:?}"), limit, probe);
        found.with_context(|| format!("the screen:\n{}", self.screen()))
    }

    /// Waits until the screen has a text, and gives the screen.
    ///
    /// # Errors
    /// Fails at the limit, quoting the screen.
    pub fn wait_for_text(&self, text: &str, limit: Duration) -> anyhow::Result<String> {
        let probe = || {
            let screen = self.screen();
            Ok(screen.contains(text).then_some(screen))
        };
        let found = wait::for_value(&format!("{text:?} on the screen"), limit, probe);
        found.with_context(|| format!("the screen:\n{}", self.screen()))
    }

    /// Waits for the end of the command.
    ///
    /// # Errors
    /// Fails at the limit, quoting the screen.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let ended = wait::for_value("the command to end", limit, || Ok(self.child.try_wait()?));
        let status = ended.with_context(|| format!("the screen:\n{}", self.screen()))?;
        if let Some(reader) = self.reader.take() {
            // It has read everything now; a panic of it would have lost some.
            reader
                .join()
                .map_err(|_| anyhow::anyhow!("the terminal's reader panicked"))?;
        }
        Ok(status)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Gone already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// To the first place of the screen: a picture begins.
const HOME: &[u8] = b"\x1b[H";

/// All that is drawn from one [`HOME`] to the next.
fn pictures(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let begins = bytes.windows(HOME.len()).enumerate();
    let begins: Vec<usize> = begins
        .filter(|(_, window)| *window == HOME)
        .map(|(at, _)| at)
        .collect();
    let ends: Vec<usize> = begins.iter().skip(1).copied().collect();
    begins
        .into_iter()
        .zip(ends)
        .map(|(begin, end)| &bytes[begin..end])
}

/// What stands on a terminal after these bytes: enough of ECMA-48 for what we write. Colours are left out.
#[must_use]
pub fn screen(bytes: &[u8], columns: usize) -> String {
    let rows = rows(bytes, columns);
    let lines: Vec<String> = rows.iter().map(Row::text).collect();
    lines.join("\n").trim_end().to_owned()
}

/// [`screen`] without the breaks that the terminal has made for want of columns.
#[must_use]
pub fn copied(bytes: &[u8], columns: usize) -> String {
    let mut text = String::new();
    for row in rows(bytes, columns) {
        text.push_str(&row.text());
        match row.is_broken {
            // Blanks before a break are blanks of the line.
            true => text.push_str(&" ".repeat(row.blanks())),
            false => text.push('\n'),
        }
    }
    text.trim_end().to_owned()
}

/// A row of the terminal.
#[derive(Debug, Clone, Default)]
struct Row {
    chars: Vec<char>,
    /// Its line goes on in the next row.
    is_broken: bool,
}

impl Row {
    fn text(&self) -> String {
        let text: String = self.chars.iter().collect();
        text.trim_end().to_owned()
    }

    fn blanks(&self) -> usize {
        self.chars.iter().rev().take_while(|c| **c == ' ').count()
    }

    fn cut(&mut self, column: usize) {
        self.chars.truncate(column);
        self.is_broken = false;
    }

    fn put(&mut self, column: usize, c: char) {
        self.chars.resize(self.chars.len().max(column + 1), ' ');
        self.chars[column] = c;
    }
}

fn rows(bytes: &[u8], columns: usize) -> Vec<Row> {
    let text = String::from_utf8_lossy(bytes);
    let mut rows = vec![Row::default()];
    let (mut row, mut column) = (0, 0);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => column = 0,
            '\n' => row += 1,
            '\x1b' => {
                let sequence: String =
                    std::iter::from_fn(|| chars.next_if(|c| !c.is_ascii_alphabetic())).collect();
                match (chars.next(), sequence.as_str()) {
                    (Some('K'), _) => rows[row].cut(column),
                    (Some('H'), _) => (row, column) = (0, 0),
                    (Some('J'), "[") => {
                        rows[row].cut(column);
                        rows.truncate(row + 1);
                    }
                    _ => {}
                }
            }
            c => {
                if column == columns {
                    rows[row].is_broken = true;
                    (row, column) = (row + 1, 0);
                    rows.resize_with(rows.len().max(row + 1), Row::default);
                }
                rows[row].put(column, c);
                column += 1;
            }
        }
        rows.resize_with(rows.len().max(row + 1), Row::default);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::{Terminal, copied, pictures, screen};
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn what_is_drawn_over_is_gone() {
        assert_eq!(
            screen(b"one\r\n\x1b[1mbar\x1b[0m\r\x1b[Ktwo\r\nb", 80),
            "one\ntwo\nb"
        );
        assert_eq!(screen(b"old\r\nmore\x1b[H\x1b[Jnew", 80), "new");
        assert_eq!(screen(b"abcdef", 4), "abcd\nef");
    }

    #[test]
    fn what_is_copied_has_no_breaks_of_the_terminals() {
        let text = b"ab  cdef\r\ngh\r\n\r\n\x1b[1mwxyz\x1b[0m\r\nend";
        assert_eq!(screen(text, 4), "ab\ncdef\ngh\n\nwxyz\nend");
        assert_eq!(copied(text, 4), "ab  cdef\ngh\n\nwxyz\nend");
    }

    #[test]
    fn only_pictures_that_were_drawn_to_their_end_are_given() {
        let bytes = b"before\x1b[Hone\r\nand\x1b[J\x1b[Htwo\x1b[J\x1b[Hhal";
        let seen: Vec<String> = pictures(bytes).map(|bytes| screen(bytes, 80)).collect();
        assert_eq!(seen, ["one\nand", "two"]);
        assert_eq!(pictures(b"nothing").count(), 0);
    }

    #[test]
    fn a_command_sees_a_terminal_of_that_size() {
        let mut command = Command::new("sh");
        command.args(["-c", "test -t 2 && stty size <&2; echo bad >&2; exit 3"]);
        let mut terminal = Terminal::start(command, 40, 10).unwrap();
        let status = terminal.wait(Duration::from_secs(30)).unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(terminal.screen(), "10 40\nbad");
    }
}
