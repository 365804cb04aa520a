//! What clusters do to applications, one scenario a test, on the embedded cluster: processes die and stand still,
//! nodes end, leave and come back, ResourceManagers restart and take over, answers are lost, tokens roll, containers
//! are taken away. In each the job's results are exactly right, nothing is left, and what happened is told.
//!
//! docs/reliability.md lists which scenario is tested where.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod executors;
mod lab;
mod nodes;
mod resource_manager;
mod taken;
