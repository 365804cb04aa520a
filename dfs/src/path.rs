//! Absolute locations on a file system: `scheme://authority/path`.
//!
//! A [`DfsPath`] is always absolute and normalised, so two equal locations are equal values and sort as their
//! texts do. Names are taken literally, as Hadoop's `Path` does: `%20` in a text is three characters of a file
//! name, and [`DfsPath::to_uri`] encodes when another program wants a real URI.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::DfsError;

/// The port a NameNode listens on when an `hdfs://host/` location names none (`HdfsConstants` in Hadoop).
pub const DEFAULT_NAMENODE_PORT: u16 = 8020;

/// The scheme of files on this machine.
pub const FILE_SCHEME: &str = "file";

/// The scheme of files in HDFS.
pub const HDFS_SCHEME: &str = "hdfs";

/// An absolute, normalised location: `hdfs://namenode:8020/user/alice/in`, `file:///tmp/in`.
///
/// ```
/// use dfs::DfsPath;
/// let path: DfsPath = "hdfs://nn:8020/a//b/../c/".parse()?;
/// assert_eq!(path.to_string(), "hdfs://nn:8020/a/c");
/// assert_eq!(path.join("d.txt").name(), "d.txt");
/// # Ok::<(), dfs::DfsError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DfsPath {
    scheme: String,
    authority: String,
    path: String,
}

impl DfsPath {
    /// Builds a location from its parts; `path` is normalised and made absolute.
    ///
    /// # Errors
    /// [`DfsError::InvalidPath`] when the scheme is not a scheme, the authority holds a `/`, or any part a NUL.
    pub fn new(scheme: &str, authority: &str, path: &str) -> Result<Self, DfsError> {
        let text = || format!("{scheme}://{authority}{path}");
        if !is_scheme(scheme) {
            return Err(DfsError::invalid_path(
                text(),
                "the part before ':' is not a scheme",
            ));
        }
        if authority.contains('/') || authority.contains('\0') || path.contains('\0') {
            return Err(DfsError::invalid_path(
                text(),
                "a name contains a character that no file name can have",
            ));
        }
        Ok(Self {
            scheme: scheme.to_ascii_lowercase(),
            authority: authority.to_owned(),
            path: normalise(path),
        })
    }

    /// The location of a file of this machine. Names that are not UTF-8 cannot be expressed.
    ///
    /// # Errors
    /// [`DfsError::InvalidPath`] when `path` is relative or not UTF-8.
    pub fn local(path: &Path) -> Result<Self, DfsError> {
        let Some(text) = path.to_str() else {
            return Err(DfsError::invalid_path(
                path.display().to_string(),
                "the name is not UTF-8; rename it",
            ));
        };
        if !path.is_absolute() {
            return Err(DfsError::invalid_path(text, "the path is relative"));
        }
        Self::new(FILE_SCHEME, "", text)
    }

