//! What an ApplicationMaster serves, asked for through the proxy that its application's report names.

use std::time::Duration;

use am::dossier::Dossier;
use am::summary::Summary;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use yarn_rest::request::percent_encoded;
use yarn_rest::{AppReport, Auth, Client};

/// For one question to an ApplicationMaster.
const DEADLINE: Duration = Duration::from_secs(5);

/// What the ApplicationMaster says of itself.
///
/// # Errors
/// The proxy or the ApplicationMaster does not answer.
pub(crate) async fn summary(report: &AppReport, user: &str) -> anyhow::Result<Option<Summary>> {
    answer(report, user, am::summary::PATH).await
}

/// What it knows of lost executors.
///
/// # Errors
/// As [`summary`].
pub(crate) async fn dossiers(report: &AppReport, user: &str) -> anyhow::Result<Option<Vec<Dossier>>> {
    answer(report, user, am::dossier::PATH).await
}

/// One of its answers in JSON, by the path below its tracking URL; none before it has pages.
///
/// # Errors
/// As [`summary`].
pub(crate) async fn answer<T: DeserializeOwned>(
    report: &AppReport,
    user: &str,
    name: &str,
) -> anyhow::Result<Option<T>> {
    let body = fetch(report, user, name, "application/json").await?;
    Ok(body.map(|body| serde_json::from_slice(&body)).transpose()?)
}

/// One of its answers, by the path below its tracking URL and the type wanted; none before it has pages.
///
/// # Errors
/// As [`summary`].
pub(crate) async fn fetch(
    report: &AppReport,
    user: &str,
    name: &str,
    accept: &str,
) -> anyhow::Result<Option<Bytes>> {
    let Some((origin, path)) = report.tracking_url.as_deref().and_then(split_url) else {
        return Ok(None);
    };
    let proxy = Client::builder(Auth::simple(user))
        .resource_manager(origin)
        .deadline(DEADLINE)
        .rounds(1)
        .build()?;
    let separator = if name.contains('?') { '&' } else { '?' };
    let user = percent_encoded(user);
    let request = http::Request::get(format!("{path}{name}{separator}user.name={user}"))
        .header(http::header::ACCEPT, accept);
    Ok(Some(proxy.send(request.body(Bytes::new())?).await?))
}

/// Origin and directory of a URL.
fn split_url(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let slash = if path.is_empty() || path.ends_with('/') {
        ""
    } else {
        "/"
    };
    Some((format!("{scheme}://{host}"), format!("/{path}{slash}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracking_url_is_taken_apart() {
        let split = |url| split_url(url).unwrap();
        assert_eq!(
            split("http://rm:8088/proxy/app/"),
            ("http://rm:8088".into(), "/proxy/app/".into())
        );
        assert_eq!(split("https://h"), ("https://h".into(), "/".into()));
        assert_eq!(split("http://h/a"), ("http://h".into(), "/a/".into()));
    }
}
