//! The job file: what a person writes, read and checked as a whole.
//!
//! Reading goes in three steps, each of which reports all it finds: text to nodes that know their place
//! (`document`), nodes to typed fields with unknown keys named (`fields`), and the checks that look across fields
//! (`check`). Nothing of the cluster is asked here; that is preflight's.

pub(crate) mod check;
pub(crate) mod document;
pub(crate) mod fields;
pub(crate) mod problem;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use driver::plan::FeedPlan;

use crate::settings::value;
use document::Node;
use fields::{Fields, Placed};
use problem::{Place, Problem};

/// A job file as written.
#[derive(Debug, Clone, PartialEq)]
pub struct JobFile {
    /// Where it was read from; local files are relative to its directory.
    pub path: PathBuf,
    /// Single values that are settings too, by the setting's name.
    pub settings: BTreeMap<&'static str, Placed<String>>,
    /// The mapping `conf`: further settings by name.
    pub conf: BTreeMap<String, Placed<String>>,
    /// Variables for every task.
    pub env: BTreeMap<String, Placed<String>>,
    /// Files for every task's directory.
    pub files: Vec<Placed<String>>,
    /// Archives, unpacked for every task.
    pub archives: Vec<Placed<String>>,
    /// Pools of stages.
    pub pools: Vec<PoolFile>,
    /// The jobs; none when the file has `stages` of its own, which are then one job.
    pub jobs: Vec<JobEntry>,
    /// The stages of all jobs, in the order of the file.
    pub stages: Vec<StageFile>,
}

/// One of several jobs as written.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEntry {
    /// Where it begins.
    pub place: Place,
    /// Its name.
    pub name: Placed<String>,
    /// The pool of its stages.
    pub pool: Option<Placed<String>>,
    /// The jobs that must have succeeded before it.
    pub after: Vec<Placed<String>>,
}

/// A pool as written.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolFile {
    /// Where it begins.
    pub place: Place,
    /// Its name.
    pub name: Placed<String>,
    /// The pool it is in.
    pub parent: Option<Placed<String>>,
    /// Whether its members share fairly.
    pub fair: Option<Placed<bool>>,
    /// Its share in relation to its neighbours.
    pub weight: Option<Placed<u32>>,
    /// Running tasks below which it goes first.
    pub min_share: Option<Placed<u32>>,
}

/// A stage as written.
#[derive(Debug, Clone, PartialEq)]
pub struct StageFile {
    /// Where it begins.
    pub place: Place,
    /// Its name.
    pub name: Placed<String>,
    /// The job it belongs to, by its place among [`JobFile::jobs`]; 0 when there are none.
    pub job: u32,
    /// The stages it waits for.
    pub after: Vec<Placed<String>>,
    /// The stages whose partition of the same number each of its tasks waits for.
    pub with: Vec<Placed<String>>,
    /// The pool its tasks are in.
    pub pool: Option<Placed<String>>,
    /// Whether all its tasks start together or none.
    pub barrier: Option<Placed<bool>>,
    /// Files, globs or directories.
    pub inputs: Vec<Placed<String>>,
    /// A number of tasks, or of groups of inputs.
    pub tasks: Option<Placed<u32>>,
    /// One task each.
    pub items: Option<Vec<Placed<String>>>,
    /// Cut files above this size, in bytes.
    pub split: Option<Placed<u64>>,
    /// A program and its arguments.
    pub command: Option<Vec<Placed<String>>>,
    /// A script.
    pub shell: Option<Placed<String>>,
    /// A function that the submitting program has registered; only such a program can ask for one.
    pub function: Option<Placed<String>>,
    /// The output directory.
    pub output: Option<Placed<String>>,
    /// Whether an existing output is replaced.
    pub overwrite: Option<Placed<bool>>,
    /// Whether the result is a directory.
    pub capture_directory: Option<Placed<bool>>,
    /// How input arrives.
    pub feed: Option<Placed<FeedPlan>>,
    /// Slots of each task.
    pub cores: Option<Placed<u32>>,
    /// Memory limit of each task, in MiB.
    pub memory_mib: Option<Placed<u64>>,
    /// What each task has of its executor's other resources, by name.
    pub resources: BTreeMap<String, Placed<u64>>,
    /// How long an attempt may run.
    pub timeout: Option<Placed<Duration>>,
    /// Failed attempts of one task that are tried again.
    pub retries: Option<Placed<u32>>,
    /// Variables for its tasks.
    pub env: BTreeMap<String, Placed<String>>,
}

