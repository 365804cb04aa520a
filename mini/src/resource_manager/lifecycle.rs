//! Beginnings and ends of applications, attempts and what they hold.

use std::collections::BTreeMap;

use hadoop::ids::{ApplicationId, ContainerId, NodeId};

use super::application::{
    Application, ApplicationState, Attempt, AttemptState, FinalStatus, Granted, Submission,
};
use super::node::Node;
use super::tracker::status;
use super::{Effect, Effects, QUEUE, ResourceManager, texts};
use crate::UnixMs;

/// `ContainerExitStatus.ABORTED`: given back, expired, or its node was lost.
pub(super) const ABORTED: i32 = -100;
/// `ContainerExitStatus.PREEMPTED`.
pub(super) const PREEMPTED: i32 = -102;
/// Exit statuses that are not the ApplicationMaster's fault (`RMAppAttemptImpl.shouldCountTowardsMaxAttemptRetry`):
/// aborted, disks failed, preempted, killed by the ResourceManager.
const NOT_COUNTED: [i32; 4] = [ABORTED, -101, PREEMPTED, -106];
/// YARN cuts longer application types.
const LONGEST_TYPE: usize = 20;

pub(super) type Nodes = BTreeMap<NodeId, Node>;

impl ResourceManager {
    /// A second submission under the same id is as good as the first.
    pub(super) fn submitted(
        &mut self,
        now: UnixMs,
        user: String,
        mut what: Submission,
        effects: &mut Effects,
    ) {
        if self.applications.contains_key(&what.id) {
            return;
        }
        what.application_type = what.application_type.chars().take(LONGEST_TYPE).collect();
        what.resource = self.normalised(&what.resource);
        let mut application = new_application(now, user, what);
        let queue = application
            .submission
            .queue
            .clone()
            .unwrap_or_else(|| "default".to_owned());
        if queue == "default" || queue == QUEUE {
            let first = application.id.attempt(1);
            application.attempts.push(Attempt::new(first, now));
        } else {
            application.state = ApplicationState::Failed;
            application.final_status = FinalStatus::AppFailed;
            application.finished_ms = now;
            application.diagnostics = texts::unknown_queue(application.id, &application.user, &queue);
        }
        self.applications.insert(application.id, application);
        self.schedule_at_once(now, effects);
    }

    pub(super) fn kill(&mut self, now: UnixMs, id: ApplicationId, text: String, effects: &mut Effects) {
        let Some(application) = self.applications.get_mut(&id) else {
            return;
        };
        if application.state.is_final() || application.state == ApplicationState::Finishing {
            return;
        }
        application.state = ApplicationState::Killed;
        application.final_status = FinalStatus::AppKilled;
        application.diagnostics = text;
        end(application, &mut self.nodes, AttemptState::Killed, now, effects);
        self.schedule_at_once(now, effects);
    }

    pub(super) fn master_ended(
        &mut self,
        now: UnixMs,
        id: ContainerId,
        exit: i32,
        text: &str,
        effects: &mut Effects,
    ) {
        let web = self.settings.web_address.clone();
        let Some(application) = self.applications.get_mut(&id.application()) else {
            return;
        };
        match application.attempts.last() {
            Some(current) if current.id != id.attempt => {}
            Some(current) if current.state == AttemptState::Finishing => {
                self.finished(now, id.application(), effects);
            }
            Some(current) if !current.state.is_final() => {
                let cause = texts::master_exited(current.id, exit, text, &web);
                self.attempt_failed(now, id.application(), exit, &cause, effects);
            }
            _ => {}
        }
    }

    /// The end of an application whose ApplicationMaster had unregistered.
    pub(super) fn finished(&mut self, now: UnixMs, id: ApplicationId, effects: &mut Effects) {
        let Some(application) = self.applications.get_mut(&id) else {
            return;
        };
        application.state = ApplicationState::Finished;
        end(application, &mut self.nodes, AttemptState::Finished, now, effects);
    }

    pub(super) fn attempt_failed(
        &mut self,
        now: UnixMs,
        id: ApplicationId,
        exit: i32,
        cause: &str,
        effects: &mut Effects,
    ) {
        let cluster_max = self.settings.max_attempts;
        let Some(application) = self.applications.get_mut(&id) else {
            return;
        };
        if let Some(attempt) = application.attempts.last_mut() {
            attempt.state = AttemptState::Failed;
            attempt.finished_ms = now;
            cause.clone_into(&mut attempt.diagnostics);
            attempt.counts = !NOT_COUNTED.contains(&exit);
        }
        let failures = failures(application, now);
        let wanted = application.submission.max_attempts;
        let most = if wanted == 0 {
            cluster_max
        } else {
            wanted.min(cluster_max)
        };
        // With one attempt allowed, its end is counted whatever ended it (`RMAppImpl.AttemptFailedTransition`).
        let failures = if most == 1 { failures.max(1) } else { failures };
        if failures >= most as usize {
            application.state = ApplicationState::Failed;
            application.final_status = FinalStatus::AppFailed;
            application.diagnostics = texts::given_up(id, failures, (most, cluster_max), cause);
            end(application, &mut self.nodes, AttemptState::Failed, now, effects);
        } else {
            next_attempt(application, &mut self.nodes, now, effects);
        }
    }

