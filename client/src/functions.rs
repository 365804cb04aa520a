//! Jobs of Rust functions, from a program of one's own.
//!
//! The program registers functions by name and calls [`main`] with them. Started by a person it builds and submits
//! jobs; the same program is staged and runs as the ApplicationMaster and as executors, which call the functions.
//! Arguments and results travel as JSON.
//!
//! ```no_run
//! use drawloom::functions::{self, Functions, Stage, TaskContext};
//!
//! fn main() -> std::process::ExitCode {
//!     let functions = Functions::builder()
//!         .function("square", |n: u64, _: &TaskContext| Ok::<_, String>(n * n))
//!         .build();
//!     functions::main(functions, async |session| {
//!         let job = session.job("squares").stage(Stage::new("squares", "square", 0..100u64));
//!         let done = job.submit().await?.wait().await?;
//!         println!("{}", done.results::<u64>("squares")?.iter().sum::<u64>());
//!         Ok(())
//!     })
//! }
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use dfs::{DfsPath, FileSystem, FileSystems};
pub use executor::functions::{Functions, FunctionsBuilder, InvalidFunctions, TaskContext};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::{Master, SubmitOptions};
use crate::embedded::Embedded;
use crate::error::{CommandError, Exit};
use crate::job::fields::Placed;
use crate::job::problem::Place;
use crate::job::{JobFile, StageFile};
use crate::roles;
use crate::submit::Submitted;
use crate::terminal::tell;

/// Where what is built in a program stands for messages that name lines of job files.
const IN_PROGRAM: Place = Place { line: 1, column: 1 };

/// The directory of results that nobody gave a place, in the user's home directory.
const RESULTS: &str = ".drawloom/results";

/// The longest file of results that is read, in bytes; the ApplicationMaster writes none beyond `results.max-size`.
const LARGEST: u64 = 1 << 40;

/// Runs a program: the role that YARN started it for, or `client` when a person did. To be called first thing in
/// `main`. What the client gives as an error is printed, and its exit code is that of `drawloom submit`.
///
/// Functions that cannot be registered end the program at once, in every role.
pub fn main<F>(functions: Result<Functions, InvalidFunctions>, client: F) -> ExitCode
where
    F: AsyncFnOnce(Session) -> Result<(), Box<dyn Error>>,
{
    let functions = match functions {
        Ok(functions) => functions,
        Err(invalid) => {
            return failed(
                &CommandError::usage("the functions of this program cannot be used").because(invalid),
            );
        }
    };
    if let Some(ended) = roles::play(&functions) {
        return ended;
    }
    roles::prepare_client("error");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(client(Session { functions })),
        Err(error) => Err(error.into()),
    };
    match ended.map_err(|error| error.downcast::<CommandError>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Ok(error)) => failed(&error),
        Err(Err(error)) => failed(&CommandError::new(Exit::JobFailed, error.to_string())),
    }
}

fn failed(error: &CommandError) -> ExitCode {
    tell(error.render(false).trim_end());
    ExitCode::from(error.exit.code())
}

/// A program that a person has started.
#[derive(Debug, Clone)]
pub struct Session {
    functions: Functions,
}

impl Session {
    /// Begins a job of this name. It runs where `drawloom submit` would run it: on the cluster of the Hadoop
    /// configuration, or on an embedded one when there is none.
    #[must_use]
    pub fn job(&self, name: &str) -> JobBuilder {
        JobBuilder {
            functions: self.functions.clone(),
            options: SubmitOptions {
                name: Some(name.to_owned()),
                ..SubmitOptions::default()
            },
            conf_dir: None,
            stages: Vec::new(),
        }
    }
}

/// A stage of a job: one call of a function for each argument.
#[derive(Debug)]
pub struct Stage {
    file: StageFile,
    function: String,
    unfit: Option<String>,
}

