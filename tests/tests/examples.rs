//! The jobs of `examples/`: each shows a feature, and what it promises in its comments is looked for here, on a real
//! YARN, where they run side by side, and on the embedded cluster in both modes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::application::{Application, wait_ended};
use harness::hadoop::{Hadoop, Signal};
use harness::in_both_modes;
use harness::mode::Mode;
use harness::process::{Drawloom, Output};
use harness::user::{COMMAND, User};
use harness::{wait, workspace};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Where examples run.
trait Place: Sync {
    /// Submits an example, with more arguments, and waits for its end.
    fn submit(&self, example: &str, more: &[&str]) -> Output;
    /// Where the driver is.
    fn mode(&self) -> Mode;
    /// What to submit with so that no two executors fit on one node.
    fn apart(&self) -> &'static [&'static str];
    /// The lines of a result.
    fn lines(&self, path: &str) -> Vec<String>;
    /// Leaves a file for a job to read.
    fn put(&self, path: &str, text: &str);
}

fn job(example: &str) -> PathBuf {
    workspace::root().join("examples").join(example).join("job.yaml")
}

/// A user of a real YARN.
impl Place for User<'_> {
    fn submit(&self, example: &str, more: &[&str]) -> Output {
        let job = job(example);
        let quick = "client.poll-interval=200ms";
        self.drawloom(["submit", job.to_str().unwrap(), "--conf", quick])
            .args(more)
            .run(COMMAND)
            .unwrap()
    }

    fn mode(&self) -> Mode {
        Mode::Cluster
    }

    fn apart(&self) -> &'static [&'static str] {
        &["--executor-memory", "2300MiB"]
    }

    fn lines(&self, path: &str) -> Vec<String> {
        let text = String::from_utf8(self.get(path).unwrap()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn put(&self, path: &str, text: &str) {
        User::put(self, text, path).unwrap();
    }
}

/// A home without any Hadoop configuration.
struct Newcomer(tempfile::TempDir, Mode);

impl Place for Newcomer {
    fn submit(&self, example: &str, more: &[&str]) -> Output {
        let (home, job) = (self.0.path(), job(example));
        let quick = ["--conf", "client.poll-interval=200ms"];
        Drawloom::without_cluster(&home.join("client"))
            .env("HOME", home)
            .current_dir(home)
            .args(["submit", "--master", "mini", job.to_str().unwrap()])
            .args(["--deploy-mode", &self.1.to_string()])
            .args(quick)
            .args(more)
            .run(COMMAND)
            .unwrap()
    }

    fn mode(&self) -> Mode {
        self.1
    }

    fn apart(&self) -> &'static [&'static str] {
        // Nodes take turns there.
        &[]
    }

    fn lines(&self, path: &str) -> Vec<String> {
        let text = fs::read_to_string(self.0.path().join(path)).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn put(&self, path: &str, text: &str) {
        let file = self.0.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}

fn succeed(place: &dyn Place, example: &str) -> Output {
    succeed_with(place, example, &[])
}

fn succeed_with(place: &dyn Place, example: &str, more: &[&str]) -> Output {
    let output = place.submit(example, more);
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

fn edges_join_stages_task_by_task_or_as_a_whole(place: &dyn Place) {
    succeed(place, "dag");
    let story = place.lines("examples/dag/story/part-00000");
    let at = |line: &str| story.iter().position(|other| other == line).unwrap();
    assert!(at("refine 1 begins") < at("extract 0 is done"), "{story:?}");
    assert!(at("extract 0 is done") < at("refine 0 begins"), "{story:?}");
}

fn weights_and_min_shares_decide_as_computed_by_hand(place: &dyn Place) {
    succeed(place, "pools");
    let order = place.lines("examples/pools/order/part-00000");
    assert_eq!(order.len(), 40, "{order:?}");
    let [live, batch] = ["live", "batch"].map(|pool| times(place, &format!("pools/{pool}"), 20));
    // The first wave is of the job that was planned first. When it is over everything was given away by the rule.
    let first = if live.iter().min() < batch.iter().min() {
        &live
    } else {
        &batch
    };
    let first_wave_over = first[..6].iter().map(|(_, end)| *end).max().unwrap();
    // The more that begins slowly the less is seen at a time; never is more seen than was given away.
    let begins = live.iter().chain(&batch).map(|(begin, _)| *begin);
    for moment in begins.filter(|begin| *begin >= first_wave_over) {
        let ended = |of: &[(u64, u64)]| of.iter().filter(|(_, end)| *end <= moment).count();
        // A pool with nothing left to begin leaves its share to the other.
        if ended(&live) + 2 >= live.len() || ended(&batch) + 4 >= batch.len() {
            continue;
        }
        // Without the min-share it would be one and five, without the weights three and three.
        let shares = (running(&live, moment), running(&batch, moment));
        assert!(shares.0 <= 2 && shares.1 <= 4, "{shares:?}: {live:?} {batch:?}");
    }
}

/// When the tasks of an example's stage began and ended, by what they wrote.
fn times(place: &dyn Place, stage: &str, tasks: usize) -> Vec<(u64, u64)> {
    let times = |part: usize| {
        let line = place.lines(&format!("examples/{stage}/part-{part:05}")).remove(0);
        let mut words = line.split(' ').map_while(|word| word.parse().ok());
        (words.next().unwrap(), words.next().unwrap())
    };
    (0..tasks).map(times).collect()
}

/// How many run at a moment.
fn running(times: &[(u64, u64)], moment: u64) -> usize {
    times
        .iter()
        .filter(|(begin, end)| (*begin..*end).contains(&moment))
        .count()
}

fn a_copy_saves_the_job_from_a_task_that_hangs(place: &dyn Place) {
    // A copy needs another node.
    succeed_with(place, "speculation", place.apart());
    let result = place.lines("examples/speculation/out/part-00005");
    assert_eq!(result, ["task 5, attempt 1"]);
}

fn a_gang_is_together(place: &dyn Place) {
    succeed(place, "gang");
    assert_eq!(place.lines("examples/gang/met/part-00000"), ["4 were together"]);
}

fn a_third_attempt_succeeds(place: &dyn Place) {
    succeed(place, "retry");
    let result = place.lines("examples/retry/out/part-00001");
    assert_eq!(result, ["task 1 succeeded in attempt 2"]);
}

fn work_moves_away_from_a_bad_executor(place: &dyn Place) {
    succeed(place, "exclusion");
    let ran = |part: usize| place.lines(&format!("examples/exclusion/out/part-{part:05}"));
    let all: Vec<_> = (0..12).flat_map(ran).collect();
    assert_eq!(all.len(), 12);
    assert!(
        all.iter().all(|executor| !executor.ends_with("_000002")),
        "{all:?}"
    );
}

/// As many tasks of a stage run at a time as their executor has room for.
fn tasks_share_what_their_executor_has(place: &dyn Place) {
    succeed(place, "resources");
    for (stage, tasks, most) in [("hungry", 4, 2), ("narrow", 4, 4), ("wide", 2, 2)] {
        let times = times(place, &format!("resources/{stage}"), tasks);
        let beside = |(begin, _): &(u64, u64)| running(&times, *begin);
        let busiest = times.iter().map(beside).max().unwrap();
        assert!(busiest <= most, "{stage}: {times:?}");
    }
}

fn executors_follow_the_work(place: &dyn Place) {
    let output = succeed(place, "elastic");
    let counts = executors(&output);
    let most = counts.iter().copied().max().unwrap();
    assert!(most >= 3, "{counts:?}");
    assert_eq!(counts.last(), Some(&1), "{counts:?}");
}

fn a_small_job_runs_beside_its_application_master(place: &dyn Place) {
    succeed(place, "uber");
    let ran = [0, 1].map(|part| {
        place
            .lines(&format!("examples/uber/where/part-{part:05}"))
            .concat()
    });
    let beside = ran.iter().all(|container| container.ends_with("_000001"));
    assert_eq!(beside, place.mode() == Mode::Cluster, "{ran:?}");
}

/// HDFS has spread the files, and every task finds an executor on the node that has its own.
fn tasks_go_to_the_nodes_that_hold_their_input(place: &dyn Place) {
    const FILES: usize = 9;
    for file in 0..FILES {
        place.put(
            &format!("examples/locality/text/{file}.txt"),
            &"a line\n".repeat(1 + file),
        );
    }
    // However long an executor on the right node has no room.
    let patient = ["--conf", "locality.wait=60s"];
    let output = succeed_with(place, "locality", &[place.apart(), &patient].concat());
    let (before, _) = output.stderr.split_once(" attempts near their input").unwrap();
    let counts: Vec<&str> = before.rsplit(' ').take(3).collect();
    // One that was called back from an executor before it began is launched once more.
    assert!(
        counts[0] == counts[2] && counts[0].parse::<usize>().unwrap() >= FILES,
        "{output}"
    );
    println!("locality: {} of {} near", counts[2], counts[0]);
    let line = |file: usize| {
        place
            .lines(&format!("examples/locality/counts/part-{file:05}"))
            .concat()
    };
    let counts: Vec<String> = (0..FILES).map(line).collect();
    for (file, line) in counts.iter().enumerate() {
        assert!(line.contains(&format!(" {} ", file + 1)), "{counts:?}");
    }
}

/// What is looked for, the longest first.
const EXAMPLES: [fn(&dyn Place); 8] = [
    executors_follow_the_work,
    edges_join_stages_task_by_task_or_as_a_whole,
    weights_and_min_shares_decide_as_computed_by_hand,
    work_moves_away_from_a_bad_executor,
    a_gang_is_together,
    tasks_share_what_their_executor_has,
    a_third_attempt_succeeds,
    a_small_job_runs_beside_its_application_master,
];

/// So many examples run at a time: they mostly wait.
const LANES: usize = 3;

/// Runs all of these, some at a time; fails with the first that fails.
fn side_by_side(place: &dyn Place, examples: &[fn(&dyn Place)]) {
    let next = AtomicUsize::new(0);
    let lane = || {
        while let Some(example) = examples.get(next.fetch_add(1, Ordering::Relaxed)) {
            example(place);
        }
    };
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(lane);
        }
    });
}

