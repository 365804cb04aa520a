//! HTTP in front of the loop.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, timeout};

use super::hadoop_pages::{LOG_LEVEL, new_level};
use super::permissions::Access as Kind;
use super::proxy::{Access, Visitors};
use super::{Answer, Query, Request};

/// Connections served at a time; the proxy opens one a request.
const MOST_CONNECTIONS: usize = 256;
/// For the head of a request, also between two on one connection.
const HEAD: Duration = Duration::from_secs(30);
/// The longest life of a connection.
const LIFE: Duration = Duration::from_secs(600);
/// How often the proxies' names are looked up, as `AmIpFilter` does.
const REFRESH: Duration = Duration::from_secs(300);
/// Room for the head of a request, in bytes.
const BUFFER: usize = 16 << 10;
/// The most bytes of an order.
const BODY: usize = 16 << 10;
/// How long an order may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// The cookie in which `WebAppProxyServlet` says who asks.
const PROXY_USER: &str = "proxy-user";
/// Pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// All applications share the proxy's origin, so a page may use nothing but its own files.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'self'; base-uri 'none'";

/// A server that is bound and not served yet.
#[derive(Debug)]
pub struct WebServer {
    listener: TcpListener,
}

struct Shared {
    visitors: Visitors,
    queries: mpsc::Sender<Query>,
}

impl WebServer {
    /// Binds a free port on all interfaces.
    ///
    /// # Errors
    /// When the system gives no port.
    pub async fn bind() -> io::Result<Self> {
        Self::bind_to((Ipv4Addr::UNSPECIFIED, 0).into()).await
    }

