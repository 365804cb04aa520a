//! What a ResourceManager answers that is not the active one (`RMWebAppFilter`).

use http::Method;
use http::header::{HeaderName, LOCATION};

use super::cluster::info;
use crate::daemon::Daemon;
use crate::http_server::{Answer, Request};

/// Seconds until a browser asks again when nobody is active.
const FIRST_REFRESH: u32 = 1;
const REFRESH: HeaderName = HeaderName::from_static("refresh");

/// Says who is active, but for the few things that everybody tells himself.
pub(super) fn answer(daemon: &Daemon, request: &Request, parts: &[&str]) -> Answer {
    match parts {
        ["ws", "v1", "cluster"] | ["ws", "v1", "cluster", "info"] if request.method == Method::GET => {
            Answer::json(200, info(&daemon.core(), "STANDBY").to_string())
        }
        ["isActive"] => Answer::html(405, "<html><body>HTTP ERROR 405 I am not active!</body></html>\n"),
        ["proxy", ..] => Answer::text(404, "this is not the active ResourceManager\n"),
        _ => elsewhere(daemon, request),
    }
}

fn elsewhere(daemon: &Daemon, request: &Request) -> Answer {
    let query = match request.query.as_str() {
        "" => String::new(),
        query => format!("?{query}"),
    };
    let standing = daemon.standing();
    match standing
        .active()
        .and_then(|index| standing.addresses().get(index))
    {
        Some(active) => {
            let url = format!("http://{}{}{query}", active.web, request.path);
            Answer::text(307, format!("This is standby RM. The redirect url is: {url}\n")).with(LOCATION, url)
        }
        None => {
            let again = format!("{}?next.refresh.interval={}", request.path, FIRST_REFRESH + 1);
            Answer::text(
                307,
                "There is no active RM right now. Will retry in next 1 seconds.\n",
            )
            .with(REFRESH, format!("{FIRST_REFRESH};url={again}"))
        }
    }
}
