//! The ApplicationMaster: the process that YARN starts first, and that owns a running application.
//!
//! | module | what it is |
//! |---|---|
//! | [`launcher`] | pure core in a crate of its own: from a wanted number of executors to containers |
//! | [`relay`] | client mode: the ApplicationMaster's end of the conversation with that driver |
//! | [`gateway`] | TLS listener that executors dial; who gets in |
//! | [`web`] | status page, `/api/v1`, metrics; behind the ResourceManager's proxy |
//! | `app` | the loop that owns both cores and carries out their effects |
//! | [`driving`] | the driver core and its errands on file systems; in client mode it runs in the client |
//! | [`inputs`], [`outputs`], [`results`], [`staged`] | what is read and written on file systems on behalf of the job |
//! | `blocks` | on which nodes the input of tasks is, as the NameNode says |
//! | `beside` | a small job's only executor, in our own container |
//! | [`containers`], [`environment`] | how executors are started, how we were |
//! | [`upgrade`] | becoming a later build on order |
//! | [`history`] | the event log that a Spark History Server reads |
//! | [`launch`], [`configuration`], [`summary`], [`dossier`] | files and answers shared with the client |
//!
//! The process is one thread: the loop and all servers share it, so that an ApplicationMaster of a hundred executors
//! stays below 20 MB.

pub(crate) mod app;
mod beside;
mod blocks;
pub mod clock;
pub mod configuration;
pub mod containers;
pub mod dossier;
pub mod driving;
pub mod environment;
pub mod gateway;
pub mod history;
pub mod inputs;
pub mod job_kill;
pub mod journal;
mod last_words;
pub mod launch;
pub mod log_levels;
pub mod metrics;
pub mod notes;
pub mod outputs;
mod process;
pub mod relay;
pub mod restart;
pub mod results;
pub mod roster;
pub mod staged;
pub mod summary;
pub mod supervise;
pub mod upgrade;
pub mod verdict;
pub mod vitals;
pub mod web;

pub use launcher;

use std::process::ExitCode;

use anyhow::Context as _;

use crate::app::Exit;
use crate::environment::Environment;
use crate::log_levels::LogLevels;

/// The exit code of an attempt that ends without a verdict; YARN may start another.
pub const FAILED_ATTEMPT: u8 = 20;

/// Runs the ApplicationMaster that YARN has started in this process, to its end. The process must not have started
/// an async runtime; the caller has installed a `tracing` subscriber, whose `levels` can be changed.
///
/// Exit codes: 0, 1 and 4 go with an application that succeeded, failed or was killed; 20 with an attempt that ended
/// without a verdict. On SIGTERM the process ends of that signal, so that YARN keeps its own reason.
///
/// # Errors
/// Only what prevents the registration with the ResourceManager; everything later ends in the application's final
/// status.
pub fn run_from_env(levels: LogLevels) -> anyhow::Result<ExitCode> {
    process::allow_many_files();
    // Of the process: whoever was first has decided.
    let _ = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider().install_default();
    let environment = Environment::read(&|name| std::env::var(name).ok())?;
    let directory = std::env::current_dir().context("the working directory")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if let Some(build) = runtime.block_on(upgrade::look(&environment, &directory))? {
        let error = build.take_over();
        anyhow::bail!("the build that was ordered cannot be run: {error}");
    }
    let exit = runtime.block_on(Box::pin(app::startup::run(environment, &directory, levels)))?;
    runtime.shutdown_background();
    conclude(&exit)
}

fn conclude(exit: &Exit) -> anyhow::Result<ExitCode> {
    match exit {
        Exit::Verdict(verdict) => Ok(verdict::exit_code(verdict).into()),
        Exit::Superseded(_) | Exit::Crashed(_) => Ok(FAILED_ATTEMPT.into()),
        Exit::Terminated => {
            signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTERM)?;
            Ok(FAILED_ATTEMPT.into())
        }
    }
}
