//! Errors as `GenericExceptionHandler` answers them.

use serde_json::json;

use crate::http_server::Answer;

/// An error with its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RestError {
    status: u16,
    exception: &'static str,
    package: &'static str,
    message: String,
}

const WEBAPP: &str = "org.apache.hadoop.yarn.webapp";

impl RestError {
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            exception: "BadRequestException",
            package: WEBAPP,
            message: message.into(),
        }
    }

    /// A body that Jersey cannot read.
    pub(super) fn unreadable(message: impl Into<String>) -> Self {
        Self {
            exception: "WebApplicationException",
            package: "javax.ws.rs",
            ..Self::bad_request(message)
        }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self {
            status: 404,
            exception: "NotFoundException",
            package: WEBAPP,
            message: message.into(),
        }
    }

    /// Whatever else goes wrong in the daemon is a 503.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self {
            status: 503,
            exception: "UndeclaredThrowableException",
            package: "java.lang.reflect",
            message: message.into(),
        }
    }

    pub(super) fn answer(&self) -> Answer {
        let body = json!({"RemoteException": {
            "exception": self.exception,
            "message": format!("java.lang.Exception: {}", self.message),
            "javaClassName": format!("{}.{}", self.package, self.exception),
        }});
        Answer::json(self.status, body.to_string())
    }
}

/// What handlers give.
pub(super) type Outcome = Result<Answer, RestError>;

/// The answer to a request, error or not.
pub(super) fn answered(outcome: Outcome) -> Answer {
    outcome.unwrap_or_else(|error| error.answer())
}
