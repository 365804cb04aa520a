//! What a process is: the first argument of the binary names the role that YARN, or an executor, started it for.

use std::io::IsTerminal;
use std::process::ExitCode;

use am::log_levels::LogLevels;
use executor::functions::Functions;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::terminal::tell;

/// Plays the role that this process was started for, to its end; none when a person started it. To be called on the
/// main thread before any other is started.
#[must_use]
pub fn play(functions: &Functions) -> Option<ExitCode> {
    // Not `args`, which panics at an argument that is not UTF-8.
    let role = std::env::args_os().nth(1);
    match role.as_ref()?.to_str()? {
        "am" => {
            let levels = log_to_stderr("info");
            Some(am::run_from_env(levels).unwrap_or_else(|error| {
                tell(format_args!("error: the ApplicationMaster failed: {error:#}"));
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
fn log_to_stderr(default: &str) -> LogLevels {
    let asked = std::env::var("DRAWLOOM_LOG").unwrap_or_default();
    let wanted = wanted(&asked, default);
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // It would say so where it cannot be said either, and panic.
        .log_internal_errors(false);
    let (filter, change) = reload::Layer::new(wanted.clone());
    let logging = tracing_subscriber::registry().with(lines).with(filter).try_init();
    // A program that has set up its own logging keeps it.
    drop(logging);
    LogLevels::new(wanted, move |targets| {
        // Only a subscriber that is gone takes no change.
        if change.reload(targets).is_ok() {
            log::set_max_level(as_log(LevelFilter::current()));
        }
    })
}

/// What is asked for, or else from `default` on.
fn wanted(asked: &str, default: &str) -> Targets {
    let asked = asked.parse().ok().filter(|_| !asked.is_empty());
    let usual = || format!("{default},hdfs_native=off").parse();
    asked.or_else(|| usual().ok()).unwrap_or_default()
}

/// Libraries that log in the older way ask this before they make a line.
fn as_log(level: LevelFilter) -> log::LevelFilter {
    match level {
        LevelFilter::OFF => log::LevelFilter::Off,
        LevelFilter::ERROR => log::LevelFilter::Error,
        LevelFilter::WARN => log::LevelFilter::Warn,
        LevelFilter::INFO => log::LevelFilter::Info,
        LevelFilter::DEBUG => log::LevelFilter::Debug,
        _ => log::LevelFilter::Trace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_logged_and_nonsense_is_passed_over() {
        assert_eq!(wanted("", "info").to_string(), "hdfs_native=off,info");
        assert_eq!(wanted("am=debug,warn", "info").to_string(), "am=debug,warn");
        assert_eq!(wanted("a=b=c", "warn").to_string(), "hdfs_native=off,warn");
    }
}
