//! The `drawloom` program: client, and in containers of YARN ApplicationMaster and executor.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use drawloom::cli::Cli;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // The roles come before anything else: they start in the time that counts.
    // Not `args`, which panics at an argument that is not UTF-8.
    let role = std::env::args_os().nth(1);
    match role.as_ref().and_then(|role| role.to_str()) {
        Some("am") => {
            log_to_stderr("info");
            return am::run_from_env().unwrap_or_else(|error| {
                eprintln!("error: the ApplicationMaster failed: {error:#}");
                ExitCode::from(am::FAILED_ATTEMPT)
            });
        }
        Some("executor") => executor::run_from_env().apply(),
        _ => {}
    }
    let cli = Cli::parse();
    // Whoever speaks HTTPS in this process uses this provider; a second call would be the only way to fail.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    log_to_stderr(match cli.verbose {
        0 => "error",
        1 => "info",
        _ => "debug",
    });
    match drawloom::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{}", error.render(cli.verbose > 0));
            ExitCode::from(error.exit.code())
        }
    }
}

/// `DRAWLOOM_LOG` has the form of `RUST_LOG`. A failing call of the HDFS library is reported by us.
fn log_to_stderr(default: &str) {
    let default = format!("{default},hdfs_native=off");
    let filter = EnvFilter::try_from_env("DRAWLOOM_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}
