//! What can go wrong, with the daemons' own words.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

mod remote;

pub use remote::RemoteException;

/// Why a call did not succeed.
///
/// The texts are lower-case fragments for the end of "failed to …: "; words of a daemon are in quotes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No address given answered.
    #[error("no ResourceManager answered: {tried}")]
    Unreachable {
        /// Each address and what became of it.
        tried: Tried,
    },
    /// ResourceManagers answered, and none of them is active.
    #[error("no ResourceManager is active: {tried}")]
    NoActiveResourceManager {
        /// Each address and what it said.
        tried: Tried,
    },
    /// The time for the call is over.
    #[error("no answer within {}: {tried}", Seconds(.after))]
    Deadline {
        /// The time it had.
        after: Duration,
        /// Each address asked before, and what became of it.
        tried: Tried,
    },
    /// 401: the cluster does not know who is asking, or does not believe it.
    #[error("not authenticated: {words}")]
    Unauthorized {
        /// What it said.
        words: RemoteException,
    },
    /// 403: submission over REST is switched off (`yarn.webapp.enable-rest-app-submissions`).
    #[error("submission over REST is switched off on this cluster: {words}")]
    SubmissionDisabled {
        /// What it said.
        words: RemoteException,
    },
    /// 403, or 400 with an `AccessControlException`: the user may not do this.
    #[error("not permitted: {words}")]
    Forbidden {
        /// What it said.
        words: RemoteException,
    },
    /// Status 404. The ResourceManager keeps a limited number of finished applications
    /// (`yarn.resourcemanager.max-completed-applications`) and forgets the others.
    #[error("not found: {words}")]
    NotFound {
        /// What it said.
        words: RemoteException,
    },
    /// 400: the request itself is not acceptable, and will not be next time.
    #[error("refused: {words}")]
    Refused {
        /// What it said.
        words: RemoteException,
    },
    /// Any other status that is not a success. YARN sends 500 or 503 for every exception it has no other
    /// status for, so this is rarely a matter of waiting.
    #[error("the server failed with status {}: {words}", .status.as_u16())]
    Server {
        /// The status.
        status: StatusCode,
        /// What it said.
        words: RemoteException,
    },
    /// A redirect to nowhere, to too many places, or to somewhere a request must not be taken.
    #[error("an unusable redirect from {from}: {reason}")]
    Redirect {
        /// The URL that redirected.
        from: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The answer is not what it should be.
    #[error("an answer that is not {expected}: {source}; it starts with `{excerpt}`")]
    Malformed {
        /// What it should be.
        expected: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
        /// Its first characters.
        excerpt: String,
    },
    /// A log file whose wrapping is not what it should be.
    #[error(transparent)]
    LogFile(#[from] crate::container_log::LogFormatError),
    /// The connection broke while an answer was read.
    #[error("the connection broke while the answer was read: {0}")]
    Interrupted(String),
    /// The request could not be built: a value is far too long.
    #[error("the request cannot be built: {0}")]
    Request(#[from] http::Error),
}

impl Error {
    /// Is it the ResourceManager's word that it does not know the application, the attempt or the
    /// container asked for? (A 404 is also what it makes of any `IOException`.)
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::NotFound { words } => matches!(words.exception.as_str(), "NotFoundException" | ""),
            _ => false,
        }
    }

    /// Might the same call succeed later, with nothing changed by the caller?
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::NoActiveResourceManager { .. }
            | Self::Deadline { .. }
            | Self::Interrupted(_) => true,
            Self::Server { words, .. } => words.is_transient(),
            _ => false,
        }
    }

    /// The error that an answer with this status means; `body` is what came with it.
    pub(crate) fn from_answer(status: StatusCode, body: &[u8]) -> Self {
        let words = RemoteException::parse(body);
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized { words },
            StatusCode::FORBIDDEN if words.is_submission_disabled() => Self::SubmissionDisabled { words },
            StatusCode::FORBIDDEN => Self::Forbidden { words },
            StatusCode::NOT_FOUND => Self::NotFound { words },
            StatusCode::BAD_REQUEST if words.is_denied() => Self::Forbidden { words },
            StatusCode::BAD_REQUEST => Self::Refused { words },
            _ => Self::Server { status, words },
        }
    }

    pub(crate) fn malformed(expected: &'static str, source: serde_json::Error, body: &[u8]) -> Self {
        Self::Malformed {
            expected,
            source,
            excerpt: excerpt(body),
        }
    }
}

/// The first characters of a body, on one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
    text.chars()
        .take(80)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The addresses a call has been sent to, in order, each with what became of it last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tried(pub Vec<(String, String)>);

impl Tried {
    /// Notes what became of a try. An address tried again keeps its place.
    pub(crate) fn note(&mut self, address: &str, outcome: String) {
        match self.0.iter_mut().find(|(known, _)| known == address) {
            Some(entry) => entry.1 = outcome,
            None => self.0.push((address.to_owned(), outcome)),
        }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (address, outcome)) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "; " };
            write!(f, "{separator}{address}: {outcome}")?;
        }
        Ok(())
    }
}

/// A duration for a person: whole seconds, or milliseconds below one.
struct Seconds<'a>(&'a Duration);

impl fmt::Display for Seconds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => write!(f, "{} ms", self.0.as_millis()),
            seconds => write!(f, "{seconds} s"),
        }
    }
}

#[cfg(test)]
mod tests;
