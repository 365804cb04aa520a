//! How sizes of containers are rounded, compared and added up.

use std::collections::BTreeMap;

use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::Resource;

/// Hadoop's `ResourceCalculator`s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calculator {
    /// `DefaultResourceCalculator`, the default: memory alone counts, and every container has one core and nothing else,
    /// whatever was asked for.
    Memory,
    /// `DominantResourceCalculator`: memory, cores and all other resources count.
    Dominant,
}

impl Calculator {
    /// What is granted for what was asked: memory in whole steps, at least one core, and nothing that the cluster does not
    /// know, which is dropped without a word.
    pub(super) fn normalise(self, asked: &Resource, step_mb: u64, maximum: &Resource) -> Resource {
        let memory = asked.memory_mb.max(1).div_ceil(step_mb) * step_mb;
        let memory = memory.min(maximum.memory_mb);
        match self {
            Self::Memory => Resource::new(memory, 1),
            Self::Dominant => Resource {
                others: known(asked, maximum),
                ..Resource::new(memory, asked.vcores.clamp(1, maximum.vcores.max(1)))
            },
        }
    }

    /// Whether there is room for a container in what is free.
    pub(super) fn fits(self, wanted: &Resource, free: &Resource) -> bool {
        let memory = wanted.memory_mb <= free.memory_mb;
        match self {
            Self::Memory => memory,
            Self::Dominant => memory && wanted.vcores <= free.vcores && exceeded(wanted, free).is_none(),
        }
    }

    /// What an ApplicationMaster is told that is counted.
    pub(super) fn types(self) -> Vec<i32> {
        let memory = pb::SchedulerResourceTypes::Memory as i32;
        match self {
            Self::Memory => vec![memory],
            Self::Dominant => vec![memory, pb::SchedulerResourceTypes::Cpu as i32],
        }
    }
}

fn known(asked: &Resource, maximum: &Resource) -> BTreeMap<String, i64> {
    let known = asked.others.iter();
    let known = known.filter(|(name, _)| maximum.others.contains_key(*name));
    known.map(|(name, amount)| (name.clone(), *amount)).collect()
}

/// The first of the other resources of which there is not enough, of those that `free` has at all.
pub(super) fn exceeded<'a>(wanted: &'a Resource, free: &Resource) -> Option<&'a str> {
    let enough = |name: &String, amount: i64| free.others.get(name).is_none_or(|&free| amount <= free);
    let mut wanted = wanted.others.iter();
    wanted
        .find(|&(name, &amount)| !enough(name, amount))
        .map(|(name, _)| name.as_str())
}

/// Adds one size to another.
pub(super) fn add(sum: &mut Resource, more: &Resource) {
    sum.memory_mb += more.memory_mb;
    sum.vcores += more.vcores;
    for (name, amount) in &more.others {
        *sum.others.entry(name.clone()).or_default() += amount;
    }
}

/// What is left of a size when another is taken from it, never less than nothing.
pub(super) fn less(whole: &Resource, part: &Resource) -> Resource {
    let amount = |name: &String| part.others.get(name).copied().unwrap_or(0);
    let others = whole.others.iter();
    Resource {
        memory_mb: whole.memory_mb.saturating_sub(part.memory_mb),
        vcores: whole.vcores.saturating_sub(part.vcores),
        others: others
            .map(|(name, whole)| (name.clone(), (whole - amount(name)).max(0)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(memory_mb: u64, vcores: u32, acme: i64) -> Resource {
        Resource {
            others: [("acme".to_owned(), acme)].into(),
            ..Resource::new(memory_mb, vcores)
        }
    }

    #[test]
    fn memory_alone_counts_by_default_and_everything_for_the_other_calculator() {
        let (maximum, asked) = (with(4096, 8, 2), with(129, 4, 1));
        let memory = Calculator::Memory.normalise(&asked, 128, &maximum);
        assert_eq!(memory, Resource::new(256, 1));
        let dominant = Calculator::Dominant.normalise(&asked, 128, &maximum);
        assert_eq!(dominant, with(256, 4, 1));
        for (wanted, fits) in [
            (with(64, 9, 1), false),
            (with(64, 1, 3), false),
            (with(64, 8, 2), true),
        ] {
            assert!(Calculator::Memory.fits(&wanted, &maximum));
            assert_eq!(Calculator::Dominant.fits(&wanted, &maximum), fits, "{wanted}");
        }
    }

    #[test]
    fn a_resource_that_the_cluster_does_not_know_is_dropped() {
        let granted = Calculator::Dominant.normalise(&with(64, 1, 1), 64, &Resource::new(4096, 8));
        assert_eq!(granted, Resource::new(64, 1));
    }
}