impl StageFile {
    /// A stage that says nothing but its name.
    pub(crate) fn empty(name: Placed<String>) -> Self {
        Self {
            place: name.place,
            name,
            job: 0,
            after: Vec::new(),
            with: Vec::new(),
            pool: None,
            barrier: None,
            inputs: Vec::new(),
            tasks: None,
            items: None,
            split: None,
            command: None,
            shell: None,
            function: None,
            output: None,
            overwrite: None,
            capture_directory: None,
            feed: None,
            cores: None,
            memory_mib: None,
            resources: BTreeMap::new(),
            timeout: None,
            retries: None,
            env: BTreeMap::new(),
        }
    }
}

/// Everything that is wrong with a job file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidJob {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, in the order of the file.
    pub problems: Vec<Problem>,
}

impl fmt::Display for InvalidJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(
                f,
                "{separator}{}:{}: {}",
                self.path.display(),
                problem.place,
                problem.text
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidJob {}

impl InvalidJob {
    /// Problems of a file, in any order.
    pub(crate) fn new(path: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        let path = path.to_owned();
        Self { path, problems }
    }
}

/// A job file as far as it could be read.
#[derive(Debug)]
pub(crate) struct Draft {
    /// What was read; what could not be is as if it were not there.
    pub(crate) job: JobFile,
    /// What is wrong with it.
    pub(crate) problems: Vec<Problem>,
    /// Whether the executors are as they were written, so that it can be said what is too large for them.
    pub(crate) knows_executors: bool,
}

impl JobFile {
    /// Reads and checks a job file's text; `path` is for messages and for relative files.
    ///
    /// # Errors
    /// All problems at once, each with its line and column.
    pub fn parse(path: &Path, text: &str) -> Result<Self, InvalidJob> {
        let draft = Self::draft(path, text)?;
        if draft.problems.is_empty() {
            Ok(draft.job)
        } else {
            Err(InvalidJob::new(path, draft.problems))
        }
    }

    /// Reads and checks a job file's text as far as that goes.
    ///
    /// # Errors
    /// It is no YAML.
    pub(crate) fn draft(path: &Path, text: &str) -> Result<Draft, InvalidJob> {
        let root = document::parse(text).map_err(|problem| InvalidJob::new(path, vec![problem]))?;
        if !matches!(root.value, document::Value::Map(_)) {
            // Everything else would be missing only because of that.
            let text = format!("the job should be a mapping, it is {}", root.kind());
            return Err(InvalidJob::new(path, vec![Problem::new(root.place, text)]));
        }
        let mut problems = Vec::new();
        let (job, read) = read_job(path, root, &mut problems);
        let before = problems.len();
        check::settings(&job, &mut problems);
        let knows_executors = read && problems.len() == before;
        check::job(&job, &mut problems);
        Ok(Draft {
            job,
            problems,
            knows_executors,
        })
    }
}

/// The job, and whether what it says of its executors was read as it is.
fn read_job(path: &Path, root: Node, problems: &mut Vec<Problem>) -> (JobFile, bool) {
    let mut fields = Fields::of(root, "the job", problems);
    check::version(&mut fields, problems);
    let mut settings = BTreeMap::new();
    for (key, setting) in [
        ("name", "name"),
        ("queue", "queue"),
        ("priority", "priority"),
        ("node-label", "node-label"),
        ("lifetime", "lifetime"),
        ("deploy-mode", "deploy-mode"),
        ("uber", "uber.mode"),
    ] {
        keep(&mut settings, setting, fields.text(key, problems));
    }
    read_tags(&mut fields, &mut settings, problems);
    read_group(
        &mut fields,
        "acls",
        &[("view", "acls.view"), ("modify", "acls.modify")],
        &mut settings,
        problems,
    );
    let am = [
        ("memory", "am.memory"),
        ("cores", "am.cores"),
        ("max-attempts", "am.max-attempts"),
    ];
    read_group(&mut fields, "am", &am, &mut settings, problems);
    let executors = [
        ("instances", "executors.instances"),
        ("memory", "executors.memory"),
        ("cores", "executors.cores"),
        ("min", "executors.min"),
        ("max", "executors.max"),
        ("idle-timeout", "executors.idle-timeout"),
    ];
    let before = problems.len();
    read_executors(&mut fields, &executors, &mut settings, problems);
    let executors_read = problems.len() == before;
    let (jobs, stages) = read_work(&mut fields, problems);
    let job = JobFile {
        path: path.to_owned(),
        settings,
        conf: fields.text_map("conf", problems),
        env: fields.text_map("env", problems),
        files: fields.texts("files", problems).unwrap_or_default(),
        archives: fields.texts("archives", problems).unwrap_or_default(),
        pools: read_pools(&mut fields, problems),
        jobs,
        stages,
    };
    let executors_read = executors_read && !fields.has_misspelt("executors");
    fields.finish(problems);
    (job, executors_read)
}

type Settings = BTreeMap<&'static str, Placed<String>>;

fn keep(settings: &mut Settings, setting: &'static str, value: Option<Placed<String>>) {
    if let Some(value) = value {
        settings.insert(setting, value);
    }
}

fn read_tags(fields: &mut Fields, settings: &mut Settings, problems: &mut Vec<Problem>) {
    let Some(tags) = fields.texts("tags", problems) else {
        return;
    };
    let Some(first) = tags.first() else { return };
    let place = first.place;
    let value = tags
        .iter()
        .map(|tag| tag.value.as_str())
        .collect::<Vec<_>>()
        .join(",");
    settings.insert("tags", Placed { value, place });
}

/// The executors are a group with a mapping in it: amounts of other resources by name.
fn read_executors(
    fields: &mut Fields,
    keys: &[(&'static str, &'static str)],
    settings: &mut Settings,
    problems: &mut Vec<Problem>,
) {
    let Some(node) = fields.node("executors") else {
        return;
    };
    let mut inner = Fields::of(node, "executors", problems);
    let amounts = inner.text_map("resources", problems);
    if let Some((_, first)) = amounts.first_key_value() {
        let place = first.place;
        let entries = amounts
            .iter()
            .map(|(name, amount)| format!("{name}={}", amount.value));
        let value = entries.collect::<Vec<_>>().join(",");
        settings.insert("executors.resources", Placed { value, place });
    }
    read_keys(inner, keys, settings, problems);
}

fn read_group(
    fields: &mut Fields,
    group: &'static str,
    keys: &[(&'static str, &'static str)],
    settings: &mut Settings,
    problems: &mut Vec<Problem>,
) {
    let Some(node) = fields.node(group) else { return };
    let inner = Fields::of(node, group, problems);
    read_keys(inner, keys, settings, problems);
}

fn read_keys(
    mut fields: Fields,
    keys: &[(&'static str, &'static str)],
    settings: &mut Settings,
    problems: &mut Vec<Problem>,
) {
    for (key, setting) in keys {
        keep(settings, setting, fields.text(key, problems));
    }
    fields.finish(problems);
}

fn read_pools(fields: &mut Fields, problems: &mut Vec<Problem>) -> Vec<PoolFile> {
    let Some(node) = fields.node("pools") else {
        return Vec::new();
    };
    let place = node.place;
    let document::Value::List(nodes) = node.value else {
        problems.push(Problem::new(
            place,
            "pools should be a list: begin each pool with a dash",
        ));
        return Vec::new();
    };
    nodes.into_iter().map(|node| read_pool(node, problems)).collect()
}

fn read_pool(node: Node, problems: &mut Vec<Problem>) -> PoolFile {
    let mut fields = Fields::of(node, "a pool", problems);
    let place = fields.place;
    let pool = PoolFile {
        place,
        name: named(fields.text("name", problems), "a pool", place, problems),
        parent: fields.text("parent", problems),
        fair: fields.parsed("mode", problems, mode),
        weight: fields.parsed("weight", problems, value::count),
        min_share: fields.parsed("min-share", problems, value::number),
    };
    fields.finish(problems);
    pool
}

fn named(
    name: Option<Placed<String>>,
    what: &str,
    place: Place,
    problems: &mut Vec<Problem>,
) -> Placed<String> {
    name.unwrap_or_else(|| {
        problems.push(Problem::new(place, format!("{what} needs a name")));
        Placed {
            value: String::new(),
            place,
        }
    })
}

fn mode(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "fair" => Ok(true),
        "fifo" => Ok(false),
        _ => Err(format!("{text:?} should be fifo or fair")),
    }
}

