//! The jobs of `examples/`: each shows a feature, and what it promises in its comments is looked for here, on the
//! embedded cluster and in both modes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::in_both_modes;
use harness::mode::Mode;
use harness::process::{Drawloom, Output};
use harness::user::COMMAND;
use harness::workspace;
use std::fs;
use std::path::PathBuf;

/// Where examples run.
trait Place {
    /// Submits an example and waits for its end.
    fn submit(&self, example: &str) -> Output;
    /// The lines of a result.
    fn lines(&self, path: &str) -> Vec<String>;
}

fn job(example: &str) -> PathBuf {
    workspace::root().join("examples").join(example).join("job.yaml")
}

/// A home without any Hadoop configuration.
struct Newcomer(tempfile::TempDir, Mode);

impl Place for Newcomer {
    fn submit(&self, example: &str) -> Output {
        let (home, job) = (self.0.path(), job(example));
        let quick = ["--conf", "client.poll-interval=200ms"];
        Drawloom::without_cluster(&home.join("client"))
            .env("HOME", home)
            .current_dir(home)
            .args(["submit", "--master", "mini", job.to_str().unwrap()])
            .args(["--deploy-mode", &self.1.to_string()])
            .args(quick)
            .run(COMMAND)
            .unwrap()
    }

    fn lines(&self, path: &str) -> Vec<String> {
        let text = fs::read_to_string(self.0.path().join(path)).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn succeed(place: &impl Place, example: &str) -> Output {
    let output = place.submit(example);
    assert_eq!(output.code, Some(0), "{example}: {output}");
    output
}

/// How many executors were registered at each time that the client said so.
fn executors(output: &Output) -> Vec<u32> {
    let counts = output.stderr.lines().filter_map(|line| {
        let (_, counts) = line.split_once("executors  ")?;
        counts.split_once('/')?.0.trim().parse().ok()
    });
    counts.collect()
}

fn edges_join_stages_task_by_task_or_as_a_whole(place: &impl Place) {
    succeed(place, "dag");
    let story = place.lines("examples/dag/story/part-00000");
    let at = |line: &str| story.iter().position(|other| other == line).unwrap();
    assert!(at("refine 1 begins") < at("extract 0 is done"), "{story:?}");
    assert!(at("extract 0 is done") < at("refine 0 begins"), "{story:?}");
}

fn weights_and_min_shares_decide_as_computed_by_hand(place: &impl Place) {
    succeed(place, "pools");
    let order = place.lines("examples/pools/order/part-00000");
    assert_eq!(order.len(), 16, "{order:?}");
    for wave in [&order[4..8], &order[8..12]] {
        let live = wave.iter().filter(|pool| *pool == "live").count();
        assert_eq!(live, 2, "{order:?}");
    }
}

fn a_copy_saves_the_job_from_a_task_that_hangs(place: &impl Place) {
    succeed(place, "speculation");
    let result = place.lines("examples/speculation/out/part-00005");
    assert_eq!(result, ["task 5, attempt 1"]);
}

fn a_gang_is_together(place: &impl Place) {
    succeed(place, "gang");
    assert_eq!(place.lines("examples/gang/met/part-00000"), ["4 were together"]);
}

fn a_third_attempt_succeeds(place: &impl Place) {
    succeed(place, "retry");
    let result = place.lines("examples/retry/out/part-00001");
    assert_eq!(result, ["task 1 succeeded in attempt 2"]);
}

fn work_moves_away_from_a_bad_executor(place: &impl Place) {
    succeed(place, "exclusion");
    let ran = |part: usize| place.lines(&format!("examples/exclusion/out/part-{part:05}"));
    let all: Vec<_> = (0..12).flat_map(ran).collect();
    assert_eq!(all.len(), 12);
    assert!(
        all.iter().all(|executor| !executor.ends_with("_000002")),
        "{all:?}"
    );
}

fn executors_follow_the_work(place: &impl Place) {
    let output = succeed(place, "elastic");
    let counts = executors(&output);
    let most = counts.iter().copied().max().unwrap();
    assert!(most >= 3, "{counts:?}");
    assert_eq!(counts.last(), Some(&1), "{counts:?}");
}

fn all_examples(place: &impl Place) {
    edges_join_stages_task_by_task_or_as_a_whole(place);
    weights_and_min_shares_decide_as_computed_by_hand(place);
    a_copy_saves_the_job_from_a_task_that_hangs(place);
    a_gang_is_together(place);
    a_third_attempt_succeeds(place);
    work_moves_away_from_a_bad_executor(place);
    executors_follow_the_work(place);
}

in_both_modes!(examples_do_what_they_say_on_the_embedded_cluster);

fn examples_do_what_they_say_on_the_embedded_cluster(mode: Mode) {
    all_examples(&Newcomer(tempfile::tempdir().unwrap(), mode));
}