    /// Ends a container on the ResourceManager's own account. With an ApplicationMaster's goes its attempt
    /// (`RMContainerImpl.KillTransition`, `RMAppAttemptImpl.AMContainerCrashedTransition`).
    pub(super) fn take_away(
        &mut self,
        now: UnixMs,
        id: ContainerId,
        end: (i32, &str),
        effects: &mut Effects,
    ) {
        let Some(application) = self.applications.get_mut(&id.application()) else {
            return;
        };
        let Some(container) = give_back(application, &mut self.nodes, now, id) else {
            return;
        };
        effects.push(kill_of(&container));
        if container.is_master {
            self.master_ended(now, id, end.0, end.1, effects);
        } else {
            report_end(application, &container, end.0, end.1);
        }
    }
}

fn new_application(now: UnixMs, user: String, submission: Submission) -> Application {
    Application {
        id: submission.id,
        user,
        submission,
        state: ApplicationState::Accepted,
        final_status: FinalStatus::AppUndefined,
        progress: 0.0,
        diagnostics: String::new(),
        started_ms: now,
        launched_ms: 0,
        finished_ms: 0,
        lifetime_expires_ms: None,
        final_tracking_url: String::new(),
        attempts: Vec::new(),
        containers: BTreeMap::new(),
        memory_mb_ms: 0,
        vcore_ms: 0,
        finish_calls: 0,
        preemption: None,
    }
}

fn failures(application: &Application, now: UnixMs) -> usize {
    let validity = u64::try_from(application.submission.failures_validity_ms).unwrap_or(0);
    let recent = |attempt: &&Attempt| validity == 0 || attempt.finished_ms + validity > now;
    let counted = application.attempts.iter().filter(|attempt| attempt.counts);
    counted.filter(recent).count()
}

fn next_attempt(application: &mut Application, nodes: &mut Nodes, now: UnixMs, effects: &mut Effects) {
    let Some(last) = application.attempts.last_mut() else {
        return;
    };
    let mut next = Attempt::new(application.id.attempt(last.id.attempt + 1), now);
    last.asks.clear();
    let keep = application.submission.keep_containers;
    if keep {
        next.inherit(last);
    }
    application.state = ApplicationState::Accepted;
    application.attempts.push(next);
    // Only what runs is handed on (`CapacityScheduler.doneApplicationAttempt`); of the rest the next attempt hears.
    let gone = |container: &&Granted| !keep || !container.running;
    let gone: Vec<ContainerId> = application
        .containers
        .values()
        .filter(gone)
        .map(|one| one.id)
        .collect();
    for id in gone {
        let Some(container) = give_back(application, nodes, now, id) else {
            continue;
        };
        effects.push(kill_of(&container));
        if keep && !container.is_master {
            report_end(application, &container, ABORTED, texts::APPLICATION_COMPLETED);
        }
    }
}

/// The end of an application's life, whatever its kind: everything goes back.
fn end(app: &mut Application, nodes: &mut Nodes, state: AttemptState, now: UnixMs, effects: &mut Effects) {
    app.finished_ms = now;
    if let Some(attempt) = app.attempts.last_mut() {
        if !attempt.state.is_final() {
            attempt.state = state;
            attempt.finished_ms = now;
            attempt.diagnostics.clone_from(&app.diagnostics);
        }
        attempt.asks.clear();
    }
    let held: Vec<ContainerId> = app.containers.keys().copied().collect();
    for id in held {
        give_back(app, nodes, now, id);
    }
    effects.push(Effect::EndApplication(app.id));
}

pub(super) fn kill_of(container: &Granted) -> Effect {
    Effect::KillContainer {
        node: container.node.clone(),
        container: container.id,
    }
}

pub(super) fn give_back(
    app: &mut Application,
    nodes: &mut Nodes,
    now: UnixMs,
    id: ContainerId,
) -> Option<Granted> {
    let container = app.containers.remove(&id)?;
    let time = now.saturating_sub(container.granted_ms);
    app.memory_mb_ms += container.resource.memory_mb * time;
    app.vcore_ms += u64::from(container.resource.vcores) * time;
    if let Some(node) = nodes.get_mut(&container.node) {
        node.give_back(&container.resource);
    }
    if let Some(preemption) = &mut app.preemption {
        preemption.given_back(id);
    }
    Some(container)
}

pub(super) fn report_end(application: &mut Application, container: &Granted, exit: i32, diagnostics: &str) {
    let Some(attempt) = application
        .attempts
        .last_mut()
        .filter(|attempt| !attempt.state.is_final())
    else {
        return;
    };
    let node = container.running.then(|| container.node.clone());
    let status = status(container.id, exit, diagnostics);
    attempt.completed.push((node, status));
}
