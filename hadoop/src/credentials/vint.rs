//! Hadoop's variable-length integers (`WritableUtils.writeVLong`).
//!
//! A first byte in -112..=127 is the value. Otherwise it tells sign and number of the big-endian bytes that follow:
//! -113..=-120 for one to eight bytes of a value that is not negative, -121..=-128 for those of a negative value's
//! complement.

/// Appends `value`.
pub(super) fn put(value: i64, out: &mut Vec<u8>) {
    if let Ok(small @ -112..) = i8::try_from(value) {
        out.push(small.cast_unsigned());
        return;
    }
    let (magnitude, first) = if value < 0 {
        (!value, -120i8)
    } else {
        (value, -112)
    };
    let bytes = magnitude.to_be_bytes();
    let skip = magnitude.leading_zeros() as usize / 8;
    let length = (bytes.len() - skip) as i8;
    out.push((first - length).cast_unsigned());
    out.extend_from_slice(&bytes[skip..]);
}

/// Takes a value off the front of `bytes`; `None` if they end within it.
pub(super) fn take(bytes: &mut &[u8]) -> Option<i64> {
    let (first, rest) = bytes.split_first()?;
    let first = first.cast_signed();
    let (length, negative) = match first {
        -112.. => (0, false),
        -120.. => (usize::from((-112 - first).cast_unsigned()), false),
        _ => (usize::from((-120 - i16::from(first)) as u8), true),
    };
    let (body, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    if length == 0 {
        return Some(i64::from(first));
    }
    let magnitude = body
        .iter()
        .fold(0u64, |value, byte| (value << 8) | u64::from(*byte))
        .cast_signed();
    Some(if negative { !magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn recorded_values() {
        let cases: [(i64, &[u8]); 9] = [
            (127, &[0x7f]),
            (128, &[0x8f, 0x80]),
            (255, &[0x8f, 0xff]),
            (256, &[0x8e, 0x01, 0x00]),
            (65536, &[0x8d, 0x01, 0x00, 0x00]),
            (-1, &[0xff]),
            (-112, &[0x90]),
            (-113, &[0x87, 0x70]),
            (i64::MIN, &[0x80, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ];
        for (value, bytes) in cases {
            let mut out = Vec::new();
            put(value, &mut out);
            assert_eq!(out, bytes, "{value}");
        }
    }

    proptest! {
        #[test]
        fn values_survive(value: i64, shift in 0u32..64, after: u8) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            put(value, &mut bytes);
            bytes.push(after);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take(&mut rest), Some(value));
            prop_assert_eq!(rest, [after]);
        }

        #[test]
        fn truncated_values_are_none(value in 128i64.., cut in 1usize..9) {
            let mut bytes = Vec::new();
            put(value, &mut bytes);
            let end = bytes.len().saturating_sub(cut);
            prop_assert_eq!(take(&mut &bytes[..end]), None);
        }
    }
}
