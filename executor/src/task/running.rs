//! The command of an attempt while it runs: its input is fed, its output taken, its memory watched, and when it ends
//! or has to end, all its processes with it.
//!
//! Three flags order the end: `exited` (the first process is gone: feeding stops), `closed` (nobody writes any
//! more), `gone` (no process is left as far as we know: whoever still holds a pipe is not waited for).

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use futures::FutureExt;
use futures::future::{pending, try_join};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};
use wire::failure::{FailureCause, KillReason};
use wire::task::Capture;

use crate::children::{Child, Exit};
use crate::pace::MOMENT;
use crate::said::{ErrorListener, FileListener};
use crate::session::Event;
use crate::task::attempt::{Attempt, Interruption, lock};
use crate::task::capture::Place;
use crate::task::command::marker;
use crate::task::directory::Directory;
use crate::task::feed;
use crate::task::log::BoundedLog;
use crate::task::stream::PipeReader;
use crate::task::tree::TaskTree;

/// How long processes that a successful command left behind may go on writing its result (`cmd > >(sort)` in bash
/// does not wait for `sort`).
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);

/// How long the last words of processes that were ended may take to be read.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A command that runs.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    attempt: &'a Attempt,
    directory: &'a Directory,
    place: Option<&'a Place>,
    pid: i32,
    tree: TaskTree,
    /// The file in which the command may say something.
    listener: FileListener,
    exited: watch::Sender<bool>,
    closed: watch::Sender<bool>,
    gone: watch::Sender<bool>,
}

impl<'a> Running<'a> {
    /// What was started as `child`.
    pub(crate) fn new(
        attempt: &'a Attempt,
        child: &Child,
        directory: &'a Directory,
        place: Option<&'a Place>,
    ) -> Self {
        let tree = TaskTree::new(child.pid, &marker(attempt.id()), directory.path().to_owned());
        let flag = || watch::Sender::new(false);
        Self {
            attempt,
            directory,
            place,
            pid: child.pid,
            tree,
            listener: FileListener::new(directory.progress_file()),
            exited: flag(),
            closed: flag(),
            gone: flag(),
        }
    }

    /// Goes on until no process of the command is left.
    ///
    /// # Errors
    /// Why it was ended, when it did not end by itself.
    pub(crate) async fn run(&self, child: Child) -> Result<Exit, FailureCause> {
        let attempt = self.attempt;
        attempt.enter("running");
        attempt.context.board.set_pid(attempt.id(), child.pid);
        let mut body = std::pin::pin!(self.to_end(child).fuse());
        let interruption = tokio::select! {
            biased;
            interruption = attempt.interrupted() => interruption,
            interruption = self.watch_memory() => interruption,
            never = self.tell_begun() => match never {},
            done = &mut body => {
                if done.is_err() {
                    self.tree.kill().await;
                }
                return done;
            }
        };
        attempt.enter("ending");
        // The body goes on meanwhile: what the processes say to the end is read.
        let last_words = async {
            drop(body.await);
            pending::<()>().await;
        };
        tokio::select! {
            () = self.end(interruption.grace) => {}
            () = last_words => {}
        }
        Err(interruption.cause)
    }

    /// Says that the command has begun, a moment later when nobody waits for that: most short ones are over by then.
    async fn tell_begun(&self) -> Infallible {
        let attempt = self.attempt;
        if attempt.order.unhurried {
            sleep(MOMENT).await;
        }
        let (id, pid) = (attempt.id(), self.pid.unsigned_abs());
        attempt.tell(Event::TaskStarted { id, pid }).await;
        pending().await
    }

    /// Takes in what the command has said in its file.
    pub(crate) fn listen(&self) {
        self.listener.look(&self.attempt.said);
    }

    async fn end(&self, grace: Duration) {
        self.tree.end(grace).await;
        sleep(LAST_WORDS.min(grace)).await;
    }

    /// Samples the memory of all processes and resolves when it is above the limit.
    async fn watch_memory(&self) -> Interruption {
        let attempt = self.attempt;
        let limit = attempt.order.stage.memory_limit;
        let mut pause = Duration::from_millis(50);
        loop {
            sleep(pause).await;
            let resident = self.tree.resident();
            self.listen();
            let peak = attempt
                .meter
                .peak
                .fetch_max(resident, Ordering::Relaxed)
                .max(resident);
            let container = attempt.context.settings.memory_limit;
            let overuse = attempt
                .context
                .board
                .set_resident(attempt.id(), resident, container);
            if let Some(limit) = limit.filter(|limit| resident > *limit) {
                return ended_for(FailureCause::MemoryLimit { limit, peak });
            }
            if let Some(overuse) = overuse.filter(|overuse| overuse.largest == attempt.id()) {
                // Pages that processes share were counted in each.
                let own = self.tree.proportional();
                let used = overuse.used.saturating_sub(resident.saturating_sub(own));
                let limit = container;
                if used > limit {
                    return ended_for(FailureCause::ContainerMemory { limit, used, own });
                }
            }
            pause = next_pause(pause, resident, limit.unwrap_or(container));
        }
    }