    /// Scheme in lower case, without the colon.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// `host:port`, a name service, or nothing for local files.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The absolute path inside the file system; `/` for its root, never with a slash at the end otherwise.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The last component, empty for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The directory above, none for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (above, name) = self.path.rsplit_once('/')?;
        if name.is_empty() {
            return None;
        }
        Some(self.with_path(if above.is_empty() { "/" } else { above }))
    }

    /// The location of `child` (one name or a relative path) below this one. `..` climbs, but not above the root.
    #[must_use]
    pub fn join(&self, child: &str) -> Self {
        self.with_path(&format!("{}/{child}", self.path))
    }

    /// Another absolute path on the same file system.
    #[must_use]
    pub fn with_path(&self, path: &str) -> Self {
        Self {
            scheme: self.scheme.clone(),
            authority: self.authority.clone(),
            path: normalise(path),
        }
    }

    /// The root of the file system that holds this location.
    #[must_use]
    pub fn root(&self) -> Self {
        self.with_path("/")
    }

    /// Whether both lie on the same file system.
    #[must_use]
    pub fn same_file_system(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.authority == other.authority
    }

    /// The path of `self` relative to the directory `base`: empty when they are equal, none when it is not below.
    #[must_use]
    pub fn relative_to(&self, base: &Self) -> Option<&str> {
        if !self.same_file_system(base) {
            return None;
        }
        let rest = self.path.strip_prefix(base.path.trim_end_matches('/'))?;
        if rest.is_empty() || base.path == self.path {
            return Some("");
        }
        rest.strip_prefix('/')
    }

    /// The path for the operating system, when this is a local file.
    #[must_use]
    pub fn to_local(&self) -> Option<PathBuf> {
        (self.scheme == FILE_SCHEME).then(|| PathBuf::from(&self.path))
    }

    /// The location as a percent-encoded URI, as `java.net.URI` wants it (for instance in YARN's REST bodies).
    #[must_use]
    pub fn to_uri(&self) -> String {
        let mut uri = format!("{}://{}", self.scheme, self.authority);
        for byte in self.path.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => uri.push(char::from(byte)),
                b'/' | b'-' | b'_' | b'.' | b'~' | b'=' | b'+' | b',' | b'@' => uri.push(char::from(byte)),
                _ => uri.push_str(&format!("%{byte:02X}")),
            }
        }
        uri
    }

    /// Reads `text` as a person writes it: a full location, an absolute path, or a path relative to `working`.
    /// A location whose scheme is that of `working` may leave out the authority (`hdfs:///a`).
    ///
    /// # Errors
    /// [`DfsError::InvalidPath`] when the text is empty or names a scheme without saying which host.
    pub fn resolve(text: &str, working: &Self) -> Result<Self, DfsError> {
        if text.is_empty() {
            return Err(DfsError::invalid_path(text, "the path is empty"));
        }
        let Some((scheme, rest)) = split_scheme(text) else {
            return Self::new(
                &working.scheme,
                &working.authority,
                &absolute(text, &working.path),
            );
        };
        let located: Self = text.parse()?;
        if !located.authority.is_empty() || located.scheme == FILE_SCHEME {
            return Ok(located);
        }
        if !scheme.eq_ignore_ascii_case(&working.scheme) {
            let why = format!(
                "it names no host and the default file system is {}",
                working.root()
            );
            return Err(DfsError::invalid_path(text, why));
        }
        Self::new(scheme, &working.authority, rest.trim_start_matches("//"))
    }
}

impl FromStr for DfsPath {
    type Err = DfsError;

    fn from_str(text: &str) -> Result<Self, DfsError> {
        let Some((scheme, rest)) = split_scheme(text) else {
            return Err(DfsError::invalid_path(
                text,
                "a full location such as hdfs://host:8020/path is needed",
            ));
        };
        let (authority, path) = match rest.strip_prefix("//") {
            None => ("", rest),
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        };
        if !path.is_empty() && !path.starts_with('/') {
            return Err(DfsError::invalid_path(
                text,
                "the path after the scheme must begin with '/'",
            ));
        }
        if authority == "localhost" && scheme.eq_ignore_ascii_case(FILE_SCHEME) {
            return Self::new(scheme, "", path);
        }
        Self::new(scheme, authority, path)
    }
}

impl fmt::Display for DfsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

impl fmt::Debug for DfsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Splits `scheme:rest`. A colon behind a slash is part of a name (`/logs/12:30`), as is one in `a b:c`.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    (is_scheme(scheme) && rest.starts_with('/')).then_some((scheme, rest))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn absolute(path: &str, working: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{working}/{path}")
    }
}

