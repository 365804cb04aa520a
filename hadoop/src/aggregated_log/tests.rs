//! Files written as Hadoop writes them, and files that nobody should have written.

use std::collections::BTreeMap;

use miniz_oxide::deflate::compress_to_vec_zlib;
use proptest::prelude::*;

use super::*;

/// The files of a container.
type Files = Vec<(String, Vec<u8>)>;
/// Everything, in the order of the file.
type Logs = Vec<(ContainerId, Files)>;

fn container(number: u64) -> ContainerId {
    format!("container_1795218548822_0001_01_{number:06}")
        .parse()
        .unwrap()
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn put_string(text: &str, out: &mut Vec<u8>) {
    vlong::put(text.len() as i64, out);
    out.extend_from_slice(text.as_bytes());
}

/// Writes a collected log as `AggregatedLogFormat.LogWriter` does.
struct Writer {
    gz: bool,
    /// Bytes of a chunk.
    chunk: usize,
    /// A block is closed when it has so many bytes.
    block: usize,
    file: Vec<u8>,
    regions: Vec<[usize; 3]>,
    open: Vec<u8>,
}

impl Writer {
    fn new(gz: bool, chunk: usize, block: usize) -> Self {
        let file = b"\xd1\x11\xd3\x68\x91\xb5\xd7\xb6\x39\xdf\x41\x40\x92\xba\xe1\x50".to_vec();
        let mut writer = Self {
            gz,
            chunk,
            block,
            file,
            regions: Vec::new(),
            open: Vec::new(),
        };
        writer.record("VERSION", &1u32.to_be_bytes());
        writer
    }

    fn compression(&self) -> &'static str {
        if self.gz { "gz" } else { "none" }
    }

    fn record(&mut self, key: &str, value: &[u8]) {
        let mut text = Vec::new();
        put_text(key, &mut text);
        vlong::put(text.len() as i64, &mut self.open);
        self.open.extend_from_slice(&text);
        let mut chunks = value.chunks(self.chunk).peekable();
        while let Some(chunk) = chunks.next() {
            let length = chunk.len() as i64;
            let sign = if chunks.peek().is_some() { -1 } else { 1 };
            vlong::put(sign * length, &mut self.open);
            self.open.extend_from_slice(chunk);
        }
        if value.is_empty() {
            vlong::put(0, &mut self.open);
        }
        if self.open.len() >= self.block {
            self.close_block();
        }
    }

    fn container(&mut self, container: ContainerId, files: &Files) {
        let mut value = Vec::new();
        for (name, contents) in files {
            put_text(name, &mut value);
            put_text(&contents.len().to_string(), &mut value);
            value.extend_from_slice(contents);
        }
        self.record(&container.to_string(), &value);
    }

    fn append(&mut self, plain: &[u8], gz: bool) -> [usize; 3] {
        let start = self.file.len();
        match gz {
            true => self.file.extend(compress_to_vec_zlib(plain, 6)),
            false => self.file.extend_from_slice(plain),
        }
        [start, self.file.len() - start, plain.len()]
    }

    fn close_block(&mut self) {
        let plain = std::mem::take(&mut self.open);
        let region = self.append(&plain, self.gz);
        self.regions.push(region);
    }

    fn finish(mut self) -> Vec<u8> {
        if !self.open.is_empty() {
            self.close_block();
        }
        let mut index = Vec::new();
        put_string(self.compression(), &mut index);
        vlong::put(self.regions.len() as i64, &mut index);
        let numbers = |region: &[usize; 3], out: &mut Vec<u8>| {
            region.iter().for_each(|number| vlong::put(*number as i64, out));
        };
        self.regions.iter().for_each(|region| numbers(region, &mut index));
        let meta = self.append(b"what nobody reads", false);
        let index = self.append(&index, self.gz);
        let start = self.file.len() as u64;
        let mut metas = Vec::new();
        vlong::put(2, &mut metas);
        for (name, compression, region) in [
            ("data:TFile.meta", "none", meta),
            ("data:BCFile.index", self.compression(), index),
        ] {
            put_string(name, &mut metas);
            put_string(compression, &mut metas);
            numbers(&region, &mut metas);
        }
        self.file.extend(metas);
        self.file.extend(start.to_be_bytes());
        self.file.extend([0, 1, 0, 0]);
        let magic = self.file[..16].to_vec();
        self.file.extend(magic);
        self.file
    }
}

