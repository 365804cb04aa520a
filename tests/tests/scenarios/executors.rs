//! Executors that die, stand still, use too much, or cannot begin.

use harness::hadoop::Signal;
use harness::wait;
use mini::{Action, Fault, Options, Order, Trigger};
use std::collections::BTreeSet;
use std::time::Duration;

use crate::lab::{Lab, STEP};

fn lab() -> Lab {
    Lab::new(|_: &mut Options| {})
}

#[test]
fn an_executor_that_is_killed_is_replaced_and_its_dossier_says_what_is_known() {
    let lab = lab();
    let job = lab.gated("killed", 2, 4, 2);
    let victim = job.executors().remove(0);
    let container = job.container_of(&victim);
    victim.signal(Signal::KILL);
    job.wait_executors(1, 2);
    let dossier = job.wait_answer("dossiers", "its last words", |list| {
        list[0]["stderrTail"]
            .as_str()
            .is_some_and(|text| text.contains("signal 9"))
    })[0]
        .clone();
    assert_eq!(dossier["executor"], container.as_str(), "{dossier:#}");
    assert_eq!(dossier["exitStatus"], 137);
    assert_eq!(dossier["verdict"], "node");
    assert_eq!(dossier["counts"], true);
    assert_eq!(dossier["tasksTotal"], 1, "{dossier:#}");
    let status = lab.drawloom(&["status", &job.id]).run(STEP).unwrap().stdout;
    assert!(status.contains("was running: stage work, task"), "{status}");
    job.succeed();
}

#[test]
fn executors_that_keep_dying_end_the_application_with_the_reason() {
    let lab = lab();
    // The parent of the task's shell is its executor.
    let script = "kill -9 $PPID; sleep 5";
    let conf = "executor.max-failures=3 executor.relaunch.backoff=10ms";
    let job = lab.job_with("dying", 1, 1, script, conf);
    job.fail(&[
        "executors keep failing",
        "SIGKILL",
        "executor.max-failures is 3",
        "neither YARN nor the ApplicationMaster sent it",
    ]);
}

/// It is gone within milliseconds of its beginning, of which nobody may have heard.
#[test]
fn a_task_that_ends_every_executor_it_is_given_to_is_named_and_ends_its_job() {
    let lab = lab();
    let script = "if [ $DRAWLOOM_TASK = 17 ]; then kill -9 $PPID; sleep 5; fi";
    // Enough executors for the driver's verdict to be the only one.
    let conf = "task.max-failures=2 executor.max-failures=20 executor.relaunch.backoff=10ms";
    let job = lab.job_with("deadly", 2, 40, script, conf);
    job.fail(&["stage work, task 17 ", "executor lost: ended by SIGKILL"]);
}

#[test]
fn all_executors_killed_three_times_cost_only_time() {
    let lab = lab();
    let job = lab.gated("massacre", 3, 6, 3);
    for round in 1..=3 {
        for executor in job.executors() {
            executor.signal(Signal::KILL);
        }
        job.wait_executors(round * 3, 3);
        lab.wait_arrivals(3 + round as usize * 3);
    }
    job.succeed();
}

#[test]
fn a_frozen_executor_is_given_up_and_turned_away_when_it_wakes() {
    let lab = lab();
    let job = lab.gated("frozen", 2, 2, 2);
    let frozen = job.executors().remove(0);
    frozen.signal(Signal::STOP);
    job.wait_executors(1, 2);
    let dossier = job.dossier(1);
    assert!(
        dossier["cause"].as_str().unwrap().contains("no heartbeat"),
        "{dossier:#}"
    );
    frozen.signal(Signal::CONT);
    wait::until("its end", STEP, || frozen.has_ended()).unwrap();
    job.succeed();
}

#[test]
fn a_frozen_executor_that_wakes_in_time_goes_on() {
    let lab = lab();
    let conf = "executor.heartbeat.dead=60s";
    let job = lab.job_with("nap", 2, 2, &lab.gate(), conf);
    lab.wait_arrivals(2);
    let frozen = job.executors().remove(0);
    frozen.signal(Signal::STOP);
    std::thread::sleep(Duration::from_millis(1500));
    frozen.signal(Signal::CONT);
    let output = job.succeed();
    assert!(output.stderr.contains("2 of 2 tasks"), "{output}");
    assert_eq!(lab.arrivals().len(), 2, "no task ran again");
}

