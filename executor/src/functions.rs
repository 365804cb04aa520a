//! Rust functions as tasks: a program registers functions by name, and its executors, which are the same program,
//! run them.
//!
//! An argument and a result are JSON between driver and executor. A function that panics has failed once and its
//! executor lives on; one that is cancelled or has used up its time is told so by [`TaskContext::is_cancelled`] and
//! should return soon.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::failure::FailureCause;
use wire::id::TaskAttemptId;
use wire::task::{Counter, StageSpec, TaskSpec};

use crate::said::Said;

/// The longest name of a function, in bytes.
const LONGEST: usize = 200;

/// The longest message of a failure or panic that is reported, in bytes.
const LONGEST_MESSAGE: usize = 4096;

type Erased = dyn Fn(&str, &TaskContext) -> Result<Vec<u8>, FailureCause> + Send + Sync;

/// The functions that a program has registered.
#[derive(Clone, Default)]
pub struct Functions {
    by_name: BTreeMap<String, Arc<Erased>>,
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

/// Functions that cannot be registered, all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct InvalidFunctions(pub Vec<String>);

impl Functions {
    /// Begins with none.
    ///
    /// ```
    /// use executor::functions::{Functions, TaskContext};
    ///
    /// let functions = Functions::builder()
    ///     .function("square", |n: u64, _: &TaskContext| Ok::<_, String>(n * n))
    ///     .build()?;
    /// assert!(functions.names().eq(["square"]));
    /// # Ok::<_, executor::functions::InvalidFunctions>(())
    /// ```
    #[must_use]
    pub fn builder() -> FunctionsBuilder {
        FunctionsBuilder::default()
    }

    /// The names of all functions, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Whether there is a function of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Calls a function; its result as JSON.
    pub(crate) fn call(
        &self,
        name: &str,
        argument: &str,
        context: &TaskContext,
    ) -> Result<Vec<u8>, FailureCause> {
        let Some(function) = self.by_name.get(name) else {
            return Err(FailureCause::StartFailed(format!(
                "this program has registered no function {name:?}"
            )));
        };
        let called = catch_unwind(AssertUnwindSafe(|| function(argument, context)));
        called.unwrap_or_else(|panic| Err(FailureCause::Panicked(cut(panic_text(panic.as_ref())))))
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST_MESSAGE)].to_owned()
}

/// Functions on their way into a register.
#[derive(Default)]
pub struct FunctionsBuilder {
    functions: Functions,
    problems: Vec<String>,
}

impl fmt::Debug for FunctionsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.functions.fmt(f)
    }
}

impl FunctionsBuilder {
    /// Registers a function under a name. The argument is whatever the job gives it, from JSON; the result goes back
    /// as JSON. An error is a failed attempt that counts, with the error's text as its cause.
    #[must_use]
    pub fn function<A, R, E>(
        mut self,
        name: &str,
        function: impl Fn(A, &TaskContext) -> Result<R, E> + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        R: Serialize,
        E: fmt::Display,
    {
        let erased = move |argument: &str, context: &TaskContext| {
            let argument = serde_json::from_str(argument)
                .map_err(|error| FailureCause::StartFailed(format!("its argument does not fit: {error}")))?;
            let result = function(argument, context)
                .map_err(|error| FailureCause::FunctionFailed(cut(&error.to_string())))?;
            serde_json::to_vec(&result).map_err(|error| {
                FailureCause::FunctionFailed(format!("its result cannot be written as JSON: {error}"))
            })
        };
        if name.is_empty() || name.len() > LONGEST || name.contains(char::is_control) {
            let text =
                format!("{name:?} is no name of a function: 1 to {LONGEST} bytes without control characters");
            self.problems.push(text);
        } else if self
            .functions
            .by_name
            .insert(name.to_owned(), Arc::new(erased))
            .is_some()
        {
            self.problems
                .push(format!("function {name:?} is registered twice"));
        }
        self
    }

    /// The register.
    ///
    /// # Errors
    /// Names that are used twice or are none, all of them.
    pub fn build(self) -> Result<Functions, InvalidFunctions> {
        if self.problems.is_empty() {
            Ok(self.functions)
        } else {
            Err(InvalidFunctions(self.problems))
        }
    }
}

/// Why a function is to return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop(pub(crate) FailureCause);

/// What a function is told about its task, and what it can say about itself.
#[derive(Debug)]
pub struct TaskContext {
    id: TaskAttemptId,
    stage: String,
    tasks: u32,
    devices: Vec<String>,
    /// When the time is up, and how much it was.
    deadline: Option<(Instant, Duration)>,
    stop: Mutex<Option<Stop>>,
    said: Arc<Said>,
}

impl TaskContext {
    pub(crate) fn new(stage: &StageSpec, task: &TaskSpec, devices: Vec<String>, now: Instant) -> Self {
        Self {
            id: task.id,
            stage: stage.name.clone(),
            tasks: stage.tasks,
            devices,
            deadline: stage.timeout.map(|limit| (now + limit, limit)),
            stop: Mutex::new(None),
            said: Arc::default(),
        }
    }

