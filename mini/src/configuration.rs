//! The configuration that clients of the cluster read.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use hadoop::sasl::Qop;

use crate::options::Options;

/// Writes `core-site.xml` and `yarn-site.xml` into `directory`.
pub(crate) fn write(directory: &Path, options: &Options, scheduler: &str, web: &str) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let protection: Vec<&str> = options
        .protection
        .iter()
        .map(|qop| Qop::protection(*qop))
        .collect();
    let core = [
        ("fs.defaultFS", "file:///".to_owned()),
        ("hadoop.rpc.protection", protection.join(",")),
    ];
    let (memory, cores) = (options.node_memory_mb, options.node_cores);
    let yarn = [
        ("yarn.resourcemanager.hostname", "127.0.0.1".to_owned()),
        ("yarn.resourcemanager.scheduler.address", scheduler.to_owned()),
        ("yarn.resourcemanager.webapp.address", web.to_owned()),
        ("yarn.scheduler.include-port-in-node-name", "true".to_owned()),
        (
            "yarn.scheduler.minimum-allocation-mb",
            options.minimum_memory_mb.to_string(),
        ),
        ("yarn.scheduler.maximum-allocation-mb", memory.to_string()),
        ("yarn.scheduler.maximum-allocation-vcores", cores.to_string()),
        (
            "yarn.resourcemanager.am.max-attempts",
            options.max_attempts.to_string(),
        ),
        (
            "yarn.am.liveness-monitor.expiry-interval-ms",
            options.master_expiry.as_millis().to_string(),
        ),
        (
            "yarn.resourcemanager.rm.container-allocation.expiry-interval-ms",
            options.container_expiry.as_millis().to_string(),
        ),
    ];
    std::fs::write(directory.join("core-site.xml"), site(&core))?;
    std::fs::write(directory.join("yarn-site.xml"), site(&yarn))
}

fn site(properties: &[(&str, String)]) -> String {
    let mut text = String::from("<?xml version=\"1.0\"?>\n<configuration>\n");
    for (name, value) in properties {
        writeln!(
            text,
            "  <property><name>{name}</name><value>{value}</value></property>"
        )
        .expect("writing to a String does not fail");
    }
    text + "</configuration>\n"
}
