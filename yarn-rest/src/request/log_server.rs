//! Requests to the log server, which keeps the logs of finished applications.

use hadoop::ids::{ApplicationId, ContainerId};

use super::{Built, LogRange, Target, get, get_text};
use crate::auth::Auth;

/// Builds the requests to a JobHistoryServer, which serves the aggregated logs of every kind of
/// YARN application (default port 19888).
#[derive(Debug, Clone)]
pub struct LogServer {
    auth: Auth,
    root: &'static str,
}

impl LogServer {
    /// Requests made for `auth`.
    pub fn new(auth: Auth) -> Self {
        let root = "/ws/v1/history";
        Self { auth, root }
    }

    /// The same of an ApplicationHistoryServer (default port 8188).
    #[must_use]
    pub fn of_application_history(self) -> Self {
        let root = "/ws/v1/applicationhistory";
        Self { root, ..self }
    }

    /// The log files of every container of an application.
    pub fn application_logs(&self, app: ApplicationId) -> Built {
        get(
            &self.auth,
            Target::new(self.root)
                .literal("/aggregatedlogs")
                .query("appid", app),
        )
    }

    /// The log files of a container.
    pub fn container_logs(&self, container: ContainerId) -> Built {
        get(
            &self.auth,
            Target::new(self.root)
                .literal("/containers")
                .segment(container)
                .literal("/logs"),
        )
    }

    /// One log file. Only this path serves it: `/containers/{id}/logs/{file}`, which works at a
    /// NodeManager, is 404 here.
    pub fn container_log(&self, container: ContainerId, file: &str, range: LogRange) -> Built {
        let target = Target::new(self.root)
            .literal("/containerlogs")
            .segment(container)
            .segment(file);
        get_text(&self.auth, target.query_some("size", range.size()))
    }
}