    /// The task's number in its stage, from 0.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.id.partition
    }

    /// The number of this try of the task, from 0.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.id.attempt
    }

    /// The name of the stage.
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// The number of tasks of the stage.
    #[must_use]
    pub fn tasks(&self) -> u32 {
        self.tasks
    }

    /// The devices that the task has for itself when its stage asks for some, else those of its executor; as far as the
    /// node shows them, as `DRAWLOOM_DEVICES` for commands.
    #[must_use]
    pub fn devices(&self) -> &[String] {
        &self.devices
    }

    /// Whether the result is no longer wanted, or the time is used up. A function that runs for long asks now and
    /// then and returns; one that goes on costs its executor its life after `task.kill.grace`.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.stopped().is_some()
    }

    /// Says how far the task is, from 0 to 1.
    pub fn progress(&self, done: f32) {
        self.said.gauge().set_progress(done);
    }

    /// Says what the task is doing, for people; cut at 128 bytes.
    pub fn status(&self, text: &str) {
        self.said.gauge().set_status(text);
    }

    /// Adds to a named counter. Counters of the attempt that makes the task's result add up to those of its stage.
    /// A task has at most 120; more are not counted.
    pub fn count(&self, group: &str, name: &str, by: i64) {
        self.said.count(group, name, by);
    }

    pub(crate) fn id(&self) -> TaskAttemptId {
        self.id
    }

    pub(crate) fn said(&self) -> &Arc<Said> {
        &self.said
    }

    /// Tells the function to return; the first reason counts.
    pub(crate) fn stop(&self, cause: FailureCause) {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        stop.get_or_insert(Stop(cause));
    }

    pub(crate) fn stopped(&self) -> Option<Stop> {
        let told = self.stop.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let late = || self.deadline.filter(|(at, _)| Instant::now() >= *at);
        told.or_else(|| Some(Stop(FailureCause::Timeout(late()?.1))))
    }

    pub(crate) fn counters(&self) -> Vec<Counter> {
        self.said.counters()
    }
}

#[cfg(test)]
mod tests {
    use wire::task::MOST_COUNTERS;

    use super::*;
    use crate::task::tests::{stage, task};

    fn context() -> TaskContext {
        TaskContext::new(&stage("true"), &task(3, 1), vec!["5".to_owned()], Instant::now())
    }

    fn functions() -> Functions {
        Functions::builder()
            .function("add", |(a, b): (i64, i64), _: &TaskContext| {
                Ok::<_, String>(a + b)
            })
            .function("fail", |text: String, _: &TaskContext| Err::<(), _>(text))
            .function("panic", |text: String, _: &TaskContext| -> Result<(), String> {
                panic!("{text}")
            })
            .build()
            .unwrap()
    }

    #[test]
    fn a_function_takes_json_and_gives_json() {
        assert_eq!(functions().call("add", "[2,3]", &context()), Ok(b"5".to_vec()));
    }

    #[test]
    fn what_goes_wrong_is_a_typed_cause() {
        let call = |name: &str, argument: &str| functions().call(name, argument, &context()).unwrap_err();
        assert_eq!(
            call("fail", "\"no\""),
            FailureCause::FunctionFailed("no".to_owned())
        );
        assert_eq!(call("panic", "\"oh\""), FailureCause::Panicked("oh".to_owned()));
        assert!(matches!(call("add", "7"), FailureCause::StartFailed(text) if text.contains("does not fit")));
        assert!(
            matches!(call("nothing", "7"), FailureCause::StartFailed(text) if text.contains("\"nothing\""))
        );
    }

    #[test]
    fn names_that_cannot_be_are_all_reported() {
        let nothing = |(): (), _: &TaskContext| Ok::<_, String>(());
        let twice = Functions::builder()
            .function("a", nothing)
            .function("a", nothing)
            .function("", nothing);
        let text = twice.build().unwrap_err().to_string();
        assert!(
            text.starts_with("function \"a\" is registered twice; \"\" is no name"),
            "{text}"
        );
    }

    #[test]
    fn a_context_counts_up_to_its_limit() {
        let context = context();
        for number in 0..200 {
            context.count("rows", &number.to_string(), 2);
        }
        context.count("rows", "0", i64::MAX);
        let counters = context.counters();
        assert_eq!((counters.len(), counters[0].value), (MOST_COUNTERS, i64::MAX));
    }

    #[test]
    fn the_first_reason_to_stop_counts() {
        let context = context();
        assert!(!context.is_cancelled());
        context.stop(FailureCause::CommitDenied);
        context.stop(FailureCause::ExitCode(1));
        assert!(context.is_cancelled());
        assert_eq!(context.stopped(), Some(Stop(FailureCause::CommitDenied)));
    }
}
