//! A NodeManager: fetches files, starts real processes, ends them, and tells how they ended.
//!
//! Owns the containers of one node. Each container has one task that takes it from localization to its end; everybody
//! else only looks, or asks for its end. Invariants: a container is started at most once; every accepted container is
//! reported as ended exactly once; no process of a container outlives this process.

mod condition;
mod container;
mod faults;
mod light;
mod localize;
mod logs;
mod memory;
mod process;
mod script;

pub use container::{ContainerView, Kill, Stage};
pub use light::{LightContainers, LightLaunch, LightLife};
pub use logs::LogFile;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hadoop::credentials::{Credentials, Token, kind};
use hadoop::ids::{ApplicationAttemptId, ApplicationId, ContainerId};
use tokio::sync::watch;
use yarn_rpc::am_nm::ContainerSignal;
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::ContainerLaunchContext;

use crate::failure::Failure;
use crate::guard::Guard;
use crate::resource_manager::{Event, NodeFacts};
use crate::tasks::Tasks;
use crate::time;
use crate::tokens::{ContainerGrant, Keys, container_grant};
use container::{Launch, Record};
use localize::Localizer;

/// What NodeManagers tell their ResourceManager.
pub type Report = Box<dyn Fn(Event) + Send + Sync>;

/// Hears of containers that have a process, or run as a task.
pub(crate) type ProcessHook = Box<dyn Fn(ContainerId) + Send + Sync>;

/// Where a NodeManager keeps things.
#[derive(Debug, Clone)]
pub struct Directories {
    /// Fetched files and working directories (`yarn.nodemanager.local-dirs`).
    pub local: PathBuf,
    /// Logs (`yarn.nodemanager.log-dirs`).
    pub logs: PathBuf,
    /// The configuration that containers find in `HADOOP_CONF_DIR`.
    pub conf: PathBuf,
}

/// A NodeManager. Cheap to clone; all clones are the same node.
#[derive(Clone)]
pub struct NodeManager {
    node: Arc<Node>,
}

struct Node {
    facts: NodeFacts,
    directories: Directories,
    keys: Arc<Keys>,
    report: Report,
    localizer: Localizer,
    light: Option<LightContainers>,
    on_process: Option<ProcessHook>,
    guard: Option<Arc<Guard>>,
    condition: condition::Shared,
    /// What ran when the NodeManager was started anew without knowing of it.
    orphans: Mutex<Vec<Record>>,
    /// Start time of the ResourceManager whose grants are honoured; 0 before the first is met.
    resource_manager: AtomicU64,
    containers: Mutex<BTreeMap<ContainerId, Record>>,
    tasks: Tasks,
}

impl NodeManager {
    /// A node without containers.
    #[must_use]
    pub fn new(facts: NodeFacts, directories: Directories, keys: Arc<Keys>, report: Report) -> Self {
        let localizer = Localizer::new(directories.local.clone());
        let node = Node {
            facts,
            directories,
            keys,
            report,
            localizer,
            light: None,
            on_process: None,
            guard: None,
            condition: condition::Shared::default(),
            orphans: Mutex::default(),
            resource_manager: AtomicU64::new(0),
            containers: Mutex::default(),
            tasks: Tasks::default(),
        };
        Self { node: Arc::new(node) }
    }

    /// The same node with containers that are tasks.
    ///
    /// # Panics
    /// The node has been cloned already.
    #[must_use]
    pub(crate) fn with_light(mut self, light: Option<LightContainers>) -> Self {
        Arc::get_mut(&mut self.node)
            .expect("a new node has one owner")
            .light = light;
        self
    }

    /// The same node, with somebody who hears of every container that has a process.
    ///
    /// # Panics
    /// The node has been cloned already.
    #[must_use]
    pub(crate) fn with_process_hook(mut self, hook: ProcessHook) -> Self {
        Arc::get_mut(&mut self.node)
            .expect("a new node has one owner")
            .on_process = Some(hook);
        self
    }

    /// The same node, whose processes end with this one however that ends.
    ///
    /// # Panics
    /// The node has been cloned already.
    #[must_use]
    pub(crate) fn with_guard(mut self, guard: Arc<Guard>) -> Self {
        Arc::get_mut(&mut self.node)
            .expect("a new node has one owner")
            .guard = Some(guard);
        self
    }

    /// From now on only grants of the ResourceManager that was started at this time are honoured.
    pub(crate) fn meet(&self, resource_manager: u64) {
        self.node
            .resource_manager
            .store(resource_manager, Ordering::Relaxed);
    }

    /// What the node says of itself.
    #[must_use]
    pub fn facts(&self) -> &NodeFacts {
        &self.node.facts
    }

