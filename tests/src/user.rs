//! A person who uses drawloom on a cluster: an account, a home on the default file system, a folder of their own, and what they type.
//!
//! Every test takes a person of its own, so that tests share a cluster and no files.

use crate::cluster::Cluster;
use crate::hadoop::Hadoop;
use crate::mode::Mode;
use crate::process::{Drawloom, Output, Running};
use crate::workspace;
use anyhow::{Context, ensure};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long a command may take on a busy machine.
pub const COMMAND: Duration = Duration::from_secs(180);

/// See the module.
#[derive(Debug)]
pub struct User<'a> {
    cluster: &'a dyn Cluster,
    name: String,
    dir: PathBuf,
    mode: Mode,
}

impl<'a> User<'a> {
    /// A person who has not been there before.
    ///
    /// # Errors
    /// Fails when the folder cannot be made.
    pub fn new(cluster: &'a dyn Cluster, name: &str) -> anyhow::Result<Self> {
        Self::with_mode(cluster, name, Mode::Cluster)
    }

    /// A person of this name for each mode, who submits in it unless a job or a flag says otherwise.
    ///
    /// # Errors
    /// As [`User::new`].
    pub fn in_mode(cluster: &'a dyn Cluster, name: &str, mode: Mode) -> anyhow::Result<Self> {
        Self::with_mode(cluster, &format!("{name}-{mode}"), mode)
    }

    fn with_mode(cluster: &'a dyn Cluster, name: &str, mode: Mode) -> anyhow::Result<Self> {
        let dir = folder(cluster.dir(), name);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(Self {
            cluster,
            name: name.to_owned(),
            dir,
            mode,
        })
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &'a dyn Cluster {
        self.cluster
    }

    /// The cluster, which is a real one.
    ///
    /// # Panics
    /// When it is embedded.
    #[must_use]
    pub fn hadoop(&self) -> &'a Hadoop {
        self.cluster.as_hadoop().expect("a person at a real Hadoop")
    }

    /// The account's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of something in this person's home on the default file system.
    #[must_use]
    pub fn home(&self, path: &str) -> String {
        format!("{}/{path}", self.cluster.home(&self.name))
    }

    /// Names of what is in a directory of this person's home on the default file system, in order; none when there is
    /// no such directory.
    ///
    /// # Errors
    /// Fails when it cannot be read.
    pub fn list(&self, path: &str) -> anyhow::Result<Option<Vec<String>>> {
        self.cluster.list(&self.home(path))
    }

    /// The folder that commands are given in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a file in the folder, with the folders above it; an executable one when it begins with `#!`.
    ///
    /// # Errors
    /// Fails when it cannot be written.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> anyhow::Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&self.dir))?;
        fs::write(&path, &contents).with_context(|| format!("cannot write {}", path.display()))?;
        if contents.as_ref().starts_with(b"#!") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        Ok(path)
    }

    /// A command of this person, about to run.
    #[must_use]
    pub fn drawloom<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Drawloom {
        self.build(&workspace::drawloom(), args)
    }

    /// [`User::drawloom`] with another executable.
    #[must_use]
    pub fn build<S: AsRef<OsStr>>(&self, program: &Path, args: impl IntoIterator<Item = S>) -> Drawloom {
        Drawloom::build(self.cluster, program)
            .env("HADOOP_USER_NAME", &self.name)
            .env("DRAWLOOM_DEPLOY_MODE", self.mode.to_string())
            .env("XDG_CONFIG_HOME", &self.dir)
            .env("HOME", &self.dir)
            .current_dir(&self.dir)
            .args(args)
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// Fails when it takes longer than [`COMMAND`].
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> anyhow::Result<Output> {
        self.drawloom(args).run(COMMAND)
    }

    /// Runs a command that must succeed; gives its standard output.
    ///
    /// # Errors
    /// Fails when it does not exit with 0; the message quotes its words.
    pub fn must<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> anyhow::Result<String> {
        let output = self.run(args)?;
        ensure!(output.code == Some(0), "drawloom did not succeed: {output}");
        Ok(output.stdout)
    }

    /// Writes `job` to `job.yaml` and submits it, with more arguments.
    ///
    /// # Errors
    /// Fails when the file cannot be written or the binary is missing.
    pub fn submit(&self, job: &str, args: &[&str]) -> anyhow::Result<Running> {
        self.write("job.yaml", job)?;
        self.drawloom(["submit", "job.yaml"]).args(args).spawn()
    }

    /// [`User::submit`], to the end.
    ///
    /// # Errors
    /// As [`User::submit`], and when it takes longer than [`COMMAND`].
    pub fn submit_and_wait(&self, job: &str, args: &[&str]) -> anyhow::Result<Output> {
        self.submit(job, args)?.wait(COMMAND)
    }

    /// Puts a file on the cluster's file system, making the directory above it.
    ///
    /// # Errors
    /// Fails when a command fails.
    pub fn put(&self, contents: impl AsRef<[u8]>, path: &str) -> anyhow::Result<()> {
        let local = self.write(&scratch("put"), contents)?;
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.must(["fs", "mkdir", parent])?;
        }
        self.must([OsStr::new("fs"), "put".as_ref(), local.as_ref(), path.as_ref()])?;
        Ok(())
    }

    /// The bytes of a file on the cluster's file system.
    ///
    /// # Errors
    /// Fails when it cannot be had.
    pub fn get(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let local = self.dir.join(scratch("get"));
        self.must([OsStr::new("fs"), "get".as_ref(), path.as_ref(), local.as_ref()])?;
        Ok(fs::read(local)?)
    }

    /// Names of the applications that still have files staged in this person's home.
    ///
    /// # Errors
    /// Fails when the default file system cannot be asked.
    pub fn staged(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.list(".drawloom/apps")?.unwrap_or_default())
    }

    /// The file that tasks wait for which call [`Gate::wait`].
    #[must_use]
    pub fn gate(&self) -> Gate {
        Gate {
            open: self.dir.join("gate-is-open"),
            arrivals: self.dir.join("arrivals"),
        }
    }
}

/// Holds tasks where a test wants them, without guessing at times: a task says that it has come and waits until the
/// test opens the gate.
#[derive(Clone, Debug)]
pub struct Gate {
    open: PathBuf,
    arrivals: PathBuf,
}

impl Gate {
    /// Shell commands: leave a file named after stage, task and attempt, and wait.
    #[must_use]
    pub fn wait(&self) -> String {
        format!(
            "mkdir -p {arrivals}; touch {arrivals}/$DRAWLOOM_STAGE-$DRAWLOOM_TASK.$DRAWLOOM_TASK_ATTEMPT; \
             until [ -e {open} ]; do sleep 0.05; done",
            arrivals = self.arrivals.display(),
            open = self.open.display()
        )
    }

    /// Who has come so far, as `stage-task.attempt`.
    #[must_use]
    pub fn arrivals(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.arrivals).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Lets everybody pass, now and later.
    ///
    /// # Errors
    /// Fails when the file cannot be written.
    pub fn open(&self) -> anyhow::Result<()> {
        fs::write(&self.open, "").context("cannot open the gate")
    }
}

/// The folder that a person's commands are given in, and that `HOME` names: where the default file system is the local
/// one, what is relative is below it too.
pub(crate) fn folder(cluster: &Path, name: &str) -> PathBuf {
    cluster.join("people").join(name)
}

fn scratch(what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}