fn normalise(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> DfsPath {
        text.parse().unwrap()
    }

    #[test]
    fn parses_the_forms_people_write() {
        assert_eq!(path("hdfs://nn:8020").to_string(), "hdfs://nn:8020/");
        assert_eq!(path("HDFS://nn/a").scheme(), "hdfs");
        assert_eq!(path("file:/tmp/x").to_string(), "file:///tmp/x");
        assert_eq!(path("file:///tmp/x/").to_string(), "file:///tmp/x");
        assert_eq!(path("file://localhost/tmp").to_string(), "file:///tmp");
        assert_eq!(path("hdfs://ns/a b/ü#c").path(), "/a b/ü#c");
    }

    #[test]
    fn refuses_what_is_no_location() {
        for text in ["", "/a", "a:b", "hdfs:a", "1a:/b", "://x", "hdfs://h/a\0b"] {
            assert!(text.parse::<DfsPath>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn relative_texts_resolve_against_the_working_directory() {
        let home = path("hdfs://nn:9000/user/alice");
        let resolve = |text: &str| DfsPath::resolve(text, &home).unwrap().to_string();
        assert_eq!(resolve("books/*.txt"), "hdfs://nn:9000/user/alice/books/*.txt");
        assert_eq!(resolve("/data"), "hdfs://nn:9000/data");
        assert_eq!(resolve("hdfs:///data"), "hdfs://nn:9000/data");
        assert_eq!(resolve("hdfs://other/x"), "hdfs://other/x");
        assert_eq!(resolve("file:///x"), "file:///x");
        assert_eq!(resolve(".."), "hdfs://nn:9000/user");
        assert_eq!(resolve("logs/12:30"), "hdfs://nn:9000/user/alice/logs/12:30");
        assert_eq!(resolve("12:30"), "hdfs://nn:9000/user/alice/12:30");
        assert!(DfsPath::resolve("viewfs:///x", &home).is_err());
        assert!(DfsPath::resolve("", &home).is_err());
    }

    #[test]
    fn parent_name_and_relation() {
        let file = path("hdfs://nn/a/b");
        assert_eq!(file.parent().unwrap().path(), "/a");
        assert_eq!(path("hdfs://nn/a").parent().unwrap().path(), "/");
        assert_eq!(path("hdfs://nn/").parent(), None);
        assert_eq!(path("hdfs://nn/").name(), "");
        assert_eq!(file.relative_to(&path("hdfs://nn/")), Some("a/b"));
        assert_eq!(file.relative_to(&path("hdfs://nn/a")), Some("b"));
        assert_eq!(file.relative_to(&file), Some(""));
        assert_eq!(path("hdfs://nn/ab").relative_to(&path("hdfs://nn/a")), None);
        assert_eq!(file.relative_to(&path("hdfs://mm/a")), None);
    }

    #[test]
    fn uris_are_percent_encoded_for_java() {
        assert_eq!(path("hdfs://nn:1/a b#c%").to_uri(), "hdfs://nn:1/a%20b%23c%25");
        assert_eq!(path("file:///ü").to_uri(), "file:///%C3%BC");
    }

    proptest! {
        #[test]
        fn print_then_parse_gives_the_same_path(
            scheme in "[a-z][a-z0-9+.-]{0,5}", host in "[a-z0-9.-]{1,8}(:[0-9]{1,5})?", parts in "[^\0]{0,40}",
        ) {
            let built = DfsPath::new(&scheme, &host, &parts).unwrap();
            prop_assert_eq!(&built.to_string().parse::<DfsPath>().unwrap(), &built);
            prop_assert_eq!(built.with_path(built.path()), built);
        }

        #[test]
        fn normal_paths_have_no_dots_and_no_double_slashes(text in "[ab./]{0,30}") {
            let path = DfsPath::new("hdfs", "h", &text).unwrap();
            prop_assert!(path.path().starts_with('/'));
            prop_assert!(path.path() == "/" || !path.path().ends_with('/'));
            let bad = path.path().split('/').skip(1).any(|p| matches!(p, "." | ".."));
            prop_assert!(!bad && !path.path().contains("//"));
        }

        #[test]
        fn a_joined_child_is_below_its_base(base in "(/[a-c]{1,3}){0,4}", child in "[a-c]{1,3}(/[a-c]{1,3}){0,3}") {
            let base = DfsPath::new("file", "", &base).unwrap();
            let joined = base.join(&child);
            prop_assert_eq!(joined.relative_to(&base), Some(child.as_str()));
        }
    }
}
