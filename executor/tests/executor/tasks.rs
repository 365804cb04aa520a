//! Tasks in a real executor process: input, result, commit, failures, limits.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use crate::harness::{Container, eventually, id, is_alive, shell, task, whole};
use wire::failure::{FailureCause, KillReason};
use wire::message::{ExecutorMessage, GatewayMessage};
use wire::task::{Body, Capture, Feed, InputSlice, StageSpec};

fn to_output(container: &Container, script: &str) -> StageSpec {
    StageSpec {
        capture: Capture::Stdout,
        output: Some(container.uri("out")),
        ..shell(script)
    }
}

/// All files of the output directory.
fn output_files(container: &Container) -> Vec<String> {
    let names = |dir| fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<String> = Vec::new();
    for entry in names(container.path("out")) {
        let name = entry.file_name().into_string().unwrap();
        if name == "_temporary" {
            found.extend(names(entry.path()).map(|entry| entry.path().display().to_string()));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn input_goes_in_and_the_result_is_committed() {
    let (container, mut peer) = Container::serving().await;
    fs::write(container.path("a"), "b\na\n").unwrap();
    fs::write(container.path("b"), "c\n").unwrap();
    let inputs = vec![whole(&container.path("a")), whole(&container.path("b"))];
    let report = peer
        .run(to_output(&container, "sort -r; wc -l < $DRAWLOOM_INPUTS"), inputs)
        .await;
    assert_eq!(report.outcome, Ok(()));
    assert_eq!(container.read("out/part-00000"), "c\nb\na\n2\n");
    assert_eq!(output_files(&container), ["part-00000"]);
    assert_eq!((report.metrics.input_bytes, report.metrics.output_bytes), (6, 8));
    assert!(!container.path("drawloom-tasks/1").exists());
}

#[tokio::test]
async fn a_slice_of_lines_is_cut_at_their_ends() {
    let (container, mut peer) = Container::serving().await;
    fs::write(container.path("a"), "first\nsecond\nthird\n").unwrap();
    let slice = InputSlice {
        offset: 2,
        length: 6,
        cut_at_lines: true,
        ..whole(&container.path("a"))
    };
    peer.run(to_output(&container, "cat"), vec![slice])
        .await
        .outcome
        .unwrap();
    assert_eq!(container.read("out/part-00000"), "second\n");
}

#[tokio::test]
async fn bytes_are_passed_on_as_they_are() {
    let (container, mut peer) = Container::serving().await;
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    fs::write(container.path("a"), &bytes).unwrap();
    let inputs = vec![whole(&container.path("a"))];
    peer.run(to_output(&container, "cat"), inputs)
        .await
        .outcome
        .unwrap();
    assert!(fs::read(container.path("out/part-00000")).unwrap() == bytes);
}

#[tokio::test]
async fn a_task_may_stop_reading_early() {
    let (container, mut peer) = Container::serving().await;
    fs::write(container.path("a"), "line\n".repeat(1_000_000)).unwrap();
    let inputs = vec![whole(&container.path("a"))];
    peer.run(to_output(&container, "head -n 1"), inputs)
        .await
        .outcome
        .unwrap();
    assert_eq!(container.read("out/part-00000"), "line\n");
}

#[tokio::test]
async fn an_input_of_zero_bytes_gives_an_empty_result() {
    let (container, mut peer) = Container::serving().await;
    fs::write(container.path("a"), "").unwrap();
    let inputs = vec![whole(&container.path("a"))];
    peer.run(to_output(&container, "cat"), inputs)
        .await
        .outcome
        .unwrap();
    assert_eq!(fs::read(container.path("out/part-00000")).unwrap(), b"");
}

#[tokio::test]
async fn input_can_arrive_as_a_local_file() {
    let (container, mut peer) = Container::serving().await;
    fs::write(container.path("a.txt"), "hello\n").unwrap();
    let stage = StageSpec {
        feed: Feed::File,
        ..to_output(
            &container,
            "cat; cat $DRAWLOOM_INPUT_FILE; echo ${DRAWLOOM_INPUT##*/} $DRAWLOOM_INPUT_LENGTH",
        )
    };
    let inputs = vec![whole(&container.path("a.txt"))];
    peer.run(stage, inputs).await.outcome.unwrap();
    assert_eq!(container.read("out/part-00000"), "hello\na.txt 6\n");
}

#[tokio::test]
async fn a_directory_of_files_can_be_the_result() {
    let (container, mut peer) = Container::serving().await;
    let script = "mkdir $DRAWLOOM_OUTPUT_DIR/sub; echo 1 > $DRAWLOOM_OUTPUT_DIR/one; \
                  echo 2 > $DRAWLOOM_OUTPUT_DIR/sub/two; echo said";
    let stage = StageSpec {
        capture: Capture::Directory,
        ..to_output(&container, script)
    };
    let report = peer.run(stage, Vec::new()).await;
    assert_eq!(report.outcome, Ok(()));
    assert_eq!(container.read("out/part-00000/one"), "1\n");
    assert_eq!(container.read("out/part-00000/sub/two"), "2\n");
    assert_eq!(report.metrics.output_bytes, 4);
    assert_eq!(container.read(&container.log(0, "stdout")), "said\n");
    assert_eq!(output_files(&container), ["part-00000"]);
}

#[tokio::test]
async fn an_attempt_that_may_not_commit_leaves_nothing() {
    let (container, mut peer) = Container::serving().await;
    peer.launch(to_output(&container, "echo x"), vec![task(0, Vec::new())])
        .await;
    peer.decide(false).await;
    let failure = peer.finished().await.outcome.unwrap_err();
    assert_eq!(failure.cause, FailureCause::CommitDenied);
    assert_eq!(output_files(&container), [""; 0]);
}

#[tokio::test]
async fn what_an_earlier_attempt_committed_stands() {
    let (container, mut peer) = Container::serving().await;
    fs::create_dir(container.path("out")).unwrap();
    fs::write(container.path("out/part-00000"), "first\n").unwrap();
    peer.run(to_output(&container, "echo second"), Vec::new())
        .await
        .outcome
        .unwrap();
    assert_eq!(container.read("out/part-00000"), "first\n");
    assert_eq!(output_files(&container), ["part-00000"]);
}

#[tokio::test]
async fn w6_a_commit_that_was_allowed_lands_without_the_master_and_another_one_changes_nothing() {
    let (mut container, mut peer) = Container::serving().await;
    let stage = to_output(&container, "echo result of attempt $DRAWLOOM_TASK_ATTEMPT");
    peer.launch(stage.clone(), vec![task(0, Vec::new())]).await;
    peer.decide(true).await;
    drop(peer);
    container.move_gateway(2).await;
    let mut peer = container.welcome().await;
    assert_eq!(peer.hello().running, [id(0)], "nobody else may run it");
    assert_eq!(peer.finished().await.outcome, Ok(()));
    assert_eq!(container.read("out/part-00000"), "result of attempt 0\n");
    // The next one does not know of the permission and gives it to another attempt.
    let mut again = task(0, Vec::new());
    again.id.attempt = 1;
    peer.launch(stage, vec![again]).await;
    peer.decide(true).await;
    assert_eq!(peer.finished().await.outcome, Ok(()));
    assert_eq!(container.read("out/part-00000"), "result of attempt 0\n");
    assert_eq!(output_files(&container), ["part-00000"]);
}

#[tokio::test]
async fn a_failing_command_is_reported_with_its_last_words() {
    let (container, mut peer) = Container::serving().await;
    let failure = peer
        .fail(
            to_output(&container, "echo half; echo 'no such word' >&2; exit 3"),
            Vec::new(),
        )
        .await;
    assert_eq!(failure.cause, FailureCause::ExitCode(3));
    assert_eq!(failure.stderr_tail, "no such word\n");
    assert_eq!(container.read(&container.log(0, "stderr")), "no such word\n");
    assert_eq!(output_files(&container), [""; 0]);
}

#[tokio::test]
async fn a_command_that_dies_of_a_signal_is_reported_so() {
    let (_container, mut peer) = Container::serving().await;
    let failure = peer.fail(shell("kill -SEGV $$"), Vec::new()).await;
    assert!(
        matches!(failure.cause, FailureCause::Signal { signal: 11, .. }),
        "{failure:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let (container, mut peer) = Container::serving().await;
    fs::write(container.path("plain"), "no script").unwrap();
    let argv = |program: &str| StageSpec {
        body: Body::Argv(vec![program.to_owned()]),
        ..shell("")
    };
    let missing = StageSpec {
        files: vec!["dict.txt".to_owned()],
        ..shell("true")
    };
    let expected = [
        (
            argv("no-such-program"),
            "no such program in PATH=/usr/local/sbin:",
        ),
        (argv("./plain"), "is it named in `files`?"),
        (
            StageSpec {
                files: vec!["plain".to_owned()],
                ..argv("./plain")
            },
            "run chmod +x",
        ),
        (missing, "dict.txt of files was not localized"),
    ];
    for (stage, text) in expected {
        let failure = peer.fail(stage, Vec::new()).await;
        assert!(
            matches!(&failure.cause, FailureCause::StartFailed(why) if why.contains(text)),
            "{failure:?}"
        );
        let sequences = (1..9).collect();
        peer.send(GatewayMessage::Acknowledge { sequences }).await;
    }
}

#[tokio::test]
async fn an_input_that_is_not_there_or_too_short_fails_the_task() {
    let (container, mut peer) = Container::serving().await;
    fs::write(container.path("short"), "abc").unwrap();
    let gone = InputSlice {
        uri: container.uri("gone"),
        ..whole(&container.path("short"))
    };
    let failure = peer.fail(to_output(&container, "cat"), vec![gone]).await;
    assert!(
        matches!(&failure.cause, FailureCause::InputFailed { uri, .. } if uri.ends_with("/gone")),
        "{failure:?}"
    );
    peer.send(GatewayMessage::Acknowledge { sequences: vec![1] })
        .await;
    let longer = InputSlice {
        length: 10,
        ..whole(&container.path("short"))
    };
    let failure = peer.fail(to_output(&container, "cat"), vec![longer]).await;
    let expected = "it had 10 bytes when the job was planned and has 3 now";
    assert!(
        matches!(&failure.cause, FailureCause::InputFailed { message, .. } if message == expected),
        "{failure:?}"
    );
    assert_eq!(output_files(&container), [""; 0]);
}

#[tokio::test]
async fn a_task_above_its_timeout_is_ended_with_all_its_processes() {
    let (container, mut peer) = Container::serving().await;
    let script = format!("sleep 1000 & echo $! > {}; wait", container.path("pid").display());
    // Long enough for a shell on a busy machine.
    let limit = Duration::from_secs(6);
    let failure = peer
        .fail(
            StageSpec {
                timeout: Some(limit),
                ..shell(&script)
            },
            Vec::new(),
        )
        .await;
    assert_eq!(failure.cause, FailureCause::Timeout(limit));
    let pid: i32 = container.read("pid").trim().parse().unwrap();
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_cancelled_task_gets_its_grace() {
    let (container, mut peer) = Container::serving().await;
    let script = "trap 'echo ended in peace >&2; exit 0' TERM; echo ready >&2; while :; do sleep 0.05; done";
    peer.start(shell(script)).await;
    let log = container.log(0, "stderr");
    eventually("the trap", || {
        container.read(&log).contains("ready").then_some(())
    });
    let reason = KillReason::OtherAttemptWon;
    peer.send(GatewayMessage::Cancel {
        id: id(0),
        reason,
        grace: Duration::from_secs(30),
    })
    .await;
    let failure = peer.finished().await.outcome.unwrap_err();
    assert_eq!(failure.cause, FailureCause::Killed(reason));
    assert!(failure.stderr_tail.ends_with("ended in peace\n"), "{failure:?}");
}

#[tokio::test]
async fn a_cancelled_task_that_does_not_listen_is_killed() {
    let (_container, mut peer) = Container::serving().await;
    let pid = peer
        .start(shell("trap '' TERM; while :; do sleep 0.05; done"))
        .await;
    let reason = KillReason::StageEnded;
    peer.send(GatewayMessage::Cancel {
        id: id(0),
        reason,
        grace: Duration::from_millis(100),
    })
    .await;
    assert_eq!(
        peer.finished().await.outcome.unwrap_err().cause,
        FailureCause::Killed(reason)
    );
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_task_above_its_memory_is_ended() {
    let (_container, mut peer) = Container::serving().await;
    let limit = 60 << 20;
    // `tail` keeps a line without end in memory.
    let script = "tail < <(head -c 300M /dev/zero; sleep 1000)";
    peer.launch(
        StageSpec {
            memory_limit: Some(limit),
            ..shell(script)
        },
        vec![task(0, Vec::new())],
    )
    .await;
    let report = peer.finished().await;
    let FailureCause::MemoryLimit {
        limit: reported,
        peak,
    } = report.outcome.unwrap_err().cause
    else {
        panic!("another cause");
    };
    assert!(reported == limit && peak > limit);
    assert_eq!(report.metrics.peak_resident, peak);
}

#[tokio::test]
async fn a_flood_on_standard_error_fills_no_disk() {
    let (container, mut peer) = Container::serving().await;
    let script =
        "echo begin >&2; head -c 200M /dev/zero | tr '\\0' 'x' >&2; echo >&2; echo the end >&2; exit 1";
    let failure = peer.fail(shell(script), Vec::new()).await;
    assert_eq!(failure.cause, FailureCause::ExitCode(1));
    assert!(failure.stderr_tail.ends_with("the end\n") && failure.stderr_tail.len() <= 4096);
    let log = fs::read(container.path(&container.log(0, "stderr"))).unwrap();
    assert!(log.len() < (64 << 20) + 200, "{}", log.len());
    assert!(log.starts_with(b"begin\n") && log.ends_with(b"\nthe end\n"));
    assert_eq!(
        fs::read_dir(container.path("logs")).unwrap().count(),
        3,
        "stdout, stderr, the task's log"
    );
}

#[tokio::test]
async fn what_a_task_leaves_behind_is_ended() {
    let (container, mut peer) = Container::serving().await;
    let file = |name: &str| container.path(name).display().to_string();
    let script = format!(
        "sleep 1000 >/dev/null 2>&1 & echo $! > {}; \
         setsid sh -c 'echo $$ > {}; exec sleep 1000' >/dev/null 2>&1 </dev/null & \
         (cd /; setsid sh -c 'echo $$ > {}; exec sleep 1000' >/dev/null 2>&1 </dev/null &) ; \
         until [ -s {1} ] && [ -s {2} ]; do sleep 0.01; done; echo done",
        file("one"),
        file("two"),
        file("three")
    );
    let report = peer.run(to_output(&container, &script), Vec::new()).await;
    assert_eq!(report.outcome, Ok(()));
    assert_eq!(container.read("out/part-00000"), "done\n");
    for name in ["one", "two", "three"] {
        let pid: i32 = container.read(name).trim().parse().unwrap();
        assert!(!is_alive(pid), "{name}");
    }
}

#[tokio::test]
async fn of_many_short_commands_on_all_slots_each_succeeds_in_a_directory_of_its_own() {
    let (container, mut peer) = Container::serving().await;
    let number = 200;
    // Each second one leaves something behind that the next one must not find.
    let script = "[ \"$(ls -A . tmp | tr -s '\\n' ' ')\" = '.: tmp tmp: ' ] || { ls -A . tmp >&2; exit 9; }; \
                  [ $((DRAWLOOM_TASK % 2)) = 0 ] || echo x > tmp/file";
    let tasks = (0..number).map(|partition| task(partition, Vec::new())).collect();
    peer.launch(shell(script), tasks).await;
    for _ in 0..number {
        assert_eq!(peer.finished().await.outcome, Ok(()));
    }
    let waiting = fs::read_dir(container.path("drawloom-tasks")).unwrap().count();
    assert!(waiting <= 2, "{waiting} directories wait");
}

#[tokio::test]
async fn what_runs_on_in_the_background_may_finish_the_result() {
    let (container, mut peer) = Container::serving().await;
    let script = "printf 'b\\na\\n' > >(sleep 0.3; sort)";
    peer.run(to_output(&container, script), Vec::new())
        .await
        .outcome
        .unwrap();
    assert_eq!(container.read("out/part-00000"), "a\nb\n");
}

#[tokio::test]
async fn usage_is_measured() {
    let (_container, mut peer) = Container::serving().await;
    let script = "n=0; while [ $n -lt 200000 ]; do n=$((n+1)); done; sleep 0.3; echo said >&2";
    let report = peer.run(shell(script), Vec::new()).await;
    let metrics = report.metrics;
    assert!(metrics.cpu_user > Duration::from_millis(20), "{metrics:?}");
    assert!(
        metrics.wall >= metrics.cpu_user && metrics.peak_resident > 1 << 20,
        "{metrics:?}"
    );
    assert_eq!(metrics.stderr_bytes, 5);
}

#[tokio::test]
async fn a_process_that_hid_well_is_ended_when_no_task_runs() {
    let (container, mut peer) = Container::serving().await;
    let file = container.path("pid").display().to_string();
    let script = format!(
        "(cd /; env -i setsid /bin/sh -c '(exec sleep 1000) </dev/null >/dev/null 2>&1 & echo $! > {file}'); \
         until [ -s {file} ]; do sleep 0.01; done"
    );
    peer.run(shell(&script), Vec::new()).await.outcome.unwrap();
    let pid: i32 = container.read("pid").trim().parse().unwrap();
    eventually("its end", || (!is_alive(pid)).then_some(()));
}

#[tokio::test]
async fn a_task_gets_nothing_but_its_three_streams_and_usual_signals() {
    let (container, mut peer) = Container::serving().await;
    let stage = StageSpec {
        body: Body::Argv(vec!["ls".to_owned(), "/proc/self/fd".to_owned()]),
        ..to_output(&container, "")
    };
    peer.run(stage, Vec::new()).await.outcome.unwrap();
    // What this process lets through is not the executor's doing.
    let here = Command::new("ls").arg("/proc/self/fd").output().unwrap();
    assert_eq!(
        container.read("out/part-00000"),
        String::from_utf8(here.stdout).unwrap()
    );
    peer.send(GatewayMessage::Acknowledge { sequences: vec![1] })
        .await;
    fs::remove_dir_all(container.path("out")).unwrap();
    let script = r"yes | head -n 1; sed -n 's/^Sig\(Ign\|Blk\):.*\(....\)$/\1 \2/p' /proc/self/status";
    peer.run(to_output(&container, script), Vec::new())
        .await
        .outcome
        .unwrap();
    assert_eq!(container.read("out/part-00000"), "y\nBlk 0000\nIgn 0000\n");
}

#[tokio::test]
async fn a_localized_script_is_run_by_its_name() {
    let (container, mut peer) = Container::serving().await;
    fs::write(
        container.path("count.sh"),
        "#!/bin/sh\necho $0 $1 $(cat dict.txt)\n",
    )
    .unwrap();
    fs::set_permissions(container.path("count.sh"), PermissionsExt::from_mode(0o500)).unwrap();
    fs::write(container.path("dict.txt"), "words").unwrap();
    let stage = StageSpec {
        body: Body::Argv(vec!["./count.sh".to_owned(), "a b".to_owned()]),
        files: vec!["count.sh".to_owned(), "dict.txt".to_owned()],
        ..to_output(&container, "")
    };
    peer.run(stage, Vec::new()).await.outcome.unwrap();
    assert_eq!(container.read("out/part-00000"), "./count.sh a b words\n");
}

#[tokio::test]
async fn what_a_command_counts_is_in_its_report_and_what_it_says_in_heartbeats() {
    let (container, mut peer) = Container::serving().await;
    let script = format!(
        "echo progress 0.25 >> $DRAWLOOM_PROGRESS; echo status reading >> $DRAWLOOM_PROGRESS
         while [ ! -e {} ]; do sleep 0.05; done
         echo counter rows bad 3 >> $DRAWLOOM_PROGRESS; echo counter rows bad 4 >> $DRAWLOOM_PROGRESS
         echo reporter:counter:streaming,lines,5 >&2",
        container.path("go").display()
    );
    peer.launch(shell(&script), vec![task(0, Vec::new())]).await;
    let said = |message: &ExecutorMessage| match message {
        ExecutorMessage::Heartbeat(heartbeat) => {
            let task = heartbeat.running.first()?;
            (!task.status.is_empty()).then(|| (task.progress, task.status.clone()))
        }
        _ => None,
    };
    assert_eq!(peer.until(said).await, (0.25, "reading".to_owned()));
    fs::write(container.path("go"), "").unwrap();
    let report = peer.finished().await;
    let counters = report.counters.into_iter();
    let counted: Vec<_> = counters
        .map(|counter| (counter.group, counter.name, counter.value))
        .collect();
    let expected = [("rows", "bad", 7), ("streaming", "lines", 5)];
    assert_eq!(
        counted,
        expected.map(|(group, name, value)| (group.to_owned(), name.to_owned(), value))
    );
}
