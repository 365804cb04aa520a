//! What can go wrong with a call, and what each failure means for the caller.

use crate::connection::ProtocolError;
use std::fmt;
use std::io;
use std::time::Duration;

/// A Java exception of the other side that callers act upon, recognised by its class name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RemoteKind {
    /// The ResourceManager restarted or failed over: register again.
    ApplicationMasterNotRegistered,
    /// The request does not fit the attempt's state (wrong response id, registered twice, unknown application).
    InvalidApplicationMasterRequest,
    /// The attempt is over, or a later one has taken its place.
    ApplicationAttemptNotFound,
    /// The ResourceManager does not know the application (any more).
    ApplicationNotFound,
    /// The NodeManager or ResourceManager does not know the container.
    ContainerNotFound,
    /// An ask is above the maximum, negative or malformed. The whole call had no effect.
    InvalidResourceRequest,
    /// A blacklist entry is refused. The whole call had no effect.
    InvalidBlacklistRequest,
    /// A release names a container of somebody else. The whole call had no effect.
    InvalidContainerRelease,
    /// The NodeManager refuses the container, for instance as granted by a ResourceManager that has restarted since.
    InvalidContainer,
    /// The NodeManager has not finished starting: try again.
    NmNotYetReady,
    /// The token is unknown, expired, or for somebody else.
    InvalidToken,
    /// Authentication failed, for instance because of a wrong token password.
    Sasl,
    /// Not allowed.
    AccessControl,
    /// This ResourceManager is not the active one: try another.
    Standby,
    /// The server is busy: try again.
    Retriable,
    /// The server speaks another RPC version.
    VersionMismatch,
    /// A defect of the other side, usually set off by a field it expected.
    NullPointer,
    /// Any other YARN exception.
    Yarn,
    /// Any other class.
    Other,
}

impl RemoteKind {
    /// The kind of a Java class name as it stands on the wire (nested classes with `$`).
    pub fn of_class(class: &str) -> Self {
        match class.rsplit(['.', '$']).next().unwrap_or(class) {
            "ApplicationMasterNotRegisteredException" => Self::ApplicationMasterNotRegistered,
            "InvalidApplicationMasterRequestException" => Self::InvalidApplicationMasterRequest,
            "ApplicationAttemptNotFoundException" => Self::ApplicationAttemptNotFound,
            "ApplicationNotFoundException" => Self::ApplicationNotFound,
            "ContainerNotFoundException" => Self::ContainerNotFound,
            // The misspelt one is Hadoop's.
            "InvalidResourceRequestException"
            | "InvalidLabelResourceRequestException"
            | "SchedulerInvalidResoureRequestException" => Self::InvalidResourceRequest,
            "InvalidResourceBlacklistRequestException" => Self::InvalidBlacklistRequest,
            "InvalidContainerReleaseException" => Self::InvalidContainerRelease,
            "InvalidContainerException" => Self::InvalidContainer,
            "NMNotYetReadyException" => Self::NmNotYetReady,
            "InvalidToken" => Self::InvalidToken,
            "SaslException" => Self::Sasl,
            "AccessControlException" | "AuthorizationException" => Self::AccessControl,
            "StandbyException" => Self::Standby,
            "RetriableException" => Self::Retriable,
            "VersionMismatch" | "RPC$VersionMismatch" => Self::VersionMismatch,
            "NullPointerException" => Self::NullPointer,
            _ if class.starts_with("org.apache.hadoop.yarn.exceptions.") => Self::Yarn,
            _ => Self::Other,
        }
    }
}

/// An exception thrown on the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteException {
    /// Java class name.
    pub class: String,
    /// What the class means.
    pub kind: RemoteKind,
    /// The exception's message (first line of what was sent, without the class).
    pub message: String,
    /// The rest, usually a Java stack trace; may be empty.
    pub stack: String,
}

impl RemoteException {
    /// From a class name and the text that follows it on the wire: message, newline, stack trace.
    ///
    /// Messages of some exceptions begin with a newline or hold several lines; the stack begins at the first line
    /// that looks like a frame, and what stands before it is joined into one line.
    pub fn new(class: &str, text: &str) -> Self {
        let is_frame = |line: &&str| line.starts_with("\tat ") || line.starts_with("Caused by: ");
        let message: Vec<&str> = text
            .lines()
            .take_while(|line| !is_frame(line))
            .map(str::trim)
            .collect();
        let stack: Vec<&str> = text.lines().skip(message.len()).collect();
        let message = message
            .into_iter()
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        let message = strip_class(&message, class).to_owned();
        Self {
            class: class.to_owned(),
            kind: RemoteKind::of_class(class),
            message,
            stack: stack.join("\n"),
        }
    }
}

/// Java's `toString` puts the class before the message; servers strip it mostly, not always.
fn strip_class<'a>(message: &'a str, class: &str) -> &'a str {
    message
        .strip_prefix(class)
        .and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or(message)
}

