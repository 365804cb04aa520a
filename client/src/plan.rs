//! From a job file and settings to what is staged: the plan, and the files that go with it.
//!
//! Paths become absolute here: files relative to the job file, inputs and outputs relative to the user's home on the
//! default file system. Nothing is asked of any file system yet.

mod allocation;
mod files;
mod places;
mod scheduling;

use std::collections::BTreeMap;

use dfs::DfsPath;
use driver::check::PlanProblem;
use driver::plan::{
    AppPlan, BodyPlan, ExecutorPlan, FeedPlan, OutputPlan, Settings, StagePlan, TaskSource, VERSION,
};
use driver::policy::Scheduling;

use crate::job::fields::Placed;
use crate::job::problem::Problem;
use crate::job::{Draft, InvalidJob, JobFile, StageFile};
use crate::settings::Resolved;
pub use files::{JobFiles, JobResource, Source};
use places::{TOP, placed};

/// Names in a container's directory that are ours or YARN's.
const RESERVED: [&str; 9] = [
    "drawloom",
    "plan.json",
    "launch.json",
    "hadoop-conf.json",
    "container_tokens",
    "launch_container.sh",
    "default_container_executor.sh",
    "tmp",
    "work",
];

/// A job, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What the ApplicationMaster runs.
    pub plan: AppPlan,
    /// What tasks find in their directories.
    pub files: JobFiles,
}

/// A job with what is wrong with it.
struct Attempt {
    planned: Planned,
    /// Paths that cannot be used, and a file of pools that cannot be read.
    problems: Vec<Problem>,
    /// What no cluster could run.
    impossible: Vec<PlanProblem>,
}

/// Resolves a job; `home` is the user's directory on the default file system.
///
/// # Errors
/// All paths that cannot be used and all that no cluster could run, with their places.
pub fn resolve(job: &JobFile, settings: &Resolved, home: &DfsPath) -> Result<Planned, InvalidJob> {
    let Attempt {
        planned,
        mut problems,
        impossible,
    } = attempt(job, settings, home);
    problems.extend(impossible.iter().map(|problem| placed(job, problem)));
    if problems.is_empty() {
        Ok(planned)
    } else {
        Err(InvalidJob::new(&job.path, problems))
    }
}

/// What is wrong with a job besides what was found when it was read, so that all is told at once.
pub(crate) fn further_problems(draft: &Draft, settings: &Resolved) -> Vec<Problem> {
    // Paths are not compared with the home directory but with each other; any home will do.
    let Ok(home) = "hdfs://any/user/any".parse() else {
        return Vec::new();
    };
    let Attempt {
        mut problems,
        impossible,
        ..
    } = attempt(&draft.job, settings, &home);
    // Cycles were found in the file.
    let told = |problem: &&PlanProblem| {
        !matches!(problem, PlanProblem::Cycle { .. } | PlanProblem::JobCycle { .. })
            && (draft.knows_executors || !problem.is_about_size())
    };
    let told = impossible.iter().filter(told);
    problems.extend(told.map(|problem| placed(&draft.job, problem)));
    // One word on each place is enough.
    let said = |problem: &Problem| draft.problems.iter().any(|other| other.place == problem.place);
    problems.retain(|problem| !said(problem));
    problems
}

fn attempt(job: &JobFile, settings: &Resolved, home: &DfsPath) -> Attempt {
    let mut problems = Vec::new();
    let files = files::collect(job, home, &mut problems);
    let stages: Vec<StagePlan> = job
        .stages
        .iter()
        .map(|stage| plan_stage(job, stage, home, &mut problems))
        .collect();
    unordered_reads(job, &stages, &mut problems);
    shared_outputs(job, &stages, &mut problems);
    let scheduling = scheduling::of_job(job, settings);
    let pools_known = scheduling.is_ok();
    let scheduling = scheduling.unwrap_or_else(|why| {
        let place = job.conf.get(allocation::SETTING).map_or(TOP, |value| value.place);
        problems.push(Problem::new(place, why));
        Scheduling::default()
    });
    let plan = AppPlan {
        version: VERSION,
        name: name_of(job, settings),
        executors: ExecutorPlan {
            instances: settings.count("executors.instances"),
            memory_mib: settings.mebibytes("executors.memory"),
            cores: settings.count("executors.cores"),
            resources: settings.amounts("executors.resources"),
            shares_memory: true,
        },
        env: texts(&job.env),
        files: files.names(),
        stages,
        settings: driver_settings(settings),
        scheduling,
    };
    let impossible = if pools_known {
        impossible(&plan)
    } else {
        Vec::new()
    };
    Attempt {
        planned: Planned { plan, files },
        problems,
        impossible,
    }
}

