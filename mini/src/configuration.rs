//! The configuration that clients of the cluster read.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use hadoop::sasl::Qop;

use crate::options::Options;
use crate::standing::Addresses;

/// Writes `core-site.xml` and `yarn-site.xml` into `directory`.
pub(crate) fn write(directory: &Path, options: &Options, masters: &[Addresses]) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let protection: Vec<&str> = options
        .protection
        .iter()
        .map(|qop| Qop::protection(*qop))
        .collect();
    let core = [
        property("fs.defaultFS", "file:///"),
        property("hadoop.rpc.protection", protection.join(",")),
    ];
    let mut yarn = limits(options);
    yarn.extend(resource_managers(options, masters));
    std::fs::write(directory.join("core-site.xml"), site(&core))?;
    std::fs::write(directory.join("yarn-site.xml"), site(&yarn))
}

type Property = (String, String);

fn property(name: impl Into<String>, value: impl Into<String>) -> Property {
    (name.into(), value.into())
}

fn limits(options: &Options) -> Vec<Property> {
    vec![
        property("yarn.scheduler.include-port-in-node-name", "true"),
        property(
            "yarn.scheduler.minimum-allocation-mb",
            options.minimum_memory_mb.to_string(),
        ),
        property(
            "yarn.scheduler.maximum-allocation-mb",
            options.node_memory_mb.to_string(),
        ),
        property(
            "yarn.scheduler.maximum-allocation-vcores",
            options.node_cores.to_string(),
        ),
        property(
            "yarn.resourcemanager.am.max-attempts",
            options.max_attempts.to_string(),
        ),
        property(
            "yarn.am.liveness-monitor.expiry-interval-ms",
            options.master_expiry.as_millis().to_string(),
        ),
        property(
            "yarn.nm.liveness-monitor.expiry-interval-ms",
            options.node_expiry.as_millis().to_string(),
        ),
        property(
            "yarn.resourcemanager.rm.container-allocation.expiry-interval-ms",
            options.container_expiry.as_millis().to_string(),
        ),
    ]
}

/// Where to find them; with two of them as in a cluster with a standby, `rm1` and `rm2`.
fn resource_managers(options: &Options, masters: &[Addresses]) -> Vec<Property> {
    let host = options.bind.to_string();
    let mut all = vec![property("yarn.resourcemanager.hostname", host.as_str())];
    if let [only] = masters {
        all.extend(addresses(only, ""));
        return all;
    }
    let ids: Vec<String> = (1..=masters.len()).map(|n| format!("rm{n}")).collect();
    all.push(property("yarn.resourcemanager.ha.enabled", "true"));
    all.push(property("yarn.resourcemanager.ha.rm-ids", ids.join(",")));
    all.push(property("yarn.resourcemanager.cluster-id", "mini"));
    for (id, master) in ids.iter().zip(masters) {
        let suffix = format!(".{id}");
        all.push(property(
            format!("yarn.resourcemanager.hostname{suffix}"),
            host.as_str(),
        ));
        all.extend(addresses(master, &suffix));
    }
    all
}

fn addresses(master: &Addresses, suffix: &str) -> [Property; 3] {
    let named =
        |service: &str, address: &str| property(format!("yarn.resourcemanager.{service}{suffix}"), address);
    [
        named("address", &master.client),
        named("scheduler.address", &master.scheduler),
        named("webapp.address", &master.web),
    ]
}

fn site(properties: &[Property]) -> String {
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
