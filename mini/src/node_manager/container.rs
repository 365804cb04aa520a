//! One container, from its acceptance to its end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hadoop::ids::ContainerId;
use tokio::sync::watch;
use yarn_rpc::am_nm::ContainerSignal;
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::{ContainerLaunchContext, Resource};

use super::light::{LightContainers, LightLaunch};
use super::process::{Group, Process};
use super::{Node, logs, script, user_cache};
use crate::resource_manager::{ContainerReport, Event};
use crate::time::{self, UnixMs};
use crate::tokens::ContainerGrant;

/// `ContainerExitStatus.INVALID`: there was no process.
const NO_EXIT: i32 = -1000;
/// `ContainerExitStatus.DISKS_FAILED`.
const DISKS_FAILED: i32 = -101;
/// `yarn.nodemanager.container-diagnostics-maximum-size`; the end is kept.
const LONGEST_DIAGNOSTICS: usize = 10_000;

/// What is to be run.
pub(super) struct Launch {
    pub(super) grant: ContainerGrant,
    pub(super) context: ContainerLaunchContext,
}

/// Who wants a container dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kill {
    /// It uses more memory than it was given; with the text that says so.
    TooMuchMemory(String),
    /// Its ApplicationMaster.
    ByMaster,
    /// The ResourceManager.
    ByResourceManager,
    /// Its application is over.
    ApplicationEnded,
}

impl Kill {
    /// `ContainerExitStatus`.
    fn exit_status(&self) -> i32 {
        match self {
            Self::TooMuchMemory(_) => -104,
            Self::ByMaster => -105,
            Self::ByResourceManager => -106,
            Self::ApplicationEnded => -107,
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::TooMuchMemory(text) => text,
            Self::ByMaster => "Container killed by the ApplicationMaster.",
            Self::ByResourceManager => "Container Killed by ResourceManager",
            Self::ApplicationEnded => "Container killed after the application ended.",
        }
    }
}

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its files are fetched.
    Localizing,
    /// It has a process.
    Running,
    /// It is over.
    Done,
}

/// What a NodeManager knows of a container.
pub(super) struct Record {
    grant: ContainerGrant,
    started_ms: UnixMs,
    stage: Stage,
    group: Option<Group>,
    exit_status: i32,
    diagnostics: String,
    forgotten: bool,
    kill: watch::Sender<Option<Kill>>,
    ended: watch::Sender<bool>,
}

/// A container as pages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerView {
    /// Its id.
    pub id: ContainerId,
    /// Whose it is.
    pub user: String,
    /// What it may use.
    pub resource: Resource,
    /// How far it is.
    pub stage: Stage,
    /// Exit status, -1000 before the end.
    pub exit_status: i32,
    /// What is said of it.
    pub diagnostics: String,
    /// When it was accepted.
    pub started_ms: UnixMs,
}

impl Record {
    pub(super) fn new(grant: &ContainerGrant, kill: watch::Sender<Option<Kill>>) -> Self {
        Self {
            grant: grant.clone(),
            started_ms: time::now(),
            stage: Stage::Localizing,
            group: None,
            exit_status: NO_EXIT,
            diagnostics: String::new(),
            forgotten: false,
            kill,
            ended: watch::channel(false).0,
        }
    }

    pub(super) fn user(&self) -> &str {
        &self.grant.user
    }

    /// What a NodeManager says of it when it registers; nothing if its end is known.
    pub(super) fn report(&self) -> Option<ContainerReport> {
        let end = || (self.exit_status, self.diagnostics.clone());
        (!self.forgotten).then(|| ContainerReport {
            grant: self.grant.clone(),
            end: (self.stage == Stage::Done).then(end),
        })
    }

    /// Takes in the token of an update; false if it is not newer.
    pub(super) fn update(&mut self, grant: &ContainerGrant) -> bool {
        let newer = grant.version > self.grant.version && self.stage != Stage::Done;
        if newer {
            self.grant = grant.clone();
        }
        newer
    }

    pub(super) fn is_master(&self) -> bool {
        self.grant.is_master && self.group().is_some()
    }

    /// MiB that it may use.
    pub(super) fn memory_mb(&self) -> u64 {
        self.grant.resource.memory_mb
    }

    /// Its processes, while it has some.
    pub(super) fn group(&self) -> Option<Group> {
        self.group.filter(|_| self.stage == Stage::Running)
    }

