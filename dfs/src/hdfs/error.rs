//! From the crate's errors, most of them a Java class and a message, to ours.

use std::io;

use hdfs_native::HdfsError;

use crate::error::{DfsError, first_line};
use crate::path::DfsPath;

/// Class of errors between client and DataNodes.
const DATA_TRANSFER: &str = "DataTransferError";

/// Whether the DataNodes of a file being written failed.
pub(super) fn is_broken_pipeline(error: &DfsError) -> bool {
    matches!(error, DfsError::Other { class, .. } if class == DATA_TRANSFER)
}

/// What the error of a call about `path` means.
pub(super) fn convert(path: &DfsPath, error: HdfsError) -> DfsError {
    match error {
        HdfsError::RPCError(class, message) | HdfsError::FatalRPCError(class, message) => {
            from_exception(path, &class, first_line(&message))
        }
        HdfsError::IOError(error) => from_socket(path, &error),
        HdfsError::AlreadyExists(_) => DfsError::AlreadyExists {
            path: path.to_string(),
        },
        HdfsError::FileNotFound(_) => DfsError::NotFound {
            path: path.to_string(),
        },
        HdfsError::IsADirectoryError(_) => DfsError::IsADirectory {
            path: path.to_string(),
        },
        HdfsError::InvalidPath(detail) => DfsError::invalid_path(path.to_string(), detail),
        HdfsError::UrlParseError(error) => DfsError::invalid_path(path.to_string(), error.to_string()),
        HdfsError::InvalidArgument(detail) => DfsError::other(path, "InvalidArgument", &detail),
        HdfsError::DataTransferError(detail) => DfsError::other(path, DATA_TRANSFER, &detail),
        other => DfsError::other(path, "HdfsError", &other.to_string()),
    }
}

/// As [`convert`], for the writer of an open file: a file that is gone or leased by somebody else means that this
/// writer is no longer the owner.
pub(super) fn convert_for_writer(path: &DfsPath, error: HdfsError) -> DfsError {
    let detail = first_line(&error.to_string()).to_owned();
    match convert(path, error) {
        DfsError::NotFound { path } | DfsError::AlreadyExists { path } => DfsError::Fenced { path, detail },
        other => other,
    }
}

/// Everything the operating system says about a socket comes down to "not reached".
fn from_socket(path: &DfsPath, error: &io::Error) -> DfsError {
    DfsError::Unreachable {
        path: path.to_string(),
        detail: error.to_string(),
    }
}

/// Maps the simple name of a Java exception, which is stable, rather than its package, which has moved.
fn from_exception(at: &DfsPath, class: &str, message: &str) -> DfsError {
    let (path, detail) = (at.to_string(), message.to_owned());
    match class.rsplit(['.', '$']).next().unwrap_or(class) {
        // `INodeFile.valueOf` uses this class for a directory, too.
        "FileNotFoundException" if message.contains("is not a file") => DfsError::IsADirectory { path },
        "FileNotFoundException" => DfsError::NotFound { path },
        "AccessControlException" | "AuthorizationException" => DfsError::PermissionDenied { path, detail },
        "ParentNotDirectoryException" | "PathIsNotDirectoryException" => DfsError::NotADirectory { path },
        "PathIsNotEmptyDirectoryException" => DfsError::NotEmpty { path },
        "NSQuotaExceededException" | "DSQuotaExceededException" | "QuotaByStorageTypeExceededException" => {
            DfsError::QuotaExceeded { path, detail }
        }
        "SafeModeException" => DfsError::SafeMode { path, detail },
        "StandbyException" => DfsError::Standby { path, detail },
        "RetriableException" if message.contains("afe mode") => DfsError::SafeMode { path, detail },
        "RetriableException" => DfsError::Standby { path, detail },
        "LeaseExpiredException" => DfsError::Fenced { path, detail },
        "InvalidPathException" => DfsError::InvalidPath { path, detail },
        "DiskOutOfSpaceException" => DfsError::NoSpace { path, detail },
        _ => from_message(at, class, message),
    }
}

/// Plain `IOException`s are told apart by the words of `BlockManager` and `FSDirRenameOp`.
fn from_message(path: &DfsPath, class: &str, message: &str) -> DfsError {
    let mentions = |words: &str| message.contains(words);
    let text = path.to_string();
    if mentions("could only be written to") || mentions("could only be replicated to") {
        return DfsError::NoSpace {
            path: text,
            detail: message.to_owned(),
        };
    }
    if mentions("non empty destination") || mentions("destination directory is not empty") {
        return DfsError::NotEmpty { path: text };
    }
    DfsError::other(path, class, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpc(class: &str, message: &str) -> DfsError {
        let path = "hdfs://nn/a".parse().unwrap();
        convert(&path, HdfsError::RPCError(class.to_owned(), message.to_owned()))
    }

    #[test]
    fn java_exceptions_become_variants() {
        let not_found = rpc("java.io.FileNotFoundException", "File does not exist: /a\n\tat x");
        assert_eq!(
            not_found,
            DfsError::NotFound {
                path: "hdfs://nn/a".to_owned()
            }
        );
        assert!(matches!(
            rpc("java.io.FileNotFoundException", "Path is not a file: /a"),
            DfsError::IsADirectory { .. }
        ));
        let denied = rpc(
            "org.apache.hadoop.security.AccessControlException",
            "Permission denied: user=bob\n\tat",
        );
        assert!(
            matches!(denied, DfsError::PermissionDenied { detail, .. } if detail == "Permission denied: user=bob")
        );
        for (class, message) in [
            (
                "org.apache.hadoop.hdfs.server.namenode.SafeModeException",
                "Name node is in safe mode.",
            ),
            (
                "org.apache.hadoop.ipc.RetriableException",
                "NameNode still not started: Name node is in safe mode",
            ),
        ] {
            assert!(
                matches!(rpc(class, message), DfsError::SafeMode { .. }),
                "{class}"
            );
        }
        assert!(matches!(
            rpc("org.apache.hadoop.ipc.StandbyException", "READ"),
            DfsError::Standby { .. }
        ));
        let lease = rpc(
            "org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException",
            "No lease on /a",
        );
        assert!(matches!(lease, DfsError::Fenced { .. }));
        let quota = rpc(
            "org.apache.hadoop.hdfs.protocol.NSQuotaExceededException",
            "quota of /user is exceeded",
        );
        assert!(matches!(quota, DfsError::QuotaExceeded { .. }));
    }

    #[test]
    fn plain_io_exceptions_are_told_apart_by_their_words() {
        let class = "java.io.IOException";
        let full = "File /a could only be written to 0 of the 1 minReplication nodes.";
        assert!(matches!(rpc(class, full), DfsError::NoSpace { .. }));
        assert!(matches!(rpc(class, "odd"), DfsError::Other { class, message, .. }
            if class == "java.io.IOException" && message == "odd"));
    }

    #[test]
    fn a_writer_whose_file_is_gone_is_fenced() {
        let path = "hdfs://nn/a".parse().unwrap();
        let gone = HdfsError::RPCError(
            "java.io.FileNotFoundException".to_owned(),
            "File does not exist".to_owned(),
        );
        assert!(matches!(convert_for_writer(&path, gone), DfsError::Fenced { .. }));
        let broken = HdfsError::IOError(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "RPC listener disconnected",
        ));
        assert!(matches!(
            convert_for_writer(&path, broken),
            DfsError::Unreachable { .. }
        ));
    }
}
