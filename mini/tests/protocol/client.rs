//! `ApplicationClientProtocol`, as Hadoop's own clients and commands call it.

use mini::Options;
use yarn_rpc::client::{ClientIdentity, RpcClient, RpcConfig};
use yarn_rpc::connection::Protocol;
use yarn_rpc::error::RpcError;
use yarn_rpc::proto::yarn as pb;

use super::lab::{Lab, class_of};

fn client(lab: &Lab, user: &str) -> RpcClient {
    RpcClient::new(
        vec![lab.cluster.client_address().to_owned()],
        Protocol::APPLICATION_CLIENT,
        ClientIdentity::User(user.to_owned()),
        RpcConfig::default(),
    )
}

async fn lab() -> Lab {
    Lab::start(Options::default()).await
}

#[tokio::test]
async fn an_application_is_submitted_seen_and_killed_by_name() {
    let lab = lab().await;
    let rpc = client(&lab, "ada");
    let new: pb::GetNewApplicationResponseProto = rpc
        .call("getNewApplication", &pb::GetNewApplicationRequestProto {})
        .await
        .unwrap();
    let context = pb::ApplicationSubmissionContextProto {
        application_id: new.application_id,
        application_name: Some("by rpc".into()),
        application_type: Some("TEST".into()),
        am_container_spec: Some(pb::ContainerLaunchContextProto {
            command: vec!["sleep 600".into()],
            ..Default::default()
        }),
        resource: Some((&yarn_rpc::records::Resource::new(100, 1)).into()),
        ..Default::default()
    };
    let request = pb::SubmitApplicationRequestProto {
        application_submission_context: Some(context),
    };
    let _: pb::SubmitApplicationResponseProto = rpc.call("submitApplication", &request).await.unwrap();
    let list: pb::GetApplicationsResponseProto = rpc
        .call(
            "getApplications",
            &pb::GetApplicationsRequestProto {
                application_types: vec!["TEST".into()],
                ..Default::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(list.applications.len(), 1);
    let report = &list.applications[0];
    assert_eq!(
        (report.user(), report.name(), report.queue()),
        ("ada", "by rpc", "root.default")
    );
    let kill = pb::KillApplicationRequestProto {
        application_id: new.application_id,
        diagnostics: Some("enough".into()),
    };
    let mut kills = Vec::new();
    for _ in 0..2 {
        let answer: pb::KillApplicationResponseProto = rpc.call("forceKillApplication", &kill).await.unwrap();
        kills.push(answer.is_kill_completed());
    }
    assert_eq!(kills, [false, true]);
    let request = pb::GetApplicationReportRequestProto {
        application_id: new.application_id,
    };
    let after: pb::GetApplicationReportResponseProto =
        rpc.call("getApplicationReport", &request).await.unwrap();
    let after = after.application_report.unwrap();
    assert_eq!(
        after.yarn_application_state(),
        pb::YarnApplicationStateProto::Killed
    );
    assert!(
        after
            .diagnostics()
            .ends_with("was killed by user ada with diagnostic message: enough")
    );
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn nodes_metrics_and_queues_are_told() {
    let lab = lab().await;
    let rpc = client(&lab, "ada");
    let nodes: pb::GetClusterNodesResponseProto = rpc
        .call("getClusterNodes", &pb::GetClusterNodesRequestProto::default())
        .await
        .unwrap();
    assert_eq!(nodes.node_reports.len(), 2);
    let metrics: pb::GetClusterMetricsResponseProto = rpc
        .call("getClusterMetrics", &pb::GetClusterMetricsRequestProto {})
        .await
        .unwrap();
    assert_eq!(metrics.cluster_metrics.unwrap().num_node_managers(), 2);
    let request = pb::GetQueueInfoRequestProto {
        queue_name: Some("default".into()),
        ..Default::default()
    };
    let queue: pb::GetQueueInfoResponseProto = rpc.call("getQueueInfo", &request).await.unwrap();
    assert_eq!(queue.queue_info.unwrap().queue_path(), "root.default");
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn what_is_not_there_has_hadoops_classes() {
    let lab = lab().await;
    let rpc = client(&lab, "ada");
    let request = pb::GetApplicationReportRequestProto {
        application_id: Some(hadoop::ids::ApplicationId::new(1, 1).into()),
    };
    let unknown: Result<pb::GetApplicationReportResponseProto, RpcError> =
        rpc.call("getApplicationReport", &request).await;
    let unknown = unknown.unwrap_err();
    assert!(
        class_of(&unknown).ends_with("ApplicationNotFoundException"),
        "{unknown}"
    );
    let labelled = pb::SubmitApplicationRequestProto {
        application_submission_context: Some(pb::ApplicationSubmissionContextProto {
            application_id: request.application_id,
            node_label_expression: Some("gpu".into()),
            ..Default::default()
        }),
    };
    let refused: Result<pb::SubmitApplicationResponseProto, RpcError> =
        rpc.call("submitApplication", &labelled).await;
    let refused = refused.unwrap_err();
    assert!(
        class_of(&refused).ends_with("InvalidLabelResourceRequestException"),
        "{refused}"
    );
    lab.cluster.shutdown().await;
}
