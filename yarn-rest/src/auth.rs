//! Who the caller says to be.

/// How a request names its caller.
///
/// A cluster with simple authentication believes the `user.name` query parameter. Without it the
/// ResourceManager takes the caller for its static user (`hadoop.http.staticuser.user`, `dr.who`),
/// and an application submitted so runs as that user; so every request of this crate carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// Simple authentication: the cluster believes the name.
    Simple {
        /// The short user name, for example `alice`.
        user: String,
    },
}

impl Auth {
    /// Simple authentication as `user`.
    pub fn simple(user: impl Into<String>) -> Self {
        Self::Simple { user: user.into() }
    }

    /// The user the requests are made for.
    pub fn user(&self) -> &str {
        match self {
            Self::Simple { user } => user,
        }
    }

    /// The query parameter that goes with every request.
    pub(crate) fn query(&self) -> (&'static str, &str) {
        match self {
            Self::Simple { user } => ("user.name", user),
        }
    }
}
