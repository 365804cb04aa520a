//! Small jobs in the ApplicationMaster's container: which jobs are small, and what becomes of their plan.
//!
//! As MapReduce's uber jobs (`JobImpl.makeUberDecision`): few tasks and little input, known before anything is asked of
//! the cluster. The container is then as large as ApplicationMaster and executor together.

use am::inputs::plan_tasks;
use dfs::FileSystems;
use driver::plan::{AppPlan, OutputPlan, TaskSource};
use yarn_rest::Resource;

use crate::error::CommandError;
use crate::plan::below;
use crate::settings::Resolved;
use crate::settings::value::show_mebibytes;

/// What a small job may have at most.
struct Limits {
    tasks: u64,
    input: u64,
}

/// Has a job run in the ApplicationMaster's container when that is wanted and the job is one that can.
///
/// # Errors
/// It is demanded of a job that cannot.
pub(super) async fn decide(
    plan: &mut AppPlan,
    settings: &Resolved,
    systems: &FileSystems,
    largest: &Resource,
) -> Result<(), CommandError> {
    let mode = settings.text("uber.mode");
    if mode == "false" {
        return Ok(());
    }
    let obstacle = obstacle(plan, settings, largest);
    match obstacle {
        None if mode == "true" || is_small(plan, settings, systems).await => become_uber(plan),
        Some(why) if mode == "true" => {
            return Err(
                CommandError::usage("the job cannot run in the ApplicationMaster's container")
                    .because(why)
                    .help("uber: auto runs it there only when it can, uber: false never"),
            );
        }
        None | Some(_) => {}
    }
    Ok(())
}

fn become_uber(plan: &mut AppPlan) {
    plan.scheduling.uber = true;
    plan.scheduling.elastic = None;
    plan.executors.instances = 1;
}

/// Why a job cannot run there, however small it is.
fn obstacle(plan: &AppPlan, settings: &Resolved, largest: &Resource) -> Option<String> {
    if settings.text("deploy-mode") == "client" {
        return Some(
            "in client mode the driver is in the client, and the ApplicationMaster runs nothing".to_owned(),
        );
    }
    if !plan.executors.resources.is_empty() {
        return Some("executors.resources are given to executors' containers only".to_owned());
    }
    let (memory, cores) = container(plan, settings);
    if memory > largest.memory || u64::from(cores) > u64::from(largest.vcores) {
        return Some(format!(
            "ApplicationMaster and executor together take {} and {cores} cores, the largest container has {} and {}",
            show_mebibytes(memory),
            show_mebibytes(largest.memory),
            largest.vcores
        ));
    }
    let mut alone = plan.clone();
    become_uber(&mut alone);
    alone.problems().first().map(ToString::to_string)
}

/// Memory in MiB and cores of a container that holds ApplicationMaster and executor.
pub(super) fn container(plan: &AppPlan, settings: &Resolved) -> (u64, u32) {
    let memory = settings.mebibytes("am.memory") + plan.executors.memory_mib;
    (memory, settings.count("am.cores").max(plan.executors.cores))
}

async fn is_small(plan: &AppPlan, settings: &Resolved, systems: &FileSystems) -> bool {
    let mut left = Limits {
        tasks: settings.count("uber.max-tasks").into(),
        input: settings.mebibytes("uber.max-input") << 20,
    };
    for stage in &plan.stages {
        let Some((tasks, input)) = size(plan, &stage.source, systems, left.tasks).await else {
            return false;
        };
        let rest = (left.tasks.checked_sub(tasks), left.input.checked_sub(input));
        let (Some(tasks), Some(input)) = rest else {
            return false;
        };
        left = Limits { tasks, input };
    }
    true
}

/// The tasks of a stage and the bytes of input that are there already; none when that cannot be known.
async fn size(plan: &AppPlan, source: &TaskSource, systems: &FileSystems, most: u64) -> Option<(u64, u64)> {
    let TaskSource::Inputs { paths, groups, .. } = source else {
        return Some((source.known_tasks(), 0));
    };
    if paths.iter().any(|path| is_made(plan, path)) {
        // What another stage makes is as small as that stage's input; how many files that will be only it knows.
        return groups.map(|groups| (groups.into(), 0));
    }
    if groups.is_some_and(|groups| u64::from(groups) > most) {
        return None;
    }
    let tasks = plan_tasks(systems, source).await.ok()?;
    let bytes = tasks
        .iter()
        .flat_map(|task| &task.inputs)
        .map(|slice| slice.length);
    Some((tasks.len() as u64, bytes.sum()))
}

/// Whether a stage of the plan makes what is at this path.
fn is_made(plan: &AppPlan, path: &str) -> bool {
    let outputs = plan.stages.iter().filter_map(|stage| stage.output.as_ref());
    outputs
        .into_iter()
        .any(|output: &OutputPlan| below(path, &output.uri))
}
