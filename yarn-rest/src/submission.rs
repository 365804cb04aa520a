//! The body of a submission.
//!
//! The field names and the JAXB-style maps (`{"entry": [{"key": …, "value": …}]}`) are those of
//! `ApplicationSubmissionContextInfo` and `ContainerLaunchContextInfo` of the ResourceManager's web
//! service. The body has no root key.
//!
//! What REST cannot say, in any release: application timeouts (set them with
//! [`Client::set_lifetime`](crate::Client::set_lifetime) afterwards), the placement of the
//! ApplicationMaster, resources other than memory and cores, container retry, and the pattern of a local
//! resource. The ResourceManager drops them without a word, so they have no field here.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hadoop::ids::ApplicationId;
use serde::{Serialize, Serializer};

use crate::launch_script::{self, LaunchScriptError};
use crate::model::Resource;

/// An application to submit.
///
/// ```
/// use yarn_rest::{Resource, SubmissionContext};
///
/// let mut app = SubmissionContext::new("application_1717955085543_0001".parse()?);
/// app.name = "hello".to_owned();
/// app.resource = Resource::new(256, 1);
/// app.container.commands = vec!["echo hi 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr".to_owned()];
/// assert!(app.problems().is_empty());
/// # Ok::<(), hadoop::ids::ParseIdError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SubmissionContext {
    /// The id, from [`Client::new_application`](crate::Client::new_application).
    #[serde(serialize_with = "print")]
    pub application_id: ApplicationId,
    /// The name shown everywhere.
    #[serde(rename = "application-name")]
    pub name: String,
    /// The type shown everywhere; without one it is the empty text. Cut at 20 characters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub application_type: String,
    /// The queue; `default` if none is given. The empty text is a 400 under the Fair Scheduler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The priority, capped by the cluster. None becomes -1, not the queue's default, and comes behind all that have 0
    /// (`ApplicationSubmissionContextInfo`, `CapacityScheduler.checkAndGetApplicationPriority`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Does somebody else than YARN run the ApplicationMaster?
    #[serde(rename = "unmanaged-AM", skip_serializing_if = "is_false")]
    pub unmanaged_am: bool,
    /// Are the delegation tokens cancelled at the end? YARN's default is yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_tokens_when_complete: Option<bool>,
    /// How often the ApplicationMaster is started at most; the cluster's limit caps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_app_attempts: Option<u32>,
    /// Do containers outlive the attempt that started them?
    #[serde(skip_serializing_if = "is_false")]
    pub keep_containers_across_application_attempts: bool,
    /// Failed attempts older than so many milliseconds are not counted; none counts all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_failures_validity_interval: Option<i64>,
    /// Node label of all containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_node_label_expression: Option<String>,
    /// Node label of the ApplicationMaster's container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub am_container_node_label_expression: Option<String>,
    /// The reservation to run in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<String>,
    /// Tags: at most 10, each of at most 100 printable ASCII characters, or the answer is a 400. YARN
    /// writes them in lower case.
    #[serde(
        rename = "application-tags",
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "tags"
    )]
    pub tags: Vec<String>,
    /// The size of the ApplicationMaster's container. Rounded up to the scheduler's minimum; more than
    /// the maximum is a 400.
    pub resource: Resource,
    /// How logs are collected; the cluster's way if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_aggregation_context: Option<LogAggregation>,
    /// What to run.
    #[serde(rename = "am-container-spec")]
    pub container: LaunchContext,
}

/// How the logs of an application are collected.
///
/// YARN's own defaults do not apply to a context that is given in part: the patterns it lacks become
/// empty. So all four are written, with the values YARN would have used as [`Default`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogAggregation {
    /// Files to collect at the end (regular expression).
    pub log_include_pattern: String,
    /// Files to leave out at the end.
    pub log_exclude_pattern: String,
    /// Files to collect again and again while the application runs.
    pub rolled_log_include_pattern: String,
    /// Files to leave out of that.
    pub rolled_log_exclude_pattern: String,
    /// Java class that chooses containers, for example
    /// `org.apache.hadoop.yarn.server.nodemanager.containermanager.logaggregation.FailedContainerLogAggregationPolicy`.
    #[serde(
        rename = "log-aggregation-policy-class-name",
        skip_serializing_if = "Option::is_none"
    )]
    pub policy: Option<String>,
    /// Parameters of that class.
    #[serde(
        rename = "log-aggregation-policy-parameters",
        skip_serializing_if = "Option::is_none"
    )]
    pub policy_parameters: Option<String>,
}

