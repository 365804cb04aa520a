//! Asks, grants, releases, blacklists.

use hadoop::ids::ContainerId;
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::Container;

use super::case::{Case, case};
use super::lab::Yarn;
use super::master::{Master, any, named, records, refused, shell, sized};

pub(crate) const CASES: &[Case] = &[
    case!(
        a_grant_tells_node_size_and_key,
        "`Container`: id of the attempt, node, size, priority, allocation request id, token"
    ),
    case!(
        ids_go_on_after_the_masters_own,
        "`ContainerIdProto`: the master's container is 1"
    ),
    case!(
        memory_is_rounded_up_to_the_unit,
        "`SchedulerUtils.normalizeRequest`: 0, 1, 65, 300 MiB become 64, 64, 128, 320"
    ),
    case!(
        cores_do_not_count,
        "`DefaultResourceCalculator`: 4 cores asked, 1 granted"
    ),
    case!(
        a_count_of_zero_takes_back,
        "`AppSchedulingInfo.updateResourceRequests`: 0 cancels"
    ),
    case!(
        a_count_is_what_is_outstanding,
        "`AppSchedulingInfo`: the same count after its grants asks for as many again"
    ),
    case!(
        one_key_has_one_size,
        "`AppSchedulingInfo`: a later size replaces the earlier one"
    ),
    case!(
        request_ids_are_apart,
        "`SchedulerRequestKey`: sizes of different allocation request ids are all granted"
    ),
    case!(
        priorities_are_apart,
        "`SchedulerRequestKey`: sizes of different priorities are all granted"
    ),
    case!(
        too_much_memory_is_refused_in_words,
        "`SchedulerUtils.validateResourceRequest`: InvalidResourceRequestException with asked and maximum"
    ),
    case!(
        too_many_cores_are_refused,
        "`SchedulerUtils`: cores above the maximum, though they do not count"
    ),
    case!(
        negative_memory_is_refused,
        "`SchedulerUtils`: `requested resource is less than 0`"
    ),
    case!(
        labels_are_refused_where_there_are_none,
        "`SchedulerUtils`: InvalidLabelResourceRequestException"
    ),
    case!(
        everything_cannot_be_blacklisted,
        "`RMServerUtils.validateBlacklistRequest`: `Cannot add * to the blacklist!`"
    ),
    case!(
        others_containers_cannot_be_released,
        "`RMServerUtils.validateContainerReleaseRequest`: InvalidContainerReleaseException"
    ),
    case!(
        an_unknown_container_is_released_in_silence,
        "`validateContainerReleaseRequest`: only the attempt is looked at"
    ),
    case!(
        an_ask_without_size_is_a_null_pointer,
        "`SchedulerUtils`: NullPointerException"
    ),
    case!(
        one_bad_ask_spoils_the_heartbeat,
        "`DefaultAMSProcessor.allocate`: nothing of the call has any effect"
    ),
    case!(
        a_released_grant_is_reported,
        "`SchedulerUtils.RELEASED_CONTAINER`: -100 `Container released by application`"
    ),
    case!(
        a_released_container_is_killed,
        "`RMNodeImpl` containersToClean: its process ends"
    ),
    case!(
        a_grant_that_is_not_used_expires,
        "`ContainerAllocationExpirer`: -100 `Container expired since it was unused`"
    ),
    case!(
        a_strict_node_is_kept,
        "`relax_locality` false on rack and `*`: only the named node"
    ),
    case!(
        a_node_alone_is_never_granted,
        "`LocalityAppPlacementAllocator`: a node without rack and `*` gets nothing"
    ),
    case!(
        a_strict_unknown_node_waits_for_ever,
        "`relax_locality` false: not placed elsewhere"
    ),
    case!(
        a_relaxed_unknown_node_goes_elsewhere,
        "`yarn.scheduler.capacity.node-locality-delay`: in the end it is placed elsewhere"
    ),
    case!(
        a_blacklisted_node_gets_nothing,
        "`AppPlacementAllocator`: host:port names of `include-port-in-node-name`"
    ),
    case!(a_blacklist_can_be_lifted, "`ResourceBlacklistRequest.removals`"),
    case!(
        a_whole_cluster_of_asks_waits,
        "`CapacityScheduler`: what does not fit stays outstanding until there is room"
    ),
];

