//! The files and archives of a job: where they are and under which names tasks see them.

use std::path::PathBuf;

use dfs::DfsPath;

use super::RESERVED;
use crate::job::JobFile;
use crate::job::fields::Placed;
use crate::job::problem::Problem;

/// Endings of the files that YARN unpacks (`FSDownload`); of others it makes plain files, without a word.
const UNPACKED: [&str; 5] = [".tar.gz", ".tgz", ".tar", ".zip", ".jar"];

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// On this machine; it will be staged.
    Local(PathBuf),
    /// On a file system that the cluster reaches; it is used where it is.
    Remote(DfsPath),
}

/// One file or archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobResource {
    /// Its name in a task's directory.
    pub name: String,
    /// Where it is.
    pub source: Source,
    /// Whether it is unpacked.
    pub archive: bool,
}

/// All of them, in the order of the job file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobFiles(pub Vec<JobResource>);

impl JobFiles {
    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|resource| resource.name.clone()).collect()
    }
}

pub(super) fn collect(job: &JobFile, home: &DfsPath, problems: &mut Vec<Problem>) -> JobFiles {
    let files = job.files.iter().map(|text| (text, false));
    let archives = job.archives.iter().map(|text| (text, true));
    let mut collected = JobFiles::default();
    for (text, archive) in files.chain(archives) {
        match resource(job, text, archive, home).and_then(|new| check_name(new, &collected)) {
            Ok(new) => collected.0.push(new),
            Err(why) => problems.push(Problem::new(text.place, why)),
        }
    }
    collected
}

fn resource(
    job: &JobFile,
    text: &Placed<String>,
    archive: bool,
    home: &DfsPath,
) -> Result<JobResource, String> {
    let (location, alias) = match text.value.rsplit_once('#') {
        Some((location, alias)) => (location, Some(alias)),
        None => (text.value.as_str(), None),
    };
    if archive
        && !UNPACKED
            .iter()
            .any(|ending| location.to_ascii_lowercase().ends_with(ending))
    {
        return Err(format!(
            "{location:?} is no archive that YARN unpacks: those end in {}",
            UNPACKED.join(", ")
        ));
    }
    let source = source(job, location, home)?;
    let own = match &source {
        Source::Local(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
        Source::Remote(path) => Some(path.name().to_owned()),
    };
    let name = alias.map(str::to_owned).or(own).unwrap_or_default();
    Ok(JobResource {
        name,
        source,
        archive,
    })
}

fn source(job: &JobFile, location: &str, home: &DfsPath) -> Result<Source, String> {
    if location.contains(":/") {
        let path = DfsPath::resolve(location, home).map_err(|error| error.to_string())?;
        return Ok(match path.to_local() {
            Some(local) => Source::Local(local),
            None => Source::Remote(path),
        });
    }
    let directory = job.path.parent().unwrap_or(std::path::Path::new(""));
    Ok(Source::Local(directory.join(location)))
}

fn check_name(new: JobResource, others: &JobFiles) -> Result<JobResource, String> {
    let name = &new.name;
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(format!(
            "{name:?} is no name for a file in a task's directory: use #NAME"
        ));
    }
    let legal = |c: char| c.is_alphanumeric() || "._-+=@, ".contains(c);
    if !name.chars().all(legal) {
        return Err(format!(
            "the name {name:?} has characters that YARN's launch script cannot take: use #NAME"
        ));
    }
    if RESERVED.contains(&name.as_str()) {
        return Err(format!(
            "the name {name:?} is taken by drawloom or YARN: use #NAME"
        ));
    }
    if others.0.iter().any(|other| other.name == *name) {
        return Err(format!(
            "a second file named {name:?}: use #NAME to give it another name"
        ));
    }
    Ok(new)
}
