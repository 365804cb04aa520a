//! The driver through its public face: behaviours one by one, and whole runs in random order.

mod commit;
mod failures;
mod liveness;
mod random;
mod rig;
mod stages;
mod world;
