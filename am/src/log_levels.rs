//! What this process logs, which can be changed while it runs.
//!
//! Owner of the state is the ApplicationMaster's loop; how a change takes effect is the business of whoever has
//! installed the `tracing` subscriber. A change lasts as long as the process: the next attempt begins as this one did.

use std::fmt;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// What may be set, so that requests cannot make the list grow without end (J).
const MOST: usize = 64;
/// The longest name.
const LONGEST: usize = 128;
/// What Hadoop's tools call everything that has no level of its own.
pub const ROOT: &str = "root";

/// The levels, by the names of the modules that log.
pub struct LogLevels {
    wanted: Targets,
    apply: Box<dyn Fn(Targets) + Send>,
}

impl fmt::Debug for LogLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogLevels")
            .field(&self.wanted.to_string())
            .finish()
    }
}

/// Why a level stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unchanged {
    /// No such level.
    #[error("{0:?} is no level; one of: OFF, ERROR, WARN, INFO, DEBUG, TRACE")]
    NoLevel(String),
    /// Nothing logs under such a name.
    #[error("{0:?} is no name of a module, such as am::gateway")]
    NoName(String),
    /// Enough levels are set.
    #[error("{MOST} levels are set: no more are taken")]
    Full,
}

impl LogLevels {
    /// What is logged at first, and how that is changed.
    #[must_use]
    pub fn new(wanted: Targets, apply: impl Fn(Targets) + Send + 'static) -> Self {
        Self {
            wanted,
            apply: Box::new(apply),
        }
    }

    /// From which level on a module is logged: the level of the longest name that its own begins with.
    #[must_use]
    pub fn of(&self, name: &str) -> LevelFilter {
        if name == ROOT {
            return self.wanted.default_level().unwrap_or(LevelFilter::OFF);
        }
        let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
        let lowest = levels
            .into_iter()
            .find(|level| self.wanted.would_enable(name, level));
        lowest.map_or(LevelFilter::OFF, LevelFilter::from_level)
    }

    /// Has a module, or what has no level of its own ([`ROOT`]), logged from this level on. Names of log4j's levels are
    /// understood too.
    ///
    /// # Errors
    /// What is wrong with the name or the level; nothing is changed then.
    pub fn set(&mut self, name: &str, level: &str) -> Result<LevelFilter, Unchanged> {
        let filter = parse(level).ok_or_else(|| Unchanged::NoLevel(level.to_owned()))?;
        let known = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
        if name.is_empty() || name.len() > LONGEST || !name.chars().all(known) {
            return Err(Unchanged::NoName(name.to_owned()));
        }
        if self.wanted.iter().count() >= MOST && !self.wanted.iter().any(|(set, _)| set == name) {
            return Err(Unchanged::Full);
        }
        let wanted = self.wanted.clone();
        self.wanted = match name {
            ROOT => wanted.with_default(filter),
            name => wanted.with_target(name, filter),
        };
        (self.apply)(self.wanted.clone());
        Ok(filter)
    }
}

/// A level by its name in `tracing` or in log4j.
fn parse(text: &str) -> Option<LevelFilter> {
    match text.to_ascii_uppercase().as_str() {
        "OFF" => Some(LevelFilter::OFF),
        "FATAL" | "ERROR" => Some(LevelFilter::ERROR),
        "WARN" => Some(LevelFilter::WARN),
        "INFO" => Some(LevelFilter::INFO),
        "DEBUG" => Some(LevelFilter::DEBUG),
        "TRACE" | "ALL" => Some(LevelFilter::TRACE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    fn levels() -> (LogLevels, Receiver<Targets>) {
        let (applied, seen) = channel();
        let wanted = "info,hdfs_native=off".parse().unwrap();
        let apply = move |targets| applied.send(targets).unwrap();
        (LogLevels::new(wanted, apply), seen)
    }

    #[test]
    fn a_level_holds_for_a_module_and_what_is_below_it() {
        let (mut levels, seen) = levels();
        assert_eq!(levels.of("am"), LevelFilter::INFO);
        assert_eq!(levels.of("hdfs_native::client"), LevelFilter::OFF);
        assert_eq!(levels.set("am::gateway", "debug"), Ok(LevelFilter::DEBUG));
        assert_eq!(levels.of("am::gateway::links"), LevelFilter::DEBUG);
        assert_eq!(levels.of("am"), LevelFilter::INFO);
        assert_eq!(levels.set(ROOT, "FATAL"), Ok(LevelFilter::ERROR));
        assert_eq!(
            (levels.of(ROOT), levels.of("am")),
            (LevelFilter::ERROR, LevelFilter::ERROR)
        );
        let last = seen.try_iter().last().unwrap();
        assert!(last.would_enable("am::gateway", &Level::DEBUG) && !last.would_enable("am", &Level::WARN));
    }

    #[test]
    fn nonsense_changes_nothing_and_the_list_does_not_grow_without_end() {
        let (mut levels, seen) = levels();
        assert_eq!(levels.set("am", "LOUD"), Err(Unchanged::NoLevel("LOUD".into())));
        assert_eq!(
            levels.set("a=b,c", "INFO"),
            Err(Unchanged::NoName("a=b,c".into()))
        );
        assert_eq!(levels.set("", "INFO"), Err(Unchanged::NoName(String::new())));
        assert_eq!(seen.try_iter().count(), 0);
        for number in 0..2 * MOST {
            let _ = levels.set(&format!("m{number}"), "DEBUG");
        }
        assert_eq!(seen.try_iter().count(), MOST - 1, "one was set before");
        assert_eq!(
            levels.set("m0", "INFO"),
            Ok(LevelFilter::INFO),
            "what is set can be changed"
        );
    }
}
