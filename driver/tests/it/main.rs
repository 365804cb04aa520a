//! The driver through its public face: behaviours one by one, and whole runs in random order.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod commit;
mod counters;
mod drain;
mod elastic;
mod exclusion;
mod failures;
mod history;
mod journal;
mod lists;
mod liveness;
mod needs;
mod outputs;
mod placement;
mod pools;
mod prefetch;
mod purity;
mod random;
mod rig;
mod rules;
mod special;
mod stages;
mod suspicion;
mod world;