    /// The first who wants its end is the one who is named.
    pub(super) fn kill(&self, kill: Kill) {
        self.kill.send_if_modified(|wanted| {
            let first = wanted.is_none();
            wanted.get_or_insert(kill);
            first
        });
    }

    pub(super) fn kill_now(&self) {
        if let Some(group) = self.group() {
            group.kill_with_leader();
        }
    }

    pub(super) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    pub(super) fn forget(&mut self) {
        self.forgotten = true;
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    pub(super) fn signal(&mut self, id: ContainerId, signal: ContainerSignal) {
        let Some(group) = self.group() else {
            return;
        };
        let (command, name) = group.signal(signal);
        self.diagnostics += &format!(
            "[{}]Sent signal {command} ({name}) to pid {} as user {} for container {id}, result=success\n",
            time::stamp(time::now()),
            group.leader(),
            self.grant.user
        );
    }

    /// Everything before the end is `C_RUNNING`; the sub-state tells more (`ContainerImpl`).
    pub(super) fn status(&self, id: ContainerId) -> pb::ContainerStatusProto {
        let (state, sub_state) = match self.stage {
            Stage::Localizing => (
                pb::ContainerStateProto::CRunning,
                pb::ContainerSubStateProto::CssScheduled,
            ),
            Stage::Running => (
                pb::ContainerStateProto::CRunning,
                pb::ContainerSubStateProto::CssRunning,
            ),
            Stage::Done => (
                pb::ContainerStateProto::CComplete,
                pb::ContainerSubStateProto::CssDone,
            ),
        };
        pb::ContainerStatusProto {
            container_id: Some(id.into()),
            state: Some(state as i32),
            diagnostics: Some(self.diagnostics.clone()),
            exit_status: Some(self.exit_status),
            capability: Some((&self.grant.resource).into()),
            execution_type: Some(pb::ExecutionTypeProto::Guaranteed as i32),
            container_sub_state: Some(sub_state as i32),
            ..Default::default()
        }
    }

    pub(super) fn view(&self, id: ContainerId) -> ContainerView {
        ContainerView {
            id,
            user: self.grant.user.clone(),
            resource: self.grant.resource.clone(),
            stage: self.stage,
            exit_status: self.exit_status,
            diagnostics: self.diagnostics.clone(),
            started_ms: self.started_ms,
        }
    }
}

/// How a container ended.
struct End {
    exit_status: i32,
    diagnostics: String,
}

/// Directories of one container.
pub(super) struct Places {
    pub(super) work: PathBuf,
    pub(super) logs: PathBuf,
    pub(super) application: PathBuf,
    pub(super) user: PathBuf,
}

/// Takes a container to its end.
pub(super) async fn run(node: &Node, launch: Launch, mut killed: watch::Receiver<Option<Kill>>) {
    let id = launch.grant.container;
    let places = places(node, &launch.grant);
    let mut end = live(node, &launch, &places, &mut killed).await;
    node.look_back(&mut end.exit_status);
    if let Err(error) = tokio::fs::remove_dir_all(&places.work).await {
        tracing::debug!(%error, container = %id, "the working directory cannot be removed");
    }
    let (exit_status, diagnostics) = {
        let mut containers = node.containers();
        let Some(record) = containers.get_mut(&id) else {
            return;
        };
        record.stage = Stage::Done;
        record.exit_status = end.exit_status;
        record.diagnostics += &end.diagnostics;
        record.diagnostics = last_of(&record.diagnostics, LONGEST_DIAGNOSTICS).to_owned();
        record.ended.send_replace(true);
        (record.exit_status, record.diagnostics.clone())
    };
    node.tell(Event::ContainerEnded {
        container: id,
        exit_status,
        diagnostics,
    });
}

fn places(node: &Node, grant: &ContainerGrant) -> Places {
    let id = grant.container;
    let application = node.application_directory(&grant.user, id.application());
    Places {
        work: application.join(id.to_string()),
        logs: node.log_directory(id),
        user: user_cache(&node.directories.local, &grant.user),
        application,
    }
}

async fn live(
    node: &Node,
    launch: &Launch,
    places: &Places,
    killed: &mut watch::Receiver<Option<Kill>>,
) -> End {
    match node.light.as_ref().filter(|_| !launch.grant.is_master) {
        Some(light) => live_light(node, light, launch, places, killed).await,
        None => live_as_process(node, launch, places, killed).await,
    }
}

async fn live_light(
    node: &Node,
    light: &LightContainers,
    launch: &Launch,
    places: &Places,
    killed: &mut watch::Receiver<Option<Kill>>,
) -> End {
    let files = BTreeMap::new();
    let life = light.begin(LightLaunch {
        container: launch.grant.container,
        node: node.facts.clone(),
        resource: launch.grant.resource.clone(),
        commands: launch.context.commands.clone(),
        environment: script::plain_variables(&parts(node, launch, places, &files)),
        credentials: launch.context.tokens.clone().unwrap_or_else(empty_credentials),
    });
    node.started(launch.grant.container, None);
    tokio::select! {
        biased;
        kill = wanted(killed) => killed_early(&kill),
        exit = life => ended(launch.grant.container, &places.logs, exit, None),
    }
}

fn parts<'a>(
    node: &'a Node,
    launch: &'a Launch,
    places: &'a Places,
    files: &'a BTreeMap<String, PathBuf>,
) -> script::Parts<'a> {
    script::Parts {
        node: &node.facts,
        conf: &node.directories.conf,
        grant: &launch.grant,
        context: &launch.context,
        places,
        files,
    }
}

