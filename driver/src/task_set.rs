//! The tasks of one stage: which are pending, running and done.
//!
//! A task costs 32 bytes. Tasks that never ran are a range and not a list; one that has to run again lies on top
//! of them, so that a failure that repeats is seen early.

use std::time::Duration;

use crate::event::TaskInput;
use crate::index::{AttemptIx, ExecutorIx};
use crate::inputs::TaskInputs;

/// What a task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskState {
    Pending,
    Running,
    Done,
}

/// One task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    /// The first of its live attempts.
    pub(crate) live: Option<AttemptIx>,
    /// Where its result was made.
    pub(crate) place: Option<ExecutorIx>,
    /// The number of its next attempt.
    pub(crate) next_attempt: u32,
    /// When the attempt that made its result was launched and how long that took, in milliseconds.
    pub(crate) launched_ms: u32,
    pub(crate) took_ms: u32,
    /// Failed attempts that count.
    pub(crate) failures: u16,
    pub(crate) state: TaskState,
}

impl Task {
    const NEW: Self = Self {
        live: None,
        place: None,
        next_attempt: 0,
        launched_ms: 0,
        took_ms: 0,
        failures: 0,
        state: TaskState::Pending,
    };
}

/// The tasks of one stage.
#[derive(Debug)]
pub(crate) struct TaskSet {
    tasks: Vec<Task>,
    inputs: TaskInputs,
    /// The first task that was never taken.
    fresh: u32,
    /// Tasks to run again, the next one last; entries may be out of date.
    again: Vec<u32>,
    pending: u32,
    done: u32,
    /// Live attempts.
    pub(crate) running: u32,
    /// Failed attempts, whether they count or not.
    pub(crate) failed: u32,
}

impl TaskSet {
    pub(crate) fn new(tasks: &[TaskInput]) -> Self {
        let total = u32::try_from(tasks.len()).expect("a stage has fewer than 2^32 tasks");
        Self {
            tasks: vec![Task::NEW; tasks.len()],
            inputs: TaskInputs::new(tasks),
            fresh: 0,
            again: Vec::new(),
            pending: total,
            done: 0,
            running: 0,
            failed: 0,
        }
    }

    pub(crate) fn inputs(&self) -> &TaskInputs {
        &self.inputs
    }

    pub(crate) fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    pub(crate) fn get(&self, partition: u32) -> Option<&Task> {
        self.tasks.get(partition as usize)
    }

    pub(crate) fn get_mut(&mut self, partition: u32) -> Option<&mut Task> {
        self.tasks.get_mut(partition as usize)
    }

    pub(crate) fn total(&self) -> u32 {
        u32::try_from(self.tasks.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn pending(&self) -> u32 {
        self.pending
    }

    pub(crate) fn done(&self) -> u32 {
        self.done
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.done == self.total()
    }

    /// Takes the next pending task; it counts as running from here on.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let partition = self.take_again().or_else(|| self.take_fresh())?;
        self.tasks[partition as usize].state = TaskState::Running;
        self.pending -= 1;
        Some(partition)
    }

    fn take_again(&mut self) -> Option<u32> {
        while let Some(partition) = self.again.pop() {
            if self.tasks[partition as usize].state == TaskState::Pending {
                return Some(partition);
            }
        }
        None
    }

    fn take_fresh(&mut self) -> Option<u32> {
        while (self.fresh as usize) < self.tasks.len() {
            let partition = self.fresh;
            self.fresh += 1;
            if self.tasks[partition as usize].state == TaskState::Pending {
                return Some(partition);
            }
        }
        None
    }

    /// Puts a task that was running on top of the pending ones.
    pub(crate) fn requeue(&mut self, partition: u32) {
        let task = &mut self.tasks[partition as usize];
        if task.state == TaskState::Running {
            task.state = TaskState::Pending;
            self.pending += 1;
            self.again.push(partition);
        }
    }

    /// Marks a task as done; false when it was already.
    pub(crate) fn finish(&mut self, partition: u32, result: Completion) -> bool {
        let task = &mut self.tasks[partition as usize];
        match task.state {
            TaskState::Done => return false,
            TaskState::Pending => self.pending -= 1,
            TaskState::Running => {}
        }
        task.state = TaskState::Done;
        task.failures = 0;
        task.place = result.place;
        task.launched_ms = milliseconds(result.launched_at);
        task.took_ms = milliseconds(result.took);
        self.done += 1;
        true
    }

    /// Lets go of what only pending tasks need.
    pub(crate) fn shed(&mut self) {
        self.inputs = TaskInputs::default();
        self.again = Vec::new();
        self.fresh = self.total();
    }
}

/// How a task came to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Completion {
    pub(crate) place: Option<ExecutorIx>,
    pub(crate) launched_at: Duration,
    pub(crate) took: Duration,
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(tasks: usize) -> TaskSet {
        TaskSet::new(&vec![TaskInput::default(); tasks])
    }

    const DONE: Completion = Completion {
        place: None,
        launched_at: Duration::ZERO,
        took: Duration::ZERO,
    };

    #[test]
    fn tasks_go_in_order_and_a_failed_one_goes_next() {
        let mut set = set(4);
        assert_eq!((set.take(), set.take()), (Some(0), Some(1)));
        set.requeue(0);
        assert_eq!(set.pending(), 3);
        assert_eq!(
            (set.take(), set.take(), set.take(), set.take()),
            (Some(0), Some(2), Some(3), None)
        );
        assert_eq!(set.pending(), 0);
    }

    #[test]
    fn a_task_is_done_once_and_a_done_task_is_not_taken() {
        let mut set = set(2);
        set.take();
        set.requeue(0);
        assert!(set.finish(0, DONE));
        assert!(!set.finish(0, DONE));
        set.requeue(0);
        assert_eq!((set.pending(), set.done()), (1, 1));
        assert_eq!((set.take(), set.take()), (Some(1), None));
        assert!(set.finish(1, DONE));
        assert!(set.is_complete());
    }

    #[test]
    fn a_task_is_small() {
        assert!(size_of::<Task>() <= 32, "{}", size_of::<Task>());
    }
}
