//! Every call as a pure function to an [`http::Request`].
//!
//! The requests have a path and query only (`/ws/v1/cluster/apps?user.name=alice`), no scheme and no
//! host: whoever sends them puts the address of a daemon in front, because the same request may go
//! to several ResourceManagers in turn. [`Client`](crate::Client) does that; any other HTTP client
//! can.
//!
//! Building fails only if a value makes the request target longer than `http` allows (64 KiB).

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request};

use crate::auth::Auth;

mod filter;
mod log_server;
mod node_manager;
mod resource_manager;
mod target;

pub use filter::{AppFilter, AppPart};
pub use log_server::LogServer;
pub use node_manager::{LogRange, NodeManager};
pub use resource_manager::{ResourceManager, SchedulerActivities};

pub use target::percent_encoded;

pub(crate) use target::Target;

/// What every builder gives.
pub type Built = Result<Request<Bytes>, http::Error>;

/// The header that `yarn.resourcemanager.webapp.rest-csrf.enabled` asks of writes. The filter asks
/// it of browsers only; sending it always costs nothing and survives a changed agent pattern.
const CSRF_HEADER: HeaderName = HeaderName::from_static("x-xsrf-header");

/// May the request be sent again when nobody knows whether the first one arrived? Travels in the
/// request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Yes: a second one changes nothing that the first did not. Submissions are of this kind,
    /// because the application id is in the body and the ResourceManager answers a known id with
    /// success.
    Safe,
    /// Only while it is certain that no server has seen it (refused connections, standby answers).
    Unsafe,
}

/// A read that answers JSON.
fn get(auth: &Auth, target: Target) -> Built {
    read(auth, target, "application/json")
}

/// A read that answers text. A log file asked for as JSON is an error in every release: 500
/// (3.3.6), 503 (3.4.3), 406 (3.5.0).
fn get_text(auth: &Auth, target: Target) -> Built {
    read(auth, target, "text/plain")
}

fn read(auth: &Auth, target: Target, accept: &'static str) -> Built {
    let request = start(Method::GET, auth, target).header(ACCEPT, HeaderValue::from_static(accept));
    request.extension(Replay::Safe).body(Bytes::new())
}

/// A write with a JSON body, or with none.
fn write(
    method: Method,
    auth: &Auth,
    target: Target,
    replay: Replay,
    body: Option<&impl serde::Serialize>,
) -> Built {
    let request = start(method, auth, target)
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .header(CSRF_HEADER, HeaderValue::from_static("yarn-rest"))
        .extension(replay);
    match body {
        None => request.body(Bytes::new()),
        Some(body) => {
            let json = serde_json::to_vec(body).expect("the bodies are structs with string keys");
            request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(Bytes::from(json))
        }
    }
}

fn start(method: Method, auth: &Auth, target: Target) -> http::request::Builder {
    let (name, value) = auth.query();
    Request::builder()
        .method(method)
        .uri(target.query(name, value).into_text())
}

/// The type of a write without a body.
const NO_BODY: Option<&()> = None;

#[cfg(test)]
mod tests;