fn name_of(job: &JobFile, settings: &Resolved) -> String {
    let stem = || {
        job.path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
    };
    settings
        .optional("name")
        .map(str::to_owned)
        .or_else(stem)
        .unwrap_or_else(|| "drawloom".to_owned())
}

fn texts(env: &BTreeMap<String, Placed<String>>) -> BTreeMap<String, String> {
    env.iter()
        .map(|(name, placed)| (name.clone(), placed.value.clone()))
        .collect()
}

fn amounts(resources: &BTreeMap<String, Placed<u64>>) -> BTreeMap<String, u64> {
    resources
        .iter()
        .map(|(name, placed)| (name.clone(), placed.value))
        .collect()
}

fn plan_stage(job: &JobFile, stage: &StageFile, home: &DfsPath, problems: &mut Vec<Problem>) -> StagePlan {
    let after = indexes(job, &stage.after);
    let source = source(stage, home, problems);
    let no_input = !matches!(source, TaskSource::Inputs { .. });
    StagePlan {
        name: stage.name.value.clone(),
        after,
        source,
        body: body(stage),
        env: texts(&stage.env),
        feed: if no_input {
            FeedPlan::None
        } else {
            value(&stage.feed).unwrap_or_default()
        },
        output: stage
            .output
            .as_ref()
            .and_then(|output| output_plan(stage, output, home, problems)),
        cores: value(&stage.cores).unwrap_or(1),
        memory_mib: value(&stage.memory_mib),
        resources: amounts(&stage.resources),
        timeout: value(&stage.timeout),
        max_failures: value(&stage.retries).map(|retries| retries.saturating_add(1)),
        scheduling: scheduling::of_stage(job, stage),
    }
}

/// Where the named stages stand in the job file.
fn indexes(job: &JobFile, names: &[Placed<String>]) -> Vec<u32> {
    let index = |name: &Placed<String>| job.stages.iter().position(|stage| stage.name.value == name.value);
    names
        .iter()
        .filter_map(index)
        .filter_map(|at| u32::try_from(at).ok())
        .collect()
}

fn value<T: Clone>(field: &Option<Placed<T>>) -> Option<T> {
    field.as_ref().map(|placed| placed.value.clone())
}

fn body(stage: &StageFile) -> BodyPlan {
    if let Some(function) = &stage.function {
        return BodyPlan::Function(function.value.clone());
    }
    match (&stage.command, &stage.shell) {
        (Some(words), _) => BodyPlan::Command(words.iter().map(|word| word.value.clone()).collect()),
        (None, Some(script)) => BodyPlan::Shell(script.value.clone()),
        (None, None) => BodyPlan::Shell(String::new()),
    }
}

fn source(stage: &StageFile, home: &DfsPath, problems: &mut Vec<Problem>) -> TaskSource {
    if let Some(items) = &stage.items {
        return TaskSource::Items(items.iter().map(|item| item.value.clone()).collect());
    }
    if stage.inputs.is_empty() {
        return TaskSource::Tasks(value(&stage.tasks).unwrap_or(1));
    }
    let resolved = stage
        .inputs
        .iter()
        .filter_map(|input| resolve_path(input, home, problems));
    TaskSource::Inputs {
        paths: resolved.map(|path| path.to_string()).collect(),
        groups: value(&stage.tasks),
        split: value(&stage.split),
    }
}

fn output_plan(
    stage: &StageFile,
    output: &Placed<String>,
    home: &DfsPath,
    problems: &mut Vec<Problem>,
) -> Option<OutputPlan> {
    let path = resolve_path(output, home, problems)?;
    let uri = path.to_string();
    // `overwrite` would remove everything in it.
    if path.parent().is_none() || below(&home.to_string(), &uri) {
        problems.push(Problem::new(
            output.place,
            "the output needs a directory of its own, not the root, the home directory or one above that",
        ));
    }
    if output.value.contains(['*', '?', '[', '{']) {
        problems.push(Problem::new(
            output.place,
            "an output is one directory, not a pattern",
        ));
    }
    Some(OutputPlan {
        uri,
        overwrite: value(&stage.overwrite).unwrap_or(false),
        directory: value(&stage.capture_directory).unwrap_or(false),
    })
}