    /// Accepts a container (`startContainers`); files and process follow.
    ///
    /// # Errors
    /// The exceptions of `ContainerManagerImpl`. One of class `InvalidToken`, or that wraps an `IOException`, concerns the whole call.
    pub fn start(&self, token: &Token, context: ContainerLaunchContext) -> Result<ContainerId, Failure> {
        let grant = self.check(token)?;
        let tokens = context.tokens.as_deref().filter(|bytes| !bytes.is_empty());
        if tokens.is_some_and(|bytes| Credentials::from_bytes(bytes).is_err()) {
            let text = "java.io.IOException: Bad header found in token storage.";
            return Err(Failure::yarn("YarnException", text));
        }
        if let Some(name) = context.service_data.keys().next() {
            let text = format!("The auxService:{name} does not exist");
            return Err(Failure::yarn("InvalidAuxServiceException", text));
        }
        let id = grant.container;
        let (kill, killed) = watch::channel(None);
        let launch = Launch { grant, context };
        {
            let mut containers = self.node.containers();
            if containers.contains_key(&id) {
                let text = format!("Attempt to relaunch the same container with id {id}");
                return Err(Failure::yarn("YarnException", text));
            }
            containers.insert(id, Record::new(&launch.grant, kill));
        }
        let node = self.node.clone();
        self.node.tasks.spawn(
            "container",
            async move { container::run(&node, launch, killed).await },
        );
        // What is accepted counts as started; that its files may take long is nobody's concern.
        self.node.tell(Event::ContainerStarted {
            container: id,
            node: self.node.facts.id.clone(),
        });
        Ok(id)
    }

    fn check(&self, token: &Token) -> Result<ContainerGrant, Failure> {
        let own = &self.node.facts.id;
        let refused = || {
            Failure::invalid_token(format!(
                "Invalid container token used for starting container on : {own}"
            ))
        };
        let grant = container_grant(&token.identifier).ok_or_else(refused)?;
        if token.kind != kind::CONTAINER || !self.node.keys.is_genuine(token) {
            return Err(refused());
        }
        if grant.node != *own {
            return Err(Failure::invalid_token(format!(
                "Given Container {} identifier is not valid for current Node manager. Expected : {own} Found : {}",
                grant.container, grant.node
            )));
        }
        let now = self.node.condition.get().clock(time::now());
        if grant.expires_ms < now {
            return Err(Failure::yarn(
                "YarnException",
                format!(
                    "Unauthorized request to start container.\nThis token is expired. current time is {now} found \
                     {}\nNote: System times on machines may be out of sync. Check system time and time zones.",
                    grant.expires_ms
                ),
            ));
        }
        let known = self.node.resource_manager.load(Ordering::Relaxed);
        if known != 0 && grant.resource_manager != known {
            let text = format!(
                "\nContainer {} rejected as it is allocated by a previous RM",
                grant.container
            );
            return Err(Failure::yarn("InvalidContainerException", text));
        }
        Ok(grant)
    }

    /// Ends a container on behalf of its ApplicationMaster (`stopContainers`).
    ///
    /// # Errors
    /// The node does not know it.
    pub fn stop(&self, id: ContainerId) -> Result<(), Failure> {
        match self.node.containers().get(&id) {
            Some(record) => {
                record.kill(Kill::ByMaster);
                Ok(())
            }
            None => Err(not_handled(id)),
        }
    }

    /// How a container is (`getContainerStatuses`).
    ///
    /// # Errors
    /// The node does not know it, or not any more.
    pub fn status(&self, id: ContainerId) -> Result<pb::ContainerStatusProto, Failure> {
        match self.node.containers().get(&id) {
            Some(record) if record.is_forgotten() => {
                let text = format!("Container {id} was recently stopped on node manager.");
                Err(Failure::yarn("YarnException", text))
            }
            Some(record) => Ok(record.status(id)),
            None => Err(not_handled(id)),
        }
    }

    /// Sends a signal to a container's processes (`signalToContainer`); no matter if it is gone.
    pub fn signal(&self, id: ContainerId, signal: ContainerSignal) {
        if let Some(record) = self.node.containers().get_mut(&id) {
            record.signal(id, signal);
        }
    }

    /// Takes in the token of a container that was resized (`updateContainer`); gives its id and version.
    ///
    /// # Errors
    /// The exceptions of `ContainerManagerImpl`.
    pub fn update(&self, token: &Token) -> Result<(ContainerId, i32), Failure> {
        let grant = self.check(token)?;
        let id = grant.container;
        let mut containers = self.node.containers();
        let record = containers.get_mut(&id).ok_or_else(|| not_handled(id))?;
        if record.update(&grant) {
            return Ok((id, grant.version));
        }
        let text = format!(
            "Container {id} update version {} is older than Current version",
            grant.version
        );
        Err(Failure::yarn("YarnException", text))
    }

    /// Ends a container on behalf of the ResourceManager; a node that is out of reach does not hear of it.
    pub fn kill(&self, id: ContainerId) {
        if !self.node.is_heard() {
            return;
        }
        if let Some(record) = self.node.containers().get(&id) {
            record.kill(Kill::ByResourceManager);
        }
    }

    /// The end of a container is known where it must be.
    pub fn forget(&self, id: ContainerId) {
        if !self.node.is_heard() {
            return;
        }
        if let Some(record) = self.node.containers().get_mut(&id) {
            record.forget();
        }
    }

