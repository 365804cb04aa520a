//! Why a client could not be made.

/// Why a client could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No address was given.
    #[error("no ResourceManager address is given")]
    NoAddress,
    /// A text that is no address.
    #[error("`{address}` is not a web address: {reason}")]
    BadAddress {
        /// The text.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The program has no TLS provider.
    #[error(
        "no TLS provider is installed in this process; \
         call rustls::crypto::aws_lc_rs::default_provider().install_default() at its start"
    )]
    NoTlsProvider,
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot be made: {0}")]
    Http(String),
}