/// Several jobs with their stages, or the stages of the only one.
fn read_work(fields: &mut Fields, problems: &mut Vec<Problem>) -> (Vec<JobEntry>, Vec<StageFile>) {
    let Some(node) = fields.node("jobs") else {
        return (Vec::new(), read_stages(fields, 0, problems));
    };
    let place = node.place;
    if let Some(stages) = fields.node("stages") {
        let text = "a file has either stages or jobs, which have stages of their own";
        problems.push(Problem::new(stages.place, text));
    }
    let document::Value::List(nodes) = node.value else {
        problems.push(Problem::new(
            place,
            "jobs should be a list: begin each job with a dash",
        ));
        return (Vec::new(), Vec::new());
    };
    if nodes.is_empty() {
        problems.push(Problem::new(place, "jobs is empty: give at least one"));
    }
    let (mut jobs, mut stages) = (Vec::new(), Vec::new());
    for (number, node) in (0..).zip(nodes) {
        let mut fields = Fields::of(node, "a job", problems);
        let place = fields.place;
        jobs.push(JobEntry {
            place,
            name: named(fields.text("name", problems), "a job", place, problems),
            pool: fields.text("pool", problems),
            after: fields.texts("after", problems).unwrap_or_default(),
        });
        stages.extend(read_stages(&mut fields, number, problems));
        fields.finish(problems);
    }
    (jobs, stages)
}

