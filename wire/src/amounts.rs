//! Amounts of what tasks of one executor share besides its slots: memory, and whatever else its container was given.
//!
//! Driver and executor count with the same arithmetic, so that both agree on which task of a queue begins when.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The name of memory among amounts, in bytes. YARN has no resource of this name, and job files refuse it.
pub const MEMORY: &str = "memory";

/// Amounts by name: what an executor has, what is left there, or what a task needs. What is not named is 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Amounts(BTreeMap<String, u64>);

impl Amounts {
    /// How much there is of a name.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Whether nothing is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every name with its amount, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// How many tasks that need so much fit beside each other; without end when they need nothing.
    #[must_use]
    pub fn places(&self, needs: &Self) -> u64 {
        let each = needs.iter().filter(|(_, amount)| *amount > 0);
        each.map(|(name, amount)| self.of(name) / amount)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Whether one task that needs so much fits.
    #[must_use]
    pub fn holds(&self, needs: &Self) -> bool {
        self.places(needs) > 0
    }

    /// Takes away what a task needs, as far as it is there.
    pub fn take(&mut self, needs: &Self) {
        for (name, amount) in needs.iter() {
            if let Some(left) = self.0.get_mut(name) {
                *left = left.saturating_sub(amount);
            }
        }
    }

    /// Puts back what a task needed.
    pub fn give_back(&mut self, needs: &Self) {
        for (name, amount) in needs.iter() {
            if let Some(left) = self.0.get_mut(name) {
                *left = left.saturating_add(amount);
            }
        }
    }

    /// These amounts, each at most as large as in `limit`.
    #[must_use]
    pub fn at_most(&self, limit: &Self) -> Self {
        let cut = self
            .0
            .iter()
            .map(|(name, &amount)| (name.clone(), amount.min(limit.of(name))));
        cut.collect()
    }
}

impl FromIterator<(String, u64)> for Amounts {
    fn from_iter<T: IntoIterator<Item = (String, u64)>>(amounts: T) -> Self {
        Self(amounts.into_iter().collect())
    }
}

/// `yarn.io/gpu=1,fpga=2`, in the order of the names; nothing is the empty text.
impl fmt::Display for Amounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, amount)) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{name}={amount}")?;
        }
        Ok(())
    }
}

impl FromStr for Amounts {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let entry = |entry: &str| {
            let (name, amount) = entry
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or(())?;
            Ok((name.to_owned(), amount.parse().map_err(|_| ())?))
        };
        text.split(',')
            .filter(|each| !each.is_empty())
            .map(entry)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_amounts() -> impl Strategy<Value = Amounts> {
        let entries = prop::collection::btree_map("[a-c/.]{1,3}", 0u64..9, 0..4);
        entries.prop_map(|entries| entries.into_iter().collect())
    }

    #[test]
    fn the_scarcest_decides_and_what_is_not_there_has_no_place() {
        let amounts = |text: &str| text.parse::<Amounts>().unwrap();
        let there = amounts("gpu=4,memory=10");
        assert_eq!(there.places(&amounts("gpu=1,memory=4")), 2);
        assert_eq!(there.places(&amounts("fpga=1")), 0);
        assert_eq!(there.places(&amounts("fpga=0")), u64::MAX);
        assert!("gpu".parse::<Amounts>().is_err() && "=1".parse::<Amounts>().is_err());
    }

    proptest! {
        #[test]
        fn they_are_read_as_they_are_printed(amounts in any_amounts()) {
            prop_assert_eq!(amounts.to_string().parse(), Ok(amounts));
        }

        #[test]
        fn what_fits_can_be_taken_that_often_and_put_back(there in any_amounts(), needs in any_amounts()) {
            let mut left = there.clone();
            let places = there.places(&needs).min(20);
            for _ in 0..places {
                prop_assert!(left.holds(&needs));
                left.take(&needs);
            }
            prop_assert!(places == 20 || !left.holds(&needs));
            for _ in 0..places {
                left.give_back(&needs);
            }
            prop_assert_eq!(left, there);
        }
    }
}
