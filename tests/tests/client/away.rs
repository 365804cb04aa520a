//! Client mode from a network namespace: behind a link that lets nobody dial in, and that is cut in the middle of a
//! job. The cluster listens on the near end of the link.
//!
//! Namespaces need privileges that not every machine gives. Where they cannot be had the tests say so and pass.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use harness::wait;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::lab::{Lab, STEP};
use crate::wait_report;

/// How long the link is cut: longer than any silence that connections survive, shorter than `client.reconnect`.
const CUT: Duration = Duration::from_secs(30);

/// A namespace at the far end of a link, whose near end drops every packet that would open a connection to it.
struct Away {
    name: String,
    near: Ipv4Addr,
    far: Ipv4Addr,
}

impl Away {
    /// From addresses for measurements (RFC 2544), another network for each process and test.
    fn make() -> anyhow::Result<Self> {
        static NUMBER: AtomicU8 = AtomicU8::new(0);
        let number = NUMBER.fetch_add(4, Ordering::Relaxed);
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = |host| Ipv4Addr::new(198, 18 + (high & 1), low, number + host);
        let away = Self {
            name: format!("dl{}n{number}", std::process::id() % 100_000),
            near: address(1),
            far: address(2),
        };
        away.build()?;
        Ok(away)
    }

    fn near_end(&self) -> String {
        format!("{}a", self.name)
    }

    fn far_end(&self) -> String {
        format!("{}b", self.name)
    }

    fn build(&self) -> anyhow::Result<()> {
        let (name, near, far) = (&self.name, self.near_end(), self.far_end());
        run(&format!("ip netns add {name}"))?;
        run(&format!(
            "ip link add {near} type veth peer name {far} netns {name}"
        ))?;
        run(&format!("ip addr add {}/30 dev {near}", self.near))?;
        run(&format!("ip link set {near} up"))?;
        run(&format!("ip -n {name} addr add {}/30 dev {far}", self.far))?;
        run(&format!("ip -n {name} link set lo up"))?;
        run(&format!("ip -n {name} link set {far} up"))?;
        self.keep_callers_out()
    }

    /// A packet with SYN and without ACK goes into a bucket that no packet fits.
    fn keep_callers_out(&self) -> anyhow::Result<()> {
        let near = self.near_end();
        run(&format!("tc qdisc add dev {near} root handle 1: htb default 1"))?;
        run(&format!(
            "tc class add dev {near} parent 1: classid 1:1 htb rate 10gbit"
        ))?;
        run(&format!(
            "tc class add dev {near} parent 1: classid 1:2 htb rate 8kbit"
        ))?;
        run(&format!(
            "tc qdisc add dev {near} parent 1:2 handle 2: tbf rate 8kbit burst 30 limit 30"
        ))?;
        run(&format!(
            "tc filter add dev {near} parent 1: protocol ip prio 1 u32 match ip protocol 6 0xff match u8 0x02 0x12 at 33 \
             flowid 1:2"
        ))
    }

    fn set(&self, state: &str) {
        run(&format!(
            "ip -n {} link set {} {state}",
            self.name,
            self.far_end()
        ))
        .unwrap();
    }

    /// Whether a program there that listens can be dialled from here.
    fn can_be_dialled(&self) -> bool {
        let (name, far) = (self.name.clone(), self.far);
        let inside = thread::spawn(move || {
            let namespace = File::open(format!("/run/netns/{name}")).unwrap();
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            TcpListener::bind((far, 0)).unwrap()
        });
        let listener = inside.join().unwrap();
        let address = listener.local_addr().unwrap();
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
    }

    /// A cluster at the near end whose person is at the far end.
    fn lab(&self) -> Lab {
        let mut lab = Lab::new(|options| {
            options.bind = self.near.into();
            options.exposed = true;
        });
        lab.from = ["ip", "netns", "exec", &self.name].map(str::to_owned).into();
        lab
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        // The link goes with either end.
        for command in [
            format!("ip link del {}", self.near_end()),
            format!("ip netns del {}", self.name),
        ] {
            if let Err(error) = run(&command) {
                eprintln!("{error:#}");
            }
        }
    }
}

