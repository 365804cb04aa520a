//! How the session ends: by a signal, by order, or because nobody wants the executor any more.

use std::time::{Duration, Instant};

use wire::failure::{FailureCause, KillReason, TaskFailure};
use wire::id::TaskAttemptId;
use wire::message::ExecutorMessage;

use super::{Effect, Session, State, TaskEnd};
use crate::ending::Ending;

/// SIGTERM is followed by SIGKILL after 250 ms: by then everything must be over.
pub(super) const STOP_LIMIT: Duration = Duration::from_millis(150);
/// The part of [`STOP_LIMIT`] that tasks get before they are killed.
pub(super) const STOP_GRACE: Duration = Duration::from_millis(80);
/// Added to a grace period, for the reports of the tasks that ended in it.
const REPORT_TIME: Duration = Duration::from_secs(1);

impl Session {
    pub(super) fn stopped(&mut self, now: Instant, signal: i32, effects: &mut Vec<Effect>) {
        let connected = self.is_heard();
        if connected {
            let reason = format!("ended by signal {signal}");
            self.send(ExecutorMessage::Goodbye { reason }, effects);
        }
        self.begin_leaving(
            Ending::Signal(signal),
            connected,
            STOP_GRACE,
            now + STOP_LIMIT,
            effects,
        );
    }

    pub(super) fn leave(
        &mut self,
        now: Instant,
        ending: Ending,
        grace: Duration,
        connected: bool,
        effects: &mut Vec<Effect>,
    ) {
        if !matches!(self.state, State::Leaving { .. } | State::Gone) {
            self.begin_leaving(ending, connected, grace, now + grace + REPORT_TIME, effects);
        }
    }

    fn begin_leaving(
        &mut self,
        ending: Ending,
        connected: bool,
        grace: Duration,
        deadline: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if matches!(self.state, State::Gone) {
            return;
        }
        self.state = State::Leaving {
            deadline,
            ending,
            connected,
        };
        self.give_back_all(effects);
        let reason = KillReason::ExecutorStopping;
        effects.extend(
            self.running
                .keys()
                .chain(self.ahead.keys())
                .map(|id| Effect::Cancel {
                    id: *id,
                    reason,
                    grace,
                }),
        );
        self.leave_when_empty(effects);
    }

    /// A function cannot be ended without the process: its failure is reported, and everything else here runs again
    /// elsewhere without being blamed.
    pub(super) fn task_stuck(
        &mut self,
        now: Instant,
        id: TaskAttemptId,
        cause: FailureCause,
        effects: &mut Vec<Effect>,
    ) {
        // The end of another one that says so may be on its way.
        self.begun(id);
        if !self.running.contains_key(&id) {
            return;
        }
        tracing::error!(%id, %cause, "a function does not return: this executor ends");
        let connected = self.is_heard();
        if connected {
            let reason = format!("the function of {id} does not return");
            self.send(ExecutorMessage::Goodbye { reason }, effects);
        }
        self.leave(now, Ending::STUCK, Duration::ZERO, connected, effects);
        let others: Vec<_> = self
            .running
            .keys()
            .chain(self.ahead.keys())
            .copied()
            .filter(|other| *other != id)
            .collect();
        self.task_ended(id, TaskEnd::unbegun(TaskFailure::new(cause)), None, effects);
        for other in others {
            let killed = FailureCause::Killed(KillReason::ExecutorStopping);
            self.task_ended(other, TaskEnd::unbegun(TaskFailure::new(killed)), None, effects);
        }
    }

    pub(super) fn leave_when_empty(&mut self, effects: &mut Vec<Effect>) {
        if let State::Leaving {
            ending, connected, ..
        } = self.state
            && self.running.is_empty()
            && self.ahead.is_empty()
            && !(connected && self.unacknowledged.has_unsent())
        {
            effects.push(Effect::Leave(ending));
            self.state = State::Gone;
        }
    }
}
