use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{LogFormatError, LogHeader, LogPart, LogUnwrapper};
use crate::model::AggregationType;
use crate::request::LogRange;

const CONTAINER: &str = "container_1795218548822_0001_01_000001";

/// A section as a NodeManager writes it.
fn wrapped(length: usize, contents: &[u8], running: bool) -> Vec<u8> {
    let place = format!("Container: {CONTAINER} on localhost:20030");
    let rule = "=".repeat(place.len());
    let header = format!(
        "{place}\nLogAggregationType: LOCAL\n{rule}\nLogType:stdout\n\
         LogLastModifiedTime:Fri Nov 20 23:49:09 +0000 2026\nLogLength:{length}\nLogContents:\n"
    );
    let mut bytes = header.into_bytes();
    bytes.extend_from_slice(contents);
    bytes.extend_from_slice(trailer(running).as_bytes());
    bytes
}

fn trailer(running: bool) -> String {
    let note = if running {
        format!("This log file belongs to a running container ({CONTAINER}) and so may not be complete.")
    } else {
        String::new()
    };
    let end = "End of LogType:stdout";
    format!("{end}.{note}\n{}\n\n", "*".repeat(end.len() + 50))
}

/// Every part, from the bytes pushed in pieces of `piece` bytes.
fn parts(range: LogRange, bytes: &[u8], piece: usize) -> Result<Vec<LogPart>, LogFormatError> {
    let mut log = LogUnwrapper::new(range);
    let mut parts = Vec::new();
    for piece in bytes.chunks(piece) {
        log.push(piece);
        while let Some(part) = log.next_part()? {
            parts.push(part);
        }
    }
    log.finish()?;
    Ok(parts)
}

fn contents(parts: &[LogPart]) -> Vec<u8> {
    let of_part = |part: &LogPart| match part {
        LogPart::Contents(bytes) => bytes.to_vec(),
        LogPart::Header(_) | LogPart::End { .. } => Vec::new(),
    };
    parts.iter().flat_map(of_part).collect()
}

#[test]
fn header_contents_and_end_are_told_apart() {
    let parts = parts(LogRange::All, &wrapped(3, b"hi\n", true), 4096).unwrap();
    let header = LogHeader {
        container: Some(CONTAINER.parse().unwrap()),
        node: "localhost:20030".to_owned(),
        place: Some(AggregationType::Local),
        file: "stdout".to_owned(),
        last_modified: "Fri Nov 20 23:49:09 +0000 2026".to_owned(),
        length: 3,
    };
    let contents = LogPart::Contents(b"hi\n".as_slice().into());
    assert_eq!(
        parts,
        [LogPart::Header(header), contents, LogPart::End { running: true }]
    );
}

#[test]
fn an_empty_file_has_a_trailer_only() {
    let parts = parts(LogRange::All, trailer(false).as_bytes(), 4096).unwrap();
    assert_eq!(parts, [LogPart::End { running: false }]);
}

#[test]
fn of_a_tail_the_header_says_the_whole_length() {
    let parts = parts(LogRange::Last(2), &wrapped(3900, b"i\n", false), 7).unwrap();
    assert_eq!(contents(&parts), b"i\n");
    assert_eq!(parts.last(), Some(&LogPart::End { running: false }));
}

#[test]
fn a_header_and_the_range_say_where_the_contents_begin() {
    let header = LogHeader {
        length: 3900,
        ..LogHeader::default()
    };
    let offsets = [
        LogRange::All,
        LogRange::First(10),
        LogRange::Last(10),
        LogRange::Last(5000),
    ];
    assert_eq!(offsets.map(|range| header.offset(range)), [0, 0, 3890, 0]);
}

#[test]
fn a_tail_longer_than_the_file_is_the_file() {
    let parts = parts(LogRange::Last(1_000_000), &wrapped(3, b"hi\n", false), 5).unwrap();
    assert_eq!(contents(&parts), b"hi\n");
}

#[test]
fn a_log_servers_blank_line_before_the_end_is_not_contents() {
    let mut bytes = wrapped(2, b"hi", false);
    let at = bytes.windows(3).position(|w| w == b"End").unwrap();
    bytes.insert(at, b'\n');
    assert_eq!(contents(&parts(LogRange::All, &bytes, 9).unwrap()), b"hi");
}

#[test]
fn a_second_section_follows_the_first() {
    let bytes = [wrapped(2, b"b\n", true), wrapped(2, b"a\n", false)].concat();
    let parts = parts(LogRange::All, &bytes, 11).unwrap();
    assert_eq!(contents(&parts), b"b\na\n");
    assert_eq!(
        parts
            .iter()
            .filter(|part| matches!(part, LogPart::Header(_)))
            .count(),
        2
    );
}

#[test]
fn contents_that_look_like_a_trailer_are_contents() {
    let tricky = trailer(false);
    let parts = parts(
        LogRange::All,
        &wrapped(tricky.len(), tricky.as_bytes(), false),
        13,
    )
    .unwrap();
    assert_eq!(contents(&parts), tricky.as_bytes());
}

#[test]
fn other_texts_and_early_ends_are_errors() {
    let error = |bytes: &[u8]| parts(LogRange::All, bytes, 4096).unwrap_err();
    assert!(matches!(
        error(b"java.lang.Exception: no\n"),
        LogFormatError::NotALog { .. }
    ));
    assert!(matches!(error(b"no line end"), LogFormatError::NotALog { .. }));
    assert!(matches!(error(&[b'x'; 20_000]), LogFormatError::NotALog { .. }));
    let whole = wrapped(6, b"hi\nho\n", false);
    let at = whole.windows(2).position(|w| w == b"hi").unwrap();
    assert_eq!(error(&whole[..at + 2]), LogFormatError::Truncated { missing: 4 });
    assert_eq!(
        error(&whole[..40]),
        LogFormatError::NotALog {
            line: String::from_utf8_lossy(&whole[..40]).into()
        }
    );
    assert_eq!(error(&whole[..at - 3]), LogFormatError::TruncatedHeader);
    assert!(matches!(
        error(&wrapped(1, b"hi\n", false)),
        LogFormatError::BadTrailer { .. }
    ));
}

proptest! {
    #[test]
    fn any_split_of_any_contents_gives_the_contents(
        bytes in vec(any::<u8>(), 1..300),
        piece in 1_usize..64,
        running in any::<bool>(),
    ) {
        let parts = parts(LogRange::All, &wrapped(bytes.len(), &bytes, running), piece).unwrap();
        prop_assert_eq!(contents(&parts), bytes);
        prop_assert_eq!(parts.last(), Some(&LogPart::End { running }));
    }

    #[test]
    fn no_bytes_make_the_unwrapper_panic(bytes in vec(any::<u8>(), 0..300), piece in 1_usize..64) {
        let result = parts(LogRange::All, &bytes, piece);
        prop_assert!(result.is_ok() || result.is_err());
    }
}
