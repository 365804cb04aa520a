//! The ResourceManager as a daemon: owns the core, knows the clock and the nodes, carries out effects.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use hadoop::credentials::{Credentials, Format, Token};
use hadoop::ids::{ApplicationAttemptId, ContainerId, NodeId};
use prost::Message;
use tokio::sync::{Notify, watch};
use yarn_rpc::am_nm::ContainerSignal;
use yarn_rpc::connection::{Protocol, ServerUser};
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::ContainerLaunchContext;

use crate::failure::Failure;
use crate::launch;
use crate::node_manager::NodeManager;
use crate::resource_manager::{ContainerReport, Effect, Event, MasterAnswer, MasterCall, ResourceManager};
use crate::rpc::{Service, decoded, ends_call, token_of};
use crate::standing::Standing;
use crate::tasks::over;
use crate::time;
use crate::tokens::{self, Keys};

/// `ContainerExitStatus.INVALID`, for a master that was not even accepted by its node.
const NOT_STARTED: i32 = -1000;
/// The most time between two looks at what expires.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// The ResourceManager.
#[derive(Debug)]
pub(crate) struct Daemon {
    core: Mutex<ResourceManager>,
    nodes: OnceLock<BTreeMap<NodeId, NodeManager>>,
    keys: Arc<Keys>,
    changed: Notify,
    standing: Standing,
    /// Whether any ResourceManager is active.
    up: AtomicBool,
}

