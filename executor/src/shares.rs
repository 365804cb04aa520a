//! What the tasks of an executor share besides its slots: memory, other resources by YARN's names, and the devices
//! behind them.
//!
//! A task whose stage names resources has devices of its own while it runs: no two tasks have the same one. What no
//! stage of the application names belongs to all tasks alike.

use std::collections::BTreeMap;

use wire::amounts::{Amounts, MEMORY};
use wire::task::StageSpec;

/// The books of an executor.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    all: Amounts,
    spare: Amounts,
    /// Devices that no task has, by the resource that they are.
    devices: BTreeMap<String, Vec<String>>,
}

/// What a task has of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Share {
    amounts: Amounts,
    /// By resource; only of resources that stages name.
    pub(crate) devices: BTreeMap<String, Vec<String>>,
}

impl Shares {
    /// Everything is there; memory in bytes, `devices` those that the node shows, by resource.
    pub(crate) fn new(memory: u64, resources: &Amounts, devices: BTreeMap<String, Vec<String>>) -> Self {
        let others = resources.iter().map(|(name, amount)| (name.to_owned(), amount));
        let all: Amounts = others.chain([(MEMORY.to_owned(), memory)]).collect();
        Self {
            spare: all.clone(),
            all,
            devices,
        }
    }

    /// What a task of a stage has, if there is enough. One that needs more than there ever is takes all.
    pub(crate) fn take(&mut self, stage: &StageSpec) -> Option<Share> {
        let amounts = stage.needs().at_most(&self.all);
        if !self.spare.holds(&amounts) {
            return None;
        }
        self.spare.take(&amounts);
        let mut devices = BTreeMap::new();
        for (name, amount) in stage.resources.iter() {
            if let Some(left) = self.devices.get_mut(name) {
                let most = usize::try_from(amount).unwrap_or(usize::MAX).min(left.len());
                devices.insert(name.to_owned(), left.drain(..most).collect());
            }
        }
        Some(Share { amounts, devices })
    }

    /// A task does not need its share any more.
    pub(crate) fn give_back(&mut self, share: Share) {
        self.spare.give_back(&share.amounts);
        for (name, devices) in share.devices {
            self.devices.entry(name).or_default().extend(devices);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::tests::stage;
    use proptest::prelude::*;

    fn shares(devices: &[&str]) -> Shares {
        let devices = devices.iter().map(|&name| name.to_owned()).collect();
        let all = "yarn.io/gpu=4".parse().unwrap();
        Shares::new(
            1 << 30,
            &all,
            BTreeMap::from([("yarn.io/gpu".to_owned(), devices)]),
        )
    }

    fn taking(gpus: u64, memory: Option<u64>) -> StageSpec {
        StageSpec {
            resources: [("yarn.io/gpu".to_owned(), gpus)].into_iter().collect(),
            memory_limit: memory,
            ..stage("true")
        }
    }

    #[test]
    fn memory_that_is_set_aside_keeps_others_out() {
        let mut shares = shares(&[]);
        let large = shares.take(&taking(0, Some(700 << 20))).unwrap();
        assert_eq!(shares.take(&taking(0, Some(700 << 20))), None);
        assert!(shares.take(&taking(4, None)).is_some());
        shares.give_back(large);
        assert!(
            shares.take(&taking(0, Some(9 << 40))).is_some(),
            "it takes all there is"
        );
    }

    #[test]
    fn a_node_that_shows_fewer_devices_gives_what_it_shows() {
        let mut shares = shares(&["0", "1", "2"]);
        let devices = |share: Share| share.devices["yarn.io/gpu"].clone();
        assert_eq!(shares.take(&taking(2, None)).map(devices).unwrap(), ["0", "1"]);
        assert_eq!(shares.take(&taking(2, None)).map(devices).unwrap(), ["2"]);
        assert_eq!(shares.take(&taking(1, None)), None);
    }

    proptest! {
        #[test]
        fn no_two_tasks_have_the_same_device(steps in prop::collection::vec((any::<bool>(), 0u64..4), 1..40)) {
            let mut shares = shares(&["a", "b", "c", "d"]);
            let mut held: Vec<Share> = Vec::new();
            for (begin, number) in steps {
                if begin {
                    held.extend(shares.take(&taking(number, None)));
                } else if !held.is_empty() {
                    let at = usize::try_from(number).unwrap() % held.len();
                    shares.give_back(held.remove(at));
                }
                let mut devices: Vec<_> = held.iter().flat_map(|share| &share.devices["yarn.io/gpu"]).collect();
                let count = devices.len();
                devices.sort();
                devices.dedup();
                prop_assert_eq!(devices.len(), count);
            }
            let count = held.iter().map(|share| share.amounts.of("yarn.io/gpu")).sum::<u64>();
            let devices: usize = held.iter().map(|share| share.devices["yarn.io/gpu"].len()).sum();
            prop_assert_eq!(devices as u64, count);
        }
    }
}
