//! `drawloom logs`: the log files of an application's containers, from wherever they still can be had.
//!
//! NodeManagers serve the logs of running containers, and of finished ones until they are deleted or collected. Which
//! containers there were is known to the ResourceManager only while they run; afterwards from the list that each
//! ApplicationMaster keeps beside its own logs (`am::roster`). What YARN has collected is read from the cluster's file
//! system ([`collected`]), and where that cannot be, asked of the log server. The first place that has anything is
//! the one that is shown, but for containers that only a later one has.

mod collected;
mod failed;
mod follow;
mod rest;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use am::roster;
use hadoop::ids::{ApplicationId, ContainerId};
use yarn_rest::model::{AppReport, LogFiles};
use yarn_rest::request::LogRange;
use yarn_rest::{Client, LogReader, LogServerClient, NodeClient};

use super::{application_id, print, print_or_stop};
use crate::cli::Logs;
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::settings::value;
use crate::submit::preflight::rest_failed;
use crate::terminal::{Paint, Terminal, tell};
use collected::Collected;

/// Files that YARN writes for itself; shown only where nothing else is.
const LAUNCH_FILES: [&str; 5] = [
    roster::FILE_NAME,
    "launch_container.sh",
    "directory.info",
    "prelaunch.out",
    "prelaunch.err",
];

/// Prints the logs.
///
/// # Errors
/// The application is unknown, or nothing of its logs can be found.
pub(crate) async fn run(
    conf_dir: Option<&Path>,
    terminal: Terminal,
    command: &Logs,
) -> Result<(), CommandError> {
    let id = application_id(&command.app)?;
    check(command)?;
    let range = range(command)?;
    let cluster = Cluster::find(conf_dir)?;
    let client = cluster.rest()?;
    let report = match client.application(id).await {
        Ok(report) => Ok(report),
        // Forgotten, but what was collected may be there.
        Err(error @ yarn_rest::Error::NotFound { .. }) => Err(rest_failed(error)),
        Err(error) => return Err(rest_failed(error)),
    };
    if command.follow && report.as_ref().is_ok_and(|report| !report.is_final()) {
        let begin = match range {
            LogRange::Last(bytes) => Some(bytes),
            LogRange::All | LogRange::First(_) => None,
        };
        return Box::pin(follow::follow(&cluster, &client, id, command, begin)).await;
    }
    let failed = if command.failed {
        let failed = failed::find(&client, &cluster.user, id).await?;
        if failed.is_empty() {
            tell(format_args!("nothing of {id} is known to have failed"));
            return Ok(());
        }
        Some(failed)
    } else {
        None
    };
    let wanted = Wanted {
        command,
        failed,
        range,
        paint: terminal.out,
    };
    Search::new(&cluster, &client, id, report).show(&wanted).await
}

/// Which files are wanted, and what of them.
struct Wanted<'a> {
    command: &'a Logs,
    failed: Option<failed::Failed>,
    range: LogRange,
    paint: Paint,
}

impl Wanted<'_> {
    fn has(&self, container: &ContainerId, file: &str) -> bool {
        !LAUNCH_FILES.contains(&file)
            && wants(self.command, container)
            && of_task(file, self.command)
            && self
                .failed
                .as_ref()
                .is_none_or(|failed| failed.has(container, file))
    }

    fn print_heading(&self, container: ContainerId, node: &str, file: &str) -> Result<(), CommandError> {
        let heading = format!("==> {container} on {node}: {file} <==");
        print(&format!("{}\n", self.paint.heading(&heading)))
    }
}

/// What has been printed.
#[derive(Debug, Default)]
struct Shown {
    files: usize,
    /// Whose files were printed; they are not looked for elsewhere.
    containers: BTreeSet<ContainerId>,
}

/// The search for the logs of an application.
struct Search<'a> {
    cluster: &'a Cluster,
    client: &'a Client,
    id: ApplicationId,
    /// The error is that the ResourceManager does not know it.
    report: Result<AppReport, CommandError>,
    shown: Shown,
    /// What could not be read, in words for people.
    problems: Vec<String>,
    /// Whether a node has nothing of a container that ran there.
    missing: bool,
}

impl<'a> Search<'a> {
    fn new(
        cluster: &'a Cluster,
        client: &'a Client,
        id: ApplicationId,
        report: Result<AppReport, CommandError>,
    ) -> Self {
        Self {
            cluster,
            client,
            id,
            report,
            shown: Shown::default(),
            problems: Vec::new(),
            missing: false,
        }
    }

