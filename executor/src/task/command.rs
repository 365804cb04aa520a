//! What an attempt runs: the program, its arguments and its environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wire::amounts::Amounts;
use wire::environment as variable;
use wire::id::TaskAttemptId;
use wire::task::{Body, Capture, StageSpec, TaskSpec};

use crate::devices;
use crate::said;
use crate::settings::{Environment, Settings};
use crate::shares::Share;
use crate::task::attempt::Order;
use crate::task::directory::Directory;
use crate::task::isolated;

/// Carries the whole id of the attempt. Set for every process of a task, it also tells strays apart.
pub(crate) const ID_VARIABLE: &str = "DRAWLOOM_TASK_ID";

/// This program, which runs a function in a process of its own.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// What PATH is unless the job sets it. The NodeManager's own never arrives: its script leaves the built-in
/// default of bash, which differs between systems and may hold the working directory.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program and arguments of a stage.
fn arguments(body: &Body) -> Vec<&str> {
    match body {
        Body::Function(name) => vec![THIS_PROGRAM, isolated::ROLE, name],
        Body::Argv(argv) => argv.iter().map(String::as_str).collect(),
        Body::Shell(script) => vec!["bash", "-c", script],
    }
}

/// The environment of an attempt: the container's own without what is meant for the executor, then what every task
/// sees, then the job's variables.
pub(crate) fn environment(settings: &Settings, order: &Order, directory: &Directory) -> Environment {
    let Order {
        epoch,
        stage,
        task,
        share,
        ..
    } = order;
    let for_tasks = [variable::RESOURCES, variable::DEVICES];
    let ours = |name: &OsStr| {
        let name = name.to_string_lossy();
        name.starts_with("DRAWLOOM_") && !for_tasks.contains(&name.as_ref())
    };
    let inherited = settings.environment.iter().filter(|(name, _)| !ours(name));
    let mut environment: Environment = inherited
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    share_out(&mut environment, settings, stage, share);
    let mut set = |name: &str, value: OsString| drop(environment.insert(name.into(), value));
    set("PATH", DEFAULT_PATH.into());
    set("PWD", directory.path().into());
    set("TMPDIR", directory.temporary().into());
    for (name, value) in &stage.environment {
        set(name, value.into());
    }
    set("DRAWLOOM_APP_ID", (&settings.application).into());
    set("DRAWLOOM_ATTEMPT", epoch.to_string().into());
    set("DRAWLOOM_STAGE", (&stage.name).into());
    set("DRAWLOOM_TASK", task.id.partition.to_string().into());
    set("DRAWLOOM_TASK_ATTEMPT", task.id.attempt.to_string().into());
    set("DRAWLOOM_TASKS", stage.tasks.to_string().into());
    set("DRAWLOOM_ITEM", task.item.as_deref().unwrap_or_default().into());
    set("DRAWLOOM_EXECUTOR_ID", settings.executor.as_str().into());
    set("DRAWLOOM_HOST", (&settings.host).into());
    set(ID_VARIABLE, task.id.to_string().into());
    set(said::VARIABLE, directory.progress_file().into());
    if stage.capture == Capture::Directory {
        set("DRAWLOOM_OUTPUT_DIR", directory.output().into());
    }
    if let Some(first) = task.inputs.first() {
        set("DRAWLOOM_INPUT", (&first.uri).into());
        set("DRAWLOOM_INPUT_OFFSET", first.offset.to_string().into());
        set("DRAWLOOM_INPUT_LENGTH", first.length.to_string().into());
    }
    environment
}

/// Names what a task has of resources that stages share out, instead of what its executor has.
fn share_out(environment: &mut Environment, settings: &Settings, stage: &StageSpec, share: &Share) {
    if stage.resources.is_empty() {
        return;
    }
    let own: BTreeMap<_, _> = stage.resources.iter().collect();
    let all = settings.resources.iter();
    let amounts = all.map(|(name, amount)| (name.to_owned(), own.get(name).copied().unwrap_or(amount)));
    let amounts: Amounts = amounts.filter(|(_, amount)| *amount > 0).collect();
    environment.insert(variable::RESOURCES.into(), amounts.to_string().into());
    if !share.devices.is_empty() {
        let devices = settings.devices_of(share);
        environment.insert(variable::DEVICES.into(), devices.join(",").into());
        devices::narrow(environment, &devices);
    }
}

