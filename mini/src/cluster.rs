//! A whole cluster: ports, directories, daemons, and their end.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hadoop::ids::{ContainerId, NodeId};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::configuration;
use crate::control::Control;
use crate::daemon::Daemon;
use crate::faults::Faults;
use crate::guard::Guard;
use crate::launcher::Launcher;
use crate::node_manager::NodeManager;
use crate::options::Options;
use crate::order::Order;
use crate::resource_manager::{Calculator, Event, Recovery, ResourceManager, Settings};
use crate::standing::{Addresses, Standing};
use crate::tasks::Tasks;
use crate::time;
use crate::tokens::Keys;

/// Why a cluster does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A cluster without nodes runs nothing.
    #[error("a cluster needs at least one node")]
    NoNodes,
    /// A node without memory runs nothing.
    #[error("a node needs at least {0} MiB of memory")]
    TooSmall(u64),
    /// Others could run anything in the name of this user.
    #[error(
        "{0} is no address of this machine alone: whoever reaches it could run anything as you, there is no check of who he is"
    )]
    Exposed(IpAddr),
    /// The system gave no port.
    #[error("no port can be had")]
    Port(#[source] io::Error),
    /// The directory cannot be used.
    #[error("the directory {} cannot be used", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no bash, without which containers cannot run either.
    #[error("/bin/bash cannot be run")]
    Guard(#[source] io::Error),
    /// The system gave no random bytes.
    #[error("no random numbers can be had")]
    Random(#[source] io::Error),
}

/// A running cluster. [`Cluster::shutdown`] ends it in good order; one that is dropped instead kills its containers.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    removed_at_end: bool,
    nodes: Vec<NodeManager>,
    faults: Arc<Faults>,
    control: Arc<Control>,
    guard: Arc<Guard>,
    servers: Tasks,
    end: watch::Sender<bool>,
}

/// Ports that are bound and not served yet.
pub(crate) struct Ports {
    pub(crate) resource_managers: Vec<MasterPorts>,
    /// RPC and web of each node.
    pub(crate) nodes: Vec<(TcpListener, TcpListener)>,
}

/// Those of one ResourceManager.
pub(crate) struct MasterPorts {
    pub(crate) scheduler: TcpListener,
    pub(crate) client: TcpListener,
    pub(crate) web: TcpListener,
}

impl Ports {
    async fn bind(options: &Options) -> io::Result<Self> {
        let mut nodes = Vec::with_capacity(options.nodes);
        for _ in 0..options.nodes {
            nodes.push((bind(options.bind).await?, bind(options.bind).await?));
        }
        let mut resource_managers = Vec::new();
        for _ in 0..=usize::from(options.high_availability) {
            resource_managers.push(MasterPorts {
                scheduler: bind(options.bind).await?,
                client: bind(options.bind).await?,
                web: bind(options.bind).await?,
            });
        }
        Ok(Self {
            resource_managers,
            nodes,
        })
    }

    fn addresses(&self) -> Result<Vec<Addresses>, StartError> {
        let of = |ports: &MasterPorts| {
            Ok(Addresses {
                scheduler: address(&ports.scheduler)?.to_string(),
                client: address(&ports.client)?.to_string(),
                web: address(&ports.web)?.to_string(),
            })
        };
        self.resource_managers.iter().map(of).collect()
    }
}

async fn bind(address: IpAddr) -> io::Result<TcpListener> {
    TcpListener::bind((address, 0)).await
}

fn check(options: &Options) -> Result<(), StartError> {
    if options.nodes == 0 {
        return Err(StartError::NoNodes);
    }
    if options.node_memory_mb < options.minimum_memory_mb {
        return Err(StartError::TooSmall(options.minimum_memory_mb));
    }
    if !options.exposed && !options.bind.is_loopback() {
        return Err(StartError::Exposed(options.bind));
    }
    Ok(())
}

impl Cluster {
    /// Starts a cluster; its nodes are there when this returns.
    ///
    /// # Errors
    /// Options that make no sense, and a system that gives no port or no directory.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        check(&options)?;
        let ports = Ports::bind(&options).await.map_err(StartError::Port)?;
        let standing = Standing::new(ports.addresses()?);
        let directory = directory(&options)?;
        let unusable = |source| StartError::Directory {
            path: directory.clone(),
            source,
        };
        configuration::write(&directory.join("conf"), &options, standing.addresses()).map_err(unusable)?;
        let keys = Arc::new(Keys::new(random()?));
        let core = ResourceManager::new(settings(&options, &standing.latest().web), keys.clone());
        let daemon = Arc::new(Daemon::new(core, keys.clone(), standing));
        let removed_at_end = options.directory.is_none();
        let guard = Guard::start(removed_at_end.then_some(directory.as_path()));
        let launcher = Launcher {
            guard: Arc::new(guard.map_err(StartError::Guard)?),
            options: &options,
            directory: &directory,
            daemon,
            keys,
            faults: Arc::default(),
            servers: Tasks::default(),
            end: watch::channel(false).0,
        };
        let (control, launcher) = launcher.serve(ports)?;
        let Launcher {
            faults,
            guard,
            servers,
            end,
            ..
        } = launcher;
        Ok(Self {
            removed_at_end,
            guard,
            nodes: control.nodes.iter().map(|(node, _)| node.clone()).collect(),
            faults,
            control,
            servers,
            end,
            directory,
        })
    }

    /// The directory for `HADOOP_CONF_DIR`.
    #[must_use]
    pub fn conf_dir(&self) -> PathBuf {
        self.directory.join("conf")
    }

    /// Where everything is kept.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Keeps the directory after the end, for example because there are logs to look at.
    pub fn keep_directory(&mut self) {
        self.removed_at_end = false;
        self.guard.keep_directory();
    }

    /// `host:port` of the active ResourceManager's web pages and REST API.
    #[must_use]
    pub fn web_address(&self) -> &str {
        &self.control.daemon.standing().latest().web
    }

    /// The same of all ResourceManagers.
    pub fn web_addresses(&self) -> impl Iterator<Item = &str> {
        let all = self.control.daemon.standing().addresses();
        all.iter().map(|one| one.web.as_str())
    }

    /// `host:port` of the active ResourceManager's service that ApplicationMasters call.
    #[must_use]
    pub fn scheduler_address(&self) -> &str {
        &self.control.daemon.standing().latest().scheduler
    }

    /// The same of all ResourceManagers.
    pub fn scheduler_addresses(&self) -> impl Iterator<Item = &str> {
        let all = self.control.daemon.standing().addresses();
        all.iter().map(|one| one.scheduler.as_str())
    }

    /// `host:port` of the active ResourceManager's service that clients call.
    #[must_use]
    pub fn client_address(&self) -> &str {
        &self.control.daemon.standing().latest().client
    }

    /// The same of all ResourceManagers.
    pub fn client_addresses(&self) -> impl Iterator<Item = &str> {
        let all = self.control.daemon.standing().addresses();
        all.iter().map(|one| one.client.as_str())
    }

    /// The NodeManagers.
    #[must_use]
    pub fn nodes(&self) -> &[NodeManager] {
        &self.nodes
    }

    /// Where faults are ordered.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Makes something befall the cluster, now. What it does is done when this returns, but for doors of servers,
    /// which turn a moment later.
    pub fn order(&self, order: &Order) {
        self.control.carry_out(order);
    }

    /// The same, later; nothing happens if the cluster has ended by then.
    pub fn order_after(&self, delay: Duration, order: Order) {
        self.control.carry_out_after(delay, order);
    }

    /// Takes a container from its application, as a scheduler does that wants the room for others.
    pub fn preempt(&self, container: ContainerId) {
        self.control.daemon.drive(Event::ContainerPreempted(container));
    }

    /// Restarts the ResourceManager, with recovery, in no time: connections are lost, ApplicationMasters must register
    /// and ask again, grants that were not started are void, processes go on.
    pub fn restart_resource_manager(&self) {
        self.order(&Order::RestartResourceManager(Recovery::WorkPreserving));
    }

    /// Switches a node off: its processes die at once, and the ResourceManager learns that it is lost. Its ports stay
    /// open.
    pub fn lose_node(&self, id: &NodeId) {
        if let Some(node) = self.nodes.iter().find(|node| node.facts().id == *id) {
            self.control.lose(id, node);
        }
    }

    /// Ends all containers, then the daemons, and removes the directory unless it was given or is to be kept.
    pub async fn shutdown(self) {
        self.control.daemon.set_up(true);
        self.control.daemon.end_applications();
        self.nodes.iter().for_each(NodeManager::stop_all);
        for node in &self.nodes {
            node.join().await;
        }
        self.end.send_replace(true);
        self.control.timers.join().await;
        self.servers.join().await;
    }
}

