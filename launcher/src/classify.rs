//! From YARN's exit status and diagnostics to a typed cause.
//!
//! The status alone does not tell: a NodeManager's reason to kill (-103 to -109) shows only when the process ended of
//! that signal (143 or 137); a process that catches SIGTERM and exits by itself is reported with its own code, and
//! only the diagnostics say that it was killed. So the diagnostics are looked at first.

use wire::failure::ExecutorLoss;

use super::Completion;

/// What else is known of a container that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Context {
    /// Its executor had registered.
    pub registered: bool,
    /// Its node was being taken out of service.
    pub node_decommissioned: bool,
}

/// The cause of a container's end that nobody on our side had ordered.
#[must_use]
pub fn classify(completion: &Completion, context: Context) -> ExecutorLoss {
    by_text(&completion.diagnostics)
        .or_else(|| by_status(completion, context))
        .unwrap_or_else(|| by_code(completion.exit_status, context))
}

/// `ContainersMonitorImpl` and `ContainerImpl`, which write the same texts whatever code the process ends with.
fn by_text(diagnostics: &str) -> Option<ExecutorLoss> {
    let says = |text: &str| diagnostics.contains(text);
    if says("beyond the 'PHYSICAL' memory limit") {
        Some(ExecutorLoss::PhysicalMemory)
    } else if says("beyond the 'VIRTUAL' memory limit") {
        Some(ExecutorLoss::VirtualMemory)
    } else if says("Container killed by the ApplicationMaster.") {
        Some(ExecutorLoss::KilledByUs)
    } else {
        None
    }
}

/// The negative values of `ContainerExitStatus`.
fn by_status(completion: &Completion, context: Context) -> Option<ExecutorLoss> {
    Some(match completion.exit_status {
        -1000 => ExecutorLoss::LocalizationFailed,
        -100 => aborted(&completion.diagnostics, context),
        -101 => ExecutorLoss::DisksFailed,
        -102 | -108 => ExecutorLoss::Preempted,
        -103 => ExecutorLoss::VirtualMemory,
        -104 => ExecutorLoss::PhysicalMemory,
        -105 => ExecutorLoss::KilledByUs,
        -106 => ExecutorLoss::KilledByRm,
        -107 => ExecutorLoss::ApplicationEnded,
        -109 => ExecutorLoss::ExcessLogs,
        status if status < 0 => ExecutorLoss::Unknown,
        _ => return None,
    })
}

/// -100 has many reasons; the texts are those of `SchedulerUtils`.
fn aborted(diagnostics: &str, context: Context) -> ExecutorLoss {
    if diagnostics.contains("*lost* node") {
        let decommissioned = context.node_decommissioned;
        if decommissioned {
            ExecutorLoss::Decommissioned
        } else {
            ExecutorLoss::NodeLost
        }
    } else if diagnostics.contains("expired since it was unused") {
        ExecutorLoss::StartFailed
    } else if diagnostics.contains("completed application") {
        ExecutorLoss::ApplicationEnded
    } else {
        ExecutorLoss::Released
    }
}

/// The process's own end. A shell reports death of a signal as 128 plus its number; 154 is what a NodeManager says
/// when it restarted and could not find the code.
fn by_code(code: i32, context: Context) -> ExecutorLoss {
    match code {
        0 if !context.registered => ExecutorLoss::NeverRegistered,
        154 => ExecutorLoss::Unknown,
        129..=159 => ExecutorLoss::Signalled(code - 128),
        _ => ExecutorLoss::Exited(code),
    }
}

/// The longest gist, in characters.
const GIST: usize = 400;

/// The line or lines of YARN's diagnostics that tell most: the end of the process's standard error if it is quoted,
/// the innermost cause of a Java stack trace, or else the first line. One line; at most 400 characters.
#[must_use]
pub fn gist(diagnostics: &str) -> String {
    let picked = stderr_tail(diagnostics)
        .or_else(|| innermost_cause(diagnostics))
        .or_else(|| first_line(diagnostics))
        .unwrap_or_default();
    picked.chars().take(GIST).collect()
}

/// The last three lines of the last quoted standard error.
fn stderr_tail(diagnostics: &str) -> Option<String> {
    let (_, tail) = diagnostics.rsplit_once("bytes of stderr :")?;
    let lines: Vec<_> = tail
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let last = &lines[lines.len().saturating_sub(3)..];
    (!last.is_empty()).then(|| last.join(" | "))
}

fn innermost_cause(diagnostics: &str) -> Option<String> {
    let mut causes = diagnostics
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Caused by: "));
    causes.next_back().map(str::to_owned)
}

/// The first line that is neither blank nor a frame of a stack trace nor only a time.
fn first_line(diagnostics: &str) -> Option<String> {
    let lines = diagnostics.lines().map(|line| without_time(line.trim()));
    let mut telling = lines.filter(|line| !line.is_empty() && !line.starts_with("at "));
    telling.next().map(str::to_owned)
}

