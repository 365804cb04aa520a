//! How many tasks a second the whole path carries: driver, gateway with TLS, two executor processes on this machine,
//! functions that do nothing. Prints one line of JSON; `cargo xtask bench scheduler` runs it.
//!
//! The time is that between the first call and the last, as the calls themselves saw it; processor time is that of
//! the ApplicationMaster and all executors from their start to their end.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use drawloom::cli::Master;
use drawloom::functions::{self, Functions, Stage, TaskContext};

/// Does nothing, and says when.
fn nothing(_: u32, _: &TaskContext) -> Result<u64, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

/// Processor time of all processes that this one has started and waited for, in seconds.
fn spent_by_children() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(13)
        .take(2)
        .filter_map(|field| field.parse().ok())
        .collect();
    fields.iter().sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64
}

fn main() -> ExitCode {
    let functions = Functions::builder().function("nothing", nothing).build();
    functions::main(functions, async |session| {
        let tasks = std::env::args()
            .nth(1)
            .map_or(Ok(100_000), |number| number.parse::<u32>())?;
        let job = session
            .job("tasks-per-second")
            .master(Master::Mini)
            .executors(2)
            .executor_cores(2)
            .executor_memory("256MiB")
            .conf("scheduler.min-registered-ratio", "1")
            .stage(Stage::new("nothing", "nothing", 0..tasks));
        let done = job.submit().await?.wait().await?;
        let times = done.results::<u64>("nothing")?;
        let (first, last) = (times.iter().min(), times.iter().max());
        let seconds = first.zip(last).map_or(0, |(first, last)| last - first) as f64 / 1e6;
        println!(
            "{{\"tasks\":{tasks},\"executors\":2,\"slots\":4,\"seconds\":{seconds:.3},\"tasks_per_second\":{:.0},\"cpu_us_per_task\":{:.1}}}",
            f64::from(tasks) / seconds,
            spent_by_children() * 1e6 / f64::from(tasks),
        );
        Ok(())
    })
}