fn read_stages(fields: &mut Fields, job: u32, problems: &mut Vec<Problem>) -> Vec<StageFile> {
    let place = fields.place;
    let Some(node) = fields.node("stages") else {
        problems.push(Problem::new(
            place,
            "a job needs stages: a list with at least one stage",
        ));
        return Vec::new();
    };
    let place = node.place;
    let document::Value::List(nodes) = node.value else {
        problems.push(Problem::new(
            place,
            "stages should be a list: begin each stage with a dash",
        ));
        return Vec::new();
    };
    if nodes.is_empty() {
        problems.push(Problem::new(
            place,
            "stages is empty: a job needs at least one stage",
        ));
    }
    let stages = nodes.into_iter().map(|node| read_stage(node, job, problems));
    stages.collect()
}

fn read_stage(node: Node, job: u32, problems: &mut Vec<Problem>) -> StageFile {
    let mut fields = Fields::of(node, "a stage", problems);
    let place = fields.place;
    let name = named(fields.text("name", problems), "a stage", place, problems);
    let stage = StageFile {
        place,
        name,
        job,
        after: fields.texts("after", problems).unwrap_or_default(),
        with: fields.texts("with", problems).unwrap_or_default(),
        pool: fields.text("pool", problems),
        barrier: fields.parsed("barrier", problems, value::boolean),
        inputs: fields.texts("inputs", problems).unwrap_or_default(),
        tasks: fields.parsed("tasks", problems, value::count),
        items: fields.texts("items", problems),
        split: fields.parsed("split", problems, split),
        command: fields.words("command", problems),
        shell: fields.text("shell", problems),
        function: None,
        output: fields.text("output", problems),
        overwrite: fields.parsed("overwrite", problems, value::boolean),
        capture_directory: fields.parsed("capture", problems, capture),
        feed: fields.parsed("feed", problems, feed),
        cores: fields.parsed("cores", problems, value::count),
        memory_mib: fields.parsed("memory", problems, value::mebibytes),
        resources: amounts(&mut fields, problems),
        timeout: fields.parsed("timeout", problems, timeout),
        retries: fields.parsed("retries", problems, value::number),
        env: fields.text_map("env", problems),
    };
    fields.finish(problems);
    stage
}

