//! A whole cluster: ports, directories, daemons, and their end.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use hadoop::ids::{ContainerId, NodeId};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use yarn_rpc::connection::Protocol;
use yarn_rpc::records::Resource;

use crate::configuration;
use crate::daemon::{ContainerService, Daemon, MasterService};
use crate::faults::Faults;
use crate::http_server::{self, Site};
use crate::node_manager::{Directories, NodeManager, Report};
use crate::options::{Options, Pacing};
use crate::resource_manager::{Event, NodeFacts, ResourceManager, Settings};
use crate::rest::{ClusterSite, NodeSite};
use crate::rpc::{self, Server, Service};
use crate::tasks::{Tasks, over};
use crate::time;
use crate::tokens::Keys;

/// The rack of all nodes.
const RACK: &str = "/default-rack";

/// Why a cluster does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A cluster without nodes runs nothing.
    #[error("a cluster needs at least one node")]
    NoNodes,
    /// A node without memory runs nothing.
    #[error("a node needs at least {0} MiB of memory")]
    TooSmall(u64),
    /// The system gave no port.
    #[error("no port on 127.0.0.1 can be had")]
    Port(#[source] io::Error),
    /// The directory cannot be used.
    #[error("the directory {} cannot be used", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("no random numbers can be had")]
    Random(#[source] io::Error),
}

/// A running cluster. [`Cluster::shutdown`] ends it in good order; one that is dropped instead kills its containers.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    removed_at_end: bool,
    scheduler: String,
    web: String,
    daemon: Arc<Daemon>,
    nodes: Vec<NodeManager>,
    faults: Arc<Faults>,
    restarts: watch::Sender<u32>,
    servers: Tasks,
    end: watch::Sender<bool>,
}

/// Ports that are bound and not served yet.
struct Ports {
    scheduler: TcpListener,
    web: TcpListener,
    /// RPC and web of each node.
    nodes: Vec<(TcpListener, TcpListener)>,
}

impl Ports {
    async fn bind(nodes: usize) -> io::Result<Self> {
        let mut pairs = Vec::with_capacity(nodes);
        for _ in 0..nodes {
            pairs.push((bind().await?, bind().await?));
        }
        Ok(Self {
            scheduler: bind().await?,
            web: bind().await?,
            nodes: pairs,
        })
    }
}

async fn bind() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