fn run(line: &str) -> anyhow::Result<()> {
    let mut words = line.split_whitespace();
    let program = words.next().context("a command")?;
    let output = Command::new(program).args(words).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{line}: {}", said.trim());
    Ok(())
}

fn away_or_skipped(test: &str) -> Option<Away> {
    match Away::make() {
        Ok(away) => Some(away),
        Err(reason) => {
            eprintln!("!!! SKIPPED: {test}, because this machine makes no network namespaces: {reason:#}");
            None
        }
    }
}

const CLIENT_MODE: &str = "deploy-mode=client";

#[test]
fn a_client_that_nobody_can_dial_runs_its_job_and_listens_on_nothing() {
    let Some(away) = away_or_skipped("a client that nobody can dial") else {
        return;
    };
    assert!(!away.can_be_dialled());
    let lab = away.lab();
    let job = lab.job_with("behind", 2, 4, &lab.gate(), CLIENT_MODE);
    lab.wait_arrivals(2);
    let sockets = Command::new("ip")
        .args([
            "netns",
            "exec",
            &away.name,
            "cat",
            "/proc/net/tcp",
            "/proc/net/tcp6",
        ])
        .output()
        .unwrap();
    let sockets = String::from_utf8_lossy(&sockets.stdout).into_owned();
    let in_state = |state: &str| {
        let states = sockets.lines().filter_map(|line| line.split_whitespace().nth(3));
        states.filter(|found| *found == state).count()
    };
    assert!(in_state("01") > 0, "an established connection: {sockets}");
    assert_eq!(in_state("0A"), 0, "a listener: {sockets}");
    let output = job.succeed();
    assert!(output.stderr.contains("succeeded: 4 of 4 tasks"), "{output}");
}

#[test]
fn nothing_is_run_again_after_the_link_was_cut_for_half_a_minute() {
    let Some(away) = away_or_skipped("a link that is cut") else {
        return;
    };
    let lab = away.lab();
    let job = lab.job_with("cut", 2, 4, &lab.gate(), CLIENT_MODE);
    lab.wait_arrivals(2);
    away.set("down");
    let cut = Instant::now();
    let log_says = |words: &str| wait::until(words, STEP, || job.log().contains(words)).unwrap();
    log_says("the driver in the client is disconnected");
    // Both end while nobody can be told.
    lab.open_gate();
    thread::sleep(CUT.saturating_sub(cut.elapsed()));
    away.set("up");
    log_says("the driver in the client is connected");
    let master_log = job.log();
    let output = job.succeed();
    for words in ["link lost", "link back", "succeeded: 4 of 4 tasks"] {
        assert!(output.stderr.contains(words), "no {words:?} in {output}");
    }
    // An attempt that waited on one executor and began on another has a later number there.
    let arrivals = lab.arrivals();
    let task = |attempt: &String| attempt.split('.').next().map(str::to_owned);
    let mut tasks: Vec<_> = arrivals.iter().filter_map(task).collect();
    tasks.sort();
    assert_eq!(tasks, ["0", "1", "2", "3"], "nothing is run again");
    assert_eq!(master_log.matches("container granted").count(), 2, "{master_log}");
}

#[test]
fn a_client_killed_behind_a_cut_link_fails_its_job_at_the_limit() {
    let Some(away) = away_or_skipped("a client killed behind a cut link") else {
        return;
    };
    let lab = away.lab();
    let conf = format!("{CLIENT_MODE} client.reconnect=4s");
    let mut job = lab.job_with("vanished", 2, 2, &lab.gate(), &conf);
    lab.wait_arrivals(2);
    away.set("down");
    job.drop_client();
    let ended = wait_report(&job, |report| report["state"] == "FINISHED");
    assert_eq!(ended["finalStatus"], "FAILED", "{ended:#}");
    let diagnostics = ended["diagnostics"].as_str().unwrap();
    assert!(diagnostics.contains("client.reconnect"), "{diagnostics}");
    assert!(!job.is_marked());
    job.assert_nothing_left();
}
