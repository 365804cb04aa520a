//! How many tasks a second the whole path carries: driver, gateway with TLS, two executor processes on this machine,
//! functions that do nothing. Prints one line of JSON; `cargo xtask bench tasks` runs it on an embedded cluster and
//! adds what the processes used.
//!
//! The time is that between the first call and the last, as the calls themselves saw it.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use drawloom::functions::{self, Functions, Stage, TaskContext};

/// Does nothing, and says when.
fn nothing(_: u32, _: &TaskContext) -> Result<u64, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

fn main() -> ExitCode {
    let functions = Functions::builder().function("nothing", nothing).build();
    functions::main(functions, async |session| {
        let tasks = std::env::args()
            .nth(1)
            .map_or(Ok(100_000), |number| number.parse::<u32>())?;
        let job = session
            .job("tasks-per-second")
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
            "{{\"tasks\":{tasks},\"seconds\":{seconds:.3},\"tasks_per_second\":{:.0}}}",
            f64::from(tasks) / seconds
        );
        Ok(())
    })
}
