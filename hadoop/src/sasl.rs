//! SASL as Hadoop RPC uses it, for both ends and without sockets.
//!
//! [`digest`] is the mechanism DIGEST-MD5, which carries every token: the identifier of the token is the user name,
//! its password the password. [`Qop`] says what happens to the bytes afterwards: nothing, signing, or encryption;
//! Hadoop's option `hadoop.rpc.protection` chooses it.
//!
//! ```
//! use hadoop::sasl::Qop;
//!
//! assert_eq!(Qop::parse_protections("privacy,authentication"), Ok(vec![Qop::AuthConf, Qop::Auth]));
//! ```

pub mod digest;
mod qop;

pub use qop::{ParseProtectionError, Qop};
