//! Puts the daemons of a cluster behind their ports.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use hadoop::ids::NodeId;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::client_service::ClientService;
use crate::cluster::{MasterPorts, Ports, StartError, address};
use crate::control::{Control, Doors};
use crate::daemon::{ContainerService, Daemon, MasterService};
use crate::door::Door;
use crate::faults::Faults;
use crate::guard::Guard;
use crate::http_server::{self, Site, WebServer};
use crate::node_manager::{Directories, NodeManager, ProcessHook, Report};
use crate::options::{Options, Pacing};
use crate::resource_manager::{Event, NodeFacts};
use crate::rest::{ClusterSite, NodeSite};
use crate::rpc::{self, Server, Service};
use crate::tasks::{Tasks, over};
use crate::tokens::Keys;

/// The rack of all nodes.
const RACK: &str = "/default-rack";

/// What a cluster that is being started consists of.
pub(crate) struct Launcher<'a> {
    pub(crate) options: &'a Options,
    pub(crate) directory: &'a Path,
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) servers: Tasks,
    pub(crate) end: watch::Sender<bool>,
}

impl<'a> Launcher<'a> {
    /// Serves all ports, and makes the nodes known to the ResourceManager.
    pub(crate) fn serve(self, ports: Ports) -> Result<(Arc<Control>, Launcher<'a>), StartError> {
        let mut nodes = Vec::with_capacity(ports.nodes.len());
        for (index, (rpc, web)) in ports.nodes.into_iter().enumerate() {
            nodes.push(self.serve_node(index + 1, rpc, web)?);
        }
        let masters = ports.resource_managers.into_iter().enumerate();
        let resource_managers = masters.map(|(index, ports)| self.serve_master(index, ports));
        let control = Arc::new(Control {
            daemon: self.daemon.clone(),
            resource_managers: resource_managers.collect(),
            nodes,
            timers: Tasks::default(),
            ended: self.end.subscribe(),
        });
        self.faults.obey(&control);
        self.start_clocks(&control);
        let all: Vec<NodeManager> = control.nodes.iter().map(|(node, _)| node.clone()).collect();
        self.daemon.connect(&all);
        Ok((control, self))
    }

    fn start_clocks(&self, control: &Control) {
        let daemon = &self.daemon;
        self.servers
            .spawn("deadlines", daemon.clone().watch_deadlines(self.end.subscribe()));
        if let Pacing::NodeHeartbeats(interval) = self.options.pacing {
            let beats = heartbeats(daemon.clone(), interval, self.end.subscribe());
            self.servers.spawn("node heartbeats", beats);
        }
        if let Some(interval) = self.options.memory_check {
            for (node, _) in &control.nodes {
                let (watch, mut ended) = (node.clone().watch_memory(interval), self.end.subscribe());
                self.servers.spawn("memory", async move {
                    tokio::select! {
                        () = watch => {}
                        () = over(&mut ended) => {}
                    }
                });
            }
        }
    }

    fn serve_node(
        &self,
        number: usize,
        rpc: TcpListener,
        web: TcpListener,
    ) -> Result<(NodeManager, Doors), StartError> {
        let node = self.new_node(address(&rpc)?, address(&web)?);
        let doors = Doors::new(Door::Open);
        let service = Arc::new(ContainerService {
            daemon: self.daemon.clone(),
            node: node.clone(),
        });
        self.serve_rpc(rpc, service, &doors, Some(number));
        let site = Arc::new(NodeSite { node: node.clone() });
        self.serve_web(web, site, &doors, Some(number));
        Ok((node, doors))
    }

    fn serve_master(&self, index: usize, ports: MasterPorts) -> Doors {
        let is_active = self.daemon.standing().active() == Some(index);
        let doors = Doors::new(if is_active { Door::Open } else { Door::Shut });
        let daemon = &self.daemon;
        let masters = Arc::new(MasterService {
            daemon: daemon.clone(),
        });
        self.serve_rpc(ports.scheduler, masters, &doors, None);
        let clients = Arc::new(ClientService {
            daemon: daemon.clone(),
        });
        self.serve_rpc(ports.client, clients, &doors, None);
        let site = Arc::new(ClusterSite {
            daemon: daemon.clone(),
            index,
        });
        self.serve_web(ports.web, site, &doors, None);
        doors
    }

    fn new_node(&self, rpc: SocketAddr, web: SocketAddr) -> NodeManager {
        let own = self.directory.join("nodes").join(rpc.port().to_string());
        let options = self.options;
        let facts = NodeFacts {
            id: NodeId::new(rpc.ip().to_string(), rpc.port()),
            http_address: web.to_string(),
            rack: RACK.to_owned(),
            total: options.node_total(),
        };
        let directories = Directories {
            local: own.join("local"),
            logs: own.join("logs"),
            conf: self.directory.join("conf"),
        };
        let report = report_to(Arc::downgrade(&self.daemon));
        NodeManager::new(facts, directories, self.keys.clone(), report)
            .with_light(options.light.clone())
            .with_guard(self.guard.clone())
            .with_process_hook(count_starts(Arc::downgrade(&self.daemon), self.faults.clone()))
    }

    fn serve_rpc(
        &self,
        listener: TcpListener,
        service: Arc<dyn Service>,
        doors: &Doors,
        node: Option<usize>,
    ) {
        let server = Server {
            service,
            protection: self.options.protection.clone(),
            faults: self.faults.clone(),
            exposed: self.options.exposed,
            node,
        };
        let serving = rpc::serve(listener, server, doors.rpc.doorway(), self.end.subscribe());
        self.servers.spawn("rpc", serving);
    }

    fn serve_web(&self, listener: TcpListener, site: Arc<dyn Site>, doors: &Doors, node: Option<usize>) {
        let server = WebServer {
            site,
            faults: self.faults.clone(),
            exposed: self.options.exposed,
            node,
        };
        let serving = http_server::serve(listener, server, doors.web.doorway(), self.end.subscribe());
        self.servers.spawn("web", serving);
    }
}

/// The daemon knows its nodes, so they must not keep it alive. What nodes say while there is no ResourceManager is
/// lost; they say it again when they register.
fn report_to(daemon: Weak<Daemon>) -> Report {
    Box::new(move |event| {
        if let Some(daemon) = daemon.upgrade().filter(|daemon| daemon.is_up()) {
            daemon.drive(event);
        }
    })
}

/// Faults may wait for the n-th container that is not an ApplicationMaster's.
fn count_starts(daemon: Weak<Daemon>, faults: Arc<Faults>) -> ProcessHook {
    Box::new(move |container| {
        let daemon = daemon.upgrade();
        if daemon.is_some_and(|daemon| !daemon.held(|held| held == container).is_empty()) {
            faults.of_container_start();
        }
    })
}

async fn heartbeats(daemon: Arc<Daemon>, interval: Duration, mut ended: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let heard = daemon.nodes().filter(|node| daemon.is_up() && node.is_heard());
                let nodes: Vec<NodeId> = heard.map(|node| node.facts().id.clone()).collect();
                for node in nodes {
                    daemon.drive(Event::NodeHeartbeat(node));
                }
            }
            () = over(&mut ended) => return,
        }
    }
}
