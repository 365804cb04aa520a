//! The page of rules names a test for each: they must exist.

/// Everything that has tests for rules, as text.
const SOURCES: &[&str] = &[
    include_str!("commit.rs"),
    include_str!("counters.rs"),
    include_str!("drain.rs"),
    include_str!("elastic.rs"),
    include_str!("exclusion.rs"),
    include_str!("failures.rs"),
    include_str!("journal.rs"),
    include_str!("lists.rs"),
    include_str!("liveness.rs"),
    include_str!("needs.rs"),
    include_str!("outputs.rs"),
    include_str!("placement.rs"),
    include_str!("pools.rs"),
    include_str!("purity.rs"),
    include_str!("special.rs"),
    include_str!("stages.rs"),
    include_str!("suspicion.rs"),
    include_str!("../../src/demand.rs"),
    include_str!("../../src/exclusion.rs"),
    include_str!("../../src/locality.rs"),
    include_str!("../../../wire/src/failure.rs"),
    include_str!("../../../am/src/inputs.rs"),
    include_str!("../../../am/src/results.rs"),
    include_str!("../../../client/src/plan/allocation.rs"),
    include_str!("../../../executor/src/session/tests.rs"),
    include_str!("../../../launcher/src/core_tests.rs"),
    include_str!("../../../launcher/src/nodes.rs"),
];

/// Whether a function of this name is one that a test runner runs.
fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<_> = source.lines().map(str::trim_start).collect();
    let heads = lines.windows(2).filter(|pair| pair[0].ends_with("test]"));
    let called = [format!("fn {name}("), format!("async fn {name}(")];
    heads
        .map(|pair| pair[1])
        .any(|line| called.iter().any(|head| line.starts_with(head.as_str())))
}

#[test]
fn every_rule_on_the_page_has_its_test() {
    let page = include_str!("../../../docs/scheduling.md");
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| rule"));
    let mut named = 0;
    for row in rows {
        let test = row.rsplit('`').nth(1).unwrap();
        let exists = |source: &&str| is_test(source, test);
        assert!(SOURCES.iter().any(exists), "there is no test {test}");
        named += 1;
    }
    assert!(named > 90, "{named} rules");
}
