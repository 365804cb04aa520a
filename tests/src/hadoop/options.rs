//! What a cluster should be like.

use super::Hadoop;
use super::version::Version;
use super::xml::Properties;
use anyhow::bail;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Which scheduler the ResourceManager runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheduler {
    /// Capacity Scheduler, Hadoop's default.
    #[default]
    Capacity,
    /// Fair Scheduler. An unknown queue is placed into `root.default`.
    Fair,
}

impl FromStr for Scheduler {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "capacity" => Ok(Self::Capacity),
            "fair" => Ok(Self::Fair),
            _ => bail!("unknown scheduler {text}: choose capacity or fair"),
        }
    }
}

/// How the Capacity Scheduler compares resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Calculator {
    /// Memory only, Hadoop's default: vcores of a grant are always 1.
    #[default]
    Default,
    /// Memory and vcores.
    Dominant,
}

impl FromStr for Calculator {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "default" => Ok(Self::Default),
            "dominant" => Ok(Self::Dominant),
            _ => bail!("unknown resource calculator {text}: choose default or dominant"),
        }
    }
}

/// `hadoop.rpc.protection`, the quality of protection of every RPC connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// `auth`
    #[default]
    Authentication,
    /// `auth-int`
    Integrity,
    /// `auth-conf`
    Privacy,
}

impl Protection {
    /// As Hadoop's configuration writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Integrity => "integrity",
            Self::Privacy => "privacy",
        }
    }
}

impl FromStr for Protection {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let all = [Self::Authentication, Self::Integrity, Self::Privacy];
        match all.into_iter().find(|protection| protection.as_str() == text) {
            Some(protection) => Ok(protection),
            None => bail!("unknown protection {text}: choose authentication, integrity or privacy"),
        }
    }
}

/// A configuration file that takes extra properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// `core-site.xml`
    Core,
    /// `hdfs-site.xml`
    Hdfs,
    /// `yarn-site.xml`
    Yarn,
    /// `capacity-scheduler.xml`
    CapacityScheduler,
}

impl FromStr for Site {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "core" => Ok(Self::Core),
            "hdfs" => Ok(Self::Hdfs),
            "yarn" => Ok(Self::Yarn),
            "capacity-scheduler" => Ok(Self::CapacityScheduler),
            _ => bail!("unknown file {text}: choose core, hdfs, yarn or capacity-scheduler"),
        }
    }
}

/// Extra properties, by file; they win over the fixture's own.
#[derive(Clone, Debug, Default)]
pub(super) struct Extra {
    pub(super) core: Properties,
    pub(super) hdfs: Properties,
    pub(super) yarn: Properties,
    pub(super) capacity_scheduler: Properties,
}

impl Extra {
    fn file(&mut self, site: Site) -> &mut Properties {
        match site {
            Site::Core => &mut self.core,
            Site::Hdfs => &mut self.hdfs,
            Site::Yarn => &mut self.yarn,
            Site::CapacityScheduler => &mut self.capacity_scheduler,
        }
    }
}

/// Options of a cluster; [`Builder::start`] brings it up.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) version: Version,
    pub(super) nodes: usize,
    pub(super) datanodes: usize,
    pub(super) node_memory_mb: u32,
    pub(super) node_vcores: u32,
    pub(super) minimum_allocation_mb: u32,
    pub(super) scheduler: Scheduler,
    pub(super) calculator: Calculator,
    pub(super) protection: Protection,
    pub(super) node_heartbeat: Duration,
    pub(super) am_expiry: Option<Duration>,
    pub(super) node_expiry: Option<Duration>,
    pub(super) rm_recovery: bool,
    pub(super) node_recovery: bool,
    pub(super) high_availability: bool,
    pub(super) log_aggregation: bool,
    pub(super) port_in_node_name: bool,
    pub(super) distinct_hosts: bool,
    pub(super) extra: Extra,
    pub(super) directory: Option<PathBuf>,
    pub(super) start_limit: Duration,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            version: Version::default(),
            nodes: 1,
            datanodes: 1,
            node_memory_mb: 4096,
            node_vcores: 8,
            minimum_allocation_mb: 64,
            scheduler: Scheduler::default(),
            calculator: Calculator::default(),
            protection: Protection::default(),
            node_heartbeat: Duration::from_millis(100),
            am_expiry: None,
            node_expiry: None,
            rm_recovery: false,
            node_recovery: false,
            high_availability: false,
            log_aggregation: false,
            port_in_node_name: true,
            distinct_hosts: false,
            extra: Extra::default(),
            directory: None,
            start_limit: Duration::from_secs(150),
        }
    }
}

impl Builder {
    /// Hadoop's release (3.4.3).
    #[must_use]
    pub fn version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    /// Number of NodeManagers (1).
    #[must_use]
    pub fn nodes(self, nodes: usize) -> Self {
        Self { nodes, ..self }
    }

    /// With HDFS (yes, one DataNode) or with `file:///` as the default file system.
    #[must_use]
    pub fn hdfs(self, wanted: bool) -> Self {
        Self {
            datanodes: usize::from(wanted),
            ..self
        }
    }

