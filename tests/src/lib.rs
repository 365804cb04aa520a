//! Harness for suites over real processes: a real Hadoop on loopback and our own binary beside it.
//!
//! ```no_run
//! use harness::hadoop::Hadoop;
//! use harness::process::Drawloom;
//! use std::time::Duration;
//!
//! # fn main() -> anyhow::Result<()> {
//! let hadoop = Hadoop::builder().nodes(2).start()?;
//! let listed = Drawloom::new(&hadoop).args(["list"]).run(Duration::from_secs(20))?;
//! assert_eq!(listed.code, Some(0), "{listed}");
//! # Ok(())
//! # }
//! ```
//!
//! Everything the harness starts carries [`processes::MARKER`] in its environment, so that it can be found and ended
//! without a list of process ids: by `Drop`, by `cargo xtask hadoop down`, and by the watchdog when a test is killed.

pub mod application;
pub mod browser;
pub mod cluster;
pub mod embedded;
pub mod hadoop;
pub mod http;
pub mod mode;
pub mod process;
pub mod processes;
pub mod snapshot;
pub mod terminal;
pub mod text;
pub mod user;
pub mod wait;
mod watchdog;
pub mod workspace;
