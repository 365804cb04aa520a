//! Lost executors, as `drawloom status` tells of them.

use am::dossier::{Dossier, Phases};

use super::moment;

/// How many are told of in full.
const MOST: usize = 5;
/// How much of the last words is shown, in lines.
const LAST_LINES: usize = 5;

/// The text about lost executors, the latest last: paragraphs whose first line is the loss.
pub(super) fn paragraphs(dossiers: &[Dossier]) -> Vec<String> {
    let skipped = dossiers.len().saturating_sub(MOST);
    dossiers[skipped..].iter().map(paragraph).collect()
}

fn paragraph(dossier: &Dossier) -> String {
    let weight = if dossier.counts {
        "counts"
    } else {
        "does not count"
    };
    let mut lines = vec![format!(
        "{} {} on {}: {} ({}, {weight})",
        moment(dossier.unix_ms),
        dossier.executor,
        dossier.node,
        dossier.cause,
        dossier.verdict.word()
    )];
    lines.push(life(&dossier.phases));
    if let Some(status) = dossier.exit_status {
        lines.push(format!("YARN's exit status {status}: {}", dossier.exit_meaning));
    }
    lines.extend(memory(dossier));
    lines.extend(tasks(dossier));
    let history = &dossier.node_history;
    if history.losses > 1 {
        lines.push(format!(
            "{} executors lost on this node within ten minutes",
            history.losses
        ));
    }
    lines.extend(last_words(&dossier.stderr_tail));
    if !dossier.advice.is_empty() {
        lines.push(format!("advice: {}", dossier.advice));
    }
    lines.join("\n")
}

/// `granted after 0.2 s, started 0.0 s, registered 0.4 s, first task 0.1 s; lived 34.0 s`: each since the one before.
fn life(phases: &Phases) -> String {
    let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1000.0;
    let mut text = format!(
        "granted after {:.1} s",
        seconds(phases.asked_ms, phases.granted_ms)
    );
    let mut before = phases.granted_ms;
    let steps = [
        ("started", phases.started_ms),
        ("registered", phases.registered_ms),
        ("first task", phases.first_task_ms),
    ];
    for (name, at) in steps {
        if let Some(at) = at {
            text.push_str(&format!(", {name} {:.1} s", seconds(before, at)));
            before = at;
        }
    }
    if let Some(ended) = phases.ended_ms {
        text.push_str(&format!("; lived {:.1} s", seconds(phases.granted_ms, ended)));
    }
    text
}

fn memory(dossier: &Dossier) -> Option<String> {
    let memory = &dossier.memory;
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    (memory.peak > 0).then(|| {
        format!(
            "memory: at most {} of {} MiB, the executor itself {} MiB",
            mib(memory.peak),
            mib(memory.limit),
            mib(memory.executor_peak)
        )
    })
}

fn tasks(dossier: &Dossier) -> Option<String> {
    let more = dossier.tasks_total as usize - dossier.tasks.len().min(dossier.tasks_total as usize);
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!dossier.tasks.is_empty()).then(|| format!("was running: {}{more}", dossier.tasks.join("; ")))
}

fn last_words(stderr: &str) -> Vec<String> {
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    last.iter().map(|line| format!("stderr: {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dossier() -> Dossier {
        serde_json::from_str(
            r#"{"executor":"container_1_0001_01_000002","node":"n1","unixMs":1795218448194,
                "cause":"used more physical memory than its container has","verdict":"resource","counts":true,
                "phases":{"askedMs":100,"grantedMs":300,"startedMs":320,"registeredMs":700,"firstTaskMs":900,"endedMs":34300},
                "exitStatus":-104,"exitMeaning":"used more physical memory than YARN allows",
                "stderrTail":"one\n\ntwo\n","memory":{"limit":536870912,"peak":766509056,"executorPeak":9437184},
                "tasks":["stage count, task 3, attempt 0"],"tasksTotal":2,"nodeHistory":{"losses":2,"strikes":2},
                "advice":"asked 512 MiB, peak 731 MiB: set executors.memory to 900MiB"}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_loss_reads_from_cause_to_advice() {
        insta::assert_snapshot!(paragraph(&dossier()));
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let text = paragraph(&Dossier::default());
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn only_the_latest_losses_are_told_in_full() {
        assert_eq!(paragraphs(&vec![dossier(); 9]).len(), MOST);
    }
}
