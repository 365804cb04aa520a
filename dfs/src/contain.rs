//! A fence around calls into code that may hang or panic: a deadline, and panics turned into errors.
//!
//! hdfs-native waits for ever in some places (a flush whose DataNode dies, any call to a frozen NameNode) and panics
//! in others (reads past the end, a truncated token file, names that are not UTF-8). Every call into it goes
//! through [`within`].

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;

use crate::error::DfsError;
use crate::path::DfsPath;

/// Why a contained call gave no result of its own.
pub(crate) enum Failure<E> {
    /// The call's own error.
    Call(E),
    /// No result in time; the call was dropped.
    Timeout,
    /// The call panicked with this message.
    Panic(String),
}

/// Runs `call` for at most `after`.
pub(crate) async fn within<T, E>(
    after: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure<E>> {
    let contained = AssertUnwindSafe(call).catch_unwind();
    match tokio::time::timeout(after, contained).await {
        Err(_) => Err(Failure::Timeout),
        Ok(Err(panic)) => Err(Failure::Panic(panic_message(panic.as_ref()))),
        Ok(Ok(result)) => result.map_err(Failure::Call),
    }
}

/// Runs a short synchronous call and turns a panic into an error.
pub(crate) fn guarded<T>(path: &DfsPath, call: impl FnOnce() -> T) -> Result<T, DfsError> {
    std::panic::catch_unwind(AssertUnwindSafe(call))
        .map_err(|panic| panicked(path, &panic_message(panic.as_ref())))
}

impl<E> Failure<E> {
    /// The error to report for the operation `what` on `path`.
    pub(crate) fn into_error(
        self,
        what: &'static str,
        path: &DfsPath,
        after: Duration,
        convert: impl FnOnce(&DfsPath, E) -> DfsError,
    ) -> DfsError {
        match self {
            Self::Call(error) => convert(path, error),
            Self::Timeout => DfsError::Timeout {
                path: path.to_string(),
                what,
                after,
            },
            Self::Panic(message) => panicked(path, &message),
        }
    }
}

fn panicked(path: &DfsPath, message: &str) -> DfsError {
    DfsError::other(path, "Panic", &format!("the HDFS client failed: {message}"))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        return (*text).to_owned();
    }
    panic
        .downcast_ref::<String>()
        .cloned()
        .unwrap_or_else(|| "panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> DfsPath {
        "hdfs://h/x".parse().unwrap()
    }

    async fn run(call: impl Future<Output = Result<u8, &'static str>>) -> Result<u8, DfsError> {
        let after = Duration::from_millis(20);
        within(after, call)
            .await
            .map_err(|f| f.into_error("reading", &path(), after, |p, e| DfsError::other(p, "class", e)))
    }

    #[tokio::test]
    async fn results_and_errors_pass_through() {
        assert_eq!(run(async { Ok(3) }).await, Ok(3));
        assert_eq!(
            run(async { Err("no") }).await,
            Err(DfsError::other(&path(), "class", "no"))
        );
    }

    #[tokio::test]
    async fn a_call_that_never_ends_is_a_timeout() {
        assert!(matches!(
            run(std::future::pending()).await,
            Err(DfsError::Timeout { what: "reading", .. })
        ));
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let error = run(async { panic!("Cannot read past end of the file") })
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("Cannot read past end of the file"),
            "{error}"
        );
        assert!(
            guarded(&path(), || panic!("number {}", 7))
                .unwrap_err()
                .to_string()
                .contains("number 7")
        );
    }
}
