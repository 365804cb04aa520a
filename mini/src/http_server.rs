//! Web servers: requests reduced to what the sites look at.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::door::{self, Doorway};
use crate::failure::Failure;
use crate::faults::{Faults, Verdict};
use crate::peer::{is_ours, is_own_name};

/// The largest body that is taken, in bytes.
const LARGEST_BODY: usize = 16 << 20;
/// For the head of a request, also between two on one connection.
const HEAD: Duration = Duration::from_secs(60);

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// As sent.
    pub(crate) path: String,
    /// As sent.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    /// The parts of the path, decoded.
    pub(crate) fn segments(&self) -> Vec<String> {
        let parts = self.path.split('/').filter(|part| !part.is_empty());
        parts.map(|part| decoded(part, false)).collect()
    }

    /// A parameter, decoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self
            .query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut found = pairs.filter(|(key, _)| decoded(key, true) == name);
        found.next().map(|(_, value)| decoded(value, true))
    }

    /// Who asks, as simple authentication has it: what he says, or what he was given to say.
    pub(crate) fn user(&self) -> String {
        let named = self.named().or_else(|| self.known());
        named.unwrap_or_else(|| "dr.who".to_owned())
    }

    fn named(&self) -> Option<String> {
        self.parameter("user.name").filter(|name| !name.is_empty())
    }

    /// The user in the cookie of an earlier answer.
    fn known(&self) -> Option<String> {
        let cookies = self.headers.get_all(http::header::COOKIE).iter();
        let mut pairs = cookies
            .filter_map(|one| one.to_str().ok())
            .flat_map(|one| one.split("; "));
        let value = pairs.find_map(|pair| pair.strip_prefix(AUTH_COOKIE)?.strip_prefix('='))?;
        let name = value.trim_matches('"').strip_prefix("u=")?.split('&').next()?;
        Some(name.to_owned())
    }

    /// What he is to say from now on (`PseudoAuthenticationHandler`): a name is enough, so it is not signed.
    fn introduction(&self) -> Option<String> {
        let name = self.named().filter(|_| self.known().is_none())?;
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte));
        plain.then(|| format!("{AUTH_COOKIE}=\"u={name}&p={name}&t=simple&e=-1&s=none\"; Path=/; HttpOnly"))
    }
}

/// The cookie of `AuthenticationFilter`.
const AUTH_COOKIE: &str = "hadoop.auth";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![(http::header::CONTENT_TYPE, content_type.to_owned())],
            body: body.into(),
        }
    }

    pub(crate) fn text(status: u16, text: impl Into<String>) -> Self {
        Self::new(status, "text/plain;charset=utf-8", text.into())
    }

    pub(crate) fn html(status: u16, text: impl Into<String>) -> Self {
        Self::new(status, "text/html;charset=utf-8", text.into())
    }

    pub(crate) fn json(status: u16, text: impl Into<String>) -> Self {
        Self::new(status, "application/json;charset=utf-8", text.into())
    }

    pub(crate) fn redirect(status: u16, url: String) -> Self {
        let page = format!("<html><body><a href=\"{url}\">{url}</a></body></html>\n");
        Self::html(status, page).with(http::header::LOCATION, url)
    }

    pub(crate) fn with(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// An answer that is being made.
pub(crate) type Answering<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// What answers requests.
pub(crate) trait Site: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: Request) -> Answering<'_>;
}

/// What the web servers of a cluster share.
#[derive(Clone)]
pub(crate) struct WebServer {
    pub(crate) site: Arc<dyn Site>,
    pub(crate) faults: Arc<Faults>,
    /// Whether others than our own user may connect.
    pub(crate) exposed: bool,
    /// The number of the node that is served, from 1; none for a ResourceManager.
    pub(crate) node: Option<usize>,
}

/// Serves until `ended` says so.
pub(crate) async fn serve(
    listener: TcpListener,
    server: WebServer,
    doorway: Doorway,
    ended: watch::Receiver<bool>,
) {
    let connection = move |stream, peer, doorway| connection(stream, peer, doorway, server.clone());
    door::serve(listener, doorway, ended, connection).await;
}

