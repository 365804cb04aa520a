//! The embedded cluster: for whoever has no Hadoop, for the life of one command.
//!
//! It is started when it is asked for (`--master mini`), or when no Hadoop configuration is found anywhere and nobody
//! asked for YARN. A configuration that is there but whose cluster does not answer is an error, never a reason to run
//! somewhere else.

use std::path::{Path, PathBuf};

use hadoop::conf::Location;

use crate::cli::Master;
use crate::cluster::unreadable;
use crate::error::{CommandError, Exit};
use crate::terminal::tell;

/// A cluster in this process.
pub(crate) struct Embedded(mini::Cluster);

impl Embedded {
    /// Starts one if it is wanted.
    ///
    /// # Errors
    /// It cannot start, or a configuration that is named cannot be read.
    pub(crate) async fn start_if_wanted(
        master: Option<Master>,
        conf_dir: Option<&Path>,
    ) -> Result<Option<Self>, CommandError> {
        let wanted = match master {
            Some(Master::Mini) => true,
            Some(Master::Yarn) => false,
            None => {
                let env = |name: &str| std::env::var(name).ok();
                Location::find(conf_dir, &env).map_err(unreadable)?.is_none()
            }
        };
        if !wanted {
            return Ok(None);
        }
        let why = if master.is_none() {
            "no Hadoop configuration is found: "
        } else {
            ""
        };
        tell(format_args!(
            "{why}running on an embedded cluster on this machine"
        ));
        let started = mini::Cluster::start(mini::Options::default()).await;
        let cluster = started.map_err(|error| {
            CommandError::refused("the embedded cluster cannot start")
                .caused_by(error)
                .help("it needs loopback ports and room below the directory for temporary files (TMPDIR)")
        })?;
        Ok(Some(Self(cluster)))
    }

    /// Its configuration.
    pub(crate) fn conf_dir(&self) -> PathBuf {
        self.0.conf_dir()
    }

    /// Where applications are staged for it.
    pub(crate) fn staging(&self) -> String {
        self.0.directory().join("staging").display().to_string()
    }

    /// Ends it, with what it ran; the logs of a job that failed are kept. What helps then are those: there is no cluster any
    /// more that another command could ask.
    pub(crate) async fn end<T>(mut self, ended: Result<T, CommandError>) -> Result<T, CommandError> {
        let failed = |error: &CommandError| matches!(error.exit, Exit::JobFailed | Exit::Lost);
        let keep_logs = ended.as_ref().is_err_and(failed);
        if keep_logs {
            self.0.keep_directory();
        }
        let logs = self.0.directory().join("nodes/*/logs");
        self.0.shutdown().await;
        ended.map_err(|error| match keep_logs {
            true => error.help(format!(
                "logs of all containers: {}; a cluster that stays, and answers `drawloom logs`: drawloom mini",
                logs.display()
            )),
            false => error,
        })
    }
}
