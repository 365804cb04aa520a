//! Every setting: its name, default, kind and what it does. `drawloom config` and the reference in docs come from here.

use super::value;

/// The kind of a setting's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text; may be empty.
    Text,
    /// Words between commas; may be empty.
    Words,
    /// Names and whole numbers, `yarn.io/gpu=1,…`; may be empty.
    Amounts,
    /// A whole number of at least 1.
    Count,
    /// A whole number; may be empty.
    Number,
    /// A size with a unit.
    Size,
    /// A duration with a unit; may be empty.
    Duration,
    /// A duration of more than nothing; may be empty.
    Interval,
    /// A number between 0 and 1.
    Ratio,
    /// `true` or `false`.
    Boolean,
    /// A number of at least 1.
    Factor,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// What a person may write.
    pub(crate) fn expected(self) -> String {
        let fixed = match self {
            Self::Text => "text",
            Self::Words => "words, comma-separated",
            Self::Amounts => "name=number, comma-separated",
            Self::Count | Self::Number => "number",
            Self::Size => "size",
            Self::Duration | Self::Interval => "duration",
            Self::Ratio => "0 to 1",
            Self::Boolean => "true or false",
            Self::Factor => "number of at least 1",
            Self::Choice(words) => return words.join(" or "),
        };
        fixed.to_owned()
    }
}

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its name in `--conf`, properties files and the mapping `conf` of a job file.
    pub name: &'static str,
    /// What holds when nobody sets it.
    pub default: &'static str,
    /// What it can be.
    pub kind: Kind,
    /// What it does.
    pub doc: &'static str,
}

impl Key {
    /// Whether a text is a value of this key.
    ///
    /// # Errors
    /// What is expected.
    pub fn check(&self, text: &str) -> Result<(), String> {
        if text.is_empty() && self.default.is_empty() {
            return Ok(());
        }
        match self.kind {
            Kind::Text | Kind::Words => Ok(()),
            Kind::Amounts => value::amounts(text).map(drop),
            Kind::Count => value::count(text).map(drop),
            Kind::Number => value::number(text).map(drop),
            Kind::Size => value::mebibytes(text).map(drop),
            Kind::Duration => value::duration(text).map(drop),
            Kind::Interval => value::interval(text).map(drop),
            Kind::Ratio => value::ratio(text).map(drop),
            Kind::Boolean => value::boolean(text).map(drop),
            Kind::Factor => value::factor(text).map(drop),
            Kind::Choice(words) => choice(text, words),
        }
    }

    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        let upper = self.name.to_ascii_uppercase().replace(['.', '-'], "_");
        format!("DRAWLOOM_{upper}")
    }
}

fn choice(text: &str, words: &[&str]) -> Result<(), String> {
    if words.contains(&text) {
        return Ok(());
    }
    Err(format!("{text:?} should be one of {}", words.join(", ")))
}

const fn key(name: &'static str, default: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key {
        name,
        default,
        kind,
        doc,
    }
}