    /// Looks where they are most probably first, and goes on until there are some. What YARN has collected of a
    /// container while the application runs is not on its node any more.
    async fn show(mut self, wanted: &Wanted<'_>) -> Result<(), CommandError> {
        let (ended, status) = match &self.report {
            Ok(report) => (report.is_final(), report.log_aggregation_status.clone()),
            Err(_) => (true, String::new()),
        };
        if status != "SUCCEEDED" && self.report.is_ok() {
            self.ask_nodes(wanted).await?;
        }
        let may_be_collected = status != "DISABLED" || self.shown.files == 0;
        if (ended || self.missing) && may_be_collected {
            self.read_collected(wanted).await?;
        }
        if ended && self.shown.files == 0 {
            self.ask_log_server(wanted).await?;
        }
        if status == "SUCCEEDED" && self.shown.files == 0 {
            self.ask_nodes(wanted).await?;
        }
        self.conclude(&status)
    }

    async fn ask_nodes(&mut self, wanted: &Wanted<'_>) -> Result<(), CommandError> {
        let containers = containers(self.client, self.id).await.map_err(rest_failed)?;
        for (container, node) in containers {
            if !wants(wanted.command, &container) {
                continue;
            }
            if let Ok(keeper) = self.client.node(&node).map(Keeper::Node) {
                let files = keeper.files(container).await;
                self.missing |= files.is_empty();
                self.print_container(&keeper, (container, &node), files, wanted)
                    .await?;
            }
        }
        Ok(())
    }

    async fn read_collected(&mut self, wanted: &Wanted<'_>) -> Result<(), CommandError> {
        // The log server may have what cannot be read here.
        let systems = match self.cluster.file_systems() {
            Ok(systems) => systems,
            Err(error) => {
                self.problems
                    .push(format!("{}: {}", error.what(), error.reason()));
                return Ok(());
            }
        };
        let owner = self
            .report
            .as_ref()
            .map_or(&self.cluster.user, |report| &report.user);
        let mut collected = Collected::find(&systems, &self.cluster.conf, owner, self.id).await;
        collected.print(&systems, wanted, &mut self.shown).await?;
        self.problems.append(&mut collected.problems);
        Ok(())
    }

    async fn ask_log_server(&mut self, wanted: &Wanted<'_>) -> Result<(), CommandError> {
        // The first is what Hadoop's own programs ask since 3.3, the second leads to pages of the same server.
        let keys = ["yarn.log.server.web-service.url", "yarn.log.server.url"];
        let conf = &self.cluster.conf;
        let known = keys.map(|key| Some((key, conf.get(key).filter(|url| !url.trim().is_empty())?)));
        for (key, url) in known.into_iter().flatten() {
            let server = match self.client.log_server(url) {
                Ok(server) => server,
                Err(error) => {
                    self.problems.push(format!("{key} cannot be used: {error}"));
                    continue;
                }
            };
            match server.application_log_files(self.id).await {
                Ok(places) => return self.print_places(server, places, wanted).await,
                Err(yarn_rest::Error::Unreachable { tried }) => {
                    self.problems
                        .push(format!("the log server {url} does not answer: {tried}"));
                }
                Err(error) => self.problems.push(format!("the log server {url}: {error}")),
            }
        }
        Ok(())
    }

    async fn print_places(
        &mut self,
        server: LogServerClient,
        places: Vec<LogFiles>,
        wanted: &Wanted<'_>,
    ) -> Result<(), CommandError> {
        let keeper = Keeper::Server(server);
        for place in places {
            if let Some(container) = place.container_id {
                let node = place.node_id.clone().unwrap_or_default().replacen('_', ":", 1);
                let files = file_names([place]);
                self.print_container(&keeper, (container, &node), files, wanted)
                    .await?;
            }
        }
        Ok(())
    }

    async fn print_container(
        &mut self,
        keeper: &Keeper,
        (container, node): (ContainerId, &str),
        files: Vec<String>,
        wanted: &Wanted<'_>,
    ) -> Result<(), CommandError> {
        for name in files.iter().filter(|name| wanted.has(&container, name)) {
            let log = match keeper.log(container, name, wanted.range).await {
                Ok(log) => log,
                Err(error) => {
                    tracing::warn!(%error, "{container}/{name} cannot be read");
                    continue;
                }
            };
            wanted.print_heading(container, node, name)?;
            print_file(log, &format!("{container}/{name}")).await?;
            self.shown.files += 1;
            self.shown.containers.insert(container);
        }
        Ok(())
    }

