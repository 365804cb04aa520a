//! `--dry-run`: the resolved job, each setting with its origin, and the containers that would be asked for.

use std::collections::BTreeMap;

use driver::plan::{StagePlan, TaskSource};

use super::preflight::{Checked, rounded};
use super::uber;
use crate::cluster::Cluster;
use crate::command;
use crate::error::CommandError;
use crate::plan::{Planned, Source};
use crate::settings::Resolved;
use crate::settings::value::show_mebibytes;

/// Prints everything on standard output.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn print(
    cluster: &Cluster,
    settings: &Resolved,
    planned: &Planned,
    checked: &Checked,
) -> Result<(), CommandError> {
    command::print(&text(cluster, settings, planned, checked))
}

fn text(cluster: &Cluster, settings: &Resolved, planned: &Planned, checked: &Checked) -> String {
    let mut text = format!("job {} of {}\n\nsettings\n", planned.plan.name, cluster.user);
    for (key, setting) in settings.iter() {
        text.push_str(&format!(
            "  {:<38} {:<12} {}\n",
            key.name, setting.text, setting.origin
        ));
    }
    text.push_str("\nfiles\n");
    for file in &planned.files.0 {
        let source = match &file.source {
            Source::Local(path) => path.display().to_string(),
            Source::Remote(path) => path.to_string(),
        };
        text.push_str(&format!("  {:<38} {source}\n", file.name));
    }
    text.push_str("\nstages\n");
    for stage in &planned.plan.stages {
        text.push_str(&stage_text(stage));
    }
    text.push_str(&containers(cluster, settings, planned, checked));
    text
}

fn stage_text(stage: &StagePlan) -> String {
    let source = match &stage.source {
        TaskSource::Tasks(count) => format!("{count} tasks"),
        TaskSource::Items(items) => format!("{} items", items.len()),
        TaskSource::Inputs { paths, .. } => format!("inputs {}", paths.join(" ")),
    };
    let output = stage
        .output
        .as_ref()
        .map_or_else(|| "the tasks' logs".to_owned(), |output| output.uri.clone());
    format!("  {:<38} {source} -> {output}\n", stage.name)
}

/// `, 1 yarn.io/gpu` for each other resource.
fn others(resources: &BTreeMap<String, u64>) -> String {
    resources
        .iter()
        .map(|(name, amount)| format!(", {amount} {name}"))
        .collect()
}

fn containers(cluster: &Cluster, settings: &Resolved, planned: &Planned, checked: &Checked) -> String {
    let size = |mib: u64, cores: u32| {
        let granted = show_mebibytes(rounded(&cluster.conf, mib));
        format!("{} (granted as {granted}), {cores} cores", show_mebibytes(mib))
    };
    let executors = &planned.plan.executors;
    let maximum = checked.application.maximum_resource_capability;
    if planned.plan.scheduling.uber {
        let (memory, cores) = uber::container(&planned.plan, settings);
        let size = size(memory, cores);
        return format!("\ncontainers\n  1 x {size} for the ApplicationMaster and the only executor\n");
    }
    format!(
        "\ncontainers\n  1 x {} for the ApplicationMaster\n  {} x {} for executors\n  the largest container of this cluster: {}, {} cores\n",
        size(settings.mebibytes("am.memory"), settings.count("am.cores")),
        executors.instances,
        size(executors.memory_mib, executors.cores) + &others(&executors.resources),
        show_mebibytes(maximum.memory),
        maximum.vcores,
    )
}
