//! The containers that have not ended, with the two questions that every event asks answered by an index: how many
//! are held, and which deadline comes first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wire::id::ExecutorId;

use super::record::{Phase, Record};

/// Records by id. What is counted and when deadlines are due follows each change, so records change only in here.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    records: BTreeMap<ExecutorId, Record>,
    live: u32,
    deadlines: BTreeSet<(Duration, ExecutorId)>,
}

impl Containers {
    pub(crate) fn get(&self, executor: &ExecutorId) -> Option<&Record> {
        self.records.get(executor)
    }

    pub(crate) fn contains(&self, executor: &ExecutorId) -> bool {
        self.records.contains_key(executor)
    }

    /// All of them, by id.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// How many run or will.
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Those whose deadline has come, with their phases, by deadline.
    pub(crate) fn due(&self, now: Duration) -> Vec<(ExecutorId, Phase)> {
        let due = self.deadlines.iter().take_while(|(at, _)| *at <= now);
        due.filter_map(|(_, executor)| Some((executor.clone(), self.records.get(executor)?.phase)))
            .collect()
    }

    pub(crate) fn insert(&mut self, record: Record) {
        self.remove(&record.executor);
        self.enter(&record);
        self.records.insert(record.executor.clone(), record);
    }

    pub(crate) fn remove(&mut self, executor: &ExecutorId) -> Option<Record> {
        let record = self.records.remove(executor)?;
        self.leave(&record);
        Some(record)
    }

    /// Changes a record; nothing when there is none.
    pub(crate) fn change<T>(
        &mut self,
        executor: &ExecutorId,
        change: impl FnOnce(&mut Record) -> T,
    ) -> Option<T> {
        let mut record = self.remove(executor)?;
        let result = change(&mut record);
        self.insert(record);
        Some(result)
    }

    fn enter(&mut self, record: &Record) {
        self.live += u32::from(record.phase.is_live());
        if let Some(deadline) = record.deadline {
            self.deadlines.insert((deadline, record.executor.clone()));
        }
    }

    fn leave(&mut self, record: &Record) {
        self.live -= u32::from(record.phase.is_live());
        if let Some(deadline) = record.deadline {
            self.deadlines.remove(&(deadline, record.executor.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Grant;
    use super::super::nodes::NodeName;
    use super::*;
    use proptest::prelude::*;
    use wire::failure::ExecutorLoss;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn id(number: u64) -> ExecutorId {
        format!("container_1_0001_01_{number:06}").parse().unwrap()
    }

    fn record(number: u64, deadline: u64) -> Record {
        let grant = Grant {
            executor: id(number),
            node: NodeName::new("n"),
            node_http: String::new(),
            allocation_request_id: 1,
        };
        Record::granted(MS(0), grant, MS(0), MS(deadline))
    }

    fn step(containers: &mut Containers, kind: u8, number: u64, at: u64) {
        match kind {
            0 => containers.insert(record(number, at)),
            1 => {
                containers.change(&id(number), |record| record.registered(MS(at)));
            }
            2 => {
                let stop =
                    |record: &mut Record| record.stopping(MS(at), ExecutorLoss::Released, "", MS(at + 9));
                containers.change(&id(number), stop);
            }
            _ => drop(containers.remove(&id(number))),
        }
    }

    proptest! {
        #[test]
        fn the_index_says_what_looking_at_all_would(
            steps in prop::collection::vec((0_u8..4, 0_u64..6, 0_u64..50), 0..60),
        ) {
            let mut containers = Containers::default();
            for (kind, number, at) in steps {
                step(&mut containers, kind, number, at);
                let live = containers.values().filter(|record| record.phase.is_live()).count();
                prop_assert_eq!(containers.live() as usize, live);
                let deadlines: Vec<_> = containers.values().filter_map(|record| record.deadline).collect();
                prop_assert_eq!(containers.next_deadline(), deadlines.iter().min().copied());
                let due = deadlines.iter().filter(|deadline| **deadline <= MS(20)).count();
                prop_assert_eq!(containers.due(MS(20)).len(), due);
            }
        }
    }
}
