//! `drawloom mini`: an embedded cluster in the foreground.

use crate::cli::Mini;
use crate::error::CommandError;
use crate::settings::value;

/// Runs it until SIGINT or SIGTERM.
///
/// # Errors
/// It cannot start.
pub(crate) async fn run(command: &Mini) -> Result<(), CommandError> {
    let memory = value::mebibytes(&command.memory)
        .map_err(|why| CommandError::usage("--memory is no size").because(why))?;
    let options = ::mini::Options {
        nodes: command.nodes.into(),
        node_memory_mb: memory,
        node_cores: command.cores,
        ..::mini::Options::default()
    };
    ::mini::run_foreground(options).await.map_err(|error| {
        CommandError::refused("the embedded cluster cannot run")
            .caused_by(error)
            .help("it needs loopback ports and room below the directory for temporary files (TMPDIR)")
    })
}
