//! What the ResourceManager says.

use std::time::Duration;

use yarn_rpc::records::{Container, ContainerStatus, NodeReport, NodeState as YarnNodeState};
use yarn_rpc::session::{Registration, SessionEvent};

use hadoop::ids::{ContainerId, NodeId};
use wire::id::ExecutorId;
use wire::launcher::LauncherReport;

use super::effects::capability;
use super::following::follows;
use super::{App, Exit, Step};
use launcher::nodes::{NodeFacts, NodeName, NodeState};
use launcher::{Completion, Event as LauncherEvent, Grant};

/// A container's id as an executor's.
pub(super) fn executor_id(container: ContainerId) -> Option<ExecutorId> {
    container.to_string().parse().ok()
}

/// A node as asks name it.
pub(super) fn node_name(node: &NodeId, include_port: bool) -> NodeName {
    if include_port {
        NodeName::new(&node.to_string())
    } else {
        NodeName::new(&node.host)
    }
}

impl App {
    pub(super) fn on_session(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Registered(registration) => self.on_registered(registration),
            SessionEvent::Resynced {
                dropped,
                recovered,
                seq,
            } => {
                tracing::warn!(
                    dropped = dropped.len(),
                    "the ResourceManager had restarted: registered again"
                );
                self.granted_seq = seq;
                let dropped = dropped.into_iter().filter_map(executor_id).collect();
                self.process(Step::Launcher(LauncherEvent::Resynced { dropped }));
                self.take_over(recovered);
            }
            SessionEvent::Recovered(containers) => self.take_over(containers),
            SessionEvent::Completed(statuses) => {
                statuses.into_iter().for_each(|status| self.on_completed(status));
            }
            SessionEvent::Allocated { containers, seq } => {
                self.granted_seq = seq;
                self.on_allocated(containers);
            }
            SessionEvent::NodesUpdated(reports) => reports.iter().for_each(|report| self.on_node(report)),
            SessionEvent::Preemption { strict, negotiable } => {
                tracing::warn!(
                    strict = strict.len(),
                    negotiable = negotiable.len(),
                    "YARN wants containers back"
                );
                let ids = |all: Vec<ContainerId>| all.into_iter().filter_map(executor_id).collect();
                let (strict, negotiable) = (ids(strict), ids(negotiable));
                self.process(Step::Launcher(LauncherEvent::PreemptionNoticed {
                    strict,
                    negotiable,
                }));
            }
            SessionEvent::Headroom { available, .. } => {
                let memory_mib = available.memory_mb;
                self.process(Step::Launcher(LauncherEvent::HeadroomChanged { memory_mib }));
            }
            SessionEvent::AskRefused { message, .. } => {
                self.process(Step::Launcher(LauncherEvent::AskRefused { message }));
            }
            SessionEvent::BlacklistRefused { names, message } => {
                tracing::warn!(?names, message, "the ResourceManager will not avoid nodes");
            }
            SessionEvent::ReleaseRefused { containers, message } => {
                tracing::warn!(?containers, message, "the ResourceManager refused a release");
            }
            SessionEvent::RmContact { asked } => self.on_rm_contact(asked),
            SessionEvent::CallFailed { method, message } => {
                tracing::warn!(
                    method,
                    message,
                    "a call to the ResourceManager failed and is repeated"
                );
                self.metrics.rm_call_failed(method);
            }
            SessionEvent::Superseded { reason } => self.over(Exit::Superseded(reason)),
            SessionEvent::Unregistered => self.on_unregistered(),
        }
    }

    pub(super) fn on_session_ended(&mut self) {
        self.over(Exit::Crashed(
            "the session with the ResourceManager ended".to_owned(),
        ));
    }

    fn on_registered(&mut self, registration: Registration) {
        let after = self.clock.uptime();
        tracing::info!(
            queue = registration.queue,
            ?after,
            "registered with the ResourceManager"
        );
        self.metrics.registered(after);
        self.rm.queue = registration.queue;
        self.rm.last = self.clock.now();
        if follows(&self.environment, &self.plan) {
            self.follow(registration.previous);
        } else {
            self.take_over(registration.previous);
        }
        if let Some(maximum) = registration.maximum {
            let max_memory_mib = maximum.memory_mb;
            self.process(Step::Launcher(LauncherEvent::RmRegistered { max_memory_mib }));
        }
    }

    /// A scheduler that compares memory only (`DefaultResourceCalculator`) drops whatever else was asked for from the
    /// grant without a word; no later one would have it.
    fn check_others(&mut self, container: &Container) {
        let wanted = capability(&self.plan.executors).others;
        let granted = &container.resource.others;
        let short = wanted
            .iter()
            .find(|(name, amount)| granted.get(*name) < Some(*amount));
        if let Some((name, amount)) = short {
            let message = format!(
                "it granted a container without {amount} {name}: its resource calculator must be the \
                 DominantResourceCalculator (yarn.scheduler.capacity.resource-calculator)"
            );
            self.process(Step::Launcher(LauncherEvent::AskRefused { message }));
        }
    }

    fn on_allocated(&mut self, containers: Vec<Container>) {
        let mut grants = Vec::with_capacity(containers.len());
        if let Some(first) = containers.first() {
            self.check_others(first);
        }
        for container in containers {
            let Some(executor) = executor_id(container.id) else {
                continue;
            };
            tracing::info!(%executor, node = %container.node, memory_mib = container.resource.memory_mb, "container granted");
            self.roster.add(&executor, &container.node_http_address);
            grants.push(Grant {
                executor: executor.clone(),
                node: node_name(&container.node, self.include_port),
                node_http: container.node_http_address.clone(),
                allocation_request_id: container.allocation_request_id.0,
            });
            self.containers.insert(executor, container);
        }
        self.metrics.granted(grants.len());
        self.process(Step::Launcher(LauncherEvent::ContainersGranted(grants)));
    }

    fn on_completed(&mut self, status: ContainerStatus) {
        let Some(executor) = executor_id(status.id) else {
            return;
        };
        tracing::info!(%executor, exit_status = status.exit_status, "container ended");
        self.containers.remove(&executor);
        let (ended, words) = (executor.clone(), status.diagnostics.clone());
        self.process(Step::Launcher(LauncherEvent::ContainerCompleted(Completion {
            executor,
            exit_status: status.exit_status,
            diagnostics: status.diagnostics,
        })));
        self.shelf.ended(&ended, status.exit_status, &words);
    }

    fn on_node(&mut self, report: &NodeReport) {
        let free = |report: &NodeReport| {
            let (capability, used) = (report.capability.as_ref()?, report.used.as_ref()?);
            Some(capability.memory_mb.saturating_sub(used.memory_mb))
        };
        let facts = NodeFacts {
            name: node_name(&report.id, self.include_port),
            rack: report.rack.clone(),
            state: node_state(report.state),
            free_mib: free(report),
            total_mib: report.capability.as_ref().map(|capability| capability.memory_mb),
        };
        tracing::info!(node = %report.id, state = ?report.state, "node changed");
        if let Some(rack) = &report.rack {
            let host = &report.id.host;
            self.with_driver(|driver, now, commands| driver.learn_rack(now, host, rack, commands));
        }
        self.process(Step::Launcher(LauncherEvent::NodeUpdated(facts)));
    }

    /// An answer that has waited, because all of us stood still, is no sign that we are still wanted.
    fn on_rm_contact(&mut self, asked: Duration) {
        let ago = self.session.instant(asked).elapsed();
        self.metrics.rm_answered(ago);
        self.rm.last = self.rm.last.max(self.clock.now().saturating_sub(ago));
        self.process(Step::Driver(LauncherReport::ResourceManagerHeard { ago }));
    }
}

fn node_state(state: YarnNodeState) -> NodeState {
    match state {
        YarnNodeState::Decommissioning | YarnNodeState::Decommissioned => NodeState::Leaving,
        state if state.is_usable() => NodeState::Usable,
        _ => NodeState::Unusable,
    }
}