impl Stage {
    /// A stage of this name that calls a registered function with each of the arguments.
    pub fn new<A: Serialize>(name: &str, function: &str, arguments: impl IntoIterator<Item = A>) -> Self {
        let mut unfit = None;
        let json = arguments
            .into_iter()
            .map(|argument| match serde_json::to_string(&argument) {
                Ok(json) => placed(json),
                Err(error) => {
                    unfit.get_or_insert(format!(
                        "an argument of stage {name:?} cannot be written as JSON: {error}"
                    ));
                    placed(String::new())
                }
            });
        let items: Vec<_> = json.collect();
        let file = StageFile {
            items: Some(items),
            function: Some(placed(function.to_owned())),
            ..StageFile::empty(placed(name.to_owned()))
        };
        Self {
            file,
            function: function.to_owned(),
            unfit,
        }
    }

    /// The stage begins when these are done.
    #[must_use]
    pub fn after(mut self, stages: &[&str]) -> Self {
        self.file.after = stages.iter().map(|name| placed((*name).to_owned())).collect();
        self
    }

    /// Slots that each call takes.
    #[must_use]
    pub fn cores(mut self, cores: u32) -> Self {
        self.file.cores = Some(placed(cores));
        self
    }

    /// How much memory a call may use, in MiB. Each call then has a process of its own, which costs a few
    /// milliseconds and is ended above the limit.
    #[must_use]
    pub fn memory_mib(mut self, memory: u64) -> Self {
        self.file.memory_mib = Some(placed(memory));
        self
    }

    /// How much each call has of another resource of its executor, by YARN's name (`yarn.io/gpu`), which has to be asked
    /// for with the setting `executors.resources`. [`TaskContext::devices`] are those of the call.
    #[must_use]
    pub fn resource(mut self, name: &str, amount: u64) -> Self {
        self.file.resources.insert(name.to_owned(), placed(amount));
        self
    }

    /// How long a call may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.file.timeout = Some(placed(timeout));
        self
    }

    /// Failed calls of one task that are tried again.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.file.retries = Some(placed(retries));
        self
    }

    /// Leaves the results in this directory, as `results.jsonl`, instead of giving them to the program.
    #[must_use]
    pub fn output(mut self, directory: &str) -> Self {
        self.file.output = Some(placed(directory.to_owned()));
        self
    }
}

fn placed<T>(value: T) -> Placed<T> {
    let place = IN_PROGRAM;
    Placed { value, place }
}

/// A job on its way to be submitted.
#[derive(Debug)]
pub struct JobBuilder {
    functions: Functions,
    options: SubmitOptions,
    conf_dir: Option<PathBuf>,
    stages: Vec<Stage>,
}

impl JobBuilder {
    /// Adds a stage.
    #[must_use]
    pub fn stage(mut self, stage: Stage) -> Self {
        self.stages.push(stage);
        self
    }

    /// How many executors.
    #[must_use]
    pub fn executors(mut self, instances: u32) -> Self {
        self.options.num_executors = Some(instances.to_string());
        self
    }

    /// Slots of each executor.
    #[must_use]
    pub fn executor_cores(mut self, cores: u32) -> Self {
        self.options.executor_cores = Some(cores.to_string());
        self
    }

    /// Container memory of each executor, like `512MiB`.
    #[must_use]
    pub fn executor_memory(mut self, memory: &str) -> Self {
        self.options.executor_memory = Some(memory.to_owned());
        self
    }

    /// Any setting; `drawloom config` lists all.
    #[must_use]
    pub fn conf(mut self, key: &str, value: &str) -> Self {
        self.options.conf.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Where to run, whatever Hadoop configuration there is.
    #[must_use]
    pub fn master(mut self, master: Master) -> Self {
        self.options.master = Some(master);
        self
    }

    /// The Hadoop configuration to use.
    #[must_use]
    pub fn conf_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.conf_dir = Some(directory.into());
        self
    }

    /// Submits the job, once its functions are known to be registered. Phases are printed to standard error as
    /// `drawloom submit` does.
    ///
    /// # Errors
    /// Whatever keeps YARN from accepting it.
    pub async fn submit(self) -> Result<JobHandle, CommandError> {
        self.check()?;
        let embedded = Embedded::start_if_wanted(self.options.master, self.conf_dir.as_deref()).await?;
        let results = results_directory(embedded.as_ref())?;
        let (job, collected) = job_file(self.stages, &results);
        let conf_dir = embedded.as_ref().map(Embedded::conf_dir).or(self.conf_dir);
        let staging = embedded.as_ref().map(Embedded::staging);
        let submitted = Submitted::new(conf_dir.as_deref(), job, self.options, staging).await?;
        Ok(JobHandle {
            submitted,
            embedded,
            results,
            collected,
        })
    }

