//! The values of Hadoop's `core-default.xml`, `hdfs-default.xml` and `yarn-default.xml` (3.4) that drawloom reads,
//! and the names that keys had in earlier releases.

/// One of Hadoop's default files and the site file read after it.
pub(super) struct DefaultFile {
    /// Name of the site file.
    pub(super) site: &'static str,
    /// Keys and values.
    pub(super) values: &'static [(&'static str, &'static str)],
}

/// In the order Hadoop reads them.
pub(super) const FILES: [DefaultFile; 3] = [
    DefaultFile {
        site: "core-site.xml",
        values: CORE,
    },
    DefaultFile {
        site: "hdfs-site.xml",
        values: HDFS,
    },
    DefaultFile {
        site: "yarn-site.xml",
        values: YARN,
    },
];

const CORE: &[(&str, &str)] = &[
    ("fs.defaultFS", "file:///"),
    ("fs.permissions.umask-mode", "022"),
    ("fs.trash.interval", "0"),
    ("hadoop.http.authentication.simple.anonymous.allowed", "true"),
    ("hadoop.http.authentication.type", "simple"),
    ("hadoop.http.staticuser.user", "dr.who"),
    ("hadoop.rpc.protection", "authentication"),
    ("hadoop.security.authentication", "simple"),
    ("hadoop.security.authorization", "false"),
    ("hadoop.security.token.service.use_ip", "true"),
    ("hadoop.tmp.dir", "/tmp/hadoop-${user.name}"),
    ("io.file.buffer.size", "4096"),
    ("ipc.client.connect.max.retries", "10"),
    ("ipc.client.connect.max.retries.on.timeouts", "45"),
    ("ipc.client.connect.retry.interval", "1000"),
    ("ipc.client.connect.timeout", "20000"),
    ("ipc.client.connection.maxidletime", "10000"),
    ("ipc.client.ping", "true"),
    ("ipc.client.rpc-timeout.ms", "120000"),
    ("ipc.client.tcpnodelay", "true"),
    ("ipc.maximum.data.length", "134217728"),
    ("ipc.maximum.response.length", "134217728"),
    ("ipc.ping.interval", "60000"),
];

const HDFS: &[(&str, &str)] = &[
    ("dfs.block.access.token.enable", "false"),
    ("dfs.blocksize", "134217728"),
    ("dfs.bytes-per-checksum", "512"),
    ("dfs.checksum.type", "CRC32C"),
    (
        "dfs.client.block.write.replace-datanode-on-failure.enable",
        "true",
    ),
    (
        "dfs.client.block.write.replace-datanode-on-failure.policy",
        "DEFAULT",
    ),
    ("dfs.client.failover.max.attempts", "15"),
    ("dfs.client.failover.sleep.base.millis", "500"),
    ("dfs.client.failover.sleep.max.millis", "15000"),
    ("dfs.client.read.shortcircuit", "false"),
    ("dfs.client.socket-timeout", "60000"),
    ("dfs.client.use.datanode.hostname", "false"),
    ("dfs.encrypt.data.transfer", "false"),
    ("dfs.http.policy", "HTTP_ONLY"),
    ("dfs.namenode.http-address", "0.0.0.0:9870"),
    ("dfs.namenode.https-address", "0.0.0.0:9871"),
    ("dfs.replication", "3"),
    ("dfs.user.home.dir.prefix", "/user"),
];

