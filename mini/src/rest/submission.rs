//! Reading the body of `POST /ws/v1/cluster/apps` (`ApplicationSubmissionContextInfo`).
//!
//! Maps are objects with a list, or a single object, under `entry`; texts that should be lists are lists of one;
//! what is not known is ignored.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use hadoop::credentials::{Credentials, Format, Token};
use serde_json::Value;
use yarn_rpc::records::{
    ContainerLaunchContext, LocalResource, LocalResourceType, Resource, ResourceVisibility,
};

use super::error::RestError;
use crate::resource_manager::Submission;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const MOST_TAGS: usize = 10;
const LONGEST_TAG: usize = 100;

/// Reads a submission.
pub(super) fn read(body: &[u8], maximum: &Resource) -> Result<Submission, RestError> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| RestError::unreadable(format!("the body is no JSON: {error}")))?;
    let id = text(&body, "application-id");
    let id = id
        .parse()
        .map_err(|_| RestError::bad_request(format!("Could not parse application id {id}")))?;
    let spec = body.get("am-container-spec").unwrap_or(&Value::Null);
    Ok(Submission {
        id,
        name: text(&body, "application-name").to_owned(),
        application_type: text(&body, "application-type").to_owned(),
        queue: Some(text(&body, "queue"))
            .filter(|queue| !queue.is_empty())
            .map(str::to_owned),
        priority: number(&body, "priority")
            .and_then(|number| i32::try_from(number).ok())
            .unwrap_or(-1),
        tags: tags(&body)?,
        max_attempts: number(&body, "max-app-attempts")
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(0),
        keep_containers: flag(&body, "keep-containers-across-application-attempts"),
        failures_validity_ms: number(&body, "attempt-failures-validity-interval").unwrap_or(-1),
        resource: resource(&body, maximum)?,
        context: Arc::new(context(spec)?),
    })
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> Option<i64> {
    let value = value.get(name)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn flag(value: &Value, name: &str) -> bool {
    let value = value.get(name);
    value.is_some_and(|value| value.as_bool().unwrap_or(false) || value.as_str() == Some("true"))
}

/// A list, or the one element in its place.
fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    match value.get(name) {
        Some(Value::Array(list)) => list,
        Some(Value::Null) | None => &[],
        Some(one) => std::slice::from_ref(one),
    }
}

fn entries<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (String, &'a Value)> {
    let entries = value.get(name).map_or(&[][..], |map| list(map, "entry"));
    entries.iter().map(|entry| {
        (
            text(entry, "key").to_owned(),
            entry.get("value").unwrap_or(&Value::Null),
        )
    })
}

fn tags(body: &Value) -> Result<Vec<String>, RestError> {
    let tags = body
        .get("application-tags")
        .map_or(&[][..], |tags| list(tags, "tag"));
    let tags: Vec<String> = tags.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if tags.len() > MOST_TAGS {
        return Err(RestError::bad_request(
            "Too many applicationTags, a maximum of only 10 are allowed!",
        ));
    }
    match tags.iter().find(|tag| !tag.is_ascii() || tag.len() > LONGEST_TAG) {
        Some(tag) if tag.is_ascii() => Err(RestError::bad_request(format!(
            "Tag {tag} is too long, maximum allowed length of a tag is {LONGEST_TAG}"
        ))),
        Some(tag) => Err(RestError::bad_request(format!(
            "A tag can only have ASCII characters! Invalid tag - {tag}"
        ))),
        None => Ok(tags),
    }
}

fn resource(body: &Value, maximum: &Resource) -> Result<Resource, RestError> {
    let Some(asked) = body.get("resource") else {
        return Ok(Resource::new(1024, 1));
    };
    let amount =
        |name: &str, default: i64| u64::try_from(number(asked, name).unwrap_or(default)).unwrap_or(0);
    let (memory, vcores) = (
        amount("memory", 1024),
        u32::try_from(amount("vCores", 1)).unwrap_or(u32::MAX),
    );
    if vcores > maximum.vcores {
        let text = format!("Requested more cores than configured max {}", maximum.vcores);
        return Err(RestError::bad_request(text));
    }
    if memory > maximum.memory_mb {
        let text = format!("Requested more memory than configured max {}", maximum.memory_mb);
        return Err(RestError::bad_request(text));
    }
    Ok(Resource::new(memory, vcores))
}

fn context(spec: &Value) -> Result<ContainerLaunchContext, RestError> {
    let commands = spec
        .get("commands")
        .map_or(&[][..], |commands| list(commands, "command"));
    let environment = entries(spec, "environment");
    let resources = entries(spec, "local-resources");
    Ok(ContainerLaunchContext {
        local_resources: resources
            .map(|(name, value)| Ok((name, local_resource(value)?)))
            .collect::<Result<_, RestError>>()?,
        environment: environment
            .map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned()))
            .collect(),
        commands: commands
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        tokens: Some(credentials(spec)?.to_bytes(Format::Writable)),
        ..ContainerLaunchContext::default()
    })
}