/// NodeManagers begin diagnostics with `[2026-11-20 23:59:18.018]`.
fn without_time(line: &str) -> &str {
    let dated = line
        .strip_prefix('[')
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    dated
        .and_then(|rest| rest.split_once(']'))
        .map_or(line, |(_, rest)| rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(exit_status: i32, diagnostics: &str) -> ExecutorLoss {
        let completion = Completion {
            executor: "container_1_0001_01_000002".parse().unwrap(),
            exit_status,
            diagnostics: diagnostics.into(),
        };
        classify(
            &completion,
            Context {
                registered: true,
                node_decommissioned: false,
            },
        )
    }

    #[test]
    fn every_status_has_its_cause() {
        let pmem =
            "[x] Container [pid=7,containerID=c] is running 9MB beyond the 'PHYSICAL' memory limit. Current";
        let vmem = "Container is running 9MB beyond the 'VIRTUAL' memory limit.";
        let table = [
            (0, "", ExecutorLoss::Exited(0)),
            (
                1,
                "Container exited with a non-zero exit code 1.",
                ExecutorLoss::Exited(1),
            ),
            (127, "", ExecutorLoss::Exited(127)),
            (137, "Killed by external signal", ExecutorLoss::Signalled(9)),
            (143, "Killed by external signal", ExecutorLoss::Signalled(15)),
            (139, "", ExecutorLoss::Signalled(11)),
            (131, "", ExecutorLoss::Signalled(3)),
            (154, "", ExecutorLoss::Unknown),
            (255, "", ExecutorLoss::Exited(255)),
            (
                -1000,
                "Resource x changed on src filesystem",
                ExecutorLoss::LocalizationFailed,
            ),
            (-100, "Container released by application", ExecutorLoss::Released),
            (
                -100,
                "Container released on a *lost* node",
                ExecutorLoss::NodeLost,
            ),
            (
                -100,
                "Container expired since it was unused",
                ExecutorLoss::StartFailed,
            ),
            (
                -100,
                "Container of a completed application",
                ExecutorLoss::ApplicationEnded,
            ),
            (-101, "", ExecutorLoss::DisksFailed),
            (-102, "Container preempted by scheduler", ExecutorLoss::Preempted),
            (-103, "", ExecutorLoss::VirtualMemory),
            (-104, "", ExecutorLoss::PhysicalMemory),
            (
                -105,
                "Container killed by the ApplicationMaster.",
                ExecutorLoss::KilledByUs,
            ),
            (-106, "", ExecutorLoss::KilledByRm),
            (-107, "", ExecutorLoss::ApplicationEnded),
            (-108, "", ExecutorLoss::Preempted),
            (-109, "", ExecutorLoss::ExcessLogs),
            (-42, "", ExecutorLoss::Unknown),
            // A process that handled SIGTERM hides the reason; only the words tell.
            (0, pmem, ExecutorLoss::PhysicalMemory),
            (7, vmem, ExecutorLoss::VirtualMemory),
            (
                0,
                "Container killed by the ApplicationMaster.\n",
                ExecutorLoss::KilledByUs,
            ),
        ];
        for (status, diagnostics, expected) in table {
            assert_eq!(loss(status, diagnostics), expected, "{status} {diagnostics:?}");
        }
    }

    #[test]
    fn an_end_without_registration_is_not_a_clean_one() {
        let completion = Completion {
            executor: "c".parse().unwrap(),
            exit_status: 0,
            diagnostics: String::new(),
        };
        assert_eq!(
            classify(&completion, Context::default()),
            ExecutorLoss::NeverRegistered
        );
    }

    #[test]
    fn a_lost_node_that_was_leaving_is_decommissioned() {
        let completion = Completion {
            executor: "c".parse().unwrap(),
            exit_status: -100,
            diagnostics: "Container released on a *lost* node".into(),
        };
        let context = Context {
            registered: true,
            node_decommissioned: true,
        };
        assert_eq!(classify(&completion, context), ExecutorLoss::Decommissioned);
    }

    #[test]
    fn the_gist_is_what_a_person_needs() {
        let exit = "[2026-11-20 23:59:18.018]Container exited with a non-zero exit code 127. Error file: \
                    prelaunch.err.\nLast 4096 bytes of prelaunch.err :\nLast 4096 bytes of stderr :\n\
                    ./drawloom: No such file or directory\n\n\n";
        assert_eq!(gist(exit), "./drawloom: No such file or directory");
        let trace =
            "java.io.IOException: outer\n\tat a.b.C\nCaused by: java.net.ConnectException: refused\n\tat d";
        assert_eq!(gist(trace), "java.net.ConnectException: refused");
        assert_eq!(
            gist("[2026-11-20 23:59:18.018]Killed by external signal\n"),
            "Killed by external signal"
        );
        assert_eq!(gist(""), "");
        assert_eq!(gist(&"x".repeat(1000)).len(), GIST);
    }
}
