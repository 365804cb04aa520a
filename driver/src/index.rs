//! Dense numbers for what is looked up often.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// A number of a kind: an index in the list of that kind's values.
pub(crate) trait Ix: Copy {
    fn new(number: usize) -> Self;
    fn get(self) -> usize;
}

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(u32);

        impl Ix for $name {
            fn new(number: usize) -> Self {
                Self(u32::try_from(number).expect("fewer than 2^32 of a kind fit into memory"))
            }

            fn get(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index!(
    /// An executor that registered, in order of registration; never used again for another.
    ExecutorIx
);
index!(
    /// A node that was named.
    HostIx
);
index!(
    /// A live task attempt; used again once that one is over.
    AttemptIx
);
index!(
    /// A rack that was named.
    RackIx
);
index!(
    /// A pool; the root is the first.
    PoolIx
);
index!(
    /// A stage of the plan.
    StageIx
);

impl ExecutorIx {
    /// The number as it is in the journal.
    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

impl StageIx {
    /// The stage's number as it is in ids.
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// Values with numbers; a number is free again once its value is removed.
#[derive(Debug)]
pub(crate) struct Slab<I, T> {
    entries: Vec<Option<T>>,
    vacant: Vec<I>,
}

impl<I: Ix, T> Slab<I, T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
            vacant: Vec::new(),
        }
    }

    pub(crate) fn insert(&mut self, value: T) -> I {
        if let Some(index) = self.vacant.pop() {
            self.entries[index.get()] = Some(value);
            return index;
        }
        self.entries.push(Some(value));
        I::new(self.entries.len() - 1)
    }

    pub(crate) fn remove(&mut self, index: I) -> Option<T> {
        let value = self.entries.get_mut(index.get())?.take()?;
        self.vacant.push(index);
        Some(value)
    }

    pub(crate) fn get(&self, index: I) -> Option<&T> {
        self.entries.get(index.get())?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: I) -> Option<&mut T> {
        self.entries.get_mut(index.get())?.as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        let numbered = self.entries.iter().enumerate();
        numbered.filter_map(|(number, entry)| Some((I::new(number), entry.as_ref()?)))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.vacant.len()
    }
}

/// A list that is indexed by its own kind of number.
#[derive(Debug)]
pub(crate) struct Table<I, T> {
    entries: Vec<T>,
    kind: PhantomData<I>,
}

impl<I: Ix, T> Table<I, T> {
    pub(crate) fn new(entries: Vec<T>) -> Self {
        Self {
            entries,
            kind: PhantomData,
        }
    }

    pub(crate) fn push(&mut self, value: T) -> I {
        self.entries.push(value);
        I::new(self.entries.len() - 1)
    }

    pub(crate) fn get(&self, index: I) -> Option<&T> {
        self.entries.get(index.get())
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        let numbered = self.entries.iter().enumerate();
        numbered.map(|(number, entry)| (I::new(number), entry))
    }

    pub(crate) fn indexes(&self) -> impl Iterator<Item = I> + use<I, T> {
        (0..self.entries.len()).map(I::new)
    }
}

impl<I: Ix, T> Index<I> for Table<I, T> {
    type Output = T;

    fn index(&self, index: I) -> &T {
        &self.entries[index.get()]
    }
}

impl<I: Ix, T> IndexMut<I> for Table<I, T> {
    fn index_mut(&mut self, index: I) -> &mut T {
        &mut self.entries[index.get()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slab_uses_numbers_again() {
        let mut slab: Slab<AttemptIx, &str> = Slab::new();
        let first = slab.insert("a");
        let second = slab.insert("b");
        assert_eq!(slab.remove(first), Some("a"));
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.insert("c"), first);
        assert_eq!((slab.get(first), slab.get(second)), (Some(&"c"), Some(&"b")));
        assert_eq!(slab.len(), 2);
    }
}
