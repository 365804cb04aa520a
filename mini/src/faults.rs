//! Faults on order: by name and count, never by chance.
//!
//! A [`Fault`] names what it waits for, which time of it from now on is meant, and what happens then. Each happens
//! once. What is to happen to the cluster rather than to one call is an [`Order`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::control::Control;
use crate::failure::Failure;
use crate::order::Order;

/// What a fault waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// A call of Hadoop RPC.
    Call {
        /// Its method, for example `allocate`.
        method: String,
        /// The number of the node that is called, from 1; none for any.
        node: Option<usize>,
    },
    /// A web request.
    Request {
        /// `GET`, `POST` or `PUT`.
        method: String,
        /// Its path; `*` stands for one segment.
        path: String,
        /// The number of the node that is asked, from 1; none for any, and for the ResourceManager.
        node: Option<usize>,
    },
    /// The start of a container that is not an ApplicationMaster's.
    ContainerStart,
}

impl Trigger {
    /// A call of this method, wherever.
    pub fn call(method: impl Into<String>) -> Self {
        let method = method.into();
        Self::Call { method, node: None }
    }
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The call is answered this much later.
    Delay(Duration),
    /// The call has no effect, and the connection is lost.
    LoseRequest,
    /// The call has its effect, but the connection is lost instead of an answer.
    LoseAnswer,
    /// The call is answered twice. Web requests are answered once, whatever is ordered.
    Duplicate,
    /// The call has no effect and is answered with an exception.
    Fail(Failure),
    /// Something befalls the cluster, before the call has its effect.
    Order(Order),
    /// The same, this much later.
    OrderAfter(Duration, Order),
}

/// One thing that shall go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it waits for.
    pub on: Trigger,
    /// Which time, counted from the moment the fault is ordered; 1 is the next one.
    pub nth: u32,
    /// What happens then.
    pub action: Action,
}

/// The faults that are still to come.
#[derive(Debug, Default)]
pub struct Faults {
    pending: Mutex<Vec<Fault>>,
    control: OnceLock<Weak<Control>>,
    /// Calls so far, by method.
    calls: Mutex<BTreeMap<String, u64>>,
}

/// What a server does with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Delay(Duration),
    LoseRequest,
    LoseAnswer,
    Duplicate,
    Fail(Failure),
}

impl Faults {
    /// Orders a fault.
    pub fn order(&self, fault: Fault) {
        self.lock().push(fault);
    }

    /// Faults that have not happened.
    #[must_use]
    pub fn pending(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who carries out orders; once.
    pub(crate) fn obey(&self, control: &Arc<Control>) {
        if self.control.set(Arc::downgrade(control)).is_err() {
            tracing::error!("a cluster's faults are connected once");
        }
    }

    /// How often an RPC method was called so far, at all servers together.
    #[must_use]
    pub fn calls(&self, method: &str) -> u64 {
        self.count().get(method).copied().unwrap_or_default()
    }

    fn count(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn of_call(&self, called: &str, at: Option<usize>) -> Verdict {
        *self.count().entry(called.to_owned()).or_default() += 1;
        self.happens(|on| match on {
            Trigger::Call { method, node } => method == called && is_meant(*node, at),
            Trigger::Request { .. } | Trigger::ContainerStart => false,
        })
    }

    pub(crate) fn of_request(&self, verb: &str, asked: &str, at: Option<usize>) -> Verdict {
        self.happens(|on| match on {
            Trigger::Request { method, path, node } => {
                method.eq_ignore_ascii_case(verb) && *node == at && matches(path, asked)
            }
            Trigger::Call { .. } | Trigger::ContainerStart => false,
        })
    }

    pub(crate) fn of_container_start(&self) {
        self.happens(|on| *on == Trigger::ContainerStart);
    }

    /// Counts, and carries out the orders that are due; of several other things that are, the one ordered first
    /// happens to the call.
    fn happens(&self, meant: impl Fn(&Trigger) -> bool) -> Verdict {
        let mut verdict = Verdict::Pass;
        for action in self.due(meant) {
            let to_call = match action {
                Action::Order(order) => {
                    self.carry_out(|control| control.carry_out(&order));
                    continue;
                }
                Action::OrderAfter(delay, order) => {
                    self.carry_out(|control| control.carry_out_after(delay, order));
                    continue;
                }
                Action::Delay(time) => Verdict::Delay(time),
                Action::LoseRequest => Verdict::LoseRequest,
                Action::LoseAnswer => Verdict::LoseAnswer,
                Action::Duplicate => Verdict::Duplicate,
                Action::Fail(failure) => Verdict::Fail(failure),
            };
            if verdict == Verdict::Pass {
                verdict = to_call;
            }
        }
        verdict
    }

    fn due(&self, meant: impl Fn(&Trigger) -> bool) -> Vec<Action> {
        let mut pending = self.lock();
        let mut due = Vec::new();
        pending.retain_mut(|fault| {
            if meant(&fault.on) {
                fault.nth = fault.nth.saturating_sub(1);
            }
            let stays = fault.nth > 0;
            if !stays {
                due.push(fault.action.clone());
            }
            stays
        });
        due
    }

    fn carry_out(&self, what: impl FnOnce(&Arc<Control>)) {
        if let Some(control) = self.control.get().and_then(Weak::upgrade) {
            what(&control);
        }
    }
}

fn is_meant(wanted: Option<usize>, at: Option<usize>) -> bool {
    wanted.is_none() || wanted == at
}

/// Whether a path is one of those that a pattern means.
fn matches(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (
        pattern.trim_matches('/').split('/'),
        path.trim_matches('/').split('/'),
    );
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(nth: u32) -> Fault {
        Fault {
            on: Trigger::call("allocate"),
            nth,
            action: Action::LoseAnswer,
        }
    }

    #[test]
    fn a_fault_meets_exactly_the_call_it_counts_to() {
        let faults = Faults::default();
        faults.order(lost(2));
        let calls = ["allocate", "finishApplicationMaster", "allocate", "allocate"];
        assert_eq!(
            calls.map(|method| faults.of_call(method, None)),
            [Verdict::Pass, Verdict::Pass, Verdict::LoseAnswer, Verdict::Pass]
        );
        assert!(faults.pending().is_empty());
    }

    #[test]
    fn a_fault_may_be_meant_for_one_node() {
        let faults = Faults::default();
        let on = Trigger::Call {
            method: "startContainers".into(),
            node: Some(2),
        };
        faults.order(Fault { on, ..lost(1) });
        assert_eq!(faults.of_call("startContainers", Some(1)), Verdict::Pass);
        assert_eq!(faults.of_call("startContainers", Some(2)), Verdict::LoseAnswer);
    }

    #[test]
    fn a_star_stands_for_one_segment_of_a_path() {
        assert!(matches(
            "/ws/v1/cluster/apps/*/state",
            "/ws/v1/cluster/apps/application_1_0001/state"
        ));
        assert!(!matches("/ws/v1/cluster/apps/*", "/ws/v1/cluster/apps/a/state"));
        assert!(!matches("/ws/v1/cluster/apps/*", "/ws/v1/cluster/apps"));
    }
}
