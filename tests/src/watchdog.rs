//! The shell that ends a cluster when its owner cannot: it reads a pipe only the owner holds open, and at the end of
//! the pipe kills everything that is the cluster's. Neither a panic, nor SIGKILL of the test process, nor a static that
//! is never dropped leaves anything behind but the folder; and of that only what people read, such as logs: what was
//! stored and what nodes fetched would fill the disk, over a dozen suites, until nodes are unhealthy.

use crate::processes::{CONTAINER_VARIABLES, MARKER, WATCHDOG};
use anyhow::Context;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `$1` to `$3` are texts of which an environment must hold one, `$4` is the cluster's directory: who dropped its
/// environment is known by a working directory in a NodeManager's cache, unless it has a terminal (field 7 of `stat`),
/// for then it is a person's shell. Ten rounds: a NodeManager may be starting containers while it is being killed.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
without_terminal() {
  read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
  set -- ${stat##*) }
  [ "$5" = 0 ]
}
cat >/dev/null
for round in 1 2 3 4 5 6 7 8 9 10; do
  pids=
  for file in $(grep -lzF -e "$1" -e "$2" -e "$3" /proc/[0-9]*/environ 2>/dev/null); do
    file=${file#/proc/}
    pids="$pids ${file%/environ}"
  done
  for file in $(find /proc/[0-9]* -maxdepth 1 -name cwd -lname "$4/*/usercache/*" 2>/dev/null); do
    file=${file#/proc/}
    without_terminal "${file%/cwd}" && pids="$pids ${file%/cwd}"
  done
  [ -n "$pids" ] || break
  kill -9 $pids 2>/dev/null
  sleep 0.2
done
find "$4" -type f -size +1024k -delete 2>/dev/null
"#;

/// A running watchdog. Dropping it ends the cluster and waits until that is done.
#[derive(Debug)]
pub(crate) struct Watchdog(Child);

impl Watchdog {
    pub(crate) fn start(dir: &Path) -> anyhow::Result<Self> {
        let carries = |name: &str| format!("{name}={}/", dir.display());
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, WATCHDOG])
            .arg(carries(MARKER))
            .args(CONTAINER_VARIABLES.map(carries))
            .arg(dir);
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
