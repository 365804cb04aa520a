//! What a NodeManager needs to know to run a process.

use crate::proto::yarn as pb;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Command, environment and files of a container.
///
/// NodeManagers paste commands and values into a shell script **without escaping**: `{{` becomes `$`, `}}` vanishes,
/// and inside values the characters `"`, `\`, `` ` `` and `$` are live. `<LOG_DIR>` is replaced by the log directory.
/// `PATH` of the NodeManager does not arrive: use absolute paths or set it here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerLaunchContext {
    /// Files to localize, by the name they get in the working directory.
    pub local_resources: BTreeMap<String, LocalResource>,
    /// Variables.
    pub environment: BTreeMap<String, String>,
    /// Joined with blanks and given to `bash -c`.
    pub commands: Vec<String>,
    /// A credentials stream for `container_tokens` (see [`hadoop::credentials`]); it is also what the node
    /// localizes files and aggregates logs with.
    pub tokens: Option<Vec<u8>>,
    /// Data for auxiliary services of the NodeManager.
    pub service_data: BTreeMap<String, Vec<u8>>,
    /// Who may view or modify the application.
    pub acls: BTreeMap<AclAccess, String>,
    /// Restarts that the NodeManager does by itself, in the same container.
    pub retry: Option<RetryContext>,
}

/// What an access list guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AclAccess {
    /// Logs and status.
    View,
    /// Kill and change.
    Modify,
}

/// A file or archive that the NodeManager fetches before the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalResource {
    /// Where it is.
    pub url: ResourceUrl,
    /// Bytes; used to choose a disk, not verified.
    pub size: u64,
    /// Modification time of the source in milliseconds; the start fails when it differs. 0 for `http`.
    pub timestamp_ms: u64,
    /// File or archive.
    pub kind: LocalResourceType,
    /// Who shares the copy.
    pub visibility: ResourceVisibility,
}

/// How a localized file is treated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LocalResourceType {
    /// Linked as it is, readable and executable.
    #[default]
    File,
    /// Unpacked into a directory, by the ending of its name.
    Archive,
}

/// Who shares the localized copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceVisibility {
    /// All users of the node; the source must be readable by everybody.
    Public,
    /// This user's applications; stays cached.
    Private,
    /// This application; removed at its end.
    #[default]
    Application,
}

/// The URL of a local resource in parts, as YARN transports it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceUrl {
    /// `hdfs`, `file`, `http`, …
    pub scheme: String,
    /// Host or name service; none for `file:///…`.
    pub host: Option<String>,
    /// Port, if the URL names one.
    pub port: Option<u16>,
    /// Absolute path, not percent-encoded.
    pub path: String,
}

/// Text that is not `scheme://[host[:port]]/path`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a URL of the form scheme://host:port/path")]
pub struct ParseUrlError(String);

impl FromStr for ResourceUrl {
    type Err = ParseUrlError;

