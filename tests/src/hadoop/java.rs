//! The JVM that runs the daemons.

use crate::workspace;
use anyhow::{Context, bail};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Small heap, quick start: these daemons live for minutes and share few cores.
const FLAGS: [&str; 9] = [
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    // The jars are Maven's own; proving thousands of classes once more is a fifth of a start.
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-BytecodeVerificationRemote",
    "-Djava.net.preferIPv4Stack=true",
    "-Djava.awt.headless=true",
    // Guice, as the 3.3 and 3.4 web pages use it, defines classes by reflection and ends on Java 17 without this.
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
];

/// A Java installation.
#[derive(Debug)]
pub(super) struct Java {
    home: PathBuf,
}

impl Java {
    /// `JAVA_HOME`, else where `java` on `PATH` really lies.
    pub(super) fn find() -> anyhow::Result<Self> {
        if let Some(home) = env::var_os("JAVA_HOME")
            .map(PathBuf::from)
            .filter(|home| !home.as_os_str().is_empty())
        {
            return Self::at(home);
        }
        let Some(java) = workspace::on_path("java") else {
            bail!("no JAVA_HOME and no java on PATH: install a JDK (11 or 17), Hadoop's daemons need it");
        };
        let binary = fs::canonicalize(&java).with_context(|| format!("cannot follow {}", java.display()))?;
        let home = binary
            .parent()
            .and_then(Path::parent)
            .context("java lies in no bin folder")?;
        Self::at(home.to_path_buf())
    }

    fn at(home: PathBuf) -> anyhow::Result<Self> {
        if !home.join("bin/java").is_file() {
            bail!(
                "no bin/java in {}: let JAVA_HOME name a JDK (11 or 17)",
                home.display()
            );
        }
        Ok(Self { home })
    }

    /// A JVM with the configuration folder first on its class path and an environment of its own: nothing of the
    /// caller's `HADOOP_*` may reach a daemon, and from a NodeManager the containers.
    pub(super) fn command(&self, conf: &Path, lib: &Path) -> Command {
        let mut command = Command::new(self.home.join("bin/java"));
        command.env_clear();
        for name in ["PATH", "HOME", "USER", "LOGNAME", "TZ"] {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("LANG", "C.UTF-8")
            .env("JAVA_HOME", &self.home)
            .env("HADOOP_CONF_DIR", conf);
        command
            .args(FLAGS)
            .arg("-cp")
            .arg(format!("{}:{}/*", conf.display(), lib.display()));
        command
    }
}
