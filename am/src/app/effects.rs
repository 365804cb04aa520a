//! What the cores want done, done.

use std::collections::VecDeque;

use driver::plan::ExecutorPlan;
use hadoop::ids::ContainerId;
use wire::id::ExecutorId;
use wire::launcher::{LauncherCommand, LauncherReport};
use wire::message::GatewayMessage;
use yarn_rpc::records::{AllocationRequestId, Priority, Resource};
use yarn_rpc::session::{Ask, AskKey, SessionCommand};

use super::{App, Done, Step};
use crate::gateway::links::Sent;
use crate::summary::FailureNote;
use launcher::core::EXECUTORS;
use launcher::{Effect as LauncherEffect, Event as LauncherEvent};

/// The size of an executor's container.
pub(super) fn capability(executors: &ExecutorPlan) -> Resource {
    let amount = |(name, amount): (&String, &u64)| (name.clone(), i64::try_from(*amount).unwrap_or(i64::MAX));
    Resource {
        others: executors.resources.iter().map(amount).collect(),
        ..Resource::new(executors.memory_mib, executors.cores)
    }
}

/// The priority of executors' asks; 0 is the ApplicationMaster's own.
pub(super) const PRIORITY: Priority = Priority(1);

impl App {
    /// Carries out what the driver wants.
    pub(super) fn obey(&mut self, command: LauncherCommand, steps: &mut VecDeque<Step>) {
        match command {
            // The only executor is beside us, and YARN has nothing to do with it.
            LauncherCommand::SetTarget(_) if self.plan.scheduling.uber => {}
            LauncherCommand::SetTarget(target) => {
                steps.push_back(Step::Launcher(LauncherEvent::TargetSet(target)));
            }
            LauncherCommand::StopExecutor { executor, loss } if self.is_beside(&executor) => {
                self.on_beside_ended(&loss.to_string());
            }
            LauncherCommand::StopExecutor { executor, loss } => {
                steps.push_back(Step::Launcher(LauncherEvent::StopRequested { executor, loss }));
            }
            LauncherCommand::Tell { executor, message } => self.tell(&executor, message, steps),
            LauncherCommand::Show(_) | LauncherCommand::Progress { .. } => {}
            LauncherCommand::Finish(verdict) => self.conclude(verdict),
        }
    }

    /// Queues a message; an executor that is too far behind loses its connection, which the driver is told.
    pub(super) fn tell(
        &mut self,
        executor: &ExecutorId,
        message: GatewayMessage,
        steps: &mut VecDeque<Step>,
    ) {
        if self.links.send(executor, message) == Sent::Disconnected {
            tracing::warn!(%executor, "executor does not take its messages: disconnected");
            let executor = executor.clone();
            steps.push_back(Step::Driver(LauncherReport::ExecutorDisconnected { executor }));
        }
    }

    // YARN.

    /// Carries out an effect of the launcher core.
    pub(super) fn launch(&mut self, effect: LauncherEffect, steps: &mut VecDeque<Step>) {
        match effect {
            LauncherEffect::SetAsk { name, count } => self.ask(&name, count),
            LauncherEffect::StartContainer { executor } => self.start_container(executor, steps),
            LauncherEffect::QueryContainer { executor } => self.query_container(executor, steps),
            LauncherEffect::StopContainer { executor } => self.stop_container(&executor),
            LauncherEffect::ReleaseContainer { executor } => self.release_container(&executor),
            LauncherEffect::UpdateBlacklist { additions, removals } => {
                tracing::info!(?additions, ?removals, "nodes to avoid have changed");
                let names =
                    |nodes: Vec<launcher::nodes::NodeName>| nodes.iter().map(ToString::to_string).collect();
                self.outbox.push(SessionCommand::Blacklist {
                    add: names(additions),
                    remove: names(removals),
                });
            }
            LauncherEffect::Nudge => self.outbox.push(SessionCommand::Nudge),
            LauncherEffect::Report(LauncherReport::ExecutorGone {
                executor,
                loss,
                detail,
            }) => {
                self.executor_gone(executor, loss, detail, steps);
            }
            LauncherEffect::Report(LauncherReport::Hopeless(reason)) => {
                let reason = self.with_advice(reason);
                tracing::error!(reason, "executors cannot be had any more");
                steps.push_back(Step::Driver(LauncherReport::Hopeless(reason)));
            }
            LauncherEffect::Report(report) => {
                if let LauncherReport::NoRoom { reason, .. } = &report {
                    tracing::warn!(reason, "there is no room for the executors that are needed");
                }
                steps.push_back(Step::Driver(report));
            }
        }
    }

