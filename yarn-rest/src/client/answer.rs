//! What an answer means: pure functions on status, headers and body.

use http::{HeaderMap, Method, StatusCode};
use reqwest::Url;

use super::failover::Outcome;
use crate::error::{Error, RemoteException};

/// An answer without its body.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a Method,
    /// Where it came from.
    pub(crate) url: &'a Url,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
}

/// What standby ResourceManagers say in plain text, with a status that says nothing
/// (`RMWebAppFilter`).
const NOT_ACTIVE: [&str; 2] = ["There is no active RM", "This is standby RM"];

/// What to make of an answer.
pub(crate) fn classify(head: &Head<'_>, body: &[u8]) -> Outcome {
    match head.status {
        status if status.is_success() && says_not_active(body) => Outcome::NotActive(first_line(body)),
        status if status.is_success() => Outcome::Done,
        status if status.is_redirection() => redirect(head, body),
        status => failure(status, body),
    }
}

fn failure(status: StatusCode, body: &[u8]) -> Outcome {
    let error = Error::from_answer(status, body);
    if error.is_transient() {
        Outcome::Busy(error)
    } else {
        Outcome::Failed(error)
    }
}

/// A standby that knows the active ResourceManager says where it is; one that does not sends 307 without a
/// `Location`, for browsers that follow `Refresh`.
fn redirect(head: &Head<'_>, body: &[u8]) -> Outcome {
    let Some(location) = head.headers.get(http::header::LOCATION) else {
        let said = first_line(body);
        return Outcome::NotActive(if said.is_empty() {
            "standby, and no active one known".to_owned()
        } else {
            said
        });
    };
    let target = location.to_str().ok().and_then(|text| head.url.join(text).ok());
    let checked = match target {
        Some(target) => check_redirect(head, &target).map(|()| target),
        None => Err("its Location is no URL"),
    };
    match checked {
        Ok(target) => Outcome::Redirected(target),
        Err(reason) => Outcome::Failed(Error::Redirect {
            from: origin(head.url),
            reason,
        }),
    }
}

fn check_redirect(head: &Head<'_>, target: &Url) -> Result<(), &'static str> {
    let keeps_method = matches!(
        head.status,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
    );
    if !keeps_method && *head.method != Method::GET {
        return Err("it would turn a write into a read");
    }
    match (head.url.scheme(), target.scheme()) {
        ("https", "http") => Err("it leads from https to http"),
        (_, "http" | "https") => Ok(()),
        _ => Err("it leads to something else than http"),
    }
}

fn says_not_active(body: &[u8]) -> bool {
    NOT_ACTIVE.iter().any(|words| body.starts_with(words.as_bytes()))
}

/// The first line of a text answer, quoted for the list of what was tried.
fn first_line(body: &[u8]) -> String {
    let message = RemoteException::parse(body).message;
    message
        .lines()
        .next()
        .map(|line| format!("`{line}`"))
        .unwrap_or_default()
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use http::header::LOCATION;
    use http::{HeaderMap, HeaderValue, Method, StatusCode};
    use reqwest::Url;

    use super::{Head, classify};
    use crate::client::failover::Outcome;

    fn outcome(method: &Method, from: &str, status: u16, location: Option<&str>, body: &str) -> String {
        let url = Url::parse(from).unwrap();
        let mut headers = HeaderMap::new();
        if let Some(location) = location {
            headers.insert(LOCATION, HeaderValue::from_str(location).unwrap());
        }
        let head = Head {
            method,
            url: &url,
            status: StatusCode::from_u16(status).unwrap(),
            headers: &headers,
        };
        match classify(&head, body.as_bytes()) {
            Outcome::Done => "done".to_owned(),
            Outcome::Redirected(url) => format!("to {url}"),
            Outcome::NotActive(said) => format!("not active: {said}"),
            Outcome::Failed(error) => format!("failed: {error}"),
            Outcome::Busy(error) => format!("busy: {error}"),
            Outcome::Unreached(why) | Outcome::Broken(why) => why,
        }
    }

    const RM: &str = "http://rm1:8088/ws/v1/cluster/apps?user.name=alice";

    #[test]
    fn a_standby_with_a_location_redirects_and_one_without_is_not_active() {
        let to = "http://rm2:8088/ws/v1/cluster/apps?user.name=alice";
        let standby = "This is standby RM. The redirect url is: x\n";
        assert_eq!(
            outcome(&Method::POST, RM, 307, Some(to), standby),
            format!("to {to}")
        );
        assert_eq!(
            outcome(&Method::POST, RM, 307, None, ""),
            "not active: standby, and no active one known"
        );
        let words = "There is no active RM right now. Will retry after 1 seconds\n";
        let wanted = "not active: `There is no active RM right now. Will retry after 1 seconds`";
        assert_eq!(outcome(&Method::GET, RM, 307, None, words), wanted);
        assert_eq!(outcome(&Method::GET, RM, 200, None, words), wanted);
    }

    #[test]
    fn relative_locations_are_relative_to_the_sender() {
        assert_eq!(
            outcome(&Method::GET, RM, 302, Some("/x?y"), ""),
            "to http://rm1:8088/x?y"
        );
    }

    #[test]
    fn redirects_that_lose_something_are_not_followed() {
        let failed = |method, from, status, to| outcome(method, from, status, Some(to), "");
        assert!(failed(&Method::PUT, RM, 302, "/x").contains("turn a write into a read"));
        assert!(failed(&Method::GET, "https://rm1/", 307, "http://rm2/").contains("from https to http"));
        assert!(failed(&Method::GET, RM, 307, "file:///etc/passwd").contains("something else than http"));
        assert!(failed(&Method::GET, RM, 307, "http://").contains("no URL"));
    }

    #[test]
    fn only_some_failures_are_worth_another_try() {
        let standby = r#"{"RemoteException":{"exception":"StandbyException","message":"m"}}"#;
        assert!(outcome(&Method::GET, RM, 503, None, standby).starts_with("busy"));
        assert!(outcome(&Method::GET, RM, 503, None, "down").starts_with("failed"));
        assert!(outcome(&Method::GET, RM, 404, None, "").starts_with("failed: not found"));
        assert_eq!(outcome(&Method::GET, RM, 202, None, ""), "done");
    }
}
