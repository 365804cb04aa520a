//! Running our own binary beside a cluster, always with an end in sight.

use crate::cluster::Cluster;
use crate::hadoop::tail;
use crate::processes::MARKER;
use crate::terminal::Terminal;
use crate::{wait, workspace};
use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Of a person's terminal.
const ROWS: u16 = 24;

/// A `drawloom` command line that is about to run as a client of a cluster.
#[derive(Debug)]
pub struct Drawloom {
    command: Command,
    files: PathBuf,
    stdin: Option<Vec<u8>>,
}

/// What a finished command said.
#[derive(Debug)]
pub struct Output {
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            signal,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "code {code:?}, signal {signal:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}

impl Output {
    /// Requires this exit code, and all of `words` on standard error.
    ///
    /// # Panics
    /// When it is otherwise, with all that the command said.
    #[track_caller]
    pub fn must_end(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in: {self}");
        }
    }

    /// The failures of executors and tasks that a waiting client told, each a line (`1.23s  failure  …`).
    #[must_use]
    pub fn failures(&self) -> Vec<&str> {
        let is_failure = |line: &&str| line.split_whitespace().nth(1) == Some("failure");
        self.stderr.lines().filter(is_failure).collect()
    }
}

impl Drawloom {
    /// The binary under test ([`workspace::drawloom`]) with the cluster's `HADOOP_CONF_DIR` and none of the caller's
    /// `HADOOP_*`, `YARN_*` or `DRAWLOOM_*` variables.
    #[must_use]
    pub fn new(cluster: &dyn Cluster) -> Self {
        Self::build(cluster, &workspace::drawloom())
    }

    /// [`Drawloom::new`] of another executable.
    #[must_use]
    pub fn build(cluster: &dyn Cluster, program: &Path) -> Self {
        let mut drawloom = Self::program(program, &cluster.dir().join("clients"));
        drawloom.command.env("HADOOP_CONF_DIR", cluster.conf_dir());
        drawloom
            .command
            .env(MARKER, format!("{}/", cluster.dir().display()));
        drawloom
    }

    /// The binary under test without any configuration; its output is collected under `files`.
    #[must_use]
    pub fn without_cluster(files: &Path) -> Self {
        Self::program(&workspace::drawloom(), files)
    }

    fn program(program: &Path, files: &Path) -> Self {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if ["HADOOP_", "YARN_", "DRAWLOOM_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            {
                command.env_remove(&*name);
            }
        }
        Self {
            command,
            files: files.to_path_buf(),
            stdin: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The command, for somebody who gives it other outputs.
    #[must_use]
    pub fn into_command(self) -> Command {
        self.command
    }

    /// Starts it with a terminal of so many columns for its outputs, as a person does.
    ///
    /// # Errors
    /// No terminal can be had, or the binary is missing.
    pub fn on_terminal(self, columns: u16) -> anyhow::Result<Terminal> {
        Terminal::start(self.env("TERM", "xterm").into_command(), columns, ROWS)
    }

    /// Has it started by another program, which gets this command line behind its own arguments; nothing of it
    /// changes without a program.
    #[must_use]
    pub fn through<S: AsRef<OsStr>>(mut self, program: &[S]) -> Self {
        let Some((program, args)) = program.split_first() else {
            return self;
        };
        let mut command = Command::new(program);
        command.args(args).arg(self.command.get_program());
        command.args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = self.command.get_current_dir() {
            command.current_dir(dir);
        }
        self.command = command;
        self
    }

    /// Works in this folder.
    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Gives this as standard input; without it there is none.
    #[must_use]
    pub fn stdin(self, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            stdin: Some(bytes.into()),
            ..self
        }
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// Fails when the binary is missing or does not end within `limit`; it is killed then and its words are quoted.
    pub fn run(self, limit: Duration) -> anyhow::Result<Output> {
        self.spawn()?.wait(limit)
    }

    /// Starts it in a process group of its own.
    ///
    /// # Errors
    /// Fails when the binary is missing.
    pub fn spawn(mut self) -> anyhow::Result<Running> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        fs::create_dir_all(&self.files)?;
        let file = |end: &str| self.files.join(format!("{}-{number}.{end}", std::process::id()));
        let (stdin, stdout, stderr) = (file("in"), file("out"), file("err"));
        match &self.stdin {
            Some(bytes) => {
                fs::write(&stdin, bytes)?;
                self.command.stdin(File::open(&stdin)?);
            }
            None => {
                self.command.stdin(Stdio::null());
            }
        }
        self.command
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .process_group(0);
        let program = Path::new(self.command.get_program()).to_path_buf();
        let child = self.command.spawn().with_context(|| {
            format!(
                "cannot start {}: build it with `cargo build --profile fast -p drawloom`",
                program.display()
            )
        })?;
        Ok(Running {
            child,
            stdout,
            stderr,
            ended: false,
        })
    }
}

