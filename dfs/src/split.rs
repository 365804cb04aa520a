//! Cutting input files into the shares of tasks. Pure: lengths in, ranges out.

use std::fmt;

use crate::path::DfsPath;

/// The last split of a file may be this much larger than asked for, so that no tiny one is left over
/// (`SPLIT_SLOP` of Hadoop's `FileInputFormat`): one part in so many.
const SLOP: u64 = 10;

/// An input file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// Where it is.
    pub path: DfsPath,
    /// Its length in bytes.
    pub len: u64,
}

/// A range of a file for one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The file.
    pub path: DfsPath,
    /// First byte. A task whose offset is not 0 leaves out the line that began before it.
    pub offset: u64,
    /// Bytes. A task reads on past the end to finish the line that begins inside.
    pub len: u64,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}+{}", self.path, self.offset, self.len)
    }
}

/// Whether a file can be read from its middle: not when its name says that it is compressed as a whole.
#[must_use]
pub fn is_splittable(name: &str) -> bool {
    const WHOLE: [&str; 11] = [
        ".gz", ".tgz", ".bz2", ".xz", ".zst", ".lz4", ".snappy", ".deflate", ".zip", ".7z", ".br",
    ];
    let name = name.to_ascii_lowercase();
    !WHOLE.iter().any(|suffix| name.ends_with(suffix))
}

/// Whether a file of an input directory is left out: Hadoop's inputs skip `_SUCCESS`, `_temporary`, `.part.crc`.
#[must_use]
pub fn is_hidden(name: &str) -> bool {
    name.starts_with(['_', '.'])
}

/// Cuts each file into splits of `split_size` bytes, in order. Files that are not splittable stay whole, and an
/// empty file is one empty split, so every file has its task. A `split_size` of 0 counts as 1.
#[must_use]
pub fn by_size(files: &[InputFile], split_size: u64) -> Vec<Split> {
    let size = split_size.max(1);
    files
        .iter()
        .flat_map(|file| {
            cut(
                file,
                if is_splittable(file.path.name()) {
                    size
                } else {
                    u64::MAX
                },
            )
        })
        .collect()
}

fn cut(file: &InputFile, size: u64) -> Vec<Split> {
    let mut splits = Vec::new();
    let mut offset = 0;
    while file.len - offset > size.saturating_add(size / SLOP) {
        splits.push(Split {
            path: file.path.clone(),
            offset,
            len: size,
        });
        offset += size;
    }
    if offset < file.len || file.len == 0 {
        splits.push(Split {
            path: file.path.clone(),
            offset,
            len: file.len - offset,
        });
    }
    splits
}

/// Deals files into `groups` runs in their order, of about the same number of bytes. As long as there are files
/// enough no group is empty; otherwise the last groups are.
#[must_use]
pub fn into_groups(files: Vec<InputFile>, groups: usize) -> Vec<Vec<InputFile>> {
    let mut left_bytes: u128 = files.iter().map(weight).sum();
    let mut files = files.into_iter().peekable();
    (0..groups)
        .map(|group| {
            let later = groups - group - 1;
            let run = take_run(&mut files, left_bytes / (later as u128 + 1), later);
            left_bytes -= run.iter().map(weight).sum::<u128>();
            run
        })
        .collect()
}

/// Takes files until `target` bytes are reached more closely with than without the next, and leaves one for each of
/// the `later` groups. The last group takes all.
fn take_run(
    files: &mut std::iter::Peekable<std::vec::IntoIter<InputFile>>,
    target: u128,
    later: usize,
) -> Vec<InputFile> {
    let mut run: Vec<InputFile> = Vec::new();
    let mut bytes: u128 = 0;
    while let Some(next) = files.peek().map(weight) {
        let enough = bytes + next / 2 > target || files.len() <= later;
        if !run.is_empty() && later > 0 && enough {
            break;
        }
        bytes += next;
        run.extend(files.next());
    }
    run
}