    fn check(&self) -> Result<(), CommandError> {
        for stage in &self.stages {
            if let Some(unfit) = &stage.unfit {
                return Err(CommandError::usage(unfit));
            }
            if !self.functions.contains(&stage.function) {
                let known: Vec<_> = self.functions.names().collect();
                let error = format!(
                    "stage {:?} calls {:?}, which is not registered",
                    stage.file.name.value, stage.function
                );
                let known = format!("registered are: {}", known.join(", "));
                return Err(CommandError::usage(error).because(known));
            }
        }
        Ok(())
    }
}

/// A directory of its own for the results of one job.
fn results_directory(embedded: Option<&Embedded>) -> Result<String, CommandError> {
    let number =
        getrandom::u64().map_err(|error| CommandError::refused("no random numbers").caused_by(error))?;
    let base = match embedded {
        Some(embedded) => format!("{}-results", embedded.staging()),
        None => RESULTS.to_owned(),
    };
    Ok(format!("{base}/{number:016x}"))
}

/// The job as a job file would have it, and the stages whose results the program gets.
fn job_file(stages: Vec<Stage>, results: &str) -> (JobFile, Vec<String>) {
    let mut collected = Vec::new();
    let stages = stages.into_iter().map(|stage| {
        let mut file = stage.file;
        if file.output.is_none() {
            collected.push(file.name.value.clone());
            file.output = Some(placed(format!("{results}/{}", file.name.value)));
        }
        file
    });
    let job = JobFile {
        path: PathBuf::from("job"),
        settings: BTreeMap::new(),
        conf: BTreeMap::new(),
        env: BTreeMap::new(),
        files: Vec::new(),
        archives: Vec::new(),
        pools: Vec::new(),
        jobs: Vec::new(),
        stages: stages.collect(),
    };
    (job, collected)
}

/// A job that was submitted.
pub struct JobHandle {
    submitted: Submitted,
    embedded: Option<Embedded>,
    results: String,
    collected: Vec<String>,
}

impl std::fmt::Debug for JobHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobHandle")
            .field("application", &self.application())
            .finish()
    }
}

impl JobHandle {
    /// The id of the application, as `application_1795000000000_0001`.
    #[must_use]
    pub fn application(&self) -> String {
        self.submitted.application()
    }

    /// Waits for the end of the job and fetches its results.
    ///
    /// # Errors
    /// Whatever kept it from succeeding, or its results from being read.
    pub async fn wait(self) -> Result<FinishedJob, CommandError> {
        let file_systems = self.submitted.file_systems();
        let (waited, over) = self.submitted.wait().await;
        let finished = conclude(waited, over, &file_systems, &self.results, &self.collected).await;
        match self.embedded {
            Some(embedded) => embedded.end(finished).await,
            None => finished,
        }
    }
}

/// What a job gives whose wait ended so; nothing of one that is over stays where its results lie. One that somebody
/// only stopped waiting for may still write there.
async fn conclude(
    waited: Result<(), CommandError>,
    over: bool,
    file_systems: &FileSystems,
    results: &str,
    collected: &[String],
) -> Result<FinishedJob, CommandError> {
    let finished = match waited {
        Ok(()) => fetch(file_systems, results, collected).await,
        Err(error) => Err(error),
    };
    if over && let Err(error) = remove(file_systems, results).await {
        tracing::warn!(%error, "results are left in {results}");
    }
    finished
}

async fn remove(file_systems: &FileSystems, results: &str) -> Result<bool, dfs::DfsError> {
    let base = file_systems.resolve(results)?;
    file_systems.get(&base)?.delete(&base, true).await
}

