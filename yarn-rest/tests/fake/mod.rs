//! A daemon in this process: answers every request as a function says, and remembers what it was asked.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

/// What to do with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status and body, of no particular type.
    Answer(u16, String),
    /// 307 to another place, or to none.
    Redirect(Option<String>),
    /// Nothing, ever.
    Silence,
    /// The connection is closed without an answer.
    HangUp,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self::Answer(200, body.into())
    }
}

type Script = Arc<dyn Fn(usize, &Asked) -> Reply + Send + Sync>;

/// A listening daemon; it ends with this value.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    serving: JoinHandle<()>,
}

impl Fake {
    /// Answers each request by `script`, which gets the number of the request (from 0) and the request.
    pub(crate) async fn start(script: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let serving = tokio::spawn(accept(listener, Arc::new(script), Arc::clone(&asked)));
        Self {
            address,
            asked,
            serving,
        }
    }

    /// Answers every request the same.
    pub(crate) async fn always(reply: Reply) -> Self {
        Self::start(move |_, _| reply.clone()).await
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An address on which nobody listens.
pub(crate) async fn dead_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

async fn accept(listener: TcpListener, script: Script, asked: Arc<Mutex<Vec<Asked>>>) {
    // The connections end with the set, which ends with this task.
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(serve(stream, Arc::clone(&script), Arc::clone(&asked)));
    }
}

async fn serve(stream: TcpStream, script: Script, asked: Arc<Mutex<Vec<Asked>>>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&script), Arc::clone(&asked)));
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // A client that goes away, and a hang-up of ours, are part of the tests.
    drop(served);
}

async fn answer(
    request: Request<Incoming>,
    script: Script,
    asked: Arc<Mutex<Vec<Asked>>>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let one = Asked {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let number = {
        let mut asked = asked.lock().unwrap();
        asked.push(one.clone());
        asked.len() - 1
    };
    match script(number, &one) {
        Reply::Answer(status, text) => Ok(response(status, text)),
        Reply::Redirect(location) => Ok(redirect(location)),
        Reply::Silence => Ok(pending::<Result<_, Infallible>>().await.unwrap()),
        Reply::HangUp => Err(io::Error::other("hang up")),
    }
}

fn response(status: u16, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn redirect(location: Option<String>) -> Response<Full<Bytes>> {
    let text = "This is standby RM. The redirect url is: elsewhere\n".to_owned();
    let mut response = response(307, if location.is_some() { text } else { String::new() });
    match location {
        Some(location) => response
            .headers_mut()
            .insert("location", location.parse().unwrap()),
        None => response
            .headers_mut()
            .insert("refresh", "5;url=/?next.refresh.interval=1".parse().unwrap()),
    };
    response
}
