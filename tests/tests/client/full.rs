//! Where something is written there is no room any more: what can go on does, and what cannot says so.

use harness::process::Drawloom;
use harness::workspace;

use crate::lab::{Lab, STEP};

fn lab() -> Lab {
    Lab::new(|options| options.nodes = 1)
}

/// The command with one of its outputs on a full disk.
fn onto_full_disk(command: Drawloom, output: u8) -> Drawloom {
    let script = format!("exec \"$0\" \"$@\" {output}>/dev/full");
    command.through(&["sh", "-c", &script])
}

#[test]
fn results_that_cannot_be_written_are_an_error_and_words_that_cannot_are_none() {
    let lab = lab();
    let config = onto_full_disk(lab.drawloom(&["config"]), 1).run(STEP).unwrap();
    config.must_end(3, &["error: standard output cannot be written", "No space left"]);
    let wrong = onto_full_disk(lab.drawloom(&["status", "app7"]), 2)
        .run(STEP)
        .unwrap();
    assert_eq!(wrong.code, Some(2), "{wrong}");
    let verbose = ["-vv", "run", "--output", "out", "--", "echo", "done"];
    let run = onto_full_disk(lab.drawloom(&verbose), 2).run(STEP).unwrap();
    assert_eq!(run.code, Some(0), "{run}");
    let result = std::fs::read_to_string(lab.home().join("out/part-00000")).unwrap();
    assert_eq!(result, "done\n");
}

#[test]
fn a_job_succeeds_whose_processes_cannot_write_their_logs() {
    let lab = lab();
    lab.gated("before", 1, 1, 1).succeed();
    let ours = workspace::drawloom();
    lab.replace_binary(&format!("exec {} \"$@\" 2>/dev/full", ours.display()));
    // An executor that is killed has its guard say so.
    let killed = "if [ $DRAWLOOM_TASK_ATTEMPT = 0 ]; then kill -9 $PPID; sleep 5; fi";
    lab.job("unlogged", 1, 2, killed).succeed();
}
