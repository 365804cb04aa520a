//! The ApplicationMaster's session with the ResourceManager.

mod api;
mod pacing;
mod shell;

pub use api::{Ask, AskKey, FinalStatus, GrantSeq, Registration, SessionCommand, SessionEvent};
pub use pacing::Pacing;
pub use shell::{AmSession, SessionClosed, SessionConfig, SessionHandle};