    fn conclude(self, status: &str) -> Result<(), CommandError> {
        let Self { id, problems, .. } = self;
        if self.shown.files > 0 {
            problems.iter().for_each(tell);
            return Ok(());
        }
        if problems.is_empty() && self.report.is_err() {
            return self.report.map(|_| ());
        }
        let nowhere =
            "neither the nodes it ran on nor yarn.nodemanager.remote-app-log-dir have files that match";
        let cause = match problems.is_empty() {
            true => nowhere.to_owned(),
            false => problems.join("\n"),
        };
        let help = match status {
            "RUNNING" | "RUNNING_WITH_FAILURE" | "NOT_START" => {
                "YARN collects them just now: ask again in some seconds".to_owned()
            }
            _ => format!(
                "`yarn logs -applicationId {id}` looks too; the nodes keep logs for yarn.nodemanager.log.retain-seconds"
            ),
        };
        Err(CommandError::refused(format!("no logs of {id} can be found"))
            .because(cause)
            .help(help))
    }
}

/// Who serves single log files.
enum Keeper {
    Node(NodeClient),
    Server(LogServerClient),
}

impl Keeper {
    /// Names of a container's files; none when that cannot be had.
    async fn files(&self, container: ContainerId) -> Vec<String> {
        let places = match self {
            Self::Node(node) => node.log_files(container).await,
            Self::Server(server) => server.log_files(container).await,
        };
        file_names(places.unwrap_or_default())
    }

    async fn log(
        &self,
        container: ContainerId,
        file: &str,
        range: LogRange,
    ) -> Result<LogReader, yarn_rest::Error> {
        match self {
            Self::Node(node) => node.log(container, file, range).await,
            Self::Server(server) => server.log(container, file, range).await,
        }
    }
}

/// Each file once: of a running container, a node lists what it has and what it has collected.
fn file_names(places: impl IntoIterator<Item = LogFiles>) -> Vec<String> {
    let mut known = BTreeSet::new();
    let files = places.into_iter().flat_map(|place| place.files);
    let names = files.map(|file| file.file_name);
    names.filter(|name| known.insert(name.clone())).collect()
}

/// What cannot name a container or a task is wrong usage, not a log that is gone.
fn check(command: &Logs) -> Result<(), CommandError> {
    if let Some(container) = &command.executor
        && short_name(container).is_none()
    {
        container.parse::<ContainerId>().map_err(|error| {
            CommandError::usage(format!("--executor {container:?} is no container"))
                .because(error)
                .help(
                    "an executor is named by its container's id, which `drawloom logs APP` prints, or by the number at its end",
                )
        })?;
    }
    let number = |task: &str| {
        task.split_once('/')
            .is_some_and(|(_, number)| number.parse::<u32>().is_ok())
    };
    match &command.task {
        Some(task) if !number(task) => Err(CommandError::usage(format!("--task {task:?} is no task"))
            .because("a task is named by its stage and its number in it")
            .help("write STAGE/NUMBER, like count/17")),
        _ => Ok(()),
    }
}

/// The end of a container's id by which `logs -f` and `top` call it: `2`, or `01_000002` with the attempt.
fn short_name(text: &str) -> Option<String> {
    let number = |text: &str| text.parse::<u64>().ok();
    match text.trim_start_matches('…').split_once('_') {
        None => Some(format!("_{:06}", number(text)?)),
        Some((attempt, last)) => Some(format!("_{:02}_{:06}", number(attempt)?, number(last)?)),
    }
}

fn range(command: &Logs) -> Result<LogRange, CommandError> {
    let Some(tail) = &command.tail else {
        return Ok(LogRange::All);
    };
    let bytes = value::size(tail).map_err(|why| {
        CommandError::usage("--tail is no size")
            .because(why)
            .help("it is how much of each file is shown, like 64k; so many bytes: 100b")
    })?;
    Ok(LogRange::Last(bytes))
}

/// Containers and their nodes' web addresses: what the ResourceManager lists, what each attempt's ApplicationMaster has
/// written down, and what the nodes still know.
async fn containers(
    client: &Client,
    id: ApplicationId,
) -> Result<BTreeMap<ContainerId, String>, yarn_rest::Error> {
    let mut found = BTreeMap::new();
    for attempt in &client.attempts(id).await? {
        if let (Some(container), Some(node)) = (attempt.am_container, &attempt.node_http_address) {
            found.extend(written_down(client, container, node).await);
            found.insert(container, node.clone());
        }
        for container in client.containers(attempt.id).await.unwrap_or_default() {
            if let Some(node) = container.node_http_address {
                found.insert(container.id, node);
            }
        }
    }
    Ok(found)
}