    /// Ends what an application still has here, and removes its files when its containers are gone.
    pub fn end_application(&self, application: ApplicationId) {
        if !self.node.is_heard() {
            return;
        }
        self.node
            .kill_where(&Kill::ApplicationEnded, |id| id.application() == application);
        let node = self.node.clone();
        self.node.tasks.spawn("application cleanup", async move {
            node.all_ended(application).await;
            let users = node.users_of(application);
            node.localizer.remove_application(application, &users).await;
        });
    }

    /// Ends everything that runs.
    pub(crate) fn stop_all(&self) {
        self.node.kill_where(&Kill::ApplicationEnded, |_| true);
        let orphans = self.node.orphans.lock().unwrap_or_else(PoisonError::into_inner);
        orphans
            .iter()
            .for_each(|record| record.kill(Kill::ApplicationEnded));
    }

    /// Waits until everything that was there has ended.
    pub(crate) async fn join(&self) {
        self.node.tasks.join().await;
    }

    /// Kills all processes at once, as a power failure would.
    pub(crate) fn switch_off(&self) {
        self.node.containers().values().for_each(Record::kill_now);
        let orphans = self.node.orphans.lock().unwrap_or_else(PoisonError::into_inner);
        orphans.iter().for_each(Record::kill_now);
    }

    /// The last resort, without waiting: nobody will look after the containers any more.
    pub(crate) fn abandon(&self) {
        self.switch_off();
        self.node.tasks.abort();
    }

    /// All containers that the node has had.
    #[must_use]
    pub fn containers(&self) -> Vec<ContainerView> {
        let containers = self.node.containers();
        containers.iter().map(|(id, record)| record.view(*id)).collect()
    }

    /// One container.
    #[must_use]
    pub fn container(&self, id: ContainerId) -> Option<ContainerView> {
        self.node.containers().get(&id).map(|record| record.view(id))
    }

    /// The log files of a container.
    ///
    /// # Errors
    /// Its directory cannot be read.
    pub fn log_files(&self, id: ContainerId) -> std::io::Result<Vec<LogFile>> {
        logs::list(&self.node.log_directory(id))
    }

    /// A log file as the web service sends it: wrapped. `size` counts from the start, or from the end if negative.
    ///
    /// # Errors
    /// There is no such file.
    pub fn log(&self, id: ContainerId, file: &str, size: Option<i64>) -> std::io::Result<Vec<u8>> {
        let running = self
            .container(id)
            .is_some_and(|container| container.stage != Stage::Done);
        logs::wrapped(
            &self.node.log_directory(id),
            id,
            &self.node.facts.id,
            file,
            size,
            running,
        )
    }

    /// The user of an attempt's containers, for checks of tokens.
    #[must_use]
    pub fn knows_token(&self, attempt: ApplicationAttemptId, identifier: &[u8]) -> Option<Vec<u8>> {
        let (owner, node) = crate::tokens::node_identity(identifier)?;
        let ours = owner.application == attempt.application && node == self.node.facts.id;
        ours.then(|| self.node.keys.node_password(identifier)).flatten()
    }
}

impl Node {
    fn containers(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Record>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kill_where(&self, kill: &Kill, wanted: impl Fn(ContainerId) -> bool) {
        let containers = self.containers();
        let wanted = containers.iter().filter(|(id, _)| wanted(**id));
        wanted.for_each(|(_, record)| record.kill(kill.clone()));
    }

    async fn all_ended(&self, application: ApplicationId) {
        let watches: Vec<_> = {
            let containers = self.containers();
            let of_it = containers
                .iter()
                .filter(|(id, _)| id.application() == application);
            of_it.map(|(_, record)| record.ended()).collect()
        };
        for mut watch in watches {
            // An error means that the sender is gone, and with it the container.
            let _ = watch.wait_for(|ended| *ended).await;
        }
    }

    fn users_of(&self, application: ApplicationId) -> Vec<String> {
        let containers = self.containers();
        let of_it = containers
            .iter()
            .filter(|(id, _)| id.application() == application);
        let mut users: Vec<String> = of_it.map(|(_, record)| record.user().to_owned()).collect();
        users.sort();
        users.dedup();
        users
    }

    fn log_directory(&self, id: ContainerId) -> PathBuf {
        self.directories
            .logs
            .join(id.application().to_string())
            .join(id.to_string())
    }

    fn application_directory(&self, user: &str, application: ApplicationId) -> PathBuf {
        user_cache(&self.directories.local, user)
            .join("appcache")
            .join(application.to_string())
    }
}

fn user_cache(local: &Path, user: &str) -> PathBuf {
    local.join("usercache").join(user)
}

fn not_handled(id: ContainerId) -> Failure {
    Failure::yarn(
        "YarnException",
        format!("Container {id} is not handled by this NodeManager"),
    )
}

impl std::fmt::Debug for NodeManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeManager")
            .field("facts", &self.node.facts)
            .finish_non_exhaustive()
    }
}
