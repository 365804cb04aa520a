//! A ResourceManager that ends and begins again, or another one that takes over (`RMStateStore`).

use super::ResourceManager;
use super::application::{ApplicationState, AttemptState};
use crate::UnixMs;

/// What a ResourceManager knows when it begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Applications and attempts; nodes tell what runs (`yarn.resourcemanager.work-preserving-recovery.enabled`).
    WorkPreserving,
    /// Nothing (`yarn.resourcemanager.recovery.enabled` is false): nodes kill what they have.
    Nothing,
}

impl ResourceManager {
    /// All nodes must register again, and all ApplicationMasters register and ask again. What was not started is gone
    /// without a word; what runs is known again when its node has joined.
    pub(super) fn restarted(&mut self, now: UnixMs, recovery: Recovery, web_address: String) {
        self.settings.started_ms = now.max(self.settings.started_ms + 1);
        self.settings.web_address = web_address;
        self.nodes.clear();
        self.activates_ms = None;
        if recovery == Recovery::Nothing {
            self.applications.clear();
            (self.next_application, self.epoch) = (1, 0);
            return;
        }
        self.epoch += 1;
        let wait = self.settings.recovery_wait_ms;
        self.resumes_ms = (wait > 0).then_some(now + wait);
        for application in self.applications.values_mut() {
            application.containers.clear();
            application.preemption = None;
            let Some(attempt) = application.attempts.last_mut() else {
                continue;
            };
            if attempt.state.is_final() {
                continue;
            }
            if attempt.state == AttemptState::Running {
                application.state = ApplicationState::Accepted;
            }
            attempt.forget_registration(now);
        }
    }

    /// Nothing is granted for a while after a restart, so that nodes can tell first
    /// (`yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms`).
    pub(super) fn is_recovering(&self, now: UnixMs) -> bool {
        self.resumes_ms.is_some_and(|at| at > now)
    }
}
