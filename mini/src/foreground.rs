//! `drawloom mini`: a cluster until somebody says stop.

use std::io::{self, Write as _};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::cluster::{Cluster, StartError};
use crate::faults::Fault;
use crate::options::Options;
use crate::order::Order;

/// What is to go wrong in a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What waits for something.
    pub faults: Vec<Fault>,
    /// What happens so long after the start.
    pub at_start: Vec<(Duration, Order)>,
}

/// Runs a cluster until SIGINT or SIGTERM, after telling how to use it.
///
/// # Errors
/// The cluster does not start.
pub async fn run_foreground(options: Options, plan: Plan) -> Result<(), StartError> {
    let mut interrupted = signal(SignalKind::interrupt()).map_err(StartError::Port)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(StartError::Port)?;
    let cluster = Cluster::start(options).await?;
    plan.faults
        .into_iter()
        .for_each(|fault| cluster.faults().order(fault));
    for (delay, order) in plan.at_start {
        match delay.is_zero() {
            true => cluster.order(&order),
            false => cluster.order_after(delay, order),
        }
    }
    if let Err(error) = introduce(&cluster) {
        tracing::debug!(%error, "nobody reads what the cluster says of itself");
    }
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    eprintln!("ending all containers");
    cluster.shutdown().await;
    Ok(())
}

/// The line for the shell goes to standard output, the rest is for the eye.
fn introduce(cluster: &Cluster) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "export HADOOP_CONF_DIR={}", cluster.conf_dir().display())?;
    out.flush()?;
    let facts = cluster.nodes().iter().map(|node| node.facts());
    let memory: u64 = facts.map(|facts| facts.total.memory_mb).sum();
    eprintln!(
        "a cluster of {} nodes with {memory} MiB runs in this process, on this machine only",
        cluster.nodes().len()
    );
    eprintln!("pages: http://{}/cluster", cluster.web_address());
    let masters: Vec<&str> = cluster.client_addresses().collect();
    eprintln!("ResourceManager: {}; Ctrl-C ends it", masters.join(" and "));
    Ok(())
}
