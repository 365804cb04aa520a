//! The ApplicationMaster's session with the ResourceManager: what a program must do to stay one.
//!
//! [`SessionMachine`] is the whole of it, pure: commands, answers and time in; calls, tokens and events out.
//! [`AmSession`] runs it as a task over a real connection. The machine owns everything the ResourceManager may ask
//! to hear again: asks, releases, blacklist, progress, verdict.
//!
//! What it takes care of, and what goes wrong without:
//!
//! - **One heartbeat at a time**, numbered. After a lost answer the *same* request goes out again: if the first one
//!   had arrived, the ResourceManager answers from memory and ignores what a changed request would say.
//! - **Counts are absolute.** A count sent after a grant, but computed before, asks for the granted containers
//!   again. Counts are lowered here as grants arrive, and [`SessionCommand::SetAsk`] says what it was computed from.
//! - **Restart or failover of the ResourceManager**: registers again and sends everything outstanding; grants that
//!   were not started are void, are never reported as such, and are asked for again.
//! - **Tokens** of NodeManagers arrive once and before their containers; the AMRM token rolls while the present
//!   connection goes on with the old one.
//! - **One bad ask fails the whole heartbeat**: it is found, reported and removed.
//! - **The end** is repeated until the ResourceManager has stored it; otherwise a failover would start the
//!   application again.
//!
//! Invariants: at most one call is under way; an end of a container is told once; after
//! [`SessionEvent::Unregistered`] or [`SessionEvent::Superseded`] nothing more happens.
//!
//! ```
//! use std::time::Duration;
//! use yarn_rpc::session::{Identity, Pacing, SessionCall, SessionEffect, SessionInput, SessionMachine};
//!
//! let identity = Identity { host: "worker7".into(), rpc_port: None, tracking_url: None };
//! let mut session = SessionMachine::new(identity, Pacing::default());
//! let mut effects = Vec::new();
//! session.handle(Duration::ZERO, SessionInput::Timer, &mut effects);
//! assert!(matches!(&effects[..], [SessionEffect::Call(SessionCall::Register(_))]));
//! assert_eq!(session.next_deadline(), None, "nothing to do before the answer");
//! ```

mod answer;
mod api;
mod asks;
mod blacklist;
mod containers;
mod machine;
mod pacing;
mod request;
mod shell;

pub use api::{Ask, AskKey, FinalStatus, GrantSeq, Registration, SessionCommand, SessionEvent};
pub use machine::{Identity, SessionAnswer, SessionEffect, SessionInput, SessionMachine};
pub use pacing::Pacing;
pub use request::SessionCall;
pub use shell::{AmSession, SessionClosed, SessionConfig, SessionHandle};

#[cfg(test)]
mod tests;
