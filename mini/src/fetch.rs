//! Small HTTP requests: of the proxy to ApplicationMasters, of NodeManagers for files.

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Redirects that are followed before it is given up.
const MOST_REDIRECTS: usize = 20;

/// Why a request came to nothing, in words.
pub(crate) type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// A request; its headers but for `Host` and `Connection`.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Question {
    /// For what is there.
    pub(crate) fn get(url: String) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Asks, and follows redirects as Java's clients do: with GET, whatever was asked first.
///
/// # Errors
/// No connection, no answer, an answer above `largest` bytes, too many redirects.
pub(crate) async fn whole(mut question: Question, largest: usize) -> Result<Reply, Trouble> {
    for _ in 0..MOST_REDIRECTS {
        let reply = exchange(&question, async |answer| {
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, largest).collect().await?.to_bytes();
            Ok(Reply {
                status: head.status,
                headers: head.headers,
                body,
            })
        });
        let reply = reply.await?;
        match redirected(&question.url, reply.status, &reply.headers)? {
            None => return Ok(reply),
            Some(url) => {
                question = Question {
                    headers: question.headers,
                    ..Question::get(url)
                };
            }
        }
    }
    Err("it redirects for ever".into())
}

/// Writes what is at a URL into a file; redirects are followed.
///
/// # Errors
/// The same, an answer that is not 200, or a file that cannot be written.
pub(crate) async fn into_file(url: &str, target: &std::path::Path) -> Result<(), Trouble> {
    let mut url = url.to_owned();
    for _ in 0..MOST_REDIRECTS {
        let question = Question::get(url.clone());
        let next = exchange(&question, async |answer| {
            let next = redirected(&url, answer.status(), answer.headers())?;
            if next.is_some() {
                return Ok(next);
            }
            if answer.status() != StatusCode::OK {
                return Err(format!("the server answers {}", answer.status()).into());
            }
            let mut file = tokio::fs::File::create_new(target).await?;
            let mut body = answer.into_body();
            while let Some(frame) = body.frame().await {
                if let Some(data) = frame?.data_ref() {
                    file.write_all(data).await?;
                }
            }
            file.flush().await?;
            Ok(None)
        });
        match next.await? {
            None => return Ok(()),
            Some(next) => url = next,
        }
    }
    Err("it redirects for ever".into())
}

/// Where a redirect leads; relative ones start at the root of the same server, or beside what was asked for.
fn redirected(url: &str, status: StatusCode, headers: &HeaderMap) -> Result<Option<String>, Trouble> {
    let location = headers.get(header::LOCATION).filter(|_| status.is_redirection());
    let Some(location) = location else {
        return Ok(None);
    };
    let location = location.to_str()?;
    if location.contains("://") {
        return Ok(Some(location.to_owned()));
    }
    let uri: Uri = url.parse()?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let above = match location.starts_with('/') {
        true => "",
        false => uri.path().rsplit_once('/').map_or("/", |(above, _)| above),
    };
    let slash = if location.starts_with('/') { "" } else { "/" };
    Ok(Some(format!("http://{authority}{above}{slash}{location}")))
}

/// One request, one answer, one connection.
async fn exchange<T>(
    question: &Question,
    read: impl AsyncFnOnce(http::Response<Incoming>) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let uri: Uri = question.url.parse()?;
    let host = uri.host().ok_or("the URL names no host")?;
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let answer = sender.send_request(outgoing(question, &uri)?).await?;
        read(answer).await
    };
    tokio::pin!(connection);
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        read = &mut exchange => return read,
        ended = &mut connection => ended?,
    }
    // The server has closed its side; what it sent before may still have to be read.
    exchange.await
}

fn outgoing(question: &Question, uri: &Uri) -> Result<http::Request<Full<Bytes>>, http::Error> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let mut request = http::Request::builder()
        .method(question.method.clone())
        .uri(path)
        .header(header::HOST, authority)
        .header(header::CONNECTION, "close")
        .body(Full::new(question.body.clone()))?;
    request.headers_mut().extend(question.headers.clone());
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    /// Answers one connection after the other with these texts; gives its address and what it was sent.
    async fn server(answers: Vec<String>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = vec![0; 4096];
                let count = stream.read(&mut bytes).await.unwrap();
                asked.push(String::from_utf8_lossy(&bytes[..count]).into_owned());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        });
        (address, task)
    }

    #[tokio::test]
    async fn redirects_are_followed_and_the_file_is_written() {
        let moved =
            "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let found = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwords";
        let (address, task) = server(vec![moved.to_owned(), found.to_owned()]).await;
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("file");
        into_file(&format!("http://{address}/here"), &target)
            .await
            .unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "words");
        let asked = task.await.unwrap();
        assert!(asked[1].starts_with("GET /there HTTP/1.1\r\n"), "{asked:?}");
    }

    #[tokio::test]
    async fn what_is_not_there_is_no_file() {
        let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let (address, _task) = server(vec![missing.to_owned()]).await;
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("file");
        let error = into_file(&format!("http://{address}/"), &target)
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "the server answers 404 Not Found");
        assert!(!target.exists());
    }

    #[test]
    fn relative_redirects_stay_on_the_server() {
        let to = |location: &str| {
            let headers = HeaderMap::from_iter([(header::LOCATION, location.parse().unwrap())]);
            redirected("http://h:1/a/b?c", StatusCode::FOUND, &headers).unwrap()
        };
        assert_eq!(to("/x").as_deref(), Some("http://h:1/x"));
        assert_eq!(to("x").as_deref(), Some("http://h:1/a/x"));
        assert_eq!(to("http://o/").as_deref(), Some("http://o/"));
        assert_eq!(
            redirected("http://h/", StatusCode::OK, &HeaderMap::new()).unwrap(),
            None
        );
    }
}