async fn connection(stream: TcpStream, peer: SocketAddr, doorway: Doorway, server: WebServer) {
    match stream.local_addr() {
        Ok(own) if server.exposed || is_ours(peer, own).await => {}
        Ok(_) | Err(_) => return tracing::warn!(%peer, "a connection of another user was refused"),
    }
    let service = service_fn(|request| respond(request, &server, doorway.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%peer, %error, "a web connection failed");
    }
}

/// The connection was lost on order.
#[derive(Debug, thiserror::Error)]
#[error("the connection is lost on order")]
struct Lost;

async fn respond(
    request: http::Request<Incoming>,
    server: &WebServer,
    mut doorway: Doorway,
) -> Result<http::Response<Full<Bytes>>, Lost> {
    let (head, body) = request.into_parts();
    let host = head
        .headers
        .get(http::header::HOST)
        .and_then(|host| host.to_str().ok());
    if !server.exposed && host.is_some_and(|host| !is_own_name(host)) {
        return Ok(response(Answer::text(
            403,
            "this server is known as 127.0.0.1 and localhost only\n",
        )));
    }
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        return Ok(response(Answer::text(
            413,
            "the body cannot be read, or is too large\n",
        )));
    };
    let request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: body.to_bytes(),
    };
    doorway.pass().await;
    let answer = judged(request, server).await?;
    doorway.pass().await;
    Ok(response(answer))
}

/// The answer, as far as no fault is ordered for the request.
async fn judged(request: Request, server: &WebServer) -> Result<Answer, Lost> {
    let verdict = server
        .faults
        .of_request(request.method.as_str(), &request.path, server.node);
    match verdict {
        Verdict::LoseRequest => return Err(Lost),
        Verdict::Fail(failure) => return Ok(failed(&failure)),
        Verdict::Pass | Verdict::Delay(_) | Verdict::LoseAnswer | Verdict::Duplicate => {}
    }
    let introduction = request.introduction();
    let mut answer = match request.method {
        // With this Java's clients introduce themselves.
        Method::OPTIONS => Answer::text(200, ""),
        _ => server.site.answer(request).await,
    };
    if let Some(cookie) = introduction {
        answer = answer.with(http::header::SET_COOKIE, cookie);
    }
    match verdict {
        Verdict::LoseAnswer => return Err(Lost),
        Verdict::Delay(time) => tokio::time::sleep(time).await,
        _ => {}
    }
    Ok(answer)
}

/// An exception that was ordered, as web services answer what they do not expect.
fn failed(failure: &Failure) -> Answer {
    let name = failure.class.rsplit(['.', '$']).next().unwrap_or_default();
    let body = serde_json::json!({"RemoteException": {
        "exception": name,
        "message": failure.message,
        "javaClassName": failure.class,
    }});
    Answer::json(503, body.to_string())
}

fn response(answer: Answer) -> http::Response<Full<Bytes>> {
    let mut response = http::Response::new(Full::new(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Undoes percent encoding; what is no encoding stays. In parameters `+` is a blank.
pub(crate) fn decoded(text: &str, plus: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex
            .filter(|_| first == b'%')
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(if plus && first == b'+' { b' ' } else { first }));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, query: &str) -> Request {
        Request {
            method: Method::GET,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    #[test]
    fn paths_and_parameters_are_decoded_after_they_are_taken_apart() {
        let request = request("/ws//a%2Fb/c", "states=A%2CB&user.name=a+b&user.name=c");
        assert_eq!(request.segments(), ["ws", "a/b", "c"]);
        assert_eq!(request.parameter("states").as_deref(), Some("A,B"));
        assert_eq!(request.user(), "a b");
    }

    #[test]
    fn who_has_said_who_he_is_need_not_say_it_again() {
        let first = request("/", "user.name=ada");
        let cookie = first.introduction().unwrap();
        let (cookie, _) = cookie.split_once(';').unwrap();
        let mut later = request("/", "");
        later
            .headers
            .insert(http::header::COOKIE, cookie.parse().unwrap());
        assert_eq!((later.user().as_str(), later.introduction()), ("ada", None));
        assert_eq!(request("/", "user.name=a%0d%0ab").introduction(), None);
    }

    #[test]
    fn who_does_not_say_who_he_is_is_the_static_user() {
        assert_eq!(request("/", "").user(), "dr.who");
    }
}
