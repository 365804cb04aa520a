//! `allocate` as a heartbeat: numbers, repetition, what comes with it.

use serde_json::json;
use yarn_rpc::error::RpcError;
use yarn_rpc::proto::yarn as pb;

use super::case::{Case, case};
use super::lab::Yarn;
use super::master::{Master, any, refused};

pub(crate) const CASES: &[Case] = &[
    case!(
        numbers_rise_by_one,
        "`ApplicationMasterService.allocate`: 0 after registration, then one more with every answer"
    ),
    case!(
        the_number_before_gets_the_same_answer,
        "`ApplicationMasterService.allocate`: the answer of the last heartbeat again"
    ),
    case!(
        a_repeated_heartbeat_has_no_effect,
        "`ApplicationMasterService.allocate`: asks of a repetition are ignored"
    ),
    case!(
        another_number_is_refused,
        "`ApplicationMasterService.allocate`: `expect responseId to be … but get …`"
    ),
    case!(no_number_counts_as_zero, "protobuf default of `response_id`"),
    case!(
        a_refused_heartbeat_leaves_the_number,
        "`ApplicationMasterService.allocate`: a call that fails is as if never made"
    ),
    case!(nodes_are_counted, "`AllocateResponse.num_cluster_nodes`"),
    case!(
        headroom_is_told,
        "`AllocateResponse.limit`: no more memory than the cluster has, some of it"
    ),
    case!(
        the_applications_priority_is_told,
        "`AllocateResponse.application_priority`: -1 where none was given"
    ),
    case!(
        progress_is_shown,
        "`AppInfo.progress` is 100 times the last heartbeat's"
    ),
    case!(
        progress_is_clamped,
        "`ApplicationMasterService.allocate`: NaN and below 0 are 0, above 1 is 1"
    ),
    case!(
        a_node_token_comes_once,
        "`NMTokenSecretManagerInRM`: one token per attempt and node"
    ),
    case!(
        no_token_is_renewed_without_need,
        "`AllocateResponse.am_rm_token` only while a key rolls"
    ),
];

async fn numbers_rise_by_one(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let mut numbers = Vec::new();
    for _ in 0..3 {
        numbers.push(master.beat().await.response_id());
    }
    assert_eq!(numbers, [1, 2, 3]);
}

async fn the_number_before_gets_the_same_answer(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let (before, answer) = (master.response_id, master.beat().await);
    assert_eq!(
        master
            .allocate_as(Some(before), Default::default())
            .await
            .unwrap(),
        answer
    );
}

async fn a_repeated_heartbeat_has_no_effect(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let before = master.response_id;
    master.beat().await;
    let asking = pb::AllocateRequestProto {
        ask: vec![any(1)],
        ..Default::default()
    };
    master.allocate_as(Some(before), asking).await.unwrap();
    let answers = master.some_beats().await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.allocated_containers.is_empty())
    );
}

async fn another_number_is_refused(yarn: &Yarn) {
    let mut master = yarn.master().await;
    for _ in 0..3 {
        master.beat().await;
    }
    for wrong in [0, 1, 4, -1] {
        let words = format!(
            "Invalid responseId in AllocateRequest from application attempt: {} expect responseId to be 3 but get {wrong}",
            master.attempt
        );
        let answer = master.allocate_as(Some(wrong), Default::default()).await;
        refused(answer, "InvalidApplicationMasterRequestException", &words);
    }
}

async fn no_number_counts_as_zero(yarn: &Yarn) {
    let master = yarn.master().await;
    assert_eq!(
        master
            .allocate_as(None, Default::default())
            .await
            .unwrap()
            .response_id(),
        1
    );
}

async fn a_refused_heartbeat_leaves_the_number(yarn: &Yarn) {
    let mut master = yarn.master().await;
    master.beat().await;
    assert!(master.ask(vec![super::master::sized(99_999, 1)]).await.is_err());
    assert_eq!(master.beat().await.response_id(), 2);
}

async fn nodes_are_counted(yarn: &Yarn) {
    assert_eq!(yarn.master().await.beat().await.num_cluster_nodes(), 2);
}

async fn headroom_is_told(yarn: &Yarn) {
    let memory = yarn.master().await.beat().await.limit.unwrap().memory();
    assert!((1..=8192).contains(&memory), "{memory}");
}

async fn the_applications_priority_is_told(yarn: &Yarn) {
    let priority = yarn.master().await.beat().await.application_priority;
    assert_eq!(priority.unwrap().priority(), -1);
}

async fn beat_with(master: &mut Master, progress: f32) -> Result<pb::AllocateResponseProto, RpcError> {
    master
        .allocate(pb::AllocateRequestProto {
            progress: Some(progress),
            ..Default::default()
        })
        .await
}

async fn progress_is_shown(yarn: &Yarn) {
    let mut master = yarn.master().await;
    beat_with(&mut master, 0.25).await.unwrap();
    yarn.app_with(master.app(), "progress", &json!(25.0)).await;
}

async fn progress_is_clamped(yarn: &Yarn) {
    let mut master = yarn.master().await;
    for (sent, shown) in [(7.0, 100.0), (-3.0, 0.0), (f32::INFINITY, 100.0), (f32::NAN, 0.0)] {
        beat_with(&mut master, sent).await.unwrap();
        yarn.app_with(master.app(), "progress", &json!(shown)).await;
    }
}

async fn a_node_token_comes_once(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let mut asks = vec![any(4)];
        let mut granted = 0;
        while granted < 4 {
            let answer = master.ask(std::mem::take(&mut asks)).await.unwrap();
            granted += answer.allocated_containers.len();
            tokens.extend(answer.nm_tokens.into_iter().map(|token| token.node_id.unwrap()));
            tokio::time::sleep(super::lab::PAUSE).await;
        }
    }
    let all = tokens.len();
    tokens.sort_by_key(|node| node.port());
    tokens.dedup();
    assert_eq!(tokens.len(), all, "{tokens:?}");
    assert!(all <= 2);
}

async fn no_token_is_renewed_without_need(yarn: &Yarn) {
    assert_eq!(yarn.master().await.beat().await.am_rm_token, None);
}