impl Default for LogAggregation {
    fn default() -> Self {
        Self {
            log_include_pattern: ".*".to_owned(),
            log_exclude_pattern: String::new(),
            rolled_log_include_pattern: String::new(),
            rolled_log_exclude_pattern: ".*".to_owned(),
            policy: None,
            policy_parameters: None,
        }
    }
}

/// What the ApplicationMaster's container runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct LaunchContext {
    /// The command. YARN joins the parts with blanks and gives them to `bash -c` inside double quotes:
    /// see [`launch_script`].
    #[serde(serialize_with = "commands")]
    pub commands: Vec<String>,
    /// Environment variables. They end up in `launch_container.sh`, which is kept beside the logs: no
    /// place for secrets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "entries")]
    pub environment: BTreeMap<String, String>,
    /// Files to fetch, by the name of the link in the working directory.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "entries")]
    pub local_resources: BTreeMap<String, LocalResource>,
    /// Data for auxiliary services of the nodes, by service.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "entries")]
    pub service_data: BTreeMap<String, SecretBytes>,
    /// Tokens and secrets for the container's `container_tokens` file.
    #[serde(skip_serializing_if = "Credentials::is_empty")]
    pub credentials: Credentials,
    /// Who may see and change the application.
    #[serde(
        rename = "application-acls",
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "entries"
    )]
    pub acls: BTreeMap<AclKind, String>,
}

/// What an access list is about. The list's text is users with commas, a blank, groups with commas; `*` is
/// everybody, a lone blank nobody. It counts only with `yarn.acl.enable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AclKind {
    /// Who may read reports and logs.
    ViewApp,
    /// Who may kill, move and signal.
    ModifyApp,
}

/// A file that a NodeManager fetches before the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LocalResource {
    /// Where it is, for example `hdfs://ns/path/file`. Of an `http://` URL the query is dropped.
    #[serde(rename = "resource")]
    pub url: String,
    /// File or archive.
    #[serde(rename = "type")]
    pub kind: LocalResourceKind,
    /// Who shares the copy on the node.
    pub visibility: Visibility,
    /// Bytes; not checked.
    pub size: u64,
    /// The source's modification time in milliseconds, exactly: any other value fails the start. 0 for
    /// `http://`.
    pub timestamp: u64,
}

/// What becomes of a fetched file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LocalResourceKind {
    /// A file, mode 0500 (0555 if public): a program can run as it is.
    File,
    /// An archive (`.jar .zip .tar .tar.gz .tgz`); the link is the directory with its contents.
    Archive,
}

/// Who shares a fetched file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Visibility {
    /// Everybody; the source must be readable by everybody. Refused for `http://`.
    Public,
    /// The user, in later applications too.
    Private,
    /// This application.
    Application,
}

/// Tokens and secrets of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Credentials {
    /// Tokens by alias, each in Hadoop's URL form (`Token.encodeToUrlString`). The ResourceManager renews
    /// every token it can manage at submission and fails the application if one cannot be renewed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "entries")]
    pub tokens: BTreeMap<String, SecretText>,
    /// Secrets by alias.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "entries")]
    pub secrets: BTreeMap<String, SecretBytes>,
}

impl Credentials {
    /// Is there nothing in it?
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.secrets.is_empty()
    }
}

/// A text that is not shown by `{:?}`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SecretText(pub String);

/// Bytes that are not shown by `{:?}`; on the wire they are URL-safe base64.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(pub Vec<u8>);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretText({} characters)", self.0.chars().count())
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.0.len())
    }
}

impl Serialize for SecretBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

