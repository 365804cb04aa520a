//! What a running cluster is, on one page: `summary.json` in its folder, for processes other than the owner.

use super::{Hadoop, Role};
use crate::processes::{self, Process};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const FILE: &str = "summary.json";

/// A cluster's addresses; written when it is up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Hadoop's release.
    pub version: String,
    /// What to export as `HADOOP_CONF_DIR`.
    pub conf_dir: PathBuf,
    /// `fs.defaultFS`.
    pub default_fs: String,
    /// Daemons in the order of their start.
    pub daemons: Vec<DaemonSummary>,
}

/// One daemon's addresses and log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DaemonSummary {
    /// `rm0`, `nm0`, `nn`, `dn0`, …
    pub name: String,
    /// Its page.
    pub web: String,
    /// Its other listeners, by purpose, as `127.0.0.1:port`.
    pub listeners: BTreeMap<String, String>,
    /// Its log.
    pub log: PathBuf,
}

impl Summary {
    /// Reads what the owner of the cluster under `dir` wrote.
    ///
    /// # Errors
    /// Fails when there is none or it is not ours.
    pub fn read(dir: &Path) -> anyhow::Result<Self> {
        let file = dir.join(FILE);
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("cannot understand {}", file.display()))
    }

    pub(super) fn write(&self, dir: &Path) -> anyhow::Result<()> {
        fs::write(dir.join(FILE), serde_json::to_string_pretty(self)?)?;
        Ok(())
    }
}

impl DaemonSummary {
    /// The daemon's process, if it lives, in the cluster under `dir`.
    #[must_use]
    pub fn process(&self, dir: &Path) -> Option<Process> {
        let conf = dir.join(&self.name).join("conf");
        let runs_here = |process: &Process| {
            process.variable(processes::MARKER).is_some()
                && process
                    .variable("HADOOP_CONF_DIR")
                    .is_some_and(|value| Path::new(&value) == conf)
        };
        processes::of_cluster(dir).into_iter().find(runs_here)
    }
}

impl Hadoop {
    /// Addresses of everything that runs.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            version: self.version.to_string(),
            conf_dir: self.conf_dir(),
            default_fs: self.default_fs(),
            daemons: self
                .layout
                .roles()
                .into_iter()
                .map(|role| self.daemon_summary(role))
                .collect(),
        }
    }

    fn daemon_summary(&self, role: Role) -> DaemonSummary {
        let (web, listeners) = match role {
            Role::ResourceManager(i) => {
                let rm = &self.layout.rms[i];
                let listeners = [
                    ("client", rm.client),
                    ("scheduler", rm.scheduler),
                    ("tracker", rm.tracker),
                    ("admin", rm.admin),
                ];
                (Some(rm.web), listeners.to_vec())
            }
            Role::NodeManager(i) => {
                let node = &self.layout.nodes[i];
                (
                    Some(node.web),
                    vec![("rpc", node.rpc), ("localizer", node.localizer)],
                )
            }
            Role::NameNode => {
                let name = self.layout.namenode.as_ref();
                (
                    name.map(|name| name.web),
                    name.map(|name| ("rpc", name.rpc)).into_iter().collect(),
                )
            }
            Role::DataNode(i) => {
                let data = &self.layout.datanodes[i];
                (Some(data.web), vec![("data", data.data), ("ipc", data.ipc)])
            }
        };
        DaemonSummary {
            name: role.to_string(),
            web: web.map(|port| format!("http://{port}")).unwrap_or_default(),
            listeners: listeners
                .into_iter()
                .map(|(name, port)| (name.to_owned(), port.to_string()))
                .collect(),
            log: self.layout.log(role),
        }
    }
}
