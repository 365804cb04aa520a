//! What the ResourceManager's REST says of the cluster and of lists.

use serde_json::json;

use super::case::{Case, case};
use super::lab::{JSON, Yarn, ask, holds};

pub(crate) const CASES: &[Case] = &[
    case!(
        info_names_state_and_release,
        "`RMWebServices.getClusterInfo`: STARTED, ACTIVE without HA, release, id = start time"
    ),
    case!(
        the_root_of_the_api_is_the_info,
        "`RMWebServices.get`: `/ws/v1/cluster` answers as `/info`"
    ),
    case!(
        metrics_count_nodes_and_memory,
        "`ClusterMetricsInfo`: whole numbers for nodes, memory, cores and applications"
    ),
    case!(
        nodes_are_a_list_with_capacity,
        "`NodesInfo`: `node` is a list, each with state, rack and resources"
    ),
    case!(
        states_of_nodes_filter_in_any_case,
        "`RMWebServices.getNodes`: `states` is read in upper case"
    ),
    case!(no_nodes_are_an_empty_object, "`NodesInfo`: an empty list is `{}`"),
    case!(
        a_node_is_found_by_its_id,
        "`RMWebServices.getNode`: `{node}` under its host:port"
    ),
    case!(
        an_unknown_node_is_not_found,
        "`RMWebServices.getNode`: 404 NotFoundException `nodeId, …, is not found`"
    ),
    case!(
        the_scheduler_shows_its_queues,
        "`CapacitySchedulerInfo`: type, and `queues.queue` with the leaf `default`"
    ),
    case!(
        the_active_one_says_so,
        "`IsResourceManagerActiveServlet`: 200 `I am Active!`"
    ),
    case!(
        the_web_root_leads_to_the_cluster_page,
        "`RMWebApp`: `/` is a 302 to `/cluster`"
    ),
    case!(an_unknown_path_is_not_found, "Jersey: an unknown path is 404"),
    case!(
        no_applications_are_an_empty_object,
        "`AppsInfo`: an empty list is `{\"apps\":{}}`"
    ),
    case!(
        an_unknown_state_is_refused_with_the_list,
        "`ApplicationsRequestBuilder.checkAppStates`: 400 that lists the legal names"
    ),
    case!(
        an_unknown_application_is_not_found,
        "`RMWebServices.getRMAppForAppId`: 404 NotFoundException `app with id: … not found`"
    ),
    case!(
        a_malformed_id_is_a_bad_request,
        "`WebAppUtils.parseApplicationId`: 400 BadRequestException"
    ),
    case!(
        errors_name_the_java_class,
        "`GenericExceptionHandler`: RemoteException with exception, message, javaClassName"
    ),
    case!(
        lists_filter_by_type_tag_and_user,
        "`RMWebServices.getApps`: `applicationTypes`, `applicationTags`, `user`, `limit`"
    ),
    case!(
        activities_of_an_application_wait_for_display,
        "`RMWebServices.getAppActivities`: nothing recorded yet says so"
    ),
];

async fn info_names_state_and_release(yarn: &Yarn) {
    let info = yarn.get("/info").await.json()["clusterInfo"].take();
    assert_eq!(
        (&info["state"], &info["haState"]),
        (&json!("STARTED"), &json!("ACTIVE"))
    );
    assert_eq!(info["hadoopVersion"], "3.4.3");
    assert_eq!(info["id"], info["startedOn"]);
}

async fn the_root_of_the_api_is_the_info(yarn: &Yarn) {
    let (root, info) = (yarn.get("/").await.json(), yarn.get("/info").await.json());
    assert_eq!(root["clusterInfo"]["id"], info["clusterInfo"]["id"]);
}