const YARN: &[(&str, &str)] = &[
    ("yarn.acl.enable", "false"),
    ("yarn.am.liveness-monitor.expiry-interval-ms", "900000"),
    ("yarn.client.application-client-protocol.poll-interval-ms", "200"),
    ("yarn.client.failover-retries", "0"),
    ("yarn.client.failover-retries-on-socket-timeouts", "0"),
    ("yarn.client.nodemanager-connect.max-wait-ms", "180000"),
    ("yarn.client.nodemanager-connect.retry-interval-ms", "10000"),
    ("yarn.cluster.max-application-priority", "0"),
    ("yarn.http.policy", "HTTP_ONLY"),
    ("yarn.log-aggregation-enable", "false"),
    ("yarn.log-aggregation.file-formats", "TFile"),
    ("yarn.log-aggregation.retain-seconds", "-1"),
    ("yarn.nm.liveness-monitor.expiry-interval-ms", "600000"),
    ("yarn.node-labels.enabled", "false"),
    ("yarn.nodemanager.address", "${yarn.nodemanager.hostname}:0"),
    ("yarn.nodemanager.delete.debug-delay-sec", "0"),
    (
        "yarn.nodemanager.env-whitelist",
        "JAVA_HOME,HADOOP_COMMON_HOME,HADOOP_HDFS_HOME,HADOOP_CONF_DIR,CLASSPATH_PREPEND_DISTCACHE,\
         HADOOP_YARN_HOME,HADOOP_HOME,PATH,LANG,TZ",
    ),
    ("yarn.nodemanager.hostname", "0.0.0.0"),
    ("yarn.nodemanager.local-dirs", "${hadoop.tmp.dir}/nm-local-dir"),
    ("yarn.nodemanager.log-dirs", "${yarn.log.dir}/userlogs"),
    ("yarn.nodemanager.log.retain-seconds", "10800"),
    ("yarn.nodemanager.pmem-check-enabled", "true"),
    ("yarn.nodemanager.remote-app-log-dir", "/tmp/logs"),
    ("yarn.nodemanager.remote-app-log-dir-suffix", "logs"),
    ("yarn.nodemanager.resource.memory.enforced", "true"),
    ("yarn.nodemanager.sleep-delay-before-sigkill.ms", "250"),
    ("yarn.nodemanager.vmem-check-enabled", "true"),
    (
        "yarn.nodemanager.webapp.address",
        "${yarn.nodemanager.hostname}:8042",
    ),
    ("yarn.nodemanager.webapp.https.address", "0.0.0.0:8044"),
    (
        "yarn.resourcemanager.address",
        "${yarn.resourcemanager.hostname}:8032",
    ),
    (
        "yarn.resourcemanager.admin.address",
        "${yarn.resourcemanager.hostname}:8033",
    ),
    (
        "yarn.resourcemanager.am-rm-tokens.master-key-rolling-interval-secs",
        "86400",
    ),
    ("yarn.resourcemanager.am.max-attempts", "2"),
    ("yarn.resourcemanager.application-https.policy", "NONE"),
    ("yarn.resourcemanager.connect.max-wait.ms", "900000"),
    ("yarn.resourcemanager.connect.retry-interval.ms", "30000"),
    ("yarn.resourcemanager.ha.enabled", "false"),
    ("yarn.resourcemanager.hostname", "0.0.0.0"),
    ("yarn.resourcemanager.nodemanagers.heartbeat-interval-ms", "1000"),
    (
        "yarn.resourcemanager.opportunistic-container-allocation.enabled",
        "false",
    ),
    ("yarn.resourcemanager.proxy.connection.timeout", "60000"),
    ("yarn.resourcemanager.recovery.enabled", "false"),
    (
        "yarn.resourcemanager.resource-tracker.address",
        "${yarn.resourcemanager.hostname}:8031",
    ),
    (
        "yarn.resourcemanager.rm.container-allocation.expiry-interval-ms",
        "600000",
    ),
    (
        "yarn.resourcemanager.scheduler.address",
        "${yarn.resourcemanager.hostname}:8030",
    ),
    (
        "yarn.resourcemanager.webapp.address",
        "${yarn.resourcemanager.hostname}:8088",
    ),
    (
        "yarn.resourcemanager.webapp.https.address",
        "${yarn.resourcemanager.hostname}:8090",
    ),
    (
        "yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms",
        "10000",
    ),
    ("yarn.scheduler.include-port-in-node-name", "false"),
    ("yarn.scheduler.maximum-allocation-mb", "8192"),
    ("yarn.scheduler.maximum-allocation-vcores", "4"),
    ("yarn.scheduler.minimum-allocation-mb", "1024"),
    ("yarn.scheduler.minimum-allocation-vcores", "1"),
    ("yarn.timeline-service.enabled", "false"),
    ("yarn.timeline-service.version", "1.0f"),
    ("yarn.webapp.enable-rest-app-submissions", "true"),
    ("yarn.webapp.ui2.enable", "false"),
];

/// Old names that are still met in the field, from Hadoop's table of deprecated properties.
const RENAMED: &[(&str, &str)] = &[
    ("dfs.block.size", "dfs.blocksize"),
    ("dfs.federation.nameservices", "dfs.nameservices"),
    ("dfs.http.address", "dfs.namenode.http-address"),
    ("dfs.https.address", "dfs.namenode.https-address"),
    ("dfs.permissions", "dfs.permissions.enabled"),
    ("dfs.socket.timeout", "dfs.client.socket-timeout"),
    ("dfs.umaskmode", "fs.permissions.umask-mode"),
    ("fs.default.name", "fs.defaultFS"),
    ("io.bytes.per.checksum", "dfs.bytes-per-checksum"),
    ("topology.script.file.name", "net.topology.script.file.name"),
];

/// The new name of a key that was renamed.
pub(super) fn renamed(name: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(old, _)| *old == name).map(|(_, new)| *new)
}

/// The name a key goes by.
pub(super) fn current_name(name: &str) -> &str {
    renamed(name).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::{Configuration, is_sensitive};

    #[test]
    fn no_key_has_two_defaults() {
        let mut keys: Vec<_> = FILES
            .iter()
            .flat_map(|file| file.values)
            .map(|(key, _)| *key)
            .collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
        assert!(
            keys.iter()
                .all(|key| !is_sensitive(key) && renamed(key).is_none())
        );
    }

    #[test]
    fn only_the_log_directory_depends_on_the_daemon() {
        let env = |name: &str| (name == "USER").then(|| "ada".to_owned());
        let conf = Configuration::defaults(&env);
        let open: Vec<_> = conf
            .entries()
            .filter(|(_, e)| e.value.contains("${"))
            .map(|(key, _)| key)
            .collect();
        assert_eq!(open, ["yarn.nodemanager.log-dirs"]);
        assert_eq!(
            conf.get("yarn.nodemanager.local-dirs"),
            Some("/tmp/hadoop-ada/nm-local-dir")
        );
    }
}
