//! Faults on order: by call and count, never by chance.
//!
//! A [`Fault`] names a method, which of its calls from now on is meant, and what becomes of it. Each fault happens once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::failure::Failure;

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It is answered this much later.
    Delay(Duration),
    /// It has no effect, and the connection is lost.
    LoseRequest,
    /// It has its effect, but the connection is lost instead of an answer.
    LoseAnswer,
    /// It has no effect and is answered with an exception.
    Fail(Failure),
}

/// One thing that shall go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The RPC method, for example `allocate`.
    pub method: String,
    /// Which of its calls, counted from the moment the fault is ordered; 1 is the next one.
    pub nth: u32,
    /// What becomes of it.
    pub action: Action,
}

/// The faults that are still to come.
#[derive(Debug, Default)]
pub struct Faults {
    pending: Mutex<Vec<Fault>>,
}

/// What a server does with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Delay(Duration),
    LoseRequest,
    LoseAnswer,
    Fail(Failure),
}

impl Faults {
    /// Orders a fault.
    pub fn order(&self, fault: Fault) {
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(fault);
    }

    /// Faults that have not happened.
    #[must_use]
    pub fn pending(&self) -> Vec<Fault> {
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Counts a call; of several faults that are due, the one ordered first happens.
    pub(crate) fn verdict(&self, method: &str) -> Verdict {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for fault in pending.iter_mut().filter(|fault| fault.method == method) {
            fault.nth = fault.nth.saturating_sub(1);
        }
        let due = pending
            .iter()
            .position(|fault| fault.method == method && fault.nth == 0);
        match due.map(|at| pending.remove(at).action) {
            None => Verdict::Pass,
            Some(Action::Delay(time)) => Verdict::Delay(time),
            Some(Action::LoseRequest) => Verdict::LoseRequest,
            Some(Action::LoseAnswer) => Verdict::LoseAnswer,
            Some(Action::Fail(failure)) => Verdict::Fail(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_exactly_the_call_it_counts_to() {
        let faults = Faults::default();
        faults.order(Fault {
            method: "allocate".into(),
            nth: 2,
            action: Action::LoseAnswer,
        });
        let verdicts =
            ["allocate", "finishApplicationMaster", "allocate", "allocate"].map(|m| faults.verdict(m));
        assert_eq!(
            verdicts,
            [Verdict::Pass, Verdict::Pass, Verdict::LoseAnswer, Verdict::Pass]
        );
        assert!(faults.pending().is_empty());
    }
}
