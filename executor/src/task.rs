//! Running tasks: each attempt in a directory of its own, as child processes of the executor, with its input fed,
//! its result captured and committed, its logs kept within bounds, and its whole process tree ended.
//!
//! | module | what it does |
//! |---|---|
//! | [`attempt`] | the life of one attempt from its directory to its outcome |
//! | [`running`] | its command while it runs |
//! | [`pool`] | owns all attempts; starts, cancels and watches over them |
//! | [`directory`] | the attempt's private directory and its names |
//! | [`command`] | program, arguments and environment |
//! | [`function`], [`isolated`] | Rust functions on threads of this process, or each in one of its own |
//! | [`feed`] | input from the file system to standard input or into a file |
//! | [`capture`] | standard output or a directory to the file system, and its commit |
//! | [`line`](mod@line) | which attempt begins when one ends |
//! | [`log`] | what a task writes for people, within a limit |
//! | [`stream`] | reading a task's pipes to their end |
//! | [`tree`] | which processes belong to a task, what they use, and how they are ended |

pub(crate) mod attempt;
pub(crate) mod capture;
pub(crate) mod command;
pub(crate) mod directory;
pub(crate) mod feed;
pub(crate) mod function;
pub(crate) mod isolated;
pub(crate) mod line;
pub(crate) mod log;
pub(crate) mod pool;
pub(crate) mod running;
pub(crate) mod stream;
pub(crate) mod tree;

#[cfg(test)]
pub(crate) mod tests;