async fn live_as_process(
    node: &Node,
    launch: &Launch,
    places: &Places,
    killed: &mut watch::Receiver<Option<Kill>>,
) -> End {
    let prepared = tokio::select! {
        biased;
        kill = wanted(killed) => return killed_early(&kill),
        prepared = prepare(node, launch, places) => prepared,
    };
    let process = match prepared {
        Ok(process) => process,
        Err(why) => {
            return End {
                exit_status: why.exit_status,
                diagnostics: format!("{}{}\n", stamp(), why.text),
            };
        }
    };
    let leader = process.group().leader();
    if let Some(guard) = &node.guard {
        guard.watch(leader);
    }
    node.started(launch.grant.container, Some(process.group()));
    let end = wait(launch, places, process, killed).await;
    if let Some(guard) = &node.guard {
        guard.release(leader);
    }
    end
}

async fn wait(
    launch: &Launch,
    places: &Places,
    mut process: Process,
    killed: &mut watch::Receiver<Option<Kill>>,
) -> End {
    let (exit, kill) = tokio::select! {
        exit = process.exit() => (exit, None),
        kill = wanted(killed) => (process.terminate().await, Some(kill)),
    };
    process.group().kill();
    ended(launch.grant.container, &places.logs, exit, kill)
}

impl Node {
    fn started(&self, id: ContainerId, group: Option<Group>) {
        if let Some(record) = self.containers().get_mut(&id) {
            record.stage = Stage::Running;
            record.group = group;
        }
        if let Some(hook) = &self.on_process {
            hook(id);
        }
    }
}

