//! What a client writes: header, context, SASL messages, calls, pings.

use super::{CallId, Protocol, frame};
use crate::proto::common::{
    IpcConnectionContextProto, RequestHeaderProto, RpcKindProto, RpcRequestHeaderProto, RpcSaslProto,
    UserInformationProto, rpc_request_header_proto::OperationProto,
};

/// `hrpc`, version 9, service class 0; the authentication byte follows.
pub(super) const MAGIC: [u8; 6] = [b'h', b'r', b'p', b'c', 9, 0];
/// The authentication byte for none.
pub(super) const AUTH_NONE: u8 = 0;
/// The authentication byte for SASL.
pub(super) const AUTH_SASL: u8 = 0xdf;

/// The seven bytes that open a connection.
pub(super) fn connection_header(auth: u8) -> [u8; 7] {
    let [a, b, c, d, e, f] = MAGIC;
    [a, b, c, d, e, f, auth]
}

/// Kind and operation are always sent: servers refuse a header without them, though they equal the defaults.
fn header(call: CallId, client_id: &[u8], retry: i32) -> RpcRequestHeaderProto {
    RpcRequestHeaderProto {
        rpc_kind: Some(RpcKindProto::RpcProtocolBuffer as i32),
        rpc_op: Some(OperationProto::RpcFinalPacket as i32),
        call_id: call.0,
        client_id: client_id.to_vec(),
        retry_count: Some(retry),
        caller_context: None,
    }
}

/// A SASL message of the client. Its client id is empty.
pub(super) fn sasl(message: &RpcSaslProto) -> Vec<u8> {
    frame::encode(&[&header(CallId::SASL, &[], -1), message], None)
}

/// The connection context. With a token the user is left open: it is the attempt the token is for.
pub(super) fn context(client_id: &[u8], protocol: Protocol, user: Option<&str>) -> Vec<u8> {
    let context = IpcConnectionContextProto {
        user_info: Some(UserInformationProto {
            effective_user: user.map(str::to_owned),
            real_user: None,
        }),
        protocol: Some(protocol.name.to_owned()),
    };
    frame::encode(&[&header(CallId::CONTEXT, client_id, -1), &context], None)
}

/// A call with its encoded request message.
pub(super) fn call(id: CallId, client_id: &[u8], protocol: Protocol, method: &str, body: &[u8]) -> Vec<u8> {
    let request = RequestHeaderProto {
        method_name: method.to_owned(),
        declaring_class_protocol_name: protocol.name.to_owned(),
        client_protocol_version: protocol.version,
    };
    frame::encode(&[&header(id, client_id, 0), &request], Some(body))
}

/// A sign of life that is never answered.
pub(super) fn ping(client_id: &[u8]) -> Vec<u8> {
    frame::encode(&[&header(CallId::PING, client_id, -1)], None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::common::rpc_sasl_proto::{SaslAuth, SaslState};

    const CLIENT: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn the_first_bytes_are_those_of_the_java_client() {
        assert_eq!(hex(&connection_header(AUTH_SASL)), "687270630900df");
        let negotiate = RpcSaslProto {
            state: SaslState::Negotiate as i32,
            ..Default::default()
        };
        assert_eq!(hex(&sasl(&negotiate)), "0000000e0a08021000184122002801021001");
    }

    #[test]
    fn an_initiate_echoes_empty_strings_and_no_challenge() {
        let auth = SaslAuth {
            method: "TOKEN".into(),
            mechanism: "DIGEST-MD5".into(),
            protocol: Some(String::new()),
            server_id: Some("default".into()),
            challenge: None,
        };
        let initiate = RpcSaslProto {
            version: None,
            state: SaslState::Initiate as i32,
            token: Some(b"AB".to_vec()),
            auths: vec![auth],
        };
        assert_eq!(
            hex(&sasl(&initiate)),
            "000000320a080210001841220028012610021a024142221e0a05544f4b454e120a4449474553542d4d44351a00220764656661756c74"
        );
    }

    #[test]
    fn context_and_ping_are_those_of_the_java_client() {
        assert_eq!(
            hex(&context(&CLIENT, Protocol::APPLICATION_MASTER, None)),
            "000000561a0802100018052210000102030405060708090a0b0c0d0e0f28013a12001a366f72672e6170616368652e6861646f\
             6f702e7961726e2e6170692e4170706c69636174696f6e4d617374657250726f746f636f6c5042"
                .replace(char::is_whitespace, "")
        );
        assert_eq!(
            hex(&ping(&CLIENT)),
            "0000001b1a0802100018072210000102030405060708090a0b0c0d0e0f2801"
        );
    }
}