#[test]
fn a_guard_that_is_killed_takes_its_tasks_along() {
    let lab = lab();
    let job = lab.gated("guard", 2, 2, 2);
    let executor = job.executors().remove(0);
    let parent = |process: &harness::processes::Process| process.pid == executor.parent;
    let guard = harness::processes::all().into_iter().find(parent).unwrap();
    guard.signal(Signal::KILL);
    job.wait_executors(1, 2);
    wait::until("the executor's end", STEP, || executor.has_ended()).unwrap();
    job.succeed();
}

#[test]
fn files_that_cannot_be_localized_are_named_and_the_next_container_tries_again() {
    // One node, which refuses the first executor's file and no other's.
    let lab = Lab::new(|options| options.nodes = 1);
    let refusal = Order::RefuseFile {
        name: "hadoop-conf.json".to_owned(),
        nth: 1,
        text: "Resource file:/x changed on src filesystem".to_owned(),
    };
    lab.fault("startContainers", 1, Action::Order(refusal));
    let job = lab.job("unlocalized", 3, 3, &lab.gate());
    lab.wait_arrivals(3);
    job.wait_executors(1, 3);
    let dossier = job.dossier(1);
    assert_eq!(dossier["exitStatus"], -1000, "{dossier:#}");
    assert_eq!(dossier["counts"], true, "{dossier:#}");
    let diagnostics = dossier["diagnostics"].as_str().unwrap();
    assert!(diagnostics.contains("changed on src filesystem"), "{dossier:#}");
    job.succeed();
}

#[test]
fn executors_that_cannot_even_begin_end_the_application_with_the_reason() {
    let lab = Lab::new(|options| options.nodes = 1);
    let conf = "executor.max-failures=3 executor.relaunch.backoff=10ms";
    let job = lab.job_with("absent", 1, 1, &lab.gate(), conf);
    lab.wait_arrivals(1);
    lab.replace_binary("exec /is/not/there");
    job.executors()[0].signal(Signal::KILL);
    job.fail(&[
        "executors keep failing",
        "exited with code 127",
        "executor.max-failures is 3",
    ]);
}

#[test]
fn a_container_above_its_memory_is_killed_by_yarn_and_the_advice_has_a_number() {
    let lab = Lab::new(|options| options.memory_check = Some(Duration::from_millis(100)));
    let gate = lab.gate();
    let script = format!(
        "if [ $DRAWLOOM_TASK_ATTEMPT = 0 ]; then head -c 400M /dev/zero | tail | sleep 20; fi\n{gate}"
    );
    let job = lab.job_with("fat", 1, 1, &script, "executor.memory.enforced=false");
    let dossier = job.dossier(1);
    assert_eq!(dossier["verdict"], "resource", "{dossier:#}");
    let advice = dossier["advice"].as_str().unwrap();
    assert!(
        advice.contains("asked 256 MiB, peak ") && advice.contains("set executors.memory to "),
        "{advice}"
    );
    job.succeed();
}

#[test]
fn a_task_that_fills_its_container_fails_and_its_executor_and_neighbours_go_on() {
    let lab = lab();
    let gate = lab.gate();
    let script = format!(
        "if [ $DRAWLOOM_TASK_ATTEMPT = 0 ]; then head -c 400M /dev/zero | tail | sleep 20; fi\n{gate}"
    );
    let job = lab.job("full", 2, 2, &script);
    let summary = job.wait_summary("two failures", |summary| summary["tasks"]["failedAttempts"] == 2);
    assert_eq!(summary["executors"]["lost"], 0, "{summary:#}");
    let cause = summary["failures"][0]["cause"].as_str().unwrap().to_owned();
    assert!(cause.contains("in a container of 256 MiB"), "{cause}");
    job.succeed();
}

#[test]
fn a_task_that_crashes_fails_alone() {
    let lab = lab();
    let gate = lab.gate();
    let script =
        format!("if [ $DRAWLOOM_TASK = 0 -a $DRAWLOOM_TASK_ATTEMPT = 0 ]; then kill -SEGV $$; fi\n{gate}");
    let job = lab.job("crash", 2, 2, &script);
    let summary = job.wait_summary("the failure", |summary| summary["tasks"]["failedAttempts"] == 1);
    assert_eq!(summary["executors"]["lost"], 0);
    assert!(
        summary["failures"][0]["cause"]
            .as_str()
            .unwrap()
            .contains("SIGSEGV"),
        "{summary:#}"
    );
    job.succeed();
}

#[test]
fn tasks_that_use_all_processor_time_do_not_make_executors_silent() {
    let lab = lab();
    let gate = lab.gate();
    let spin = "for n in 1 2 3 4; do while :; do :; done & done; sleep 4; kill $(jobs -p)";
    let job = lab.job("spin", 2, 2, &format!("{spin}\n{gate}"));
    lab.wait_arrivals(2);
    job.wait_executors(0, 2);
    job.succeed();
}

