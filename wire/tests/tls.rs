//! Who gets through the TLS handshake of an application and who does not.
#![cfg(feature = "issue")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::{ClientConnection, ServerConnection};
use wire::security::{ApplicationKeys, Identity, client_config, server_config, server_name};

/// Shakes hands in memory; `Err` is what the first side to refuse says.
fn handshake(server: &Identity, client: &Identity) -> Result<(), rustls::Error> {
    let mut server = ServerConnection::new(server_config(server).unwrap()).unwrap();
    let client = client_config(client).unwrap();
    let mut client = ClientConnection::new(Arc::clone(&client), server_name()).unwrap();
    let mut bytes = Vec::new();
    for _ in 0..10 {
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        bytes.clear();
        server.process_new_packets()?;
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        bytes.clear();
        client.process_new_packets()?;
    }
    client.writer().write_all(b"hello").unwrap();
    client.write_tls(&mut bytes).unwrap();
    server.read_tls(&mut bytes.as_slice()).unwrap();
    server.process_new_packets()?;
    let mut got = [0; 5];
    server.reader().read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
    Ok(())
}

#[test]
fn an_executor_of_the_application_gets_in() {
    let keys = ApplicationKeys::issue().unwrap();
    handshake(&keys.am, &keys.executor).unwrap();
}

#[test]
fn keys_of_another_application_are_refused_on_both_sides() {
    let (ours, theirs) = (
        ApplicationKeys::issue().unwrap(),
        ApplicationKeys::issue().unwrap(),
    );
    handshake(&ours.am, &theirs.executor).unwrap_err();
    let stranger = Identity {
        authority: ours.am.authority.clone(),
        ..theirs.executor
    };
    handshake(&ours.am, &stranger).unwrap_err();
}

#[test]
fn an_executor_cannot_pose_as_the_application_master() {
    let keys = ApplicationKeys::issue().unwrap();
    handshake(&keys.executor, &keys.executor).unwrap_err();
}

#[test]
fn keys_do_not_show_in_debug_output() {
    let keys = ApplicationKeys::issue().unwrap();
    assert_eq!(format!("{:?}", keys.am), "Identity(..)");
}
