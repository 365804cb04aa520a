//! The launch script that a NodeManager writes for a container (`ContainerLaunch`, `DefaultContainerExecutor`).
//!
//! Nothing is escaped, because Hadoop escapes nothing: what is live between double quotes is live here, too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use yarn_rpc::records::ContainerLaunchContext;

use super::container::Places;
use crate::resource_manager::NodeFacts;
use crate::tokens::ContainerGrant;

/// The script's name in the working directory.
pub(super) const SCRIPT_NAME: &str = "launch_container.sh";
/// The credentials' name in the working directory.
pub(super) const TOKENS_NAME: &str = "container_tokens";

/// What goes into the script.
pub(super) struct Parts<'a> {
    pub(super) node: &'a NodeFacts,
    pub(super) conf: &'a Path,
    pub(super) grant: &'a ContainerGrant,
    pub(super) context: &'a ContainerLaunchContext,
    pub(super) places: &'a Places,
    /// Name in the working directory and fetched file.
    pub(super) files: &'a BTreeMap<String, PathBuf>,
}

/// The script.
pub(super) fn launch_script(parts: &Parts<'_>) -> String {
    let logs = parts.places.logs.display().to_string();
    let mut text = format!(
        "#!/bin/bash\n\nset -o pipefail -e\n\
         export PRELAUNCH_OUT=\"{logs}/prelaunch.out\"\nexec >\"${{PRELAUNCH_OUT}}\"\n\
         export PRELAUNCH_ERR=\"{logs}/prelaunch.err\"\nexec 2>\"${{PRELAUNCH_ERR}}\"\n\
         echo \"Setting up env variables\"\n"
    );
    variables(parts, &logs, &mut text);
    text.push_str("echo \"Setting up job resources\"\n");
    for (name, file) in parts.files {
        if let Some((directory, _)) = name.rsplit_once('/') {
            push(&mut text, format_args!("mkdir -p -- \"{directory}\""));
        }
        push(
            &mut text,
            format_args!("ln -sf -- \"{}\" \"{name}\"", file.display()),
        );
    }
    debugging(&logs, &mut text);
    let command = parts.context.commands.join(" ");
    push(&mut text, format_args!("echo \"Launching container\""));
    push(
        &mut text,
        format_args!("exec /bin/bash -c \"{}\"", substituted(&command, &logs)),
    );
    text
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a String does not fail");
}

/// `<LOG_DIR>`, `<CPS>` and `<ADD_OPENS>` are replaced; `{{X}}` becomes `$X`, which bash expands.
fn substituted(text: &str, logs: &str) -> String {
    let text = text
        .replace("<LOG_DIR>", logs)
        .replace("<CPS>", ":")
        .replace("<ADD_OPENS>", "");
    text.replace("{{", "$").replace("}}", "")
}

/// First what the application may not set, then what is its own; names that others depend on come before them.
fn variables(parts: &Parts<'_>, logs: &str, text: &mut String) {
    let fixed = fixed_variables(parts, logs);
    let own = &parts.context.environment;
    if !own.contains_key("HADOOP_CONF_DIR") {
        push(
            text,
            format_args!(
                "export HADOOP_CONF_DIR=${{HADOOP_CONF_DIR:-\"{}\"}}",
                parts.conf.display()
            ),
        );
    }
    for (name, value) in &fixed {
        push(text, format_args!("export {name}=\"{value}\""));
    }
    let settable = own
        .iter()
        .filter(|(name, _)| fixed.iter().all(|(other, _)| other != name));
    let values: Vec<(&String, String)> = settable
        .map(|(name, value)| (name, substituted(value, logs)))
        .collect();
    for (name, value) in in_order(values) {
        push(text, format_args!("export {name}=\"{value}\""));
    }
    if !own.contains_key("MALLOC_ARENA_MAX") {
        text.push_str("export MALLOC_ARENA_MAX=\"\"\n");
    }
}

/// The same for a container without a shell; what was escaped for one is not, in here.
pub(super) fn plain_variables(parts: &Parts<'_>) -> BTreeMap<String, String> {
    let logs = parts.places.logs.display().to_string();
    let own = parts.context.environment.iter();
    let own = own.map(|(name, value)| (name.clone(), unescaped(&substituted(value, &logs))));
    let fixed = fixed_variables(parts, &logs).into_iter();
    own.chain(fixed.map(|(name, value)| (name.to_owned(), value)))
        .collect()
}

