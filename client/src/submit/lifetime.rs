//! Setting how long an application may run.
//!
//! A submission over REST cannot carry it, so it is set on the application right after. Until the ResourceManager has
//! written a new application down it refuses that (`ClientRMService.updateApplicationTimeouts` takes applications that
//! are submitted, accepted or running), and does so with an error of the server: with a store in ZooKeeper that is the
//! usual first answer.

use std::time::{Duration, SystemTime};

use hadoop::ids::ApplicationId;
use tokio::time::Instant;
use yarn_rest::{Client, Error};

/// How long the ResourceManager may take to write an application down.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Sets when the ResourceManager ends the application.
///
/// # Errors
/// It does not let us, or not in time.
pub(super) async fn set(client: &Client, id: ApplicationId, expiry: SystemTime) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match client.set_lifetime(id, expiry).await {
            Err(Error::Server { .. }) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            set => return set.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use yarn_rest::Auth;

    /// A ResourceManager that gives these answers, one a connection, and then is gone.
    fn resource_manager(answers: Vec<(&'static str, &'static str)>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                assert!(stream.read(&mut request).unwrap() > 0);
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n");
                let answer = format!("{head}Content-Type: application/json\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        address
    }

    fn set_on(answers: Vec<(&'static str, &'static str)>) -> Result<(), Error> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder(Auth::simple("ada"))
            .resource_manager(resource_manager(answers))
            .build()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let id = "application_1_0001".parse().unwrap();
        runtime.unwrap().block_on(set(&client, id, SystemTime::now()))
    }

    const EARLY: (&str, &str) = (
        "500 Internal Server Error",
        r#"{"RemoteException":{"exception":"UndeclaredThrowableException"}}"#,
    );
    const SET: (&str, &str) = (
        "200 OK",
        r#"{"timeout":{"type":"LIFETIME","expiryTime":"2026-11-21T05:00:00.000+0000","remainingTimeInSeconds":60}}"#,
    );

    #[test]
    fn an_application_that_is_not_written_down_yet_is_asked_again() {
        set_on(vec![EARLY, EARLY, SET]).unwrap();
    }

    #[test]
    fn a_refusal_is_final() {
        let refused = ("403 Forbidden", "{}");
        assert!(matches!(set_on(vec![refused]), Err(Error::Forbidden { .. })));
    }
}