impl Drop for Cluster {
    /// Whoever drops a cluster without shutting it down must not leave processes behind.
    fn drop(&mut self) {
        self.nodes.iter().for_each(NodeManager::abandon);
        self.control.timers.abort();
        self.servers.abort();
        if self.removed_at_end
            && let Err(error) = std::fs::remove_dir_all(&self.directory)
        {
            tracing::warn!(%error, directory = %self.directory.display(), "the directory cannot be removed");
        }
    }
}

pub(crate) fn address(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(StartError::Port)
}

fn random() -> Result<[u8; 32], StartError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| StartError::Random(io::Error::other(error)))?;
    Ok(bytes)
}

/// Only the user may look into it: credentials of containers are below.
fn directory(options: &Options) -> Result<PathBuf, StartError> {
    let path = match &options.directory {
        Some(path) => path.clone(),
        None => {
            let name: String = random()?[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            std::env::temp_dir().join(format!("drawloom-mini-{name}"))
        }
    };
    let make = |path: &Path| {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)?;
        path.canonicalize()
    };
    make(&path).map_err(|source| StartError::Directory { path, source })
}

fn settings(options: &Options, web: &str) -> Settings {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Settings {
        started_ms: time::now(),
        pacing: options.pacing,
        minimum_memory_mb: options.minimum_memory_mb,
        maximum: options.node_total(),
        calculator: match options.node_resources.is_empty() {
            true => Calculator::Memory,
            false => Calculator::Dominant,
        },
        max_attempts: options.max_attempts,
        master_expiry_ms: ms(options.master_expiry),
        container_expiry_ms: ms(options.container_expiry),
        node_expiry_ms: ms(options.node_expiry),
        recovery_wait_ms: ms(options.recovery_wait),
        web_address: web.to_owned(),
    }
}
