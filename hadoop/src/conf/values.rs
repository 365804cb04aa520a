//! Values as numbers, sizes, durations and lists, in the notations Hadoop accepts.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{ConfError, Configuration};
use crate::sasl::Qop;

/// What a bare number stands for in a duration, as each key of Hadoop's defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// `1000` is one second.
    Milliseconds,
    /// `60` is one minute.
    Seconds,
    /// `60` is one hour.
    Minutes,
}

/// What an RPC connection is protected against (`hadoop.rpc.protection`; SASL calls it quality of protection).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protection {
    /// Both ends know each other; `auth`.
    Authentication,
    /// Also, nobody can change what is sent; `auth-int`.
    Integrity,
    /// Also, nobody can read what is sent; `auth-conf`.
    Privacy,
}

/// The smallest and largest container the ResourceManager's configuration allows
/// (`yarn.scheduler.{minimum,maximum}-allocation-{mb,vcores}`).
///
/// The client's configuration may differ from the ResourceManager's, whose word on the maximum is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// Requests are rounded up to a multiple of this, in MiB.
    pub minimum_memory_mb: u64,
    /// Larger requests are refused, in MiB.
    pub maximum_memory_mb: u64,
    /// The fewest virtual cores.
    pub minimum_vcores: u32,
    /// The most virtual cores.
    pub maximum_vcores: u32,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protection::Authentication => "authentication",
            Protection::Integrity => "integrity",
            Protection::Privacy => "privacy",
        })
    }
}

impl From<Protection> for Qop {
    fn from(protection: Protection) -> Self {
        match protection {
            Protection::Authentication => Qop::Auth,
            Protection::Integrity => Qop::AuthInt,
            Protection::Privacy => Qop::AuthConf,
        }
    }
}

/// A text that names no protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected authentication, integrity or privacy")]
pub struct ParseProtectionError;

impl FromStr for Protection {
    type Err = ParseProtectionError;

    fn from_str(text: &str) -> Result<Self, ParseProtectionError> {
        let all = [
            Protection::Authentication,
            Protection::Integrity,
            Protection::Privacy,
        ];
        let named = |protection: &Protection| protection.to_string().eq_ignore_ascii_case(text);
        all.into_iter().find(named).ok_or(ParseProtectionError)
    }
}

impl Configuration {
    /// The parts of a comma-separated value, without blanks around them; empty parts are dropped. Empty if unset.
    pub fn strings(&self, key: &str) -> Vec<&str> {
        let parts = self.get(key).unwrap_or_default().split(',');
        parts.map(str::trim).filter(|part| !part.is_empty()).collect()
    }

    /// `true` or `false` in any case; `default` for everything else, as `Configuration.getBoolean` does.
    pub fn bool(&self, key: &str, default: bool) -> bool {
        match self.get(key).map(str::to_ascii_lowercase).as_deref() {
            Some("true") => true,
            Some("false") => false,
            _ => default,
        }
    }

    /// A whole number, decimal or `0x…`. `None` if unset or blank.
    ///
    /// # Errors
    /// [`ConfError::Value`] if it is anything else.
    pub fn int(&self, key: &str) -> Result<Option<i64>, ConfError> {
        self.parsed(key, "a whole number", whole_number)
    }

    /// A number of bytes: a whole number with an optional suffix k, m, g, t, p or e (powers of 1024, any case).
    /// `None` if unset or blank.
    ///
    /// # Errors
    /// [`ConfError::Value`] if it is anything else, negative, or too large.
    pub fn size(&self, key: &str) -> Result<Option<u64>, ConfError> {
        self.parsed(key, "a number of bytes such as 512, 64k or 128m", bytes)
    }

    /// A duration: a whole number with an optional suffix ns, us, ms, s, m, h or d (any case); without one it
    /// counts `unit`s. `None` if unset or blank.
    ///
    /// # Errors
    /// [`ConfError::Value`] if it is anything else, negative, or too large. Where Hadoop gives -1 a meaning of
    /// its own, read the key with [`Self::int`].
    pub fn duration(&self, key: &str, unit: TimeUnit) -> Result<Option<Duration>, ConfError> {
        self.parsed(key, "a duration such as 500ms, 10s or 2m", |text| {
            duration(text, unit)
        })
    }

    /// The protections offered or accepted on RPC connections, most preferred first (`hadoop.rpc.protection`).
    ///
    /// # Errors
    /// [`ConfError::Value`] for a name that is none.
    pub fn rpc_protection(&self) -> Result<Vec<Protection>, ConfError> {
        const KEY: &str = "hadoop.rpc.protection";
        let named: Result<Vec<Protection>, _> = self.strings(KEY).into_iter().map(str::parse).collect();
        match named {
            Ok(named) if named.is_empty() => Ok(vec![Protection::Authentication]),
            Ok(named) => Ok(named),
            Err(_) => Err(self.refused(KEY, "a list of authentication, integrity and privacy")),
        }
    }

