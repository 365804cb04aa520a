//! The short run of every commit; `cargo xtask simulate` makes longer ones.

use simulation::{run, trace};

/// About ten seconds of a debug build.
const SEEDS: u64 = 800;

#[test]
fn seeds_keep_the_invariants() {
    let failed: Vec<_> = (1..=SEEDS).filter_map(|seed| run(seed).err()).collect();
    let texts: Vec<_> = failed.iter().map(ToString::to_string).collect();
    assert!(
        failed.is_empty(),
        "replay with `cargo xtask simulate --seed N`:\n{}",
        texts.join("\n")
    );
}

#[test]
fn a_seed_gives_the_same_effects_every_time() {
    for seed in 1..=10 {
        assert_eq!(trace(seed).unwrap(), trace(seed).unwrap(), "seed {seed}");
    }
}

#[test]
fn seeds_differ() {
    let (first, second) = (trace(1).unwrap(), trace(2).unwrap());
    assert_ne!(first.digest, second.digest);
}
