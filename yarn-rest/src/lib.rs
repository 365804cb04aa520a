//! A client of the REST APIs of YARN's ResourceManager, NodeManager and log server.
//!
//! It speaks to Hadoop 3.3, 3.4 and 3.5, with what these releases really answer: numbers as texts, lists of
//! one as objects, repeated keys, standby redirects with and without a `Location`, log files in wrapping.
//!
//! ```no_run
//! use yarn_rest::{Auth, Client, Resource, SubmissionContext, Verdict};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! // Once per process; reqwest asks for it even for http addresses.
//! rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
//!
//! let client = Client::builder(Auth::simple("alice"))
//!     .resource_manager("rm1.example.com:8088")
//!     .resource_manager("rm2.example.com:8088")
//!     .build()?;
//!
//! let id = client.new_application().await?.application_id;
//! let mut app = SubmissionContext::new(id);
//! app.name = "hello".to_owned();
//! app.resource = Resource::new(256, 1);
//! app.container.commands = vec!["./hello 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr".to_owned()];
//! client.submit(&app).await?;
//!
//! let verdict = loop {
//!     let report = client.application(id).await?;
//!     match report.final_verdict() {
//!         Some(verdict) => break verdict,
//!         None => tokio::time::sleep(std::time::Duration::from_secs(1)).await,
//!     }
//! };
//! assert_eq!(verdict, Verdict::Succeeded);
//! # Ok(())
//! # }
//! ```
//!
//! # Parts
//!
//! | module | what |
//! |---|---|
//! | [`request`] | every call as a pure function to an [`http::Request`]; use them with any HTTP client |
//! | [`model`] | what the daemons answer, read leniently |
//! | [`SubmissionContext`] | the body of a submission, and what can be wrong with it |
//! | [`launch_script`] | values that a NodeManager's launch script would not carry |
//! | [`container_log`] | log files out of their wrapping, as a stream |
//! | [`AmFailure`], [`Verdict`], [`Phase`] | what reports mean for a person |
//! | [`Client`], [`NodeClient`], [`LogServerClient`] | the thin shell: addresses in turn, redirects, deadlines |
//!
//! Everything but the clients is pure. [`Error`] carries the daemons' own words, in quotes.

pub mod container_log;
pub mod launch_script;
pub mod model;
pub mod request;

mod auth;
mod client;
mod diagnostics;
mod error;
mod lenient;
mod submission;
mod time;
mod verdict;

pub use auth::Auth;
pub use client::{BuildError, Client, ClientBuilder, KillProgress, LogReader, LogServerClient, NodeClient};
pub use diagnostics::AmFailure;
pub use error::{Error, RemoteException, Tried};
pub use model::{AppReport, AppState, FinalStatus, NewApplication, Resource};
pub use submission::{
    AclKind, Credentials, LaunchContext, LocalResource, LocalResourceKind, LogAggregation, SecretBytes,
    SecretText, SubmissionContext, SubmissionProblem, Visibility,
};
pub use verdict::{Phase, Verdict};

/// So that the README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
