//! What the executor is doing, for those who only look: heartbeats and the dump that SIGQUIT asks for.
//!
//! Written by the session's loop and by the attempts; every lock is held for a few assignments only, so looking
//! works even when everything else is stuck.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use wire::id::TaskAttemptId;

use crate::process_table::{Process, own_pid, proc_file};

/// What an attempt is doing.
#[derive(Debug, Clone)]
pub(crate) struct AttemptView {
    pub(crate) phase: &'static str,
    pub(crate) since: Instant,
    pub(crate) pid: Option<i32>,
    /// Memory of all its processes, in bytes, as last seen.
    pub(crate) resident: u64,
}

#[derive(Debug, Default)]
struct Contents {
    session: String,
    attempts: BTreeMap<TaskAttemptId, AttemptView>,
}

/// The board.
#[derive(Debug, Default)]
pub(crate) struct Board {
    contents: Mutex<Contents>,
}

impl Board {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_session(&self, text: String) {
        self.contents().session = text;
    }

    /// An attempt goes into another phase.
    pub(crate) fn enter(&self, id: TaskAttemptId, phase: &'static str) {
        let since = Instant::now();
        let mut contents = self.contents();
        let view = contents.attempts.entry(id).or_insert(AttemptView {
            phase,
            since,
            pid: None,
            resident: 0,
        });
        (view.phase, view.since) = (phase, since);
    }

    pub(crate) fn set_pid(&self, id: TaskAttemptId, pid: i32) {
        if let Some(view) = self.contents().attempts.get_mut(&id) {
            view.pid = Some(pid);
        }
    }

    pub(crate) fn set_resident(&self, id: TaskAttemptId, resident: u64) {
        if let Some(view) = self.contents().attempts.get_mut(&id) {
            view.resident = resident;
        }
    }

    pub(crate) fn remove(&self, id: TaskAttemptId) {
        self.contents().attempts.remove(&id);
    }

    /// Memory of an attempt's processes, in bytes.
    pub(crate) fn resident(&self, id: TaskAttemptId) -> u64 {
        self.contents().attempts.get(&id).map_or(0, |view| view.resident)
    }

    /// The state of the executor as text: session, attempts, threads.
    pub(crate) fn dump(&self) -> String {
        let (session, attempts) = {
            let contents = self.contents();
            (contents.session.clone(), contents.attempts.clone())
        };
        let resident = Process::this().map_or(0, |process| process.resident());
        let mut text = format!(
            "executor process {}, {} KiB resident\nsession: {session}\n",
            own_pid(),
            resident >> 10
        );
        for (id, view) in attempts {
            let _ = writeln!(
                text,
                "attempt {id}: {} for {:?}, process {}, {} KiB resident",
                view.phase,
                view.since.elapsed(),
                view.pid.map_or_else(|| "none".to_owned(), |pid| pid.to_string()),
                view.resident >> 10
            );
        }
        dump_threads(&mut text);
        text
    }
}

fn dump_threads(text: &mut String) {
    let threads = fs::read_dir(proc_file(own_pid(), "task"))
        .into_iter()
        .flatten()
        .flatten();
    for thread in threads {
        let line = |name: &str| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
        let name = line("comm");
        let waits_in = line("wchan");
        let cpu = Process::parse(&line("stat"))
            .map(|thread| thread.cpu())
            .unwrap_or_default();
        let id = thread.file_name();
        let _ = writeln!(
            text,
            "thread {} {:?}: {cpu:?} processor time, in {waits_in}",
            id.display(),
            name.trim_end()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_names_session_attempts_and_threads() {
        let board = Board::default();
        let id: TaskAttemptId = "0:1.0/7.2".parse().unwrap();
        board.set_session("serving".to_owned());
        board.enter(id, "running");
        board.set_pid(id, 4711);
        board.set_resident(id, 5 << 20);
        let dump = board.dump();
        assert!(dump.contains("session: serving"), "{dump}");
        assert!(dump.contains("attempt 0:1.0/7.2: running"), "{dump}");
        assert!(dump.contains("process 4711, 5120 KiB"), "{dump}");
        assert!(dump.contains("\nthread "), "{dump}");
    }
}
