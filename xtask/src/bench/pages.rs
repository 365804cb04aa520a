//! `cargo xtask bench pages`: what pages and answers take when many tasks are done.

use crate::steps;

/// How many.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tasks that do nothing, in each run; may be repeated
    #[arg(long, default_values_t = [1_000, 100_000])]
    tasks: Vec<usize>,
    /// Executors of one slot, which are tasks of one process
    #[arg(long, default_value_t = 10)]
    executors: usize,
}

const TITLE: &str = "| page | bytes | median, ms | longest, ms |\n|---|---|---|---|";
/// Asks for each page some times through the proxy of the embedded cluster.
///
/// # Errors
/// Fails when a run does.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    for tasks in &args.tasks {
        println!("\n{TITLE}");
        let mut run = steps::example("fast", "drawloom-tests", "scale");
        run.args([args.executors.to_string(), tasks.to_string()]);
        run.args(["0", "pages"]);
        steps::run(&format!("{tasks} tasks"), &mut run)?;
    }
    Ok(())
}
