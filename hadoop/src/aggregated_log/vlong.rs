//! TFile's variable-length integers (`org.apache.hadoop.io.file.tfile.Utils.writeVLong`), which are not those of
//! `WritableUtils`.
//!
//! A first byte from -32 on is the value. Below that it has the highest bits of a value of two (-72..=-33), three
//! (-104..=-73) or four bytes (-120..=-105), or says that so many big-endian bytes follow (-125 for four to -121 for
//! eight).

use super::AggregatedLogError as Error;

/// The value at the front of `bytes` and how many bytes it takes; none while they end within it.
pub(super) fn peek(bytes: &[u8]) -> Result<Option<(i64, usize)>, Error> {
    let Some((first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let first = i64::from(first.cast_signed());
    let (high, more) = match first {
        -32.. => return Ok(Some((first, 1))),
        -72.. => (first + 52, 1),
        -104.. => (first + 88, 2),
        -120.. => (first + 112, 3),
        _ => return Ok(follow(rest, first + 129)?.map(|(value, more)| (value, more + 1))),
    };
    Ok(rest.get(..more).map(|low| (append(high, low), more + 1)))
}

fn follow(rest: &[u8], count: i64) -> Result<Option<(i64, usize)>, Error> {
    let count = usize::try_from(count)
        .ok()
        .filter(|count| (4..=8).contains(count));
    let count = count.ok_or(Error::Damaged { what: "a number" })?;
    Ok(rest.get(..count).map(|bytes| {
        let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
        (append(sign, bytes), count)
    }))
}

fn append(high: i64, low: &[u8]) -> i64 {
    low.iter()
        .fold(high, |value, byte| (value << 8) | i64::from(*byte))
}

/// Appends `value`, in the fewest bytes, as the writer does.
#[cfg(test)]
pub(super) fn put(value: i64, out: &mut Vec<u8>) {
    let bytes = value.to_be_bytes();
    let short = |limit: i64, low: u32| (-limit << low..limit << low).contains(&value);
    let mut with_first = |first: i64, low: usize| {
        out.push((first as i8).cast_unsigned());
        out.extend_from_slice(&bytes[8 - low..]);
    };
    match value {
        -32..128 => out.push((value as i8).cast_unsigned()),
        _ if short(20, 8) => with_first((value >> 8) - 52, 1),
        _ if short(16, 16) => with_first((value >> 16) - 88, 2),
        _ if short(8, 24) => with_first((value >> 24) - 112, 3),
        _ => {
            let count = (4..8).find(|count| short(128, 8 * (*count - 1))).unwrap_or(8);
            with_first(i64::from(count) - 129, count as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_have_the_bytes_that_hadoop_gives_them() {
        let cases: [(i64, &[u8]); 10] = [
            (0, &[0]),
            (127, &[0x7f]),
            (-32, &[0xe0]),
            (128, &[0xcc, 0x80]),
            (-33, &[0xcb, 0xdf]),
            (5119, &[0xdf, 0xff]),
            (5120, &[0xa8, 0x14, 0x00]),
            (1 << 20, &[0x90, 0x10, 0x00, 0x00]),
            (1 << 27, &[0x83, 0x08, 0x00, 0x00, 0x00]),
            (i64::MIN, &[0x87, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ];
        for (value, bytes) in cases {
            let mut out = Vec::new();
            put(value, &mut out);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(peek(bytes), Ok(Some((value, bytes.len()))), "{value}");
        }
        assert!(
            peek(&[0x80, 0, 0, 0, 0]).is_err(),
            "no value has so few bytes behind it"
        );
    }

    proptest! {
        #[test]
        fn values_survive_and_need_all_their_bytes(value: i64, shift in 0u32..64, after: u8) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            put(value, &mut bytes);
            for cut in 0..bytes.len() {
                prop_assert_eq!(peek(&bytes[..cut]), Ok(None));
            }
            let length = bytes.len();
            bytes.push(after);
            prop_assert_eq!(peek(&bytes), Ok(Some((value, length))));
        }
    }
}