    fn from_str(text: &str) -> Result<Self, ParseUrlError> {
        let wrong = || ParseUrlError(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let slash = rest.find('/').ok_or_else(wrong)?;
        let (authority, path) = rest.split_at(slash);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
            None => (authority, None),
        };
        if scheme.is_empty() || (host.is_empty() && port.is_some()) {
            return Err(wrong());
        }
        let host = (!host.is_empty()).then(|| host.to_owned());
        Ok(Self {
            scheme: scheme.to_owned(),
            host,
            port,
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for ResourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            self.scheme,
            self.host.as_deref().unwrap_or_default()
        )?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

/// When the NodeManager restarts the process by itself. Exit codes 0, 137 and 143 are never retried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryContext {
    /// Which exits.
    pub policy: RetryPolicy,
    /// How often; `None` for ever.
    pub max_retries: Option<u32>,
    /// Pause before a restart; the node may raise it.
    pub interval: Duration,
}

/// Which exits are retried by the NodeManager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryPolicy {
    /// None.
    Never,
    /// Every failure.
    AllErrors,
    /// These codes.
    ExitCodes(Vec<i32>),
}

impl From<&ResourceUrl> for pb::UrlProto {
    /// An absent port travels as -1: the daemons take an absent field for port 0.
    fn from(url: &ResourceUrl) -> Self {
        Self {
            scheme: Some(url.scheme.clone()),
            host: url.host.clone(),
            port: Some(url.port.map_or(-1, i32::from)),
            file: Some(url.path.clone()),
            user_info: None,
        }
    }
}

impl From<&LocalResource> for pb::LocalResourceProto {
    fn from(resource: &LocalResource) -> Self {
        let kind = match resource.kind {
            LocalResourceType::File => pb::LocalResourceTypeProto::File,
            LocalResourceType::Archive => pb::LocalResourceTypeProto::Archive,
        };
        let visibility = match resource.visibility {
            ResourceVisibility::Public => pb::LocalResourceVisibilityProto::Public,
            ResourceVisibility::Private => pb::LocalResourceVisibilityProto::Private,
            ResourceVisibility::Application => pb::LocalResourceVisibilityProto::Application,
        };
        Self {
            resource: Some((&resource.url).into()),
            size: Some(i64::try_from(resource.size).unwrap_or(i64::MAX)),
            timestamp: Some(i64::try_from(resource.timestamp_ms).unwrap_or(i64::MAX)),
            r#type: Some(kind as i32),
            visibility: Some(visibility as i32),
            ..Default::default()
        }
    }
}

impl From<&RetryContext> for pb::ContainerRetryContextProto {
    fn from(retry: &RetryContext) -> Self {
        let (policy, error_codes) = match &retry.policy {
            RetryPolicy::Never => (pb::ContainerRetryPolicyProto::NeverRetry, Vec::new()),
            RetryPolicy::AllErrors => (pb::ContainerRetryPolicyProto::RetryOnAllErrors, Vec::new()),
            RetryPolicy::ExitCodes(codes) => (
                pb::ContainerRetryPolicyProto::RetryOnSpecificErrorCodes,
                codes.clone(),
            ),
        };
        let max_retries = retry
            .max_retries
            .map_or(-1, |n| i32::try_from(n).unwrap_or(i32::MAX));
        Self {
            retry_policy: Some(policy as i32),
            error_codes,
            max_retries: Some(max_retries),
            retry_interval: Some(i32::try_from(retry.interval.as_millis()).unwrap_or(i32::MAX)),
            failures_validity_interval: None,
        }
    }
}

impl From<&ContainerLaunchContext> for pb::ContainerLaunchContextProto {
    fn from(context: &ContainerLaunchContext) -> Self {
        Self {
            local_resources: context.local_resources.iter().map(local_resource_entry).collect(),
            tokens: context.tokens.clone(),
            service_data: context.service_data.iter().map(bytes_entry).collect(),
            environment: context.environment.iter().map(string_entry).collect(),
            command: context.commands.clone(),
            application_ac_ls: context.acls.iter().map(acl_entry).collect(),
            container_retry_context: context.retry.as_ref().map(Into::into),
            tokens_conf: None,
        }
    }
}

fn local_resource_entry((name, resource): (&String, &LocalResource)) -> pb::StringLocalResourceMapProto {
    pb::StringLocalResourceMapProto {
        key: Some(name.clone()),
        value: Some(resource.into()),
    }
}

fn bytes_entry((key, value): (&String, &Vec<u8>)) -> pb::StringBytesMapProto {
    pb::StringBytesMapProto {
        key: Some(key.clone()),
        value: Some(value.clone()),
    }
}

fn string_entry((key, value): (&String, &String)) -> pb::StringStringMapProto {
    pb::StringStringMapProto {
        key: Some(key.clone()),
        value: Some(value.clone()),
    }
}

fn acl_entry((access, acl): (&AclAccess, &String)) -> pb::ApplicationAclMapProto {
    let access = match access {
        AclAccess::View => pb::ApplicationAccessTypeProto::AppaccessViewApp,
        AclAccess::Modify => pb::ApplicationAccessTypeProto::AppaccessModifyApp,
    };
    pb::ApplicationAclMapProto {
        access_type: Some(access as i32),
        acl: Some(acl.clone()),
    }
}

/// The access lists of a register answer or launch context; entries of unknown kinds are skipped.
pub(crate) fn acls_from_wire(entries: &[pb::ApplicationAclMapProto]) -> BTreeMap<AclAccess, String> {
    let entry = |entry: &pb::ApplicationAclMapProto| {
        let access = match pb::ApplicationAccessTypeProto::try_from(entry.access_type?).ok()? {
            pb::ApplicationAccessTypeProto::AppaccessViewApp => AclAccess::View,
            pb::ApplicationAccessTypeProto::AppaccessModifyApp => AclAccess::Modify,
        };
        Some((access, entry.acl().to_owned()))
    };
    entries.iter().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_url_without_a_port_travels_with_port_minus_one() {
        let url: ResourceUrl = "hdfs://nameservice/user/a/am".parse().unwrap();
        assert_eq!(url.host.as_deref(), Some("nameservice"));
        assert_eq!(pb::UrlProto::from(&url).port, Some(-1));
        let file: ResourceUrl = "file:///tmp/am".parse().unwrap();
        assert_eq!((file.host.clone(), file.path.as_str()), (None, "/tmp/am"));
        assert_eq!(pb::UrlProto::from(&file).host, None);
    }

    #[test]
    fn text_that_is_no_url_is_refused() {
        for text in [
            "",
            "/tmp/am",
            "hdfs://host",
            "://h/p",
            "hdfs://h:port/p",
            "hdfs://:80/p",
            "hdfs://h:70000/p",
        ] {
            assert!(text.parse::<ResourceUrl>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_url_reads_back_as_printed(scheme in "[a-z][a-z0-9]{0,5}", host in proptest::option::of("[a-z0-9.-]{1,12}"),
                                       port: Option<u16>, path in "/[a-zA-Z0-9 _./-]{0,30}") {
            let port = host.as_ref().and(port);
            let url = ResourceUrl { scheme, host, port, path };
            prop_assert_eq!(url.to_string().parse::<ResourceUrl>(), Ok(url));
        }
    }
}
