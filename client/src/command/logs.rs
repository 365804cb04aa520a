//! `drawloom logs`: the log files of an application's containers, from wherever they still can be had.
//!
//! Running containers are asked of their NodeManagers. Of an application that has ended, nodes keep logs for a while,
//! or a log server has them; the list of containers is then what the nodes' own lists and the attempts' masters give.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

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
const LAUNCH_FILES: [&str; 4] = [
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

/// Containers and their nodes' web addresses: what the ResourceManager lists, and what every node still knows.
async fn containers(
    client: &Client,
    id: ApplicationId,
) -> Result<BTreeMap<ContainerId, String>, CommandError> {
    let mut found = BTreeMap::new();
    let attempts = client.attempts(id).await.map_err(rest_failed)?;
    for attempt in &attempts {
        if let (Some(container), Some(node)) = (attempt.am_container, &attempt.node_http_address) {
            found.insert(container, node.clone());
        }
        for container in client.containers(attempt.id).await.unwrap_or_default() {
            if let Some(node) = container.node_http_address {
                found.insert(container.id, node);
            }
        }
    }
    for node in client.nodes(&[]).await.unwrap_or_default() {
        let Some(address) = node.node_http_address else {
            continue;
        };
        let Ok(node) = client.node(&address) else { continue };
        let listed = node.containers().await.unwrap_or_default();
        for container in listed
            .iter()
            .filter(|container| container.id.attempt.application == id)
        {
            found.entry(container.id).or_insert_with(|| address.clone());
        }
    }
    Ok(found)
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

/// Task logs are named after their stage and task; see `executor`.
fn of_task(name: &str, command: &Logs) -> bool {
    let Some(task) = &command.task else { return true };
    let wanted = task.replace('/', "-");
    name.starts_with(&format!("task-{wanted}-")) || name.starts_with(&format!("task-{wanted}."))
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
