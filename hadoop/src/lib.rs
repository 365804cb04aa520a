//! What every Hadoop client needs before it opens its first socket: configuration, credentials files,
//! SASL DIGEST-MD5, and the names YARN gives to things. No sockets and no async runtime in here.
//!
//! | module | what it is for |
//! |---|---|
//! | [`aggregated_log`] | log files of ended applications, as YARN collects them (TFile) |
//! | [`conf`] | `*-site.xml` files read as Hadoop reads them, each value with its origin; addresses of the ResourceManagers |
//! | [`credentials`] | `container_tokens` files, tokens, and the token a process should use |
//! | [`ids`] | application, attempt, container and node ids: parse, print, order |
//! | [`sasl`] | negotiation and DIGEST-MD5 (auth, auth-int, auth-conf) for both ends |
//! | [`retry`] | how long to wait before the next attempt; the caller does the waiting |
//!
//! Where the ResourceManagers are, according to a configuration directory:
//!
//! ```no_run
//! use hadoop::conf::{Configuration, Location};
//!
//! let env = |name: &str| std::env::var(name).ok();
//! if let Some(location) = Location::find(None, &env)? {
//!     let conf = Configuration::load(&location.dir, &env)?;
//!     for rm in conf.resource_managers()?.client {
//!         println!("{rm}");
//!     }
//! }
//! # Ok::<(), hadoop::conf::ConfError>(())
//! ```

pub mod aggregated_log;
pub mod conf;
pub mod credentials;
pub mod ids;
pub mod retry;
pub mod sasl;
