//! What YARN promises, case by case: the same cases on the embedded cluster and on a real Hadoop 3.4.3.
//!
//! A case is an async function with the fact that it pins (a Hadoop class and what it does). It sees a cluster only
//! through [`lab::Yarn`]. Where the two clusters differ, the embedded one is wrong.
//!
//! `DRAWLOOM_CONFORMANCE=mini` or `=hadoop` runs them on one cluster only; an argument selects by name; `--list` prints
//! the table that `docs/conformance.md` holds, which is checked here.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a case that cannot go on has failed"
)]

mod applications;
mod asks;
mod attempts;
mod case;
mod cluster;
mod containers;
mod environment;
mod files;
mod heartbeats;
mod lab;
mod logs;
mod master;
mod node;
mod proxy;
mod registration;
mod run;
mod state;
mod submission;
mod wire;

use case::Subject;

/// All cases, by subject.
const SUBJECTS: [Subject; 15] = [
    Subject::new("REST: the cluster", cluster::CASES),
    Subject::new("REST: submission", submission::CASES),
    Subject::new("REST: applications", applications::CASES),
    Subject::new("REST: changing applications", state::CASES),
    Subject::new("Hadoop RPC and authentication", wire::CASES),
    Subject::new("registration and end", registration::CASES),
    Subject::new("heartbeats", heartbeats::CASES),
    Subject::new("asks and grants", asks::CASES),
    Subject::new("attempts", attempts::CASES),
    Subject::new("NodeManager calls", node::CASES),
    Subject::new("ends of containers", containers::CASES),
    Subject::new("launch script and environment", environment::CASES),
    Subject::new("localization", files::CASES),
    Subject::new("logs and the NodeManager's REST", logs::CASES),
    Subject::new("the proxy", proxy::CASES),
];

fn main() -> std::process::ExitCode {
    run::main(&SUBJECTS)
}