fn local_resource(value: &Value) -> Result<LocalResource, RestError> {
    let url = text(value, "resource");
    Ok(LocalResource {
        url: url
            .parse()
            .map_err(|error| RestError::bad_request(format!("{error}")))?,
        size: unsigned(value, "size"),
        timestamp_ms: unsigned(value, "timestamp"),
        kind: match text(value, "type") {
            "FILE" => LocalResourceType::File,
            "ARCHIVE" | "PATTERN" => LocalResourceType::Archive,
            other => {
                return Err(RestError::bad_request(format!(
                    "unknown resource type \"{other}\""
                )));
            }
        },
        visibility: match text(value, "visibility") {
            "PUBLIC" => ResourceVisibility::Public,
            "PRIVATE" => ResourceVisibility::Private,
            "APPLICATION" => ResourceVisibility::Application,
            other => return Err(RestError::bad_request(format!("unknown visibility \"{other}\""))),
        },
    })
}

fn unsigned(value: &Value, name: &str) -> u64 {
    u64::try_from(number(value, name).unwrap_or(0)).unwrap_or(0)
}

fn credentials(spec: &Value) -> Result<Credentials, RestError> {
    let given = spec.get("credentials").unwrap_or(&Value::Null);
    let wrong = |name: &str| RestError::bad_request(format!("the credential {name} cannot be read"));
    let tokens = entries(given, "tokens").map(|(name, value)| {
        let token = Token::from_url_string(value.as_str().unwrap_or_default());
        Ok((name.clone(), token.map_err(|_| wrong(&name))?))
    });
    let secrets = entries(given, "secrets").map(|(name, value)| {
        let secret = BASE64.decode(value.as_str().unwrap_or_default());
        Ok((name.clone(), secret.map_err(|_| wrong(&name))?))
    });
    Ok(Credentials {
        tokens: tokens.collect::<Result<BTreeMap<_, _>, RestError>>()?,
        secrets: secrets.collect::<Result<BTreeMap<_, _>, RestError>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use yarn_rest::{SecretBytes, SubmissionContext};

    fn maximum() -> Resource {
        Resource::new(4096, 4)
    }

    #[test]
    fn what_our_client_sends_is_read_whole() {
        let mut sent = SubmissionContext::new("application_7_0001".parse().unwrap());
        sent.name = "n".into();
        sent.tags = vec!["a".into()];
        sent.max_app_attempts = Some(2);
        sent.keep_containers_across_application_attempts = true;
        sent.resource = yarn_rest::Resource::new(256, 1);
        sent.container.commands = vec!["sleep".into(), "1".into()];
        sent.container.environment.insert("K".into(), "v".into());
        sent.container
            .credentials
            .secrets
            .insert("s".into(), SecretBytes(vec![1, 255]));
        let read = read(&serde_json::to_vec(&sent).unwrap(), &maximum()).unwrap();
        assert_eq!(
            (read.name.as_str(), read.max_attempts, read.keep_containers),
            ("n", 2, true)
        );
        assert_eq!(
            (read.resource, read.tags),
            (Resource::new(256, 1), vec!["a".to_owned()])
        );
        assert_eq!(read.context.commands.join(" "), "sleep 1");
        assert_eq!(read.context.environment["K"], "v");
        let credentials = Credentials::from_bytes(read.context.tokens.as_ref().unwrap()).unwrap();
        assert_eq!(credentials.secrets["s"], [1, 255]);
    }

    #[test]
    fn single_elements_stand_for_lists() {
        let body = r#"{"application-id":"application_7_0001","application-tags":{"tag":"x"},
            "am-container-spec":{"commands":{"command":"true"},"environment":{"entry":{"key":"A","value":"b"}}}}"#;
        let read = read(body.as_bytes(), &maximum()).unwrap();
        assert_eq!(
            (read.tags, read.context.environment["A"].as_str()),
            (vec!["x".to_owned()], "b")
        );
        assert_eq!((read.priority, read.resource), (-1, Resource::new(1024, 1)));
    }

    #[test]
    fn what_hadoop_refuses_is_refused() {
        for body in [
            "{",
            "{}",
            r#"{"application-id":"application_7_0001","resource":{"memory":9999,"vCores":1}}"#,
            r#"{"application-id":"application_7_0001","application-tags":{"tag":["ä"]}}"#,
        ] {
            assert!(read(body.as_bytes(), &maximum()).is_err(), "{body}");
        }
    }
}
