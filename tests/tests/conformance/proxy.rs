//! The ResourceManager's proxy in front of ApplicationMasters' pages.

use std::net::SocketAddr;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use yarn_rpc::proto::yarn as pb;

use super::case::{Case, case};
use super::lab::{Answer, Yarn, ask, holds, wait_for};
use super::master::Master;

pub(crate) const CASES: &[Case] = &[
    case!(
        before_registration_the_proxy_leads_to_the_applications_page,
        "`WebAppProxyServlet`: 302 to `/cluster/app/…`"
    ),
    case!(
        without_an_address_the_proxy_leads_to_the_applications_page,
        "`WebAppProxyServlet`: 302 where the tracking URL is N/A"
    ),
    case!(
        a_page_passes,
        "`WebAppProxyServlet.proxyLink`: GET with path and query"
    ),
    case!(
        the_user_is_told_by_cookie,
        "`WebAppProxyServlet`: `proxy-user=…`, other cookies do not pass"
    ),
    case!(
        only_nine_headers_pass,
        "`WebAppProxyServlet.PASS_THROUGH_HEADERS`"
    ),
    case!(
        a_put_passes_without_its_line_ends,
        "`WebAppProxyServlet`: PUT is forwarded, line ends of its body are lost"
    ),
    case!(post_and_delete_do_not_pass, "`HttpServlet`: 405, in HTTP/1.0 400"),
    case!(
        a_masters_refusal_passes,
        "`WebAppProxyServlet`: status and body of the master's 404"
    ),
    case!(
        an_address_without_scheme_is_http,
        "`WebAppUtils.getURLWithScheme`"
    ),
    case!(
        the_address_may_change,
        "`AllocateRequest.tracking_url` takes effect soon after the heartbeat"
    ),
    case!(
        after_the_end_the_proxy_leads_to_the_last_address,
        "`WebAppProxyServlet`: 302 to the final tracking URL, path appended"
    ),
    case!(
        after_a_kill_the_proxy_leads_to_the_applications_page,
        "`WebAppProxyServlet`: 302 to `/cluster/app/…`"
    ),
    case!(an_unknown_application_has_no_proxy, "`WebAppProxyServlet`: 404"),
    case!(
        a_master_that_is_gone_is_an_error,
        "`WebAppProxyServlet`: 500 where nobody listens"
    ),
];

/// A web server that answers everything with 404 below `/missing` and 200 elsewhere, and gives what it was asked.
async fn server() -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, requests) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = whole(&mut stream).await;
            let status = if request.contains(" /missing") {
                "404 Not Found"
            } else {
                "200 OK"
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\npage\n"
            );
            if seen.send(request).await.is_err() || stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    (address, requests)
}

/// A request with its body.
async fn whole(stream: &mut tokio::net::TcpStream) -> String {
    let mut text = String::new();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part).await.unwrap_or(0);
        text += &String::from_utf8_lossy(&part[..count]);
        let complete = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let head = head.to_ascii_lowercase();
            let length = head
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.lines().next()?.parse().ok());
            body.len() >= length.unwrap_or(0)
        });
        if complete || count == 0 {
            return text;
        }
    }
}

async fn through(
    yarn: &Yarn,
    method: &str,
    id: hadoop::ids::ApplicationId,
    tail: &str,
    headers: &str,
    body: &str,
) -> Answer {
    ask(yarn.web(), method, &format!("/proxy/{id}/{tail}"), headers, body).await
}

/// A registered master with pages.
async fn with_pages(yarn: &Yarn) -> (Master, mpsc::Receiver<String>) {
    let (address, requests) = server().await;
    let master = yarn.unregistered(json!({})).await;
    let master = yarn.registered(master, &format!("http://{address}")).await;
    (master, requests)
}

fn leads(answer: &Answer, to: &str) {
    assert_eq!(answer.status, 302, "{}", answer.text);
    assert!(
        answer.header("location").ends_with(to),
        "{}",
        answer.header("location")
    );
}

async fn before_registration_the_proxy_leads_to_the_applications_page(yarn: &Yarn) {
    let master = yarn.unregistered(json!({})).await;
    let answer = through(yarn, "GET", master.app(), "", "", "").await;
    leads(&answer, &format!("/cluster/app/{}", master.app()));
}

async fn without_an_address_the_proxy_leads_to_the_applications_page(yarn: &Yarn) {
    let master = yarn.master().await;
    let answer = through(yarn, "GET", master.app(), "", "", "").await;
    leads(&answer, &format!("/cluster/app/{}", master.app()));
}

async fn a_page_passes(yarn: &Yarn) {
    let (master, mut requests) = with_pages(yarn).await;
    let answer = through(yarn, "GET", master.app(), "a/b?c=d", "", "").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "page\n"));
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("GET /a/b?c=d HTTP/1.1\r\n"), "{request}");
}

