//! An attempt that follows another one: what it does before its normal life begins.
//!
//! Its executors are there already, working on what they were given, and look for it. It says where it is
//! ([`wire::endpoint`]), registers, and takes over the containers that the ResourceManager hands over. Executors that
//! dial before that wait for their answer, which is why registration comes before the loop.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dfs::{DfsError, FileSystems};
use driver::plan::AppPlan;
use launcher::core::{ADOPTION, EXECUTORS};
use launcher::nodes::NodeName;
use launcher::{Event as LauncherEvent, Grant};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use wire::endpoint::Endpoint;
use wire::launcher::ExecutorTarget;
use yarn_rpc::records::Container;
use yarn_rpc::session::{SessionCommand, SessionEvent};

use super::effects::PRIORITY;
use super::session::{executor_id, node_name};
use super::{App, Exit, Step};
use crate::environment::Environment;
use crate::journal::{self, Past, PastError, PlanOf};
use crate::staged;

/// Whether this attempt goes on with what an earlier one has left.
pub(super) fn follows(environment: &Environment, plan: &AppPlan) -> bool {
    plan.settings.recovery && environment.epoch().0 > 1
}

/// Waits until the ResourceManager has registered the attempt, and gives what it said until then.
pub(super) async fn registered(
    events: &mut mpsc::Receiver<SessionEvent>,
    terminate: &mut Signal,
    patience: Duration,
) -> Result<Vec<SessionEvent>, Exit> {
    let wait = async {
        let mut early = Vec::new();
        while let Some(event) = events.recv().await {
            let done = matches!(
                event,
                SessionEvent::Registered(_) | SessionEvent::Superseded { .. }
            );
            early.push(event);
            if done {
                break;
            }
        }
        early
    };
    tokio::select! {
        early = wait => Ok(early),
        _ = terminate.recv() => Err(Exit::Terminated),
        () = tokio::time::sleep(patience) => {
            Err(Exit::Superseded(format!("no ResourceManager has registered this attempt within {patience:?}")))
        }
    }
}

/// How an attempt begins.
#[derive(Debug)]
pub(super) enum Beginning {
    /// With the first task.
    Afresh,
    /// Where the last attempt was.
    Where(Box<Past>),
    /// Not at all: what the last attempt has left cannot be used.
    Refused(String),
}

/// Finds out how this attempt begins. A journal that cannot be read ends it, because the next may have more luck.
pub(super) async fn beginning(
    systems: Arc<FileSystems>,
    environment: Environment,
    plan: PlanOf,
) -> Result<Beginning, Exit> {
    let staging = &environment.staging;
    let patience = plan.plan.settings.journal_patience;
    let succeeded = async || staged::has_succeeded(&systems, staging).await;
    match staged::patiently(
        "the staging directory",
        patience,
        DfsError::is_transient,
        succeeded,
    )
    .await
    {
        // The driver's shell looks again and says so.
        Ok(true) => return Ok(Beginning::Afresh),
        Ok(false) => {}
        Err(error) => {
            return Err(Exit::Crashed(format!(
                "the staging directory cannot be read: {error}"
            )));
        }
    }
    let attempt = environment.epoch().0;
    let look_back = async || journal::look_back(&systems, staging, attempt, &plan).await;
    match staged::patiently("the journal", patience, PastError::is_transient, look_back).await {
        Ok(Some(past)) if past.core.survey().started => Ok(Beginning::Where(Box::new(past))),
        Ok(_) => Ok(Beginning::Afresh),
        Err(error @ PastError::Unusable(_)) => Ok(Beginning::Refused(error.to_string())),
        Err(error @ PastError::Unreadable { .. }) => Err(Exit::Crashed(error.to_string())),
    }
}

/// Where this attempt's gateway is.
pub(super) fn endpoint(environment: &Environment, port: u16) -> Endpoint {
    Endpoint {
        epoch: environment.epoch(),
        host: environment.host.clone(),
        port,
    }
}

/// Whether a container is an ApplicationMaster's. Of the running ones the ResourceManager leaves out that of the present
/// attempt only (`AbstractYarnScheduler.getTransferredContainers`): that of an earlier one is among them as long as a
/// NodeManager that is silent has not ended it.
fn is_masters(container: &Container) -> bool {
    container.priority < PRIORITY
}

impl App {
    /// Takes over what earlier attempts have left: `running`, as the ResourceManager says at registration, and what
    /// the driver knows of before. The driver goes on with those.
    pub(super) fn follow(&mut self, running: Vec<Container>) {
        let known = self.driver.known_executors();
        self.keep_for_now(running.len().max(known.len()));
        let remembered = known.into_iter().map(|known| Grant {
            executor: known.executor,
            node: NodeName::new(&known.host),
            node_http: String::new(),
            allocation_request_id: EXECUTORS,
        });
        self.hand_over(running, remembered.collect());
        let present: Vec<_> = self
            .launcher
            .live()
            .map(|record| record.executor.clone())
            .collect();
        tracing::info!(executors = present.len(), "following an earlier attempt");
        let mut commands = Vec::new();
        self.driver
            .resume(self.clock.now(), present, ADOPTION, &mut commands);
        let mut steps = VecDeque::new();
        commands
            .into_iter()
            .for_each(|command| self.obey(command, &mut steps));
        self.process_all(steps);
    }

    /// Takes over containers that the ResourceManager finds later.
    pub(super) fn take_over(&mut self, running: Vec<Container>) {
        self.hand_over(running, Vec::new());
    }

    fn hand_over(&mut self, containers: Vec<Container>, remembered: Vec<Grant>) {
        let mut running = Vec::with_capacity(containers.len());
        let (masters, executors): (Vec<_>, Vec<_>) = containers.into_iter().partition(is_masters);
        // It is cut off or stands still, and so does its node.
        for id in masters.into_iter().map(|master| master.id) {
            tracing::info!(%id, "the container of an earlier ApplicationMaster is given back");
            self.outbox.push(SessionCommand::Release(id));
        }
        for container in executors {
            let Some(executor) = executor_id(container.id) else {
                continue;
            };
            if self.launcher.remembered(&executor).is_none() {
                tracing::info!(%executor, node = %container.node, "container taken over");
                self.roster.add(&executor, &container.node_http_address);
            }
            running.push(Grant {
                executor: executor.clone(),
                node: node_name(&container.node, self.include_port),
                node_http: container.node_http_address.clone(),
                allocation_request_id: container.allocation_request_id.0,
            });
            self.containers.entry(executor).or_insert(container);
        }
        self.process(Step::Launcher(LauncherEvent::ContainersHandedOver {
            running,
            remembered,
        }));
    }

    /// An elastic application keeps what is there until the driver says how many it wants.
    fn keep_for_now(&mut self, containers: usize) {
        if self.plan.scheduling.elastic.is_some() {
            let executors = u32::try_from(containers).unwrap_or(u32::MAX);
            let target = ExecutorTarget {
                executors,
                ..ExecutorTarget::default()
            };
            self.process(Step::Launcher(LauncherEvent::TargetSet(target)));
        }
    }
}
