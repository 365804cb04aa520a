//! What a process is: the first argument of the binary names the role that YARN, or an executor, started it for.

use std::io::IsTerminal;
use std::process::ExitCode;

use executor::functions::Functions;
use tracing_subscriber::EnvFilter;

/// Plays the role that this process was started for, to its end; none when a person started it. To be called on the
/// main thread before any other is started.
#[must_use]
pub fn play(functions: &Functions) -> Option<ExitCode> {
    // Not `args`, which panics at an argument that is not UTF-8.
    let role = std::env::args_os().nth(1);
    match role.as_ref()?.to_str()? {
        "am" => {
            log_to_stderr("info");
            Some(am::run_from_env().unwrap_or_else(|error| {
                eprintln!("error: the ApplicationMaster failed: {error:#}");
                ExitCode::from(am::FAILED_ATTEMPT)
            }))
        }
        "executor" => executor::run_from_env(functions.clone()).apply(),
        "function" if executor::is_asked_for_function() => executor::run_function(functions).apply(),
        _ => None,
    }
}

/// Makes this process ready to be a client: TLS, and logging from this level on.
pub fn prepare_client(level: &str) {
    // Whoever speaks HTTPS in this process uses this provider; a second call would be the only way to fail.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    log_to_stderr(level);
}

/// `DRAWLOOM_LOG` has the form of `RUST_LOG`. A failing call of the HDFS library is reported by us.
fn log_to_stderr(default: &str) {
    let default = format!("{default},hdfs_native=off");
    let filter = EnvFilter::try_from_env("DRAWLOOM_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let logging = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
    // A program that has set up its own logging keeps it.
    drop(logging);
}