impl Cluster {
    /// Starts a cluster; its nodes are there when this returns.
    ///
    /// # Errors
    /// Options that make no sense, and a system that gives no port or no directory.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        if options.nodes == 0 {
            return Err(StartError::NoNodes);
        }
        if options.node_memory_mb < options.minimum_memory_mb {
            return Err(StartError::TooSmall(options.minimum_memory_mb));
        }
        let ports = Ports::bind(options.nodes).await.map_err(StartError::Port)?;
        let scheduler = address(&ports.scheduler)?.to_string();
        let web = address(&ports.web)?.to_string();
        let directory = directory(&options)?;
        let unusable = |source| StartError::Directory {
            path: directory.clone(),
            source,
        };
        configuration::write(&directory.join("conf"), &options, &scheduler, &web).map_err(unusable)?;
        let keys = Arc::new(Keys::new(random()?));
        let core = ResourceManager::new(settings(&options, &web), keys.clone());
        let daemon = Arc::new(Daemon::new(core, keys.clone()));
        let mut cluster = Self {
            directory,
            removed_at_end: options.directory.is_none(),
            scheduler,
            web,
            daemon,
            nodes: Vec::new(),
            faults: Arc::default(),
            restarts: watch::channel(0).0,
            servers: Tasks::default(),
            end: watch::channel(false).0,
        };
        cluster.serve(ports, &options, &keys)?;
        Ok(cluster)
    }

    fn serve(&mut self, ports: Ports, options: &Options, keys: &Arc<Keys>) -> Result<(), StartError> {
        for (rpc, web) in ports.nodes {
            let node = self.new_node(address(&rpc)?, address(&web)?, options, keys);
            self.serve_rpc(rpc, Arc::new(ContainerService { node: node.clone() }), options);
            self.serve_web(web, Arc::new(NodeSite { node: node.clone() }));
            self.nodes.push(node);
        }
        let daemon = &self.daemon;
        self.serve_rpc(
            ports.scheduler,
            Arc::new(MasterService {
                daemon: daemon.clone(),
            }),
            options,
        );
        self.serve_web(
            ports.web,
            Arc::new(ClusterSite {
                daemon: daemon.clone(),
            }),
        );
        self.servers
            .spawn("deadlines", daemon.clone().watch_deadlines(self.end.subscribe()));
        if let Pacing::NodeHeartbeats(interval) = options.pacing {
            let beats = heartbeats(daemon.clone(), interval, self.end.subscribe());
            self.servers.spawn("node heartbeats", beats);
        }
        self.daemon.connect(&self.nodes);
        Ok(())
    }

    fn new_node(&self, rpc: SocketAddr, web: SocketAddr, options: &Options, keys: &Arc<Keys>) -> NodeManager {
        let own = self.directory.join("nodes").join(rpc.port().to_string());
        let facts = NodeFacts {
            id: NodeId::new(rpc.ip().to_string(), rpc.port()),
            http_address: web.to_string(),
            rack: RACK.to_owned(),
            total: Resource::new(options.node_memory_mb, options.node_cores),
        };
        let directories = Directories {
            local: own.join("local"),
            logs: own.join("logs"),
            conf: self.conf_dir(),
        };
        let report = report_to(Arc::downgrade(&self.daemon));
        NodeManager::new(facts, directories, keys.clone(), report).with_light(options.light.clone())
    }

    fn serve_rpc(&self, listener: TcpListener, service: Arc<dyn Service>, options: &Options) {
        let of_nodes = service.protocol() == Protocol::CONTAINER_MANAGEMENT.name;
        let server = Server {
            service,
            protection: options.protection.clone(),
            faults: self.faults.clone(),
            // Only the ResourceManager is ever restarted.
            restarts: if of_nodes {
                watch::channel(0).1
            } else {
                self.restarts.subscribe()
            },
        };
        self.servers
            .spawn("rpc", rpc::serve(listener, server, self.end.subscribe()));
    }

    fn serve_web(&self, listener: TcpListener, site: Arc<dyn Site>) {
        self.servers
            .spawn("web", http_server::serve(listener, site, self.end.subscribe()));
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
    }

    /// `host:port` of the ResourceManager's web pages and REST API.
    #[must_use]
    pub fn web_address(&self) -> &str {
        &self.web
    }

    /// `host:port` of the service that ApplicationMasters call.
    #[must_use]
    pub fn scheduler_address(&self) -> &str {
        &self.scheduler
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

    /// Takes a container from its application, as a scheduler does that wants the room for others.
    pub fn preempt(&self, container: ContainerId) {
        self.daemon.drive(Event::ContainerPreempted(container));
    }

    /// Restarts the ResourceManager, with recovery, in no time: connections are lost, ApplicationMasters must register
    /// and ask again, grants that were not started are void, processes go on.
    pub fn restart_resource_manager(&self) {
        self.daemon.drive(Event::Restarted);
        let started_ms = self.daemon.core().settings().started_ms;
        self.nodes.iter().for_each(|node| node.meet(started_ms));
        self.restarts.send_modify(|count| *count += 1);
    }

    /// Switches a node off: its processes die at once, and the ResourceManager learns that it is lost. Its ports stay
    /// open, and it does not come back.
    pub fn lose_node(&self, id: &NodeId) {
        let Some(node) = self.nodes.iter().find(|node| node.facts().id == *id) else {
            return;
        };
        self.daemon.drive(Event::NodeLost(id.clone()));
        node.switch_off();
    }

    /// Ends all containers, then the daemons, and removes the directory unless it was given or is to be kept.
    pub async fn shutdown(self) {
        self.daemon.end_applications();
        self.nodes.iter().for_each(NodeManager::stop_all);
        for node in &self.nodes {
            node.join().await;
        }
        self.end.send_replace(true);
        self.servers.join().await;
    }
}

impl Drop for Cluster {
    /// Whoever drops a cluster without shutting it down must not leave processes behind.
    fn drop(&mut self) {
        self.nodes.iter().for_each(NodeManager::abandon);
        self.servers.abort();
        if self.removed_at_end
            && let Err(error) = std::fs::remove_dir_all(&self.directory)
        {
            tracing::warn!(%error, directory = %self.directory.display(), "the directory cannot be removed");
        }
    }
}

fn address(listener: &TcpListener) -> Result<SocketAddr, StartError> {
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
        maximum: Resource::new(options.node_memory_mb, options.node_cores),
        max_attempts: options.max_attempts,
        master_expiry_ms: ms(options.master_expiry),
        container_expiry_ms: ms(options.container_expiry),
        web_address: web.to_owned(),
    }
}

/// The daemon knows its nodes, so they must not keep it alive.
fn report_to(daemon: Weak<Daemon>) -> Report {
    Box::new(move |event| {
        if let Some(daemon) = daemon.upgrade() {
            daemon.drive(event);
        }
    })
}

async fn heartbeats(daemon: Arc<Daemon>, interval: Duration, mut ended: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let nodes: Vec<NodeId> = daemon.nodes().map(|node| node.facts().id.clone()).collect();
                for node in nodes {
                    daemon.drive(Event::NodeHeartbeat(node));
                }
            }
            () = over(&mut ended) => return,
        }
    }
}
