//! The exporter against a ResourceManager that does not answer.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use yarn_rest::Auth;

use super::fleet::tests::report;
use super::*;
use crate::cli::Via;

/// Nobody waits longer for anything here.
const PATIENCE: Duration = Duration::from_secs(120);

fn exporter(resource_manager: SocketAddr) -> Exporter {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::builder(Auth::simple("ada"))
        .resource_manager(format!("http://{resource_manager}"))
        .rounds(1)
        .build()
        .unwrap();
    let options = Options {
        interval: Duration::from_secs(15),
        keep: Duration::from_secs(300),
        file_sd: None,
        addresses: Addresses {
            via: Via::Relay,
            exporter: "127.0.0.1:9755".to_owned(),
            cluster: "lab".to_owned(),
        },
        user: "ada".to_owned(),
    };
    Exporter::new(client, options)
}

/// A ResourceManager that takes connections and says nothing, as long as the listener lives.
async fn mute() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// One application that runs, with a sample, and what a scrape of it is answered when this was heard.
async fn answered(heard: Heard) -> (u16, String) {
    let (_listener, address) = mute().await;
    let mut exporter = exporter(address);
    let app = report(1, "RUNNING", "UNDEFINED");
    exporter.fleet.looked(now(), Some(vec![app.clone()]));
    exporter.samples.keep(app.id, Bytes::from_static(b"old"));
    let (reply, answer) = oneshot::channel();
    exporter.told(Asked {
        app: app.id,
        heard,
        reply: Some(reply),
    });
    let answer = answer.await.unwrap();
    (answer.status, answer.body)
}

#[tokio::test]
async fn a_running_application_that_does_not_answer_is_no_sample() {
    assert_eq!(answered(Heard::Nothing("refused".to_owned())).await.0, 502);
    assert_eq!(answered(Heard::Busy).await.0, 503);
    assert_eq!(answered(Heard::Ended).await, (200, "old".to_owned()));
    let fresh = Heard::Metrics(Bytes::from_static(b"new"));
    assert_eq!(answered(fresh).await, (200, "new".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn one_application_too_many_waits_for_its_turn() {
    let (_listener, address) = mute().await;
    let mut exporter = exporter(address);
    let mut app = report(1, "RUNNING", "UNDEFINED");
    app.tracking_url = None;
    exporter.fleet.looked(now(), Some(vec![app.clone()]));
    let turns = Arc::clone(&exporter.turns);
    let taken = turns.acquire_many_owned(MOST_ASKED as u32).await.unwrap();
    let ask = |exporter: &mut Exporter| {
        let (reply, answer) = oneshot::channel();
        exporter.relay(app.id, reply);
        answer
    };
    let waiting = ask(&mut exporter);
    drop(taken);
    let done = exporter.work.join_next().await.unwrap();
    exporter.take(done);
    assert_eq!(waiting.await.unwrap().status, 502, "it was asked");

    let turns = Arc::clone(&exporter.turns);
    let _taken = turns.acquire_many_owned(MOST_ASKED as u32).await.unwrap();
    let waiting = ask(&mut exporter);
    let done = exporter.work.join_next().await.unwrap();
    exporter.take(done);
    assert_eq!(waiting.await.unwrap().status, 503, "it was not");
}

async fn status_of(server: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn pages_are_served_while_the_resource_manager_is_asked() {
    let (listener, address) = mute().await;
    let server = WebServer::bind_to((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let at = server.address().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = exporter(address).serve(server, async { drop(stopped.await) });
    let asking = async {
        let (_question, _) = listener.accept().await.unwrap();
        let statuses = (status_of(at, "/healthz").await, status_of(at, "/metrics").await);
        drop(stop);
        statuses
    };
    let (_, statuses) = timeout(PATIENCE, async { tokio::join!(serving, asking) })
        .await
        .unwrap();
    assert_eq!(statuses, ("200".to_owned(), "200".to_owned()));
}

#[test]
fn only_a_whole_id_is_relayed() {
    assert!(relayed("/app/application_1700000000000_0001/metrics").is_some());
    for path in [
        "/app/x/metrics",
        "/app/application_1700000000000_0001",
        "/app//metrics",
    ] {
        assert_eq!(relayed(path), None, "{path}");
    }
}