/// Reads a file to its end, pushed in pieces of so many bytes.
fn read(file: &[u8], piece: usize) -> Result<Logs, AggregatedLogError> {
    let mut log = AggregatedLog::new(file.len() as u64);
    let (mut logs, mut coming) = (Logs::new(), &file[..0]);
    let mut steps = 0;
    loop {
        steps += 1;
        assert!(steps < 4_000_000, "it does not end");
        match log.step()? {
            Step::Read(range) => {
                assert!(range.end <= file.len() as u64);
                coming = &file[range.start as usize..range.end as usize];
            }
            Step::More => {
                let (now, later) = coming.split_at(piece.min(coming.len()));
                assert!(!now.is_empty(), "all of it has been pushed");
                log.push(now);
                coming = later;
            }
            Step::File(file) => {
                if logs.last().is_none_or(|(last, _)| *last != file.container) {
                    logs.push((file.container, Files::new()));
                }
                logs.last_mut().unwrap().1.push((file.name, Vec::new()));
            }
            Step::Contents(bytes) => {
                let files = &mut logs.last_mut().unwrap().1;
                files.last_mut().unwrap().1.extend_from_slice(&bytes);
            }
            Step::End { .. } => {}
            Step::Done => return Ok(logs),
        }
    }
}

/// Two containers and the files that YARN and a program write.
fn sample() -> Logs {
    let files = |words: &str| {
        let stdout = words.repeat(40_000).into_bytes();
        vec![("stderr".to_owned(), Vec::new()), ("stdout".to_owned(), stdout)]
    };
    vec![(container(1), files("one\n")), (container(2), files("two\n"))]
}

fn write(logs: &Logs, gz: bool, chunk: usize, block: usize) -> Vec<u8> {
    let mut writer = Writer::new(gz, chunk, block);
    logs.iter()
        .for_each(|(container, files)| writer.container(*container, files));
    writer.finish()
}

#[test]
fn what_a_node_manager_writes_is_read() {
    for gz in [false, true] {
        for block in [1, 256 << 10] {
            let file = write(&sample(), gz, 65_536, block);
            assert_eq!(read(&file, 4096).unwrap(), sample(), "gz {gz}, blocks of {block}");
        }
    }
}

/// Written by Hadoop 3.4.3 (`LogWriter`), as samples of other containers.
const BY_HADOOP: [(&[u8], usize); 2] = [
    (include_bytes!("../../testdata/aggregated-log/none"), 200),
    (include_bytes!("../../testdata/aggregated-log/gz"), 300_000),
];

#[test]
fn what_hadoop_wrote_is_read() {
    for (file, lines) in BY_HADOOP {
        let id = |number| format!("container_1795218548822_0007_01_{number:06}");
        let stdout = |number| {
            let words = format!("container {number:06} says é ✓\nand no end");
            ("stdout".to_owned(), words.into_bytes())
        };
        let task: String = (0..lines).map(|line| format!("line {}\n", line % 100)).collect();
        let task = ("task-0.0.0-3.1-count.stdout".to_owned(), task.into_bytes());
        let empty = ("stderr".to_owned(), Vec::new());
        let expected: Logs = vec![
            (id(1).parse().unwrap(), vec![empty.clone(), stdout(1)]),
            (id(2).parse().unwrap(), vec![empty, stdout(2), task]),
        ];
        assert!(read(file, 4096).unwrap() == expected, "{lines} lines");
    }
}

#[test]
fn a_block_of_several_streams_is_read() {
    let mut writer = Writer::new(true, 100, usize::MAX);
    writer.container(container(1), &vec![("stdout".to_owned(), b"words".to_vec())]);
    let plain = std::mem::take(&mut writer.open);
    let start = writer.file.len();
    for half in [&plain[..9], &plain[9..]] {
        writer.append(half, true);
    }
    writer
        .regions
        .push([start, writer.file.len() - start, plain.len()]);
    let logs = read(&writer.finish(), 5).unwrap();
    assert_eq!(logs[0].1[0].1, b"words");
}

