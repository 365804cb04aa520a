//! The time format of the REST API: ISO 8601 with milliseconds and a numeric zone, as
//! `org.apache.hadoop.yarn.util.Times` reads and writes it.

use std::time::SystemTime;

use jiff::Timestamp;

const FORMAT: &str = "%Y-%m-%dT%H:%M:%S.%3f%z";

/// `2030-01-01T00:00:00.000+0000`. A time that the calendar cannot hold becomes its nearest end.
pub(crate) fn print(time: SystemTime) -> String {
    let timestamp = Timestamp::try_from(time).unwrap_or_else(|_| {
        if time < SystemTime::UNIX_EPOCH {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        }
    });
    timestamp.strftime(FORMAT).to_string()
}

/// The time in a text of that format; none for anything else, `UNLIMITED` in particular.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text)
        .ok()
        .map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use std::time::{Duration, SystemTime};

    use super::{parse, print};

    fn from_millis(milliseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
    }

    proptest! {
        #[test]
        fn times_survive_printing_and_parsing(milliseconds in 0_u64..250_000_000_000_000) {
            let time = from_millis(milliseconds);
            prop_assert_eq!(parse(&print(time)), Some(time));
        }
    }

    #[test]
    fn times_are_printed_as_hadoop_reads_them() {
        assert_eq!(
            print(from_millis(1_893_456_000_000)),
            "2030-01-01T00:00:00.000+0000"
        );
    }

    #[test]
    fn other_zones_are_understood_and_words_are_no_times() {
        assert_eq!(
            parse("2030-01-01T01:00:00.000+0100"),
            Some(from_millis(1_893_456_000_000))
        );
        assert_eq!(parse("UNLIMITED"), None);
    }
}
