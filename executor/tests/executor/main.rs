//! The executor as a person and YARN see it: real processes, a gateway in this process, local files.

#![expect(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod functions;
mod harness;
mod process;
mod tasks;

/// Plays the executor when the harness starts this executable again; otherwise nothing.
#[test]
fn executor_role() {
    if std::env::var_os("DRAWLOOM_GATEWAY").is_some() {
        executor::run_from_env(functions::functions()).apply();
    }
}