    /// Binds an address.
    ///
    /// # Errors
    /// When it is taken, or not this machine's.
    pub async fn bind_to(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the receiver of `queries` is dropped.
    pub async fn serve(self, visitors: Visitors, queries: mpsc::Sender<Query>) {
        let shared = Arc::new(Shared { visitors, queries });
        let mut connections = JoinSet::new();
        shared.visitors.refresh().await;
        let mut refresh = interval_at(Instant::now() + REFRESH, REFRESH);
        loop {
            tokio::select! {
                biased;
                _ = refresh.tick() => {
                    let shared = shared.clone();
                    connections.spawn(async move { shared.visitors.refresh().await });
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((tcp, peer)) if connections.len() < MOST_CONNECTIONS => {
                        connections.spawn(connection(tcp, peer.ip(), shared.clone()));
                    }
                    Ok(_) => tracing::debug!("too many web clients: one was turned away"),
                    Err(error) => {
                        tracing::warn!(%error, "the web server cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = connections.join_next(), if !connections.is_empty() => pass_panic_on(ended),
                () = shared.queries.closed() => return,
            }
        }
    }
}

/// A connection's panic is a bug of ours: it becomes the server's, whose owner reports it.
fn pass_panic_on(ended: Result<(), tokio::task::JoinError>) {
    if let Some(payload) = ended.err().and_then(|error| error.try_into_panic().ok()) {
        std::panic::resume_unwind(payload);
    }
}

async fn connection(tcp: TcpStream, peer: IpAddr, shared: Arc<Shared>) {
    let service = service_fn(|request| respond(request, peer, &shared));
    let serve = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(tcp), service);
    match timeout(LIFE, serve).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a web connection failed"),
    }
}

async fn respond(
    request: http::Request<Incoming>,
    peer: IpAddr,
    shared: &Shared,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    Ok(match shared.visitors.access(peer, target) {
        Access::Granted => admitted(request, shared).await,
        Access::Elsewhere(url) => redirect(&url),
        Access::Unknown => response(Answer::text(
            503,
            "the address of the ResourceManager's proxy is not known yet",
        )),
    })
}

/// A request that came the right way: what its user may do is done.
async fn admitted(request: http::Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    let mut reduced = reduced(&request);
    let kind = match *request.method() {
        Method::GET | Method::HEAD if changes(&reduced) => Kind::Modify,
        Method::GET | Method::HEAD => Kind::View,
        Method::PUT if shared.visitors.take_orders() => Kind::Modify,
        Method::OPTIONS => return options(&shared.visitors),
        _ => return not_allowed(&shared.visitors),
    };
    if !shared
        .visitors
        .allow(reduced.user.as_deref(), kind, &reduced.path)
        .await
    {
        return response(forbidden(reduced.user.as_deref(), kind));
    }
    if *request.method() == Method::PUT {
        // A form of another site cannot send this type.
        if !is_json(&request) {
            return response(Answer::text(
                415,
                "an order is JSON: Content-Type: application/json",
            ));
        }
        if Body::size_hint(request.body()).lower() > BODY as u64 {
            return response(Answer::text(413, "an order is not that long"));
        }
        match timeout(BODY_TIME, Limited::new(request.into_body(), BODY).collect()).await {
            Ok(Ok(body)) => reduced.order = Some(body.to_bytes()),
            Ok(Err(error)) => {
                return response(Answer::text(400, &format!("the order cannot be read: {error}")));
            }
            Err(_) => return response(Answer::text(408, "the order did not arrive in time")),
        }
    }
    response(ask(&shared.queries, reduced).await)
}

/// Hadoop's tools change levels of logs by asking for a page.
fn changes(request: &Request) -> bool {
    request.path == LOG_LEVEL && new_level(request).is_some()
}

/// What Hadoop's tools begin with: `KerberosAuthenticator` and `PseudoAuthenticator` send `OPTIONS`, and go on when it
/// succeeds, as it does with every servlet (`HttpServlet.doOptions`).
fn options(visitors: &Visitors) -> Response<Full<Bytes>> {
    about_methods(200, visitors)
}

fn not_allowed(visitors: &Visitors) -> Response<Full<Bytes>> {
    about_methods(405, visitors)
}

fn about_methods(status: u16, visitors: &Visitors) -> Response<Full<Bytes>> {
    let methods = if visitors.take_orders() {
        "GET, HEAD, PUT, OPTIONS"
    } else {
        "GET, HEAD, OPTIONS"
    };
    let mut response = response(Answer::text(status, &format!("answered are {methods}")));
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(methods));
    response
}

fn forbidden(user: Option<&str>, kind: Kind) -> Answer {
    let who = user.unwrap_or("somebody without a name");
    let (what, list) = match kind {
        Kind::View => ("see", "acls.view"),
        Kind::Modify => ("change", "acls.modify"),
    };
    let text = format!("{who} may not {what} this application: its owner lets people in with {list}");
    Answer::text(403, &text)
}

fn is_json(request: &http::Request<Incoming>) -> bool {
    let given = request.headers().get(header::CONTENT_TYPE);
    let given = given.and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim() == "application/json"
}

/// Whom the proxy has let in: its cookie, as `AmIpFilter` reads it.
fn user(request: &http::Request<Incoming>) -> Option<String> {
    let cookies = request.headers().get_all(header::COOKIE).iter();
    let pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    let named = pairs.filter_map(|pair| pair.trim().split_once('='));
    let mut users = named.filter(|(name, _)| *name == PROXY_USER);
    let (_, user) = users.next()?;
    Some(decoded(user.trim_matches('"'), true)).filter(|user| !user.is_empty())
}

async fn ask(queries: &mpsc::Sender<Query>, request: Request) -> Answer {
    let (reply, answer) = oneshot::channel();
    if queries.send(Query { request, reply }).await.is_err() {
        return Answer::text(503, "the application is ending");
    }
    answer
        .await
        .unwrap_or_else(|_| Answer::text(503, "the application is ending"))
}

fn reduced(request: &http::Request<Incoming>) -> Request {
    let accept = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    Request {
        path: decoded(request.uri().path(), false),
        query: parameters(request.uri().query().unwrap_or_default()),
        accept: accept.unwrap_or_default().to_owned(),
        user: user(request),
        order: None,
    }
}

fn parameters(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name, true), decoded(value, true))
    };
    pairs.map(pair).collect()
}

