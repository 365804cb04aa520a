//! A stock Spark History Server: its jars come from Maven, once, like Hadoop's own.

use super::java::Java;
use super::ports::{Port, Ports};
use super::{jars, tail};
use crate::{http, wait};
use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The release, which reads what all since 3.0 do.
const VERSION: &str = "4.1.1";
const CLASS: &str = "org.apache.spark.deploy.history.HistoryServer";
const START: Duration = Duration::from_secs(120);
/// In seconds.
const LIFE: &str = "1500";
const ASK: Duration = Duration::from_secs(60);

/// The running server; it ends when this is dropped.
#[derive(Debug)]
pub struct HistoryServer {
    child: Child,
    port: Port,
    log: PathBuf,
}

impl HistoryServer {
    /// Starts one that looks into `directory`, a URL, every second; its own files are in `home`.
    ///
    /// # Errors
    /// Fails when Java or Maven is missing, or it does not answer in time.
    pub fn start(home: &Path, directory: &str) -> anyhow::Result<Self> {
        let java = Java::find()?;
        let lib = jars::spark(VERSION)?;
        let port = Ports::new().take()?;
        let conf = home.join("history-server");
        fs::create_dir_all(&conf)?;
        let log = conf.join("log");
        let file = File::create(&log)?;
        let jvm = java.command(&conf, &lib);
        // Should the test die, it does not live on for long.
        let mut command = Command::new("timeout");
        command.arg(LIFE).arg(jvm.get_program()).args(jvm.get_args());
        command
            .arg(format!("-Dspark.history.fs.logDirectory={directory}"))
            .arg(format!("-Dspark.history.ui.port={}", port.number))
            .arg("-Dspark.history.fs.update.interval=1s")
            .arg(CLASS)
            .env("SPARK_LOCAL_IP", "127.0.0.1")
            .stdin(Stdio::null())
            .stderr(file.try_clone()?)
            .stdout(file)
            .process_group(0);
        let child = command.spawn().context("cannot start the History Server")?;
        let server = Self { child, port, log };
        server.wait_ready()?;
        Ok(server)
    }

    /// Why none can be started here, if that is so.
    ///
    /// # Errors
    /// Java or Maven is missing.
    pub fn can_start() -> anyhow::Result<()> {
        Java::find()?;
        jars::can_resolve_spark(VERSION)
    }

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
        // Its keeper hands the signal on. One that has ended needs none.
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
