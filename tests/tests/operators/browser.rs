//! The same in a Chromium, which not every machine has: `cargo xtask operators pages`.

use std::time::Duration;

use harness::browser::{self, Browser, View};
use harness::wait;
use serde_json::Value;

use super::lab::Lab;
use super::{PAGES, WEIGHT, numbers_agree, rows};

/// Two widths, that of a telephone and that of a desk, by day and by night.
const VIEWS: [(&str, View); 4] = [
    (
        "desk-light",
        View {
            width: 1280,
            dark: false,
        },
    ),
    (
        "desk-dark",
        View {
            width: 1280,
            dark: true,
        },
    ),
    (
        "phone-light",
        View {
            width: 360,
            dark: false,
        },
    ),
    (
        "phone-dark",
        View {
            width: 360,
            dark: true,
        },
    ),
];
/// A page follows by itself every few seconds.
const FOLLOWS: Duration = Duration::from_secs(60);
/// What keeps people from using the page, as axe-core sees it.
const BARRIERS: &str = "axe.run(document, { resultTypes: ['violations'] }).then(found => found.violations
    .filter(one => ['serious', 'critical'].includes(one.impact))
    .map(one => one.id + ': ' + one.nodes.map(node => node.html).join(' | ')))";
/// Whether something is wider than the window.
const TOO_WIDE: &str = "document.documentElement.scrollWidth > document.documentElement.clientWidth";

#[test]
#[ignore = "needs a Chromium: cargo xtask operators pages"]
fn pages_of_the_embedded_cluster_work_in_a_browser() {
    look_at(&Lab::embedded());
}

#[test]
#[ignore = "needs a Chromium and Java: cargo xtask operators pages --on hadoop"]
fn pages_of_a_real_hadoop_work_in_a_browser() {
    look_at(&Lab::real());
}

fn look_at(lab: &Lab) {
    let home = tempfile::tempdir().unwrap();
    let mut browser = Browser::start(home.path()).unwrap();
    let axe = browser::axe().unwrap();
    browser.visit(&lab.url("")).unwrap();
    numbers_agree(&html(&mut browser), lab);
    // The page that is open says by itself that an executor has died.
    lab.lose_an_executor();
    wait::until("the open page to follow", FOLLOWS, || {
        let failures = rows(&html(&mut browser), "Latest failures");
        failures.iter().any(|row| row[1].starts_with("container_"))
    })
    .unwrap();
    assert_eq!(browser.errors(), [""; 0]);
    numbers_agree(&html(&mut browser), lab);
    for (name, page) in PAGES {
        for (view_name, view) in VIEWS {
            browser.look(view).unwrap();
            browser.visit(&lab.url(page)).unwrap();
            let at = format!("{name} {view_name}");
            assert!(browser.received() < WEIGHT, "{at}: {} bytes", browser.received());
            browser
                .evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
                .unwrap();
            browser
                .picture(&Lab::kept(&format!("{name}-{view_name}.png")))
                .unwrap();
            assert_eq!(browser.evaluate(TOO_WIDE).unwrap(), false, "{at}");
            browser.evaluate(&axe).unwrap();
            let barriers = browser.evaluate(BARRIERS).unwrap();
            assert_eq!(barriers, Value::Array(Vec::new()), "{at}");
            assert_eq!(browser.errors(), [""; 0], "{at}");
        }
    }
    stop_an_executor(&mut browser, lab);
}

fn html(browser: &mut Browser) -> String {
    let html = browser.evaluate("document.documentElement.outerHTML").unwrap();
    html.as_str().unwrap().to_owned()
}

/// Presses a button, says yes, and reads what came of it.
fn stop_an_executor(browser: &mut Browser, lab: &Lab) {
    browser.visit(&lab.url("executors")).unwrap();
    let press = "setTimeout(() => document.querySelector('button[data-state=STOPPED]').click())";
    browser.evaluate(press).unwrap();
    wait::until("the question", FOLLOWS, || browser.say_yes().is_ok()).unwrap();
    wait::until("the answer", FOLLOWS, || {
        let said = browser
            .evaluate("document.getElementById('said').textContent")
            .unwrap();
        said.as_str().unwrap().contains("container_")
    })
    .unwrap();
    assert_eq!(browser.errors(), [""; 0]);
}