    /// How long the ResourceManager waits for an ApplicationMaster's heartbeat before it gives it up
    /// (`yarn.am.liveness-monitor.expiry-interval-ms`): 15 min unless set, which is the default of Hadoop 3.4 and
    /// later. The ResourceManager's own value counts, and that of Hadoop 3.3 is 10 min by default.
    ///
    /// # Errors
    /// [`ConfError::Value`] if it is not a duration.
    pub fn am_expiry(&self) -> Result<Duration, ConfError> {
        let set = self.duration(
            "yarn.am.liveness-monitor.expiry-interval-ms",
            TimeUnit::Milliseconds,
        )?;
        Ok(set.unwrap_or(Duration::from_secs(900)))
    }

    /// The bounds of containers.
    ///
    /// # Errors
    /// [`ConfError::Value`] if one of the four keys is not a whole number, or negative.
    pub fn allocation(&self) -> Result<Allocation, ConfError> {
        Ok(Allocation {
            minimum_memory_mb: self
                .count("yarn.scheduler.minimum-allocation-mb")?
                .unwrap_or(1024),
            maximum_memory_mb: self
                .count("yarn.scheduler.maximum-allocation-mb")?
                .unwrap_or(8192),
            minimum_vcores: self
                .count("yarn.scheduler.minimum-allocation-vcores")?
                .unwrap_or(1),
            maximum_vcores: self
                .count("yarn.scheduler.maximum-allocation-vcores")?
                .unwrap_or(4),
        })
    }

    fn count<T: TryFrom<i64>>(&self, key: &str) -> Result<Option<T>, ConfError> {
        self.parsed(key, "a count", |text| {
            whole_number(text).and_then(|n| T::try_from(n).ok())
        })
    }

    /// A value read by `parse`, or the reason why it cannot be.
    fn parsed<T>(
        &self,
        key: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfError> {
        match self.get(key) {
            None | Some("") => Ok(None),
            Some(text) => parse(text).map(Some).ok_or_else(|| self.refused(key, expected)),
        }
    }

    /// The error for a value that is set but not of its kind.
    pub(super) fn refused(&self, key: &str, expected: &'static str) -> ConfError {
        let entry = self.entry(key);
        ConfError::Value {
            key: key.to_owned(),
            value: entry.map(|entry| entry.value.clone()).unwrap_or_default(),
            origin: entry.map_or(super::Origin::Default, |entry| entry.origin.clone()),
            expected,
        }
    }
}

fn whole_number(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) if hex.starts_with(['-', '+']) => None,
        Some(hex) => i64::from_str_radix(&format!("{sign}{hex}"), 16).ok(),
        None => text.parse().ok(),
    }
}

fn bytes(text: &str) -> Option<u64> {
    let suffixes = ['k', 'm', 'g', 't', 'p', 'e'];
    let last = text.chars().next_back()?.to_ascii_lowercase();
    let Some(power) = suffixes.iter().position(|suffix| *suffix == last) else {
        return text.parse().ok();
    };
    let number: u64 = text[..text.len() - 1].trim_end().parse().ok()?;
    number.checked_mul(1 << (10 * (power + 1)))
}

/// Suffixes and their lengths in nanoseconds; longer suffixes before those they end in.
const TIME_SUFFIXES: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
];

fn duration(text: &str, unit: TimeUnit) -> Option<Duration> {
    let text = text.to_ascii_lowercase();
    let suffixed = TIME_SUFFIXES
        .iter()
        .find_map(|(suffix, nanos)| Some((text.strip_suffix(suffix)?, *nanos)));
    let (number, nanos) = suffixed.unwrap_or((&text, unit.nanos()));
    let total = u128::from(number.trim_end().parse::<u64>().ok()?) * u128::from(nanos);
    let seconds = u64::try_from(total / 1_000_000_000).ok()?;
    let rest = u32::try_from(total % 1_000_000_000).ok()?;
    Some(Duration::new(seconds, rest))
}

