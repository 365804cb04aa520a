//! Runs the cases side by side on each cluster and prints one table.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use harness::hadoop::{Hadoop, Site, Version};
use tokio::runtime::Builder;

use super::case::{Case, Subject};
use super::lab::{MASTER_EXPIRY, NODE_CORES, NODE_MEMORY_MB, Yarn};

/// The longest a case may take.
const LIMIT: Duration = Duration::from_secs(240);
/// Grants must be used within this time.
const GRANT_EXPIRY: Duration = Duration::from_secs(10);
const DOCUMENT: &str = "docs/conformance.md";

/// Verdicts by case: nothing, or what went wrong.
type Verdicts = BTreeMap<&'static str, Option<String>>;

pub(crate) fn main(subjects: &'static [Subject]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        print!("{}", document(subjects));
        return ExitCode::SUCCESS;
    }
    let exactly = arguments.iter().any(|argument| argument == "--exact");
    let filters = filters(&arguments);
    let wanted = |case: &&Case| {
        let fits = |filter: &&str| case.name == *filter || (!exactly && case.name.contains(filter));
        filters.is_empty() || filters.iter().any(fits)
    };
    let cases: Vec<&'static Case> = subjects.iter().flat_map(|one| one.cases).filter(wanted).collect();
    if cases.is_empty() {
        println!("no case of conformance has that name");
        return if documented(subjects) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let only = std::env::var("DRAWLOOM_CONFORMANCE").unwrap_or_default();
    let mut columns = Vec::new();
    if only != "hadoop" {
        columns.push(("mini", on_mini(&cases)));
    }
    if only != "mini" {
        columns.push(("hadoop 3.4.3", on_hadoop(&cases)));
    }
    let sound = documented(subjects) & report(&cases, &columns);
    if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The parts of names that select cases; the number of threads, which test runners are told, is none.
fn filters(arguments: &[String]) -> Vec<&str> {
    let mut filters = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--test-threads" {
            arguments.next();
        } else if !argument.starts_with('-') {
            filters.push(argument.as_str());
        }
    }
    filters
}

fn on_mini(cases: &[&'static Case]) -> Verdicts {
    let options = mini::Options {
        node_memory_mb: u64::from(NODE_MEMORY_MB),
        node_cores: NODE_CORES,
        pacing: mini::Pacing::NodeHeartbeats(Duration::from_millis(20)),
        master_expiry: MASTER_EXPIRY,
        container_expiry: GRANT_EXPIRY,
        ..mini::Options::default()
    };
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let cluster = runtime.block_on(mini::Cluster::start(options)).unwrap();
    let verdicts = all(cases, &Yarn::of(&cluster.conf_dir()), 16);
    runtime.block_on(cluster.shutdown());
    verdicts
}

/// One cluster for all cases.
fn on_hadoop(cases: &[&'static Case]) -> Verdicts {
    if let Err(reason) = Hadoop::can_start(Version::default()) {
        let why = format!("{reason:#}");
        return cases.iter().map(|case| (case.name, Some(why.clone()))).collect();
    }
    let expiry = GRANT_EXPIRY.as_millis();
    let hadoop = Hadoop::builder()
        .nodes(2)
        .hdfs(false)
        .node_resources(NODE_MEMORY_MB, NODE_CORES)
        .am_expiry(MASTER_EXPIRY)
        .property(
            Site::Yarn,
            "yarn.resourcemanager.rm.container-allocation.expiry-interval-ms",
            expiry,
        )
        .start()
        .unwrap();
    let verdicts = all(cases, &Yarn::of(&hadoop.conf_dir()), 12);
    hadoop.end().unwrap();
    verdicts
}

/// Runs the cases on so many threads.
fn all(cases: &[&'static Case], yarn: &Yarn, at_once: usize) -> Verdicts {
    let (left, verdicts) = (Mutex::new(cases.iter()), Mutex::new(Verdicts::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                let next = || left.lock().unwrap().next();
                while let Some(case) = next() {
                    let verdict = verdict(case, &yarn.for_case());
                    verdicts.lock().unwrap().insert(case.name, verdict);
                }
            });
        }
    });
    verdicts.into_inner().unwrap()
}

