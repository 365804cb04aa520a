//! Messages as they travel, generated from `proto/*.proto` of this crate by `cargo xtask codegen`.
//!
//! Programs use [`crate::records`]; these are public for servers that speak the same protocols, such as test clusters.

/// Headers, SASL and tokens of Hadoop RPC.
#[expect(missing_docs, reason = "generated; documented where the name does not say it")]
pub mod common {
    include!("proto/hadoop.common.rs");
}

/// YARN's records, requests and responses.
#[expect(missing_docs, reason = "generated; documented where the name does not say it")]
pub mod yarn {
    include!("proto/hadoop.yarn.rs");
}