impl fmt::Display for RemoteException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let simple = self.class.rsplit(['.', '$']).next().unwrap_or(&self.class);
        write!(f, "{simple}: {}", self.message)
    }
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// No address to connect to was given, or a name has no address.
    #[error("no address known for {0}")]
    NoAddress(String),
    /// No connection came about.
    #[error("failed to connect to {address}")]
    Connect {
        /// `host:port`.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The connection broke while the call was under way; the server may or may not have executed it.
    #[error("connection to {address} broke")]
    Broken {
        /// `host:port`.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The server closed the connection while the call was under way; it may or may not have executed it.
    #[error("{address} closed the connection")]
    Closed {
        /// `host:port`.
        address: String,
    },
    /// No answer in time. The connection is given up.
    #[error("no answer from {address} to {what} within {after:?}")]
    Deadline {
        /// `host:port`.
        address: String,
        /// Method name, or `connect`, or `authentication`.
        what: &'static str,
        /// The time allowed.
        after: Duration,
    },
    /// The server refused the connection, typically at authentication.
    #[error("{address} refused the connection: {exception}")]
    Refused {
        /// `host:port`.
        address: String,
        /// Its reason.
        exception: RemoteException,
    },
    /// The call reached the method, which threw.
    #[error("{0}")]
    Remote(RemoteException),
    /// The other side breaks the protocol, or cannot agree on authentication.
    #[error("{address} cannot be talked to")]
    Protocol {
        /// `host:port`.
        address: String,
        /// In which way.
        source: ProtocolError,
    },
    /// The answer came and cannot be used.
    #[error("the answer to {method} is unusable: {reason}")]
    BadAnswer {
        /// Method name.
        method: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The client was dropped while the call was under way.
    #[error("the client was closed")]
    ClientClosed,
}

impl RpcError {
    /// The exception of the other side, if there is one.
    pub fn exception(&self) -> Option<&RemoteException> {
        match self {
            Self::Refused { exception, .. } | Self::Remote(exception) => Some(exception),
            _ => None,
        }
    }

    /// What kind of exception the other side threw, if it did.
    pub fn remote_kind(&self) -> Option<RemoteKind> {
        self.exception().map(|exception| exception.kind)
    }

    /// Whether the same call may succeed later or at another address.
    ///
    /// Transport failures, standby and busy servers are retriable; other exceptions, refused tokens and broken
    /// protocols are not.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Broken { .. }
            | Self::Closed { .. }
            | Self::Deadline { .. }
            | Self::NoAddress(_) => true,
            Self::Refused { exception, .. } | Self::Remote(exception) => {
                matches!(
                    exception.kind,
                    RemoteKind::Standby | RemoteKind::Retriable | RemoteKind::NmNotYetReady
                )
            }
            Self::Protocol { .. } | Self::BadAnswer { .. } | Self::ClientClosed => false,
        }
    }

    /// The error and its causes in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_name_tells_the_kind_also_for_nested_classes() {
        let kind = RemoteKind::of_class;
        assert_eq!(
            kind("org.apache.hadoop.security.token.SecretManager$InvalidToken"),
            RemoteKind::InvalidToken
        );
        assert_eq!(
            kind("org.apache.hadoop.yarn.exceptions.ApplicationMasterNotRegisteredException"),
            RemoteKind::ApplicationMasterNotRegistered
        );
        assert_eq!(
            kind("org.apache.hadoop.yarn.exceptions.ConfigurationProviderException"),
            RemoteKind::Yarn
        );
        assert_eq!(
            kind("org.apache.hadoop.ipc.RPC$VersionMismatch"),
            RemoteKind::VersionMismatch
        );
        assert_eq!(kind("java.lang.NullPointerException"), RemoteKind::NullPointer);
        assert_eq!(kind(""), RemoteKind::Other);
    }

    #[test]
    fn the_message_ends_where_the_stack_begins() {
        let text = "\nContainer x rejected\n\tat org.A.b(A.java:1)\n\tat c";
        let exception = RemoteException::new("a.InvalidContainerException", text);
        assert_eq!(exception.message, "Container x rejected");
        assert_eq!(exception.stack, "\tat org.A.b(A.java:1)\n\tat c");
        assert_eq!(
            exception.to_string(),
            "InvalidContainerException: Container x rejected"
        );
    }

    #[test]
    fn only_transport_failures_and_busy_servers_are_retriable() {
        let closed = RpcError::Closed {
            address: "rm:8030".into(),
        };
        let standby = RpcError::Remote(RemoteException::new("org.apache.hadoop.ipc.StandbyException", ""));
        let token = RpcError::Remote(RemoteException::new("x.SecretManager$InvalidToken", "gone"));
        assert!(closed.is_retriable() && standby.is_retriable());
        assert!(!token.is_retriable());
    }
}
