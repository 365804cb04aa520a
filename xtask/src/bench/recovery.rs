//! `cargo xtask bench recovery`: what the journal costs while nothing is lost, and how long its replay takes.

use crate::steps;

/// How much.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tasks that do nothing, in each run; may be repeated
    #[arg(long, default_values_t = [100_000, 1_000_000])]
    tasks: Vec<usize>,
    /// Executors of one slot, which are tasks of one process
    #[arg(long, default_value_t = 100)]
    executors: usize,
    /// Runs without the journal and with it, in turn
    #[arg(long, default_value_t = 3)]
    pairs: usize,
    /// Finished tasks that are replayed
    #[arg(long, default_value_t = 1_000_000)]
    replayed: usize,
}

const TITLE: &str = "| `am.recovery` | tasks | all tasks, s | tasks/s | AM CPU a task, µs | largest journal, MB | bytes a task | tasks a flush |\n\
                     |---|---|---|---|---|---|---|---|";

/// Runs no-op tasks with and without the journal, each row as it comes, and then the replay.
///
/// # Errors
/// Fails when a run does.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    println!("{TITLE}");
    for tasks in &args.tasks {
        for recovery in std::iter::repeat_n(["off", "on"], args.pairs).flatten() {
            let mut run = steps::example("release", "drawloom-tests", "scale");
            run.env("DRAWLOOM_AM_RECOVERY", recovery);
            run.args([args.executors.to_string(), tasks.to_string()]);
            run.args(["0", "journal"]);
            print!("| {recovery} ");
            steps::run(&format!("{tasks} tasks, recovery {recovery}"), &mut run)?;
        }
    }
    let mut replay = steps::example("release", "drawloom-driver", "replay");
    replay.arg(args.replayed.to_string());
    steps::run("replay", &mut replay)
}
