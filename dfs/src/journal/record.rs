//! Segments as bytes.

use bytes::{BufMut, Bytes, BytesMut};
use crc::{CRC_32_ISCSI, Crc};

use super::JournalError;

/// CRC-32C, the polynomial that HDFS uses for its own blocks.
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// What a segment begins with.
const MAGIC: &[u8; 4] = b"DWLJ";
/// The version of the format; another one is refused.
const VERSION: u32 = 1;
/// Magic, version, attempt, number of the segment.
pub(super) const HEADER: usize = 16;
/// Length, checksum, sequence.
const FRAME: usize = 16;
/// The longest payload, in bytes.
const LONGEST: usize = 1 << 30;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number within the attempt, from 1.
    pub sequence: u64,
    /// What was written.
    pub payload: Bytes,
}

pub(super) fn write_header(attempt: u32, segment: u32, into: &mut BytesMut) {
    into.put_slice(MAGIC);
    into.put_u32_le(VERSION);
    into.put_u32_le(attempt);
    into.put_u32_le(segment);
}

pub(super) fn write_record(record: &Record, into: &mut BytesMut) {
    let length = u32::try_from(record.payload.len()).unwrap_or(u32::MAX);
    into.put_u32_le(length);
    into.put_u32_le(checksum(record.sequence, &record.payload));
    into.put_u64_le(record.sequence);
    into.put_slice(&record.payload);
}

fn checksum(sequence: u64, payload: &[u8]) -> u32 {
    let mut digest = CHECKSUM.digest();
    digest.update(&sequence.to_le_bytes());
    digest.update(payload);
    digest.finalize()
}

/// The records of a segment up to the first that is not whole. Nothing when not even the header is.
///
/// # Errors
/// When it is of another format, or when whole records follow one that is not: then it is not the end that is torn.
pub(super) fn read_segment(place: &str, bytes: &Bytes) -> Result<Vec<Record>, JournalError> {
    if bytes.len() < HEADER {
        return Ok(Vec::new());
    }
    check_header(place, bytes)?;
    let mut records = Vec::new();
    let mut at = HEADER;
    while let Some(record) = read_record(bytes, at) {
        at += FRAME + record.payload.len();
        records.push(record);
    }
    let last = records.last().map_or(0, |record| record.sequence);
    if let Some(later) = find_record(bytes, at, last) {
        let problem = format!("what is at byte {at} is no record, but record {later} follows");
        return Err(JournalError::damaged(place, problem));
    }
    Ok(records)
}

fn check_header(place: &str, bytes: &Bytes) -> Result<(), JournalError> {
    if &bytes[..4] != MAGIC {
        return Err(JournalError::damaged(
            place,
            "it does not begin as a segment does",
        ));
    }
    match number(bytes, 4) {
        Some(VERSION) => Ok(()),
        version => {
            let version = version.unwrap_or_default();
            let problem = format!("it is of version {version}, this build reads version {VERSION}");
            Err(JournalError::damaged(place, problem))
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_le_bytes(four))
}

/// The record at a place, if it is whole.
fn read_record(bytes: &Bytes, at: usize) -> Option<Record> {
    let length = number(bytes, at)? as usize;
    let expected = number(bytes, at + 4)?;
    let sequence = sequence_at(bytes, at)?;
    let end = (at + FRAME).checked_add(length).filter(|_| length <= LONGEST)?;
    let payload = bytes.get(at + FRAME..end)?;
    let payload = (checksum(sequence, payload) == expected).then(|| bytes.slice_ref(payload))?;
    Some(Record { sequence, payload })
}

/// The sequence of a whole record anywhere behind a place that holds none.
fn find_record(bytes: &Bytes, from: usize, last: u64) -> Option<u64> {
    // The sequence first: a checksum at every byte costs the length of the tail times that of its records.
    let plausible = |&at: &usize| {
        sequence_at(bytes, at).is_some_and(|found| (1..1 << 32).contains(&found.wrapping_sub(last)))
    };
    let found = (from + 1..bytes.len())
        .filter(plausible)
        .find_map(|at| read_record(bytes, at))?;
    Some(found.sequence)
}

fn sequence_at(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at + 8..at + FRAME)?.try_into().ok()?;
    Some(u64::from_le_bytes(eight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(payloads: &[Vec<u8>]) -> (Bytes, Vec<Record>) {
        let mut bytes = BytesMut::new();
        write_header(1, 1, &mut bytes);
        let records: Vec<_> = (1..)
            .zip(payloads)
            .map(|(sequence, payload)| Record {
                sequence,
                payload: Bytes::from(payload.clone()),
            })
            .collect();
        records.iter().for_each(|record| write_record(record, &mut bytes));
        (bytes.freeze(), records)
    }

    fn any_payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 1..8)
    }

    proptest! {
        #[test]
        fn a_torn_end_loses_only_the_record_it_is_in(payloads in any_payloads(), cut in any::<prop::sample::Index>()) {
            let (bytes, records) = segment(&payloads);
            let kept = cut.index(bytes.len() + 1);
            let read = read_segment("s", &bytes.slice(..kept)).unwrap();
            let whole = records.iter().scan(HEADER, |end, record| {
                *end += FRAME + record.payload.len();
                Some(*end)
            });
            let expected = whole.filter(|&end| end <= kept).count();
            prop_assert_eq!(&read[..], &records[..expected]);
        }

        #[test]
        fn a_flipped_bit_is_never_read_as_a_record(payloads in any_payloads(), at in any::<prop::sample::Index>()) {
            let (bytes, records) = segment(&payloads);
            let mut bytes = bytes.to_vec();
            let place = HEADER + at.index(bytes.len() - HEADER);
            bytes[place] ^= 0x10;
            if let Ok(read) = read_segment("s", &Bytes::from(bytes)) {
                prop_assert!(read.len() < records.len());
                prop_assert_eq!(&read[..], &records[..read.len()]);
            }
        }
    }

    #[test]
    fn damage_before_the_end_is_refused() {
        let (bytes, _) = segment(&[vec![1; 20], vec![2; 20], vec![3; 20]]);
        let mut bytes = bytes.to_vec();
        bytes[HEADER + FRAME + 3] ^= 1;
        let refused = read_segment("s", &Bytes::from(bytes)).unwrap_err().to_string();
        assert!(refused.contains("record 2 follows"), "{refused}");
    }

    #[test]
    fn another_version_is_refused() {
        let (bytes, _) = segment(&[vec![1]]);
        let mut bytes = bytes.to_vec();
        bytes[4] = 9;
        let refused = read_segment("s", &Bytes::from(bytes)).unwrap_err().to_string();
        assert!(refused.contains("version 9"), "{refused}");
    }

    /// A segment of the first version, as it was written: it must be read for ever.
    #[test]
    fn a_segment_of_the_first_version_is_read() {
        let (bytes, records) = segment(&[b"first".to_vec(), b"second".to_vec()]);
        let stored: &[u8] = b"DWLJ\x01\0\0\0\x01\0\0\0\x01\0\0\0\
            \x05\0\0\0\xe4J\xc5C\x01\0\0\0\0\0\0\0first\
            \x06\0\0\0\xdfu\xb2\xf3\x02\0\0\0\0\0\0\0second";
        assert_eq!(bytes, stored, "{:x?}", bytes.as_ref());
        assert_eq!(read_segment("s", &Bytes::from_static(stored)).unwrap(), records);
    }
}
