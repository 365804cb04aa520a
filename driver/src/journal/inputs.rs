//! What the tasks of a stage work on, as bytes. Names of files are many and alike: each is written as what it shares
//! with the one before and what is new.

use wire::task::InputSlice;

use super::codec::{Damaged, Reader, Writer};
use crate::event::TaskInput;

/// What of the tasks is there at all.
const ITEMS: u64 = 1;
const SLICES: u64 = 2;
const HOSTS: u64 = 4;

pub(super) fn write_inputs(tasks: &[TaskInput], into: &mut Writer) {
    let has = |flag: u64, any: bool| if any { flag } else { 0 };
    let flags = has(ITEMS, tasks.iter().any(|task| task.item.is_some()))
        | has(SLICES, tasks.iter().any(|task| !task.inputs.is_empty()))
        | has(HOSTS, tasks.iter().any(|task| !task.hosts.is_empty()));
    into.count(tasks.len()).number(flags);
    let mut names = Names::default();
    for task in tasks {
        if flags & ITEMS != 0 {
            into.number(u8::from(task.item.is_some()));
            if let Some(item) = &task.item {
                into.text(item);
            }
        }
        if flags & SLICES != 0 {
            into.count(task.inputs.len());
            task.inputs
                .iter()
                .for_each(|slice| names.write_slice(slice, into));
        }
        if flags & HOSTS != 0 {
            into.count(task.hosts.len());
            task.hosts.iter().for_each(|host| _ = into.text(host));
        }
    }
}

/// Tasks that work on nothing but their number.
pub(super) fn write_plain(tasks: u32, into: &mut Writer) {
    into.number(tasks).number(0u8);
}

pub(super) fn read_inputs(from: &mut Reader<'_>) -> Result<Vec<TaskInput>, Damaged> {
    let (count, flags): (u32, _) = (from.narrow()?, from.number()?);
    if flags == 0 {
        return Ok(vec![TaskInput::default(); count as usize]);
    }
    let mut names = Names::default();
    (0..count).map(|_| read_input(flags, &mut names, from)).collect()
}

fn read_input(flags: u64, names: &mut Names, from: &mut Reader<'_>) -> Result<TaskInput, Damaged> {
    if from.is_empty() {
        return Err(Damaged::new("fewer tasks than were counted"));
    }
    let mut task = TaskInput::default();
    if flags & ITEMS != 0 && from.number()? == 1 {
        task.item = Some(from.owned()?);
    }
    if flags & SLICES != 0 {
        for _ in 0..from.count()? {
            task.inputs.push(names.read_slice(from)?);
        }
    }
    if flags & HOSTS != 0 {
        for _ in 0..from.count()? {
            task.hosts.push(from.owned()?);
        }
    }
    Ok(task)
}

/// The name that came last.
#[derive(Default)]
struct Names {
    last: String,
}

impl Names {
    fn write_slice(&mut self, slice: &InputSlice, into: &mut Writer) {
        let shared = shared_prefix(&self.last, &slice.uri);
        into.count(shared).text(&slice.uri[shared..]);
        into.number(slice.offset)
            .number(slice.length)
            .number(u8::from(slice.cut_at_lines));
        self.last.clone_from(&slice.uri);
    }

    fn read_slice(&mut self, from: &mut Reader<'_>) -> Result<InputSlice, Damaged> {
        let shared: usize = from.narrow()?;
        let kept = self.last.get(..shared);
        let uri = kept
            .ok_or_else(|| Damaged::new("a name that shares more than there is"))?
            .to_owned();
        let uri = uri + from.text()?;
        self.last.clone_from(&uri);
        Ok(InputSlice {
            uri,
            offset: from.number()?,
            length: from.number()?,
            cut_at_lines: from.number()? == 1,
        })
    }
}

/// How many bytes two texts have in common at their beginning, in whole characters.
fn shared_prefix(a: &str, b: &str) -> usize {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    (0..=same).rev().find(|&end| b.is_char_boundary(end)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::arbitrary::any_input;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn inputs_survive(tasks in prop::collection::vec(any_input(), 0..12)) {
            let mut writer = Writer::default();
            write_inputs(&tasks, &mut writer);
            let mut reader = Reader::new(&writer.bytes);
            prop_assert_eq!(read_inputs(&mut reader), Ok(tasks));
            prop_assert!(reader.is_empty());
        }
    }

    #[test]
    fn tasks_of_nothing_but_a_number_cost_nothing() {
        let mut writer = Writer::default();
        write_inputs(&vec![TaskInput::default(); 1_000_000], &mut writer);
        assert!(writer.bytes.len() <= 8);
    }
}
