//! The `drawloom` command as a library: reading jobs, submitting them to YARN, watching them.
//!
//! - [`job`]: the job file, read and checked as a whole.
//! - [`settings`]: every setting, its layers and its origin.
//! - [`plan`]: both together, as what is staged.
//! - [`submit`]: preflight, staging, submission, waiting.
//! - `driving`: the driver, when it runs in this process.
//! - `explain`: why an application waits or failed, from what everybody says of it.
//! - [`cli`] and `command`: what a person types.
//! - [`terminal`]: colours, how much is said, and the screen of one who waits.
//! - [`functions`]: jobs of Rust functions, built and submitted by a program of one's own.
//! - [`roles`]: what a process is when YARN starts it.

pub mod cli;
pub mod cluster;
mod command;
mod driving;
mod embedded;
pub mod error;
mod explain;
mod exporter;
pub mod functions;
pub mod job;
mod pages;
pub mod plan;
pub mod roles;
pub mod settings;
pub mod submit;
pub mod terminal;

use cli::{Cli, Command};
use error::CommandError;
use terminal::Terminal;

/// Does what the command line says.
///
/// # Errors
/// Everything that keeps it from being done; the error has the exit code.
pub fn run(cli: &Cli) -> Result<(), CommandError> {
    match &cli.command {
        Command::Config(config) => command::config::run(cli.conf_dir.as_deref(), config),
        Command::Completions { shell } => command::print(&cli::completions(*shell)),
        Command::Man { dir } => command::man::run(dir.as_deref()),
        asynchronous => on_runtime(cli, asynchronous),
    }
}

fn on_runtime(cli: &Cli, command: &Command) -> Result<(), CommandError> {
    let failed =
        |error| CommandError::refused("the runtime cannot start").caused_by(anyhow::Error::new(error));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let conf_dir = cli.conf_dir.as_deref();
    let terminal = Terminal::detect(cli.color, cli.quiet);
    runtime.block_on(async {
        match command {
            Command::Submit(command) => submit::submit(conf_dir, terminal, command).await,
            Command::Run(command) => submit::run(conf_dir, terminal, command).await,
            Command::List(command) => command::list::run(conf_dir, command).await,
            Command::Status(command) => command::status::run(conf_dir, command).await,
            Command::Attach(command) => command::attach::run(conf_dir, terminal, command).await,
            Command::Explain(command) => command::explain::run(conf_dir, terminal, command).await,
            Command::Logs(command) => command::logs::run(conf_dir, terminal, command).await,
            Command::Top(command) => Box::pin(command::top::run(conf_dir, terminal, command)).await,
            Command::Doctor(command) => Box::pin(command::doctor::run(conf_dir, terminal, command)).await,
            Command::History(command) => command::history::run(conf_dir, command).await,
            Command::Kill(command) => command::kill::run(conf_dir, command).await,
            Command::RestartAm(command) => command::restart_am::run(conf_dir, command).await,
            Command::Exporter(command) => command::exporter::run(conf_dir, command).await,
            Command::Mini(command) => command::mini::run(command).await,
            Command::Fs(command) => command::fs::run(conf_dir, &command.command).await,
            Command::Config(_) | Command::Completions { .. } | Command::Man { .. } => Ok(()),
        }
    })
}