/// Waits until somebody wants the container dead.
async fn wanted(killed: &mut watch::Receiver<Option<Kill>>) -> Kill {
    match killed.wait_for(Option::is_some).await.map(|kill| kill.clone()) {
        Ok(Some(kill)) => kill,
        // The record that could be asked to kill is gone: nobody will.
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

/// Why a container has no process.
struct Unlaunched {
    exit_status: i32,
    text: String,
}

impl From<String> for Unlaunched {
    fn from(text: String) -> Self {
        Self {
            exit_status: NO_EXIT,
            text,
        }
    }
}

async fn prepare(node: &Node, launch: &Launch, places: &Places) -> Result<Process, Unlaunched> {
    let failed = |what: &str, error: std::io::Error| format!("{what}: {error}");
    for directory in [&places.work.join("tmp"), &places.logs] {
        let made = tokio::fs::create_dir_all(directory).await;
        made.map_err(|error| failed("the container's directories cannot be made", error))?;
    }
    if let Some(why) = node.disk_problem() {
        return Err(Unlaunched {
            exit_status: DISKS_FAILED,
            text: format!("Most of the disks failed. {why}"),
        });
    }
    let owner = (launch.grant.user.as_str(), launch.grant.container.application());
    let files = node
        .localizer
        .fetch_all(owner, &launch.context.local_resources)
        .await?;
    let text = script::launch_script(&parts(node, launch, places, &files));
    let tokens = launch.context.tokens.clone().unwrap_or_else(empty_credentials);
    let written = write_files(places, &text, &tokens).await;
    written.map_err(|error| failed("the launch script cannot be written", error))?;
    let process = Process::start(&places.work);
    Ok(process.map_err(|error| failed("the launch script cannot be started", error))?)
}

fn empty_credentials() -> Vec<u8> {
    hadoop::credentials::Credentials::default().to_bytes(hadoop::credentials::Format::Writable)
}

async fn write_files(places: &Places, text: &str, tokens: &[u8]) -> std::io::Result<()> {
    write_private(&places.work.join(script::TOKENS_NAME), tokens, 0o600).await?;
    write_private(&places.work.join(script::SCRIPT_NAME), text.as_bytes(), 0o700).await
}

async fn write_private(path: &Path, contents: &[u8], mode: u32) -> std::io::Result<()> {
    use tokio::io::AsyncWriteExt;
    let mut options = tokio::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path).await?;
    file.write_all(contents).await?;
    file.flush().await
}

fn killed_early(kill: &Kill) -> End {
    End {
        exit_status: kill.exit_status(),
        diagnostics: format!("{}{}\n", stamp(), kill.text()),
    }
}

/// A kill counts as the cause only where the process died of it; one that ends by itself keeps its exit code
/// (`ContainerImpl`, `ContainerLaunch`).
fn ended(id: ContainerId, logs: &Path, exit: i32, kill: Option<Kill>) -> End {
    let mut text = kill
        .as_ref()
        .map(|kill| format!("{}{}\n", stamp(), kill.text()))
        .unwrap_or_default();
    let by_signal = matches!(exit, 137 | 143);
    if by_signal {
        text += &format!("{0}Container killed on request. Exit code is {exit}\n", stamp());
        text += &format!(
            "{0}Container exited with a non-zero exit code {exit}. \n",
            stamp()
        );
        if kill.is_none() {
            text += &format!("{}Killed by external signal\n", stamp());
        }
    } else if exit != 0 {
        text += &format!(
            "{}Exception from container-launch.\nContainer id: {id}\nExit code: {exit}\n\n",
            stamp()
        );
        let tails = format!(
            "{}Container exited with a non-zero exit code {exit}. Error file: prelaunch.err.\n{}\n",
            stamp(),
            logs::error_tails(logs)
        );
        text += &tails;
        text += &tails;
    }
    let exit_status = kill.filter(|_| by_signal).map_or(exit, |kill| kill.exit_status());
    End {
        exit_status,
        diagnostics: text,
    }
}

fn stamp() -> String {
    format!("[{}]", time::stamp(time::now()))
}

/// The last bytes of a text, cut between characters.
fn last_of(text: &str, bytes: usize) -> &str {
    let from = text.len().saturating_sub(bytes);
    let from = (from..=text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ContainerId {
        "container_7_0001_01_000002".parse().unwrap()
    }

    #[test]
    fn a_kill_counts_only_where_the_process_died_of_it() {
        let nowhere = Path::new("/nonexistent");
        let status = |exit, kill| ended(id(), nowhere, exit, kill).exit_status;
        assert_eq!(status(143, Some(Kill::ByMaster)), -105);
        assert_eq!(status(137, Some(Kill::ByResourceManager)), -106);
        assert_eq!(status(0, Some(Kill::ByMaster)), 0);
        assert_eq!(status(7, Some(Kill::ByMaster)), 7);
        assert_eq!(status(137, None), 137);
    }

    #[test]
    fn a_failure_shows_the_end_of_stderr_twice() {
        let logs = tempfile::tempdir().unwrap();
        std::fs::write(logs.path().join("stderr"), "no such thing\n").unwrap();
        let end = ended(id(), logs.path(), 3, None);
        assert_eq!(
            end.diagnostics
                .matches("Last 4096 bytes of stderr :\nno such thing\n")
                .count(),
            2
        );
        assert!(
            end.diagnostics
                .contains("]Exception from container-launch.\nContainer id: container_7_0001_01_000002\n")
        );
    }

    #[test]
    fn only_the_end_of_long_diagnostics_is_kept() {
        assert_eq!(last_of("aäb", 2), "b");
        assert_eq!(last_of("ab", 9), "ab");
    }
}
