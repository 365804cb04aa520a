//! The proxy in front of ApplicationMasters' pages (`WebAppProxyServlet`).
//!
//! GET, HEAD and PUT pass, with nine request headers and the cookie that names the user; bodies of PUT lose their line
//! ends, as they do in Hadoop. It follows redirects of the ApplicationMaster itself.

use std::time::Duration;

use hadoop::ids::ApplicationId;
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;

use crate::daemon::Daemon;
use crate::fetch::{self, Question, Trouble};
use crate::http_server::{Answer, Request};
use crate::resource_manager::{Application, ApplicationState};

/// The longest an ApplicationMaster may take for an answer.
const DEADLINE: Duration = Duration::from_secs(60);
/// The largest answer that is passed on, in bytes.
const LARGEST: usize = 64 << 20;
/// What of a request is passed on.
const PASSED: [HeaderName; 9] = [
    header::USER_AGENT,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::ACCEPT_CHARSET,
    header::CONTENT_TYPE,
    header::ORIGIN,
    header::ACCESS_CONTROL_REQUEST_METHOD,
    header::ACCESS_CONTROL_REQUEST_HEADERS,
];
/// What of an answer belongs to its connection.
const NOT_PASSED_BACK: [HeaderName; 3] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
];

/// Where a request goes.
enum Target {
    Master(String),
    Elsewhere(String),
}

/// Answers a request below `/proxy/`.
pub(super) async fn answer(daemon: &Daemon, request: &Request, parts: &[&str]) -> Answer {
    // An ApplicationMaster sent the browser here because it takes only the proxy's word for who asks; who comes from
    // the proxy's own address would be sent for ever (`WebAppProxyServlet`).
    if let [_, "redirect", id, ..] = parts {
        return Answer::redirect(302, format!("/cluster/failure/{id}"));
    }
    let (id, rest) = match parts {
        [_, id, rest @ ..] => (*id, rest),
        _ => return Answer::text(404, "no application is named\n"),
    };
    let Ok(application) = id.parse::<ApplicationId>() else {
        return Answer::text(500, format!("{id} is no application\n"));
    };
    if !matches!(request.method, Method::GET | Method::HEAD | Method::PUT) {
        return Answer::text(405, "only GET, HEAD and PUT pass\n");
    }
    let target = {
        let core = daemon.core();
        let web = &core.settings().web_address;
        core.application(application)
            .map(|found| target(found, web, &tail(request, rest)))
    };
    match target {
        None => Answer::text(
            404,
            format!("Application {id} could not be found in RM or history server\n"),
        ),
        Some(Target::Elsewhere(url)) => Answer::redirect(302, url),
        Some(Target::Master(url)) => match timeout(DEADLINE, pass(request, &url)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => Answer::text(
                500,
                format!("the ApplicationMaster at {url} cannot be asked: {why}\n"),
            ),
            Err(_) => Answer::text(504, format!("the ApplicationMaster at {url} does not answer\n")),
        },
    }
}

/// Path and parameters behind the application.
fn tail(request: &Request, rest: &[&str]) -> String {
    let parts = request.path.split('/').filter(|part| !part.is_empty());
    let skipped = parts.clone().count() - rest.len();
    let mut tail = parts.skip(skipped).collect::<Vec<_>>().join("/");
    if !tail.is_empty() && request.path.ends_with('/') {
        tail.push('/');
    }
    if !request.query.is_empty() {
        tail = format!("{tail}?{}", request.query);
    }
    tail
}

fn target(application: &Application, web: &str, tail: &str) -> Target {
    let page = format!("http://{web}/cluster/app/{}", application.id);
    let joined = |url: &str| {
        let url = if url.contains("://") {
            url.to_owned()
        } else {
            format!("http://{url}")
        };
        format!("{}/{tail}", url.trim_end_matches('/'))
    };
    let master = application.current().and_then(|attempt| attempt.master.as_ref());
    match application.state {
        ApplicationState::Running => match master.map(|master| master.tracking_url.as_str()) {
            Some(url) if !url.is_empty() && url != "N/A" => Target::Master(joined(url)),
            _ => Target::Elsewhere(page),
        },
        ApplicationState::Finishing | ApplicationState::Finished
            if !application.final_tracking_url.is_empty() =>
        {
            Target::Elsewhere(joined(&application.final_tracking_url))
        }
        _ => Target::Elsewhere(page),
    }
}

async fn pass(request: &Request, url: &str) -> Result<Answer, Trouble> {
    let reply = fetch::whole(question(request, url), LARGEST).await?;
    let kept = reply
        .headers
        .iter()
        .filter(|(name, _)| !NOT_PASSED_BACK.contains(name));
    let texts = kept.filter_map(|(name, value)| Some((name.clone(), value.to_str().ok()?.to_owned())));
    let mut answer = Answer {
        status: reply.status.as_u16(),
        headers: texts.collect(),
        body: reply.body,
    };
    if !reply.headers.contains_key(header::CONTENT_TYPE) {
        answer = answer.with(header::CONTENT_TYPE, "text/plain".to_owned());
    }
    Ok(answer)
}

fn question(request: &Request, url: &str) -> Question {
    let passed = PASSED
        .iter()
        .filter_map(|name| Some((name.clone(), request.headers.get(name)?.clone())));
    let mut headers: HeaderMap = passed.collect();
    if let Ok(user) = HeaderValue::from_str(&format!("proxy-user={}", request.user())) {
        headers.insert(header::COOKIE, user);
    }
    let lines = request
        .body
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\n' | b'\r'));
    Question {
        method: request.method.clone(),
        url: url.to_owned(),
        headers,
        body: lines.collect::<Vec<u8>>().into(),
    }
}
