//! Jobs with the real executable, over an embedded cluster: their processes die, and what must hold is looked at.
//!
//! The executable is the one that `DRAWLOOM_BIN` names or the workspace's target directory has.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bench;
mod client_mode;
mod every_record;
mod lost_masters;
mod windows;