/// Amounts of other resources by name; written as a mapping, as those of executors are.
fn amounts(fields: &mut Fields, problems: &mut Vec<Problem>) -> BTreeMap<String, Placed<u64>> {
    let mut amounts = BTreeMap::new();
    for (name, Placed { value: text, place }) in fields.text_map("resources", problems) {
        match value::amount(&name, &text) {
            Ok(value) => drop(amounts.insert(name, Placed { value, place })),
            Err(why) => problems.push(Problem::new(place, format!("resources: {why}"))),
        }
    }
    amounts
}

fn split(text: &str) -> Result<u64, String> {
    match value::size(text)? {
        small if small < 1 << 10 => Err(format!("{text:?} is too small to cut files at: at least 1KiB")),
        size => Ok(size),
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    match value::duration(text)? {
        Duration::ZERO => Err("a timeout of nothing ends every task: leave it out for none".to_owned()),
        timeout => Ok(timeout),
    }
}

fn capture(text: &str) -> Result<bool, String> {
    match text {
        "stdout" => Ok(false),
        "dir" => Ok(true),
        other => Err(format!("{other:?} should be stdout or dir")),
    }
}

fn feed(text: &str) -> Result<FeedPlan, String> {
    match text {
        "stdin" => Ok(FeedPlan::Stdin),
        "file" => Ok(FeedPlan::File),
        "none" => Ok(FeedPlan::None),
        other => Err(format!("{other:?} should be stdin, file or none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        match JobFile::parse(Path::new("job.yaml"), text) {
            Ok(_) => String::new(),
            Err(invalid) => invalid.to_string(),
        }
    }

    const GOOD: &str = "\
version: 1
name: word-count
executors: { instances: 3, memory: 512MiB, cores: 2 }
files: [count.sh, hdfs:///dict.txt#dict.txt]
env: { LANG: C.UTF-8 }
conf: { task.max-failures: 4 }
stages:
  - name: count
    inputs: books/*.txt
    command: [./count.sh]
    output: out/counts
  - name: total
    after: [count]
    inputs: out/counts
    tasks: 1
    shell: sort -k2
    output: out/total
";

    #[test]
    fn the_documented_job_is_read() {
        let job = JobFile::parse(Path::new("job.yaml"), GOOD).unwrap();
        assert_eq!(job.settings["executors.memory"].value, "512MiB");
        assert_eq!(job.stages[1].after[0].value, "count");
        assert_eq!(job.conf["task.max-failures"].place, Place { line: 6, column: 28 });
    }

    #[test]
    fn other_resources_of_executors_are_a_mapping() {
        let text = GOOD.replace("cores: 2", "resources: { yarn.io/gpu: 1, fpga: 2 }");
        let job = JobFile::parse(Path::new("job.yaml"), &text).unwrap();
        assert_eq!(job.settings["executors.resources"].value, "fpga=2,yarn.io/gpu=1");
        assert_eq!(problems(&GOOD.replace("cores: 2", "resources: {}")), "");
        let staged = |resources: &str| {
            GOOD.replacen("  - name:", &format!("  - resources: {resources}\n    name:"), 1)
        };
        assert_eq!(problems(&staged("{ yarn.io/gpu: 1 }")), "");
        for (wrong, why) in [
            ("{ fpga: none }", "at least 1"),
            ("{ memory: 2 }", "settings of their own"),
        ] {
            let refused = problems(&staged(wrong));
            assert!(refused.contains(why), "{refused}");
        }
        let refused = problems(&GOOD.replace("cores: 2", "resources: [gpu]"));
        assert!(refused.contains("resources"), "{refused}");
    }

    #[test]
    fn json_of_the_same_shape_is_read() {
        let text = r#"{"version": 1, "stages": [{"name": "a", "tasks": 3, "command": ["true"]}]}"#;
        let job = JobFile::parse(Path::new("job.json"), text).unwrap();
        assert_eq!(job.stages[0].tasks.as_ref().unwrap().value, 3);
    }

    #[test]
    fn all_problems_are_reported_at_once_with_their_place() {
        let text = "\
version: 2
nmae: x
executors: { instances: 3, memroy: 1g }
stages:
  - name: a
    tasks: none
    command: [true]
    timeout: 5
  - name: a
    after: [b, a]
    inputs: [x]
    items: [1]
    shell: 'true'
    command: [true]
  - tasks: 1
";
        insta::assert_snapshot!(problems(text));
    }

    #[test]
    fn a_line_in_place_of_a_commands_words_says_what_to_write() {
        let text = "version: 1\nstages: [{ name: a, tasks: 1, command: sort -k2 in }]\n";
        let said = problems(text);
        assert!(
            said.contains("like [sort, -k2, in]") && said.contains("`shell: …`"),
            "{said}"
        );
        assert_eq!(
            problems("version: 1\nstages: [{ name: a, tasks: 1, command: sort }]\n"),
            ""
        );
    }

    #[test]
    fn a_cycle_names_its_stages() {
        let text = "\
version: 1
stages:
  - { name: a, tasks: 1, shell: x, after: c }
  - { name: b, tasks: 1, shell: x, after: a }
  - { name: c, tasks: 1, shell: x, after: b }
";
        assert_eq!(
            problems(text),
            "job.yaml:3:5: stages wait for each other: a after c after b after a"
        );
    }

    const JOBS: &str = "\
version: 1
jobs:
  - name: load
    stages: [{ name: a, tasks: 1, shell: x }, { name: b, tasks: 1, shell: x, after: a }]
  - name: report
    pool: prod
    after: [load]
    stages: [{ name: c, tasks: 1, shell: x }]
";

    #[test]
    fn a_file_of_several_jobs_is_read() {
        let job = JobFile::parse(Path::new("job.yaml"), JOBS).unwrap();
        let stages: Vec<_> = job
            .stages
            .iter()
            .map(|stage| (stage.name.value.as_str(), stage.job))
            .collect();
        assert_eq!(stages, [("a", 0), ("b", 0), ("c", 1)]);
        assert_eq!(job.jobs[1].after[0].value, "load");
    }

    #[test]
    fn wrong_jobs_are_reported_with_their_places() {
        let text = "\
version: 1
stages: []
jobs:
  - { name: a, after: [b], stages: [{ name: x, tasks: 1, shell: x }] }
  - { name: b, after: [a], stages: [{ name: y, tasks: 1, shell: x, after: x }] }
  - { name: b, after: [lod, b], pol: p, stages: [{ name: y, tasks: 1, shell: x }] }
";
        insta::assert_snapshot!(problems(text));
        let circle = JOBS.replace("  - name: load", "  - name: load\n    after: report");
        assert_eq!(
            problems(&circle),
            "job.yaml:3:5: jobs wait for each other: load after report after load"
        );
    }

    #[test]
    fn a_key_given_twice_is_a_problem() {
        let text = "version: 1\nname: a\nname: b\nstages: [{ name: a, tasks: 1, shell: x }]\n";
        assert_eq!(
            problems(text),
            r#"job.yaml:3:1: "name" is given twice, first at line 2"#
        );
    }

    #[test]
    fn files_that_are_no_mapping_are_refused() {
        assert_eq!(
            problems("[1]"),
            "job.yaml:1:1: the job should be a mapping, it is a list"
        );
        assert!(problems("").contains("the file is empty"));
        assert!(problems("version: 1\n").contains("a job needs stages"));
    }

    #[test]
    fn keys_of_no_meaning_are_refused() {
        let text = "version: 1\nwork: []\nstages: [{ name: a, tasks: 1, shell: x }]\n";
        assert!(problems(text).contains("unknown key \"work\""));
    }
}
