//! The launch script: substitutions, environment, directories.

use hadoop::credentials::{Credentials, Format};
use serde_json::json;
use yarn_rpc::records::ContainerLaunchContext;

use super::case::{Case, case};
use super::lab::{Yarn, holds};
use super::master::shell;

pub(crate) const CASES: &[Case] = &[
    case!(
        a_container_knows_who_it_is,
        "`ContainerLaunch.sanitizeEnv`: CONTAINER_ID"
    ),
    case!(
        a_container_knows_its_node,
        "`ContainerLaunch.sanitizeEnv`: NM_HOST, NM_PORT, NM_HTTP_PORT"
    ),
    case!(
        a_container_knows_its_user,
        "`ContainerLaunch.sanitizeEnv`: USER, LOGNAME, HOME `/home/`"
    ),
    case!(
        a_container_knows_its_directories,
        "`ContainerLaunch.sanitizeEnv`: LOCAL_DIRS, LOCAL_USER_DIRS, LOG_DIRS, PWD"
    ),
    case!(
        what_is_fixed_cannot_be_changed,
        "`ContainerLaunch.sanitizeEnv`: USER, HOME, CONTAINER_ID of the application are overridden"
    ),
    case!(
        the_path_is_the_applications,
        "the NodeManager's PATH never arrives; the application's does"
    ),
    case!(
        the_whitelist_is_the_applications,
        "`yarn.nodemanager.env-whitelist`: JAVA_HOME of the application wins"
    ),
    case!(
        braces_become_dollars,
        "`ContainerLaunch.expandEnvironment`: `{{X}}` is `$X`, in values and commands"
    ),
    case!(
        closing_braces_are_lost,
        "`ContainerLaunch.expandEnvironment`: `}}` disappears, JSON is broken"
    ),
    case!(
        the_class_path_separator_is_a_colon,
        "`ApplicationConstants.CLASS_PATH_SEPARATOR`: `<CPS>`"
    ),
    case!(
        the_log_directory_is_filled_in,
        "`ApplicationConstants.LOG_DIR_EXPANSION_VAR`: in values and commands"
    ),
    case!(
        variables_expand_one_another,
        "`ContainerLaunch`: values may name variables of the environment"
    ),
    case!(
        quotes_in_values_break_the_script,
        "`ContainerLaunch` escapes nothing: a `\"` ends in exit 2"
    ),
    case!(
        dashes_in_names_break_the_script,
        "bash: `export A-B=` ends in exit 1"
    ),
    case!(
        escaped_quotes_arrive,
        "`ContainerLaunch` escapes nothing: `\\\\\"` is a quote"
    ),
    case!(
        commands_are_joined,
        "`ContainerLaunchContext.commands`: joined by blanks, run by bash -c"
    ),
    case!(
        output_without_a_log_is_the_scripts,
        "launch_container.sh: prelaunch.out and prelaunch.err"
    ),
    case!(
        credentials_arrive_as_they_were,
        "`ContainerLaunchContext.tokens` verbatim in HADOOP_TOKEN_FILE_LOCATION"
    ),
    case!(
        the_working_directory_is_the_containers,
        "`ContainerLaunch`: PWD in appcache, tmp below it, TMPDIR not set"
    ),
    case!(
        a_container_is_a_session,
        "`DefaultContainerExecutor`: setsid, the leader is the container's process"
    ),
    case!(
        masters_know_their_proxy_and_submission,
        "`AMLauncher.setupTokens`: APPLICATION_WEB_PROXY_BASE, APP_SUBMIT_TIME_ENV"
    ),
    case!(
        other_containers_know_neither,
        "`AMLauncher`: only the master's environment has them"
    ),
    case!(
        malloc_arenas_are_set_empty,
        "`yarn.nodemanager.admin-env`: MALLOC_ARENA_MAX"
    ),
    case!(
        a_master_has_its_token,
        "`AMLauncher`: exactly one YARN_AM_RM_TOKEN, of this attempt"
    ),
];

fn unchanged(_: &mut ContainerLaunchContext) {}

/// Sets a variable.
fn with(name: &str, value: &str) -> impl FnOnce(&mut ContainerLaunchContext) {
    let (name, value) = (name.to_owned(), value.to_owned());
    move |context| {
        context.environment.insert(name, value);
    }
}

async fn a_container_knows_who_it_is(yarn: &Yarn) {
    let text = yarn.output(unchanged, "echo $CONTAINER_ID; pwd").await;
    let (id, directory) = text.trim().split_once('\n').unwrap();
    assert!(id.starts_with("container_") && directory.ends_with(id), "{text}");
}

