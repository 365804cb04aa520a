//! Processes started and waited for, and nothing else.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Outcome;

/// How long.
const TIME: Duration = Duration::from_secs(4);
/// As many variables as a task has.
const VARIABLES: u32 = 30;

/// How many `true` a second so many threads start and wait for: in a process group and with an environment of their
/// own and with pipes, as an executor does.
pub(crate) fn spawned_per_second(threads: u32) -> Outcome<f64> {
    let (over, count) = (AtomicBool::new(false), AtomicU32::new(0));
    let begun = Instant::now();
    let worked = thread::scope(|scope| {
        let work = || -> std::io::Result<()> {
            while !over.load(Ordering::Relaxed) {
                spawn()?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        thread::sleep(TIME);
        over.store(true, Ordering::Relaxed);
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or(Ok(())))
            .collect::<Result<Vec<_>, _>>()
    });
    worked?;
    Ok(f64::from(count.load(Ordering::Relaxed)) / begun.elapsed().as_secs_f64())
}

fn spawn() -> std::io::Result<()> {
    let mut command = Command::new("/usr/bin/true");
    command
        .arg0("true")
        .env_clear()
        .envs((0..VARIABLES).map(|number| (format!("VARIABLE_{number}"), "a value of some length")))
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn()?.wait().map(drop)
}
