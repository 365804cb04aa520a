//! One JVM of a cluster, started, signalled and started again.

use super::layout::Role;
use crate::wait;
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const END: Duration = Duration::from_secs(90);

/// A daemon and, while it lives, its process. Shared by reference between the tests of a suite.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) role: Role,
    pub(super) log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Daemon {
    pub(super) fn new(role: Role, log: PathBuf) -> Self {
        Self {
            role,
            log,
            child: Mutex::new(None),
        }
    }

    /// Starts it in a process group of its own (Ctrl-C is for the test runner), its words appended to the log.
    pub(super) fn spawn(&self, mut command: Command) -> anyhow::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        command
            .stdin(Stdio::null())
            .stderr(log.try_clone()?)
            .stdout(log)
            .process_group(0);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.role))?;
        *self.child() = Some(child);
        Ok(())
    }

    /// How it ended, if it was started and has ended.
    pub(super) fn ended(&self) -> anyhow::Result<Option<ExitStatus>> {
        match self.child().as_mut() {
            Some(child) => Ok(child.try_wait()?),
            None => Ok(None),
        }
    }

    /// Fails, with the end of the log, when the daemon is no more.
    pub(super) fn must_live(&self) -> anyhow::Result<()> {
        if let Some(status) = self.ended()? {
            bail!(
                "{} ended ({status}); its last words:\n{}",
                self.role,
                super::tail(&self.log, 30)
            );
        }
        Ok(())
    }

    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let child = self.child();
        let pid = child
            .as_ref()
            .and_then(|child| Pid::from_raw(child.id().cast_signed()));
        let pid = pid.with_context(|| format!("{} is not running", self.role))?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.role))
    }

    /// Waits until it has ended and forgets it.
    pub(super) fn wait_end(&self) -> anyhow::Result<()> {
        wait::for_value(&format!("the end of {}", self.role), END, || self.ended())?;
        *self.child() = None;
        Ok(())
    }

    /// SIGKILL, and gone when this returns. Not an error when it is not running.
    pub(super) fn kill(&self) -> anyhow::Result<()> {
        if self.child().is_none() {
            return Ok(());
        }
        if self.ended()?.is_none() {
            self.signal(Signal::KILL)?;
        }
        self.wait_end()
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
