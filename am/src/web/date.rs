//! Times as Spark's API writes them, `2026-11-20T23:59:18.018GMT`, and as people read them.

/// A time in milliseconds since 1970.
pub(super) fn spark(unix_ms: u64) -> String {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute, second, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}GMT")
}

/// To the second, for people: `2026-11-20 23:59:18`.
pub(super) fn plain(unix_ms: u64) -> String {
    let mut text = spark(unix_ms).replacen('T', " ", 1);
    text.truncate("2026-11-20 23:59:18".len());
    text
}

/// Year, month and day of a number of days since 1970. Counts in eras of 400 years that begin in March, so that a
/// leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_written_as_spark_does() {
        let known = [
            (0, "1970-01-01T00:00:00.000GMT"),
            (1_795_219_158_018, "2026-11-20T23:59:18.018GMT"),
            (951_782_399_999, "2000-02-28T23:59:59.999GMT"),
            (951_782_400_000, "2000-02-29T00:00:00.000GMT"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000GMT"),
        ];
        for (unix_ms, text) in known {
            assert_eq!(spark(unix_ms), text);
        }
        assert_eq!(plain(1_795_219_158_018), "2026-11-20 23:59:18");
    }
}