/// Undoes percent encoding; what is no encoding stays. In parameters `+` is a blank.
fn decoded(text: &str, plus: bool) -> String {
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

fn redirect(url: &str) -> Response<Full<Bytes>> {
    let mut response = response(Answer::text(
        302,
        "the pages are shown by the ResourceManager's proxy",
    ));
    if let Ok(url) = HeaderValue::from_str(url) {
        response.headers_mut().insert(header::LOCATION, url);
    }
    response
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [
        (header::CONTENT_TYPE, answer.content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::super::permissions::Permissions;
    use super::super::proxy::Proxy;
    use super::*;
    use crate::launch::Acls;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn acls() -> Acls {
        Acls {
            view: Some("bob".into()),
            modify: Some("carol".into()),
        }
    }

    /// Sends a request in plain text to a server whose loop answers with the path, and gives what came back. The
    /// lists of users are in force when `acls` says so.
    async fn exchange(web_address: &str, request: &str) -> String {
        exchange_with(web_address, "false", request, "").await
    }

    async fn exchange_with(web_address: &str, acls_in_force: &str, request: &str, rest: &str) -> String {
        let conf = hadoop::conf::Configuration::builder().defaults();
        let conf = conf
            .set("yarn.resourcemanager.webapp.address", web_address, "test")
            .set("yarn.acl.enable", acls_in_force, "test")
            .set("yarn.admin.acl", "root", "test")
            .build(&|_| None);
        let server = WebServer::bind().await.unwrap();
        let port = server.address().unwrap().port();
        let (sender, mut queries) = mpsc::channel(4);
        let mut tasks = JoinSet::new();
        let proxy = Proxy::new(&conf, "/proxy/application_1_0001").unwrap();
        let permissions = Permissions::new(&conf, "ada", &acls());
        tasks.spawn(server.serve(Visitors::ThroughProxy(Box::new((proxy, permissions))), sender));
        tasks.spawn(async move {
            while let Some(Query { request, reply }) = queries.recv().await {
                reply
                    .send(Answer::text(
                        200,
                        &format!("{} {:?}{}", request.path, request.query, order(&request)),
                    ))
                    .unwrap();
            }
        });
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        stream
            .write_all(format!("{request} HTTP/1.1\r\nConnection: close\r\n{rest}\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_proxy_gets_answers_and_others_are_sent_to_it() {
        let answer = exchange("127.0.0.1:8088", "GET /a%20b?x=1+2").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with("/a b [(\"x\", \"1 2\")]\n"), "{answer}");
        let answer = exchange("10.9.8.7:8088", "GET /tasks?stage=1").await;
        assert!(answer.starts_with("HTTP/1.1 302"), "{answer}");
        let location = "location: http://10.9.8.7:8088/proxy/redirect/application_1_0001/tasks?stage=1\r\n";
        assert!(answer.contains(location), "{answer}");
        assert!(
            exchange("10.9.8.7:8088", "GET /healthz")
                .await
                .starts_with("HTTP/1.1 200")
        );
    }

    fn order(request: &Request) -> String {
        let order = request.order.as_ref();
        order.map_or_else(String::new, |order| format!(" {order:?} by {:?}", request.user))
    }

    #[tokio::test]
    async fn an_outsider_on_another_address_gets_nothing() {
        for path in [
            "/",
            "/tasks?stage=0",
            "/api/v1/applications",
            "/api/v1/drawloom/summary",
            "/metrics",
            "/jmx",
        ] {
            let answer = exchange("127.0.0.2:8088", &format!("GET {path}")).await;
            assert!(answer.starts_with("HTTP/1.1 302"), "{path}: {answer}");
            assert!(
                answer.contains("location: http://127.0.0.2:8088/proxy/redirect/"),
                "{answer}"
            );
        }
        let answer = exchange("127.0.0.2:8088", "PUT /api/v1/drawloom/jobs/0/state").await;
        assert!(answer.starts_with("HTTP/1.1 302"), "{answer}");
    }

    #[tokio::test]
    async fn a_viewer_sees_and_cannot_change_and_a_stranger_sees_nothing() {
        let ask = |request: &'static str, user: &'static str, more: &'static str| async move {
            let rest = format!("Cookie: a=b; proxy-user={user}\r\n{more}");
            let answer = exchange_with("127.0.0.1:8088", "true", request, &rest).await;
            answer.lines().next().unwrap_or_default().to_owned() + answer.lines().last().unwrap_or_default()
        };
        let order = "Content-Type: application/json\r\nContent-Length: 0\r\n";
        for user in ["ada", "root", "bob", "carol"] {
            assert!(
                ask("GET /x", user, "").await.starts_with("HTTP/1.1 200"),
                "{user}"
            );
        }
        let refused = ask("GET /x", "mallory", "").await;
        assert!(
            refused.starts_with("HTTP/1.1 403") && refused.contains("acls.view"),
            "{refused}"
        );
        assert!(
            ask("GET /metrics", "mallory", "")
                .await
                .starts_with("HTTP/1.1 200")
        );
        let refused = ask("PUT /x", "bob", order).await;
        assert!(
            refused.starts_with("HTTP/1.1 403") && refused.contains("acls.modify"),
            "{refused}"
        );
        let taken = ask("PUT /x", "carol", order).await;
        assert!(
            taken.starts_with("HTTP/1.1 200") && taken.contains("Some(\"carol\")"),
            "{taken}"
        );
        let level = "GET /logLevel?log=am&level=debug";
        assert!(ask(level, "bob", "").await.starts_with("HTTP/1.1 403"));
        assert!(
            ask("GET /logLevel?log=am", "bob", "")
                .await
                .starts_with("HTTP/1.1 200")
        );
        assert!(ask(level, "carol", "").await.starts_with("HTTP/1.1 200"));
        let form = "Content-Type: text/plain\r\nContent-Length: 0\r\n";
        assert!(ask("PUT /x", "carol", form).await.starts_with("HTTP/1.1 415"));
        let long = "Content-Type: application/json\r\nContent-Length: 20000\r\n";
        assert!(ask("PUT /x", "carol", long).await.starts_with("HTTP/1.1 413"));
    }

    #[tokio::test]
    async fn only_reading_and_orders_are_answered() {
        let head = exchange("127.0.0.1:8088", "HEAD /x").await;
        assert!(
            head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
        for (method, status) in [("POST", 405), ("PATCH", 405), ("DELETE", 405), ("OPTIONS", 200)] {
            let answer = exchange("127.0.0.1:8088", &format!("{method} /x")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
            assert!(answer.contains("allow: GET, HEAD, PUT, OPTIONS\r\n"), "{answer}");
            assert!(
                answer.ends_with("answered are GET, HEAD, PUT, OPTIONS\n"),
                "{answer}"
            );
        }
        let answer = exchange("127.0.0.2:8088", "OPTIONS /logLevel?log=am").await;
        assert!(answer.starts_with("HTTP/1.1 302"), "{answer}");
    }

    #[test]
    fn encodings_are_undone_and_nonsense_stays() {
        assert_eq!(decoded("/a%20b/%2F", false), "/a b//");
        assert_eq!(decoded("a+b%zz%4", true), "a b%zz%4");
        assert_eq!(decoded("%é", true), "%é");
        let expected = [("stage", "1"), ("q", "a b"), ("flag", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parameters("stage=1&q=a+b&&flag"), expected);
    }

    #[test]
    fn every_answer_carries_the_security_headers_and_a_body() {
        let response = redirect("http://rm:8088/proxy/redirect/a/");
        assert_eq!(response.status(), 302);
        assert_eq!(response.headers()["location"], "http://rm:8088/proxy/redirect/a/");
        assert!(
            response.headers()["content-security-policy"]
                .to_str()
                .unwrap()
                .starts_with("default-src 'none'")
        );
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert!(hyper::body::Body::size_hint(response.body()).lower() > 0);
    }
}
