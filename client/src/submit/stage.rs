//! Putting an application's files where YARN can fetch them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use am::configuration::Entry;
use am::launch::{
    Acls, BINARY_NAME, CONF_FILE_NAME, FILE_NAME, HistoryTarget, LaunchFile, Localized, LocalizedKind,
    NodeAtSubmission, PLAN_FILE_NAME, VERSION, Visibility,
};
use bytes::Bytes;
use dfs::FileSystems;
use dfs::staging::{self, LocalResource, ResourceKind, ResourceSpec, Staging, StagingError};
use serde::Serialize;

use crate::error::CommandError;
use crate::plan::{JobResource, Planned, Source};
use crate::settings::catalogue::Key;
use crate::settings::{Resolved, Setting};

/// What is staged, and where.
pub(super) struct Stager<'a> {
    /// The file systems of the cluster.
    pub file_systems: &'a FileSystems,
    /// Where to stage.
    pub staging: &'a Staging,
    /// The application's id.
    pub application: &'a str,
    /// The resolved Hadoop configuration.
    pub conf: BTreeMap<String, String>,
    /// Settings.
    pub settings: &'a Resolved,
    /// The submitting user.
    pub user: &'a str,
    /// The running nodes.
    pub nodes: Vec<NodeAtSubmission>,
}

/// An application whose files are in place.
pub(super) struct Staged {
    /// SHA-256 of the executable.
    pub build: String,
    /// What the ApplicationMaster is told beside the plan.
    pub launch: LaunchFile,
    /// What the ApplicationMaster's container gets.
    pub am_resources: Vec<Localized>,
    /// Bytes of everything that the containers fetch.
    pub bytes: u64,
}

impl Stager<'_> {
    /// Stages everything.
    ///
    /// # Errors
    /// The staging directory cannot be written, or a file cannot be read.
    pub(super) async fn stage(&self, planned: &Planned) -> Result<Staged, CommandError> {
        // What does not need each other goes at once: each is a few round trips to the file system.
        let (binary, conf) = tokio::try_join!(self.binary(), self.configuration())?;
        // The cache names a file by the hash of its contents, so the hash need not be computed twice.
        let build = binary
            .path
            .parent()
            .map(|hash| hash.name().to_owned())
            .unwrap_or_default();
        let own = vec![localized(binary), localized(conf)];
        let mut resources = own.clone();
        for resource in &planned.files.0 {
            resources.push(self.job_resource(resource).await?);
        }
        let launch = self.launch_file(&resources);
        tokio::try_join!(
            self.application_file(FILE_NAME, &launch),
            self.application_file(PLAN_FILE_NAME, &planned.plan)
        )?;
        Ok(Staged {
            build,
            launch,
            bytes: resources.iter().map(|resource| resource.size).sum(),
            am_resources: match planned.plan.scheduling.uber {
                true => resources,
                false => own,
            },
        })
    }

    async fn binary(&self) -> Result<LocalResource, CommandError> {
        own_executable(self.staging).await
    }

    /// Cached, because what a node already has costs a container nothing, and an application's own files a lot.
    async fn configuration(&self) -> Result<LocalResource, CommandError> {
        let text = json(CONF_FILE_NAME, &self.conf)?;
        let staged = self.staging.cache_bytes(CONF_FILE_NAME, text).await;
        staged.map_err(|error| failed(&error))
    }

    async fn job_resource(&self, resource: &JobResource) -> Result<Localized, CommandError> {
        let kind = if resource.archive {
            ResourceKind::Archive
        } else {
            ResourceKind::File
        };
        let alias = Some(resource.name.clone());
        let staged = match &resource.source {
            Source::Local(path) => {
                let source = path.to_string_lossy().into_owned();
                self.staging
                    .cache_file(path, &ResourceSpec { source, alias, kind })
                    .await
            }
            Source::Remote(path) => {
                let source = path.to_string();
                let spec = ResourceSpec { source, alias, kind };
                Staging::remote_file(self.file_systems, path, &spec).await
            }
        };
        staged.map(localized).map_err(|error| failed(&error))
    }

    async fn application_file(&self, name: &str, value: &impl Serialize) -> Result<(), CommandError> {
        let contents = json(name, value)?;
        let staged = self
            .staging
            .application_file(self.application, name, contents)
            .await;
        staged.map(drop).map_err(|error| failed(&error))
    }

    fn launch_file(&self, resources: &[Localized]) -> LaunchFile {
        let text = |key| self.settings.optional(key).map(str::to_owned);
        LaunchFile {
            version: VERSION,
            user: self.user.to_owned(),
            queue: self.settings.text("queue").to_owned(),
            tags: self.settings.words("tags"),
            node_label: text("node-label"),
            acls: Acls {
                view: text("acls.view"),
                modify: text("acls.modify"),
            },
            resources: resources.to_vec(),
            nodes: self.nodes.clone(),
            am_memory_mib: self.settings.mebibytes("am.memory"),
            submitted_unix_ms: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            open_metrics: self.settings.text("metrics.open") == "true",
            history: HistoryTarget {
                dir: text("history.dir"),
                server: text("history.server"),
            },
            configuration: self.settings.iter().map(entry).collect(),
        }
    }
}

