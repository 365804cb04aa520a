//! What an executor needs to know to run a task.

use std::time::Duration;

use crate::amounts::{Amounts, MEMORY};
use crate::id::{StageKey, TaskAttemptId};

/// What a task runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A program and its arguments, started without a shell.
    Argv(Vec<String>),
    /// A script for `bash -c`.
    Shell(String),
    /// A function that the binary has registered, by its name. Its argument is [`TaskSpec::item`].
    Function(String),
}

/// How a task's input reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Feed {
    /// Its bytes arrive on standard input.
    #[default]
    Stdin,
    /// A local copy is made, named by `DRAWLOOM_INPUT_FILE`.
    File,
    /// Only `DRAWLOOM_INPUT` and its offset and length are set.
    None,
}

/// What becomes of a task's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Capture {
    /// Standard output is the result.
    Stdout,
    /// All files in the directory named by `DRAWLOOM_OUTPUT_DIR` are the result.
    Directory,
    /// There is no result; standard output goes to the task's log.
    #[default]
    Log,
}

/// What all tasks of a stage share; sent to each executor once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageSpec {
    /// Which stage attempt.
    pub key: StageKey,
    /// The stage's name in the job file.
    pub name: String,
    /// The number of tasks.
    pub tasks: u32,
    /// What to run.
    pub body: Body,
    /// Variables of the job file, those of the stage last.
    pub environment: Vec<(String, String)>,
    /// How input arrives.
    pub feed: Feed,
    /// Where the result comes from.
    pub capture: Capture,
    /// The directory that results are committed to, as a URI; set unless `capture` is [`Capture::Log`].
    pub output: Option<String>,
    /// Names in the container's directory that every task's directory gets too.
    pub files: Vec<String>,
    /// How long an attempt may run.
    pub timeout: Option<Duration>,
    /// How much memory an attempt's processes may use together, in bytes.
    pub memory_limit: Option<u64>,
    /// Slots of its executor that each task takes, at least 1.
    pub cores: u32,
    /// What each task has of its executor's other resources, by YARN's names; 0 of one that tasks of other stages
    /// share out. What is not named belongs to all tasks alike.
    pub resources: Amounts,
    /// The directory for results of functions that are too large for a report, as a URI.
    pub results: Option<String>,
}

impl StageSpec {
    /// What each task needs of what its executor has besides slots.
    #[must_use]
    pub fn needs(&self) -> Amounts {
        let others = self.resources.iter().filter(|(_, amount)| *amount > 0);
        let others = others.map(|(name, amount)| (name.to_owned(), amount));
        let memory = self.memory_limit.map(|bytes| (MEMORY.to_owned(), bytes));
        others.chain(memory).collect()
    }
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSlice {
    /// The file.
    pub uri: String,
    /// The first byte.
    pub offset: u64,
    /// The number of bytes.
    pub length: u64,
    /// The file is cut at line ends: a line belongs to the slice that holds its first byte.
    pub cut_at_lines: bool,
}

/// One task attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSpec {
    /// Which attempt.
    pub id: TaskAttemptId,
    /// The item of the job file that the task is for.
    pub item: Option<String>,
    /// Its input, in order.
    pub inputs: Vec<InputSlice>,
}

/// The most bytes that the description of one task may take, as [`TaskSpec::described_bytes`] counts: half a frame
/// ([`crate::frame::MAX_FRAME`]), which leaves room for that of its stage.
pub const MOST_DESCRIBED: usize = crate::frame::MAX_FRAME / 2;

impl TaskSpec {
    /// An upper bound of the bytes that the task takes in a frame.
    #[must_use]
    pub fn described_bytes(&self) -> usize {
        described_bytes(self.item.as_deref(), &self.inputs)
    }
}

/// An upper bound of the bytes that a task for this item with these inputs takes in a frame.
#[must_use]
pub fn described_bytes(item: Option<&str>, inputs: &[InputSlice]) -> usize {
    // Tags, lengths and numbers take at most this much besides the texts.
    const NUMBERS: usize = 64;
    let inputs = inputs.iter().map(|slice| slice.uri.len() + NUMBERS);
    item.map_or(0, str::len) + inputs.sum::<usize>() + NUMBERS
}

/// The most bytes of a function's result that travel in the report; larger ones are stored and named. As in Spark
/// (`spark.task.maxDirectResultSize`).
pub const MOST_INLINE: usize = 1 << 20;

/// The most counters that are kept of one attempt; MapReduce's limit is 120 a job (`mapreduce.job.counters.max`).
pub const MOST_COUNTERS: usize = 120;

/// The most bytes of a counter's group or name and of a status; longer ones are cut.
pub const LONGEST_NAME: usize = 128;

/// What a function gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskResult {
    /// The bytes, at most [`MOST_INLINE`].
    Inline(bytes::Bytes),
    /// A file that holds them.
    Stored {
        /// The file.
        uri: String,
        /// Its bytes.
        length: u64,
    },
}

impl TaskResult {
    /// The bytes of the result, wherever they are.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Stored { length, .. } => *length,
        }
    }
}

/// A named number that a task counted up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counter {
    /// What it belongs to.
    pub group: String,
    /// Its name in the group.
    pub name: String,
    /// Its value.
    pub value: i64,
}

/// What an attempt used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct TaskMetrics {
    /// From its start to its end.
    pub wall: Duration,
    /// Processor time in user mode.
    pub cpu_user: Duration,
    /// Processor time in the kernel.
    pub cpu_system: Duration,
    /// The most memory seen, in bytes.
    pub peak_resident: u64,
    /// Bytes fed to it.
    pub input_bytes: u64,
    /// Bytes of its result.
    pub output_bytes: u64,
    /// Bytes it wrote to standard error.
    pub stderr_bytes: u64,
}