async fn the_user_is_told_by_cookie(yarn: &Yarn) {
    let (master, mut requests) = with_pages(yarn).await;
    through(
        yarn,
        "GET",
        master.app(),
        "?user.name=ada",
        "Cookie: secret=1\r\n",
        "",
    )
    .await;
    let request = requests.recv().await.unwrap();
    holds(&request, &["proxy-user=ada"]);
    assert!(!request.contains("secret"), "{request}");
}

async fn only_nine_headers_pass(yarn: &Yarn) {
    let (master, mut requests) = with_pages(yarn).await;
    let headers = "Accept-Language: tlh\r\nUser-Agent: tester\r\nAuthorization: secret\r\nX-Own: own\r\nRange: bytes=0-1\r\n";
    through(yarn, "GET", master.app(), "", headers, "").await;
    let request = requests.recv().await.unwrap().to_ascii_lowercase();
    holds(&request, &["accept-language: tlh", "user-agent: tester"]);
    for name in ["authorization", "x-own", "range:"] {
        assert!(!request.contains(name), "{request}");
    }
}

async fn a_put_passes_without_its_line_ends(yarn: &Yarn) {
    let (master, mut requests) = with_pages(yarn).await;
    let answer = through(
        yarn,
        "PUT",
        master.app(),
        "x",
        "Content-Type: text/plain\r\n",
        "one\ntwo\n",
    )
    .await;
    assert_eq!(answer.status, 200);
    let request = requests.recv().await.unwrap();
    assert!(
        request.starts_with("PUT /x HTTP/1.1\r\n") && request.ends_with("\r\n\r\nonetwo"),
        "{request}"
    );
}

async fn post_and_delete_do_not_pass(yarn: &Yarn) {
    let (master, _requests) = with_pages(yarn).await;
    for method in ["POST", "DELETE"] {
        let answer = through(yarn, method, master.app(), "", "", "").await;
        assert!(matches!(answer.status, 400 | 405), "{method}: {}", answer.status);
    }
}

async fn a_masters_refusal_passes(yarn: &Yarn) {
    let (master, _requests) = with_pages(yarn).await;
    let answer = through(yarn, "GET", master.app(), "missing", "", "").await;
    assert_eq!((answer.status, answer.text.as_str()), (404, "page\n"));
}

async fn an_address_without_scheme_is_http(yarn: &Yarn) {
    let (address, _requests) = server().await;
    let master = yarn.unregistered(json!({})).await;
    let master = yarn.registered(master, &address.to_string()).await;
    assert_eq!(through(yarn, "GET", master.app(), "", "", "").await.status, 200);
}

async fn the_address_may_change(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let (address, mut requests) = server().await;
    let change = pb::AllocateRequestProto {
        tracking_url: Some(format!("http://{address}/deeper")),
        ..Default::default()
    };
    master.allocate(change).await.unwrap();
    wait_for("the new address", async || {
        let answer = through(yarn, "GET", master.app(), "x", "", "").await;
        (answer.status == 200).then_some(())
    })
    .await;
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("GET /deeper/x "), "{request}");
}

async fn after_the_end_the_proxy_leads_to_the_last_address(yarn: &Yarn) {
    let master = yarn.master().await;
    let status = pb::FinalApplicationStatusProto::AppSucceeded;
    master
        .finish_once(status, "http://history.example/job")
        .await
        .unwrap();
    yarn.app_in(master.app(), "FINISHED").await;
    let answer = through(yarn, "GET", master.app(), "x", "", "").await;
    leads(&answer, "http://history.example/job/x");
}

async fn after_a_kill_the_proxy_leads_to_the_applications_page(yarn: &Yarn) {
    let (master, _requests) = with_pages(yarn).await;
    yarn.kill(master.app()).await;
    let answer = through(yarn, "GET", master.app(), "", "", "").await;
    assert_eq!(answer.status, 302);
    holds(
        answer.header("location"),
        &[&format!("/cluster/app/{}", master.app())],
    );
}

async fn an_unknown_application_has_no_proxy(yarn: &Yarn) {
    let unknown = hadoop::ids::ApplicationId::new(1, 1);
    assert_eq!(through(yarn, "GET", unknown, "", "", "").await.status, 404);
}

async fn a_master_that_is_gone_is_an_error(yarn: &Yarn) {
    let gone = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        listener.local_addr().unwrap()
    };
    let master = yarn.unregistered(json!({})).await;
    let master = yarn.registered(master, &format!("http://{gone}")).await;
    assert_eq!(through(yarn, "GET", master.app(), "", "", "").await.status, 500);
}
