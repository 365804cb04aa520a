//! Where a value comes from, and what was noticed while the layers were put on each other.

use std::fmt;
use std::path::PathBuf;

/// Where a value was written. Prints as a person would point at it (`/etc/hadoop/conf/yarn-site.xml:12`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The built-in default, equal to that of Hadoop's own `*-default.xml`.
    Default,
    /// A property of a file.
    File {
        /// The file; for an included property the included file.
        path: PathBuf,
        /// Line of its `<property>`, from 1.
        line: u32,
    },
    /// An explicit override.
    Override {
        /// Who gave it, as in `--hadoop-conf`.
        by: String,
    },
    /// Came with the application from the process that submitted it.
    Shipped,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Override { by } => write!(f, "{by}"),
            Origin::Shipped => f.write_str("shipped with the application"),
        }
    }
}

/// Something about the layers that a person may want to know; none of these stops anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A later file set a key that an earlier file had declared final.
    FinalKept {
        /// The key.
        key: String,
        /// Where it was declared final.
        kept: Origin,
        /// Where the value that does not count was written.
        ignored: Origin,
    },
    /// A key was set in a file whose values the defaults of a later file replace, as in Hadoop itself.
    ReplacedByDefault {
        /// The key.
        key: String,
        /// Where the value that does not count was written.
        ignored: Origin,
    },
    /// A key was written by its old name.
    OldName {
        /// The name as written.
        old: String,
        /// The name it counts as.
        new: &'static str,
        /// Where it was written.
        origin: Origin,
    },
    /// A value still holds a `${…}`.
    NotExpanded {
        /// The key.
        key: String,
        /// Where its value was written.
        origin: Origin,
        /// Why.
        why: Unexpanded,
    },
}

/// Why a value still holds a `${…}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unexpanded {
    /// The variable is bound to nothing.
    Unbound(String),
    /// The variable's value contains the variable.
    Recursive(String),
    /// More replacements than allowed (20, as in Hadoop), or more text than can be meant.
    TooMuch,
}

impl fmt::Display for Unexpanded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unexpanded::Unbound(variable) => write!(f, "${{{variable}}} is not defined"),
            Unexpanded::Recursive(variable) => write!(f, "${{{variable}}} contains itself"),
            Unexpanded::TooMuch => {
                f.write_str("its variables need more than 20 replacements or too much text")
            }
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::FinalKept { key, kept, ignored } => {
                write!(f, "{key} at {ignored} is ignored: declared final at {kept}")
            }
            Note::ReplacedByDefault { key, ignored } => {
                write!(
                    f,
                    "{key} at {ignored} is ignored: Hadoop's defaults for this key are read after that file"
                )
            }
            Note::OldName { old, new, origin } => write!(f, "{old} at {origin} is the old name of {new}"),
            Note::NotExpanded { key, origin, why } => {
                write!(f, "{key} at {origin} is left as written: {why}")
            }
        }
    }
}