/// Reads the results of stages.
async fn fetch(
    file_systems: &FileSystems,
    results: &str,
    collected: &[String],
) -> Result<FinishedJob, CommandError> {
    let unreadable = |error: dfs::DfsError| {
        CommandError::new(Exit::JobFailed, "the results of the job cannot be read").caused_by(error)
    };
    let base = file_systems.resolve(results).map_err(unreadable)?;
    let fs = file_systems.get(&base).map_err(unreadable)?;
    let mut by_stage = BTreeMap::new();
    for stage in collected {
        let lines = read_stage(fs.as_ref(), &base.join(stage)).await?;
        by_stage.insert(stage.clone(), lines);
    }
    Ok(FinishedJob { by_stage })
}

/// One line of a file of results: one of the two, or a value of null.
#[derive(serde::Deserialize)]
struct Line {
    value: Option<Box<serde_json::value::RawValue>>,
    stored: Option<String>,
}

async fn read_stage(fs: &dyn FileSystem, directory: &DfsPath) -> Result<Vec<String>, CommandError> {
    let broken = |error: &dyn std::fmt::Display| {
        CommandError::new(
            Exit::JobFailed,
            format!("the results in {directory} cannot be read"),
        )
        .because(error)
    };
    let path = directory.join(am::results::FILE);
    let text = dfs::read_all(fs, &path, LARGEST)
        .await
        .map_err(|error| broken(&error))?;
    let text = std::str::from_utf8(&text).map_err(|error| broken(&error))?;
    let mut results = Vec::new();
    for line in text.lines() {
        let line: Line = serde_json::from_str(line).map_err(|error| broken(&error))?;
        let Some(stored) = line.stored else {
            results.push(
                line.value
                    .map_or_else(|| "null".to_owned(), |value| value.get().to_owned()),
            );
            continue;
        };
        let bytes = dfs::read_all(fs, &directory.join(&stored), LARGEST).await;
        let bytes = bytes.map_err(|error| broken(&error))?;
        results.push(String::from_utf8(bytes.to_vec()).map_err(|error| broken(&error))?);
    }
    Ok(results)
}

/// A job that has succeeded.
#[derive(Debug)]
pub struct FinishedJob {
    /// The results of each stage as JSON, in the order of its arguments.
    by_stage: BTreeMap<String, Vec<String>>,
}

impl FinishedJob {
    /// What the calls of a stage gave back, in the order of its arguments.
    ///
    /// # Errors
    /// There is no such stage or its results lie in a directory, or a result is of another type.
    pub fn results<R: DeserializeOwned>(&self, stage: &str) -> Result<Vec<R>, CommandError> {
        let Some(results) = self.by_stage.get(stage) else {
            return Err(
                CommandError::usage(format!("there are no results of a stage {stage:?}"))
                    .help("name a stage of the job that has no output directory"),
            );
        };
        let parse = |(number, json): (usize, &String)| {
            serde_json::from_str(json).map_err(|error| {
                CommandError::usage(format!("result {number} of stage {stage:?} is of another type"))
                    .caused_by(error)
            })
        };
        results.iter().enumerate().map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of the results of a job whose wait ended so.
    async fn left(waited: Result<(), CommandError>, over: bool) -> (Result<FinishedJob, CommandError>, bool) {
        let directory = tempfile::tempdir().unwrap();
        let results = directory.path().join("results");
        let stage = results.join("squares");
        std::fs::create_dir_all(&stage).unwrap();
        std::fs::write(stage.join(am::results::FILE), "{\"value\":4}\n{\"value\":9}\n").unwrap();
        let conf = hadoop::conf::Configuration::defaults(&|_| None);
        let systems = FileSystems::builder(&conf, "ada").build().unwrap();
        let uri = format!("file://{}", results.display());
        let finished = conclude(waited, over, &systems, &uri, &["squares".to_owned()]).await;
        (finished, results.exists())
    }

    #[tokio::test]
    async fn results_stay_only_where_a_job_may_still_write_them() {
        let (finished, stays) = left(Ok(()), true).await;
        assert_eq!(finished.unwrap().results::<u64>("squares").unwrap(), [4, 9]);
        assert!(!stays);
        let failed = || CommandError::new(Exit::JobFailed, "exit code 7");
        let (finished, stays) = left(Err(failed()), true).await;
        assert_eq!((finished.unwrap_err().exit, stays), (Exit::JobFailed, false));
        let interrupted = CommandError::new(Exit::Interrupted, "interrupted");
        assert!(left(Err(interrupted), false).await.1);
    }
}
