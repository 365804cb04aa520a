//! Quality of protection.

use std::fmt;

/// What a connection does with its bytes once both ends are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qop {
    /// Nothing. `auth` in SASL, `authentication` in Hadoop.
    Auth,
    /// Every message is signed. `auth-int` in SASL, `integrity` in Hadoop.
    AuthInt,
    /// Every message is signed and encrypted. `auth-conf` in SASL, `privacy` in Hadoop.
    AuthConf,
}

/// A name that `hadoop.rpc.protection` does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a protection: use authentication, integrity or privacy")]
pub struct ParseProtectionError(pub String);

impl Qop {
    /// All of them, the cheapest first.
    pub const ALL: [Self; 3] = [Self::Auth, Self::AuthInt, Self::AuthConf];

    /// The name in SASL messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
            Self::AuthConf => "auth-conf",
        }
    }

    /// From the name in SASL messages.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|qop| qop.name() == name)
    }

    /// The name in Hadoop's configuration.
    pub fn protection(self) -> &'static str {
        match self {
            Self::Auth => "authentication",
            Self::AuthInt => "integrity",
            Self::AuthConf => "privacy",
        }
    }

    /// Reads the value of `hadoop.rpc.protection`: names in order of preference, separated by commas.
    /// Case and blanks do not matter; an empty value means `authentication`.
    pub fn parse_protections(value: &str) -> Result<Vec<Self>, ParseProtectionError> {
        let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
        let known = |name: &str| {
            let found = Self::ALL
                .into_iter()
                .find(|qop| qop.protection().eq_ignore_ascii_case(name));
            found.ok_or_else(|| ParseProtectionError(name.to_owned()))
        };
        let list = names.map(known).collect::<Result<Vec<_>, _>>()?;
        Ok(if list.is_empty() { vec![Self::Auth] } else { list })
    }
}

impl fmt::Display for Qop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for qop in Qop::ALL {
            assert_eq!(Qop::from_name(qop.name()), Some(qop));
            assert_eq!(Qop::parse_protections(qop.protection()), Ok(vec![qop]));
        }
    }

    #[test]
    fn protections_keep_their_order_and_unknown_ones_are_named() {
        let list = Qop::parse_protections(" Privacy , authentication");
        assert_eq!(list, Ok(vec![Qop::AuthConf, Qop::Auth]));
        assert_eq!(Qop::parse_protections(""), Ok(vec![Qop::Auth]));
        assert_eq!(
            Qop::parse_protections("secret"),
            Err(ParseProtectionError("secret".into()))
        );
    }
}
