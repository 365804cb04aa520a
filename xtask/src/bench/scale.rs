//! `cargo xtask bench scale`: one ApplicationMaster and executors that are tasks of one process, on the embedded cluster.

use crate::steps;

/// How many, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Executors; may be repeated
    #[arg(long, default_values_t = [10, 100, 1_000, 10_000])]
    executors: Vec<usize>,
    /// Tasks that do nothing, in each run
    #[arg(long, default_value_t = 1_000_000)]
    tasks: usize,
    /// Seconds of idling over which the ApplicationMaster is watched
    #[arg(long, default_value_t = 20)]
    idle: u64,
}

const TITLE: &str = "| executors | first start to all registered, s | AM CPU until then, s | AM CPU idle, % of a core | \
                     allocate calls/s | AM RSS, MB | tasks | all tasks, s | tasks/s | AM CPU a task, µs |\n\
                     |---|---|---|---|---|---|---|---|---|---|";

/// Measures the start of the embedded cluster that all runs need, and then the curve; each run prints its row.
///
/// # Errors
/// Fails when a run does.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let mut start = steps::example("fast", "drawloom-mini", "start");
    steps::run("start of the embedded cluster", &mut start)?;
    println!("\n{TITLE}");
    for executors in &args.executors {
        let mut run = steps::example("fast", "drawloom-tests", "scale");
        run.args([
            executors.to_string(),
            args.tasks.to_string(),
            args.idle.to_string(),
        ]);
        steps::run(&format!("{executors} executors"), &mut run)?;
    }
    Ok(())
}
