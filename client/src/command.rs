//! The commands besides submitting.

pub(crate) mod attach;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod exporter;
pub(crate) mod fs;
pub(crate) mod history;
pub(crate) mod kill;
mod kill_job;
pub(crate) mod list;
pub(crate) mod logs;
mod losses;
pub(crate) mod man;
pub(crate) mod mini;
mod orders;
pub(crate) mod restart_am;
pub(crate) mod status;
pub(crate) mod top;

use std::io::Write;

use hadoop::ids::ApplicationId;

use crate::error::CommandError;

/// Prints a result.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    print_or_stop(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// A reader that has seen enough, like `head`, is no error.
fn print_or_stop(printed: std::io::Result<()>) -> Result<(), CommandError> {
    match printed {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(CommandError::refused("standard output cannot be written").caused_by(error)),
        Ok(()) => Ok(()),
    }
}

/// Reads an application's id.
fn application_id(text: &str) -> Result<ApplicationId, CommandError> {
    text.parse().map_err(|error: hadoop::ids::ParseIdError| {
        CommandError::usage(format!("{text:?} is no application"))
            .because(error)
            .help("an id looks like application_1700000000000_0001; `drawloom list` shows them")
    })
}

/// A moment as a person reads it, in UTC; a dash for none.
fn moment(unix_ms: u64) -> String {
    let known = i64::try_from(unix_ms).ok().filter(|ms| *ms > 0);
    let stamp = known.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    stamp.map_or_else(
        || "-".to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
    )
}

/// A duration as a person reads it.
fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}.{}s", ms % 1000 / 100),
        (0, m, s) => format!("{m}m {s:02}s"),
        (h, m, _) => format!("{h}h {m:02}m"),
    }
}

#[cfg(test)]
mod json_schema;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(moment(1_795_218_448_194), "2026-11-20 23:47:28Z");
        assert_eq!(moment(0), "-");
        assert_eq!(
            [span(900), span(61_000), span(7_260_000)],
            ["0.9s", "1m 01s", "2h 01m"]
        );
    }

    #[test]
    fn a_wrong_id_says_how_one_looks() {
        let error = application_id("app1").unwrap_err();
        assert!(error.render(false).contains("application_1700000000000_0001"));
    }
}