impl Daemon {
    pub(crate) fn new(core: ResourceManager, keys: Arc<Keys>, standing: Standing) -> Self {
        Self {
            core: Mutex::new(core),
            nodes: OnceLock::new(),
            keys,
            changed: Notify::new(),
            standing,
            up: AtomicBool::new(true),
        }
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// While no ResourceManager is active, nothing that nodes say is heard, and nothing expires.
    pub(crate) fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::SeqCst);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Ordering::SeqCst)
    }

    /// Containers of a kind that are held, but for those of ApplicationMasters.
    pub(crate) fn held(&self, wanted: impl Fn(ContainerId) -> bool) -> Vec<ContainerId> {
        let core = self.core();
        let containers = core
            .applications()
            .flat_map(|application| application.containers.values());
        let held = containers.filter(|one| !one.is_master && wanted(one.id));
        held.map(|one| one.id).collect()
    }

    /// Makes the nodes known; once.
    pub(crate) fn connect(&self, nodes: &[NodeManager]) {
        let by_id = nodes.iter().map(|node| (node.facts().id.clone(), node.clone()));
        if self.nodes.set(by_id.collect()).is_err() {
            tracing::error!("the nodes of a cluster are connected once");
        }
        nodes.iter().for_each(|node| self.join(node));
    }

    /// A node registers. What ended between its report and the registration is told once more, because nobody knew the
    /// container in between.
    pub(crate) fn join(&self, node: &NodeManager) {
        let started_ms = self.core().settings().started_ms;
        node.meet(started_ms);
        let containers = node.reports();
        let ran: Vec<ContainerId> = containers
            .iter()
            .filter(|one| one.end.is_none())
            .map(ContainerReport::id)
            .collect();
        self.drive(Event::NodeJoined {
            facts: node.facts().clone(),
            containers,
        });
        let ended = node.reports().into_iter().filter(|one| ran.contains(&one.id()));
        for report in ended {
            let container = report.id();
            if let Some((exit_status, diagnostics)) = report.end {
                self.drive(Event::ContainerEnded {
                    container,
                    exit_status,
                    diagnostics,
                });
            }
        }
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, ResourceManager> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeManager> {
        self.nodes.get().into_iter().flat_map(BTreeMap::values)
    }

    fn node(&self, id: &NodeId) -> Option<&NodeManager> {
        self.nodes.get()?.get(id)
    }

    /// Gives the core an event and carries out what follows; gives the answer if the event was a call.
    pub(crate) fn drive(&self, event: Event) -> Option<Result<MasterAnswer, Failure>> {
        let mut answer = None;
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut effects = Vec::new();
            self.core().handle(time::now(), event, &mut effects);
            for effect in effects {
                match effect {
                    Effect::Answer(result) => answer = Some(*result),
                    effect => events.extend(self.carry_out(effect)),
                }
            }
        }
        self.changed.notify_one();
        answer
    }

    fn carry_out(&self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Answer(_) => None,
            Effect::StartMaster {
                node,
                attempt,
                token,
                context,
                submitted_ms,
            } => {
                let context = self.master_context(attempt, &context, submitted_ms);
                self.start_master(&node, &token, context)
            }
            Effect::KillContainer { node, container } => {
                self.node(&node)?.kill(container);
                None
            }
            Effect::ForgetContainer { node, container } => {
                self.node(&node)?.forget(container);
                None
            }
            Effect::EndApplication(application) => {
                self.nodes().for_each(|node| node.end_application(application));
                None
            }
        }
    }

    /// What `AMLauncher` adds to what was submitted.
    fn master_context(
        &self,
        attempt: ApplicationAttemptId,
        submitted: &ContainerLaunchContext,
        submitted_ms: u64,
    ) -> ContainerLaunchContext {
        let given = submitted.tokens.as_deref().map(Credentials::from_bytes);
        let mut credentials = given.and_then(Result::ok).unwrap_or_default();
        credentials.tokens.insert(String::new(), self.keys.am_rm(attempt));
        let mut context = submitted.clone();
        context.tokens = Some(credentials.to_bytes(Format::Writable));
        let own = [
            (
                "APPLICATION_WEB_PROXY_BASE",
                format!("/proxy/{}", attempt.application),
            ),
            ("APP_SUBMIT_TIME_ENV", submitted_ms.to_string()),
        ];
        context
            .environment
            .extend(own.map(|(name, value)| (name.to_owned(), value)));
        context
    }

    fn start_master(&self, node: &NodeId, token: &Token, context: ContainerLaunchContext) -> Option<Event> {
        let container = tokens::container_grant(&token.identifier)?.container;
        let failed = |why: String| Event::ContainerEnded {
            container,
            exit_status: NOT_STARTED,
            diagnostics: format!("Error launching {}. Got exception: {why}\n", container.attempt),
        };
        match self.node(node).map(|node| node.start(token, context)) {
            Some(Ok(_)) => None,
            Some(Err(failure)) => Some(failed(failure.to_string())),
            None => Some(failed(format!("no node {node}"))),
        }
    }

    /// Kills all applications, so that none gets another attempt.
    pub(crate) fn end_applications(&self) {
        let ids: Vec<_> = self
            .core()
            .applications()
            .map(|application| application.id)
            .collect();
        for application in ids {
            let diagnostics = Some("the embedded cluster was ended".to_owned());
            self.drive(Event::KillRequested {
                application,
                user: "mini".to_owned(),
                diagnostics,
            });
        }
    }

    /// Wakes the core when something expires, until `ended` says so.
    pub(crate) async fn watch_deadlines(self: Arc<Self>, mut ended: watch::Receiver<bool>) {
        loop {
            let deadline = self.core().next_deadline();
            let deadline = deadline.filter(|_| self.is_up());
            let left = deadline.map(|at| Duration::from_millis(at.saturating_sub(time::now())));
            let sleep = tokio::time::sleep(left.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP));
            tokio::select! {
                () = sleep => {
                    if self.is_up() {
                        self.drive(Event::DeadlineReached);
                    }
                }
                () = self.changed.notified() => {}
                () = over(&mut ended) => return,
            }
        }
    }
}

/// `ApplicationMasterService`.
pub(crate) struct MasterService {
    pub(crate) daemon: Arc<Daemon>,
}

