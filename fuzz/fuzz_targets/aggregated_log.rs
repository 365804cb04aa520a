//! Collected logs: arbitrary files, pushed whole or in pieces.
//!
//! The first byte of the input is the size of the pieces. Whatever the file is, pieces make no difference, the ranges that
//! are asked for lie within it, and there is an end.

#![no_main]

use hadoop::aggregated_log::{AggregatedLog, Step};
use libfuzzer_sys::fuzz_target;

/// What compression makes of a small file is more; enough to see.
const MOST: usize = 4 << 20;

fuzz_target!(|input: &[u8]| {
    let [size, file @ ..] = input else { return };
    assert_eq!(read(file, usize::from(*size) + 1), read(file, usize::MAX));
});

/// Everything that comes, without the borders of pieces, and how it ends.
fn read(file: &[u8], piece: usize) -> (Vec<u8>, String) {
    let mut log = AggregatedLog::new(file.len() as u64);
    let (mut said, mut coming) = (Vec::new(), &file[..0]);
    while said.len() < MOST {
        match log.step() {
            Ok(Step::Read(range)) => coming = &file[range.start as usize..range.end as usize],
            Ok(Step::More) => {
                let (now, later) = coming.split_at(piece.min(coming.len()));
                assert!(!now.is_empty(), "all of it has been pushed");
                log.push(now);
                coming = later;
            }
            Ok(Step::Contents(bytes)) => said.extend_from_slice(&bytes),
            Ok(Step::Done) => return (said, "done".to_owned()),
            Ok(step) => said.extend(format!("{step:?}").into_bytes()),
            Err(error) => return (said, error.to_string()),
        }
    }
    said.truncate(MOST);
    (said, "more".to_owned())
}
