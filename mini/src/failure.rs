//! Exceptions as Java clients of YARN see them: a class name and a text.

/// An exception to answer a call with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct Failure {
    /// Full name of the Java class.
    pub class: String,
    /// Its message.
    pub message: String,
}

/// `SecretManager.InvalidToken`, which ends a whole NodeManager call.
pub(crate) const INVALID_TOKEN: &str = "org.apache.hadoop.security.token.SecretManager$InvalidToken";

impl Failure {
    /// An exception of any class.
    pub fn new(class: &str, message: impl Into<String>) -> Self {
        Self {
            class: class.to_owned(),
            message: message.into(),
        }
    }

    /// An exception of `org.apache.hadoop.yarn.exceptions`.
    pub fn yarn(name: &str, message: impl Into<String>) -> Self {
        Self::new(&format!("org.apache.hadoop.yarn.exceptions.{name}"), message)
    }

    /// A token that is not, or not any more, valid.
    pub fn invalid_token(message: impl Into<String>) -> Self {
        Self::new(INVALID_TOKEN, message)
    }

    /// A call to a method that the protocol does not have, or that this cluster does not serve.
    pub fn no_such_method(protocol: &str, method: &str) -> Self {
        Self::new(
            "org.apache.hadoop.ipc.RpcNoSuchMethodException",
            format!("Unknown method {method} called on {protocol} protocol."),
        )
    }
}