async fn a_grant_tells_node_size_and_key(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let ask = pb::ResourceRequestProto {
        priority: Some(pb::PriorityProto { priority: Some(7) }),
        allocation_request_id: Some(42),
        ..any(1)
    };
    let granted = master.granted(vec![ask], 1).await.remove(0);
    assert_eq!((granted.priority.0, granted.allocation_request_id.0), (7, 42));
    assert_eq!(
        (granted.id.attempt, granted.resource.memory_mb),
        (master.attempt, 64)
    );
    assert!(granted.token.is_some());
    let nodes = yarn.get("/nodes").await.json();
    let known = nodes["nodes"]["node"].as_array().unwrap().iter();
    let mut known = known.filter(|node| node["id"] == granted.node.to_string());
    assert_eq!(
        known.next().unwrap()["nodeHTTPAddress"],
        granted.node_http_address
    );
}

async fn ids_go_on_after_the_masters_own(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let mut ids: Vec<ContainerId> = master.containers(2).await.iter().map(|one| one.id).collect();
    ids.sort();
    assert_eq!(
        ids,
        [
            ContainerId::new(master.attempt, 2),
            ContainerId::new(master.attempt, 3)
        ]
    );
}

/// Asks for one container of this size; what it is.
async fn size_of(master: &mut Master, memory: i64, cores: i32) -> (u64, u32) {
    let granted = master.granted(vec![sized(memory, cores)], 1).await.remove(0);
    (granted.resource.memory_mb, granted.resource.vcores)
}

async fn memory_is_rounded_up_to_the_unit(yarn: &Yarn) {
    let mut master = yarn.master().await;
    for (asked, granted) in [(0, 64), (1, 64), (65, 128), (300, 320)] {
        assert_eq!(size_of(&mut master, asked, 1).await.0, granted, "{asked}");
    }
}

async fn cores_do_not_count(yarn: &Yarn) {
    assert_eq!(size_of(&mut yarn.master().await, 64, 4).await, (64, 1));
}

fn grants(answers: &[pb::AllocateResponseProto]) -> Vec<Container> {
    answers.iter().flat_map(records).collect()
}

async fn a_count_of_zero_takes_back(yarn: &Yarn) {
    let mut master = yarn.master().await;
    // A strict node that is not there: outstanding for ever.
    master
        .ask(vec![
            named("nowhere:1", 1, true),
            named("/default-rack", 1, false),
            named("*", 1, false),
        ])
        .await
        .unwrap();
    master
        .ask(vec![
            named("nowhere:1", 0, true),
            named("/default-rack", 0, true),
            named("*", 0, true),
        ])
        .await
        .unwrap();
    assert!(grants(&master.some_beats().await).is_empty());
    assert_eq!(
        yarn.app(master.app()).await["resourceRequests"],
        serde_json::Value::Null
    );
}

async fn a_count_is_what_is_outstanding(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let first = master.containers(2).await;
    let second = master.containers(2).await;
    assert_eq!(first.len() + second.len(), 4);
    assert!(grants(&master.some_beats().await).is_empty());
}

/// Asks for a size that is never given, changes the ask, and looks at what comes.
async fn one_key_has_one_size(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let granted = master.granted(vec![sized(64, 1), sized(128, 1)], 1).await;
    assert_eq!(granted[0].resource.memory_mb, 128);
    assert!(grants(&master.some_beats().await).is_empty());
}

fn sizes(granted: &[Container]) -> Vec<u64> {
    let mut sizes: Vec<u64> = granted.iter().map(|one| one.resource.memory_mb).collect();
    sizes.sort_unstable();
    sizes
}