async fn a_container_knows_its_node(yarn: &Yarn) {
    let text = yarn
        .output(unchanged, "echo $NM_HOST:$NM_PORT $NM_HTTP_PORT")
        .await;
    let (id, port) = text.trim().split_once(' ').unwrap();
    let node = yarn.get(&format!("/nodes/{id}")).await.json()["node"].take();
    assert!(
        node["nodeHTTPAddress"]
            .as_str()
            .unwrap()
            .ends_with(&format!(":{port}")),
        "{node}"
    );
}

async fn a_container_knows_its_user(yarn: &Yarn) {
    assert_eq!(
        yarn.output(unchanged, "echo $USER $LOGNAME $HOME").await,
        "ada ada /home/\n"
    );
}

async fn a_container_knows_its_directories(yarn: &Yarn) {
    let text = yarn
        .output(
            unchanged,
            "echo $LOCAL_DIRS $LOCAL_USER_DIRS $LOG_DIRS $PWD $CONTAINER_ID",
        )
        .await;
    let words: Vec<&str> = text.split_whitespace().collect();
    let [local, user, logs, work, id] = words[..] else {
        panic!("{text}")
    };
    let app = local.rsplit('/').next().unwrap();
    assert!(user.ends_with("/usercache/ada/"), "{user}");
    assert_eq!(local, format!("{user}appcache/{app}"));
    assert!(logs.ends_with(&format!("/{app}/{id}")), "{logs}");
    assert_eq!(work, format!("{local}/{id}"));
}

async fn what_is_fixed_cannot_be_changed(yarn: &Yarn) {
    for name in ["USER", "HOME", "CONTAINER_ID", "LOG_DIRS"] {
        let text = yarn.output(with(name, "mine"), &format!("echo ${name}")).await;
        assert_ne!(text, "mine\n", "{name}");
    }
}

async fn the_path_is_the_applications(yarn: &Yarn) {
    let text = yarn
        .output(with("PATH", "/usr/bin:/bin:/own"), "echo $PATH")
        .await;
    assert_eq!(text, "/usr/bin:/bin:/own\n");
}

async fn the_whitelist_is_the_applications(yarn: &Yarn) {
    assert_eq!(
        yarn.output(with("JAVA_HOME", "/own"), "echo $JAVA_HOME").await,
        "/own\n"
    );
}

async fn braces_become_dollars(yarn: &Yarn) {
    assert_eq!(
        yarn.output(with("OWN", "{{USER}}/x"), "echo $OWN {{LOGNAME}}")
            .await,
        "ada/x ada\n"
    );
}

async fn closing_braces_are_lost(yarn: &Yarn) {
    let text = yarn.output(with("OWN", "{a:{b:1}}"), "echo $OWN").await;
    assert_eq!(text, "{a:{b:1\n");
}

async fn the_class_path_separator_is_a_colon(yarn: &Yarn) {
    assert_eq!(yarn.output(with("OWN", "a<CPS>b"), "echo $OWN").await, "a:b\n");
}

async fn the_log_directory_is_filled_in(yarn: &Yarn) {
    let text = yarn
        .output(with("OWN", "<LOG_DIR>"), "echo $OWN <LOG_DIR> $LOG_DIRS")
        .await;
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!((words[0], words[1]), (words[2], words[2]));
}

async fn variables_expand_one_another(yarn: &Yarn) {
    let change = |context: &mut ContainerLaunchContext| {
        with("A_FIRST", "$Z_LAST/x")(context);
        with("Z_LAST", "z")(context);
    };
    assert_eq!(yarn.output(change, "echo $A_FIRST").await, "z/x\n");
}

/// The exit status of a container with a variable.
async fn exit_with(yarn: &Yarn, name: &str, value: &str) -> i32 {
    let mut context = shell("true");
    with(name, value)(&mut context);
    yarn.master().await.run(&context).await.status
}

async fn quotes_in_values_break_the_script(yarn: &Yarn) {
    assert_eq!(exit_with(yarn, "OWN", "a\"b").await, 2);
}

async fn dashes_in_names_break_the_script(yarn: &Yarn) {
    assert_eq!(exit_with(yarn, "A-B", "c").await, 1);
}

async fn escaped_quotes_arrive(yarn: &Yarn) {
    assert_eq!(yarn.output(with("OWN", "a\\\"b"), "printenv OWN").await, "a\"b\n");
}

