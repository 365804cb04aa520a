//! The `drawloom` command as a library: reading jobs, submitting them to YARN, watching them.
//!
//! - [`job`]: the job file, read and checked as a whole.
//! - [`settings`]: every setting, its layers and its origin.

pub mod job;
pub mod settings;