/// All of them, in the order that people read them in.
pub(crate) const KEYS: &[Key] = &[
    key(
        "name",
        "",
        Kind::Text,
        "the application's name; the job file's name when empty",
    ),
    key("queue", "default", Kind::Text, "the YARN queue to submit to"),
    key(
        "priority",
        "",
        Kind::Number,
        "the application's priority in its queue; 0 when empty",
    ),
    key(
        "tags",
        "",
        Kind::Words,
        "application tags, at most 10 of 100 ASCII characters",
    ),
    key(
        "node-label",
        "",
        Kind::Text,
        "the node label that all containers are asked on",
    ),
    key(
        "acls.view",
        "",
        Kind::Text,
        "who may see the application besides its owner: users, a blank, groups",
    ),
    key(
        "acls.modify",
        "",
        Kind::Text,
        "who may change the application besides its owner",
    ),
    key(
        "lifetime",
        "",
        Kind::Interval,
        "how long the application may run before YARN ends it",
    ),
    key(
        "application-type",
        "DRAWLOOM",
        Kind::Text,
        "the type that YARN shows, at most 20 characters",
    ),
    key(
        "deploy-mode",
        "cluster",
        Kind::Choice(&["cluster", "client"]),
        "where the driver runs: in the ApplicationMaster, or in the process that submits",
    ),
    key(
        "am.memory",
        "256MiB",
        Kind::Size,
        "container memory of the ApplicationMaster",
    ),
    key(
        "am.cores",
        "1",
        Kind::Count,
        "virtual cores of the ApplicationMaster",
    ),
    key(
        "am.max-attempts",
        "2",
        Kind::Count,
        "how often YARN may start the ApplicationMaster",
    ),
    key(
        "am.failures.validity-interval",
        "1h",
        Kind::Duration,
        "failures of the ApplicationMaster that are older do not count towards am.max-attempts; 0s: all count",
    ),
    key(
        "am.recovery",
        "on",
        Kind::Choice(&["on", "off"]),
        "whether a later ApplicationMaster goes on where an earlier one ended; off: it begins anew",
    ),
    key(
        "am.recovery.reserve",
        "5s",
        Kind::Duration,
        "work that executors are sent ahead of their free slots to be busy while the ApplicationMaster is replaced, \
         in time; 0s sends none",
    ),
    key(
        "am.journal.patience",
        "75s",
        Kind::Duration,
        "how long the staging file system may refuse the journal before this ApplicationMaster ends and YARN starts \
         another",
    ),
    key(
        "am.rm-silence-max",
        "",
        Kind::Interval,
        "how long the ResourceManager may be silent before the ApplicationMaster ends itself; 0.8 of \
         yarn.am.liveness-monitor.expiry-interval-ms when empty",
    ),
    key("executors.instances", "2", Kind::Count, "how many executors"),
    key(
        "executors.memory",
        "1GiB",
        Kind::Size,
        "container memory of each executor",
    ),
    key(
        "executors.cores",
        "1",
        Kind::Count,
        "task slots of each executor, and virtual cores asked of YARN",
    ),
    key(
        "executors.resources",
        "",
        Kind::Amounts,
        "what else each executor asks of YARN, by the cluster's names: yarn.io/gpu=1",
    ),
    key(
        "task.max-failures",
        "4",
        Kind::Count,
        "failed attempts of one task that fail the job",
    ),
    key(
        "task.kill.grace",
        "10s",
        Kind::Duration,
        "between SIGTERM and SIGKILL of a task that is told to end",
    ),
    key(
        "stage.max-attempts",
        "4",
        Kind::Count,
        "attempts of a whole stage before the job fails",
    ),
    key(
        "executor.heartbeat.interval",
        "3s",
        Kind::Interval,
        "how often an executor gives a sign of life",
    ),
    key(
        "executor.heartbeat.suspect",
        "15s",
        Kind::Interval,
        "silence after which an executor gets no new tasks",
    ),
    key(
        "executor.heartbeat.dead",
        "60s",
        Kind::Interval,
        "silence after which an executor is replaced",
    ),
    key(
        "executor.register.timeout",
        "120s",
        Kind::Interval,
        "from the start of a container to its registration",
    ),
    key(
        "executor.memory.enforced",
        "true",
        Kind::Boolean,
        "whether the largest task of an executor is ended when its container's memory is used up",
    ),
    key(
        "executor.max-failures",
        "",
        Kind::Number,
        "lost executors that fail the job; the larger of 3 and twice the executors when empty",
    ),
    key(
        "executor.failures.validity-interval",
        "1h",
        Kind::Duration,
        "how long a lost executor is held against the job",
    ),
    key(
        "executor.relaunch.backoff",
        "200ms",
        Kind::Duration,
        "the first wait before a second relaunch on a node; doubles",
    ),
    key(
        "executor.relaunch.backoff.max",
        "30s",
        Kind::Duration,
        "the longest such wait",
    ),
    key(
        "executor.am-lost-ttl",
        "15min",
        Kind::Duration,
        "how long an executor works on without an ApplicationMaster",
    ),
    key(
        "rm.heartbeat.pending",
        "200ms",
        Kind::Interval,
        "how often YARN is asked while containers are awaited; doubles",
    ),
    key(
        "rm.heartbeat.idle",
        "3s",
        Kind::Interval,
        "how often YARN is asked otherwise",
    ),
    key(
        "scheduler.min-registered-ratio",
        "0.8",
        Kind::Ratio,
        "share of the executors to wait for before the first task",
    ),
    key(
        "scheduler.max-registered-wait",
        "30s",
        Kind::Duration,
        "the longest such wait",
    ),
    key(
        "executors.min",
        "",
        Kind::Number,
        "elastic executors: never fewer; elastic when executors.max is set",
    ),
    key(
        "executors.max",
        "",
        Kind::Number,
        "elastic executors: never more; a fixed number of executors when empty",
    ),
    key(
        "executors.idle-timeout",
        "60s",
        Kind::Duration,
        "elastic executors: how long one may be without work",
    ),
    key(
        "executors.room-patience",
        "10min",
        Kind::Interval,
        "how long the nodes of the cluster may have room for fewer executors than are needed to begin; then the job fails",
    ),
    key(
        "executors.backlog-timeout",
        "1s",
        Kind::Interval,
        "elastic executors: how long tasks wait before more are asked for, and again after each step",
    ),
    key(
        "uber.mode",
        "false",
        Kind::Choice(&["false", "auto", "true"]),
        "whether the job runs in the ApplicationMaster's container without asking for executors; auto: when it is small",
    ),
    key(
        "uber.max-tasks",
        "10",
        Kind::Count,
        "uber.mode auto: the most tasks of all stages together",
    ),
    key(
        "uber.max-input",
        "128MiB",
        Kind::Size,
        "uber.mode auto: the most input of all stages together",
    ),
    key(
        "scheduler.mode",
        "fifo",
        Kind::Choice(&["fifo", "fair"]),
        "the order between the pools of a job",
    ),
    key(
        "scheduler.allocation.file",
        "",
        Kind::Text,
        "a file of pools as Spark's fairscheduler.xml, relative to the job file",
    ),
    key(
        "scheduler.placement",
        "spread",
        Kind::Choice(&["spread", "pack"]),
        "which of equally good executors gets a task",
    ),
    key(
        "results.max-size",
        "1GiB",
        Kind::Size,
        "bytes that the results of the functions of one stage may have together",
    ),
    key(
        "scheduler.prefetch",
        "250ms",
        Kind::Duration,
        "work that an executor is sent ahead of its free slots, in time; 0s sends none",
    ),
    key(
        "locality.wait",
        "3s",
        Kind::Duration,
        "how long a task waits for a better place, at each level",
    ),
    key(
        "locality.wait.process",
        "",
        Kind::Duration,
        "the same for the executor that has its input; locality.wait when empty",
    ),
    key(
        "locality.wait.node",
        "",
        Kind::Duration,
        "the same for a node that has its input; locality.wait when empty",
    ),
    key(
        "locality.wait.rack",
        "",
        Kind::Duration,
        "the same for the rack of such a node; locality.wait when empty",
    ),
    key(
        "exclude.enabled",
        "true",
        Kind::Boolean,
        "executors and nodes where tasks fail get no more of them",
    ),
    key(
        "exclude.timeout",
        "10min",
        Kind::Duration,
        "how long that lasts for the whole application",
    ),
    key(
        "exclude.task.per-executor",
        "1",
        Kind::Count,
        "failures of a task on an executor that keep it from going there again",
    ),
    key(
        "exclude.task.per-node",
        "2",
        Kind::Count,
        "the same on all executors of a node together",
    ),
    key(
        "exclude.stage.per-executor",
        "2",
        Kind::Count,
        "tasks of a stage that failed on an executor and keep the stage from it",
    ),
    key(
        "exclude.stage.per-node",
        "2",
        Kind::Count,
        "executors of a node that the stage is kept from, and that keep it from the node",
    ),
    key(
        "exclude.application.per-executor",
        "2",
        Kind::Count,
        "tasks of stages that succeeded which failed on an executor and keep the application from it",
    ),
    key(
        "exclude.application.per-node",
        "2",
        Kind::Count,
        "executors of a node that the application is kept from, and that keep it from the node",
    ),
    key(
        "speculation.enabled",
        "false",
        Kind::Boolean,
        "second copies of tasks that run much longer than others",
    ),
    key(
        "speculation.quantile",
        "0.9",
        Kind::Ratio,
        "share of a stage's tasks that must be done before",
    ),
    key(
        "speculation.multiplier",
        "3",
        Kind::Factor,
        "how many times the median of finished tasks is too long",
    ),
    key(
        "speculation.interval",
        "100ms",
        Kind::Interval,
        "how often slow tasks are looked for",
    ),
    key(
        "speculation.min-runtime",
        "100ms",
        Kind::Duration,
        "a task that has run for less is never too slow",
    ),
    key(
        "staging.dir",
        "",
        Kind::Text,
        "where applications are staged; /user/NAME/.drawloom on the default file system when empty",
    ),
    key(
        "staging.cache.max-age",
        "30days",
        Kind::Interval,
        "cached files that no staged application names are removed when nobody has wanted them for this time",
    ),
    key(
        "metrics.open",
        "false",
        Kind::Boolean,
        "whether /metrics of the ApplicationMaster answers every address, and not only YARN's proxy",
    ),
    key(
        "history.dir",
        "",
        Kind::Text,
        "an existing directory for event logs that a Spark History Server reads; no event log when empty",
    ),
    key(
        "history.server",
        "",
        Kind::Text,
        "the address of that History Server, which YARN's link leads to after the end: http://HOST:18080",
    ),
    key(
        "logs.rolled",
        r"\.[0-9-]+(\.gz)?$",
        Kind::Text,
        "log files that YARN may collect while the application runs, where it does, and that nobody writes any more: a \
         regular expression of Java's; nothing of a running application when empty",
    ),
    key(
        "client.poll-interval",
        "1s",
        Kind::Interval,
        "how often a waiting client asks how it goes",
    ),
    key(
        "client.reconnect",
        "60s",
        Kind::Interval,
        "client mode: how long the application waits for a client that cannot be reached",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_done_without_pause() {
        let check = |name: &str| KEYS.iter().find(|key| key.name == name).unwrap().check("0s");
        for endless in [
            "rm.heartbeat.pending",
            "executor.heartbeat.interval",
            "client.poll-interval",
            "lifetime",
        ] {
            assert!(check(endless).is_err(), "{endless}");
        }
        assert!(check("task.kill.grace").is_ok());
    }

    /// The table of docs/configuration.md.
    fn reference() -> String {
        let mut table = "| key | default | value | what it does |\n|---|---|---|---|\n".to_owned();
        for key in KEYS {
            let default = match key.default {
                "" => String::new(),
                default => format!("`{default}`"),
            };
            let expected = key.kind.expected();
            table.push_str(&format!(
                "| `{}` | {default} | {expected} | {} |\n",
                key.name, key.doc
            ));
        }
        table
    }

    #[test]
    fn the_documented_settings_are_those_there_are() {
        let page = include_str!("../../../docs/configuration.md");
        let reference = reference();
        assert!(
            page.contains(&reference),
            "the table of docs/configuration.md should be:\n{reference}"
        );
    }

    #[test]
    fn names_are_unique_and_have_unique_variables() {
        let mut names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
        let mut variables: Vec<_> = KEYS.iter().map(Key::variable).collect();
        names.sort_unstable();
        names.dedup();
        variables.sort_unstable();
        variables.dedup();
        assert_eq!((names.len(), variables.len()), (KEYS.len(), KEYS.len()));
    }
}
