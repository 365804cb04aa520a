//! What can be wrong with a configuration, in words that say where to look.

use std::path::PathBuf;

use super::{FoundBy, Origin};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfError {
    /// A configuration directory was named but cannot be listed.
    #[error("cannot read the configuration directory {} given by {found_by}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Who named it.
        found_by: FoundBy,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// A configuration directory was named but holds none of the files read from it.
    #[error(
        "{} given by {found_by} has none of core-site.xml, hdfs-site.xml and yarn-site.xml",
        path.display()
    )]
    NoSiteFiles {
        /// The directory.
        path: PathBuf,
        /// Who named it.
        found_by: FoundBy,
    },
    /// A configuration file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// A configuration file is larger than any configuration.
    #[error("{} has more than {limit} bytes and cannot be a configuration file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read, in bytes.
        limit: u64,
    },
    /// A configuration file is not UTF-8.
    #[error("{}:{line}: not UTF-8; save the file as UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Line of the first bad byte, from 1.
        line: u32,
    },
    /// A configuration file is not XML.
    #[error("{}:{line}:{column}: malformed XML: {problem}", path.display())]
    Xml {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u32,
        /// Column, from 1.
        column: u32,
        /// What the parser says.
        problem: String,
    },
    /// A file is XML but not a configuration.
    #[error("{}: the root element is <{found}>, not <configuration>", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Name of the root element.
        found: String,
    },
    /// An `xi:include` names something that is not there, and has no `xi:fallback`.
    #[error(
        "{}:{line}: cannot include `{href}`: no such file (only local files can be included), and no xi:fallback",
        path.display()
    )]
    IncludeMissing {
        /// The including file.
        path: PathBuf,
        /// Line of the `xi:include`.
        line: u32,
        /// What it names.
        href: String,
    },
    /// An `xi:include` leads back to a file that is being read.
    #[error("{}:{line}: including `{href}` goes round in a circle", path.display())]
    IncludeLoop {
        /// The including file.
        path: PathBuf,
        /// Line of the `xi:include`.
        line: u32,
        /// What it names.
        href: String,
    },
    /// More includes, or deeper ones, than any configuration needs.
    #[error("{}:{line}: too many includes (at most {limit} in all, and {depth} deep)", path.display())]
    TooManyIncludes {
        /// The including file.
        path: PathBuf,
        /// Line of the `xi:include`.
        line: u32,
        /// The most in all.
        limit: usize,
        /// The deepest.
        depth: usize,
    },
    /// A value is not of its kind.
    #[error("{key} is `{value}` ({origin}), which is not {expected}")]
    Value {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// Where the value was written.
        origin: Origin,
        /// What it should be, as in "a whole number".
        expected: &'static str,
    },
    /// A value that has no default is missing.
    #[error("{key} is not set: {needed_for}")]
    Missing {
        /// The key.
        key: String,
        /// What it is needed for.
        needed_for: String,
    },
}