#[test]
fn a_log_that_could_not_be_collected_to_its_end_says_what_is_missing() {
    let mut writer = Writer::new(false, 100, usize::MAX);
    let mut value = Vec::new();
    put_text("stdout", &mut value);
    put_text("10", &mut value);
    value.extend_from_slice(b"four");
    writer.record(&container(1).to_string(), &value);
    writer.container(container(2), &vec![("stdout".to_owned(), b"next".to_vec())]);
    let file = writer.finish();
    let mut log = AggregatedLog::new(file.len() as u64);
    let mut missing = Vec::new();
    loop {
        match log.step().unwrap() {
            Step::Read(range) => log.push(&file[range.start as usize..range.end as usize]),
            Step::End { missing: bytes } => missing.push(bytes),
            Step::Done => break,
            _ => {}
        }
    }
    assert_eq!(missing, [6, 0]);
}

#[test]
fn other_files_are_told_apart() {
    let good = write(&sample(), false, 65_536, 1 << 20);
    let of = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut file = good.clone();
        change(&mut file);
        read(&file, 4096).unwrap_err()
    };
    assert_eq!(read(b"", 1).unwrap_err(), Error::NotATFile);
    assert_eq!(read(&[7; 300], 1).unwrap_err(), Error::NotATFile);
    assert_eq!(of(&|file| file.truncate(file.len() - 1)), Error::NotATFile);
    let end = good.len();
    assert_eq!(of(&|file| file[end - 19] = 2), Error::Version { major: 2 });
    assert_eq!(
        of(&|file| file[end - 28] = 1),
        Error::Damaged { what: "the index" }
    );
    let lzo = |file: &mut Vec<u8>| {
        let at = file.windows(5).rposition(|window| window == b"\x04none").unwrap();
        file.splice(at..at + 5, *b"\x04lzox");
    };
    let refused = of(&lzo).to_string();
    assert_eq!(
        refused,
        "it is compressed with `lzox`, and only `none` and `gz` can be read"
    );
}

#[test]
fn a_block_without_bytes_was_never_written() {
    let mut writer = Writer::new(false, 100, usize::MAX);
    writer.close_block();
    let end = writer.file.len();
    writer.regions.push([end, 0, 0]);
    let damaged = Error::Damaged { what: "the index" };
    assert_eq!(read(&writer.finish(), 100), Err(damaged));
}

fn any_logs() -> impl Strategy<Value = Logs> {
    let contents = prop::collection::vec(any::<u8>(), 0..300);
    let files = prop::collection::btree_map("[a-z.]{1,12}", contents, 1..4);
    prop::collection::btree_map(1u64..100, files, 0..5).prop_map(|logs| {
        let files = |files: BTreeMap<String, Vec<u8>>| files.into_iter().collect();
        logs.into_iter()
            .map(|(number, of)| (container(number), files(of)))
            .collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_however_it_is_cut(
        logs in any_logs(), gz: bool, chunk in 1usize..400, block in 1usize..600, piece in 1usize..700
    ) {
        let file = write(&logs, gz, chunk, block);
        prop_assert_eq!(read(&file, piece).unwrap(), logs);
    }

    #[test]
    fn no_damage_makes_it_panic_or_go_on_for_ever(
        logs in any_logs(), gz: bool, chunk in 1usize..200,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>())
    ) {
        let mut file = write(&logs, gz, chunk, 300);
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let cut = cut.map_or(0, |cut| cut.index(file.len()));
        let _ = read(&file[cut..], 64);
    }

    #[test]
    fn pieces_make_no_difference_to_what_is_left_of_a_damaged_file(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), piece in 1usize..300
    ) {
        let mut file = BY_HADOOP[0].0.to_vec();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        prop_assert_eq!(read(&file, piece), read(&file, usize::MAX));
    }
}