/// Writes the list of all inputs, a line of `URI`, `OFFSET`, `LENGTH` with tabs between for each.
///
/// # Errors
/// Those of writing a local file.
pub(crate) fn write_input_list(task: &TaskSpec, path: &Path) -> io::Result<()> {
    let line =
        |input: &wire::task::InputSlice| format!("{}\t{}\t{}\n", input.uri, input.offset, input.length);
    fs::write(path, task.inputs.iter().map(line).collect::<String>())
}

/// The command, ready to be started in a process group of its own with three pipes.
///
/// # Errors
/// A text for people: the program is not there or cannot be run.
pub(crate) fn command(
    stage: &StageSpec,
    environment: &Environment,
    directory: &Directory,
    feeds_stdin: bool,
) -> Result<Command, String> {
    let arguments = arguments(&stage.body);
    let (program, rest) = arguments.split_first().ok_or("the command is empty")?;
    let path = environment.get(OsStr::new("PATH")).cloned().unwrap_or_default();
    let mut command = Command::new(find_program(program, &path, directory.path())?);
    command
        .arg0(program)
        .args(rest)
        .env_clear()
        .envs(environment)
        .current_dir(directory.path())
        .stdin(if feeds_stdin {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    Ok(command)
}

/// Finds a program as a shell would, so that a person learns where it was looked for. A name with a slash is
/// relative to the attempt's directory and given back as it is.
fn find_program(program: &str, path: &OsStr, directory: &Path) -> Result<PathBuf, String> {
    if program.is_empty() {
        return Err("the name of the program is empty".to_owned());
    }
    if program.contains('/') {
        check_program(&directory.join(program)).map_err(|problem| format!("{program}: {problem}"))?;
        return Ok(PathBuf::from(program));
    }
    // Parts that are not absolute, the empty one among them, are meant from the attempt's directory.
    let found = std::env::split_paths(path)
        .map(|part| Path::new(".").join(part).join(program))
        .find(|file| check_program(&directory.join(file)).is_ok());
    found.ok_or_else(|| {
        let beside = directory.join(program).exists();
        let advice = if beside {
            format!("; did you mean ./{program}?")
        } else {
            String::new()
        };
        format!("{program}: no such program in PATH={}{advice}", path.display())
    })
}

fn check_program(file: &Path) -> Result<(), String> {
    let metadata = fs::metadata(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "no such file in the task's directory; is it named in `files`?".to_owned(),
        _ => error.to_string(),
    })?;
    if metadata.is_dir() {
        return Err("is a directory".to_owned());
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err("may not be executed; run chmod +x before submitting".to_owned());
    }
    Ok(())
}

/// Why the system refused to start a program that is there.
pub(crate) fn explain_start(stage: &StageSpec, error: &io::Error) -> String {
    let arguments = arguments(&stage.body);
    let program = arguments.first().copied().unwrap_or_default();
    match error.raw_os_error() {
        Some(8) => format!("{program}: neither a program of this machine nor a script beginning with #!"),
        Some(2) => {
            format!("{program}: the interpreter named in its first line, or its loader, does not exist")
        }
        Some(7) => format!("{program}: arguments and environment are too long for the system"),
        _ => format!("{program}: {error}"),
    }
}

/// The text by which processes of an attempt are known in `/proc/PID/environ`.
pub(crate) fn marker(id: TaskAttemptId) -> String {
    format!("{ID_VARIABLE}={id}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::task::directory::Directories;
    use crate::task::tests::{settings, stage, task};
    use wire::id::Epoch;

    fn text<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
        environment.get(OsStr::new(name))?.to_str()
    }

    #[test]
    fn a_task_sees_its_variables_and_none_of_the_executors() {
        let container = tempfile::tempdir().unwrap();
        let mut settings = settings(container.path());
        settings.environment.insert("LANG".into(), "de_DE.UTF-8".into());
        settings
            .environment
            .insert(variable::RESOURCES.into(), "yarn.io/gpu=1".into());
        settings.environment.insert("PATH".into(), "/from/bash:.".into());
        let mut stage = stage("true");
        stage.environment = vec![
            ("LANG".to_owned(), "C".to_owned()),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ];
        let task = task(7, 2);
        let directory = Directories::new(container.path(), 2).create(&stage).unwrap();
        let environment = environment(&settings, &order(stage, task, Epoch(3)), &directory);
        assert_eq!(text(&environment, "LANG"), Some("C.UTF-8"));
        assert_eq!(text(&environment, "PATH"), Some(DEFAULT_PATH));
        assert_eq!(text(&environment, "DRAWLOOM_TASK"), Some("7"));
        assert_eq!(text(&environment, "DRAWLOOM_TASK_ATTEMPT"), Some("2"));
        assert_eq!(text(&environment, "DRAWLOOM_ATTEMPT"), Some("3"));
        assert_eq!(text(&environment, "DRAWLOOM_TASK_ID"), Some("0:0.0/7.2"));
        assert_eq!(text(&environment, "DRAWLOOM_RESOURCES"), Some("yarn.io/gpu=1"));
        assert_eq!(text(&environment, "DRAWLOOM_GATEWAY"), None);
        assert_eq!(text(&environment, "DRAWLOOM_EPOCH"), None);
        assert!(text(&environment, "HADOOP_TOKEN_FILE_LOCATION").is_some());
    }

    fn order(stage: StageSpec, task: TaskSpec, epoch: Epoch) -> Order {
        Order {
            epoch,
            stage: Arc::new(stage),
            task,
            share: Share::default(),
            unhurried: false,
            ahead: false,
        }
    }

    #[test]
    fn a_task_of_a_stage_that_names_resources_sees_its_own_and_what_nobody_shares_out() {
        let container = tempfile::tempdir().unwrap();
        let mut settings = settings(container.path());
        settings.resources = "acme=3,fpga=2,yarn.io/gpu=4".parse().unwrap();
        settings.devices = BTreeMap::from([(
            "yarn.io/gpu".to_owned(),
            ["0", "1", "2", "3"].map(str::to_owned).to_vec(),
        )]);
        for name in [variable::DEVICES, "CUDA_VISIBLE_DEVICES"] {
            settings.environment.insert(name.into(), "0,1,2,3".into());
        }
        let mut shares = settings.shares();
        let mut seen = |resources: &str| {
            let stage = StageSpec {
                resources: resources.parse().unwrap(),
                ..stage("true")
            };
            let share = shares.take(&stage).unwrap();
            let task = task(7, 2);
            let directory = Directories::new(container.path(), 2).create(&stage).unwrap();
            let order = Order {
                share,
                ..order(stage, task, Epoch(1))
            };
            let environment = environment(&settings, &order, &directory);
            let names = [variable::RESOURCES, variable::DEVICES, "CUDA_VISIBLE_DEVICES"];
            names.map(|name| text(&environment, name).unwrap_or_default().to_owned())
        };
        assert_eq!(seen("fpga=0,yarn.io/gpu=1"), ["acme=3,yarn.io/gpu=1", "0", "0"]);
        assert_eq!(
            seen("fpga=1,yarn.io/gpu=2"),
            ["acme=3,fpga=1,yarn.io/gpu=2", "1,2", "1,2"]
        );
        assert_eq!(seen("fpga=1,yarn.io/gpu=0"), ["acme=3,fpga=1", "", ""]);
    }

    #[test]
    fn the_job_may_choose_its_own_path() {
        let container = tempfile::tempdir().unwrap();
        let mut stage = stage("true");
        stage.environment = vec![("PATH".to_owned(), "/opt/bin".to_owned())];
        let task = task(0, 0);
        let directory = Directories::new(container.path(), 2).create(&stage).unwrap();
        let order = order(stage.clone(), task, Epoch(1));
        let environment = environment(&settings(container.path()), &order, &directory);
        assert_eq!(text(&environment, "PATH"), Some("/opt/bin"));
        let error = command(&stage, &environment, &directory, false).unwrap_err();
        assert_eq!(error, "bash: no such program in PATH=/opt/bin");
    }

    #[test]
    fn parts_of_the_path_that_are_not_absolute_are_meant_from_the_directory_of_the_attempt() {
        let directory = tempfile::tempdir().unwrap();
        let tool = directory.path().join("tool");
        fs::write(&tool, "").unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        for path in ["", ":/opt/bin", "/opt/bin:."] {
            let found = find_program("tool", OsStr::new(path), directory.path()).unwrap();
            assert!(
                found.to_string_lossy().contains('/'),
                "{path}: {}",
                found.display()
            );
            assert_eq!(
                directory.path().join(found).canonicalize().unwrap(),
                tool.canonicalize().unwrap()
            );
        }
    }

    #[test]
    fn a_program_that_cannot_run_says_what_to_do() {
        let container = tempfile::tempdir().unwrap();
        fs::write(container.path().join("count.sh"), "#!/bin/sh\n").unwrap();
        let find =
            |name: &str| find_program(name, OsStr::new("/usr/bin:/bin"), container.path()).unwrap_err();
        assert_eq!(
            find("./count.sh"),
            "./count.sh: may not be executed; run chmod +x before submitting"
        );
        assert!(find("./other.sh").contains("is it named in `files`?"));
        assert!(find("count.sh").ends_with("did you mean ./count.sh?"));
        assert!(find("").contains("empty"));
    }
}