    fn ask(&mut self, name: &str, count: u32) {
        if name == AskKey::ANY {
            tracing::info!(count, "asking for containers");
        } else {
            tracing::debug!(at = name, count, "asking for containers");
        }
        let executors = &self.plan.executors;
        let ask = Ask {
            key: AskKey::named(PRIORITY, AllocationRequestId(EXECUTORS), name),
            capability: capability(executors),
            count,
            relax_locality: true,
            node_label: self.node_label.clone().filter(|_| name == AskKey::ANY),
        };
        self.outbox.push(SessionCommand::SetAsk {
            ask,
            as_of: self.granted_seq,
        });
    }

    fn start_container(&mut self, executor: ExecutorId, steps: &mut VecDeque<Step>) {
        let Some(container) = self.containers.get(&executor).cloned() else {
            let message = "the grant was not kept".to_owned();
            let failure = launcher::StartFailure::Stale;
            steps.push_back(Step::Launcher(LauncherEvent::StartFailed {
                executor,
                failure,
                message,
            }));
            return;
        };
        let starter = self.starter.clone();
        let start = async move { Done::Launcher(starter.start(executor, container).await) };
        self.work.spawn("starting a container", start);
    }

    fn query_container(&mut self, executor: ExecutorId, steps: &mut VecDeque<Step>) {
        let Some(container) = self.containers.get(&executor) else {
            let localizing = false;
            return steps.push_back(Step::Launcher(LauncherEvent::ContainerQueried {
                executor,
                localizing,
            }));
        };
        let (node, id, starter) = (container.node.clone(), container.id, self.starter.clone());
        self.work.spawn("asking how far a container is", async move {
            let localizing = starter.is_localizing(node, id).await;
            Done::Launcher(LauncherEvent::ContainerQueried { executor, localizing })
        });
    }

    fn stop_container(&mut self, executor: &ExecutorId) {
        let Some(container) = self.containers.get(executor) else {
            return;
        };
        let (node, id, starter) = (container.node.clone(), container.id, self.starter.clone());
        self.work.spawn("stopping a container", async move {
            starter.stop(node, id).await;
            Done::Nothing
        });
    }

    /// A container that the launcher has no record of is released for the last time.
    fn release_container(&mut self, executor: &ExecutorId) {
        if self.launcher.record(executor).is_none() {
            self.containers.remove(executor);
        }
        match executor.as_str().parse::<ContainerId>() {
            Ok(id) => self.outbox.push(SessionCommand::Release(id)),
            Err(error) => tracing::error!(%error, "a container cannot be released"),
        }
    }

    /// The NodeManager has answered a start; the session must know of those that will outlive a restart of the
    /// ResourceManager.
    pub(super) fn on_start_answered(&mut self, event: LauncherEvent) {
        match &event {
            LauncherEvent::StartAccepted { executor } => {
                tracing::info!(%executor, "container started");
                if let Some(container) = self.containers.get(executor) {
                    self.outbox.push(SessionCommand::Started(container.id));
                }
            }
            LauncherEvent::StartFailed {
                executor, message, ..
            } => {
                tracing::warn!(%executor, message, "container could not be started");
            }
            _ => {}
        }
        self.process(Step::Launcher(event));
    }

    /// The node of an executor that is or was; empty when it was forgotten.
    pub(super) fn node_of(&self, executor: &ExecutorId) -> String {
        let record = self.launcher.remembered(executor);
        record.map(|record| record.node.to_string()).unwrap_or_default()
    }

    pub(super) fn note(&mut self, kind: &str, subject: String, host: String, cause: String) {
        let unix_ms = self.clock.unix_ms(self.clock.now());
        self.notes.add(FailureNote {
            unix_ms,
            kind: kind.to_owned(),
            subject,
            host,
            cause,
        });
    }
}