impl Service for MasterService {
    fn protocol(&self) -> &'static str {
        Protocol::APPLICATION_MASTER.name
    }

    fn password(&self, identifier: &[u8]) -> Option<Vec<u8>> {
        let attempt = tokens::am_rm_attempt(identifier)?;
        let known = self.daemon.core().knows_attempt(attempt);
        known
            .then(|| self.daemon.keys.am_rm_password(identifier))
            .flatten()
    }

    /// `AMRMTokenSecretManager.retrievePassword`.
    fn refusal(&self, identifier: &[u8]) -> String {
        match self.holder(identifier) {
            Some(attempt) if self.daemon.core().knows_attempt(attempt) => {
                format!("Invalid AMRMToken from {attempt}")
            }
            Some(attempt) => format!("{attempt} not found in AMRMTokenSecretManager."),
            None => "Invalid AMRMToken".to_owned(),
        }
    }

    fn holder(&self, identifier: &[u8]) -> Option<ApplicationAttemptId> {
        tokens::am_rm_attempt(identifier)
    }

    fn call(&self, caller: &ServerUser, method: &str, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let token = token_of(caller);
        let call = match method {
            "registerApplicationMaster" => MasterCall::Register(decoded(body)?),
            "allocate" => MasterCall::Allocate(decoded(body)?),
            "finishApplicationMaster" => MasterCall::Finish(decoded(body)?),
            _ => return Err(Failure::no_such_method(self.protocol(), method)),
        };
        let attempt =
            tokens::am_rm_attempt(token).ok_or_else(|| Failure::invalid_token("Invalid AMRMToken"))?;
        let event = Event::MasterCalled {
            attempt,
            key: tokens::am_rm_key(token).unwrap_or_default(),
            call: Box::new(call),
        };
        let answer = self.daemon.drive(event);
        let answer =
            answer.unwrap_or_else(|| Err(Failure::yarn("YarnException", "the call was not answered")))?;
        Ok(match answer {
            MasterAnswer::Registered(response) => response.encode_to_vec(),
            MasterAnswer::Allocated(response) => response.encode_to_vec(),
            MasterAnswer::Finished(response) => response.encode_to_vec(),
        })
    }
}

/// `ContainerManagementProtocol` of one node.
pub(crate) struct ContainerService {
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) node: NodeManager,
}

impl Service for ContainerService {
    fn protocol(&self) -> &'static str {
        Protocol::CONTAINER_MANAGEMENT.name
    }

    fn password(&self, identifier: &[u8]) -> Option<Vec<u8>> {
        let (attempt, _) = tokens::node_identity(identifier)?;
        self.node.knows_token(attempt, identifier)
    }

    /// `NMTokenSecretManagerInNM.retrievePassword`.
    fn refusal(&self, identifier: &[u8]) -> String {
        let own = &self.node.facts().id;
        match tokens::node_identity(identifier) {
            Some((attempt, node)) if node != *own => format!(
                "Given NMToken for application : {attempt} is not valid for current node manager.expected : {own} \
                 found : {node}"
            ),
            Some((attempt, _)) => {
                format!("Given NMToken for application : {attempt} seems to have been generated illegally.")
            }
            None => "Given NMToken cannot be read".to_owned(),
        }
    }

    fn holder(&self, identifier: &[u8]) -> Option<ApplicationAttemptId> {
        tokens::node_identity(identifier).map(|(attempt, _)| attempt)
    }

    fn call(&self, caller: &ServerUser, method: &str, body: &[u8]) -> Result<Vec<u8>, Failure> {
        match method {
            "startContainers" => self.start(token_of(caller), &decoded(body)?),
            "updateContainer" => self.update(&decoded(body)?),
            "stopContainers" => Ok(self.stop(&decoded(body)?)),
            "getContainerStatuses" => Ok(self.statuses(&decoded(body)?)),
            "signalToContainer" => self.signal(&decoded(body)?),
            _ => Err(Failure::no_such_method(self.protocol(), method)),
        }
    }
}

