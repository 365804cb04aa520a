//! `drawloom logs`: the log files of an application's containers, from wherever they still can be had.
//!
//! NodeManagers serve the logs of running containers, and of finished ones until they are deleted or aggregated. Which
//! containers there were is known to the ResourceManager only while they run; afterwards from the list that each
//! ApplicationMaster keeps beside its own logs (`am::roster`).

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use am::roster;
use hadoop::ids::{ApplicationId, ContainerId};
use yarn_rest::request::LogRange;
use yarn_rest::{Client, NodeClient};

use super::application_id;
use crate::cli::Logs;
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::settings::value;
use crate::submit::preflight::rest_failed;

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
pub(crate) async fn run(conf_dir: Option<&Path>, command: &Logs) -> Result<(), CommandError> {
    let id = application_id(&command.app)?;
    let range = range(command)?;
    let cluster = Cluster::find(conf_dir)?;
    let client = cluster.rest()?;
    let containers = containers(&client, id).await?;
    let wanted = |container: &ContainerId| {
        command
            .executor
            .as_ref()
            .is_none_or(|id| *id == container.to_string())
    };
    let mut printed = 0;
    for (container, node) in containers.iter().filter(|(container, _)| wanted(container)) {
        printed += print_container(&client, *container, node, command, range).await;
    }
    if printed > 0 {
        return Ok(());
    }
    Err(CommandError::refused(format!("no logs of {id} can be found"))
        .because("neither the nodes it ran on nor their NodeManagers' lists have files that match")
        .help("with log aggregation, YARN has moved them: yarn logs -applicationId APP, or look into yarn.nodemanager.remote-app-log-dir"))
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
    container: ContainerId,
    node: &str,
    command: &Logs,
    range: LogRange,
) -> usize {
    let Ok(node_client) = client.node(node) else {
        return 0;
    };
    let places = node_client.log_files(container).await.unwrap_or_default();
    let names: Vec<String> = places
        .into_iter()
        .flat_map(|place| place.files)
        .map(|file| file.file_name)
        .collect();
    let telling = |name: &&String| !LAUNCH_FILES.contains(&name.as_str()) && of_task(name, command);
    let mut printed = 0;
    for name in names.iter().filter(telling) {
        match print_file(&node_client, container, node, name, range).await {
            Ok(()) => printed += 1,
            Err(error) => tracing::warn!(%error, "{container}/{name} cannot be read"),
        }
    }
    printed
}

/// Whether a file is of the wanted task. The executor names them `task-JOB.STAGE.ATTEMPT-TASK.ATTEMPT-NAME.STREAM`.
fn of_task(file: &str, command: &Logs) -> bool {
    let Some(wanted) = &command.task else { return true };
    let Some((stage, task)) = wanted.split_once('/') else {
        return false;
    };
    let parts = || {
        let mut parts = file.strip_prefix("task-")?.splitn(3, '-');
        let (_, attempt) = (parts.next()?, parts.next()?);
        let (name, _) = parts.next()?.rsplit_once('.')?;
        Some((name, attempt.split_once('.')?.0))
    };
    parts() == Some((stage, task))
}

async fn print_file(
    node_client: &NodeClient,
    container: ContainerId,
    node: &str,
    name: &str,
    range: LogRange,
) -> anyhow::Result<()> {
    let mut log = node_client.log(container, name, range).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "==> {container} on {node}: {name} <==")?;
    while let Some(bytes) = log.next_contents().await? {
        out.write_all(&bytes)?;
    }
    writeln!(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_of_a_task_are_told_by_stage_and_number() {
        let task = |task: &str| Logs {
            app: String::new(),
            executor: None,
            task: Some(task.to_owned()),
            tail: None,
        };
        let file = "task-0.1.0-17.2-count-words.stdout";
        assert!(of_task(file, &task("count-words/17")));
        assert!(!of_task(file, &task("count-words/1")));
        assert!(!of_task(file, &task("count/17")));
        assert!(!of_task("stderr", &task("count-words/17")));
    }
}
