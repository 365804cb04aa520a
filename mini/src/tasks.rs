//! Tasks under one owner: each has a name, a panic in one is told, and all end with their owner.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

/// Running tasks.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    set: Mutex<JoinSet<()>>,
}

impl Tasks {
    /// Starts a task. Those that have ended meanwhile are looked at.
    pub(crate) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = set.try_join_next() {
            tell(ended);
        }
        set.spawn(async move {
            let _named = Named(name);
            task.await;
        });
    }

    /// Waits for all tasks that were started before the call.
    pub(crate) async fn join(&self) {
        let mut set = std::mem::take(&mut *self.set.lock().unwrap_or_else(PoisonError::into_inner));
        while let Some(ended) = set.join_next().await {
            tell(ended);
        }
    }

    /// Ends all tasks where they stand.
    pub(crate) fn abort(&self) {
        self.set
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    }
}

/// Waits until the owner says that it is over, or is gone itself.
pub(crate) async fn over(ended: &mut watch::Receiver<bool>) {
    drop(ended.wait_for(|ended| *ended).await);
}

/// Says which task a panic came from.
struct Named(&'static str);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.0, "a task of the embedded cluster panics");
        }
    }
}

fn tell(ended: Result<(), JoinError>) {
    if let Some(error) = ended.err().filter(JoinError::is_panic) {
        tracing::error!(%error, "a task of the embedded cluster panicked");
    }
}