fn resolve_path(text: &Placed<String>, home: &DfsPath, problems: &mut Vec<Problem>) -> Option<DfsPath> {
    match DfsPath::resolve(&text.value, home) {
        Ok(path) => Some(path),
        Err(error) => {
            problems.push(Problem::new(text.place, error.to_string()));
            None
        }
    }
}

/// A stage that reads what another writes must come after it.
fn unordered_reads(job: &JobFile, stages: &[StagePlan], problems: &mut Vec<Problem>) {
    for (reader, stage) in stages.iter().enumerate() {
        let TaskSource::Inputs { paths, .. } = &stage.source else {
            continue;
        };
        for (writer, other) in stages.iter().enumerate() {
            let reads = |output: &OutputPlan| paths.iter().any(|path| below(path, &output.uri));
            let wrong = writer == reader || !comes_after(job, stages, reader, writer);
            if wrong && other.output.as_ref().is_some_and(reads) {
                let text = if writer == reader {
                    format!("stage {:?} reads its own output", stage.name)
                } else if job.stages[reader].job != job.stages[writer].job {
                    let writes = &job.jobs[job.stages[writer].job as usize].name.value;
                    format!(
                        "stage {:?} reads the output of {:?}: add job {writes:?} to the `after` of its job",
                        stage.name, other.name
                    )
                } else {
                    format!(
                        "stage {:?} reads the output of {:?}: add it to `after`",
                        stage.name, other.name
                    )
                };
                problems.push(Problem::new(job.stages[reader].place, text));
            }
        }
    }
}

/// Two stages that write into one directory, in whatever words, or one into the other's.
fn shared_outputs(job: &JobFile, stages: &[StagePlan], problems: &mut Vec<Problem>) {
    let outputs = || {
        stages
            .iter()
            .enumerate()
            .filter_map(|(at, stage)| Some((at, stage.output.as_ref()?)))
    };
    for (later, output) in outputs() {
        let meets = |other: &OutputPlan| below(&output.uri, &other.uri) || below(&other.uri, &output.uri);
        if let Some((earlier, _)) = outputs().find(|(earlier, other)| *earlier < later && meets(other)) {
            let text = format!(
                "stage {:?} writes where stage {:?} writes: each output needs a directory of its own",
                stages[later].name, stages[earlier].name
            );
            let place = job.stages[later].output.as_ref().map(|output| output.place);
            problems.push(Problem::new(place.unwrap_or(job.stages[later].place), text));
        }
    }
}

/// Whether a URI is a directory's or of something in it.
pub(crate) fn below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn comes_after(job: &JobFile, stages: &[StagePlan], later: usize, earlier: usize) -> bool {
    let (late, early) = (job.stages[later].job, job.stages[earlier].job);
    if late != early {
        return job_comes_after(job, late as usize, early as usize);
    }
    let mut open = vec![later];
    let mut seen = vec![false; stages.len()];
    while let Some(at) = open.pop() {
        for next in stages[at].after.iter().map(|next| *next as usize) {
            if next == earlier {
                return true;
            }
            if !std::mem::replace(&mut seen[next], true) {
                open.push(next);
            }
        }
    }
    false
}

fn job_comes_after(job: &JobFile, later: usize, earlier: usize) -> bool {
    let (mut open, mut seen) = (vec![later], vec![false; job.jobs.len()]);
    while let Some(at) = open.pop() {
        if at == earlier {
            return true;
        }
        if !std::mem::replace(&mut seen[at], true) {
            let named = |name: &Placed<String>| job.jobs.iter().position(|job| job.name.value == name.value);
            open.extend(job.jobs[at].after.iter().filter_map(named));
        }
    }
    false
}

/// What no cluster could run: tasks larger than an executor, unknown pools, gangs without room.
fn impossible(plan: &AppPlan) -> Vec<PlanProblem> {
    let mut found = plan.problems();
    found.extend(plan.unequal_edges());
    found.extend(plan.heartbeat_problem());
    found
}

