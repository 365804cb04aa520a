//! A small job's only executor, in our own container.

use driver::event::Verdict;
use wire::id::ExecutorId;

use super::{App, Done, Exit};

impl App {
    /// Whether this executor is the one in our container.
    pub(super) fn is_beside(&self, executor: &ExecutorId) -> bool {
        self.plan.scheduling.uber && executor.as_str() == self.environment.container.to_string()
    }

    pub(super) fn start_beside(&mut self) {
        match self.beside.take().map(crate::beside::Beside::start) {
            Some(Ok(running)) => self.work.spawn("the executor beside us", async move {
                Done::BesideEnded(running.ended().await)
            }),
            Some(Err(error)) => self.on_beside_ended(&format!("{error:#}")),
            None => {}
        }
    }

    /// Without it nothing goes on in this container; another attempt goes on where we were, if there may be one.
    pub(super) fn on_beside_ended(&mut self, how: &str) {
        if self.verdict().is_some() {
            return;
        }
        let cause = format!("the executor in the ApplicationMaster's container has ended: {how}");
        if self.environment.epoch().0 < self.max_attempts {
            return self.over(Exit::Crashed(cause));
        }
        self.conclude(Verdict::Failed(format!(
            "{cause}; this was the last of {} attempts",
            self.max_attempts
        )));
    }
}
