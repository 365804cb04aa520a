//! The Hadoop releases the fixture knows.

use anyhow::bail;
use std::fmt;
use std::str::FromStr;

/// A Hadoop release whose daemons the fixture can start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// 3.3.6
    V3_3_6,
    /// 3.4.3
    #[default]
    V3_4_3,
    /// 3.5.0
    V3_5_0,
}

impl Version {
    /// Every release, oldest first.
    pub const ALL: [Self; 3] = [Self::V3_3_6, Self::V3_4_3, Self::V3_5_0];

    /// As Maven writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V3_3_6 => "3.3.6",
            Self::V3_4_3 => "3.4.3",
            Self::V3_5_0 => "3.5.0",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match Self::ALL.into_iter().find(|version| version.as_str() == text) {
            Some(version) => Ok(version),
            None => bail!("unknown Hadoop version {text}: choose 3.3.6, 3.4.3 or 3.5.0"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn every_version_parses_as_it_prints() {
        for version in Version::ALL {
            assert_eq!(version.to_string().parse::<Version>().unwrap(), version);
        }
        assert!("3.4".parse::<Version>().is_err());
    }
}