impl ContainerService {
    fn start(&self, caller: &[u8], request: &pb::StartContainersRequestProto) -> Result<Vec<u8>, Failure> {
        let mut response = pb::StartContainersResponseProto::default();
        let caller = tokens::node_identity(caller).map(|(attempt, _)| attempt.application);
        for one in &request.start_container_request {
            let token = one.container_token.as_ref().map(Token::from);
            let token = token.ok_or_else(|| Failure::invalid_token("Container token is missing"))?;
            let container = tokens::container_grant(&token.identifier).map(|grant| grant.container);
            if container.map(|id| id.application()) != caller {
                return Err(Failure::invalid_token(
                    "NMToken and container token are of different applications",
                ));
            }
            let context = launch::from_wire(&one.container_launch_context.clone().unwrap_or_default());
            let context = context.map_err(|text| Failure::yarn("YarnException", text));
            match context.and_then(|context| self.node.start(&token, context)) {
                Ok(id) => response.succeeded_requests.push(id.into()),
                Err(failure) if ends_call(&failure) => return Err(failure),
                Err(failure) => response.failed_requests.push(failed(container, &failure)),
            }
        }
        Ok(response.encode_to_vec())
    }

    /// An increase is final when the node has been shown its token.
    fn update(&self, request: &pb::ContainerUpdateRequestProto) -> Result<Vec<u8>, Failure> {
        let mut response = pb::ContainerUpdateResponseProto::default();
        for token in &request.update_container_token {
            let token = Token::from(token);
            match self.node.update(&token) {
                Ok((container, version)) => {
                    response.succeeded_requests.push(container.into());
                    self.daemon.drive(Event::IncreaseConfirmed { container, version });
                }
                Err(failure) if ends_call(&failure) => return Err(failure),
                Err(failure) => {
                    let container = tokens::container_grant(&token.identifier).map(|grant| grant.container);
                    response.failed_requests.push(failed(container, &failure));
                }
            }
        }
        Ok(response.encode_to_vec())
    }

    fn stop(&self, request: &pb::StopContainersRequestProto) -> Vec<u8> {
        let mut response = pb::StopContainersResponseProto::default();
        for id in containers(&request.container_id) {
            match self.node.stop(id) {
                Ok(()) => response.succeeded_requests.push(id.into()),
                Err(failure) => response.failed_requests.push(failed(Some(id), &failure)),
            }
        }
        response.encode_to_vec()
    }

    fn statuses(&self, request: &pb::GetContainerStatusesRequestProto) -> Vec<u8> {
        let mut response = pb::GetContainerStatusesResponseProto::default();
        for id in containers(&request.container_id) {
            match self.node.status(id) {
                Ok(status) => response.status.push(status),
                Err(failure) => response.failed_requests.push(failed(Some(id), &failure)),
            }
        }
        response.encode_to_vec()
    }

    fn signal(&self, request: &pb::SignalContainerRequestProto) -> Result<Vec<u8>, Failure> {
        let signal = match pb::SignalContainerCommandProto::try_from(request.command) {
            Ok(pb::SignalContainerCommandProto::OutputThreadDump) => ContainerSignal::ThreadDump,
            Ok(pb::SignalContainerCommandProto::GracefulShutdown) => ContainerSignal::Graceful,
            Ok(pb::SignalContainerCommandProto::ForcefulShutdown) => ContainerSignal::Forceful,
            Err(error) => return Err(Failure::yarn("YarnException", error.to_string())),
        };
        for id in containers(std::slice::from_ref(&request.container_id)) {
            self.node.signal(id, signal);
        }
        Ok(pb::SignalContainerResponseProto {}.encode_to_vec())
    }
}

fn containers(ids: &[pb::ContainerIdProto]) -> impl Iterator<Item = ContainerId> {
    ids.iter().filter_map(|id| id.try_into().ok())
}

fn failed(container: Option<ContainerId>, failure: &Failure) -> pb::ContainerExceptionMapProto {
    pb::ContainerExceptionMapProto {
        container_id: container.map(Into::into),
        exception: Some(pb::SerializedExceptionProto {
            message: Some(failure.message.clone()),
            trace: Some(failure.to_string()),
            class_name: Some(failure.class.clone()),
            cause: None,
        }),
    }
}
