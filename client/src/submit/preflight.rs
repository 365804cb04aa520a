//! What can be known before anything is staged: the cluster answers, the sizes fit, inputs are there, outputs are not.

use std::path::Path;

use am::launch::NodeAtSubmission;
use dfs::{DfsPath, FileSystems};
use driver::plan::{ExecutorPlan, OutputPlan, StagePlan, TaskSource};
use futures::TryStreamExt;
use hadoop::conf::{Configuration, HostPort};
use yarn_rest::model::{Node, NodeState, Queue, ResourceLimit};
use yarn_rest::{Client, Error, NewApplication};

use super::rights::{Doubt, Right, right, shown};
use super::room::{self, Room};
use crate::cluster::{Cluster, unusable};
use crate::error::CommandError;
use crate::plan::{Planned, Source, below};
use crate::settings::Resolved;
use crate::settings::value::show_mebibytes;

/// How many files a pattern may match before we stop looking; one is enough here.
const ENOUGH_MATCHES: usize = 100_000;

/// What the cluster said.
pub(crate) struct Checked {
    /// The id to submit under, and the largest container.
    pub application: NewApplication,
    /// The running nodes.
    pub nodes: Vec<NodeAtSubmission>,
    /// The running nodes and those that may come back.
    pub room: Room,
    /// What only YARN knows of the right to submit to the queue.
    pub doubt: Option<Doubt>,
}

/// Asks the ResourceManager for an id and checks sizes and queue against what it says.
///
/// # Errors
/// It cannot be asked, or would refuse or never run the application.
pub(crate) async fn cluster(
    cluster: &Cluster,
    client: &Client,
    executors: &ExecutorPlan,
    settings: &Resolved,
) -> Result<Checked, CommandError> {
    let (application, queue, nodes) = tokio::join!(
        client.new_application(),
        queue(cluster, client, settings),
        client.nodes(&[]),
    );
    let application = application.map_err(rest_failed)?;
    let maximum = application.maximum_resource_capability;
    let memories = [
        ("am.memory", settings.mebibytes("am.memory")),
        ("executors.memory", executors.memory_mib),
    ];
    for (key, asked) in memories {
        fits(key, "MiB", asked, maximum.memory)?;
    }
    let cores = [
        ("am.cores", settings.count("am.cores")),
        ("executors.cores", executors.cores),
    ];
    for (key, asked) in cores {
        fits(key, "cores", asked.into(), maximum.vcores.into())?;
    }
    for (name, asked) in &executors.resources {
        other_fits(name, *asked, &application.limits)?;
    }
    let doubt = queue?;
    let nodes = nodes.unwrap_or_default();
    let running = nodes.iter().filter(|node| node.state == NodeState::Running);
    Ok(Checked {
        application,
        nodes: running.filter_map(node_at_submission).collect(),
        room: Room::of(&nodes),
        doubt,
    })
}

fn fits(key: &str, unit: &str, asked: u64, maximum: u64) -> Result<(), CommandError> {
    if asked <= maximum {
        return Ok(());
    }
    let show = |amount: u64| match unit {
        "MiB" => show_mebibytes(amount),
        _ => format!("{amount} {unit}"),
    };
    Err(
        CommandError::refused(format!("{key} is more than this cluster gives to one container"))
            .because(format!(
                "asked {}, the largest container has {}",
                show(asked),
                show(maximum)
            ))
            .help(format!("lower {key} to at most {}", show(maximum))),
    )
}

/// YARN drops what it does not know from an ask without a word, so we look first.
fn other_fits(name: &str, asked: u64, limits: &[ResourceLimit]) -> Result<(), CommandError> {
    if let Some(limit) = limits.iter().find(|limit| limit.name == name) {
        return fits("executors.resources", name, asked, limit.value);
    }
    let own = |limit: &&ResourceLimit| !["memory-mb", "vcores"].contains(&limit.name.as_str());
    let known: Vec<_> = limits
        .iter()
        .filter(own)
        .map(|limit| limit.name.as_str())
        .collect();
    let has = match known.as_slice() {
        [] => "it has none but memory and cores".to_owned(),
        known => format!("besides memory and cores it has {}", known.join(", ")),
    };
    Err(
        CommandError::refused(format!("this cluster has no resource {name:?}"))
            .because(has)
            .help("the names are those of yarn.resource-types in the cluster's resource-types.xml"),
    )
}

