use std::collections::BTreeMap;

use super::{
    AclKind, LocalResource, LocalResourceKind, LogAggregation, SecretBytes, SecretText, SubmissionContext,
    SubmissionProblem, Visibility,
};
use crate::model::Resource;

fn minimal() -> SubmissionContext {
    let mut app = SubmissionContext::new("application_1717955085543_0001".parse().unwrap());
    app.container.commands = vec!["./am".to_owned(), "1><LOG_DIR>/stdout".to_owned()];
    app
}

fn full() -> SubmissionContext {
    let mut app = minimal();
    app.name = "word-count".to_owned();
    app.application_type = "DRAWLOOM".to_owned();
    app.queue = Some("root.prod".to_owned());
    app.priority = Some(3);
    app.cancel_tokens_when_complete = Some(false);
    app.max_app_attempts = Some(2);
    app.keep_containers_across_application_attempts = true;
    app.attempt_failures_validity_interval = Some(3_600_000);
    app.tags = vec!["etl".to_owned(), "nightly".to_owned()];
    app.resource = Resource::new(256, 1);
    app.log_aggregation_context = Some(LogAggregation::default());
    app.container.environment = BTreeMap::from([("LANG".to_owned(), "C.UTF-8".to_owned())]);
    let binary = LocalResource {
        url: "hdfs://ns/user/alice/.staging/am".to_owned(),
        kind: LocalResourceKind::File,
        visibility: Visibility::Private,
        size: 9_000_000,
        timestamp: 1_717_955_085_543,
    };
    app.container.local_resources.insert("am".to_owned(), binary);
    app.container
        .credentials
        .secrets
        .insert("key".to_owned(), SecretBytes(vec![0xfb, 0xff, 0xfe, 0]));
    app.container
        .credentials
        .tokens
        .insert("hdfs".to_owned(), SecretText("GgoNCgk_zEQ".to_owned()));
    app.container.acls.insert(AclKind::ViewApp, "u1,u2 g1".to_owned());
    app.container.acls.insert(AclKind::ModifyApp, " ".to_owned());
    app
}

#[test]
fn a_full_body_has_every_field_in_the_form_the_resource_manager_reads() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&full()).unwrap());
}

#[test]
fn a_minimal_body_leaves_out_what_was_not_given() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&minimal()).unwrap(), @r#"
    {
      "application-id": "application_1717955085543_0001",
      "application-name": "",
      "resource": {
        "memory": 1024,
        "vCores": 1
      },
      "am-container-spec": {
        "commands": {
          "command": "./am 1><LOG_DIR>/stdout"
        }
      }
    }
    "#);
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let text = format!("{:?}", full());
    assert!(!text.contains("GgoNCgk") && !text.contains("251"), "{text}");
    assert!(text.contains("SecretBytes(4 bytes)"), "{text}");
}

#[test]
fn a_good_submission_has_no_problems() {
    assert_eq!(full().problems(), []);
}

#[test]
fn all_problems_are_reported_together() {
    let mut app = full();
    app.container.commands.clear();
    app.tags = (0..11)
        .map(|n| n.to_string())
        .chain(["ü".to_owned(), "a,b".to_owned()])
        .collect();
    app.application_type = "a-type-that-is-too-long".to_owned();
    app.container
        .environment
        .insert("A-B".to_owned(), "say \"hi\"".to_owned());
    let problems = app.problems();
    let texts: Vec<String> = problems.iter().map(SubmissionProblem::to_string).collect();
    insta::assert_snapshot!(texts.join("\n"));
}
