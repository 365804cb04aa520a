//! Ends what is left when this process is killed: a small shell that waits for the end of a pipe.
//!
//! It is told of every process group that begins and ends. When the pipe ends, because this process has, it kills the
//! groups that are left and removes the cluster's directory if that is what would have become of it.

use std::io::{PipeWriter, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use tokio::process::{Child, Command};

/// `+ GROUP` begins, `- GROUP` ends, `keep` leaves the directory.
const SCRIPT: &str = r#"
declare -A groups
while read -r what group; do
  case $what in
    +) groups[$group]=1 ;;
    -) unset "groups[$group]" ;;
    keep) set -- ;;
  esac
done
for group in "${!groups[@]}"; do kill -KILL -- "-$group"; done
[ $# -eq 0 ] || rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
"#;

/// The shell, and the way to tell it.
#[derive(Debug)]
pub(crate) struct Guard {
    pipe: Mutex<PipeWriter>,
    /// Ends by itself after the pipe.
    _shell: Child,
}

impl Guard {
    /// Starts the shell; `directory` is removed at the end.
    ///
    /// # Errors
    /// There is no bash, or no pipe is to be had.
    pub(crate) fn start(directory: Option<&Path>) -> std::io::Result<Self> {
        let (reader, pipe) = std::io::pipe()?;
        let mut command = Command::new("/bin/bash");
        command
            .args(["-c", SCRIPT, "drawloom-mini-guard"])
            .args(directory);
        // What this process is told by its terminal is not meant for the guard.
        command.process_group(0).current_dir("/").stdin(reader);
        let shell = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self {
            pipe: Mutex::new(pipe),
            _shell: shell,
        })
    }

    /// A process group has begun.
    pub(crate) fn watch(&self, group: i32) {
        self.tell(&format!("+ {group}\n"));
    }

    /// It has ended.
    pub(crate) fn release(&self, group: i32) {
        self.tell(&format!("- {group}\n"));
    }

    /// The directory stays.
    pub(crate) fn keep_directory(&self) {
        self.tell("keep\n");
    }

    fn tell(&self, line: &str) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = pipe.write_all(line.as_bytes()) {
            tracing::warn!(%error, "nobody ends this cluster's processes if it is killed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::{CommandExt, ExitStatusExt};

    fn sleeper() -> std::process::Child {
        let mut command = std::process::Command::new("sleep");
        command.arg("600").process_group(0).spawn().unwrap()
    }

    #[tokio::test]
    async fn what_was_not_released_dies_with_the_pipe_and_the_directory_goes() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let (mut left, mut released) = (sleeper(), sleeper());
        let guard = Guard::start(Some(&inner)).unwrap();
        for child in [&left, &released] {
            guard.watch(child.id() as i32);
        }
        guard.release(released.id() as i32);
        let Guard { pipe, _shell } = guard;
        let mut shell = _shell;
        drop(pipe);
        assert!(shell.wait().await.unwrap().success());
        assert_eq!(left.wait().unwrap().signal(), Some(9));
        assert_eq!(released.try_wait().unwrap(), None);
        assert!(!inner.exists());
        released.kill().unwrap();
        released.wait().unwrap();
    }
}