/// A setting as others may see it later, wherever the file comes to lie.
fn entry((key, setting): (&Key, &Setting)) -> Entry {
    let whole = Entry {
        key: key.name.to_owned(),
        value: setting.text.clone(),
        origin: setting.origin.to_string(),
    };
    whole.shown()
}

fn json(name: &str, value: &impl Serialize) -> Result<Bytes, CommandError> {
    let text = serde_json::to_vec(value);
    text.map(Bytes::from)
        .map_err(|error| CommandError::refused(format!("{name} cannot be written")).caused_by(error))
}

async fn own_executable(staging: &Staging) -> Result<LocalResource, CommandError> {
    let spec = ResourceSpec {
        alias: Some(BINARY_NAME.to_owned()),
        ..ResourceSpec::file(BINARY_NAME)
    };
    let staged = staging.cache_file(&executable()?, &spec).await;
    staged.map_err(|error| failed(&error))
}

/// Has our own executable in the staging cache; gives its SHA-256.
///
/// # Errors
/// It cannot be read or staged.
pub(crate) async fn own_build(staging: &Staging) -> Result<String, CommandError> {
    let staged = own_executable(staging).await?;
    let directory = staged.path.parent();
    Ok(directory.map_or_else(String::new, |directory| directory.name().to_owned()))
}

/// Our own executable, which is what YARN will run.
fn executable() -> Result<PathBuf, CommandError> {
    std::env::current_exe()
        .and_then(|path| path.canonicalize())
        .or_else(|_| Path::new("/proc/self/exe").canonicalize())
        .map_err(|error| no_executable().caused_by(error))
}

fn no_executable() -> CommandError {
    CommandError::refused("drawloom's own executable cannot be read, and YARN is to run it")
}

fn localized(resource: LocalResource) -> Localized {
    Localized {
        name: resource.link,
        uri: resource.path.to_uri(),
        size: resource.size,
        timestamp_ms: resource.timestamp,
        kind: match resource.kind {
            ResourceKind::File => LocalizedKind::File,
            ResourceKind::Archive => LocalizedKind::Archive,
        },
        visibility: match resource.visibility {
            staging::Visibility::Private => Visibility::Private,
            staging::Visibility::Application => Visibility::Application,
        },
    }
}

fn failed(error: &StagingError) -> CommandError {
    let help = error.help();
    let cause = error.cause().map(ToString::to_string);
    let staged = CommandError::refused(format!("{error}"));
    let staged = match cause {
        Some(cause) => staged.because(cause),
        None => staged,
    };
    match help {
        Some(help) => staged.help(help),
        None => staged,
    }
}
