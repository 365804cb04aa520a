//! Credentials files and the tokens in them.
//!
//! YARN writes the tokens of a container into a file named by `HADOOP_TOKEN_FILE_LOCATION`; the same bytes travel in
//! a container's launch context. `org.apache.hadoop.security.Credentials` knows two forms, `Writable` and protobuf;
//! daemons write the first, both are read here. Bytes after the end are tolerated in both (submission over REST
//! pads with zeros).
//!
//! Invariants: no input makes a reader panic, and none makes it allocate more than a small multiple of the input's
//! length; passwords and secrets never appear in `Debug` output or in errors.
//!
//! ```
//! use hadoop::credentials::{Credentials, Format, Token};
//!
//! let mut credentials = Credentials::default();
//! let token = Token {
//!     identifier: vec![1, 2, 3],
//!     password: b"secret".to_vec(),
//!     kind: "HDFS_DELEGATION_TOKEN".into(),
//!     service: "10.0.0.1:8020".into(),
//! };
//! credentials.tokens.insert("nn1".into(), token);
//! let bytes = credentials.to_bytes(Format::Writable);
//! assert_eq!(Credentials::from_bytes(&bytes)?, credentials);
//! assert!(!format!("{credentials:?}").contains("115, 101")); // no password
//! # Ok::<(), hadoop::credentials::CredentialsError>(())
//! ```

mod protobuf;
mod token;
mod vint;
mod writable;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::ids::ApplicationAttemptId;

pub use token::{AmRmTokenIdentifier, Token, kind};

/// First bytes of every credentials file.
const MAGIC: &[u8; 4] = b"HDTS";
/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// How a credentials file is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Hadoop's own encoding; what ResourceManager and NodeManager write and every release reads.
    Writable,
    /// Protobuf; read by Hadoop 3.
    Protobuf,
}

/// Tokens and secrets by their aliases.
///
/// An alias only tells entries apart (a token's is often its service, the AMRM token's is empty); use
/// [`Token::kind`] and [`Token::service`] to choose.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Tokens by alias.
    pub tokens: BTreeMap<String, Token>,
    /// Other secrets by alias.
    pub secrets: BTreeMap<String, Vec<u8>>,
}