impl TimeUnit {
    fn nanos(self) -> u64 {
        match self {
            TimeUnit::Milliseconds => 1_000_000,
            TimeUnit::Seconds => 1_000_000_000,
            TimeUnit::Minutes => 60 * 1_000_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn conf(key: &str, value: &str) -> Configuration {
        Configuration::builder().set(key, value, "test").build(&|_| None)
    }

    #[test]
    fn lists_are_trimmed_and_blanks_dropped() {
        assert_eq!(
            conf("k", "nn1, nn2 ,,\n nn3,").strings("k"),
            ["nn1", "nn2", "nn3"]
        );
        assert!(conf("k", " ").strings("k").is_empty());
        assert!(conf("k", "").strings("other").is_empty());
    }

    #[test]
    fn booleans_fall_back_to_the_default() {
        assert!(conf("k", " TRUE ").bool("k", false));
        assert!(!conf("k", "False").bool("k", true));
        assert!(conf("k", "yes").bool("k", true));
        assert!(!conf("k", "yes").bool("k", false));
    }

    #[test]
    fn whole_numbers_may_be_hexadecimal() {
        let cases = [("12", 12), ("-3", -3), ("0x10", 16), ("-0XfF", -255), (" 7 ", 7)];
        for (text, expected) in cases {
            assert_eq!(conf("k", text).int("k").unwrap(), Some(expected), "{text}");
        }
        for text in ["x", "1.5", "0x", "0x-1", "--1", "99999999999999999999"] {
            assert!(conf("k", text).int("k").is_err(), "{text}");
        }
        assert_eq!(conf("k", "").int("k").unwrap(), None);
    }

    #[test]
    fn sizes_have_binary_suffixes() {
        let cases = [
            ("512", 512),
            ("64k", 65_536),
            ("128M", 134_217_728),
            ("2 g", 2 << 30),
            ("1e", 1 << 60),
        ];
        for (text, expected) in cases {
            assert_eq!(conf("k", text).size("k").unwrap(), Some(expected), "{text}");
        }
        for text in ["-1", "16e", "k", "1kb", "1ü"] {
            assert!(conf("k", text).size("k").is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_suffixes_or_the_unit_of_their_key() {
        let cases = [
            ("10s", Duration::from_secs(10)),
            ("250MS", Duration::from_millis(250)),
            ("2m", Duration::from_secs(120)),
            ("3us", Duration::from_micros(3)),
            ("1 d", Duration::from_secs(86_400)),
            ("1500", Duration::from_millis(1500)),
        ];
        for (text, expected) in cases {
            let got = conf("k", text).duration("k", TimeUnit::Milliseconds).unwrap();
            assert_eq!(got, Some(expected), "{text}");
        }
        let seconds = conf("k", "60").duration("k", TimeUnit::Seconds).unwrap();
        assert_eq!(seconds, Some(Duration::from_secs(60)));
        for text in ["-1", "1.5s", "s", "soon", "99999999999999999999s"] {
            assert!(
                conf("k", text).duration("k", TimeUnit::Seconds).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_refused_value_says_where_it_stands_and_what_it_should_be() {
        let error = conf("yarn.am.liveness-monitor.expiry-interval-ms", "soon")
            .am_expiry()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "yarn.am.liveness-monitor.expiry-interval-ms is `soon` (test), which is not a duration such as 500ms, 10s or 2m"
        );
    }

    #[test]
    fn protections_keep_their_order_of_preference() {
        let got = conf("hadoop.rpc.protection", "Privacy, integrity")
            .rpc_protection()
            .unwrap();
        assert_eq!(got, [Protection::Privacy, Protection::Integrity]);
        assert_eq!(
            conf("hadoop.rpc.protection", "").rpc_protection().unwrap(),
            [Protection::Authentication]
        );
        assert!(
            conf("hadoop.rpc.protection", "auth-conf")
                .rpc_protection()
                .is_err()
        );
        let qops: Vec<Qop> = got.into_iter().map(Qop::from).collect();
        assert_eq!(qops, [Qop::AuthConf, Qop::AuthInt]);
        assert!(Protection::Privacy > Protection::Integrity);
    }

    #[test]
    fn defaults_are_those_of_hadoop() {
        let conf = Configuration::defaults(&|_| None);
        assert_eq!(conf.am_expiry().unwrap(), Duration::from_secs(900));
        let (min, max) = (
            conf.allocation().unwrap().minimum_memory_mb,
            conf.allocation().unwrap().maximum_vcores,
        );
        assert_eq!((min, max), (1024, 4));
        let empty = Configuration::from_map(Default::default());
        assert_eq!(empty.allocation().unwrap(), conf.allocation().unwrap());
        assert_eq!(empty.am_expiry().unwrap(), conf.am_expiry().unwrap());
    }

    proptest! {
        #[test]
        fn milliseconds_survive_their_text(ms in 0u64..1 << 40) {
            let expected = Some(Duration::from_millis(ms));
            prop_assert_eq!(duration(&ms.to_string(), TimeUnit::Milliseconds), expected);
            prop_assert_eq!(duration(&format!("{ms}ms"), TimeUnit::Minutes), expected);
        }

        #[test]
        fn no_text_makes_a_getter_panic(text in "\\PC{0,20}") {
            let conf = conf("k", &text);
            let _ = (conf.int("k").is_ok(), conf.size("k").is_ok());
            let _ = conf.duration("k", TimeUnit::Seconds).is_ok();
            let _ = conf.strings("k");
        }
    }
}
