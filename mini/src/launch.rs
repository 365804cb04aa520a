//! Launch contexts as they travel, read back into records.

use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::{
    ContainerLaunchContext, LocalResource, LocalResourceType, ResourceUrl, ResourceVisibility,
};

/// Reads the launch context of a `startContainers` request.
///
/// # Errors
/// The sentence with which `ContainerManagerImpl` refuses a resource without URL, type or visibility.
pub(crate) fn from_wire(context: &pb::ContainerLaunchContextProto) -> Result<ContainerLaunchContext, String> {
    let resources = context.local_resources.iter().map(|entry| {
        let name = entry.key().to_owned();
        let resource = entry.value.as_ref().ok_or_else(|| missing("resource", &name))?;
        Ok((name.clone(), local_resource(&name, resource)?))
    });
    let variables = context.environment.iter();
    Ok(ContainerLaunchContext {
        local_resources: resources.collect::<Result<_, String>>()?,
        environment: variables
            .map(|entry| (entry.key().to_owned(), entry.value().to_owned()))
            .collect(),
        commands: context.command.clone(),
        tokens: context.tokens.clone(),
        service_data: context
            .service_data
            .iter()
            .map(|entry| (entry.key().to_owned(), entry.value().to_vec()))
            .collect(),
        ..ContainerLaunchContext::default()
    })
}

fn missing(part: &str, name: &str) -> String {
    format!("Null resource {part} for local resource {name}")
}

fn local_resource(name: &str, resource: &pb::LocalResourceProto) -> Result<LocalResource, String> {
    let url = resource.resource.as_ref().ok_or_else(|| missing("URL", name))?;
    let kind = match resource
        .r#type
        .and_then(|kind| pb::LocalResourceTypeProto::try_from(kind).ok())
    {
        Some(pb::LocalResourceTypeProto::File) => LocalResourceType::File,
        Some(_) => LocalResourceType::Archive,
        None => return Err(missing("type", name)),
    };
    let visibility = resource
        .visibility
        .and_then(|one| pb::LocalResourceVisibilityProto::try_from(one).ok());
    let visibility = match visibility {
        Some(pb::LocalResourceVisibilityProto::Public) => ResourceVisibility::Public,
        Some(pb::LocalResourceVisibilityProto::Private) => ResourceVisibility::Private,
        Some(pb::LocalResourceVisibilityProto::Application) => ResourceVisibility::Application,
        None => return Err(missing("visibility", name)),
    };
    Ok(LocalResource {
        url: ResourceUrl {
            scheme: url.scheme().to_owned(),
            host: url.host.clone().filter(|host| !host.is_empty()),
            port: u16::try_from(url.port()).ok().filter(|port| *port > 0),
            path: url.file().to_owned(),
        },
        size: u64::try_from(resource.size()).unwrap_or(0),
        timestamp_ms: u64::try_from(resource.timestamp()).unwrap_or(0),
        kind,
        visibility,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_context_survives_the_wire() {
        let resource = LocalResource {
            url: "file:///tmp/am".parse().unwrap(),
            size: 3,
            timestamp_ms: 17,
            kind: LocalResourceType::Archive,
            visibility: ResourceVisibility::Private,
        };
        let context = ContainerLaunchContext {
            local_resources: BTreeMap::from([("am".to_owned(), resource)]),
            environment: BTreeMap::from([("A".to_owned(), "b".to_owned())]),
            commands: vec!["true".into()],
            tokens: Some(vec![1]),
            ..Default::default()
        };
        assert_eq!(from_wire(&(&context).into()), Ok(context));
    }

    #[test]
    fn a_resource_without_visibility_is_refused_by_name() {
        let resource = pb::LocalResourceProto {
            resource: Some(pb::UrlProto::default()),
            r#type: Some(pb::LocalResourceTypeProto::File as i32),
            ..Default::default()
        };
        let entry = pb::StringLocalResourceMapProto {
            key: Some("x".into()),
            value: Some(resource),
        };
        let context = pb::ContainerLaunchContextProto {
            local_resources: vec![entry],
            ..Default::default()
        };
        assert_eq!(
            from_wire(&context).unwrap_err(),
            "Null resource visibility for local resource x"
        );
    }
}