/// The list that the ApplicationMaster keeps beside its logs.
async fn written_down(client: &Client, am: ContainerId, node: &str) -> Vec<(ContainerId, String)> {
    let Ok(node) = client.node(node) else {
        return Vec::new();
    };
    let Ok(log) = node.log(am, roster::FILE_NAME, LogRange::All).await else {
        return Vec::new();
    };
    let text = log.read_to_end().await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines = roster::parse(&text).filter_map(|(container, node)| {
        let container = container.parse().ok()?;
        Some((container, node.to_owned()))
    });
    lines.collect()
}

/// Whether a file is of the wanted task. The executor names them `task-JOB.STAGE.ATTEMPT-TASK.ATTEMPT-NAME.STREAM`.
fn of_task(file: &str, command: &Logs) -> bool {
    let Some(wanted) = &command.task else { return true };
    let Some((stage, task)) = wanted.split_once('/') else {
        return false;
    };
    task_of(file) == Some((stage, task))
}

/// Stage and number of the task that a file is of.
fn task_of(file: &str) -> Option<(&str, &str)> {
    let (stage, attempt) = attempt_of(file)?;
    Some((stage, attempt.split_once('.')?.0))
}

/// Stage, and `TASK.ATTEMPT`.
fn attempt_of(file: &str) -> Option<(&str, &str)> {
    let mut parts = file.strip_prefix("task-")?.splitn(3, '-');
    let (_, attempt) = (parts.next()?, parts.next()?);
    let (name, _) = parts.next()?.rsplit_once('.')?;
    Some((name, attempt))
}

/// Whether a container is the wanted one, if one is.
fn wants(command: &Logs, container: &ContainerId) -> bool {
    let Some(wanted) = &command.executor else {
        return true;
    };
    let id = container.to_string();
    *wanted == id || short_name(wanted).is_some_and(|end| id.ends_with(&end))
}

/// Prints what comes of a file; one that breaks off is not the end of the others.
async fn print_file(mut log: LogReader, name: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    loop {
        match log.next_contents().await {
            Ok(Some(bytes)) => print_or_stop(out.write_all(&bytes))?,
            Ok(None) => return print_or_stop(writeln!(out)),
            Err(error) => {
                tracing::error!(%error, "{name} breaks off");
                return print_or_stop(writeln!(out));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(task: &str) -> Logs {
        Logs {
            app: String::new(),
            executor: None,
            task: Some(task.to_owned()),
            tail: None,
            follow: false,
            failed: false,
        }
    }

    #[test]
    fn what_names_no_task_or_container_is_wrong_usage() {
        assert!(check(&task("count/17")).is_ok());
        for wrong in ["count", "count/", "17", "count/x"] {
            assert!(check(&task(wrong)).is_err(), "{wrong}");
        }
        let executor = |id: &str| Logs {
            executor: Some(id.to_owned()),
            task: None,
            ..task("")
        };
        assert!(check(&executor("container_1_0001_01_000002")).is_ok());
        assert!(check(&executor("second")).is_err());
        let second = "container_1_0001_01_000002".parse().unwrap();
        for name in ["2", "01_000002", "…01_000002", "container_1_0001_01_000002"] {
            assert!(
                check(&executor(name)).is_ok() && wants(&executor(name), &second),
                "{name}"
            );
        }
        for other in ["12", "02_000002", "container_1_0001_01_000012"] {
            assert!(!wants(&executor(other), &second), "{other}");
        }
    }

    #[test]
    fn a_file_that_is_on_the_node_and_collected_is_named_once() {
        let place = |kind: &str, names: &[&str]| -> LogFiles {
            let files = names.iter().map(|name| serde_json::json!({ "fileName": name }));
            let files: Vec<_> = files.collect();
            let place = serde_json::json!({ "containerLogInfo": files, "logAggregationType": kind });
            serde_json::from_value(place).unwrap()
        };
        let places = [
            place("AGGREGATED", &["app.log.1"]),
            place("LOCAL", &["stderr", "app.log.1"]),
        ];
        assert_eq!(file_names(places), ["app.log.1", "stderr"]);
    }

    #[test]
    fn logs_of_a_task_are_told_by_stage_and_number() {
        let file = "task-0.1.0-17.2-count-words.stdout";
        assert!(of_task(file, &task("count-words/17")));
        assert!(!of_task(file, &task("count-words/1")));
        assert!(!of_task(file, &task("count/17")));
        assert!(!of_task("stderr", &task("count-words/17")));
    }
}
