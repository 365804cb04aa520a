//! Executors by the number of slots they have free: every change is of constant cost.

use crate::index::{ExecutorIx, Ix};
use crate::policy::Placement;

/// Executors with free slots.
#[derive(Debug, Default)]
pub(crate) struct FreeSlots {
    /// By free slots, from one; the order inside is that of arrival, disturbed by removals.
    buckets: Vec<Vec<ExecutorIx>>,
    /// Of every executor: its free slots and its place in their bucket.
    places: Vec<(u32, u32)>,
    total: u32,
}

impl FreeSlots {
    /// Notes how many slots of an executor may be given away.
    pub(crate) fn set(&mut self, executor: ExecutorIx, free: u32) {
        let needed = executor.get() + 1;
        if self.places.len() < needed {
            self.places.resize(needed, (0, 0));
        }
        if self.places[executor.get()].0 == free {
            return;
        }
        self.total = self.total - self.places[executor.get()].0 + free;
        self.remove(executor);
        self.insert(executor, free);
    }

    /// Whether nobody has a free slot.
    pub(crate) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// All free slots together.
    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    pub(crate) fn of(&self, executor: ExecutorIx) -> u32 {
        self.places.get(executor.get()).map_or(0, |place| place.0)
    }

    /// Everyone with a free slot, the best first.
    pub(crate) fn ordered(&self, placement: Placement, into: &mut Vec<ExecutorIx>) {
        match placement {
            Placement::Spread => into.extend(self.buckets.iter().rev().flatten()),
            Placement::Pack => into.extend(self.buckets.iter().flatten()),
        }
    }

    fn remove(&mut self, executor: ExecutorIx) {
        let (free, place) = self.places[executor.get()];
        if free == 0 {
            return;
        }
        let bucket = &mut self.buckets[free as usize - 1];
        bucket.swap_remove(place as usize);
        if let Some(moved) = bucket.get(place as usize) {
            self.places[moved.get()].1 = place;
        }
    }

    fn insert(&mut self, executor: ExecutorIx, free: u32) {
        let slots = free as usize;
        if self.buckets.len() < slots {
            self.buckets.resize_with(slots, Vec::new);
        }
        let mut place = 0;
        if let Some(bucket) = slots.checked_sub(1).map(|number| &mut self.buckets[number]) {
            place = bucket.len();
            bucket.push(executor);
        }
        self.places[executor.get()] = (free, narrow(place));
    }
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).expect("there are fewer than 2^32 executors")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_freest_comes_first_when_spreading() {
        let mut free = FreeSlots::default();
        for (number, slots) in [1, 3, 2].into_iter().enumerate() {
            free.set(ExecutorIx::new(number), slots);
        }
        let ordered = |placement| {
            let mut list = Vec::new();
            free.ordered(placement, &mut list);
            list.into_iter().map(ExecutorIx::get).collect::<Vec<_>>()
        };
        assert_eq!(ordered(Placement::Spread), [1, 2, 0]);
        assert_eq!(ordered(Placement::Pack), [0, 2, 1]);
    }

    proptest! {
        #[test]
        fn it_is_a_map_from_executor_to_free_slots(changes in prop::collection::vec((0usize..8, 0u32..5), 0..60)) {
            let mut free = FreeSlots::default();
            let mut model = BTreeMap::new();
            for (number, slots) in changes {
                free.set(ExecutorIx::new(number), slots);
                model.insert(number, slots);
                let mut list = Vec::new();
                free.ordered(Placement::Spread, &mut list);
                let mut listed: Vec<_> = list.iter().map(|index| index.get()).collect();
                prop_assert!(list.is_sorted_by_key(|index| std::cmp::Reverse(model[&index.get()])));
                listed.sort_unstable();
                let expected: Vec<_> = model.iter().filter(|(_, slots)| **slots > 0).map(|(number, _)| *number).collect();
                prop_assert_eq!(listed, expected);
            }
        }
    }
}