/// A value the ResourceManager would refuse, cut, or hand to a launch script that breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmissionProblem {
    /// The launch script would not run.
    #[error(transparent)]
    LaunchScript(#[from] LaunchScriptError),
    /// Nothing to run.
    #[error("the ApplicationMaster has no command")]
    NoCommand,
    /// More tags than YARN takes.
    #[error("{count} tags, and YARN takes at most {MAX_TAGS}")]
    TooManyTags {
        /// How many there are.
        count: usize,
    },
    /// A tag YARN refuses.
    #[error("the tag `{tag}` must be 1 to {MAX_TAG_LENGTH} printable ASCII characters without a comma")]
    BadTag {
        /// The tag.
        tag: String,
    },
    /// An application type YARN cuts.
    #[error(
        "the application type `{application_type}` is longer than {MAX_TYPE_LENGTH} characters and would be cut"
    )]
    TypeTooLong {
        /// The type.
        application_type: String,
    },
}

const MAX_TAGS: usize = 10;
const MAX_TAG_LENGTH: usize = 100;
const MAX_TYPE_LENGTH: usize = 20;

impl SubmissionContext {
    /// An application of which only the id is decided: 1 GiB and one core, nothing to run yet.
    pub fn new(application_id: ApplicationId) -> Self {
        Self {
            application_id,
            name: String::new(),
            application_type: String::new(),
            queue: None,
            priority: None,
            unmanaged_am: false,
            cancel_tokens_when_complete: None,
            max_app_attempts: None,
            keep_containers_across_application_attempts: false,
            attempt_failures_validity_interval: None,
            app_node_label_expression: None,
            am_container_node_label_expression: None,
            reservation_id: None,
            tags: Vec::new(),
            resource: Resource::new(1024, 1),
            log_aggregation_context: None,
            container: LaunchContext::default(),
        }
    }

    /// Everything that is wrong with it as far as one can tell without the cluster.
    pub fn problems(&self) -> Vec<SubmissionProblem> {
        let mut problems: Vec<SubmissionProblem> = self.container.problems();
        if !self.unmanaged_am && self.container.commands.iter().all(|part| part.trim().is_empty()) {
            problems.push(SubmissionProblem::NoCommand);
        }
        if self.tags.len() > MAX_TAGS {
            problems.push(SubmissionProblem::TooManyTags {
                count: self.tags.len(),
            });
        }
        let bad_tags = self.tags.iter().filter(|tag| !is_tag(tag)).cloned();
        problems.extend(bad_tags.map(|tag| SubmissionProblem::BadTag { tag }));
        if self.application_type.chars().count() > MAX_TYPE_LENGTH {
            let application_type = self.application_type.clone();
            problems.push(SubmissionProblem::TypeTooLong { application_type });
        }
        problems
    }
}

/// The report joins tags with commas, so a comma inside would make two of one.
fn is_tag(tag: &str) -> bool {
    let printable = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b',';
    (1..=MAX_TAG_LENGTH).contains(&tag.len()) && tag.bytes().all(printable)
}

impl LaunchContext {
    fn problems(&self) -> Vec<SubmissionProblem> {
        let of_environment = self.environment.iter().flat_map(|(name, value)| {
            [
                launch_script::check_name(name),
                launch_script::check_value(name, value),
            ]
        });
        let of_commands = self
            .commands
            .iter()
            .map(|part| launch_script::check_command(part));
        let checks = of_environment.chain(of_commands);
        checks
            .filter_map(Result::err)
            .map(SubmissionProblem::from)
            .collect()
    }
}

/// By reference, because that is the signature serde asks for.
fn is_false(value: &bool) -> bool {
    !value
}

fn print<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn tags<S: Serializer>(tags: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Tags<'a> {
        tag: &'a [String],
    }
    Tags { tag: tags }.serialize(serializer)
}

/// One text: both a text and an array are accepted, and a text is read the same by every release.
fn commands<S: Serializer>(parts: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Commands {
        command: String,
    }
    Commands {
        command: parts.join(" "),
    }
    .serialize(serializer)
}

/// A map as JAXB writes it.
fn entries<K: Serialize, V: Serialize, S: Serializer>(
    map: &BTreeMap<K, V>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Entries<'a, K, V> {
        entry: Vec<Entry<'a, K, V>>,
    }
    #[derive(Serialize)]
    struct Entry<'a, K, V> {
        key: &'a K,
        value: &'a V,
    }
    let entry = map.iter().map(|(key, value)| Entry { key, value }).collect();
    Entries { entry }.serialize(serializer)
}

#[cfg(test)]
mod tests;
