//! Requests to a NodeManager.

use hadoop::ids::ContainerId;

use super::{Built, Target, get, get_text};
use crate::auth::Auth;

/// Builds the requests to the REST API of a NodeManager (default port 8042).
#[derive(Debug, Clone)]
pub struct NodeManager {
    auth: Auth,
}

/// Which part of a log file to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogRange {
    /// All of it.
    #[default]
    All,
    /// The first so many bytes.
    First(u64),
    /// The last so many bytes.
    Last(u64),
}

impl LogRange {
    /// The `size` parameter: positive from the start, negative from the end.
    pub(crate) fn size(self) -> Option<i64> {
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        match self {
            Self::All => None,
            Self::First(bytes) => Some(signed(bytes)),
            Self::Last(bytes) => Some(-signed(bytes)),
        }
    }

    /// How many bytes of a file of `length` bytes the answer holds.
    pub(crate) fn contents_of(self, length: u64) -> u64 {
        match self {
            Self::All => length,
            // A size of 0 is not negative, so it counts from the start: nothing, either way.
            Self::First(bytes) | Self::Last(bytes) => bytes.min(length),
        }
    }
}

const ROOT: &str = "/ws/v1/node";

impl NodeManager {
    /// Requests made for `auth`.
    pub fn new(auth: Auth) -> Self {
        Self { auth }
    }

    /// The containers the node runs now.
    pub fn containers(&self) -> Built {
        get(&self.auth, Target::new(ROOT).literal("/containers"))
    }

    /// One container.
    pub fn container(&self, container: ContainerId) -> Built {
        get(
            &self.auth,
            Target::new(ROOT).literal("/containers").segment(container),
        )
    }

    /// The log files of a container that runs, or that ended while its application runs on.
    pub fn container_logs(&self, container: ContainerId) -> Built {
        get(
            &self.auth,
            Target::new(ROOT)
                .literal("/containers")
                .segment(container)
                .literal("/logs"),
        )
    }

    /// One log file, wrapped in a header and a trailer: see [`container_log`](crate::container_log).
    pub fn container_log(&self, container: ContainerId, file: &str, range: LogRange) -> Built {
        let target = Target::new(ROOT).literal("/containers").segment(container);
        let target = target.literal("/logs").segment(file);
        get_text(&self.auth, target.query_some("size", range.size()))
    }
}
