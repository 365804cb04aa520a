//! How containers end: exit statuses and diagnostics.

use std::time::{Duration, Instant};

use super::case::{Case, case};
use super::lab::{Yarn, holds};
use super::master::{End, shell};

pub(crate) const CASES: &[Case] = &[
    case!(a_good_end_is_zero, "`ContainerLaunch`: exit 0, no complaint"),
    case!(
        an_exit_code_is_kept,
        "`ContainerLaunch`: 1 to 255 as the process gave it"
    ),
    case!(an_unknown_command_is_127, "bash: command not found"),
    case!(
        a_failure_shows_the_tail_of_stderr_twice,
        "`ContainerLaunch.handleContainerExitWithFailure`: prelaunch.err, then stderr, both twice"
    ),
    case!(
        a_failure_names_its_container,
        "`DefaultContainerExecutor`: `Exception from container-launch.`, id and exit code"
    ),
    case!(
        a_killed_process_is_137,
        "`ContainerLaunch`: SIGKILL by others, `Killed by external signal`"
    ),
    case!(
        a_terminated_process_is_143,
        "`ContainerLaunch`: SIGTERM by others, `Container killed on request. Exit code is 143`"
    ),
    case!(
        a_stopped_container_is_killed_by_its_master,
        "`ContainerExitStatus.KILLED_BY_APPMASTER` -105, `Container killed by the ApplicationMaster.`"
    ),
    case!(
        a_stopped_container_may_still_succeed,
        "`ContainerImpl`: a process that exits 0 on SIGTERM is 0"
    ),
    case!(
        a_stopped_container_may_still_fail,
        "`ContainerImpl`: a process that exits 7 on SIGTERM is 7"
    ),
    case!(
        a_stopped_container_that_says_143_counts_as_killed,
        "`ContainerImpl`: exit 143 with a kill under way is -105"
    ),
    case!(
        a_deaf_container_is_killed_after_a_moment,
        "`yarn.nodemanager.sleep-delay-before-sigkill.ms` 250: SIGKILL after SIGTERM"
    ),
    case!(
        a_whole_session_is_ended,
        "`ContainerExecutor`: signals go to the process group, children included"
    ),
    case!(
        a_stop_before_the_process_is_kept,
        "`ContainerImpl`: stopped while it is being localized or launched, -105 or -1000 never 0"
    ),
    case!(
        long_diagnostics_lose_their_beginning,
        "`yarn.nodemanager.container-diagnostics-maximum-size` 10000; stderr 4096 bytes"
    ),
];

async fn run(yarn: &Yarn, command: &str) -> End {
    yarn.master().await.run(&shell(command)).await
}

async fn a_good_end_is_zero(yarn: &Yarn) {
    assert_eq!(run(yarn, "true").await.status, 0);
}

async fn an_exit_code_is_kept(yarn: &Yarn) {
    for code in [1, 7, 255] {
        assert_eq!(run(yarn, &format!("exit {code}")).await.status, code);
    }
}

async fn an_unknown_command_is_127(yarn: &Yarn) {
    assert_eq!(run(yarn, "no-such-program").await.status, 127);
}

async fn a_failure_shows_the_tail_of_stderr_twice(yarn: &Yarn) {
    let end = run(yarn, "echo alas >&2; exit 3").await;
    let part = "Container exited with a non-zero exit code 3. Error file: prelaunch.err.\nLast 4096 bytes of \
                prelaunch.err :\nLast 4096 bytes of stderr :\nalas\n";
    assert_eq!(end.diagnostics.matches(part).count(), 2, "{}", end.diagnostics);
}

async fn a_failure_names_its_container(yarn: &Yarn) {
    let end = run(yarn, "exit 3").await;
    let words = format!(
        "]Exception from container-launch.\nContainer id: {}\nExit code: 3\n",
        end.container
    );
    holds(&end.diagnostics, &[&words]);
}