/// What went wrong, if anything did.
fn verdict(case: &Case, yarn: &Yarn) -> Option<String> {
    let started = Instant::now();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let run = || runtime.block_on(async { tokio::time::timeout(LIMIT, (case.run)(yarn)).await });
    let over = std::panic::catch_unwind(AssertUnwindSafe(run));
    runtime.block_on(yarn.clean_up());
    if std::env::var_os("DRAWLOOM_CONFORMANCE_TIMES").is_some() {
        println!("{:6.2} s {}", started.elapsed().as_secs_f32(), case.name);
    }
    match over {
        Ok(Ok(())) => None,
        Ok(Err(_)) => Some(format!("not over after {LIMIT:?}")),
        Err(panic) => Some(words(&*panic)),
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    let text = owned.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "it panicked".to_owned())
}

/// Prints every case with its verdict on each cluster; whether all are good.
fn report(cases: &[&'static Case], columns: &[(&str, Verdicts)]) -> bool {
    let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
    println!(
        "\nrunning {} tests: conformance on {}",
        cases.len(),
        titles.join(" and ")
    );
    for case in cases {
        let verdict = |(_, verdicts): &(&str, Verdicts)| match verdicts.get(case.name) {
            Some(None) => "ok    ",
            _ => "FAILED",
        };
        println!(
            "{} {}",
            columns.iter().map(verdict).collect::<Vec<_>>().join(" "),
            case.name
        );
    }
    let mut failed = BTreeSet::new();
    for (title, verdicts) in columns {
        for (name, why) in verdicts
            .iter()
            .filter_map(|(name, why)| Some((name, why.as_ref()?)))
        {
            failed.insert(*name);
            println!("\n--- {name} on {title}\n{why}");
        }
    }
    println!();
    conclude(cases, &failed);
    failed.is_empty()
}

/// Says it once more as libtest does, which is what `cargo xtask test` reads to look a second time at what failed.
fn conclude(cases: &[&'static Case], failed: &BTreeSet<&str>) {
    for case in cases.iter().filter(|case| !failed.contains(case.name)) {
        println!("test {} ... ok", case.name);
    }
    let result = if failed.is_empty() { "ok" } else { "FAILED" };
    if !failed.is_empty() {
        println!("\nfailures:");
        failed.iter().for_each(|name| println!("    {name}"));
    }
    let passed = cases.len() - failed.len();
    println!(
        "\ntest result: {result}. {passed} passed; {} failed",
        failed.len()
    );
}

/// The table in the documentation is this one.
fn documented(subjects: &[Subject]) -> bool {
    let path = harness::workspace::root().join(DOCUMENT);
    let same = std::fs::read_to_string(path).is_ok_and(|text| text == document(subjects));
    if !same {
        println!(
            "{DOCUMENT} is not up to date; write it with \
             `cargo test -p drawloom-tests --test conformance -- --list > {DOCUMENT}`"
        );
    }
    same
}

fn document(subjects: &[Subject]) -> String {
    let count: usize = subjects.iter().map(|subject| subject.cases.len()).sum();
    let mut text = format!(
        "# Conformance\n\n{count} cases that hold on the embedded cluster (`mini`) and on Hadoop 3.4.3 alike; where they \
         differ, the embedded cluster is wrong.\nThis page is generated; the suite checks that it is up to date.\n\n\
         ```\ncargo xtask test --suite conformance                # on both\n\
         DRAWLOOM_CONFORMANCE=mini cargo test -p drawloom-tests --test conformance    # without Java\n```\n"
    );
    for subject in subjects {
        text += &format!("\n## {}\n\n| case | fact |\n|---|---|\n", subject.title);
        for case in subject.cases {
            text += &format!("| {} | {} |\n", case.name.replace('_', " "), case.fact);
        }
    }
    text
}