    /// From the started command to the end of all its processes and pipes.
    async fn to_end(&self, child: Child) -> Result<Exit, FailureCause> {
        let Child {
            stdin,
            stdout,
            stderr,
            exit,
            ..
        } = child;
        let process = try_join(self.ending(exit), self.feed(stdin));
        let ((exit, ()), ()) = try_join(process, self.outputs(stdout, stderr)).await?;
        Ok(exit)
    }

    async fn ending(&self, exit: oneshot::Receiver<Exit>) -> Result<Exit, FailureCause> {
        let stopping = |_| FailureCause::Killed(KillReason::ExecutorStopping);
        let exit = exit.await.map_err(stopping)?;
        self.exited.send_replace(true);
        if exit.status.success() {
            drop(timeout(LEFTOVER_GRACE, self.closed.subscribe().wait_for(|closed| *closed)).await);
        }
        self.end_leftovers().await;
        self.gone.send_replace(true);
        Ok(exit)
    }

    async fn end_leftovers(&self) {
        // Most commands leave nothing behind, and that is much cheaper to see than what they did leave.
        if self.attempt.context.children.leaves_nothing_behind() {
            return self.directory.release();
        }
        if !self.tree.is_empty() {
            let note = b"[drawloom: the command ended and left processes behind; they were ended]\n";
            lock(&self.attempt.stderr).write(note);
            self.tree.kill().await;
        }
    }

    async fn feed(&self, stdin: Option<ChildStdin>) -> Result<(), FailureCause> {
        let Some(stdin) = stdin else {
            return Ok(());
        };
        let attempt = self.attempt;
        let mut exited = self.exited.subscribe();
        let inputs = &attempt.order.task.inputs;
        tokio::select! {
            fed = feed::to_pipe(&attempt.context.storage, inputs, stdin.into(), &attempt.meter.input) => fed,
            _ = exited.wait_for(|exited| *exited) => Ok(()),
        }
    }

    async fn outputs(
        &self,
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
    ) -> Result<(), FailureCause> {
        let stdout = self.take_stdout(stdout.map(OwnedFd::from));
        let stderr = self.log(stderr.map(OwnedFd::from), &self.attempt.stderr);
        try_join(stdout, stderr).await?;
        self.closed.send_replace(true);
        Ok(())
    }

    async fn take_stdout(&self, pipe: Option<OwnedFd>) -> Result<(), FailureCause> {
        match (self.place, pipe) {
            (Some(place), Some(pipe)) if self.attempt.order.stage.capture == Capture::Stdout => {
                let mut pipe = self.reader(pipe)?;
                place.write_stream(&mut pipe, &self.attempt.meter.output).await
            }
            (_, pipe) => self.log(pipe, &self.attempt.stdout).await,
        }
    }

    async fn log(&self, pipe: Option<OwnedFd>, log: &Mutex<BoundedLog>) -> Result<(), FailureCause> {
        let Some(pipe) = pipe else {
            return Ok(());
        };
        let mut pipe = self.reader(pipe)?;
        let mut buffer = BytesMut::new();
        let mut listener = ErrorListener::default();
        let is_stderr = std::ptr::eq(log, &raw const self.attempt.stderr);
        while pipe.read(&mut buffer).await.map_err(|error| unreadable(&error))? > 0 {
            if is_stderr {
                listener.hear(&buffer, &self.attempt.said);
            }
            lock(log).write(&buffer);
            buffer.clear();
        }
        Ok(())
    }

    fn reader(&self, pipe: OwnedFd) -> Result<PipeReader, FailureCause> {
        let patience = if self.attempt.feeds_stdin() {
            Duration::ZERO
        } else {
            MOMENT
        };
        PipeReader::new(pipe, patience, self.exited.subscribe(), self.gone.subscribe())
            .map_err(|error| unreadable(&error))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.attempt.context.children.settle(self.pid);
    }
}

/// Memory is needed now, so nobody is asked to end.
fn ended_for(cause: FailureCause) -> Interruption {
    Interruption {
        cause,
        grace: Duration::ZERO,
    }
}

fn unreadable(error: &io::Error) -> FailureCause {
    FailureCause::Unclassified(format!("cannot read what the command writes: {error}"))
}

/// How long until memory is looked at again: soon after the start and near the limit, else once a second.
fn next_pause(pause: Duration, resident: u64, limit: u64) -> Duration {
    let near = resident > limit / 2;
    let longest = if near {
        Duration::from_millis(200)
    } else {
        Duration::from_secs(1)
    };
    (pause * 3 / 2).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_watched_closely_near_the_limit() {
        let second = Duration::from_secs(1);
        assert_eq!(next_pause(second, 10, 100), second);
        assert_eq!(next_pause(second, 60, 100), Duration::from_millis(200));
        assert_eq!(
            next_pause(Duration::from_millis(50), 10, 100),
            Duration::from_millis(75)
        );
    }
}
