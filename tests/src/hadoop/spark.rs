//! A stock Spark History Server beside a cluster: its jars from Maven, once, like Hadoop's own.

use super::ports::{Port, Ports};
use super::{Hadoop, jars, tail};
use crate::{http, processes, wait};
use anyhow::{Context, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

/// The release, which reads what all since 3.0 do.
const VERSION: &str = "4.1.1";
const CLASS: &str = "org.apache.spark.deploy.history.HistoryServer";
const START: Duration = Duration::from_secs(60);
const ASK: Duration = Duration::from_secs(20);

/// The running server; it ends when this is dropped.
#[derive(Debug)]
pub struct HistoryServer {
    child: Child,
    port: Port,
    log: PathBuf,
}

impl Hadoop {
    /// Starts a History Server that looks into `directory` every second.
    ///
    /// # Errors
    /// Fails when Maven cannot fetch it, or it does not answer in time.
    pub fn history_server(&self, directory: &str) -> anyhow::Result<HistoryServer> {
        let lib = jars::spark(VERSION)?;
        let port = Ports::new().take()?;
        let conf = self.dir().join("history-server");
        fs::create_dir_all(&conf)?;
        let core_site = self.conf_dir().join("core-site.xml");
        fs::copy(&core_site, conf.join("core-site.xml")).context("no core-site.xml")?;
        let log = conf.join("log");
        let file = File::create(&log)?;
        let mut command = self.java.command(&conf, &lib);
        // The class path is there already; properties may follow it.
        command
            .arg(format!("-Dspark.history.fs.logDirectory={directory}"))
            .arg(format!("-Dspark.history.ui.port={}", port.0))
            .arg("-Dspark.history.fs.update.interval=1s")
            .arg(CLASS)
            .env(processes::MARKER, format!("{}/", self.dir().display()))
            .env("SPARK_LOCAL_IP", "127.0.0.1")
            .stdin(Stdio::null())
            .stderr(file.try_clone()?)
            .stdout(file);
        let child = command.spawn().context("cannot start the History Server")?;
        let server = HistoryServer { child, port, log };
        server.wait_ready()?;
        Ok(server)
    }
}

impl HistoryServer {
    fn wait_ready(&self) -> anyhow::Result<()> {
        let ready = wait::until("the History Server", START, || self.get("version").is_ok());
        ready.with_context(|| tail(&self.log, 30))
    }

    /// A document below `/api/v1`.
    ///
    /// # Errors
    /// Fails when the answer is not 200 with JSON.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        http::get_json(self.port.addr(), &format!("/api/v1/{path}"), ASK)
    }

    /// A page for people.
    ///
    /// # Errors
    /// Fails when the answer is not 200.
    pub fn page(&self, path: &str) -> anyhow::Result<String> {
        let answer = http::request_with(self.port.addr(), "GET", path, "Accept: text/html\r\n", "", ASK)?;
        ensure!(
            answer.status == 200,
            "{path} answered {}: {}",
            answer.status,
            answer.text()
        );
        Ok(answer.text())
    }

    /// `http://HOST:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}", self.port)
    }

    /// The end of what it has logged.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }
}

impl Drop for HistoryServer {
    fn drop(&mut self) {
        // One that has ended needs no ending.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