fn driver_settings(settings: &Resolved) -> Settings {
    let duration = |key| settings.duration(key);
    Settings {
        task_max_failures: settings.count("task.max-failures"),
        stage_max_attempts: settings.count("stage.max-attempts"),
        heartbeat_interval: duration("executor.heartbeat.interval"),
        heartbeat_suspect: duration("executor.heartbeat.suspect"),
        heartbeat_dead: duration("executor.heartbeat.dead"),
        register_timeout: duration("executor.register.timeout"),
        executor_max_failures: settings
            .optional("executor.max-failures")
            .map(|_| settings.count("executor.max-failures")),
        executor_failures_validity: duration("executor.failures.validity-interval"),
        relaunch_backoff: (
            duration("executor.relaunch.backoff"),
            duration("executor.relaunch.backoff.max"),
        ),
        rm_heartbeat: (duration("rm.heartbeat.pending"), duration("rm.heartbeat.idle")),
        am_lost_ttl: duration("executor.am-lost-ttl"),
        min_registered_ratio: settings.ratio("scheduler.min-registered-ratio"),
        max_registered_wait: duration("scheduler.max-registered-wait"),
        client_reconnect: duration("client.reconnect"),
        results_max: settings.mebibytes("results.max-size") << 20,
        kill_grace: duration("task.kill.grace"),
        memory_enforced: settings.flag("executor.memory.enforced"),
        recovery: settings.text("am.recovery") == "on",
        am_max_attempts: settings.count("am.max-attempts"),
        room_patience: duration("executors.room-patience"),
        journal_patience: duration("am.journal.patience"),
        rm_silence_max: settings
            .optional("am.rm-silence-max")
            .map(|_| duration("am.rm-silence-max")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::{Layer, Layers};

    fn planned(text: &str) -> Result<Planned, String> {
        let job = JobFile::parse(Path::new("/jobs/word-count.yaml"), text).map_err(|e| e.to_string())?;
        let settings = Resolved::of(&Layers(vec![Layer::job(&job)])).map_err(|e| e.to_string())?;
        let home = "hdfs://nn:8020/user/ada".parse().unwrap();
        resolve(&job, &settings, &home).map_err(|e| e.to_string())
    }

    #[test]
    fn a_job_becomes_a_plan_with_absolute_paths() {
        let text = "\
version: 1
executors: { instances: 3, memory: 512MiB, cores: 2 }
files: [count.sh, 'hdfs:///dict.txt#words.txt']
stages:
  - { name: count, inputs: 'books/*.txt', command: [./count.sh], output: out/counts, retries: 0 }
  - { name: total, after: count, inputs: out/counts, tasks: 1, shell: sort, output: /abs/total }
";
        insta::assert_json_snapshot!(planned(text).unwrap().plan);
    }

    #[test]
    fn reading_what_another_stage_writes_needs_an_edge() {
        let text = "\
version: 1
stages:
  - { name: a, tasks: 1, shell: x, output: out }
  - { name: b, inputs: out/part-00000, shell: x }
  - { name: c, inputs: other, shell: x, output: other/deep }
";
        let problem = planned(text).unwrap_err();
        assert_eq!(
            problem,
            "/jobs/word-count.yaml:4:5: stage \"b\" reads the output of \"a\": add it to `after`"
        );
    }

    #[test]
    fn waits_for_a_better_place_may_differ_by_level() {
        let text = "\
version: 1
conf: { locality.wait: 5s, locality.wait.rack: 0s }
stages: [{ name: a, tasks: 1, shell: x }]
";
        let waits = planned(text).unwrap().plan.scheduling.locality;
        let seconds = [waits.process, waits.node, waits.rack].map(|wait| wait.as_secs());
        assert_eq!(seconds, [5, 5, 0]);
    }

    #[test]
    fn archives_are_such_as_yarn_unpacks() {
        let archive = |name: &str| {
            planned(&format!(
                "version: 1\narchives: [{name}]\nstages: [{{ name: a, tasks: 1, shell: x }}]\n"
            ))
        };
        assert!(archive("'env.TAR.GZ#env'").is_ok());
        for plain in ["env.tar.zst", "'data#data.zip'"] {
            assert!(
                archive(plain)
                    .unwrap_err()
                    .contains("no archive that YARN unpacks"),
                "{plain}"
            );
        }
    }

    #[test]
    fn outputs_are_directories_of_their_own() {
        let two = |first: &str, second: &str| {
            let stage = |name: &str, output: &str| {
                format!("  - {{ name: {name}, tasks: 1, shell: x, output: {output} }}\n")
            };
            planned(&format!(
                "version: 1\nstages:\n{}{}",
                stage("a", first),
                stage("b", second)
            ))
        };
        for (first, second) in [
            ("out", "/user/ada/out"),
            ("out", "./out/deep"),
            ("/x/y/z", "/x/y"),
        ] {
            let problem = two(first, second).unwrap_err();
            assert!(
                problem.contains("stage \"b\" writes where stage \"a\" writes"),
                "{problem}"
            );
        }
        assert!(two("out", "out2").is_ok());
        for home in [".", "..", "/user/ada", "hdfs://nn:8020/user"] {
            let problem = two(home, "/elsewhere").unwrap_err();
            assert!(problem.contains("a directory of its own"), "{home}: {problem}");
        }
    }

    #[test]
    fn names_in_the_directory_must_differ_and_not_be_ours() {
        let text = "\
version: 1
files: [a/x.sh, b/x.sh, plan.json, 'hdfs:///d#../up']
stages: [{ name: a, tasks: 1, shell: x }]
";
        insta::assert_snapshot!(planned(text).unwrap_err());
    }

    #[test]
    fn a_task_larger_than_any_executor_is_refused() {
        let text = "version: 1\nstages: [{ name: a, tasks: 1, shell: x, cores: 4 }]\n";
        assert!(
            planned(text)
                .unwrap_err()
                .contains("takes 4 cores, an executor has 1")
        );
    }

    #[test]
    fn pools_edges_and_gangs_reach_the_plan() {
        let text = "\
version: 1
executors: { min: 1, max: 4, cores: 2 }
conf: { scheduler.mode: fair, speculation.enabled: true }
pools: [{ name: prod, mode: fair, weight: 2, min-share: 4 }]
stages:
  - { name: a, tasks: 2, shell: x, pool: prod }
  - { name: b, tasks: 2, shell: x, with: a, barrier: true }
";
        let plan = planned(text).unwrap().plan;
        insta::assert_json_snapshot!((plan.scheduling, &plan.stages[1].scheduling));
    }

    #[test]
    fn several_jobs_reach_the_plan_and_read_what_those_before_them_wrote() {
        let text = |after: &str| {
            format!(
                "\
version: 1
pools: [{{ name: prod }}]
jobs:
  - name: load
    stages: [{{ name: a, tasks: 1, shell: x, output: out }}]
  - name: report
    pool: prod
    after: [{after}]
    stages: [{{ name: b, inputs: out, shell: x }}]
"
            )
        };
        let plan = planned(&text("load")).unwrap().plan;
        let jobs: Vec<_> = plan
            .scheduling
            .jobs
            .iter()
            .map(|job| (job.name.as_str(), &job.after[..]))
            .collect();
        assert_eq!(jobs, [("load", &[][..]), ("report", &[0][..])]);
        assert_eq!(plan.stages[1].scheduling.job, 1);
        let problem = planned(&text("")).unwrap_err();
        assert!(
            problem.contains("add job \"load\" to the `after` of its job"),
            "{problem}"
        );
    }

    #[test]
    fn what_is_wrong_with_pools_is_told_where_they_are() {
        let text = "\
version: 1
executors: { instances: 2, cores: 2 }
pools:
  - { name: a, parent: b, min-share: 5 }
  - { name: b, parent: a }
stages: [{ name: s, tasks: 1, shell: x }]
";
        insta::assert_snapshot!(planned(text).unwrap_err());
    }

    #[test]
    fn pools_come_from_a_file_of_spark_too() {
        let directory = tempfile::tempdir().unwrap();
        let xml =
            "<allocations><pool name='default'><weight>3</weight></pool><pool name='own'/></allocations>";
        std::fs::write(directory.path().join("fairscheduler.xml"), xml).unwrap();
        let text = "\
version: 1
conf: { scheduler.allocation.file: fairscheduler.xml }
pools: [{ name: own, weight: 2 }]
stages: [{ name: s, tasks: 1, shell: x }]
";
        let job = JobFile::parse(&directory.path().join("job.yaml"), text).unwrap();
        let settings = Resolved::of(&Layers(vec![Layer::job(&job)])).unwrap();
        let home = "hdfs://nn:8020/user/ada".parse().unwrap();
        let plan = resolve(&job, &settings, &home).unwrap().plan;
        let pools: Vec<_> = plan
            .scheduling
            .pools
            .iter()
            .map(|pool| (pool.name.as_str(), pool.weight))
            .collect();
        assert_eq!(pools, [("own", 2), ("default", 3)]);
        assert_eq!(plan.scheduling.jobs[0].pool.as_deref(), Some("default"));
    }

    #[test]
    fn a_pool_that_is_not_there_is_refused_where_it_is_named() {
        let text = "\
version: 1
pools: [{ name: prod }, { name: night, parent: old }]
jobs:
  - { name: one, pool: production, stages: [{ name: a, tasks: 1, shell: x }] }
  - name: two
    stages: [{ name: b, tasks: 1, shell: x, pool: prd }]
";
        insta::assert_snapshot!(planned(text).unwrap_err());
    }

    #[test]
    fn what_can_never_run_is_told_with_its_places() {
        let text = "\
version: 1
executors: { min: 3, max: 2, cores: 2, memory: 512MiB, resources: { yarn.io/gpu: 1 } }
conf: { executor.heartbeat.dead: 1s }
pools: [{ name: prod, min-share: 5 }]
stages:
  - { name: a, tasks: 1, shell: x, cores: 4, memory: 1g, resources: { yarn.io/gpu: 2, fpga: 1 } }
  - { name: b, tasks: 9, shell: x, barrier: true }
  - { name: c, items: [x, y], shell: x, with: [b] }
";
        insta::assert_snapshot!(planned(text).unwrap_err());
    }

    /// What is said of a file that cannot be read as a whole.
    fn further(text: &str) -> String {
        let draft = JobFile::draft(Path::new("job.yaml"), text).unwrap();
        let (settings, _) = Resolved::as_far_as_valid(&Layers(vec![Layer::job(&draft.job)]));
        let more = further_problems(&draft, &settings);
        let all = draft.problems.into_iter().chain(more).collect();
        InvalidJob::new(Path::new("job.yaml"), all).to_string()
    }

    #[test]
    fn what_cannot_be_read_and_what_could_never_run_are_told_together() {
        let text = "\
version: 1
nmae: x
conf: { task.max-failure: 4 }
pools: [{ name: prod }]
stages:
  - { name: a, tasks: none, shell: x, after: c }
  - { name: b, tasks: 1, shell: x, cores: 4, pool: pord }
  - { name: c, tasks: 1, shell: x, after: a, output: out/../.. }
";
        insta::assert_snapshot!(further(text));
    }

    #[test]
    fn nothing_is_too_large_for_executors_that_could_not_be_read() {
        let stages = "stages: [{ name: a, tasks: 1, shell: x, cores: 4, pool: p }]";
        for executors in ["{ corse: 4 }", "{ cores: four }"] {
            let told = further(&format!("version: 1\nexecutors: {executors}\n{stages}\n"));
            assert!(
                told.contains("uses pool p") && !told.contains("takes 4 cores"),
                "{told}"
            );
        }
        let told = |key: &str| further(&format!("version: 1\n{key}: {{}}\n{stages}\n"));
        assert!(!told("excutors").contains("takes 4 cores"));
        assert!(told("nmae").contains("takes 4 cores"));
    }

    #[test]
    fn whom_failures_exclude_and_what_is_slow_can_be_set() {
        let text = "\
version: 1
executors: { max: 4, min: 1 }
conf:
  exclude.task.per-executor: 3
  exclude.task.per-node: 4
  exclude.stage.per-executor: 5
  exclude.stage.per-node: 6
  exclude.application.per-executor: 7
  exclude.application.per-node: 8
  speculation.interval: 2s
  speculation.min-runtime: 9s
  executors.backlog-timeout: 10s
stages: [{ name: a, tasks: 1, shell: x }]
";
        let Scheduling {
            exclusion,
            speculation,
            elastic,
            ..
        } = planned(text).unwrap().plan.scheduling;
        let thresholds = [
            exclusion.task_per_executor,
            exclusion.task_per_node,
            exclusion.stage_per_executor,
            exclusion.stage_per_node,
            exclusion.app_per_executor,
            exclusion.app_per_node,
        ];
        assert_eq!(thresholds, [3, 4, 5, 6, 7, 8]);
        let times = [
            speculation.interval,
            speculation.min_runtime,
            elastic.unwrap().backlog_timeout,
        ];
        assert_eq!(times.map(|time| time.as_secs()), [2, 9, 10]);
    }

    #[test]
    fn what_nobody_sets_is_the_default_of_the_core() {
        let plan = planned("version: 1\nstages: [{ name: a, tasks: 1, shell: x }]\n")
            .unwrap()
            .plan;
        assert_eq!(plan.scheduling, Scheduling::default());
    }
}