/// What bash makes of a text between double quotes, but for variables.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let escapes = c == '\\'
            && rest
                .peek()
                .is_some_and(|next| matches!(next, '"' | '\\' | '`' | '$'));
        plain.extend(if escapes { rest.next() } else { Some(c) });
    }
    plain
}

fn fixed_variables(parts: &Parts<'_>, logs: &str) -> Vec<(&'static str, String)> {
    let Parts {
        node, grant, places, ..
    } = parts;
    let web_port = node.http_address.rsplit(':').next().unwrap_or_default();
    vec![
        ("CONTAINER_ID", grant.container.to_string()),
        ("NM_HOST", node.id.host.clone()),
        ("NM_PORT", node.id.port.to_string()),
        ("NM_HTTP_PORT", web_port.to_owned()),
        ("LOCAL_DIRS", places.application.display().to_string()),
        ("LOCAL_USER_DIRS", format!("{}/", places.user.display())),
        ("LOG_DIRS", logs.to_owned()),
        ("USER", grant.user.clone()),
        ("LOGNAME", grant.user.clone()),
        ("HOME", "/home/".to_owned()),
        ("PWD", places.work.display().to_string()),
        ("JVM_PID", "$$".to_owned()),
        ("LOCALIZATION_COUNTERS", "0,0,0,0,0".to_owned()),
        (
            "HADOOP_TOKEN_FILE_LOCATION",
            places.work.join(TOKENS_NAME).display().to_string(),
        ),
    ]
}

/// A value that names another variable comes after it, as far as that is possible.
fn in_order(mut left: Vec<(&String, String)>) -> Vec<(&String, String)> {
    let mut sorted = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let names: Vec<&String> = left.iter().map(|(name, _)| *name).collect();
        let free = |(name, value): &(&String, String)| {
            names.iter().all(|other| other == name || !mentions(value, other))
        };
        let at = left.iter().position(free).unwrap_or(0);
        sorted.push(left.remove(at));
    }
    sorted
}

fn mentions(value: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    value.match_indices('$').any(|(at, _)| {
        let rest = value[at + 1..].trim_start_matches('{');
        rest.strip_prefix(name)
            .is_some_and(|after| !after.starts_with(part_of_name))
    })
}

/// `yarn.nodemanager.log-container-debug-info.enabled`.
fn debugging(logs: &str, text: &mut String) {
    let copy = format!("{logs}/{SCRIPT_NAME}");
    let info = format!("{logs}/directory.info");
    let lines = [
        "echo \"Copying debugging information\"".to_owned(),
        format!("cp \"{SCRIPT_NAME}\" \"{copy}\""),
        format!("chmod 640 \"{copy}\""),
        format!("echo \"ls -l:\" 1>\"{info}\""),
        format!("ls -l 1>>\"{info}\""),
        format!("echo \"find -L . -maxdepth 5 -ls:\" 1>>\"{info}\""),
        format!("find -L . -maxdepth 5 -ls 1>>\"{info}\""),
    ];
    for line in lines {
        push(text, format_args!("{line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hadoops_substitutions_are_global_and_unpaired() {
        assert_eq!(
            substituted("{{JAVA_HOME}}/bin<CPS>x 1><LOG_DIR>/o", "/l"),
            "$JAVA_HOME/bin:x 1>/l/o"
        );
        assert_eq!(substituted(r#"{"a":{"b":1}}"#, "/l"), r#"{"a":{"b":1"#);
    }

    #[test]
    fn escapes_for_a_shell_are_undone_where_there_is_none() {
        assert_eq!(
            unescaped(r#"a \"b\" \$C \`d\` \\e \f\"#),
            r#"a "b" $C `d` \e \f\"#
        );
    }

    #[test]
    fn variables_come_after_those_they_mention() {
        let (a, b, c) = ("A".to_owned(), "B".to_owned(), "AB".to_owned());
        let values = vec![
            (&a, "$B/x".to_owned()),
            (&b, "${AB}".to_owned()),
            (&c, "$".to_owned()),
        ];
        let names: Vec<&str> = in_order(values)
            .into_iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["AB", "B", "A"]);
    }

    #[test]
    fn variables_that_mention_each_other_all_come() {
        let (a, b) = ("A".to_owned(), "B".to_owned());
        assert_eq!(
            in_order(vec![(&a, "$B".to_owned()), (&b, "$A".to_owned())]).len(),
            2
        );
    }
}
