//! A function in a process of its own: the role `function` of the binary, and what the executor gives it and takes.
//!
//! Argument and result are files in the attempt's directory, because neither environment nor arguments of a process
//! hold much. To the executor it is a command like any other: its memory is limited and its whole tree ended.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use wire::failure::FailureCause;
use wire::id::{StageKey, TaskAttemptId};
use wire::task::{Body, Capture, Feed, StageSpec, TaskSpec};

use crate::ending::Ending;
use crate::functions::{Functions, TaskContext};
use crate::said;
use crate::task::command::ID_VARIABLE;

/// The hidden role of the binary.
pub(crate) const ROLE: &str = "function";

/// Names the directory of the files below.
pub(crate) const DIRECTORY_VARIABLE: &str = "DRAWLOOM_FUNCTION_DIR";

const ARGUMENT: &str = "function-argument.json";
const RESULT: &str = "function-result.json";
const FAILURE: &str = "function-failure";
const PANIC: &str = "function-panic";

/// Writes the argument for the process.
///
/// # Errors
/// A text for people.
pub(crate) fn prepare(directory: &Path, task: &TaskSpec) -> Result<(), FailureCause> {
    let argument = task.item.as_deref().unwrap_or("null");
    let failed =
        |error: io::Error| FailureCause::StartFailed(format!("no argument for the function: {error}"));
    fs::write(directory.join(ARGUMENT), argument).map_err(failed)
}

/// What the process said before it ended without success, if that is more than how it ended.
pub(crate) fn failure(directory: &Path) -> Option<FailureCause> {
    let text = |name: &str| fs::read_to_string(directory.join(name)).ok();
    let panicked = text(PANIC).map(FailureCause::Panicked);
    panicked.or_else(|| text(FAILURE).map(FailureCause::FunctionFailed))
}

/// The result that the process left.
///
/// # Errors
/// There is none, or it cannot be read.
pub(crate) fn result(directory: &Path) -> Result<Bytes, FailureCause> {
    let path = directory.join(RESULT);
    fs::read(&path)
        .map(Bytes::from)
        .map_err(|error| FailureCause::OutputFailed {
            path: path.display().to_string(),
            message: error.to_string(),
        })
}

/// The role: calls the function that the second argument names.
pub(crate) fn run(functions: &Functions) -> Ending {
    let variable = |name: &str| std::env::var_os(name);
    let Some(directory) = variable(DIRECTORY_VARIABLE).map(PathBuf::from) else {
        eprintln!("error: the role {ROLE} is for executors only");
        return Ending::BAD_ENVIRONMENT;
    };
    let name = std::env::args_os().nth(2).unwrap_or_default();
    match call(functions, &name.to_string_lossy(), &directory, &variable) {
        Ok(()) => Ending::DONE,
        Err(error) => {
            eprintln!("error: {error}");
            Ending::Code(1)
        }
    }
}

fn call(
    functions: &Functions,
    name: &str,
    directory: &Path,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<(), String> {
    let argument = fs::read_to_string(directory.join(ARGUMENT)).map_err(|error| error.to_string())?;
    let context = context(variable);
    let write =
        |name: &str, contents: &[u8]| fs::write(directory.join(name), contents).map_err(|e| e.to_string());
    let called = functions.call(name, &argument, &context);
    tell_counters(&context, variable);
    match called {
        Ok(result) => write(RESULT, &result),
        Err(FailureCause::Panicked(text)) => {
            write(PANIC, text.as_bytes())?;
            Err(format!("the function panicked: {text}"))
        }
        Err(FailureCause::FunctionFailed(text) | FailureCause::StartFailed(text)) => {
            write(FAILURE, text.as_bytes())?;
            Err(text)
        }
        Err(other) => Err(other.to_string()),
    }
}

/// Says what the function counted where commands say it.
fn tell_counters(context: &TaskContext, variable: &dyn Fn(&str) -> Option<OsString>) {
    let one_word = |text: &str| text.replace(char::is_whitespace, "_");
    let line = |counter: wire::task::Counter| {
        let (group, name) = (one_word(&counter.group), one_word(&counter.name));
        format!("counter {group} {name} {}\n", counter.value)
    };
    let lines: String = context.counters().into_iter().map(line).collect();
    if let Some(path) = variable(said::VARIABLE).filter(|_| !lines.is_empty())
        && let Err(error) = fs::write(path, lines)
    {
        eprintln!("what the function counted is lost: {error}");
    }
}

/// What the executor put into the environment, as the function sees it.
fn context(variable: &dyn Fn(&str) -> Option<OsString>) -> TaskContext {
    let text = |name: &str| variable(name).unwrap_or_default().to_string_lossy().into_owned();
    let nobody = TaskAttemptId {
        stage: StageKey {
            job: 0,
            stage: 0,
            stage_attempt: 0,
        },
        partition: 0,
        attempt: 0,
    };
    let id = text(ID_VARIABLE).parse().unwrap_or(nobody);
    let stage = StageSpec {
        key: id.stage,
        name: text("DRAWLOOM_STAGE"),
        tasks: text("DRAWLOOM_TASKS").parse().unwrap_or(0),
        body: Body::Function(String::new()),
        environment: Vec::new(),
        feed: Feed::None,
        capture: Capture::Log,
        output: None,
        files: Vec::new(),
        timeout: None,
        memory_limit: None,
        cores: 1,
        results: None,
    };
    let (item, inputs) = (None, Vec::new());
    TaskContext::new(&stage, &TaskSpec { id, item, inputs }, Instant::now())
}