/// A started command; killed with its process group when dropped before its end.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    ended: bool,
}

impl Running {
    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Signals the process alone, as `kill` does.
    ///
    /// # Errors
    /// Fails when it is gone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill_process(self.raw_pid()?, signal).context("cannot signal drawloom")
    }

    /// What it has printed so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What it has printed to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Waits until `needle` appears on either output and gives the line it is in.
    ///
    /// # Errors
    /// Fails when the command ends without it, or at the limit.
    pub fn wait_for_text(&mut self, needle: &str, limit: Duration) -> anyhow::Result<String> {
        let probe = || {
            let ended = self.child.try_wait()?;
            let said = format!("{}\n{}", text(&self.stdout), text(&self.stderr));
            let line = said.lines().find(|line| line.contains(needle)).map(str::to_owned);
            ensure!(
                line.is_some() || ended.is_none(),
                "drawloom ended without saying {needle:?}:\n{said}"
            );
            Ok(line)
        };
        let found = wait::for_value(&format!("drawloom to say {needle:?}"), limit, probe);
        found.with_context(|| format!("it said:\n{}\n{}", self.stdout(), self.stderr()))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Fails at the limit; it is killed then and its words are quoted.
    pub fn wait(mut self, limit: Duration) -> anyhow::Result<Output> {
        let ended = wait::for_value("drawloom to end", limit, || Ok(self.child.try_wait()?));
        let status = ended.with_context(|| {
            format!(
                "its last words:\n{}\n{}",
                tail(&self.stdout, 20),
                tail(&self.stderr, 40)
            )
        })?;
        self.ended = true;
        Ok(self.output(status))
    }

    fn output(&self, status: ExitStatus) -> Output {
        Output {
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    fn raw_pid(&self) -> anyhow::Result<Pid> {
        Pid::from_raw(self.child.id().cast_signed()).context("a child has a positive id")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if let Ok(pid) = self.raw_pid() {
            // Gone already is fine.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn text(file: &Path) -> String {
    fs::read(file)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Drawloom, Signal};
    use crate::{processes, wait};
    use std::path::Path;
    use std::time::Duration;
    use tempfile::{TempDir, tempdir};

    const SOON: Duration = Duration::from_secs(30);

    fn shell(dir: &TempDir, script: &str) -> Drawloom {
        Drawloom::program(Path::new("/bin/sh"), dir.path()).args(["-c", script])
    }

    #[test]
    fn outputs_code_and_input_are_told_apart() {
        let dir = tempdir().unwrap();
        let output = shell(&dir, "cat; echo bad >&2; exit 7")
            .stdin("good")
            .run(SOON)
            .unwrap();
        assert_eq!((output.code, output.signal), (Some(7), None));
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("good", "bad\n")
        );
    }

    #[test]
    fn a_signal_is_not_an_exit_code() {
        let dir = tempdir().unwrap();
        let mut running = shell(&dir, "echo up; exec sleep 900").spawn().unwrap();
        assert_eq!(running.wait_for_text("up", SOON).unwrap(), "up");
        running.signal(Signal::TERM).unwrap();
        let output = running.wait(SOON).unwrap();
        assert_eq!((output.code, output.signal), (None, Some(15)));
    }

    #[test]
    fn what_does_not_end_in_time_is_killed_with_its_children() {
        let dir = tempdir().unwrap();
        let mut running = shell(&dir, "sleep 901 & echo child $!; wait").spawn().unwrap();
        let line = running.wait_for_text("child ", SOON).unwrap();
        let pid: i32 = line["child ".len()..].parse().unwrap();
        let child = processes::all()
            .into_iter()
            .find(|process| process.pid == pid)
            .unwrap();
        let error = running.wait(Duration::from_millis(10)).unwrap_err();
        assert!(format!("{error:#}").contains("to end"), "{error:#}");
        wait::until("the child's end", SOON, || child.has_ended()).unwrap();
    }

    #[test]
    fn waiting_for_words_ends_with_the_command() {
        let dir = tempdir().unwrap();
        let error = shell(&dir, "echo something else")
            .spawn()
            .unwrap()
            .wait_for_text("never", SOON)
            .unwrap_err();
        assert!(format!("{error:#}").contains("something else"), "{error:#}");
    }
}
