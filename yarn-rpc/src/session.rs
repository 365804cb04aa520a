//! The ApplicationMaster's session with the ResourceManager.

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
