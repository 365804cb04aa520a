//! `drawloom mini`: an embedded cluster in the foreground.

mod order;
mod plan;

use std::path::Path;

use crate::cli::Mini;
use crate::error::CommandError;
use crate::job::InvalidJob;
use crate::settings::value;
use ::mini::{Options, Plan, StartError};

/// Runs it until SIGINT or SIGTERM.
///
/// # Errors
/// It cannot start, or the file of faults is wrong.
pub(crate) async fn run(command: &Mini) -> Result<(), CommandError> {
    let memory = value::mebibytes(&command.memory)
        .map_err(|why| CommandError::usage("--memory is no size").because(why))?;
    let resources = value::amounts(&command.resources)
        .map_err(|why| CommandError::usage("--resources is no list of resources").because(why))?;
    let resources = resources.into_iter();
    let mut options = Options {
        nodes: command.nodes.into(),
        node_memory_mb: memory,
        node_cores: command.cores,
        node_resources: resources
            .map(|(name, amount)| (name, i64::try_from(amount).unwrap_or(i64::MAX)))
            .collect(),
        bind: command.bind,
        exposed: command.expose,
        ..Options::default()
    };
    let plan = match &command.faults {
        Some(path) => read_plan(path, &mut options)?,
        None => Plan::default(),
    };
    ::mini::run_foreground(options, plan).await.map_err(not_started)
}

fn read_plan(path: &Path, options: &mut Options) -> Result<Plan, CommandError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        CommandError::usage(format!("{} cannot be read", path.display()))
            .caused_by(error)
            .help("--faults wants a file as in docs/faults.md")
    })?;
    plan::parse(path, &text, options).map_err(|invalid| wrong_plan(path, invalid))
}

fn wrong_plan(path: &Path, invalid: InvalidJob) -> CommandError {
    CommandError::usage(format!("{} is no file of faults", path.display()))
        .because(invalid)
        .help("docs/faults.md describes it, docs/faults.yaml has every fault once")
}

fn not_started(error: StartError) -> CommandError {
    let help = match error {
        StartError::Exposed(_) => {
            "leave --bind out, or add --expose if everybody who can reach this machine may run programs as you"
        }
        StartError::TooSmall(_) => "give --memory that much or more, or leave it out",
        _ => "it needs loopback ports and room below the directory for temporary files (TMPDIR)",
    };
    CommandError::refused("the embedded cluster cannot run")
        .caused_by(error)
        .help(help)
}
