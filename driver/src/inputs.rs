//! What the tasks of a stage work on, kept small: every file name once, every slice in 24 bytes.

use std::collections::BTreeMap;

use wire::task::InputSlice;

use crate::event::TaskInput;

/// The items and input slices of all tasks of a stage.
#[derive(Debug, Default)]
pub(crate) struct TaskInputs {
    /// By partition; empty when no task has an item.
    items: Vec<Option<Box<str>>>,
    uris: Vec<Box<str>>,
    slices: Vec<Slice>,
    /// By partition: where its slices end; empty when no task has any.
    ends: Vec<u32>,
}

#[derive(Debug)]
struct Slice {
    offset: u64,
    length: u64,
    uri: u32,
    cut_at_lines: bool,
}

impl TaskInputs {
    pub(crate) fn new(tasks: &[TaskInput]) -> Self {
        let mut inputs = Self::default();
        if tasks.iter().any(|task| task.item.is_some()) {
            inputs.items = tasks
                .iter()
                .map(|task| task.item.as_deref().map(Box::from))
                .collect();
        }
        if tasks.iter().any(|task| !task.inputs.is_empty()) {
            inputs.add_slices(tasks);
        }
        inputs
    }

    fn add_slices(&mut self, tasks: &[TaskInput]) {
        let mut numbers = BTreeMap::new();
        for task in tasks {
            for slice in &task.inputs {
                let uri = *numbers.entry(slice.uri.as_str()).or_insert_with(|| {
                    self.uris.push(Box::from(slice.uri.as_str()));
                    narrow(self.uris.len() - 1)
                });
                self.slices.push(Slice::new(slice, uri));
            }
            self.ends.push(narrow(self.slices.len()));
        }
        self.slices.shrink_to_fit();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.ends.is_empty()
    }

    pub(crate) fn item(&self, partition: u32) -> Option<String> {
        let item = self.items.get(partition as usize)?.as_deref()?;
        Some(item.to_owned())
    }

    pub(crate) fn slices(&self, partition: u32) -> Vec<InputSlice> {
        let Some(&end) = self.ends.get(partition as usize) else {
            return Vec::new();
        };
        let before = (partition as usize).checked_sub(1);
        let start = before.map_or(0, |before| self.ends[before]);
        let slices = &self.slices[start as usize..end as usize];
        slices.iter().map(|slice| self.widen(slice)).collect()
    }

    fn widen(&self, slice: &Slice) -> InputSlice {
        InputSlice {
            uri: self.uris[slice.uri as usize].to_string(),
            offset: slice.offset,
            length: slice.length,
            cut_at_lines: slice.cut_at_lines,
        }
    }
}

impl Slice {
    fn new(slice: &InputSlice, uri: u32) -> Self {
        Self {
            offset: slice.offset,
            length: slice.length,
            uri,
            cut_at_lines: slice.cut_at_lines,
        }
    }
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).expect("a stage has fewer than 2^32 input slices")
}

/// Any input of a task, for property tests.
#[cfg(test)]
pub(crate) mod arbitrary {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn any_input() -> impl Strategy<Value = TaskInput> {
        let slice = ("[abä/]{0,6}", any::<u64>(), any::<u64>(), any::<bool>());
        let slice = slice.prop_map(|(uri, offset, length, cut_at_lines)| InputSlice {
            uri,
            offset,
            length,
            cut_at_lines,
        });
        let slices = prop::collection::vec(slice, 0..4);
        let hosts = prop::collection::vec("[nm]{1,2}", 0..3);
        (prop::option::of("[xyz]{0,3}"), slices, hosts).prop_map(|(item, inputs, hosts)| TaskInput {
            item,
            inputs,
            hosts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::arbitrary::any_input;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out(tasks in prop::collection::vec(any_input(), 0..20)) {
            let inputs = TaskInputs::new(&tasks);
            for (partition, task) in (0..).zip(&tasks) {
                prop_assert_eq!(&inputs.item(partition), &task.item);
                prop_assert_eq!(&inputs.slices(partition), &task.inputs);
            }
        }
    }
}
