//! The executor beside the ApplicationMaster, in the same container: where a small job runs that asks for no others.
//!
//! It is the same program in the same role as any executor, started by us instead of a NodeManager, and it dials our
//! gateway as all do; its id is that of our container. What it must not do is outlive us: its guard holds our end of a
//! pipe, and ends all of it when we are gone. When it ends before the job does there is no other container to go on in:
//! the attempt of the application is over, and the next one goes on where this one was.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use hadoop::credentials::{Credentials, Format};
use tokio::process::{Child, Command};
use wire::environment::LIFELINE;

use crate::environment;

/// The file with the keys that the executor may have, in the container's directory.
const CREDENTIALS: &str = "executor_tokens";
/// Where it complains, among the container's logs.
const LOG: &str = "executor.stderr";

/// How to start it.
#[derive(Debug)]
pub(crate) struct Beside {
    variables: BTreeMap<String, String>,
    log: File,
}

impl Beside {
    /// Writes what it needs into the container's `directory`; its log goes to the first of `log_dirs`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn prepare(
        directory: &Path,
        log_dirs: Option<&str>,
        mut variables: BTreeMap<String, String>,
        credentials: &Credentials,
    ) -> anyhow::Result<Self> {
        let keys = directory.join(CREDENTIALS);
        let bytes = environment::executor_credentials(credentials).to_bytes(Format::Writable);
        write_private(&keys, &bytes).with_context(|| format!("cannot write {}", keys.display()))?;
        variables.insert(
            "HADOOP_TOKEN_FILE_LOCATION".to_owned(),
            keys.to_string_lossy().into_owned(),
        );
        variables.insert(LIFELINE.to_owned(), "stdin".to_owned());
        let logs = log_dirs.and_then(|dirs| dirs.split(',').next()).map(Path::new);
        let log = logs.unwrap_or(directory).join(LOG);
        let log = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        Ok(Self { variables, log })
    }

    /// Starts it. It is killed when this value is dropped.
    ///
    /// # Errors
    /// The system starts no process.
    pub(crate) fn start(self) -> anyhow::Result<Running> {
        let program = std::env::current_exe().context("our own executable is gone")?;
        let mut command = Command::new(program);
        command
            .arg0("drawloom-guard")
            .arg("executor")
            .envs(self.variables)
            .stdin(Stdio::piped())
            .stdout(self.log.try_clone().context("cannot share a log")?)
            .stderr(self.log)
            .kill_on_drop(true);
        let child = command.spawn().context("cannot start the executor beside us")?;
        Ok(Running(child))
    }
}

/// The executor beside us.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    /// Waits for its end and says how that was.
    pub(crate) async fn ended(mut self) -> String {
        // Held while we wait: its closing is the sign that we are gone.
        let lifeline = self.0.stdin.take();
        let ended = self.0.wait().await;
        drop(lifeline);
        match ended {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn its_keys_are_for_nobody_else_and_speak_for_no_application_master() {
        let directory = tempfile::tempdir().unwrap();
        let mut credentials = Credentials::default();
        for name in [
            wire::security::secret::AM_KEY,
            wire::security::secret::EXECUTOR_KEY,
        ] {
            credentials.secrets.insert(name.to_owned(), b"key".to_vec());
        }
        let beside = Beside::prepare(directory.path(), None, BTreeMap::new(), &credentials).unwrap();
        let keys = directory.path().join(CREDENTIALS);
        assert_eq!(
            beside.variables["HADOOP_TOKEN_FILE_LOCATION"],
            keys.to_str().unwrap()
        );
        assert_eq!(
            std::fs::metadata(&keys).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let given = Credentials::load(&keys).unwrap();
        let names: Vec<_> = given.secrets.into_keys().collect();
        assert_eq!(names, [wire::security::secret::EXECUTOR_KEY]);
    }
}
