//! Moments as Hadoop writes them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Milliseconds since 1970 UTC.
pub type UnixMs = u64;

/// `2030-01-01T00:00:00.000+0000`, as expiry times travel.
const ISO: &str = "%Y-%m-%dT%H:%M:%S%.3f%z";

/// The clock of this machine.
pub(crate) fn now() -> UnixMs {
    of(SystemTime::now())
}

/// A moment of the file system or the clock; times before 1970 are 1970.
pub(crate) fn of(moment: SystemTime) -> UnixMs {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn zoned(moment: UnixMs) -> Zoned {
    let moment = Timestamp::from_millisecond(i64::try_from(moment).unwrap_or(0)).unwrap_or_default();
    moment.to_zoned(TimeZone::system())
}

/// `2026-11-20 23:49:09.216`, as NodeManagers stamp diagnostics.
pub(crate) fn stamp(moment: UnixMs) -> String {
    zoned(moment).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// `Fri Nov 20 23:49:09 +0000 2026`, as log listings have it.
pub(crate) fn listing(moment: UnixMs) -> String {
    zoned(moment).strftime("%a %b %d %H:%M:%S %z %Y").to_string()
}

/// `2030-01-01T00:00:00.000+0000`.
pub(crate) fn iso(moment: UnixMs) -> String {
    zoned(moment).strftime(ISO).to_string()
}

/// Reads what [`iso`] prints.
pub(crate) fn parse_iso(text: &str) -> Option<UnixMs> {
    let moment = strtime::parse(ISO, text).ok()?.to_timestamp().ok()?;
    u64::try_from(moment.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_expiry_time_reads_back_as_printed(moment in 0u64..4_000_000_000_000) {
            prop_assert_eq!(parse_iso(&iso(moment)), Some(moment));
        }
    }

    #[test]
    fn the_form_of_the_yarn_documentation_is_read() {
        assert_eq!(parse_iso("2030-01-01T00:00:00.000+0000"), Some(1_893_456_000_000));
        assert_eq!(parse_iso("tomorrow"), None);
    }
}