async fn commands_are_joined(yarn: &Yarn) {
    let path = yarn.path("joined-commands");
    let change = |context: &mut ContainerLaunchContext| {
        context.commands = vec![
            "echo".into(),
            "a".into(),
            "b >".into(),
            path.display().to_string(),
        ];
    };
    let mut context = ContainerLaunchContext::default();
    change(&mut context);
    assert_eq!(yarn.master().await.run(&context).await.status, 0);
    assert_eq!(std::fs::read_to_string(path).unwrap(), "a b\n");
}

async fn output_without_a_log_is_the_scripts(yarn: &Yarn) {
    let path = yarn.path("prelaunch");
    let command = format!(
        "echo said; echo warned >&2; cat $LOG_DIRS/prelaunch.out $LOG_DIRS/prelaunch.err > {}",
        path.display()
    );
    let context = ContainerLaunchContext {
        commands: vec![command],
        ..Default::default()
    };
    assert_eq!(yarn.master().await.run(&context).await.status, 0);
    let text = std::fs::read_to_string(path).unwrap();
    holds(
        &text,
        &[
            "Setting up env variables\n",
            "Setting up job resources\n",
            "Launching container\nsaid\nwarned\n",
        ],
    );
}

async fn credentials_arrive_as_they_were(yarn: &Yarn) {
    let mut credentials = Credentials::default();
    credentials.secrets.insert("mine".into(), b"secret".to_vec());
    let bytes = credentials.to_bytes(Format::Writable);
    let copy = yarn.path("credentials");
    let sent = bytes.clone();
    let command = format!(
        "cp $HADOOP_TOKEN_FILE_LOCATION {}; ls container_tokens",
        copy.display()
    );
    let text = yarn
        .output(move |context| context.tokens = Some(sent), &command)
        .await;
    assert_eq!(
        (text.as_str(), std::fs::read(copy).unwrap()),
        ("container_tokens\n", bytes)
    );
}

async fn the_working_directory_is_the_containers(yarn: &Yarn) {
    let text = yarn
        .output(
            unchanged,
            "[ $PWD = $(pwd) ] && ls -d tmp launch_container.sh && echo ${TMPDIR-none}",
        )
        .await;
    assert_eq!(text, "launch_container.sh\ntmp\nnone\n");
}

async fn a_container_is_a_session(yarn: &Yarn) {
    let text = yarn.output(unchanged, "echo $(ps -o sid= -p $$) $JVM_PID").await;
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words[0], words[1], "{text}");
}

/// What an ApplicationMaster prints.
async fn of_master(yarn: &Yarn, name: &str, command: &str) -> String {
    let path = yarn.path(name);
    let command = format!("{{ {command}; }} > {}", path.display());
    let id = yarn.submit(&command, json!({})).await;
    yarn.app_in(id, "FAILED").await;
    format!("{id} {}", std::fs::read_to_string(path).unwrap())
}

async fn masters_know_their_proxy_and_submission(yarn: &Yarn) {
    let text = of_master(
        yarn,
        "master-env",
        "echo $APPLICATION_WEB_PROXY_BASE $APP_SUBMIT_TIME_ENV",
    )
    .await;
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words[1], format!("/proxy/{}", words[0]));
    let id: hadoop::ids::ApplicationId = words[0].parse().unwrap();
    let (started, submitted) = (
        yarn.app(id).await["startedTime"].as_u64().unwrap(),
        words[2].parse::<u64>(),
    );
    // They are taken one after the other.
    assert!(submitted.unwrap().abs_diff(started) < 60_000, "{text}");
}

async fn other_containers_know_neither(yarn: &Yarn) {
    let command = "echo ${APPLICATION_WEB_PROXY_BASE-none} ${APP_SUBMIT_TIME_ENV-none}";
    assert_eq!(yarn.output(unchanged, command).await, "none none\n");
}

async fn malloc_arenas_are_set_empty(yarn: &Yarn) {
    assert_eq!(
        yarn.output(unchanged, "echo ${MALLOC_ARENA_MAX-unset}.").await,
        ".\n"
    );
}

async fn a_master_has_its_token(yarn: &Yarn) {
    let master = yarn.unregistered(json!({})).await;
    let path = yarn.path(hadoop::ids::ContainerId::new(master.attempt, 1));
    let credentials = Credentials::load(&path).unwrap();
    let kinds: Vec<&str> = credentials
        .tokens
        .values()
        .map(|token| token.kind.as_str())
        .collect();
    assert_eq!(kinds, ["YARN_AM_RM_TOKEN"]);
    assert!(
        credentials
            .am_rm_token(master.attempt)
            .unwrap()
            .service
            .is_empty()
    );
}
