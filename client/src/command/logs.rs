//! `drawloom logs`: the log files of an application's containers, from wherever they still can be had.
//!
//! NodeManagers serve the logs of running containers, and of finished ones until they are deleted or aggregated. Which
//! containers there were is known to the ResourceManager only while they run; afterwards from the list that each
//! ApplicationMaster keeps beside its own logs (`am::roster`).

mod failed;
mod follow;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use am::roster;
use hadoop::ids::{ApplicationId, ContainerId};
use yarn_rest::request::LogRange;
use yarn_rest::{Client, LogReader};

use super::{application_id, print, print_or_stop};
use crate::cli::Logs;
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::settings::value;
use crate::submit::preflight::rest_failed;
use crate::terminal::{Paint, Terminal};

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
    if command.follow {
        let begin = match range {
            LogRange::Last(bytes) => Some(bytes),
            LogRange::All | LogRange::First(_) => None,
        };
        return Box::pin(follow::follow(&client, id, command, begin)).await;
    }
    let failed = if command.failed {
        let failed = failed::find(&client, &cluster.user, id).await?;
        if failed.is_empty() {
            eprintln!("nothing of {id} is known to have failed");
            return Ok(());
        }
        Some(failed)
    } else {
        None
    };
    let containers = containers(&client, id).await?;
    let mut printed = 0;
    for (container, node) in containers
        .iter()
        .filter(|(container, _)| wants(command, container))
    {
        let shows = |name: &str| {
            of_task(name, command) && failed.as_ref().is_none_or(|failed| failed.has(container, name))
        };
        printed += print_container(&client, (*container, node), &shows, range, terminal.out).await?;
    }
    if printed > 0 {
        return Ok(());
    }
    Err(CommandError::refused(format!("no logs of {id} can be found"))
        .because("neither the nodes it ran on nor their NodeManagers' lists have files that match")
        .help(format!("with log aggregation, YARN has moved them: yarn logs -applicationId {id}, or look into yarn.nodemanager.remote-app-log-dir")))
}

/// What cannot name a container or a task is wrong usage, not a log that is gone.
fn check(command: &Logs) -> Result<(), CommandError> {
    if let Some(container) = &command.executor {
        container.parse::<ContainerId>().map_err(|error| {
            CommandError::usage(format!("--executor {container:?} is no container"))
                .because(error)
                .help("an executor is named by its container's id: `drawloom logs APP` prints those it has")
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

fn range(command: &Logs) -> Result<LogRange, CommandError> {
    let Some(tail) = &command.tail else {
        return Ok(LogRange::All);
    };
    let bytes = value::size(tail).map_err(|why| CommandError::usage("--tail is no size").because(why))?;
    Ok(LogRange::Last(bytes))
}

/// Containers and their nodes' web addresses: what the ResourceManager lists, what each attempt's ApplicationMaster has
/// written down, and what the nodes still know.
async fn containers(
    client: &Client,
    id: ApplicationId,
) -> Result<BTreeMap<ContainerId, String>, CommandError> {
    let mut found = BTreeMap::new();
    for attempt in &client.attempts(id).await.map_err(rest_failed)? {
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

async fn print_container(
    client: &Client,
    (container, node): (ContainerId, &str),
    shows: &dyn Fn(&str) -> bool,
    range: LogRange,
    paint: Paint,
) -> Result<usize, CommandError> {
    let Ok(node_client) = client.node(node) else {
        return Ok(0);
    };
    let places = node_client.log_files(container).await.unwrap_or_default();
    let names: Vec<String> = places
        .into_iter()
        .flat_map(|place| place.files)
        .map(|file| file.file_name)
        .collect();
    let telling = |name: &&String| !LAUNCH_FILES.contains(&name.as_str()) && shows(name);
    let mut printed = 0;
    for name in names.iter().filter(telling) {
        let log = match node_client.log(container, name, range).await {
            Ok(log) => log,
            Err(error) => {
                tracing::warn!(%error, "{container}/{name} cannot be read");
                continue;
            }
        };
        let heading = format!("==> {container} on {node}: {name} <==");
        print(&format!("{}\n", paint.heading(&heading)))?;
        print_file(log, &format!("{container}/{name}")).await?;
        printed += 1;
    }
    Ok(printed)
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
    let wanted = command.executor.as_ref();
    wanted.is_none_or(|id| *id == container.to_string())
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
        assert!(check(&executor("2")).is_err());
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