/// Bytes that are not credentials, or a file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("cannot read the credentials file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is there but its content is not credentials.
    #[error("{} is not a credentials file", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        problem: Box<CredentialsError>,
    },
    /// More bytes than any credentials have.
    #[error("more than {MAX_FILE} bytes")]
    TooLarge,
    /// The bytes do not begin as credentials do.
    #[error("credentials begin with the letters HDTS; these bytes do not")]
    Magic,
    /// A later release wrote them.
    #[error("unknown credentials format {0}; known are 0 (Writable) and 1 (protobuf)")]
    UnknownFormat(u8),
    /// The bytes end too early.
    #[error("the bytes end within {0}")]
    Truncated(&'static str),
    /// A length or count that no writer writes.
    #[error("the length of {0} is out of range")]
    Length(&'static str),
    /// A text that is not UTF-8.
    #[error("{0} is not UTF-8")]
    Text(&'static str),
    /// The protobuf part is malformed.
    #[error("malformed protobuf: {0}")]
    Protobuf(String),
    /// A token given as text is not URL-safe Base64.
    #[error("the token is not URL-safe Base64")]
    Base64,
}

impl Credentials {
    /// Reads either form; bytes after the end are ignored. Of two entries with one alias the later counts.
    ///
    /// # Errors
    /// The bytes are not credentials, or not whole.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CredentialsError> {
        let body = bytes.strip_prefix(MAGIC).ok_or(CredentialsError::Magic)?;
        match body.split_first() {
            Some((0, body)) => writable::read_credentials(body),
            Some((1, body)) => protobuf::read_credentials(body),
            Some((other, _)) => Err(CredentialsError::UnknownFormat(*other)),
            None => Err(CredentialsError::Truncated("the header")),
        }
    }

    /// The bytes of a credentials file; entries in the order of their aliases.
    pub fn to_bytes(&self, format: Format) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        match format {
            Format::Writable => {
                bytes.push(0);
                writable::write_credentials(self, &mut bytes);
            }
            Format::Protobuf => {
                bytes.push(1);
                protobuf::write_credentials(self, &mut bytes);
            }
        }
        bytes
    }

    /// Reads a credentials file, as named by `HADOOP_TOKEN_FILE_LOCATION`. The file goes away with its container:
    /// read it once, at the start.
    ///
    /// # Errors
    /// The file cannot be read, or is not a credentials file; the error names the file.
    pub fn load(path: &Path) -> Result<Self, CredentialsError> {
        let read = || {
            let mut bytes = Vec::new();
            std::fs::File::open(path)?
                .take(MAX_FILE + 1)
                .read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|source| CredentialsError::Read {
            path: path.to_owned(),
            source,
        })?;
        let whole = bytes.len() as u64 <= MAX_FILE;
        let result = if whole {
            Self::from_bytes(&bytes)
        } else {
            Err(CredentialsError::TooLarge)
        };
        result.map_err(|problem| CredentialsError::File {
            path: path.to_owned(),
            problem: Box::new(problem),
        })
    }

    /// The tokens of a kind, in the order of their aliases.
    pub fn tokens_of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Token> {
        self.tokens.values().filter(move |token| token.kind == kind)
    }

    /// The token an ApplicationMaster shows to the ResourceManager: the only one of its kind, or of several the one
    /// made for `attempt`. Several exist when the submitter was itself an ApplicationMaster.
    pub fn am_rm_token(&self, attempt: ApplicationAttemptId) -> Option<&Token> {
        let all: Vec<_> = self.tokens_of_kind(kind::AM_RM).collect();
        if let [only] = all[..] {
            return Some(only);
        }
        let made_for = |token: &&Token| token.am_rm_identifier().is_some_and(|id| id.attempt == attempt);
        all.into_iter().find(made_for)
    }

    /// What a container of the application may have: everything but the tokens that speak for the
    /// ApplicationMaster itself (AMRM and timeline).
    pub fn for_containers(&self) -> Credentials {
        let own = [kind::AM_RM, kind::TIMELINE];
        let mut credentials = self.clone();
        credentials
            .tokens
            .retain(|_, token| !own.contains(&token.kind.as_str()));
        credentials
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets: Vec<_> = self.secrets.keys().collect();
        f.debug_struct("Credentials")
            .field("tokens", &self.tokens)
            .field("secrets", &secrets)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ApplicationId;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    const V0: &str = "484454530001001a0a0d0a09080110e789e9f0ff31100110eae58489ffffffffff0114000102030405060708090a0b0c0d0e0f10111213105941524e5f414d5f524d5f544f4b454e0000";
    const V1: &str = "48445453014c0a4a0a0012460a1a0a0d0a09080110e789e9f0ff31100110eae58489ffffffffff011214000102030405060708090a0b0c0d0e0f101112131a105941524e5f414d5f524d5f544f4b454e2200";

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    fn attempt(n: u32) -> ApplicationAttemptId {
        ApplicationId::new(1_717_955_085_543, 1).attempt(n)
    }

    fn tokens() -> impl Strategy<Value = Token> {
        (
            vec(any::<u8>(), 0..200),
            vec(any::<u8>(), 0..40),
            "\\PC{0,12}",
            "\\PC{0,12}",
        )
            .prop_map(|(identifier, password, kind, service)| Token {
                identifier,
                password,
                kind,
                service,
            })
    }

    fn credentials() -> impl Strategy<Value = Credentials> {
        (
            btree_map("\\PC{0,8}", tokens(), 0..5),
            btree_map("\\PC{0,8}", vec(any::<u8>(), 0..300), 0..4),
        )
            .prop_map(|(tokens, secrets)| Credentials { tokens, secrets })
    }

    #[test]
    fn recorded_files_are_read_and_written_byte_for_byte() {
        for (format, recorded) in [(Format::Writable, hex(V0)), (Format::Protobuf, hex(V1))] {
            let credentials = Credentials::from_bytes(&recorded).unwrap();
            let token = &credentials.tokens[""];
            assert_eq!(
                (token.kind.as_str(), token.service.as_str()),
                ("YARN_AM_RM_TOKEN", "")
            );
            assert_eq!(token.password, (0..20).collect::<Vec<u8>>());
            assert_eq!(credentials.to_bytes(format), recorded);
            assert_eq!(credentials.am_rm_token(attempt(1)), Some(token));
        }
    }

    #[test]
    fn bytes_after_the_end_are_ignored() {
        for text in [V0, V1] {
            let mut padded = hex(text);
            padded.extend([0; 100]);
            assert_eq!(
                Credentials::from_bytes(&padded).unwrap(),
                Credentials::from_bytes(&hex(text)).unwrap()
            );
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        for text in [V0, V1] {
            let whole = hex(text);
            for end in 0..whole.len() {
                assert!(Credentials::from_bytes(&whole[..end]).is_err(), "{end}");
            }
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert!(matches!(
            Credentials::from_bytes(b"PK\x03\x04"),
            Err(CredentialsError::Magic)
        ));
        assert!(matches!(
            Credentials::from_bytes(b"HDTS\x02"),
            Err(CredentialsError::UnknownFormat(2))
        ));
    }

    #[test]
    fn lying_lengths_are_refused() {
        // Two thousand million tokens; an identifier as long; a negative length.
        let cases: [&[u8]; 3] = [
            b"\x8c\x7f\xff\xff\xff",
            b"\x01\x00\x8c\x7f\xff\xff\xff",
            b"\x01\x00\xff",
        ];
        for body in cases {
            let bytes = [b"HDTS\x00", body].concat();
            assert!(Credentials::from_bytes(&bytes).is_err());
        }
    }

    #[test]
    fn of_several_am_tokens_the_attempts_own_is_taken() {
        let mut credentials = Credentials::from_bytes(&hex(V0)).unwrap();
        let own = credentials.tokens[""].clone();
        let mut foreign = own.clone();
        foreign.identifier[14] = 2;
        credentials.tokens.insert("A".to_owned(), foreign);
        assert_eq!(credentials.am_rm_token(attempt(1)), Some(&own));
        assert_eq!(
            credentials.am_rm_token(attempt(2)),
            Some(&credentials.tokens["A"])
        );
        assert_eq!(credentials.am_rm_token(attempt(3)), None);
        credentials.tokens.remove("");
        assert_eq!(
            credentials.am_rm_token(attempt(3)),
            Some(&credentials.tokens["A"])
        );
        assert_eq!(Credentials::default().am_rm_token(attempt(1)), None);
    }

    #[test]
    fn containers_get_no_token_of_the_application_master() {
        let mut credentials = Credentials::from_bytes(&hex(V0)).unwrap();
        let token = |kind: &str| Token {
            kind: kind.to_owned(),
            ..credentials.tokens[""].clone()
        };
        let (hdfs, timeline) = (token("HDFS_DELEGATION_TOKEN"), token("TIMELINE_DELEGATION_TOKEN"));
        credentials.tokens.insert("h".to_owned(), hdfs);
        credentials.tokens.insert("t".to_owned(), timeline);
        credentials.secrets.insert("s".to_owned(), vec![1]);
        let given = credentials.for_containers();
        assert_eq!(given.tokens.keys().collect::<Vec<_>>(), ["h"]);
        assert_eq!(given.secrets, credentials.secrets);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let mut credentials = Credentials::from_bytes(&hex(V0)).unwrap();
        credentials
            .secrets
            .insert("alias".to_owned(), b"\xde\xad".to_vec());
        let printed = format!("{credentials:?}");
        assert!(printed.contains("YARN_AM_RM_TOKEN") && printed.contains("alias"));
        assert!(
            !printed.contains("17, 18, 19") && !printed.contains("222, 173"),
            "{printed}"
        );
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), hex(V0)).unwrap();
        assert_eq!(Credentials::load(file.path()).unwrap().tokens.len(), 1);
        std::fs::write(file.path(), b"HDTS").unwrap();
        let error = Credentials::load(file.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{} is not a credentials file", file.path().display())
        );
        let gone = file.path().with_extension("gone");
        assert!(matches!(
            Credentials::load(&gone),
            Err(CredentialsError::Read { .. })
        ));
    }

    proptest! {
        #[test]
        fn credentials_survive_both_forms(credentials in credentials(), padding in 0usize..9) {
            for format in [Format::Writable, Format::Protobuf] {
                let mut bytes = credentials.to_bytes(format);
                bytes.extend(std::iter::repeat_n(0, padding));
                prop_assert_eq!(&Credentials::from_bytes(&bytes).unwrap(), &credentials);
            }
        }

        #[test]
        fn damaged_bytes_never_panic(credentials in credentials(), at: prop::sample::Index, byte: u8, protobuf: bool) {
            let format = if protobuf { Format::Protobuf } else { Format::Writable };
            let mut bytes = credentials.to_bytes(format);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = Credentials::from_bytes(&bytes);
            let _ = Credentials::from_bytes(&bytes[..at]);
        }

        #[test]
        fn tokens_survive_their_url_form(token in tokens()) {
            prop_assert_eq!(Token::from_url_string(&token.to_url_string()).unwrap(), token);
        }
    }
}
