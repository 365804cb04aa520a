//! Why an application that has ended did not succeed.

use yarn_rest::{AmFailure, Verdict};

use super::{Facts, Reason};
use crate::submit::watch::diagnosis;

/// All reasons, the most telling first.
pub(super) fn reasons(facts: &Facts, verdict: &Verdict) -> Vec<Reason> {
    let mut reasons = vec![match verdict {
        Verdict::Killed { by } => killed(facts, by.as_deref()),
        Verdict::TimedOut => Reason::new(
            "lifetime-over",
            "YARN ended it at the end of its lifetime",
            "submit it with a longer lifetime, or none",
        ),
        Verdict::Refused => refused(facts),
        Verdict::Lost => lost(facts),
        _ => job_failed(facts),
    }];
    reasons.extend(
        facts
            .dossiers
            .iter()
            .rev()
            .filter(|dossier| dossier.counts)
            .map(|dossier| {
                let why = format!(
                    "{} was lost on {}: {}",
                    dossier.executor, dossier.node, dossier.cause
                );
                Reason::new("executor-lost", why, dossier.advice.clone())
            }),
    );
    reasons
}

fn killed(facts: &Facts, by: Option<&str>) -> Reason {
    let who = by.map_or_else(String::new, |by| format!(" by {by}"));
    let words = facts.report.diagnostics.trim();
    Reason::new(
        "killed",
        format!("it was killed{who}: {words}"),
        "submit it again if that was not wanted",
    )
}

/// The ResourceManager's words are the reason; what to do depends on them.
fn refused(facts: &Facts) -> Reason {
    let words = facts.report.diagnostics.trim();
    let (code, help) = if words.contains("queue") {
        (
            "queue-refused",
            "choose another with --queue; `drawloom submit --dry-run` checks it",
        )
    } else if words.contains("resource request") {
        ("too-large", "lower am.memory or am.cores")
    } else {
        ("refused", "mend what YARN names and submit it again")
    };
    Reason::new(code, format!("YARN refused it: {words}"), help)
}

/// Attempts of the ApplicationMaster are used up.
fn lost(facts: &Facts) -> Reason {
    let Some(failure) = AmFailure::parse(&facts.report.diagnostics) else {
        return Reason::new("lost", diagnosis(&facts.report), logs(facts));
    };
    let last = match failure.last_lines(3)[..] {
        [] => String::new(),
        ref lines => format!("; it said last: {}", lines.join(" / ")),
    };
    let attempts = failure.attempts.unwrap_or(1);
    let (code, help) = match failure.exit_code {
        Some(-1000) => (
            "localization-failed",
            "the node could not fetch its files: is the staging directory (staging.dir) readable from the nodes, and was \
             it left alone since?"
                .to_owned(),
        ),
        Some(-104 | -103) => ("am-memory", "raise am.memory".to_owned()),
        Some(-102) => (
            "preempted",
            "another queue took the room back: submit to a queue with a larger guarantee".to_owned(),
        ),
        Some(126 | 127) => (
            "bad-command",
            "the node cannot run the executable: is it built for the nodes' processor, and is /bin/bash there?".to_owned(),
        ),
        _ => ("am-failed", logs(facts)),
    };
    let why = format!(
        "its ApplicationMaster failed {attempts} times: {}{last}",
        failure.reason
    );
    Reason::new(code, why, help)
}

/// The ApplicationMaster's own verdict, whose first line has the cause.
fn job_failed(facts: &Facts) -> Reason {
    let words = diagnosis(&facts.report);
    let lower = words.to_ascii_lowercase();
    let has = |text: &str| lower.contains(text);
    let (code, help) =
        if has("is it named in `files`") || has("cannot be started") || has("no such file or directory") {
            (
                "bad-command",
                "correct the command, or name what it needs in `files`".to_owned(),
            )
        } else if has("memory") {
            (
                "memory",
                "raise executors.memory, or the stage's own memory".to_owned(),
            )
        } else if has("client.reconnect") {
            (
                "client-gone",
                "submit with --deploy-mode cluster if the client may leave".to_owned(),
            )
        } else if has("localiz") {
            (
                "localization-failed",
                "the nodes cannot fetch a file of the job: is it readable there?".to_owned(),
            )
        } else if has("executor.max-failures") || has("executors were lost") {
            ("executors-lost", logs(facts))
        } else if has("exists and is not empty") {
            (
                "output-exists",
                "remove it, choose another output, or set overwrite: true".to_owned(),
            )
        } else {
            ("job-failed", logs(facts))
        };
    Reason::new(code, words, help)
}

fn logs(facts: &Facts) -> String {
    format!(
        "the logs of what failed: drawloom logs {} --failed",
        facts.report.id
    )
}
