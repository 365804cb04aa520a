//! Who begins when one ends: attempts that were launched ahead wait here for a place, and take it without a word from
//! the session.
//!
//! An attempt that has begun holds a place until it ends or its place is lent, whichever comes first. As long as one
//! waits, as many places are held as there are slots, so that one that waits is never forgotten; and none begins while
//! more are held.

use std::collections::{BTreeSet, VecDeque};

use wire::id::TaskAttemptId;

/// Those that hold places, and those that wait for one, which are `T`.
#[derive(Debug)]
pub(crate) struct Line<T> {
    slots: usize,
    places: BTreeSet<TaskAttemptId>,
    waiting: VecDeque<(TaskAttemptId, T)>,
}

impl<T> Line<T> {
    /// Nobody is there yet.
    pub(crate) fn new(slots: u32) -> Self {
        Self {
            slots: usize::try_from(slots).unwrap_or(usize::MAX),
            places: BTreeSet::new(),
            waiting: VecDeque::new(),
        }
    }

    /// One that is launched: given back if it begins now. One that is not `ahead` does in any case.
    pub(crate) fn enter(&mut self, id: TaskAttemptId, one: T, ahead: bool) -> Option<T> {
        if ahead && self.places.len() >= self.slots {
            self.waiting.push_back((id, one));
            return None;
        }
        self.places.insert(id);
        Some(one)
    }

    /// One that could not begin after all waits, before all others.
    pub(crate) fn postpone(&mut self, id: TaskAttemptId, one: T) {
        self.places.remove(&id);
        self.waiting.push_front((id, one));
    }

    /// One has ended, or its place is lent: gives the one that begins instead. Nothing when it held no place any more.
    pub(crate) fn leave(&mut self, id: TaskAttemptId) -> Option<(TaskAttemptId, T)> {
        let left = self.places.remove(&id) && self.places.len() < self.slots;
        let next = left.then(|| self.waiting.pop_front()).flatten();
        self.places.extend(next.as_ref().map(|(id, _)| *id));
        next
    }

    /// Takes out one that waits; whether it did.
    pub(crate) fn remove(&mut self, id: TaskAttemptId) -> bool {
        let place = self.waiting.iter().position(|(waiting, _)| *waiting == id);
        place.and_then(|place| self.waiting.remove(place)).is_some()
    }

    /// Those that hold places.
    #[cfg(test)]
    pub(crate) fn places(&self) -> &BTreeSet<TaskAttemptId> {
        &self.places
    }

    /// Those that wait, in order.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> impl Iterator<Item = TaskAttemptId> + '_ {
        self.waiting.iter().map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::tests::task;

    fn id(partition: u32) -> TaskAttemptId {
        task(partition, 0).id
    }

    fn next(line: &mut Line<u32>, ended: u32) -> Option<u32> {
        line.leave(id(ended)).map(|(_, one)| one)
    }

    #[test]
    fn a_place_is_left_once_whether_it_was_lent_or_its_holder_ended() {
        let mut line = Line::new(1);
        assert_eq!(line.enter(id(1), 1, false), Some(1));
        for one in [2, 3] {
            assert_eq!(line.enter(id(one), one, true), None);
        }
        assert_eq!(next(&mut line, 1), Some(2));
        assert_eq!(next(&mut line, 1), None);
        assert_eq!(next(&mut line, 2), Some(3));
        assert_eq!(next(&mut line, 3), None);
        assert_eq!(line.enter(id(4), 4, true), Some(4), "there is room at once");
    }

    #[test]
    fn who_could_not_begin_is_the_first_to_begin_later_and_none_does_without_room() {
        let mut line = Line::new(2);
        for one in [1, 2, 3] {
            line.enter(id(one), one, false);
        }
        assert_eq!(line.enter(id(4), 4, true), None);
        line.postpone(id(3), 3);
        assert!(line.remove(id(4)) && !line.remove(id(4)));
        assert_eq!(next(&mut line, 1), Some(3));
        line.enter(id(5), 5, false);
        line.enter(id(6), 6, true);
        assert_eq!(next(&mut line, 2), None, "two are there still");
        assert_eq!(next(&mut line, 3), Some(6));
    }
}
