//! Counts primes on a cluster: a job of Rust functions.
//!
//! ```text
//! cargo run --release --example primes               # on an embedded cluster, when there is no Hadoop configuration
//! HADOOP_CONF_DIR=/etc/hadoop/conf ./primes          # on YARN; the program itself is all that is staged
//! ```

use std::process::ExitCode;

use drawloom::functions::{self, Functions, Stage, TaskContext};

/// How many numbers one task looks at.
const PART: u64 = 100_000;

/// How many primes are in a part, counted the slow way.
fn count_primes((from, to): (u64, u64), task: &TaskContext) -> Result<u64, String> {
    let mut primes = 0;
    for number in from.max(2)..to {
        if number.is_multiple_of(1024) {
            task.progress((number - from) as f32 / (to - from) as f32);
            if task.is_cancelled() {
                return Err("cancelled".to_owned());
            }
        }
        let limit = number.isqrt();
        primes += u64::from((2..=limit).all(|divisor| !number.is_multiple_of(divisor)));
    }
    task.count(
        "numbers",
        "looked at",
        i64::try_from(to - from).unwrap_or(i64::MAX),
    );
    Ok(primes)
}

fn main() -> ExitCode {
    let functions = Functions::builder()
        .function("count-primes", count_primes)
        .build();
    functions::main(functions, async |session| {
        let parts = (0..40).map(|part| (part * PART, (part + 1) * PART));
        let job = session
            .job("primes")
            .executors(2)
            .executor_cores(2)
            .executor_memory("256MiB")
            .stage(Stage::new("count", "count-primes", parts));
        let done = job.submit().await?.wait().await?;
        let primes: u64 = done.results::<u64>("count")?.iter().sum();
        println!("{primes} primes below {}", 40 * PART);
        Ok(())
    })
}