#[test]
fn an_executor_larger_than_any_container_is_refused_with_the_limit() {
    let lab = lab();
    let text = "version: 1\nname: huge\nexecutors: { instances: 1, memory: 99GiB }\nstages: [{ name: a, tasks: 1, command: [\"true\"] }]\n";
    std::fs::write(lab.home().join("huge.yaml"), text).unwrap();
    let output = lab.drawloom(&["submit", "huge.yaml"]).run(STEP).unwrap();
    output.must_end(3, &["largest container has 4GiB"]);
}

#[test]
fn a_resource_that_the_cluster_does_not_have_is_refused_before_anything_is_asked_for() {
    let lab = lab();
    let args = ["run", "--conf", "executors.resources=yarn.io/gpu=1", "--", "true"];
    let output = lab.drawloom(&args).run(STEP).unwrap();
    output.must_end(3, &["no resource \"yarn.io/gpu\"", "none but memory and cores"]);
}

#[test]
fn executors_have_what_else_the_cluster_has_and_no_node_gives_more_than_that() {
    let lab = Lab::new(|options: &mut Options| {
        options.nodes = 2;
        options.node_resources = [("acme".to_owned(), 2)].into();
    });
    let args = ["run", "--conf", "executors.resources=acme=3", "--", "true"];
    let output = lab.drawloom(&args).run(STEP).unwrap();
    output.must_end(3, &["acme", "largest container has 2"]);
    let script = format!("test \"$DRAWLOOM_RESOURCES\" = acme=2 || exit 9\n{}", lab.gate());
    let job = lab.job_with("acme", 3, 3, &script, "executors.resources=acme=2");
    lab.wait_arrivals(2);
    job.wait_summary("two executors, and a third that waits for room", |summary| {
        let executors = &summary["executors"];
        executors["registered"] == 2 && executors["starting"] == 0 && executors["wanted"] == 3
    });
    let nodes: BTreeSet<_> = job
        .executors()
        .iter()
        .map(|executor| lab.node_of(&job.container_of(executor)))
        .collect();
    assert_eq!(nodes.len(), 2, "each node has enough for one");
    job.succeed();
}

#[test]
fn a_dump_can_be_asked_of_an_executor_and_does_not_end_it() {
    let lab = lab();
    let job = lab.gated("dump", 1, 1, 1);
    let executor = job.executors().remove(0);
    executor.signal(Signal::QUIT);
    let container = job.container_of(&executor);
    let node = &lab.cluster().nodes()[lab.node_of(&container) - 1];
    wait::until("the dump", STEP, || {
        let log = node
            .log(container.parse().unwrap(), "stderr", None)
            .unwrap_or_default();
        String::from_utf8_lossy(&log).contains("session: serving")
    })
    .unwrap();
    job.wait_executors(0, 1);
    job.succeed();
}

#[test]
fn an_executor_that_never_registers_is_given_up_and_replaced() {
    let lab = lab();
    lab.cluster().faults().order(Fault {
        on: Trigger::ContainerStart,
        nth: 1,
        action: Action::Order(Order::FreezeContainer(2)),
    });
    let job = lab.job_with("mute", 1, 2, &lab.gate(), "executor.register.timeout=1s");
    lab.wait_arrivals(1);
    let dossier = job.dossier(1);
    assert_eq!(dossier["counts"], true, "{dossier:#}");
    assert!(
        dossier["cause"]
            .as_str()
            .unwrap()
            .contains("not registered 1s after its start"),
        "{dossier:#}"
    );
    job.succeed();
}

#[test]
fn a_job_larger_than_the_cluster_says_what_it_waits_for_and_works_with_what_it_has() {
    // Room for the ApplicationMaster and two executors.
    let lab = Lab::new(|options| {
        options.nodes = 1;
        options.node_memory_mb = 768;
    });
    let job = lab.gated("large", 4, 4, 2);
    job.wait_answer("pending", "what it waits for", |pending| {
        pending["why"]
            .as_str()
            .is_some_and(|why| why.contains("asked for 2 containers of 256 MiB"))
    });
    let (calls, window) = (
        || lab.cluster().faults().calls("allocate"),
        Duration::from_secs(2),
    );
    let before = calls();
    std::thread::sleep(window);
    assert!(calls() - before <= 12, "it asks the ResourceManager without end");
    job.succeed();
}
