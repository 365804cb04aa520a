//! Which peers understand each other.
//!
//! The protocol has a major and a minor number. Peers of one major number understand each other: a minor step only
//! adds. Within an application all processes run the same build, so the gateway also compares the build id, the
//! SHA-256 of the executable; a different build is refused unless the application allows it (a planned restart).

use std::fmt;
use std::str::FromStr;

/// The version that this code speaks. 1.1 added drivers in the client.
pub const PROTOCOL: Version = Version { major: 1, minor: 1 };

/// A protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Peers with different major numbers refuse each other.
    pub major: u32,
    /// Rises with each addition.
    pub minor: u32,
}

impl Version {
    /// Whether a peer of version `other` is understood.
    #[must_use]
    pub fn understands(self, other: Self) -> bool {
        self.major == other.major
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        let number = |text: &str| text.parse().map_err(|_| ());
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_it_is_written() {
        assert_eq!(PROTOCOL.to_string().parse(), Ok(PROTOCOL));
        for text in ["", "1", "1.", ".1", "1.2.3", "a.b"] {
            assert_eq!(text.parse::<Version>(), Err(()), "{text}");
        }
    }

    #[test]
    fn only_the_major_number_divides() {
        let newer = Version { minor: 7, ..PROTOCOL };
        let foreign = Version { major: 2, minor: 0 };
        assert!(PROTOCOL.understands(newer) && newer.understands(PROTOCOL));
        assert!(!PROTOCOL.understands(foreign));
    }
}