    /// Number of DataNodes (1); 0 means no HDFS at all.
    #[must_use]
    pub fn datanodes(self, datanodes: usize) -> Self {
        Self { datanodes, ..self }
    }

    /// What each node offers (4096 MiB, 8 vcores); the largest container is a whole node.
    #[must_use]
    pub fn node_resources(self, memory_mb: u32, vcores: u32) -> Self {
        Self {
            node_memory_mb: memory_mb,
            node_vcores: vcores,
            ..self
        }
    }

    /// Smallest container, and the unit containers are rounded up to (64 MiB).
    #[must_use]
    pub fn minimum_allocation_mb(self, mb: u32) -> Self {
        Self {
            minimum_allocation_mb: mb,
            ..self
        }
    }

    /// The scheduler (capacity).
    #[must_use]
    pub fn scheduler(self, scheduler: Scheduler) -> Self {
        Self { scheduler, ..self }
    }

    /// The Capacity Scheduler's resource calculator (default).
    #[must_use]
    pub fn calculator(self, calculator: Calculator) -> Self {
        Self { calculator, ..self }
    }

    /// RPC quality of protection (authentication).
    #[must_use]
    pub fn protection(self, protection: Protection) -> Self {
        Self { protection, ..self }
    }

    /// NodeManagers' heartbeat to the ResourceManager (100 ms; Hadoop's own default, right for benches, is 1 s).
    #[must_use]
    pub fn node_heartbeat(self, interval: Duration) -> Self {
        Self {
            node_heartbeat: interval,
            ..self
        }
    }

    /// Silence after which the ResourceManager gives an ApplicationMaster up (Hadoop's default).
    #[must_use]
    pub fn am_expiry(self, expiry: Duration) -> Self {
        Self {
            am_expiry: Some(expiry),
            ..self
        }
    }

    /// Silence after which the ResourceManager calls a node lost (Hadoop's default).
    #[must_use]
    pub fn node_expiry(self, expiry: Duration) -> Self {
        Self {
            node_expiry: Some(expiry),
            ..self
        }
    }

    /// Work-preserving restart of the ResourceManager, with its store on the local disk (off).
    #[must_use]
    pub fn rm_recovery(self, on: bool) -> Self {
        Self {
            rm_recovery: on,
            ..self
        }
    }

    /// Containers survive a restart of their NodeManager (off).
    #[must_use]
    pub fn node_recovery(self, on: bool) -> Self {
        Self {
            node_recovery: on,
            ..self
        }
    }

    /// Two ResourceManagers with manual failover; the first becomes active. Implies [`Builder::rm_recovery`].
    #[must_use]
    pub fn high_availability(self, on: bool) -> Self {
        Self {
            high_availability: on,
            rm_recovery: on || self.rm_recovery,
            ..self
        }
    }

    /// NodeManagers upload logs of finished applications to `/tmp/logs` of the default file system (off).
    #[must_use]
    pub fn log_aggregation(self, on: bool) -> Self {
        Self {
            log_aggregation: on,
            ..self
        }
    }

    /// Node names are `localhost:<port>` rather than all `localhost` (on).
    #[must_use]
    pub fn port_in_node_name(self, on: bool) -> Self {
        Self {
            port_in_node_name: on,
            ..self
        }
    }

    /// Node `i` and DataNode `i` are on a host of their own, 127.0.0.2, 127.0.0.3 and so on, and bear that name (off: all
    /// are on `localhost`). What goes by hosts, as locality and speculation do, needs this.
    #[must_use]
    pub fn distinct_hosts(self, on: bool) -> Self {
        Self {
            distinct_hosts: on,
            port_in_node_name: !on,
            ..self
        }
    }

    /// Where node `i` listens.
    pub(super) fn host(&self, node: usize) -> Ipv4Addr {
        let last = if self.distinct_hosts { node + 2 } else { 1 };
        Ipv4Addr::new(127, 0, 0, u8::try_from(last).unwrap_or(u8::MAX))
    }

    /// Any property of any file; wins over the fixture's own.
    #[must_use]
    pub fn property(mut self, site: Site, key: &str, value: impl ToString) -> Self {
        self.extra.file(site).set(key, value);
        self
    }

    /// Where the cluster keeps its files (a fresh folder under `target/hadoop/run`). Must be absolute.
    #[must_use]
    pub fn directory(self, directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: Some(directory.into()),
            ..self
        }
    }

    /// How long the start may take (150 s, a busy machine's time).
    #[must_use]
    pub fn start_limit(self, limit: Duration) -> Self {
        Self {
            start_limit: limit,
            ..self
        }
    }

    /// Starts the daemons and waits until all nodes run and HDFS can be written.
    ///
    /// # Errors
    /// Fails when Java or Maven is missing, when a daemon ends or does not become ready in time; the message quotes
    /// its log. Nothing is left running.
    pub fn start(self) -> anyhow::Result<Hadoop> {
        Hadoop::start(&self)
    }
}
