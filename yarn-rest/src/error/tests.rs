use std::time::Duration;

use http::StatusCode;
use proptest::prelude::{any, proptest};

use super::{Error, RemoteException, Tried};

const UNKNOWN_APP: &str = r#"{"RemoteException":{"exception":"NotFoundException","message":"java.lang.Exception: app with id: application_1_0001 not found","javaClassName":"org.apache.hadoop.yarn.webapp.NotFoundException"}}"#;
const UNKNOWN_APP_3_5: &str = r#"{"RemoteException":{"exception":"NotFoundException","message":"app with id: application_1_0001 not found","javaClassName":"org.apache.hadoop.yarn.webapp.NotFoundException"}}"#;
const XML: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><RemoteException><exception>WebApplicationException</exception><javaClassName>javax.ws.rs.WebApplicationException</javaClassName><message>HTTP 415 &lt;Unsupported&gt; &amp;c</message></RemoteException>"#;
const HTML: &str = "<html>\n<head>\n<title>Error 405 Method Not Allowed</title>\n</head>\n<body><h2>HTTP ERROR 405</h2>\n<table>\n<tr><th>URI:</th><td>/isActive</td></tr>\n<tr><th>STATUS:</th><td>405</td></tr>\n<tr><th>MESSAGE:</th><td>I am not active!</td></tr>\n</table></body></html>";

fn shown(status: u16, body: &str) -> String {
    Error::from_answer(StatusCode::from_u16(status).unwrap(), body.as_bytes()).to_string()
}

#[test]
fn words_are_found_in_json_xml_html_and_plain_text() {
    let message = |body: &str| RemoteException::parse(body.as_bytes()).message;
    assert_eq!(message(UNKNOWN_APP), "app with id: application_1_0001 not found");
    assert_eq!(
        message(UNKNOWN_APP_3_5),
        "app with id: application_1_0001 not found"
    );
    assert_eq!(message(XML), "HTTP 415 <Unsupported> &c");
    assert_eq!(message(HTML), "I am not active!");
    assert_eq!(
        message("java.lang.Exception: Unknown container\n"),
        "Unknown container"
    );
    assert_eq!(message("{\"state\":\"KILLED\"}"), "{\"state\":\"KILLED\"}");
    assert_eq!(message(""), "");
}

#[test]
fn every_status_has_its_error_and_quotes_the_words() {
    let invalid = r#"{"RemoteException":{"exception":"BadRequestException","message":"Requested more memory than configured max","javaClassName":"x"}}"#;
    let empty = r#"{"RemoteException":{"exception":"UndeclaredThrowableException","javaClassName":"java.lang.reflect.UndeclaredThrowableException"}}"#;
    let texts = [
        shown(400, invalid),
        shown(401, "Authentication required"),
        shown(403, "App submission via REST is disabled."),
        shown(403, "The default static user cannot carry out this operation."),
        shown(404, UNKNOWN_APP),
        shown(503, empty),
        shown(500, ""),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r"
    refused: `Requested more memory than configured max`
    not authenticated: `Authentication required`
    submission over REST is switched off on this cluster: `App submission via REST is disabled.`
    not permitted: `The default static user cannot carry out this operation.`
    not found: `app with id: application_1_0001 not found`
    the server failed with status 503: UndeclaredThrowableException without a message
    the server failed with status 500: no reason given
    ");
}

#[test]
fn only_a_not_found_exception_says_that_a_thing_is_unknown() {
    let io = r#"{"RemoteException":{"exception":"IOException","message":"disk","javaClassName":"java.io.IOException"}}"#;
    assert!(Error::from_answer(StatusCode::NOT_FOUND, UNKNOWN_APP.as_bytes()).is_unknown());
    assert!(!Error::from_answer(StatusCode::NOT_FOUND, io.as_bytes()).is_unknown());
}

#[test]
fn a_503_is_worth_another_try_only_if_the_exception_says_so() {
    let transient =
        |body: &str| Error::from_answer(StatusCode::SERVICE_UNAVAILABLE, body.as_bytes()).is_transient();
    assert!(!transient(XML));
    assert!(transient(
        r#"{"RemoteException":{"exception":"StandbyException","message":"m","javaClassName":"org.apache.hadoop.ipc.StandbyException"}}"#
    ));
}

#[test]
fn addresses_and_their_fates_are_listed_once_each() {
    let mut tried = Tried::default();
    tried.note("http://rm1:8088", "connection refused".to_owned());
    tried.note("http://rm2:8088", "no answer".to_owned());
    tried.note("http://rm1:8088", "standby".to_owned());
    let unreachable = Error::Unreachable { tried: tried.clone() };
    let deadline = Error::Deadline {
        after: Duration::from_millis(250),
        tried,
    };
    insta::assert_snapshot!(format!("{unreachable}\n{deadline}"), @r"
    no ResourceManager answered: http://rm1:8088: standby; http://rm2:8088: no answer
    no answer within 250 ms: http://rm1:8088: standby; http://rm2:8088: no answer
    ");
}

proptest! {
    #[test]
    fn no_body_makes_the_reader_panic(body in any::<Vec<u8>>()) {
        let _ = RemoteException::parse(&body).to_string();
    }
}

#[test]
fn want_of_rights_is_told_apart_from_a_wrong_request() {
    let denied = r#"{"RemoteException":{"exception":"BadRequestException","message":"org.apache.hadoop.security.AccessControlException: User ada does not have permission to submit application_1_0003 to queue closed","javaClassName":"org.apache.hadoop.yarn.webapp.BadRequestException"}}"#;
    let error = Error::from_answer(StatusCode::BAD_REQUEST, denied.as_bytes());
    assert!(matches!(error, Error::Forbidden { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "not permitted: `User ada does not have permission to submit application_1_0003 to queue closed`"
    );
}
