//! One cluster for all tests of a suite.

use super::{Builder, Hadoop};
use std::sync::OnceLock;

/// A cluster started at its first use and ended with the test process (by the watchdog: statics are not dropped).
///
/// ```no_run
/// use harness::hadoop::{Hadoop, Shared};
///
/// static HADOOP: Shared = Shared::new(|| Hadoop::builder().nodes(2));
///
/// fn jobs_are_listed() {
///     let hadoop = HADOOP.get();
///     let _tails = hadoop.tails_on_panic();
///     assert!(hadoop.rm_get("/ws/v1/cluster/apps").is_ok());
/// }
/// ```
#[derive(Debug)]
pub struct Shared {
    options: fn() -> Builder,
    hadoop: OnceLock<Result<Hadoop, String>>,
}

impl Shared {
    /// A cluster with these options, not started yet.
    #[must_use]
    pub const fn new(options: fn() -> Builder) -> Self {
        Self {
            options,
            hadoop: OnceLock::new(),
        }
    }

    /// How many nodes it has.
    pub(crate) fn nodes(&self) -> usize {
        (self.options)().nodes
    }

    /// The running cluster.
    ///
    /// # Panics
    /// When it cannot be started; the attempt is made once and every test of the suite fails with its reason.
    pub fn get(&self) -> &Hadoop {
        let started = self
            .hadoop
            .get_or_init(|| (self.options)().start().map_err(|error| format!("{error:#}")));
        match started {
            Ok(hadoop) => hadoop,
            Err(error) => panic!("the suite's cluster did not start: {error}"),
        }
    }
}
