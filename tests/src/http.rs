//! Plain HTTP/1.0 over loopback, enough to ask daemons how they are without a client library.

use anyhow::{Context, ensure};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// An answer; the body is not decoded.
#[derive(Debug)]
pub struct Response {
    /// Status code of the status line.
    pub status: u16,
    /// Status line and headers as they came.
    pub head: String,
    /// Everything after the blank line.
    pub body: Vec<u8>,
}

impl Response {
    /// A header's value; names are compared without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends `method path` with a JSON body, which may be empty, and reads the answer to its end.
///
/// # Errors
/// Fails when the connection is refused, the answer is not HTTP, or `limit` passes.
pub fn request(
    addr: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
    limit: Duration,
) -> anyhow::Result<Response> {
    request_with(addr, method, path, JSON, body, limit)
}

const JSON: &str = "Accept: application/json\r\nContent-Type: application/json\r\n";

/// As [`request`] with other headers, each with its line's end.
///
/// # Errors
/// As [`request`].
pub fn request_with(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
    limit: Duration,
) -> anyhow::Result<Response> {
    let deadline = Instant::now() + limit;
    let mut stream = TcpStream::connect_timeout(&addr, limit)?;
    stream.set_write_timeout(Some(limit))?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {addr}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes())?;
    parse(&read_until(&mut stream, deadline)?)
}

/// `GET` of a JSON document; anything but 200 is an error.
///
/// # Errors
/// As [`request`], and when the status is not 200 or the body is not JSON.
pub fn get_json(addr: SocketAddr, path: &str, limit: Duration) -> anyhow::Result<Value> {
    let response = request(addr, "GET", path, "", limit)?;
    ensure!(
        response.status == 200,
        "GET http://{addr}{path} answered {}",
        response.status
    );
    serde_json::from_slice(&response.body).with_context(|| format!("http://{addr}{path} is not JSON"))
}

fn read_until(stream: &mut TcpStream, deadline: Instant) -> anyhow::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        ensure!(!left.is_zero(), "no complete answer in time");
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut chunk)? {
            0 => return Ok(all),
            n => all.extend_from_slice(&chunk[..n]),
        }
    }
}

fn parse(bytes: &[u8]) -> anyhow::Result<Response> {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .context("answer without a header end")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .context("answer without a status")?;
    Ok(Response {
        status,
        head: head.to_string(),
        body: bytes[end + 4..].to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn status_and_body_are_taken_apart() {
        let response = parse(b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nhello\r\n\r\nmore").unwrap();
        assert_eq!(response.status, 404);
        assert_eq!(response.header("a"), Some("b"));
        assert_eq!(response.body, b"hello\r\n\r\nmore");
    }

    #[test]
    fn what_is_not_http_is_refused() {
        assert!(parse(b"hello").is_err());
        assert!(parse(b"hello\r\n\r\n").is_err());
    }
}