async fn request_ids_are_apart(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let ask = |id, memory| pb::ResourceRequestProto {
        allocation_request_id: Some(id),
        ..sized(memory, 1)
    };
    let granted = master.granted(vec![ask(1, 64), ask(2, 128)], 2).await;
    assert_eq!(sizes(&granted), [64, 128]);
}

async fn priorities_are_apart(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let ask = |priority, memory| pb::ResourceRequestProto {
        priority: Some(pb::PriorityProto {
            priority: Some(priority),
        }),
        ..sized(memory, 1)
    };
    let granted = master.granted(vec![ask(1, 64), ask(2, 128)], 2).await;
    assert_eq!(sizes(&granted), [64, 128]);
}

const INVALID: &str = "InvalidResourceRequestException";

async fn too_much_memory_is_refused_in_words(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let words = "Invalid resource request! Cannot allocate containers as requested resource is greater than maximum \
                 allowed allocation. Requested resource type=[memory-mb], Requested resource=<memory:5000, vCores:1>, \
                 maximum allowed allocation=<memory:4096, vCores:8>, please note that maximum allowed allocation is \
                 calculated by scheduler based on maximum resource of registered NodeManagers, which might be less \
                 than configured maximum allocation=<memory:4096, vCores:8>";
    refused(master.ask(vec![sized(5000, 1)]).await, INVALID, words);
}

async fn too_many_cores_are_refused(yarn: &Yarn) {
    let mut master = yarn.master().await;
    refused(
        master.ask(vec![sized(64, 9)]).await,
        INVALID,
        "Requested resource type=[vcores]",
    );
}

async fn negative_memory_is_refused(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let words = "Cannot allocate containers as requested resource is less than 0! Requested resource type=[memory-mb]";
    refused(master.ask(vec![sized(-64, 1)]).await, INVALID, words);
}

async fn labels_are_refused_where_there_are_none(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let labelled = pb::ResourceRequestProto {
        node_label_expression: Some("gpu".into()),
        ..any(1)
    };
    let words = "node label not enabled but request contains label expression";
    refused(
        master.ask(vec![labelled]).await,
        "InvalidLabelResourceRequestException",
        words,
    );
}

fn blacklist(add: &[&str], remove: &[&str]) -> pb::AllocateRequestProto {
    let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    pb::AllocateRequestProto {
        blacklist_request: Some(pb::ResourceBlacklistRequestProto {
            blacklist_additions: texts(add),
            blacklist_removals: texts(remove),
        }),
        ..Default::default()
    }
}

async fn everything_cannot_be_blacklisted(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let answer = master.allocate(blacklist(&["*"], &[])).await;
    refused(
        answer,
        "InvalidResourceBlacklistRequestException",
        "Cannot add * to the blacklist!",
    );
}

fn release(id: ContainerId) -> pb::AllocateRequestProto {
    pb::AllocateRequestProto {
        release: vec![id.into()],
        ..Default::default()
    }
}

async fn others_containers_cannot_be_released(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let foreign = ContainerId::new(hadoop::ids::ApplicationId::new(1, 1).attempt(1), 2);
    let words = format!(
        "Cannot release container : {foreign} not belonging to this application attempt : {}",
        master.attempt
    );
    refused(
        master.allocate(release(foreign)).await,
        "InvalidContainerReleaseException",
        &words,
    );
}

async fn an_unknown_container_is_released_in_silence(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let unknown = ContainerId::new(master.attempt, 999);
    master.allocate(release(unknown)).await.unwrap();
}

async fn an_ask_without_size_is_a_null_pointer(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let sizeless = pb::ResourceRequestProto {
        capability: None,
        ..any(1)
    };
    refused(master.ask(vec![sizeless]).await, "NullPointerException", "");
}

async fn one_bad_ask_spoils_the_heartbeat(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let other = pb::ResourceRequestProto {
        allocation_request_id: Some(5),
        ..sized(99_999, 1)
    };
    assert!(master.ask(vec![any(1), other]).await.is_err());
    assert!(grants(&master.some_beats().await).is_empty());
}

