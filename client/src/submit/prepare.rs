//! From the command line to a resolved job: reading, layering, resolving. The only input is local.

use std::io::Read;
use std::path::{Path, PathBuf};

use dfs::DfsPath;

use crate::cli::{Run, SubmitOptions};
use crate::cluster::settings_files;
use crate::error::CommandError;
use crate::job::fields::Placed;
use crate::job::problem::Place;
use crate::job::{InvalidJob, JobFile, StageFile};
use crate::plan::{self, Planned};
use crate::settings::{Layer, Layers, Resolved};

/// Where values come from that no file holds.
const COMMAND_LINE: Place = Place { line: 1, column: 1 };

/// A list of millions of items is not as long, in bytes.
const LONGEST_JOB: u64 = 256 << 20;

/// Reads a job file; `flags` and `properties_file` say what else is set.
///
/// # Errors
/// It cannot be read, or is invalid: all problems at once, those that settings decide about included.
pub(crate) fn read_job(
    path: &Path,
    flags: Layer,
    properties_file: Option<&Path>,
) -> Result<JobFile, CommandError> {
    let text = text_of(path).map_err(|error| {
        CommandError::usage(format!("the job file {} cannot be read", path.display()))
            .caused_by(error)
            .help("name a file of YAML or JSON; without one: drawloom run -- COMMAND")
    })?;
    let mut draft = JobFile::draft(path, &text).map_err(invalid)?;
    if draft.problems.is_empty() {
        return Ok(draft.job);
    }
    let layers = layers(flags, Some(&draft.job), properties_file)?;
    let (settings, _) = Resolved::as_far_as_valid(&layers);
    draft.problems.extend(plan::further_problems(&draft, &settings));
    Err(invalid(InvalidJob::new(path, draft.problems)))
}

/// All of a file that a person may have named by mistake.
fn text_of(path: &Path) -> Result<String, anyhow::Error> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(LONGEST_JOB + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_JOB {
        anyhow::bail!(
            "it has more than {} MiB, and no job file is that long",
            LONGEST_JOB >> 20
        );
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        anyhow::anyhow!("it is no text in UTF-8, from byte {at} on")
    })?;
    Ok(text)
}

/// The job that `drawloom run` describes, as if it had been written to a file in the current directory.
pub(crate) fn job_of_run(run: &Run) -> JobFile {
    let words = run.command.iter().cloned().map(placed).collect();
    let stage = StageFile {
        inputs: run.input.iter().cloned().map(placed).collect(),
        tasks: run.tasks.or(run.input.is_empty().then_some(1)).map(placed),
        command: Some(words),
        output: run.output.clone().map(placed),
        ..StageFile::empty(placed("run".to_owned()))
    };
    let name = run
        .command
        .first()
        .map(|program| program.rsplit('/').next().unwrap_or(program).to_owned());
    JobFile {
        path: PathBuf::from("run"),
        settings: name.map(|name| ("name", placed(name))).into_iter().collect(),
        conf: Default::default(),
        env: Default::default(),
        files: Vec::new(),
        archives: Vec::new(),
        pools: Vec::new(),
        jobs: Vec::new(),
        stages: vec![stage],
    }
}

fn placed<T>(value: T) -> Placed<T> {
    Placed {
        value,
        place: COMMAND_LINE,
    }
}

/// Adds the files of `--files` and `--archives`, which are relative to the current directory.
///
/// # Errors
/// The current directory is gone.
pub(crate) fn add_files(job: &mut JobFile, options: &SubmitOptions) -> Result<(), CommandError> {
    let absolute = |text: &String| {
        if text.contains(":/") || text.starts_with('/') {
            return Ok(placed(text.clone()));
        }
        let directory = std::env::current_dir()
            .map_err(|error| CommandError::usage("the current directory cannot be read").caused_by(error))?;
        Ok(placed(directory.join(text).to_string_lossy().into_owned()))
    };
    for (texts, list) in [
        (&options.files, &mut job.files),
        (&options.archives, &mut job.archives),
    ] {
        for text in texts.iter().filter(|text| !text.is_empty()) {
            list.push(absolute(text)?);
        }
    }
    Ok(())
}

/// All layers of settings, resolved.
///
/// # Errors
/// A file of settings cannot be read, or settings are invalid: all of them at once.
pub(crate) fn settings(
    flags: Layer,
    job: Option<&JobFile>,
    properties_file: Option<&Path>,
) -> Result<Resolved, CommandError> {
    Resolved::of(&layers(flags, job, properties_file)?).map_err(|error| {
        CommandError::usage("settings are invalid")
            .because(error)
            .help("`drawloom config` lists every setting with its kind and default")
    })
}

fn layers(
    flags: Layer,
    job: Option<&JobFile>,
    properties_file: Option<&Path>,
) -> Result<Layers, CommandError> {
    let env = |name: &str| std::env::var(name).ok();
    let mut layers = vec![flags];
    layers.extend(job.map(Layer::job));
    layers.push(Layer::environment(env));
    if let Some(path) = properties_file {
        layers.push(properties(path)?);
    }
    for path in settings_files(&env).iter().filter(|path| path.exists()) {
        layers.push(properties(path)?);
    }
    Ok(Layers(layers))
}

fn properties(path: &Path) -> Result<Layer, CommandError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        CommandError::usage(format!("the settings in {} cannot be read", path.display()))
            .caused_by(error)
            .help("mend or remove the file; docs/configuration.md says which are read")
    })?;
    Ok(Layer::properties(path, &text))
}

/// Makes the paths of a job absolute.
///
/// # Errors
/// All problems at once.
pub(crate) fn resolve(job: &JobFile, settings: &Resolved, home: &DfsPath) -> Result<Planned, CommandError> {
    plan::resolve(job, settings, home).map_err(invalid)
}

fn invalid(invalid: InvalidJob) -> CommandError {
    let count = invalid.problems.len();
    let plural = if count == 1 { "a problem" } else { "problems" };
    CommandError::usage(format!("{} has {plural}", invalid.path.display()))
        .because(invalid)
        .help("the job file is described in docs/job-file.md")
}
