use proptest::prelude::{any, proptest};

use super::AmFailure;

const TRACKING: &str = "For more detailed output, check the application tracking page: http://rm:8088/cluster/app/application_1795218548822_0007 Then click on links to logs of each attempt.\n. Failing the application.";

fn died(exit_code: i32, container: &str) -> String {
    format!(
        "Application application_1795218548822_0007 failed 2 times (global limit =5; local limit is =2) due to AM Container for appattempt_1795218548822_0007_000002 exited with  exitCode: {exit_code}\nFailing this attempt.Diagnostics: {container}{TRACKING}"
    )
}

const SYNTAX_ERROR: &str = "[2026-11-20 23:49:09.216]Exception from container-launch.
Container id: container_1795218548822_0007_02_000001
Exit code: 2

[2026-11-20 23:49:09.218]Container exited with a non-zero exit code 2. Error file: prelaunch.err.
Last 4096 bytes of prelaunch.err :
/work/launch_container.sh: line 23: syntax error near unexpected token `('

[2026-11-20 23:49:09.218]Container exited with a non-zero exit code 2. Error file: prelaunch.err.
Last 4096 bytes of prelaunch.err :
/work/launch_container.sh: line 23: syntax error near unexpected token `('

";

const PANIC: &str = "[2026-11-20 23:49:09.216]Exception from container-launch.
Container id: container_1795218548822_0007_02_000001
Exit code: 101

[2026-11-20 23:49:09.218]Container exited with a non-zero exit code 101. Error file: prelaunch.err.
Last 4096 bytes of prelaunch.err :
Last 4096 bytes of stderr :
starting
[boot] reading job

thread 'main' panicked at src/main.rs:1:1:
boom


[2026-11-20 23:49:09.218]Container exited with a non-zero exit code 101. Error file: prelaunch.err.
Last 4096 bytes of prelaunch.err :
Last 4096 bytes of stderr :
starting
[boot] reading job

thread 'main' panicked at src/main.rs:1:1:
boom


";

#[test]
fn the_exit_code_and_the_end_of_stderr_are_found() {
    let failure = AmFailure::parse(&died(101, PANIC)).unwrap();
    insta::assert_debug_snapshot!(failure, @r#"
    AmFailure {
        attempts: Some(
            2,
        ),
        attempt: Some(
            ApplicationAttemptId {
                application: ApplicationId {
                    cluster_timestamp: 1795218548822,
                    id: 7,
                },
                attempt: 2,
            },
        ),
        exit_code: Some(
            101,
        ),
        reason: "Container exited with a non-zero exit code 101. Error file: prelaunch.err.",
        stderr: "starting\n[boot] reading job\n\nthread 'main' panicked at src/main.rs:1:1:\nboom",
    }
    "#);
    assert_eq!(
        failure.last_lines(2),
        ["thread 'main' panicked at src/main.rs:1:1:", "boom"]
    );
    assert_eq!(failure.last_lines(100).len(), 5);
}

#[test]
fn a_broken_launch_script_shows_its_own_errors() {
    let failure = AmFailure::parse(&died(2, SYNTAX_ERROR)).unwrap();
    assert_eq!(failure.exit_code, Some(2));
    assert_eq!(
        failure.stderr,
        "/work/launch_container.sh: line 23: syntax error near unexpected token `('"
    );
}

#[test]
fn a_failed_localization_says_which_file() {
    let text = "[2026-11-20 23:49:09.216]Resource hdfs://ns/am changed on src filesystem - expected: 1970-01-01T00:00:12.345, was: 1970-01-01T00:00:00.000\n";
    let failure = AmFailure::parse(&died(-1000, text)).unwrap();
    assert_eq!(failure.exit_code, Some(-1000));
    assert!(
        failure
            .reason
            .starts_with("Resource hdfs://ns/am changed on src filesystem"),
        "{}",
        failure.reason
    );
    assert_eq!(failure.stderr, "");
}

#[test]
fn a_master_that_exits_0_without_unregistering_has_no_reason() {
    let failure = AmFailure::parse(&died(0, "")).unwrap();
    assert_eq!((failure.exit_code, failure.reason.as_str()), (Some(0), ""));
}

#[test]
fn a_master_that_never_registers_timed_out() {
    let text = "Application application_1_0001 failed 1 times due to ApplicationMaster for attempt appattempt_1_0001_000001 timed out. Failing the application.";
    let failure = AmFailure::parse(text).unwrap();
    assert_eq!(failure.attempts, Some(1));
    assert_eq!(failure.exit_code, None);
    assert_eq!(
        failure.reason,
        "ApplicationMaster for attempt appattempt_1_0001_000001 timed out"
    );
}

#[test]
fn other_diagnostics_are_no_failure_of_the_master() {
    for text in [
        "",
        "Application application_1_0001 submitted by user alice to unknown queue: nope",
        "Application application_1_0001 was killed by user alice",
        "AM container is launched, waiting for AM container to Register with RM",
    ] {
        assert_eq!(AmFailure::parse(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn no_diagnostics_make_the_reader_panic(text in any::<String>(), inside in "[ -~\n]{0,200}") {
        let _ = AmFailure::parse(&text);
        let _ = AmFailure::parse(&died(1, &inside));
    }
}
