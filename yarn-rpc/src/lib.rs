//! Hadoop RPC v9 and the YARN protocols client-RM, AM-RM and AM-NM, without a JVM.

pub mod am_nm;
pub mod am_rm;
pub mod client;
pub mod client_rm;
pub mod connection;
pub mod error;
pub mod proto;
pub mod records;
pub mod session;
