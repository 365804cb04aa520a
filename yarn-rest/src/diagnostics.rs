//! The cause of an ApplicationMaster's failure, out of the ResourceManager's diagnostics.
//!
//! The text is put together by three daemons' classes: `RMAppImpl` says how often the application failed,
//! `RMAppAttemptImpl` what became of the last ApplicationMaster, and the NodeManager's `ContainerLaunch`
//! adds the ends of the container's log files, usually twice:
//!
//! ```text
//! Application application_1_0001 failed 2 times due to AM Container for appattempt_1_0001_000002 exited with  exitCode: 127
//! Failing this attempt.Diagnostics: [2026-11-20 23:49:09.216]Exception from container-launch.
//! Container id: container_1_0001_02_000001
//! Exit code: 127
//!
//! [2026-11-20 23:49:09.218]Container exited with a non-zero exit code 127. Error file: prelaunch.err.
//! Last 4096 bytes of prelaunch.err :
//! Last 4096 bytes of stderr :
//! /bin/bash: ./am: No such file or directory
//!
//!
//! For more detailed output, check the application tracking page: http://rm:8088/… Then click on links to logs of each attempt.
//! . Failing the application.
//! ```

use hadoop::ids::ApplicationAttemptId;

/// What the diagnostics say of an ApplicationMaster that did not make it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AmFailure {
    /// How many attempts failed.
    pub attempts: Option<u32>,
    /// The last of them.
    pub attempt: Option<ApplicationAttemptId>,
    /// The container's exit status: the process's exit code (more than 128 for a signal), or one of YARN's
    /// own below zero, for example -1000 for a failed localization and -104 for too much memory.
    pub exit_code: Option<i32>,
    /// In one line, the most telling sentence.
    pub reason: String,
    /// The end of the container's `stderr`; of the launch script's own errors if `stderr` is empty.
    pub stderr: String,
}

impl AmFailure {
    /// Reads the diagnostics of a report; none if they do not speak of a failed ApplicationMaster.
    pub fn parse(diagnostics: &str) -> Option<Self> {
        let cause = diagnostics
            .split_once(" due to ")
            .map_or(diagnostics, |(_, cause)| cause);
        let exit_code = number_after(diagnostics, "exitCode: ");
        if exit_code.is_none() && !diagnostics.contains("timed out") {
            return None;
        }
        let stderr = log_tail(cause, "stderr").or_else(|| log_tail(cause, "prelaunch.err"));
        Some(Self {
            attempts: number_after(diagnostics, " failed "),
            attempt: attempt_in(cause),
            exit_code,
            reason: reason(cause),
            stderr: stderr.unwrap_or_default(),
        })
    }

    /// The last `count` lines of [`AmFailure::stderr`].
    pub fn last_lines(&self, count: usize) -> Vec<&str> {
        let lines: Vec<&str> = self.stderr.lines().collect();
        lines[lines.len().saturating_sub(count)..].to_vec()
    }
}

/// The number that follows the first `label` with a number behind it.
fn number_after<T: std::str::FromStr>(text: &str, label: &str) -> Option<T> {
    text.match_indices(label).find_map(|(at, _)| {
        let rest = &text[at + label.len()..];
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '-')
            .unwrap_or(rest.len());
        rest[..end].parse().ok()
    })
}

fn attempt_in(text: &str) -> Option<ApplicationAttemptId> {
    let rest = &text[text.find("appattempt_")?..];
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// What follows the first "Last N bytes of `file` :" up to the next part of the diagnostics.
fn log_tail(text: &str, file: &str) -> Option<String> {
    let (_, tail) = text.split_once(&format!(" bytes of {file} :\n"))?;
    let starts_next_part = |line: &&str| {
        (line.starts_with("Last ") && line.contains(" bytes of "))
            || line.starts_with("For more detailed output, check the application tracking page")
            || line.starts_with(". Failing the application.")
            || without_stamp(line) != *line
    };
    let lines: Vec<&str> = tail.lines().take_while(|line| !starts_next_part(line)).collect();
    Some(lines.join("\n").trim_end().to_owned()).filter(|tail| !tail.is_empty())
}

/// The line without the time `[2026-11-20 23:49:09.216]` that NodeManagers put in front.
fn without_stamp(line: &str) -> &str {
    let inside = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let is_time = |text: &str| text.len() == 23 && text.bytes().all(|byte| b"0123456789-:. ".contains(&byte));
    inside
        .filter(|(time, _)| is_time(time))
        .map_or(line, |(_, rest)| rest)
}

/// The first line that says more than the exit code, which stands for itself.
fn reason(cause: &str) -> String {
    let detail = cause
        .split_once("Diagnostics: ")
        .map_or(cause, |(_, detail)| detail);
    let said = |line: &&str| !line.is_empty() && !line.starts_with("Exception from container-launch");
    let mut lines = detail.lines().map(|line| without_stamp(line.trim())).filter(said);
    let line = lines.find(|line| !is_boilerplate(line)).unwrap_or_default();
    line.trim_end_matches(". Failing the application.").to_owned()
}

fn is_boilerplate(line: &str) -> bool {
    let openings = [
        "Container id: ",
        "Exit code: ",
        "For more detailed output",
        "Last ",
        ". Failing the application.",
    ];
    openings.iter().any(|opening| line.starts_with(opening))
}

#[cfg(test)]
mod tests;
