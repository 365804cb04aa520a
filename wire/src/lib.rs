//! What the processes of one application say to each other: ids, typed failures, the executor protocol,
//! the messages between driver and launcher, and the rules of versions.
//!
//! This crate is a leaf and does no input or output: it turns values into bytes and back.
//!
//! - [`id`]: executors, task attempts, epochs, boot nonces; each prints and parses.
//! - [`endpoint`]: where an attempt's ApplicationMaster is, for executors that have lost theirs.
//! - [`environment`]: names of what a container of the application finds when it starts.
//! - [`failure`]: every cause a task or an executor can fail of, and whether it counts.
//! - [`task`]: what an executor needs to run a task.
//! - [`message`]: the frames between executor and gateway, as values.
//! - [`frame`]: those values as bytes: a length, then protocol buffers; tolerant of any split.
//! - [`launcher`]: the one message type between driver and launcher.
//! - [`version`]: which peers understand each other.
//! - [`security`]: keys of one application and the TLS configurations made of them (features `tls`, `issue`).
//!
//! Typed values survive the wire: each variant of each enum has a round-trip test.

pub mod amounts;
pub mod endpoint;
pub mod environment;
pub mod failure;
pub mod frame;
pub mod id;
pub mod launcher;
pub mod message;
#[cfg(feature = "tls")]
pub mod security;
pub mod task;
pub mod version;

mod convert;

/// Generated from `proto/executor.proto` by `cargo xtask codegen`.
#[expect(unreachable_pub, reason = "generated code")]
#[rustfmt::skip]
mod proto {
    include!("proto/drawloom.executor.v1.rs");
}
