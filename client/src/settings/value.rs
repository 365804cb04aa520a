//! Values that a person writes: sizes, durations, counts.

use std::collections::BTreeMap;
use std::time::Duration;

use wire::amounts::MEMORY;

/// A size in bytes: a whole number and a unit, `512MiB`, `512m` or `2g`; all units count in powers of 1024.
///
/// # Errors
/// What a size looks like.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let refused = || format!("{text:?} is no size: write a whole number and a unit, like 512MiB or 2g");
    let digits = text.trim().len() - text.trim().trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.trim().split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(refused()),
    };
    let number: u64 = number.parse().map_err(|_| refused())?;
    number.checked_mul(1 << shift).ok_or_else(refused)
}

/// A size that is at least one MiB, in MiB, rounded up.
///
/// # Errors
/// What a size looks like.
pub(crate) fn mebibytes(text: &str) -> Result<u64, String> {
    match size(text)? {
        0 => Err("memory of nothing: give at least 1MiB".to_owned()),
        bytes => Ok(bytes.div_ceil(1 << 20)),
    }
}

/// Prints a number of MiB as [`size`] reads it.
pub(crate) fn show_mebibytes(mib: u64) -> String {
    if mib.is_multiple_of(1024) && mib > 0 {
        format!("{}GiB", mib / 1024)
    } else {
        format!("{mib}MiB")
    }
}

/// The longest duration: added to any moment it is still one that clocks and YARN's dates can say.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A duration with its unit: `200ms`, `60s`, `2h 30m`.
///
/// # Errors
/// What a duration looks like, or that it is longer than a century.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let refused = |_| format!("{text:?} is no duration: write a number and a unit, like 200ms, 60s or 2h");
    match humantime::parse_duration(text.trim()).map_err(refused)? {
        long if long > LONGEST => Err(format!("{text:?} is longer than 100 years")),
        duration => Ok(duration),
    }
}

/// A duration after which something is done again and again, or given up.
///
/// # Errors
/// As [`duration`], or there is nothing of it.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err(format!("{text:?} is too short: give at least 1ms")),
        interval => Ok(interval),
    }
}

/// Amounts by name, `yarn.io/gpu=1,fpga=2`; each at least 1, no name twice.
///
/// # Errors
/// What is expected.
pub(crate) fn amounts(text: &str) -> Result<BTreeMap<String, u64>, String> {
    let mut amounts = BTreeMap::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (name, amount) = entry
            .split_once('=')
            .ok_or_else(|| format!("{entry:?} should be a name and an amount, like yarn.io/gpu=1"))?;
        let name = name.trim();
        let amount = self::amount(name, amount)?;
        if amounts.insert(name.to_owned(), amount).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(amounts)
}

/// The amount of a resource other than memory and cores, at least 1.
///
/// # Errors
/// What is expected.
pub(crate) fn amount(name: &str, text: &str) -> Result<u64, String> {
    if ["", MEMORY, "memory-mb", "vcores", "cores"].contains(&name) {
        return Err(format!(
            "{name:?} is no other resource: memory and cores have settings of their own"
        ));
    }
    count(text).map(u64::from)
}

/// A whole number of at least one.
///
/// # Errors
/// What is expected.
pub(crate) fn count(text: &str) -> Result<u32, String> {
    match text.trim().parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{text:?} should be a whole number of at least 1")),
    }
}

/// A whole number.
///
/// # Errors
/// What is expected.
pub(crate) fn number(text: &str) -> Result<u32, String> {
    let refused = |_| format!("{text:?} should be a whole number");
    text.trim().parse().map_err(refused)
}

/// A number between 0 and 1.
///
/// # Errors
/// What is expected.
pub(crate) fn ratio(text: &str) -> Result<f64, String> {
    match text.trim().parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(format!("{text:?} should be a number between 0 and 1")),
    }
}

/// A number of at least 1.
///
/// # Errors
/// What is expected.
pub(crate) fn factor(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(factor) if factor >= 1.0 && factor.is_finite() => Ok(factor),
        _ => Err(format!("{text:?} should be a number of at least 1")),
    }
}

/// `true` or `false`.
///
/// # Errors
/// What is expected.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    let refused = |_| format!("{text:?} should be true or false");
    text.trim().parse().map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_have_names_and_are_there_once() {
        let read = amounts("yarn.io/gpu=2, fpga=1,").unwrap();
        assert_eq!(
            read,
            [("yarn.io/gpu".to_owned(), 2), ("fpga".to_owned(), 1)].into()
        );
        assert!(amounts("").unwrap().is_empty());
        for (text, word) in [
            ("gpu", "an amount"),
            ("gpu=0", "at least 1"),
            ("vcores=2", "of their own"),
            ("a=1,a=1", "twice"),
        ] {
            let problem = amounts(text).unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("512MiB"), Ok(512 << 20));
        assert_eq!(size(" 2 g "), Ok(2 << 30));
        assert_eq!(size("1kb"), Ok(1024));
        for bad in ["", "512", "MiB", "-1g", "1.5g", "99999999999t", "1 parsec"] {
            assert!(size(bad).unwrap_err().contains("is no size"), "{bad}");
        }
        assert_eq!(mebibytes("1b"), Ok(1));
        assert!(mebibytes("0m").is_err());
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        assert!(duration("60").unwrap_err().contains("a unit"));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert!(interval("0s").unwrap_err().contains("too short"));
        assert_eq!(interval("1ms"), Ok(Duration::from_millis(1)));
    }

    #[test]
    fn no_duration_is_too_long_for_a_clock() {
        let longest = duration("36500days").unwrap();
        assert!(std::time::SystemTime::now().checked_add(longest).is_some());
        for endless in ["36501days", "500000000000y"] {
            assert!(
                duration(endless).unwrap_err().contains("longer than"),
                "{endless}"
            );
        }
    }

    proptest! {
        #[test]
        fn mebibytes_survive_their_text(mib in 1u64..1 << 40) {
            prop_assert_eq!(mebibytes(&show_mebibytes(mib)), Ok(mib));
        }
    }
}
