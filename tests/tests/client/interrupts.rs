//! Ctrl-C in each phase of a job, in both modes: the exit code, the words, and that nothing is left. While files are
//! staged it is in the suite `verdicts`, on a real Hadoop, where that takes long enough.

use std::fs;
use std::net::TcpListener;

use harness::hadoop::Signal;
use harness::process::{Drawloom, Running};
use harness::{processes, wait};
use mini::{Action, Order};

use crate::lab::{Job, Lab, STEP};
use crate::wait_report;

const MODES: [&str; 2] = ["cluster", "client"];

fn lab() -> Lab {
    Lab::new(|options| options.nodes = 1)
}

fn job<'a>(lab: &'a Lab, name: &str, mode: &str) -> Job<'a> {
    let mode = format!("deploy-mode={mode} client.poll-interval=50ms");
    lab.job_with(name, 1, 1, &lab.gate(), &mode)
}

fn client_of<'a>(job: &'a mut Job<'_>) -> &'a mut Running {
    job.client.as_mut().unwrap()
}

/// Once is enough in client mode, where the driver is what is interrupted; in cluster mode it takes a second one.
fn interrupt(client: &mut Running, mode: &str) {
    client.signal(Signal::INT).unwrap();
    if mode == "cluster" {
        client.wait_for_text("Press Ctrl-C again", STEP).unwrap();
        client.signal(Signal::INT).unwrap();
    }
}

/// Interrupts the job's client and requires that the application was killed and left nothing.
fn killed(mut job: Job<'_>, mode: &str) {
    interrupt(client_of(&mut job), mode);
    job.end()
        .must_end(130, &["error: interrupted, and application_", "was killed"]);
    wait_report(&job, |report| report["finalStatus"] == "KILLED");
    job.assert_nothing_left();
}

#[test]
fn while_the_cluster_is_asked_before_anything_is_staged() {
    // It takes calls and does not answer them.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let home = tempfile::tempdir().unwrap();
    let address = silent.local_addr().unwrap();
    let site = format!(
        "<configuration><property><name>yarn.resourcemanager.webapp.address</name><value>{address}</value></property></configuration>"
    );
    fs::write(home.path().join("yarn-site.xml"), site).unwrap();
    fs::write(home.path().join("core-site.xml"), "<configuration/>").unwrap();
    for mode in MODES {
        let run = ["run", "--deploy-mode", mode, "--", "true"];
        let client = Drawloom::without_cluster(&home.path().join("said"))
            .env("HADOOP_CONF_DIR", home.path())
            .env("HOME", home.path())
            .current_dir(home.path())
            .args(run);
        let client = client.spawn().unwrap();
        let asked = silent.accept().unwrap();
        client.signal(Signal::INT).unwrap();
        let output = client.wait(STEP).unwrap();
        output.must_end(
            130,
            &["error: interrupted before the job was submitted", "nothing runs"],
        );
        assert!(!home.path().join(".drawloom").exists());
        drop(asked);
        // The other questions of this client.
        silent.set_nonblocking(true).unwrap();
        while silent.accept().is_ok() {}
        silent.set_nonblocking(false).unwrap();
    }
}

#[test]
fn while_the_application_waits_for_its_master() {
    let lab = lab();
    lab.order(&Order::FillDisk(1));
    for mode in MODES {
        let mut job = job(&lab, &format!("accepted-{mode}"), mode);
        client_of(&mut job).wait_for_text("accepted ", STEP).unwrap();
        killed(job, mode);
    }
}

#[test]
fn while_the_master_starts() {
    let lab = lab();
    for nth in 1..=500 {
        lab.fault("registerApplicationMaster", nth, Action::LoseRequest);
    }
    for mode in MODES {
        let mut job = job(&lab, &format!("starting-{mode}"), mode);
        client_of(&mut job).wait_for_text("starting ", STEP).unwrap();
        let is_master = || processes::of_application(&job.id).len() > 1;
        wait::until("its process", STEP, is_master).unwrap();
        killed(job, mode);
    }
}

#[test]
fn while_tasks_run() {
    let lab = lab();
    for mode in MODES {
        let job = job(&lab, &format!("running-{mode}"), mode);
        lab.wait_arrivals(1);
        killed(job, mode);
        fs::remove_dir_all(lab.home().join("arrivals")).unwrap();
    }
}

/// The results are there, and YARN does not answer to whom it is told: Ctrl-C changes nothing of what has come of the job.
#[test]
fn while_the_application_ends() {
    let lab = lab();
    for mode in MODES {
        let freeze = Action::Order(Order::FreezeResourceManager);
        lab.fault("finishApplicationMaster", 1, freeze);
        let before = lab.cluster().faults().calls("finishApplicationMaster");
        let mut job = job(&lab, &format!("ending-{mode}"), mode);
        lab.open_gate();
        let told = || lab.cluster().faults().calls("finishApplicationMaster") > before;
        wait::until("the end to be told", STEP, told).unwrap();
        assert!(job.is_marked());
        client_of(&mut job).signal(Signal::INT).unwrap();
        let thaw = || lab.order(&Order::ThawResourceManager);
        if mode == "client" {
            let words = "ending the job. Press Ctrl-C again";
            client_of(&mut job).wait_for_text(words, STEP).unwrap();
            thaw();
            job.end().must_end(130, &["had ended already: succeeded"]);
        } else {
            job.end()
                .must_end(130, &["goes on", "to look at it: drawloom status"]);
            thaw();
        }
        wait_report(&job, |report| report["finalStatus"] == "SUCCEEDED");
        job.assert_results();
        job.assert_nothing_left();
        fs::remove_file(lab.home().join("open")).unwrap();
    }
}
