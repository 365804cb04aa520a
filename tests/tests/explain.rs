//! `drawloom explain` for what only a scheduler with queues, limits and labels makes an application wait for; each cause
//! is made real and what the person reads is stored. All others are in the suite `client`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::application::{Application, STEP};
use harness::hadoop::{Hadoop, Shared, Site};
use harness::process::Drawloom;
use harness::snapshot::steady;
use harness::user::User;
use harness::wait;
use serde_json::{Value, json};

/// Two nodes of 4 GiB; a queue for each cause.
static HADOOP: Shared = Shared::new(|| {
    let queues = [
        ("queues", "default,small,share,limited,labelled,closed"),
        ("acl_submit_applications", " "),
        ("acl_administer_queue", " "),
        ("default.capacity", "35"),
        ("default.acl_submit_applications", "*"),
        ("closed.capacity", "5"),
        ("closed.acl_submit_applications", "bob"),
        ("small.acl_submit_applications", "*"),
        ("share.acl_submit_applications", "*"),
        ("limited.acl_submit_applications", "*"),
        ("labelled.acl_submit_applications", "*"),
        ("small.capacity", "10"),
        ("small.maximum-capacity", "10"),
        ("share.capacity", "10"),
        ("share.maximum-am-resource-percent", "0.03"),
        ("limited.capacity", "20"),
        ("limited.user-limit-factor", "0.3"),
        ("labelled.capacity", "20"),
        ("labelled.accessible-node-labels", "gpu"),
        ("labelled.accessible-node-labels.gpu.capacity", "100"),
        ("accessible-node-labels.gpu.capacity", "100"),
    ];
    let begin = Hadoop::builder()
        .nodes(2)
        .property(Site::Yarn, "yarn.node-labels.enabled", true)
        .property(Site::Yarn, "yarn.acl.enable", true)
        .property(Site::Yarn, "yarn.admin.acl", "root");
    queues.into_iter().fold(begin, |builder, (key, value)| {
        let key = format!("yarn.scheduler.capacity.root.{key}");
        builder.property(Site::CapacityScheduler, &key, value)
    })
});

/// An application that waits at the gate with what it got, in its own queue.
fn submitted<'a>(user: &User<'a>, executors: u32, args: &[&str]) -> Application<'a> {
    let gate = user.gate().wait();
    let job = format!(
        "version: 1\nname: waits\nexecutors: {{ instances: {executors}, memory: 256MiB, cores: 1 }}\n\
         stages: [{{ name: work, tasks: {executors}, shell: \"{gate}\" }}]\n"
    );
    let output = user
        .submit_and_wait(&job, &[&["--detach"], args].concat())
        .unwrap();
    output.must_end(0, &[]);
    Application::new(user.hadoop(), output.stdout.trim_end())
}

/// What explain says, once its first reason has this code; the application is killed then.
fn explained(user: &User<'_>, application: &Application<'_>, code: &str) -> String {
    let mut last = String::new();
    let found = wait::until(code, STEP, || {
        last = user.must(["explain", application.id(), "-o", "json"]).unwrap();
        let json: Value = serde_json::from_str(&last).unwrap();
        json["reasons"][0]["code"] == code
    });
    found.unwrap_or_else(|error| panic!("{error:#}; explain says {last}"));
    let terminal = user.drawloom(["explain", application.id()]).on_terminal(80);
    let (code, text) = terminal.unwrap().finish(STEP).unwrap();
    assert_eq!(code, Some(0), "{text}");
    user.must(["kill", application.id()]).unwrap();
    let (_, number) = application.id().rsplit_once('_').unwrap();
    steady(&text, &["waited for ", "oldest "]).replace(&format!("_T_{number}"), "_T_NNNN")
}

#[test]
fn the_queue_is_full() {
    let user = User::new(HADOOP.get(), "full").unwrap();
    let application = submitted(&user, 4, &["--queue", "small"]);
    wait::until("those that fit", STEP, || user.gate().arrivals().len() == 2).unwrap();
    insta::assert_snapshot!(explained(&user, &application, "queue-full"));
}

#[test]
fn the_share_of_masters_is_used_up() {
    let user = User::new(HADOOP.get(), "share").unwrap();
    let first = submitted(&user, 1, &["--queue", "share"]);
    first.wait_state(&["RUNNING"]).unwrap();
    let second = submitted(&user, 1, &["--queue", "share"]);
    insta::assert_snapshot!(explained(&user, &second, "am-share"));
    user.must(["kill", first.id()]).unwrap();
}

#[test]
fn the_user_may_have_no_more() {
    let user = User::new(HADOOP.get(), "grace").unwrap();
    let application = submitted(&user, 4, &["--queue", "limited"]);
    wait::until("those that fit", STEP, || !user.gate().arrivals().is_empty()).unwrap();
    insta::assert_snapshot!(explained(&user, &application, "user-limit"));
}

#[test]
fn no_node_has_the_label() {
    let hadoop = HADOOP.get();
    let labels = json!({ "nodeLabelInfo": [{ "name": "gpu", "exclusivity": true }] });
    let path = "/ws/v1/cluster/add-node-labels?user.name=root";
    let added = hadoop.rm_send("POST", path, &labels).unwrap();
    assert_eq!(added.status, 200, "{}", String::from_utf8_lossy(&added.body));
    let user = User::new(hadoop, "label").unwrap();
    let args = ["--queue", "labelled", "--conf", "node-label=gpu"];
    let application = submitted(&user, 1, &args);
    insta::assert_snapshot!(explained(&user, &application, "label-without-nodes"));
}

#[test]
fn who_may_not_submit_to_a_queue_is_told_so_before_anything_is_staged() {
    let user = User::new(HADOOP.get(), "stranger").unwrap();
    let shown = |command: Drawloom| {
        let (code, screen) = command.on_terminal(80).unwrap().finish(STEP).unwrap();
        assert_eq!(code, Some(3), "{screen}");
        screen
    };
    let run = user.drawloom(["run", "--queue", "closed", "--", "true"]);
    insta::assert_snapshot!(shown(run));
    assert_eq!(user.list(".drawloom").unwrap(), None);
    let doctor = shown(user.drawloom(["doctor", "--queue", "closed"]));
    assert!(
        doctor.contains("fail submission       stranger may not submit"),
        "{doctor}"
    );
    // Who does not know of the lists learns it from YARN.
    let conf = user.dir().join("conf");
    std::fs::create_dir(&conf).unwrap();
    for name in ["core-site.xml", "hdfs-site.xml", "yarn-site.xml"] {
        let text = std::fs::read_to_string(HADOOP.get().conf_dir().join(name)).unwrap();
        std::fs::write(conf.join(name), text.replace("yarn.acl.enable", "unknown")).unwrap();
    }
    let run = ["run", "--conf-dir", "conf", "--queue", "closed", "--", "true"];
    let denied = shown(user.drawloom(run));
    for words in [
        "not permitted: `User stranger does not have permission to submit",
        "ask the cluster's operators",
    ] {
        assert!(denied.contains(words), "no {words:?} in {denied}");
    }
    assert_eq!(user.staged().unwrap(), [""; 0]);
}