async fn a_killed_process_is_137(yarn: &Yarn) {
    let end = run(yarn, "kill -9 $$; sleep 9").await;
    assert_eq!(end.status, 137);
    holds(
        &end.diagnostics,
        &[
            "Container killed on request. Exit code is 137",
            "Container exited with a non-zero exit code 137",
            "Killed by external signal",
        ],
    );
}

async fn a_terminated_process_is_143(yarn: &Yarn) {
    let end = run(yarn, "kill -15 $$; sleep 9").await;
    assert_eq!(end.status, 143);
    holds(
        &end.diagnostics,
        &[
            "Container killed on request. Exit code is 143",
            "Killed by external signal",
        ],
    );
}

/// Starts a command, stops it once it runs, and says how it ended.
async fn stopped(yarn: &Yarn, before: &str, command: &str) -> End {
    let mut master = yarn.master().await;
    let (container, _) = yarn.ready_after(&mut master, before, command).await;
    master
        .nodes()
        .stop_container(&container.node, container.id)
        .await
        .unwrap();
    master.end_of(container.id).await
}

async fn a_stopped_container_is_killed_by_its_master(yarn: &Yarn) {
    let end = stopped(yarn, "", "exec sleep 300").await;
    assert_eq!(end.status, -105);
    holds(
        &end.diagnostics,
        &[
            "Container killed by the ApplicationMaster.\n",
            "Container killed on request. Exit code is 143",
        ],
    );
}

/// Has a shell do this when it is told to end.
fn trap(action: &str) -> String {
    format!("trap '{action}' TERM;")
}

/// What it does until then.
const LOOP: &str = "while :; do sleep 0.02; done";

async fn a_stopped_container_may_still_succeed(yarn: &Yarn) {
    let end = stopped(yarn, &trap("exit 0"), LOOP).await;
    assert_eq!(end.status, 0, "{}", end.diagnostics);
}

async fn a_stopped_container_may_still_fail(yarn: &Yarn) {
    let end = stopped(yarn, &trap("exit 7"), LOOP).await;
    assert_eq!(end.status, 7, "{}", end.diagnostics);
}

async fn a_stopped_container_that_says_143_counts_as_killed(yarn: &Yarn) {
    assert_eq!(stopped(yarn, &trap("exit 143"), LOOP).await.status, -105);
}

async fn a_deaf_container_is_killed_after_a_moment(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let (container, _) = yarn.ready_after(&mut master, &trap(""), LOOP).await;
    let asked = Instant::now();
    master
        .nodes()
        .stop_container(&container.node, container.id)
        .await
        .unwrap();
    let end = master.end_of(container.id).await;
    assert_eq!(end.status, -105);
    holds(&end.diagnostics, &["Exit code is 137"]);
    assert!(asked.elapsed() >= Duration::from_millis(240));
}

async fn a_whole_session_is_ended(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let child = yarn.path(format!("child-{}", master.attempt));
    let command = format!(
        "sleep 300 & echo $! > {0}.new; mv {0}.new {0}; wait",
        child.display()
    );
    let (container, _) = yarn.ready(&mut master, &command).await;
    let pid = master.file(&child).await;
    master
        .nodes()
        .stop_container(&container.node, container.id)
        .await
        .unwrap();
    master.end_of(container.id).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
    assert!(status.is_empty() || status.contains("State:\tZ"), "{status}");
}

async fn a_stop_before_the_process_is_kept(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let container = master.started(&shell("exec sleep 300")).await;
    master
        .nodes()
        .stop_container(&container.node, container.id)
        .await
        .unwrap();
    let end = master.end_of(container.id).await;
    assert!([-105, 137, 143].contains(&end.status), "{end:?}");
}

async fn long_diagnostics_lose_their_beginning(yarn: &Yarn) {
    let end = run(yarn, "printf %6000s x >&2; echo END >&2; exit 2").await;
    assert!(end.diagnostics.len() <= 10_000, "{}", end.diagnostics.len());
    holds(&end.diagnostics, &["Last 4096 bytes of stderr :\n", "xEND\n"]);
}
