//! The latest failures, as pages and clients show them.

use std::collections::VecDeque;

use crate::summary::{FailureNote, MAX_FAILURES};

/// At most [`MAX_FAILURES`] notes, the latest last (J).
#[derive(Debug, Default)]
pub struct Notes {
    notes: VecDeque<FailureNote>,
    lost: u32,
}

impl Notes {
    /// Adds a failed task attempt or a lost executor.
    pub fn add(&mut self, note: FailureNote) {
        if note.kind == "executor" {
            self.lost += 1;
        }
        if self.notes.len() == MAX_FAILURES {
            self.notes.pop_front();
        }
        self.notes.push_back(note);
    }

    /// The notes, the latest last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &FailureNote> {
        self.notes.iter()
    }

    /// Executors lost so far.
    #[must_use]
    pub fn executors_lost(&self) -> u32 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_are_kept_and_all_losses_are_counted() {
        let mut notes = Notes::default();
        for at in 0..120 {
            notes.add(FailureNote {
                unix_ms: at,
                kind: "executor".into(),
                ..FailureNote::default()
            });
        }
        assert_eq!(notes.iter().count(), MAX_FAILURES);
        assert_eq!(notes.iter().last().map(|note| note.unix_ms), Some(119));
        assert_eq!(notes.executors_lost(), 120);
    }
}