/// YARN accepts a submission to an unknown queue and fails it afterwards, so we look first. Gives what only YARN
/// knows of the right to submit to it.
async fn queue(
    cluster: &Cluster,
    client: &Client,
    settings: &Resolved,
) -> Result<Option<Doubt>, CommandError> {
    let wanted = settings.text("queue");
    let Ok(scheduler) = client.scheduler().await else {
        return Ok(None);
    };
    if !scheduler.kind.to_ascii_lowercase().contains("capacity") {
        return Ok(None);
    }
    let mut leaves = Vec::new();
    collect_leaves(&scheduler.root, "", &mut leaves);
    let named = |(path, _): &&(String, bool)| path == wanted || path.rsplit('.').next() == Some(wanted);
    let names = || {
        leaves
            .iter()
            .map(|(path, _)| path.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match leaves.iter().find(named) {
        Some((path, true)) => {
            let others = leaves.iter().map(|(other, _)| other.as_str());
            let others: Vec<_> = others.filter(|other| other != path).collect();
            allowed(cluster, &scheduler.root, path, &others)
        }
        Some((path, false)) => Err(
            CommandError::refused(format!("the queue {path} takes no applications"))
                .because("it is not in the state RUNNING")
                .help(format!("choose another with --queue: {}", names())),
        ),
        None if leaves.is_empty() || is_created(&scheduler.root, wanted) => Ok(None),
        None => Err(CommandError::refused(format!("there is no queue {wanted:?}"))
            .because("YARN's scheduler does not list it among the queues that take applications")
            .help(format!("choose one with --queue: {}", names()))),
    }
}

/// Whether the queue's lists let this person submit, and what only YARN knows of that. Without ACLs, as far as we know,
/// the lists do not count.
fn allowed(
    cluster: &Cluster,
    root: &Queue,
    path: &str,
    others: &[&str],
) -> Result<Option<Doubt>, CommandError> {
    let of = |key: &str| cluster.conf.get(key).map(str::trim);
    if of("yarn.acl.enable") != Some("true") {
        return Ok(None);
    }
    let user = &cluster.user;
    match right(root, path, user, of("yarn.admin.acl")) {
        Right::Open => Ok(None),
        Right::Doubtful(doubt) => Ok(Some(doubt)),
        Right::Closed(users) => Err(CommandError::refused(format!(
            "{user} may not submit to the queue {path}"
        ))
        .because(format!(
            "its lists name {} (acl_submit_applications)",
            shown(&users)
        ))
        .help(format!(
            "choose another with --queue: {}; or ask the cluster's operators for the right",
            others.join(", ")
        ))),
    }
}

/// Whether YARN creates the queue when something is submitted to it.
fn is_created(root: &Queue, wanted: &str) -> bool {
    let mut above = wanted.rsplit_once('.').map(|(above, _)| above);
    while let Some(path) = above {
        if let Some(queue) = root.find(path) {
            return queue.creates_queues();
        }
        above = path.rsplit_once('.').map(|(above, _)| above);
    }
    root.creates_queues()
}

fn collect_leaves(queue: &Queue, above: &str, leaves: &mut Vec<(String, bool)>) {
    let joined = if above.is_empty() {
        queue.name.clone()
    } else {
        format!("{above}.{}", queue.name)
    };
    let path = queue.path.clone().unwrap_or(joined);
    if queue.children.is_empty() {
        let running = queue.state.as_deref().is_none_or(|state| state == "RUNNING");
        leaves.push((path, running));
        return;
    }
    for child in &queue.children {
        collect_leaves(child, &path, leaves);
    }
}

fn node_at_submission(node: &Node) -> Option<NodeAtSubmission> {
    let at: HostPort = node.id.parse().ok()?;
    Some(NodeAtSubmission {
        host: at.host.clone(),
        port: at.port,
        rack: node.rack.clone(),
        available_memory_mib: node.available_memory_mb,
        memory_mib: room::memory_mib(node),
        available_cores: node.available_virtual_cores,
    })
}

/// Checks the job's files, inputs and outputs.
///
/// # Errors
/// The first that is missing, unreadable or in the way.
pub(crate) async fn paths(file_systems: &FileSystems, planned: &Planned) -> Result<(), CommandError> {
    for resource in &planned.files.0 {
        if let Source::Local(path) = &resource.source {
            local_file(path, &resource.name)?;
        }
    }
    let outputs: Vec<&str> = planned
        .plan
        .stages
        .iter()
        .filter_map(|stage| Some(stage.output.as_ref()?.uri.as_str()))
        .collect();
    for stage in &planned.plan.stages {
        inputs(file_systems, stage, &outputs).await?;
        if let Some(output) = &stage.output {
            output_free(file_systems, stage, output).await?;
        }
    }
    Ok(())
}

fn local_file(path: &Path, name: &str) -> Result<(), CommandError> {
    let unreadable = |error: std::io::Error| {
        CommandError::refused(format!("the file {} of the job cannot be read", path.display()))
            .caused_by(error)
            .help("files without a scheme are looked for beside the job file")
    };
    // Whoever opens a pipe waits until somebody writes to it.
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(
            CommandError::refused(format!("{} is a directory", path.display())).help(format!(
                "pack it and give it as an archive: archives: [{name}.tar.gz#{name}]"
            )),
        );
    }
    if !metadata.is_file() {
        let what = CommandError::refused(format!("{} is neither a file nor a directory", path.display()));
        return Err(what
            .because("it is a pipe, a socket or a device, and nodes fetch files")
            .help("write what comes out of it to a file, and name that"));
    }
    std::fs::File::open(path).map(drop).map_err(unreadable)
}

async fn inputs(file_systems: &FileSystems, stage: &StagePlan, outputs: &[&str]) -> Result<(), CommandError> {
    let TaskSource::Inputs { paths, .. } = &stage.source else {
        return Ok(());
    };
    let made_here = |path: &str| outputs.iter().any(|output| below(path, output));
    for path in paths.iter().filter(|path| !made_here(path)) {
        let missing = |why: String| {
            CommandError::refused(format!(
                "the input {path} of stage {:?} cannot be read",
                stage.name
            ))
            .because(why)
            .help(match dfs::FILE_SCHEME == file_systems.default_root().scheme() {
                true => "make it, or mend its path: it is looked for on this machine, from this directory on",
                false => "put it there with `drawloom fs put`; inputs without a scheme are on the default file system",
            })
        };
        match file_systems.expand(path, ENOUGH_MATCHES).await {
            Ok(found) if found.is_empty() => return Err(missing("the pattern matches nothing".to_owned())),
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Err(missing(error.to_string())),
            Err(error) => return Err(unusable(error)),
        }
    }
    Ok(())
}

async fn output_free(
    file_systems: &FileSystems,
    stage: &StagePlan,
    output: &OutputPlan,
) -> Result<(), CommandError> {
    if output.overwrite {
        return Ok(());
    }
    let path: DfsPath = output.uri.parse().map_err(unusable)?;
    let fs = file_systems.get(&path).map_err(unusable)?;
    match fs.list(&path, false).try_next().await {
        Ok(None) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(unusable(error)),
        Ok(Some(_)) => Err(CommandError::refused(format!(
            "the output {path} of stage {:?} exists",
            stage.name
        ))
        .because("it is not empty, and nothing is overwritten unasked")
        .help(format!(
            "remove it: drawloom fs rm -r {path}, or set `overwrite: true` in the stage"
        ))),
    }
}

/// An error of the ResourceManager's web interface, for people.
pub(crate) fn rest_failed(error: Error) -> CommandError {
    let help = match &error {
        Error::Unreachable { .. } | Error::NoActiveResourceManager { .. } | Error::Deadline { .. } => {
            "is the cluster up? its address comes from yarn.resourcemanager.* in yarn-site.xml; another configuration: --conf-dir"
        }
        Error::SubmissionDisabled { .. } => {
            "ask the cluster's operators to set yarn.webapp.enable-rest-app-submissions to true"
        }
        Error::Forbidden { .. } | Error::Unauthorized { .. } => {
            "act as another user with HADOOP_USER_NAME, or ask the cluster's operators for the right"
        }
        Error::NotFound { .. } => "`drawloom list --all` shows what the ResourceManager still knows",
        _ => "the ResourceManager's log says more; -v shows the chain of causes",
    };
    let failed = match &error {
        Error::Unreachable { .. } | Error::NoActiveResourceManager { .. } | Error::Deadline { .. } => {
            CommandError::refused("the ResourceManager cannot be reached")
        }
        _ => CommandError::refused("the ResourceManager did not do what was asked"),
    };
    failed.caused_by(error).help(help)
}

/// What `yarn.scheduler.minimum-allocation-mb` makes of an amount of memory, for the dry run.
pub(crate) fn rounded(conf: &Configuration, mib: u64) -> u64 {
    let step = conf
        .get("yarn.scheduler.minimum-allocation-mb")
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024);
    mib.div_ceil(std::cmp::max(step, 1)) * std::cmp::max(step, 1)
}