in_both_modes!(examples_do_what_they_say_on_the_embedded_cluster);

fn examples_do_what_they_say_on_the_embedded_cluster(mode: Mode) {
    let others: [fn(&dyn Place); 1] = [a_copy_saves_the_job_from_a_task_that_hangs];
    let newcomer = Newcomer(tempfile::tempdir().unwrap(), mode);
    side_by_side(&newcomer, &[&others[..], &EXAMPLES].concat());
}

#[test]
fn examples_do_what_they_say_on_yarn() {
    let hadoop = Hadoop::builder()
        .nodes(3)
        .datanodes(3)
        .distinct_hosts(true)
        .start()
        .unwrap();
    let user = User::new(&hadoop, "ada").unwrap();
    // Not at the same time: each wants most of the nodes.
    let apart: [fn(&dyn Place); 1] = [|place| {
        a_copy_saves_the_job_from_a_task_that_hangs(place);
        tasks_go_to_the_nodes_that_hold_their_input(place);
    }];
    side_by_side(&user, &[&apart[..], &EXAMPLES].concat());
    a_small_job_goes_on_when_its_application_master_dies(&user);
    a_program_runs_its_own_functions(&user);
}

/// `client/examples/primes.rs`: the program is staged, and is ApplicationMaster and executors.
fn a_program_runs_its_own_functions(user: &User<'_>) {
    let program = workspace::example("primes");
    let nothing: [&str; 0] = [];
    let output = user.build(&program, nothing).run(COMMAND).unwrap();
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(output.stdout, "283146 primes below 4000000\n");
    Application::of_output(user.hadoop(), &output)
        .unwrap()
        .wait_gone()
        .unwrap();
}

