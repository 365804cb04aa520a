//! Runs seeds; `cargo xtask simulate` is the way to it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Parser;

/// Simulates applications, one a seed, and says which invariant breaks
#[derive(Debug, Parser)]
struct Args {
    /// The first seed; given alone, it is run with a trace
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Goes on after a failure and lists all seeds that failed
    #[arg(long)]
    keep_going: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    std::panic::set_hook(Box::new(|_| {}));
    if args.seeds == 1 {
        replay(args.seed)
    } else {
        many(&args)
    }
}

fn replay(seed: u64) -> ExitCode {
    match simulation::trace(seed) {
        Ok(outcome) => {
            println!("seed {seed}: {outcome:?}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn many(args: &Args) -> ExitCode {
    let mut verdicts: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut steps, mut failed) = (0, 0u64);
    for seed in args.seed..args.seed.saturating_add(args.seeds) {
        match simulation::run(seed) {
            Ok(outcome) => {
                *verdicts.entry(outcome.verdict).or_default() += 1;
                steps += outcome.steps;
            }
            Err(failure) => {
                println!("{failure}\nreplay: cargo xtask simulate --seed {seed}");
                failed += 1;
                if !args.keep_going {
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    println!(
        "{} seeds, {failed} failed, {steps} steps, {verdicts:?}",
        args.seeds
    );
    ExitCode::from(u8::from(failed > 0))
}
