//! A YARN cluster in one process: a ResourceManager and NodeManagers that speak the real protocols on loopback, without
//! a JVM. For newcomers who have no cluster, for tests, and for faults on order.
//!
//! ```no_run
//! # async fn example() -> Result<(), mini::StartError> {
//! let cluster = mini::Cluster::start(mini::Options::default()).await?;
//! println!("export HADOOP_CONF_DIR={}", cluster.conf_dir().display());
//! // … clients read that directory and submit …
//! cluster.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is real
//! - The ResourceManager's REST API as far as clients of applications need it: information, metrics, nodes, scheduler,
//!   new application, submission, reports, state, queue, priority, timeouts, attempts, containers, signals; the proxy in
//!   front of ApplicationMasters' pages (GET, HEAD and PUT, nine headers, the user's cookie).
//! - `ApplicationClientProtocol` as far as Hadoop's own commands need it: submission, reports, lists, kill, nodes,
//!   queues (`yarn application`, `yarn node`, `yarn logs` of what runs, DistributedShell).
//! - `ApplicationMasterProtocol` and `ContainerManagementProtocol` over Hadoop RPC with tokens (DIGEST-MD5, all three
//!   protections), response ids and repeated answers, absolute asks with locality, blacklists, releases, sizes rounded
//!   as `DefaultResourceCalculator` does, expiry of ApplicationMasters, of grants and of lifetimes, further attempts,
//!   containers kept across them, and the exceptions and diagnostics in Hadoop's classes and words.
//! - Containers are processes: files are fetched with Hadoop's checks, caches and modes, the launch script is
//!   Hadoop's with its substitutions and lack of escaping, each container is a session of its own that gets SIGTERM and
//!   a quarter of a second later SIGKILL, exit codes and diagnostics are Hadoop's, logs are served in Hadoop's wrapping.
//!
//! # What is simpler than Hadoop
//! - One queue, `root.default`, first come first served, by memory only, or with [`Options::node_resources`] by everything
//!   that a container has. Those resources are numbers: nobody shows devices to containers. No labels, reservations,
//!   quotas, no limit for ApplicationMasters, preemption on order only. With [`Pacing::Immediate`] asks are granted in the answer to the
//!   heartbeat that makes them, which Hadoop never does; [`Pacing::NodeHeartbeats`] is nearer to its default.
//! - No security but tokens: containers run as the user of this process, under whatever name they were submitted.
//!   Therefore it listens on loopback only and, on Linux, takes submissions from processes of the same user only. There
//!   are no delegation tokens; keys roll on order only.
//! - Files come from `file:` and, for what is not public, `http:`; no HDFS. SIGQUIT is not blocked in containers. Unmanaged
//!   ApplicationMasters, scheduling requests, opportunistic containers, log aggregation and timelines are not there. A
//!   negative count is taken as 0, where it would corrupt Hadoop's queue.
//! - Containers may be tasks of this process instead ([`node_manager::LightContainers`]), for as many executors as no
//!   machine could start; those have no files and no logs.
//! - Both ResourceManagers and all nodes are in one process, so what a ResourceManager would store, and what a node
//!   would write down, is kept in memory: they can be restarted ([`Order`]), the process cannot.
//! - A lost node that comes back must end all that was given up, where Hadoop would take it up again.
//! - On purpose more than Hadoop: logs and entries of containers that have ended stay visible as long as the cluster.
//!
//! # Faults
//! [`Cluster::order`] makes something befall the cluster now ([`Order`]); [`Cluster::faults`] takes what shall happen
//! with the n-th call, request or container ([`Fault`]).

mod client_service;
mod cluster;
mod configuration;
mod control;
mod daemon;
mod door;
mod failure;
mod faults;
mod fetch;
mod foreground;
mod guard;
mod http_server;
mod launch;
mod launcher;
pub mod node_manager;
mod options;
mod order;
mod peer;
pub mod resource_manager;
mod rest;
mod rpc;
mod standing;
mod tasks;
mod time;
pub mod tokens;

pub use cluster::{Cluster, StartError};
pub use failure::Failure;
pub use faults::{Action, Fault, Faults, Trigger};
pub use foreground::{Plan, run_foreground};
pub use options::{Options, Pacing};
pub use order::Order;
pub use time::UnixMs;