/// The container of a small job is lost with all that runs in it, and the next attempt goes on with what is not done.
fn a_small_job_goes_on_when_its_application_master_dies(user: &User<'_>) {
    let gate = user.gate();
    let job = format!(
        "\
version: 1
name: small
uber: auto
executors: {{ memory: 256MiB, cores: 2 }}
stages:
  - {{ name: first, tasks: 2, shell: 'echo \"$DRAWLOOM_EXECUTOR_ID\"', output: small/first }}
  - {{ name: second, after: [first], tasks: 2, shell: '{}; echo \"$DRAWLOOM_EXECUTOR_ID\"', output: small/second }}
",
        gate.wait()
    );
    let mut client = user.submit(&job, &[]).unwrap();
    let application = Application::submitted_by(user.hadoop(), &mut client).unwrap();
    let both = || gate.arrivals().len() == 2;
    wait::until("both tasks of the second stage", COMMAND, both).unwrap();
    let running = application.processes();
    application.master(1).unwrap().signal(Signal::KILL);
    wait_ended(&running).unwrap();
    gate.open().unwrap();
    let output = client.wait(COMMAND).unwrap();
    output.must_end(0, &["4 of 4 tasks done"]);
    for part in [0, 1] {
        let ran = |stage: &str| Place::lines(user, &format!("small/{stage}/part-{part:05}"));
        assert_eq!(
            ran("first"),
            [application.container(1, 1)],
            "no finished task runs again"
        );
        assert_eq!(ran("second"), [application.container(2, 1)]);
    }
}
