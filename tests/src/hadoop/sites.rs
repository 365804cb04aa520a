//! Configuration folders: one per daemon, one for clients, all on loopback addresses.

use super::layout::{Layout, Role};
use super::options::{Builder, Calculator, Scheduler};
use super::xml::Properties;
use anyhow::Context;
use std::fs;
use std::path::Path;

const LOG4J: &str = "log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.out
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
";

/// Without a placement policy the Fair Scheduler makes a queue per user and refuses a user named `root`.
const FAIR_SCHEDULER: &str = "<?xml version=\"1.0\"?>
<allocations>
  <queue name=\"default\"/>
  <queueMaxAMShareDefault>1.0</queueMaxAMShareDefault>
  <queuePlacementPolicy>
    <rule name=\"specified\" create=\"false\"/>
    <rule name=\"default\" queue=\"root.default\"/>
  </queuePlacementPolicy>
</allocations>
";

/// Writes the client's and every daemon's configuration folder, and the folders they name.
pub(super) fn write(options: &Builder, layout: &Layout) -> anyhow::Result<()> {
    fs::create_dir_all(layout.dir.join("logs"))
        .with_context(|| format!("cannot create {}", layout.dir.display()))?;
    fs::write(layout.excluded_nodes(), "")?;
    if let Some(hosts) = &layout.hosts {
        fs::write(hosts, format!("127.0.0.1 localhost {}\n", own_name()))?;
    }
    let sites = Sites { options, layout };
    sites.write(None, &layout.client_conf())?;
    for role in layout.roles() {
        sites.write(Some(role), &layout.conf(role))?;
        fs::create_dir_all(layout.home(role).join("tmp"))?;
    }
    Ok(())
}

/// What the machine calls itself, which daemons ask for.
fn own_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

struct Sites<'a> {
    options: &'a Builder,
    layout: &'a Layout,
}

