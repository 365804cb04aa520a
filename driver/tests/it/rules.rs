//! The page of rules names a test for each: they must exist.

/// Everything that has tests for rules, as text.
const SOURCES: &[&str] = &[
    include_str!("commit.rs"),
    include_str!("drain.rs"),
    include_str!("elastic.rs"),
    include_str!("exclusion.rs"),
    include_str!("failures.rs"),
    include_str!("liveness.rs"),
    include_str!("needs.rs"),
    include_str!("outputs.rs"),
    include_str!("placement.rs"),
    include_str!("pools.rs"),
    include_str!("special.rs"),
    include_str!("stages.rs"),
    include_str!("../../src/exclusion.rs"),
    include_str!("../../src/locality.rs"),
    include_str!("../../../wire/src/failure.rs"),
    include_str!("../../../am/src/results.rs"),
];

#[test]
fn every_rule_on_the_page_has_its_test() {
    let page = include_str!("../../../docs/scheduling.md");
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| rule"));
    let mut named = 0;
    for row in rows {
        let test = row.rsplit('`').nth(1).unwrap();
        let exists = |source: &&str| {
            source.contains(&format!("#[test]\nfn {test}()"))
                || source.contains(&format!("#[test]\n    fn {test}()"))
        };
        assert!(SOURCES.iter().any(exists), "there is no test {test}");
        named += 1;
    }
    assert!(named > 40, "{named} rules");
}
