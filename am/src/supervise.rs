//! A group of named tasks under one owner: no task is started without a name, and none ends unseen.
//!
//! Each task gives a value when it ends; the owner takes them with [`TaskGroup::next`] and decides what an end
//! means. A panic arrives there too, with its text, so that it reaches the final diagnostics. Dropping the group
//! ends all its tasks.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;

use tokio::task::{Id, JoinError, JoinSet};

/// A task that panicked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the task \"{task}\" panicked: {text}")]
pub struct Panicked {
    /// The task's name.
    pub task: &'static str,
    /// What it said.
    pub text: String,
}

/// Running tasks that each end with a `T`.
#[derive(Debug)]
pub struct TaskGroup<T> {
    tasks: JoinSet<T>,
    names: HashMap<Id, &'static str>,
}

impl<T: Send + 'static> TaskGroup<T> {
    /// A group without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tasks: JoinSet::new(),
            names: HashMap::new(),
        }
    }

    /// Starts a task.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = T> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// The number of tasks that have not been taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether no task is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits for the next task to end; nothing when there is none. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<Result<T, Panicked>> {
        loop {
            match self.tasks.join_next_with_id().await? {
                Ok((id, value)) => {
                    self.names.remove(&id);
                    return Some(Ok(value));
                }
                Err(error) => {
                    if let Some(panicked) = self.panicked(error) {
                        return Some(Err(panicked));
                    }
                }
            }
        }
    }

    fn panicked(&mut self, error: JoinError) -> Option<Panicked> {
        let task = self.names.remove(&error.id()).unwrap_or("unnamed");
        let payload = error.try_into_panic().ok()?;
        Some(Panicked {
            task,
            text: text_of(payload.as_ref()),
        })
    }
}

impl<T: Send + 'static> Default for TaskGroup<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_end_is_seen_by_name() {
        let mut group = TaskGroup::new();
        group.spawn("fine", async { 7 });
        assert_eq!(group.next().await, Some(Ok(7)));
        group.spawn("broken", async { panic!("on {}", "purpose") });
        let panicked = group.next().await.unwrap().unwrap_err();
        assert_eq!(panicked.to_string(), "the task \"broken\" panicked: on purpose");
        assert_eq!(group.next().await, None);
    }
}