async fn metrics_count_nodes_and_memory(yarn: &Yarn) {
    let metrics = yarn.get("/metrics").await.json()["clusterMetrics"].take();
    assert_eq!(
        (&metrics["activeNodes"], &metrics["totalNodes"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(
        (&metrics["totalMB"], &metrics["totalVirtualCores"]),
        (&json!(8192), &json!(16))
    );
    let sums = ["availableMB", "allocatedMB", "reservedMB"].map(|name| metrics[name].as_i64().unwrap());
    assert_eq!(sums.iter().sum::<i64>(), 8192);
    for name in [
        "appsSubmitted",
        "appsRunning",
        "appsPending",
        "appsFailed",
        "appsKilled",
        "containersAllocated",
    ] {
        assert!(metrics[name].is_u64(), "{name}: {metrics}");
    }
}

async fn nodes_are_a_list_with_capacity(yarn: &Yarn) {
    let nodes = yarn.get("/nodes").await.json();
    let nodes = nodes["nodes"]["node"].as_array().unwrap();
    assert_eq!(nodes.len(), 2);
    for node in nodes {
        assert_eq!(
            (&node["state"], &node["rack"]),
            (&json!("RUNNING"), &json!("/default-rack"))
        );
        let memory = ["usedMemoryMB", "availMemoryMB"].map(|name| node[name].as_i64().unwrap());
        assert_eq!(memory.iter().sum::<i64>(), 4096);
        assert!(
            node["id"]
                .as_str()
                .unwrap()
                .starts_with(node["nodeHostName"].as_str().unwrap())
        );
    }
}

async fn states_of_nodes_filter_in_any_case(yarn: &Yarn) {
    let running = yarn.get("/nodes?states=running").await.json();
    assert_eq!(running["nodes"]["node"].as_array().unwrap().len(), 2);
}

async fn no_nodes_are_an_empty_object(yarn: &Yarn) {
    assert_eq!(yarn.get("/nodes?states=LOST").await.json(), json!({"nodes": {}}));
}

async fn a_node_is_found_by_its_id(yarn: &Yarn) {
    let nodes = yarn.get("/nodes").await.json();
    let id = nodes["nodes"]["node"][0]["id"].as_str().unwrap();
    assert_eq!(yarn.get(&format!("/nodes/{id}")).await.json()["node"]["id"], id);
}

async fn an_unknown_node_is_not_found(yarn: &Yarn) {
    let (status, exception, message) = yarn.get("/nodes/nowhere:1").await.error();
    assert_eq!((status, exception.as_str()), (404, "NotFoundException"));
    holds(&message, &["nodeId, nowhere:1, is not found"]);
}

async fn the_scheduler_shows_its_queues(yarn: &Yarn) {
    let info = yarn.get("/scheduler").await.json()["scheduler"]["schedulerInfo"].take();
    assert_eq!(
        (&info["type"], &info["queueName"]),
        (&json!("capacityScheduler"), &json!("root"))
    );
    let leaf = &info["queues"]["queue"][0];
    assert_eq!(
        (&leaf["queueName"], &leaf["state"]),
        (&json!("default"), &json!("RUNNING"))
    );
    assert_eq!(
        (&leaf["queuePath"], &leaf["capacity"]),
        (&json!("root.default"), &json!(100.0))
    );
}

async fn the_active_one_says_so(yarn: &Yarn) {
    let answer = ask(yarn.web(), "GET", "/isActive", "", "").await;
    assert_eq!((answer.status, answer.text.trim()), (200, "I am Active!"));
}

async fn the_web_root_leads_to_the_cluster_page(yarn: &Yarn) {
    let answer = ask(yarn.web(), "GET", "/", "", "").await;
    assert_eq!(answer.status, 302);
    assert!(
        answer.header("location").ends_with("/cluster"),
        "{}",
        answer.header("location")
    );
}

async fn an_unknown_path_is_not_found(yarn: &Yarn) {
    assert_eq!(yarn.get("/no/such/thing").await.status, 404);
}

async fn no_applications_are_an_empty_object(yarn: &Yarn) {
    assert_eq!(
        yarn.get("/apps?user=nobody-at-all").await.json(),
        json!({"apps": {}})
    );
}

async fn an_unknown_state_is_refused_with_the_list(yarn: &Yarn) {
    let (status, exception, message) = yarn.get("/apps?states=BOGUS").await.error();
    assert_eq!((status, exception.as_str()), (400, "BadRequestException"));
    holds(
        &message,
        &[
            "Invalid application-state",
            "BOGUS",
            "It should be one of",
            "NEW_SAVING",
            "KILLED",
        ],
    );
}

async fn an_unknown_application_is_not_found(yarn: &Yarn) {
    let (status, exception, message) = yarn.get("/apps/application_1_0001").await.error();
    assert_eq!((status, exception.as_str()), (404, "NotFoundException"));
    assert_eq!(
        message,
        "java.lang.Exception: app with id: application_1_0001 not found"
    );
}

async fn a_malformed_id_is_a_bad_request(yarn: &Yarn) {
    let (status, exception, _) = yarn.get("/apps/nonsense").await.error();
    assert_eq!((status, exception.as_str()), (400, "BadRequestException"));
}

async fn errors_name_the_java_class(yarn: &Yarn) {
    let error = yarn.get("/apps/application_1_0001").await.json();
    let class = &error["RemoteException"]["javaClassName"];
    assert_eq!(class, "org.apache.hadoop.yarn.webapp.NotFoundException");
}

async fn lists_filter_by_type_tag_and_user(yarn: &Yarn) {
    let more = json!({"application-type": "ODD", "application-tags": {"tag": ["odd-tag"]}});
    let id = yarn.submit("true", more).await.to_string();
    for filter in [
        "applicationTypes=ODD",
        "applicationTags=odd-tag",
        "applicationTypes=ODD&user=ada&limit=1",
    ] {
        let found = yarn.get(&format!("/apps?{filter}")).await.json();
        let ids: Vec<_> = found["apps"]["app"]
            .as_array()
            .unwrap()
            .iter()
            .map(|app| &app["id"])
            .collect();
        assert_eq!(ids, [&json!(id)], "{filter}");
    }
}

async fn activities_of_an_application_wait_for_display(yarn: &Yarn) {
    let id = yarn.submit("true", json!({})).await;
    let path = format!("/ws/v1/cluster/scheduler/app-activities/{id}");
    let answer = ask(yarn.web(), "GET", &path, JSON, "").await.json();
    assert_eq!(answer["appActivities"]["applicationId"], id.to_string());
    assert_eq!(answer["appActivities"]["diagnostic"], "waiting for display");
}