impl Sites<'_> {
    fn write(&self, role: Option<Role>, conf: &Path) -> anyhow::Result<()> {
        // NameNode and DataNode look for these on the class path; the hadoop-hdfs jar does not hold them.
        for folder in ["webapps/hdfs", "webapps/datanode"] {
            fs::create_dir_all(conf.join(folder))?;
        }
        let extra = &self.options.extra;
        self.core(role)
            .with(&extra.core)
            .write(&conf.join("core-site.xml"))?;
        self.hdfs(role)
            .with(&extra.hdfs)
            .write(&conf.join("hdfs-site.xml"))?;
        self.yarn(role)
            .with(&extra.yarn)
            .write(&conf.join("yarn-site.xml"))?;
        if let Some(Role::ResourceManager(_)) = role {
            self.capacity_scheduler()
                .with(&extra.capacity_scheduler)
                .write(&conf.join("capacity-scheduler.xml"))?;
            fs::write(conf.join("fair-scheduler.xml"), FAIR_SCHEDULER)?;
        }
        fs::write(conf.join("log4j.properties"), LOG4J)?;
        Ok(())
    }

    fn core(&self, role: Option<Role>) -> Properties {
        let mut core = Properties::default();
        core.set("fs.defaultFS", self.layout.default_fs());
        core.set("hadoop.rpc.protection", self.options.protection.as_str());
        if let Some(role) = role {
            core.set("hadoop.tmp.dir", self.layout.home(role).join("tmp").display());
            // All daemons start at once: look often for one that is not there yet, and again when it was restarted.
            core.set("ipc.client.connect.retry.interval", 200);
            core.set("ipc.client.connect.max.retries", 150);
        }
        core
    }

    fn hdfs(&self, role: Option<Role>) -> Properties {
        let mut hdfs = Properties::default();
        hdfs.set("dfs.replication", 1);
        // Tests of input splits want many small blocks.
        hdfs.set("dfs.namenode.fs-limits.min-block-size", 1024);
        hdfs.set("dfs.namenode.safemode.extension", 0);
        hdfs.set("dfs.namenode.datanode.registration.ip-hostname-check", false);
        hdfs.set("dfs.heartbeat.interval", 1);
        if let Some(ports) = &self.layout.namenode {
            hdfs.set("dfs.namenode.http-address", ports.web);
        }
        match role {
            Some(Role::NameNode) => {
                let name = self.layout.home(Role::NameNode).join("name");
                hdfs.set("dfs.namenode.name.dir", format!("file://{}", name.display()));
                // A cluster of minutes need not survive a power cut.
                hdfs.set("dfs.namenode.edits.noeditlogchannelflush", true);
            }
            Some(Role::DataNode(i)) => self.datanode(i, &mut hdfs),
            Some(Role::ResourceManager(_) | Role::NodeManager(_)) | None => {}
        }
        hdfs
    }

    fn datanode(&self, i: usize, hdfs: &mut Properties) {
        let ports = &self.layout.datanodes[i];
        let data = self.layout.home(Role::DataNode(i)).join("data");
        hdfs.set("dfs.datanode.data.dir", format!("file://{}", data.display()));
        hdfs.set("dfs.datanode.address", ports.data);
        hdfs.set("dfs.datanode.ipc.address", ports.ipc);
        hdfs.set("dfs.datanode.http.address", ports.web);
        if self.options.distinct_hosts {
            hdfs.set("dfs.datanode.hostname", self.options.host(i));
        }
    }

    fn yarn(&self, role: Option<Role>) -> Properties {
        let mut yarn = Properties::default();
        self.rm_addresses(&mut yarn);
        self.rm_behaviour(&mut yarn);
        match role {
            Some(Role::ResourceManager(i)) if self.options.high_availability => {
                yarn.set("yarn.resourcemanager.ha.id", format!("rm{i}"));
            }
            Some(Role::NodeManager(i)) => self.node(i, &mut yarn),
            Some(Role::ResourceManager(_) | Role::NameNode | Role::DataNode(_)) | None => {}
        }
        yarn
    }

    fn rm_addresses(&self, yarn: &mut Properties) {
        for (i, ports) in self.layout.rms.iter().enumerate() {
            let suffix = if self.options.high_availability {
                format!(".rm{i}")
            } else {
                String::new()
            };
            let mut set =
                |key: &str, value: String| yarn.set(format!("yarn.resourcemanager.{key}{suffix}"), value);
            set("hostname", "127.0.0.1".to_owned());
            set("address", ports.client.to_string());
            set("scheduler.address", ports.scheduler.to_string());
            set("resource-tracker.address", ports.tracker.to_string());
            set("admin.address", ports.admin.to_string());
            set("webapp.address", ports.web.to_string());
        }
        if self.options.high_availability {
            yarn.set("yarn.resourcemanager.ha.enabled", true);
            yarn.set("yarn.resourcemanager.ha.rm-ids", "rm0,rm1");
            yarn.set("yarn.resourcemanager.ha.automatic-failover.enabled", false);
            yarn.set("yarn.resourcemanager.cluster-id", "drawloom-tests");
        }
    }

    fn rm_behaviour(&self, yarn: &mut Properties) {
        let options = self.options;
        yarn.set(
            "yarn.resourcemanager.scheduler.class",
            scheduler_class(options.scheduler),
        );
        yarn.set(
            "yarn.scheduler.minimum-allocation-mb",
            options.minimum_allocation_mb,
        );
        yarn.set("yarn.scheduler.maximum-allocation-mb", options.node_memory_mb);
        yarn.set("yarn.scheduler.maximum-allocation-vcores", options.node_vcores);
        // The Fair Scheduler rounds up to this, by default to whole GiB.
        yarn.set(
            "yarn.scheduler.increment-allocation-mb",
            options.minimum_allocation_mb,
        );
        yarn.set(
            "yarn.scheduler.include-port-in-node-name",
            options.port_in_node_name,
        );
        yarn.set(
            "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms",
            options.node_heartbeat.as_millis(),
        );
        yarn.set("yarn.resourcemanager.connect.retry-interval.ms", 1000);
        yarn.set("yarn.client.failover-sleep-base-ms", 200);
        yarn.set("yarn.client.failover-sleep-max-ms", 1000);
        if let Some(expiry) = options.am_expiry {
            yarn.set("yarn.am.liveness-monitor.expiry-interval-ms", expiry.as_millis());
        }
        if let Some(expiry) = options.node_expiry {
            yarn.set("yarn.nm.liveness-monitor.expiry-interval-ms", expiry.as_millis());
        }
        yarn.set("yarn.resourcemanager.recovery.enabled", options.rm_recovery);
        yarn.set("yarn.resourcemanager.store.class", RM_STORE);
        let store = self.layout.dir.join("rm-store");
        yarn.set(
            "yarn.resourcemanager.fs.state-store.uri",
            format!("file://{}", store.display()),
        );
        let attributes = self.layout.dir.join("node-attributes");
        yarn.set(
            "yarn.node-attribute.fs-store.root-dir",
            format!("file://{}", attributes.display()),
        );
        let excluded = self.layout.excluded_nodes();
        yarn.set("yarn.resourcemanager.nodes.exclude-path", excluded.display());
        yarn.set("yarn.log-aggregation-enable", options.log_aggregation);
        yarn.set("yarn.nodemanager.remote-app-log-dir", self.aggregated_logs());
    }

    fn aggregated_logs(&self) -> String {
        match self.layout.namenode {
            Some(_) => "/tmp/logs".to_owned(),
            None => format!("file://{}", self.layout.dir.join("aggregated-logs").display()),
        }
    }

    fn node(&self, i: usize, yarn: &mut Properties) {
        let ports = &self.layout.nodes[i];
        let home = self.layout.home(Role::NodeManager(i));
        yarn.set("yarn.nodemanager.hostname", ports.rpc.host);
        yarn.set("yarn.nodemanager.address", ports.rpc);
        yarn.set("yarn.nodemanager.localizer.address", ports.localizer);
        yarn.set("yarn.nodemanager.webapp.address", ports.web);
        yarn.set("yarn.nodemanager.collector-service.address", ports.collector);
        yarn.set("yarn.nodemanager.local-dirs", home.join("local").display());
        yarn.set("yarn.nodemanager.log-dirs", home.join("logs").display());
        yarn.set("yarn.nodemanager.resource.memory-mb", self.options.node_memory_mb);
        yarn.set("yarn.nodemanager.resource.cpu-vcores", self.options.node_vcores);
        yarn.set("yarn.nodemanager.vmem-check-enabled", false);
        // A disk of the machine that is 90 % full must not make our nodes unhealthy.
        yarn.set("yarn.nodemanager.disk-health-checker.enable", false);
        // Disabled, it still looks once at the start.
        yarn.set(
            "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage",
            100,
        );
        yarn.set("yarn.nodemanager.recovery.enabled", self.options.node_recovery);
        // Supervised: what ends a NodeManager is followed by a restart, so containers stay also after SIGTERM.
        yarn.set("yarn.nodemanager.recovery.supervised", self.options.node_recovery);
        yarn.set("yarn.nodemanager.recovery.dir", home.join("recovery").display());
    }

    fn capacity_scheduler(&self) -> Properties {
        let mut scheduler = Properties::default();
        scheduler.set("yarn.scheduler.capacity.root.queues", "default");
        scheduler.set("yarn.scheduler.capacity.root.default.capacity", 100);
        scheduler.set("yarn.scheduler.capacity.maximum-am-resource-percent", "1.0");
        scheduler.set(
            "yarn.scheduler.capacity.resource-calculator",
            calculator_class(self.options.calculator),
        );
        scheduler
    }
}

const RM_STORE: &str = "org.apache.hadoop.yarn.server.resourcemanager.recovery.FileSystemRMStateStore";

fn scheduler_class(scheduler: Scheduler) -> &'static str {
    match scheduler {
        Scheduler::Capacity => {
            "org.apache.hadoop.yarn.server.resourcemanager.scheduler.capacity.CapacityScheduler"
        }
        Scheduler::Fair => "org.apache.hadoop.yarn.server.resourcemanager.scheduler.fair.FairScheduler",
    }
}

fn calculator_class(calculator: Calculator) -> &'static str {
    match calculator {
        Calculator::Default => "org.apache.hadoop.yarn.util.resource.DefaultResourceCalculator",
        Calculator::Dominant => "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator",
    }
}
