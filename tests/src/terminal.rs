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

/// What stands on a terminal after these bytes: enough of ECMA-48 for what we write. Colours are left out.
#[must_use]
pub fn screen(bytes: &[u8], columns: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut rows: Vec<Vec<char>> = vec![Vec::new()];
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
                    (Some('K'), _) => rows[row].truncate(column),
                    (Some('H'), _) => (row, column) = (0, 0),
                    (Some('J'), "[") => {
                        rows[row].truncate(column);
                        rows.truncate(row + 1);
                    }
                    _ => {}
                }
            }
            c => {
                if column == columns {
                    (row, column) = (row + 1, 0);
                    rows.resize_with(rows.len().max(row + 1), Vec::new);
                }
                let line = &mut rows[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = c;
                column += 1;
            }
        }
        rows.resize_with(rows.len().max(row + 1), Vec::new);
    }
    let lines = rows.into_iter().map(|line| line.into_iter().collect::<String>());
    let lines: Vec<String> = lines.map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Terminal, screen};
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
    fn a_command_sees_a_terminal_of_that_size() {
        let mut command = Command::new("sh");
        command.args(["-c", "test -t 2 && stty size <&2; echo bad >&2; exit 3"]);
        let mut terminal = Terminal::start(command, 40, 10).unwrap();
        let status = terminal.wait(Duration::from_secs(30)).unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(terminal.screen(), "10 40\nbad");
    }
}
