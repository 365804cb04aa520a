//! A soak: jobs whose outputs are checked run one after the other, two at a time, while faults of a seeded order befall
//! the cluster. Whatever happens, every job succeeds with exactly the right output, ends in bounded time, and leaves no
//! process; at the end the ResourceManager holds no container.
//!
//! `cargo xtask soak [--seed N] [--minutes M] [--on mini|hadoop]` runs it for longer than the minute that CI gives it.
//! The seed is printed first; the same seed chooses the same faults in the same order, though not at the same moments
//! of the jobs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "soak/chance.rs"]
mod chance;
#[path = "soak/ground.rs"]
mod ground;
#[path = "soak/stream.rs"]
mod stream;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chance::Chance;
use ground::{Embedded, Ground, Real};
use stream::{Figures, Stream};

/// Streams of jobs that run side by side.
const STREAMS: usize = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs jobs and faults for a while, and gives the figures.
fn soak(ground: &dyn Ground, seed: u64, time: Duration) -> Figures {
    println!("soak: seed {seed}, {time:?}");
    let (end, over) = (Instant::now() + time, AtomicBool::new(false));
    let mut figures = Figures::default();
    thread::scope(|scope| {
        let streams: Vec<_> = (0..STREAMS)
            .map(|number| {
                let seed = seed.wrapping_add(number as u64 + 1);
                let over = &over;
                scope.spawn(move || Stream::new(number, ground, Chance::new(seed)).run(end, over))
            })
            .collect();
        let mut chance = Chance::new(seed);
        while Instant::now() < end && !over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(chance.below(3000) + 500));
            let fault = ground.befall(&mut chance);
            println!(
                "soak: {:>5.1}s {fault}",
                (time - end.saturating_duration_since(Instant::now())).as_secs_f64()
            );
            figures.fault(&fault);
        }
        ground.mend();
        for stream in streams {
            figures.add(
                &stream
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
    });
    ground.assert_empty();
    println!("soak: seed {seed}: {figures}");
    figures
}

#[test]
fn random_faults_change_no_output_and_leave_nothing_on_the_embedded_cluster() {
    let seconds = number("SOAK_SECONDS").unwrap_or(60);
    let figures = soak(&Embedded::new(), seed(), Duration::from_secs(seconds));
    assert!(figures.jobs() > 0, "no job ended");
}

#[test]
#[ignore = "takes minutes: cargo xtask soak --on hadoop"]
fn random_faults_change_no_output_and_leave_nothing_on_a_real_hadoop() {
    let seconds = number("SOAK_SECONDS").unwrap_or(300);
    let figures = soak(&Real::new(), seed(), Duration::from_secs(seconds));
    assert!(figures.jobs() > 0, "no job ended");
}

/// The seed that was given, or one of the time.
fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    number("SOAK_SEED").unwrap_or_else(|| now.unwrap().as_secs())
}
