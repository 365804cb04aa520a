//! The settings of an application as they were resolved at its submission, each with its origin, for those who look
//! at it while it runs or later.

use serde::{Deserialize, Serialize};

/// What stands in the place of a value that is not shown, as in Spark.
pub const REDACTED: &str = "*********(redacted)";

/// Parts of a key whose value is nobody's business (Spark's `spark.redaction.regex`, and Hadoop's
/// `hadoop.security.sensitive-config-keys`).
const SECRET: [&str; 7] = [
    "secret",
    "password",
    "token",
    "credential",
    "access.key",
    "access-key",
    "accesskey",
];

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// Its value, as written.
    pub value: String,
    /// Who set it: a flag, a file with line, a variable, or nobody.
    pub origin: String,
}

impl Entry {
    /// The entry as people may see it.
    #[must_use]
    pub fn shown(&self) -> Self {
        Self {
            value: shown(&self.key, &self.value),
            ..self.clone()
        }
    }
}

/// The value of a key as people may see it: that of a secret key is hidden, and a password within a URL is.
#[must_use]
pub fn shown(key: &str, value: &str) -> String {
    let key = key.to_ascii_lowercase();
    if SECRET.iter().any(|word| key.contains(word)) && !value.is_empty() {
        return REDACTED.to_owned();
    }
    without_password(value).unwrap_or_else(|| value.to_owned())
}

/// `scheme://user:password@host` without its password.
fn without_password(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once("://")?;
    let (login, host) = rest.split_once('@')?;
    let (user, _) = login.split_once(':').filter(|_| !login.contains('/'))?;
    Some(format!("{scheme}://{user}:{REDACTED}@{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(shown("fs.s3a.access.key", "AKIA"), REDACTED);
        assert_eq!(shown("my.Password", "x"), REDACTED);
        assert_eq!(shown("my.password", ""), "");
        assert_eq!(shown("queue", "etl"), "etl");
        let proxy = shown("proxy", "http://ada:hunter2@proxy:3128/x");
        assert_eq!(proxy, format!("http://ada:{REDACTED}@proxy:3128/x"));
        assert_eq!(shown("dir", "hdfs://nn:8020/a@b:c"), "hdfs://nn:8020/a@b:c");
    }
}