async fn a_released_grant_is_reported(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let id = master.container().await.id;
    let answer = master.allocate(release(id)).await.unwrap();
    let at_once = super::master::ends(&answer)
        .into_iter()
        .find(|end| end.container == id);
    let end = match at_once {
        Some(end) => end,
        None => master.end_of(id).await,
    };
    assert_eq!(
        (end.status, end.diagnostics.as_str()),
        (-100, "Container released by application")
    );
}

async fn a_released_container_is_killed(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let (container, pid) = yarn.ready(&mut master, "exec sleep 300").await;
    master.allocate(release(container.id)).await.unwrap();
    super::lab::wait_for("the process's end", async || {
        master.beat().await;
        (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    })
    .await;
}

async fn a_grant_that_is_not_used_expires(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let container = master.container().await;
    let end = master.end_of(container.id).await;
    assert_eq!(
        (end.status, end.diagnostics.as_str()),
        (-100, "Container expired since it was unused")
    );
    let started = master.nodes().start_container(&container, &shell("true")).await;
    let words = started.unwrap_err().to_string();
    assert!(
        words.contains("This token is expired. current time is"),
        "{words}"
    );
}

/// The id of a node, as asks and blacklists name it.
async fn a_node(yarn: &Yarn) -> String {
    let nodes = yarn.get("/nodes").await.json();
    nodes["nodes"]["node"][1]["id"].as_str().unwrap().to_owned()
}

async fn a_strict_node_is_kept(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let node = a_node(yarn).await;
    let asks = vec![
        named(&node, 3, true),
        named("/default-rack", 3, false),
        named("*", 3, false),
    ];
    let granted = master.granted(asks, 3).await;
    assert!(
        granted.iter().all(|one| one.node.to_string() == node),
        "{granted:?}"
    );
}

async fn a_node_alone_is_never_granted(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let node = a_node(yarn).await;
    master.ask(vec![named(&node, 1, true)]).await.unwrap();
    assert!(grants(&master.some_beats().await).is_empty());
}

async fn a_strict_unknown_node_waits_for_ever(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let asks = vec![
        named("nowhere:1", 1, true),
        named("/default-rack", 1, false),
        named("*", 1, false),
    ];
    master.ask(asks).await.unwrap();
    assert!(grants(&master.some_beats().await).is_empty());
}

async fn a_relaxed_unknown_node_goes_elsewhere(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let asks = vec![
        named("nowhere:1", 1, true),
        named("/default-rack", 1, true),
        named("*", 1, true),
    ];
    assert_eq!(master.granted(asks, 1).await.len(), 1);
}

async fn a_blacklisted_node_gets_nothing(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let node = a_node(yarn).await;
    master.allocate(blacklist(&[&node], &[])).await.unwrap();
    let granted = master.containers(6).await;
    assert!(granted.iter().all(|one| one.node.to_string() != node));
    assert_eq!(yarn.attempts(master.app()).await[0]["blacklistedNodes"], node);
}

async fn a_blacklist_can_be_lifted(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let node = a_node(yarn).await;
    master.allocate(blacklist(&[&node], &[])).await.unwrap();
    let asks = vec![
        named(&node, 1, true),
        named("/default-rack", 1, false),
        named("*", 1, false),
    ];
    master.ask(asks).await.unwrap();
    assert!(grants(&master.some_beats().await).is_empty());
    master.allocate(blacklist(&[], &[&node])).await.unwrap();
    let granted = master.granted(Vec::new(), 1).await;
    assert_eq!(granted[0].node.to_string(), node);
}

async fn a_whole_cluster_of_asks_waits(yarn: &Yarn) {
    let mut master = yarn.master().await;
    // Three nodes' worth of memory where there are two.
    let asks = vec![pb::ResourceRequestProto {
        num_containers: Some(3),
        ..sized(3000, 1)
    }];
    master.ask(asks).await.unwrap();
    let answers = master.some_beats().await;
    assert!(grants(&answers).len() < 3);
    let cancelled = pb::ResourceRequestProto {
        num_containers: Some(0),
        ..sized(3000, 1)
    };
    master.ask(vec![cancelled]).await.unwrap();
}
