//! What the executor is doing, for those who only look: heartbeats and the dump that SIGQUIT asks for.
//!
//! Written by the session's loop and by the attempts; every lock is held for a few assignments only, so looking
//! works even when everything else is stuck.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use wire::id::TaskAttemptId;
use wire::task::LONGEST_NAME;

use crate::process_table::{Process, own_pid, proc_file};
use crate::said::Said;
use crate::session::Standing;

/// What a task says about itself.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    /// The bits of a number from 0 to 1.
    progress: AtomicU32,
    status: Mutex<String>,
}

impl Gauge {
    /// Anything that is no number from 0 to 1 becomes the nearest.
    pub(crate) fn set_progress(&self, done: f32) {
        let done = if done.is_nan() { 0.0 } else { done.clamp(0.0, 1.0) };
        self.progress.store(done.to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn progress(&self) -> f32 {
        f32::from_bits(self.progress.load(Ordering::Relaxed))
    }

    /// Keeps the beginning of the text.
    pub(crate) fn set_status(&self, text: &str) {
        let short = text[..text.floor_char_boundary(LONGEST_NAME)].to_owned();
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = short;
    }

    pub(crate) fn status(&self) -> String {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What an attempt is doing.
#[derive(Debug, Clone)]
pub(crate) struct AttemptView {
    pub(crate) phase: &'static str,
    pub(crate) since: Instant,
    pub(crate) pid: Option<i32>,
    /// Memory of all its processes, in bytes, as last seen.
    pub(crate) resident: u64,
    pub(crate) said: Arc<Said>,
}

#[derive(Debug, Default)]
struct Contents {
    session: Standing,
    attempts: BTreeMap<TaskAttemptId, AttemptView>,
    /// The most that the executor and all attempts were seen to use together, in bytes.
    peak: u64,
}

/// The memory of a container whose limit is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overuse {
    /// What executor and attempts use together, in bytes.
    pub(crate) used: u64,
    /// The attempt that uses the most.
    pub(crate) largest: TaskAttemptId,
}

impl Contents {
    /// What is used now.
    fn note_peak(&mut self) -> u64 {
        let own = Process::this().map_or(0, |process| process.resident());
        let used = own + self.attempts.values().map(|view| view.resident).sum::<u64>();
        self.peak = self.peak.max(used);
        used
    }
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

    pub(crate) fn set_session(&self, standing: Standing) {
        self.contents().session = standing;
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
            said: Arc::default(),
        });
        (view.phase, view.since) = (phase, since);
    }

    /// Where the attempt says what it says about itself.
    pub(crate) fn set_said(&self, id: TaskAttemptId, said: Arc<Said>) {
        if let Some(view) = self.contents().attempts.get_mut(&id) {
            view.said = said;
        }
    }

    /// Memory of an attempt's processes in bytes, and what it says about itself.
    pub(crate) fn vital(&self, id: TaskAttemptId) -> (u64, Arc<Said>) {
        let view = self.contents().attempts.get(&id).cloned();
        view.map(|view| (view.resident, view.said)).unwrap_or_default()
    }

    pub(crate) fn set_pid(&self, id: TaskAttemptId, pid: i32) {
        if let Some(view) = self.contents().attempts.get_mut(&id) {
            view.pid = Some(pid);
        }
    }

    /// Notes what an attempt uses; gives the overuse when executor and attempts together are above `limit` bytes.
    pub(crate) fn set_resident(&self, id: TaskAttemptId, resident: u64, limit: u64) -> Option<Overuse> {
        let mut contents = self.contents();
        if let Some(view) = contents.attempts.get_mut(&id) {
            view.resident = resident;
        }
        let used = contents.note_peak();
        let (&largest, _) = contents.attempts.iter().max_by_key(|(_, view)| view.resident)?;
        (used > limit).then_some(Overuse { used, largest })
    }

    /// The most that the executor and its attempts were seen to use together, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        let mut contents = self.contents();
        contents.note_peak();
        contents.peak
    }

    pub(crate) fn remove(&self, id: TaskAttemptId) {
        self.contents().attempts.remove(&id);
    }

    /// The state of the executor as text: session, attempts, threads.
    pub(crate) fn dump(&self) -> String {
        let (session, attempts) = {
            let contents = self.contents();
            (contents.session, contents.attempts.clone())
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
        board.set_session(Standing::default());
        board.enter(id, "running");
        board.set_pid(id, 4711);
        assert_eq!(board.set_resident(id, 5 << 20, u64::MAX), None);
        let dump = board.dump();
        assert!(dump.contains("session: ; epoch 0; 0 attempts run"), "{dump}");
        assert!(dump.contains("attempt 0:1.0/7.2: running"), "{dump}");
        assert!(dump.contains("process 4711, 5120 KiB"), "{dump}");
        assert!(dump.contains("\nthread "), "{dump}");
    }

    #[test]
    fn the_largest_attempt_is_named_when_the_container_is_full() {
        let board = Board::default();
        let (small, large) = ("0:1.0/7.2".parse().unwrap(), "0:1.0/8.0".parse().unwrap());
        board.enter(small, "running");
        board.enter(large, "running");
        let limit = 1 << 40;
        assert_eq!(board.set_resident(large, limit, limit * 4), None);
        let overuse = board.set_resident(small, 1, limit).unwrap();
        assert_eq!(overuse.largest, large);
        assert!(overuse.used > limit && board.peak() >= overuse.used);
    }
}
