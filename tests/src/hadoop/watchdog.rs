//! The shell that ends a cluster when its owner cannot: it reads a pipe only the owner holds open, and at the end of
//! the pipe kills everything that carries the cluster's directory in its environment. Neither a panic, nor SIGKILL of
//! the test process, nor a static that is never dropped leaves anything behind.

use crate::processes::{CONTAINER_VARIABLES, MARKER};
use anyhow::Context;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `$1…` are the texts of which an environment must hold one. Ten rounds: a NodeManager may be starting containers
/// while it is being killed.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
cat >/dev/null
for round in 1 2 3 4 5 6 7 8 9 10; do
  found=$(grep -lzF -e "$1" -e "$2" -e "$3" /proc/[0-9]*/environ 2>/dev/null)
  [ -n "$found" ] || exit 0
  for file in $found; do
    pid=${file#/proc/}
    kill -9 "${pid%/environ}" 2>/dev/null
  done
  sleep 0.2
done
"#;

/// A running watchdog. Dropping it ends the cluster and waits until that is done.
#[derive(Debug)]
pub(super) struct Watchdog(Child);

impl Watchdog {
    pub(super) fn start(dir: &Path) -> anyhow::Result<Self> {
        let carries = |name: &str| format!("{name}={}/", dir.display());
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "drawloom-watchdog"])
            .arg(carries(MARKER))
            .args(CONTAINER_VARIABLES.map(carries));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        command.current_dir("/");
        Ok(Self(
            command.spawn().context("cannot start the cluster's watchdog")?,
        ))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // The script ends by itself after ten rounds; an error here means it was reaped already.
        let _ = self.0.wait();
    }
}
