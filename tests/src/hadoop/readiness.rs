//! What "up" means, asked of the daemons' own pages.

use super::layout::{Layout, RmPorts};
use crate::http;
use serde_json::Value;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Loopback and a busy machine: seconds, but not for ever.
const ASK: Duration = Duration::from_secs(20);

/// A document of whichever ResourceManager is active; none when no one is, or it is not up yet.
pub(super) fn active_rm(layout: &Layout, path: &str) -> Option<Value> {
    layout
        .rms
        .iter()
        .find_map(|ports| http::get_json(ports.web.addr(), path, ASK).ok())
}

/// Whether a ResourceManager says it schedules.
pub(super) fn rm_is_active(layout: &Layout) -> bool {
    let info = active_rm(layout, "/ws/v1/cluster/info");
    info.is_some_and(|info| info["clusterInfo"]["haState"] == "ACTIVE")
}

/// How many nodes the active ResourceManager calls RUNNING.
pub(super) fn running_nodes(layout: &Layout) -> usize {
    let nodes = active_rm(layout, "/ws/v1/cluster/nodes?states=RUNNING").unwrap_or_default();
    nodes["nodes"]["node"].as_array().map_or(0, Vec::len)
}

/// Whether HDFS, if there is one, has left safe mode and knows all its DataNodes.
pub(super) fn hdfs_is_ready(layout: &Layout) -> bool {
    let Some(ports) = &layout.namenode else {
        return true;
    };
    let state = bean(ports.web.addr(), "FSNamesystemState");
    let info = bean(ports.web.addr(), "NameNodeInfo");
    let live = state.as_ref().and_then(|bean| bean["NumLiveDataNodes"].as_u64());
    live == Some(layout.datanodes.len() as u64) && info.is_some_and(|bean| bean["Safemode"] == "")
}

/// Whether a ResourceManager that may be the standby can be told to be active: it has its pages first, then this.
pub(super) fn takes_orders(rm: &RmPorts) -> bool {
    listens(rm.web.addr()) && listens(rm.admin.addr())
}

/// Whether anything listens there.
pub(super) fn listens(addr: SocketAddr) -> bool {
    TcpStream::connect_timeout(&addr, ASK).is_ok()
}

fn bean(addr: SocketAddr, name: &str) -> Option<Value> {
    let path = format!("/jmx?qry=Hadoop:service=NameNode,name={name}");
    let mut answer = http::get_json(addr, &path, ASK).ok()?;
    answer["beans"].get_mut(0).map(Value::take)
}
