//! What is going to happen, in the order of virtual time; what is due at the same time comes in the order of entry.

use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Agenda<T> {
    entries: BTreeMap<(Duration, u64), T>,
    number: u64,
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            number: 0,
        }
    }

    pub(crate) fn add(&mut self, at: Duration, entry: T) {
        self.number += 1;
        self.entries.insert((at, self.number), entry);
    }

    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Duration, T)> {
        let ((at, _), entry) = self.entries.pop_first()?;
        Some((at, entry))
    }
}
