//! Which daemons a cluster has, where each keeps its files and on which ports it listens.

use super::options::Builder;
use super::ports::{Port, Ports};
use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// One daemon of a cluster; numbers count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `rm0`; with high availability also `rm1`.
    ResourceManager(usize),
    /// `nm0`, `nm1`, …
    NodeManager(usize),
    /// `nn`
    NameNode,
    /// `dn0`, `dn1`, …
    DataNode(usize),
}

impl Role {
    pub(super) fn main_class(self) -> &'static str {
        match self {
            Self::ResourceManager(_) => "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager",
            Self::NodeManager(_) => "org.apache.hadoop.yarn.server.nodemanager.NodeManager",
            Self::NameNode => "org.apache.hadoop.hdfs.server.namenode.NameNode",
            Self::DataNode(_) => "org.apache.hadoop.hdfs.server.datanode.DataNode",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResourceManager(i) => write!(f, "rm{i}"),
            Self::NodeManager(i) => write!(f, "nm{i}"),
            Self::NameNode => f.write_str("nn"),
            Self::DataNode(i) => write!(f, "dn{i}"),
        }
    }
}

#[derive(Debug)]
pub(super) struct RmPorts {
    pub(super) client: Port,
    pub(super) scheduler: Port,
    pub(super) tracker: Port,
    pub(super) admin: Port,
    pub(super) web: Port,
}

#[derive(Debug)]
pub(super) struct NodePorts {
    pub(super) rpc: Port,
    pub(super) localizer: Port,
    pub(super) web: Port,
    pub(super) collector: Port,
}

#[derive(Debug)]
pub(super) struct NameNodePorts {
    pub(super) rpc: Port,
    pub(super) web: Port,
}

#[derive(Debug)]
pub(super) struct DataNodePorts {
    pub(super) data: Port,
    pub(super) ipc: Port,
    pub(super) web: Port,
}

/// Directories and ports of one cluster; fixed for its life, so that a daemon started again is the same one.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) dir: PathBuf,
    pub(super) rms: Vec<RmPorts>,
    pub(super) nodes: Vec<NodePorts>,
    pub(super) namenode: Option<NameNodePorts>,
    pub(super) datanodes: Vec<DataNodePorts>,
    /// What daemons look names up in instead of asking the machine, which may call all loopback addresses the same.
    pub(super) hosts: Option<PathBuf>,
}

impl Layout {
    pub(super) fn new(options: &Builder, dir: &Path) -> anyhow::Result<Self> {
        let mut ports = Ports::new();
        let rms = 1 + usize::from(options.high_availability);
        Ok(Self {
            dir: dir.to_path_buf(),
            rms: (0..rms)
                .map(|_| rm_ports(&mut ports))
                .collect::<anyhow::Result<_>>()?,
            nodes: (0..options.nodes)
                .map(|node| node_ports(&mut ports, options.host(node)))
                .collect::<anyhow::Result<_>>()?,
            namenode: if options.datanodes > 0 {
                Some(namenode_ports(&mut ports)?)
            } else {
                None
            },
            datanodes: (0..options.datanodes)
                .map(|_| datanode_ports(&mut ports))
                .collect::<anyhow::Result<_>>()?,
            hosts: options.distinct_hosts.then(|| dir.join("hosts")),
        })
    }

    /// In the order in which they are best started: what others wait for first.
    pub(super) fn roles(&self) -> Vec<Role> {
        let mut roles: Vec<Role> = self.namenode.iter().map(|_| Role::NameNode).collect();
        roles.extend((0..self.rms.len()).map(Role::ResourceManager));
        roles.extend((0..self.datanodes.len()).map(Role::DataNode));
        roles.extend((0..self.nodes.len()).map(Role::NodeManager));
        roles
    }

    pub(super) fn default_fs(&self) -> String {
        match &self.namenode {
            Some(ports) => format!("hdfs://{}", ports.rpc),
            None => "file:///".to_owned(),
        }
    }

    /// Where a daemon keeps its files: `conf`, `tmp` and what its kind needs.
    pub(super) fn home(&self, role: Role) -> PathBuf {
        self.dir.join(role.to_string())
    }

    pub(super) fn conf(&self, role: Role) -> PathBuf {
        self.home(role).join("conf")
    }

    pub(super) fn client_conf(&self) -> PathBuf {
        self.dir.join("conf")
    }

    /// The file that lists hosts to be taken out of service.
    pub(super) fn excluded_nodes(&self) -> PathBuf {
        self.dir.join("excluded-nodes")
    }

    pub(super) fn log(&self, role: Role) -> PathBuf {
        self.dir.join("logs").join(format!("{role}.log"))
    }
}

fn rm_ports(ports: &mut Ports) -> anyhow::Result<RmPorts> {
    Ok(RmPorts {
        client: ports.take()?,
        scheduler: ports.take()?,
        tracker: ports.take()?,
        admin: ports.take()?,
        web: ports.take()?,
    })
}

fn node_ports(ports: &mut Ports, host: Ipv4Addr) -> anyhow::Result<NodePorts> {
    Ok(NodePorts {
        rpc: ports.take_on(host)?,
        localizer: ports.take_on(host)?,
        web: ports.take_on(host)?,
        collector: ports.take_on(host)?,
    })
}

fn namenode_ports(ports: &mut Ports) -> anyhow::Result<NameNodePorts> {
    Ok(NameNodePorts {
        rpc: ports.take()?,
        web: ports.take()?,
    })
}

fn datanode_ports(ports: &mut Ports) -> anyhow::Result<DataNodePorts> {
    Ok(DataNodePorts {
        data: ports.take()?,
        ipc: ports.take()?,
        web: ports.take()?,
    })
}