/// Empty files count a little, so that many of them spread, too.
fn weight(file: &InputFile) -> u128 {
    u128::from(file.len) + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(name: &str, len: u64) -> InputFile {
        InputFile {
            path: format!("hdfs://nn/{name}").parse().unwrap(),
            len,
        }
    }

    fn shown(splits: &[Split]) -> Vec<String> {
        splits
            .iter()
            .map(|s| format!("{}:{}+{}", s.path.name(), s.offset, s.len))
            .collect()
    }

    #[test]
    fn files_are_cut_and_the_last_split_may_be_a_tenth_larger() {
        assert_eq!(
            shown(&by_size(&[file("a", 250)], 100)),
            ["a:0+100", "a:100+100", "a:200+50"]
        );
        assert_eq!(shown(&by_size(&[file("a", 210)], 100)), ["a:0+100", "a:100+110"]);
        assert_eq!(
            shown(&by_size(&[file("a", 0), file("b", 5)], 100)),
            ["a:0+0", "b:0+5"]
        );
    }

    #[test]
    fn compressed_files_stay_whole() {
        assert_eq!(shown(&by_size(&[file("a.GZ", 1000)], 100)), ["a.GZ:0+1000"]);
        assert!(is_splittable("a.txt") && is_splittable("gz"));
    }

    #[test]
    fn groups_keep_the_order_and_balance_bytes() {
        let files = vec![file("a", 100), file("b", 1), file("c", 1), file("d", 100)];
        let names: Vec<String> = into_groups(files, 2)
            .iter()
            .map(|group| group.iter().map(|f| f.path.name()).collect())
            .collect();
        assert_eq!(names, ["ab", "cd"]);
    }

    #[test]
    fn more_groups_than_files_leave_the_last_ones_empty() {
        let sizes: Vec<usize> = into_groups(vec![file("a", 9), file("b", 0)], 4)
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(sizes, [1, 1, 0, 0]);
        assert!(into_groups(vec![file("a", 1)], 0).is_empty());
    }

    #[test]
    fn hidden_files_are_those_hadoop_skips() {
        assert!(is_hidden("_SUCCESS") && is_hidden(".a.crc") && !is_hidden("part-00000"));
    }

    proptest! {
        #[test]
        fn splits_cover_every_file_without_gap_or_overlap(
            lens in prop::collection::vec(0u64..5_000, 0..6), size in 0u64..2_000,
        ) {
            let files: Vec<_> = lens.iter().enumerate().map(|(n, len)| file(&format!("f{n}"), *len)).collect();
            let splits = by_size(&files, size);
            for file in &files {
                let own: Vec<_> = splits.iter().filter(|s| s.path == file.path).collect();
                prop_assert_eq!(own[0].offset, 0);
                for pair in own.windows(2) {
                    prop_assert_eq!(pair[0].offset + pair[0].len, pair[1].offset);
                }
                let last = own[own.len() - 1];
                prop_assert_eq!(last.offset + last.len, file.len);
                prop_assert!(own.iter().all(|s| s.len * 10 <= size.max(1) * 11));
            }
        }

        #[test]
        fn groups_hold_every_file_once_in_order(
            lens in prop::collection::vec(0u64..1_000, 0..20), groups in 1usize..12,
        ) {
            let files: Vec<_> = lens.iter().enumerate().map(|(n, len)| file(&format!("f{n:02}"), *len)).collect();
            let dealt = into_groups(files.clone(), groups);
            prop_assert_eq!(dealt.len(), groups);
            let filled = dealt.iter().filter(|g| !g.is_empty()).count();
            prop_assert_eq!(filled, groups.min(files.len()));
            prop_assert_eq!(dealt.into_iter().flatten().collect::<Vec<_>>(), files);
        }

        #[test]
        fn huge_lengths_do_not_overflow(len in (u64::MAX - 10)..=u64::MAX, groups in 1usize..4) {
            let _ = by_size(&[file("a", len)], u64::MAX / 2);
            let _ = into_groups(vec![file("a", len), file("b", len)], groups);
        }
    }
}
