//! A function in a process of its own: the role `function` of the binary, and what the executor gives it and takes.
//!
//! Argument and result are files in the attempt's directory, because neither environment nor arguments of a process
//! hold much. To the executor it is a command like any other: its memory is limited and its whole tree ended, and what
//! it says about itself are lines of the file that [`said`] describes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

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

/// How often progress and status are passed on; the executor itself is heard with its heartbeats.
const PASSED_ON: Duration = Duration::from_millis(500);

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
        crate::tell(format_args!("error: the role {ROLE} is for executors only"));
        return Ending::BAD_ENVIRONMENT;
    };
    let name = std::env::args_os().nth(2).unwrap_or_default();
    match call(functions, &name.to_string_lossy(), &directory, &variable) {
        Ok(()) => Ending::DONE,
        Err(error) => {
            crate::tell(format_args!("error: {error}"));
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
    let voice = variable(said::VARIABLE).map(|path| Voice::new(path.into()));
    let called = match &voice {
        Some(voice) => voice.during(&context, || functions.call(name, &argument, &context)),
        None => functions.call(name, &argument, &context),
    };
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

/// Says what a function says about itself where commands say it.
struct Voice {
    path: PathBuf,
}

impl Voice {
    fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Passes on what the function says while `work` runs, and the rest of it after that. Looked at from time to time, because a function may say
    /// something for each of millions of rows.
    fn during<T>(&self, context: &TaskContext, work: impl FnOnce() -> T) -> T {
        let (working, over) = mpsc::channel::<()>();
        let last = Mutex::new(Vitals::default());
        let tell = || {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Vitals::of(context);
            self.append(&now.since(&last));
            *last = now;
        };
        let done = std::thread::scope(|scope| {
            let pass_on = move || {
                while over.recv_timeout(PASSED_ON) == Err(mpsc::RecvTimeoutError::Timeout) {
                    tell();
                }
            };
            let name = "passing on".to_owned();
            if let Err(error) = std::thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, pass_on)
            {
                crate::tell(format_args!("progress is not passed on: {error}"));
            }
            let done = work();
            drop(working);
            done
        });
        tell();
        done
    }

    /// Appends, for whoever listens remembers how far it has read.
    fn append(&self, lines: &str) {
        if lines.is_empty() {
            return;
        }
        let opened = fs::OpenOptions::new().append(true).create(true).open(&self.path);
        if let Err(error) = opened.and_then(|mut file| file.write_all(lines.as_bytes())) {
            crate::tell(format_args!("what the function says is lost: {error}"));
        }
    }
}

/// What a function says while it runs.
#[derive(Default)]
struct Vitals {
    progress: f32,
    status: String,
    /// By group and name, both made one word.
    counters: BTreeMap<(String, String), i64>,
}

impl Vitals {
    fn of(context: &TaskContext) -> Self {
        let gauge = context.said().gauge();
        let one_word = |text: &str| text.replace(char::is_whitespace, "_");
        let mut counters = BTreeMap::new();
        for counter in context.counters() {
            let key = (one_word(&counter.group), one_word(&counter.name));
            let total: &mut i64 = counters.entry(key).or_default();
            *total = total.saturating_add(counter.value);
        }
        Self {
            progress: gauge.progress(),
            status: gauge.status(),
            counters,
        }
    }

    /// What has changed, as lines.
    fn since(&self, last: &Self) -> String {
        let mut lines = String::new();
        if self.progress != last.progress {
            lines.push_str(&format!("progress {}\n", self.progress));
        }
        if self.status != last.status {
            lines.push_str(&format!("status {}\n", self.status.replace(['\n', '\r'], " ")));
        }
        for (key @ (group, name), value) in &self.counters {
            let by = value.saturating_sub(last.counters.get(key).copied().unwrap_or(0));
            if by != 0 {
                lines.push_str(&format!("counter {group} {name} {by}\n"));
            }
        }
        lines
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
        resources: wire::amounts::Amounts::default(),
        results: None,
    };
    let (item, inputs) = (None, Vec::new());
    let devices = text(wire::environment::DEVICES);
    let devices = devices.split(',').filter(|device| !device.is_empty());
    let devices = devices.map(str::to_owned).collect();
    TaskContext::new(&stage, &TaskSpec { id, item, inputs }, devices, Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::said::{FileListener, Said};

    /// Says something, and goes on only when it can be read in the file.
    fn speaks_until_it_is_heard(
        (file, status): (String, String),
        context: &TaskContext,
    ) -> Result<u32, String> {
        context.progress(0.25);
        context.status(&status);
        context.count("rows", "bad", 3);
        let (listener, said) = (FileListener::new(file.into()), Said::default());
        let patience = Instant::now() + Duration::from_secs(20);
        while said.gauge().progress() != 0.25
            || said.gauge().status().is_empty()
            || said.counters().is_empty()
        {
            if Instant::now() > patience {
                return Err("nobody hears progress, status and counter".to_owned());
            }
            std::thread::sleep(Duration::from_millis(10));
            listener.look(&said);
        }
        context.count("rows", "bad", 4);
        Ok(7)
    }

    #[test]
    fn what_a_function_says_is_heard_while_it_runs_and_the_rest_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("said");
        let functions = Functions::builder().function("speak", speaks_until_it_is_heard);
        let functions = functions.build().unwrap();
        let argument = serde_json::to_string(&(&file, "reading\nrows")).unwrap();
        fs::write(directory.path().join(ARGUMENT), argument).unwrap();
        let variable = |name: &str| (name == said::VARIABLE).then(|| file.clone().into_os_string());

        call(&functions, "speak", directory.path(), &variable).unwrap();

        assert_eq!(result(directory.path()).unwrap(), "7");
        let heard = Said::default();
        FileListener::new(file.clone()).look(&heard);
        assert_eq!(heard.gauge().status(), "reading rows");
        assert_eq!(heard.counters()[0].value, 7);
    }
}
