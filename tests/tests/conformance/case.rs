//! What a case is.

use std::pin::Pin;

use super::lab::Yarn;

/// A case under way; it stays on its thread.
pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// One thing that must be so on every cluster.
pub(crate) struct Case {
    /// The function's name.
    pub(crate) name: &'static str,
    /// The class of Hadoop, and what it does.
    pub(crate) fact: &'static str,
    pub(crate) run: for<'a> fn(&'a Yarn) -> Running<'a>,
}

/// Names a case: the fact and the function that looks whether it holds.
macro_rules! case {
    ($function:ident, $fact:literal) => {
        crate::case::Case {
            name: stringify!($function),
            fact: $fact,
            run: |yarn| Box::pin($function(yarn)),
        }
    };
}
pub(crate) use case;

/// Cases that belong together.
pub(crate) struct Subject {
    pub(crate) title: &'static str,
    pub(crate) cases: &'static [Case],
}

impl Subject {
    pub(crate) const fn new(title: &'static str, cases: &'static [Case]) -> Self {
        Self { title, cases }
    }
}
