//! What the ResourceManager is sent: the application and how its ApplicationMaster is started. Pure.

use std::collections::BTreeMap;

use am::launch::{self, Localized, LocalizedKind};
use hadoop::ids::ApplicationId;
use wire::security::{ApplicationKeys, secret};
use yarn_rest::{
    AclKind, LocalResource, LocalResourceKind, LogAggregation, Resource, SecretBytes, SubmissionContext,
    Visibility,
};

use crate::settings::Resolved;

/// Everything that the context is made of.
pub(super) struct Parts<'a> {
    /// The id to submit under.
    pub id: ApplicationId,
    /// The application's name.
    pub name: &'a str,
    /// Settings.
    pub settings: &'a Resolved,
    /// The submitting user.
    pub user: &'a str,
    /// SHA-256 of the executable.
    pub build: &'a str,
    /// URI of the application's staging directory.
    pub staging: &'a str,
    /// Memory of that container in MiB, and its cores.
    pub container: (u64, u32),
    /// What the ApplicationMaster's container gets.
    pub resources: &'a [Localized],
    /// The application's keys.
    pub keys: &'a ApplicationKeys,
}

/// The command of the ApplicationMaster's container. YARN replaces `<LOG_DIR>`.
pub(super) const AM_COMMAND: &str = "./drawloom am 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr";

/// The priority of applications that ask for none: what the `CapacityScheduler` gives those that come by RPC, unless their
/// queue has another default. By REST an omitted one is -1 (`ApplicationSubmissionContextInfo`), behind all of those.
const USUAL_PRIORITY: i32 = 0;

/// Puts the parts together.
pub(super) fn build(parts: &Parts<'_>) -> SubmissionContext {
    let settings = parts.settings;
    let mut context = SubmissionContext::new(parts.id);
    context.name = parts.name.to_owned();
    context.application_type = settings.text("application-type").to_owned();
    context.queue = settings.optional("queue").map(str::to_owned);
    context.priority = settings
        .optional("priority")
        .and_then(|text| text.parse().ok())
        .or(Some(USUAL_PRIORITY));
    context.max_app_attempts = Some(settings.count("am.max-attempts"));
    context.keep_containers_across_application_attempts = settings.text("am.recovery") == "on";
    context.attempt_failures_validity_interval = Some(settings.duration("am.failures.validity-interval"))
        .filter(|interval| !interval.is_zero())
        .map(|interval| i64::try_from(interval.as_millis()).unwrap_or(i64::MAX));
    context.app_node_label_expression = settings.optional("node-label").map(str::to_owned);
    context.tags = settings.words("tags");
    context.resource = Resource::new(parts.container.0, parts.container.1);
    context.container.commands = vec![AM_COMMAND.to_owned()];
    context.container.environment = environment(parts);
    context.container.local_resources = parts.resources.iter().map(local_resource).collect();
    context.container.credentials.secrets = secrets(parts.keys, settings.text("deploy-mode") == "client");
    context.container.acls = acls(settings);
    context.log_aggregation_context = settings.optional("logs.rolled").map(rolled);
    context
}

fn environment(parts: &Parts<'_>) -> BTreeMap<String, String> {
    let pairs = [
        ("HADOOP_USER_NAME", parts.user),
        (launch::env::BUILD, parts.build),
        (launch::env::STAGING, parts.staging),
    ];
    let mut environment: BTreeMap<_, _> = pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    // Where tests of recovery want the ApplicationMaster to die.
    let crash = std::env::var(am::journal::CRASH_POINT).ok();
    environment.extend(crash.map(|point| (am::journal::CRASH_POINT.to_owned(), point)));
    environment
}

fn local_resource(resource: &Localized) -> (String, LocalResource) {
    let kind = match resource.kind {
        LocalizedKind::File => LocalResourceKind::File,
        LocalizedKind::Archive => LocalResourceKind::Archive,
    };
    let visibility = match resource.visibility {
        launch::Visibility::Public => Visibility::Public,
        launch::Visibility::Private => Visibility::Private,
        launch::Visibility::Application => Visibility::Application,
    };
    let local = LocalResource {
        url: resource.uri.clone(),
        kind,
        visibility,
        size: resource.size,
        timestamp: resource.timestamp_ms,
    };
    (resource.name.clone(), local)
}

/// That there is a driver's certificate tells the ApplicationMaster that the driver is in the client.
fn secrets(keys: &ApplicationKeys, client_mode: bool) -> BTreeMap<String, SecretBytes> {
    let pairs = [
        (secret::AUTHORITY, &keys.am.authority),
        (secret::AM_CERTIFICATE, &keys.am.certificate),
        (secret::AM_KEY, &keys.am.key),
        (secret::EXECUTOR_CERTIFICATE, &keys.executor.certificate),
        (secret::EXECUTOR_KEY, &keys.executor.key),
    ];
    let driver = client_mode.then_some((secret::DRIVER_CERTIFICATE, &keys.driver.certificate));
    pairs
        .into_iter()
        .chain(driver)
        .map(|(name, bytes)| (name.to_owned(), SecretBytes(bytes.clone())))
        .collect()
}

/// NodeManagers that collect logs while an application runs (`yarn.nodemanager.log-aggregation.
/// roll-monitoring-interval-seconds`) do so only for those that name files: these, and whatever containers that have
/// ended leave. They remove what they have collected, so a file must not be written any more.
fn rolled(pattern: &str) -> LogAggregation {
    LogAggregation {
        rolled_log_include_pattern: pattern.to_owned(),
        rolled_log_exclude_pattern: String::new(),
        ..LogAggregation::default()
    }
}

fn acls(settings: &Resolved) -> BTreeMap<AclKind, String> {
    let lists = [
        (AclKind::ViewApp, "acls.view"),
        (AclKind::ModifyApp, "acls.modify"),
    ];
    lists
        .into_iter()
        .filter_map(|(kind, key)| Some((kind, settings.optional(key)?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_running_applications_only_what_the_pattern_names_is_collected() {
        let context = serde_json::to_value(rolled(r"\.[0-9-]+$")).unwrap();
        let expected = serde_json::json!({
            "log-include-pattern": ".*",
            "log-exclude-pattern": "",
            "rolled-log-include-pattern": r"\.[0-9-]+$",
            "rolled-log-exclude-pattern": "",
        });
        assert_eq!(context, expected);
    }
}
