//! Running tests, with a second look at those that fail.
//!
//! Suites start clusters, JVMs and hundreds of processes on whatever machine CI has. A test that fails is run once more
//! with nothing beside it: one that fails again is wrong, one that passes is unsteady. That does not stop the others'
//! work, but is told by name, with the output of the failure above it, because the cause is to be found: it has been a
//! fault of the product as often as one of the test. Many failures are not unsteadiness, and are not looked at again.

use anyhow::{Context, bail, ensure};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};

/// More failures than this in one run have one cause.
const MOST: usize = 5;

/// Runs `cargo test` as `command` makes it, to which it gives what comes after `--`; `arguments` come there too.
///
/// # Errors
/// Fails when cargo cannot be started or run, and when a test fails twice.
pub(crate) fn run(title: &str, command: impl Fn() -> Command, arguments: &[&str]) -> anyhow::Result<()> {
    let (status, first) = watched(command().arg("--").args(arguments))?;
    if status.success() {
        return Ok(());
    }
    ensure!(
        first.begun == first.ended,
        "{title} failed ({status}): a test runner has not come to its end"
    );
    let failed = first.failed;
    ensure!(
        !failed.is_empty() && failed.len() <= MOST,
        "{title} failed ({status})"
    );
    let names = Vec::from_iter(&failed)
        .into_iter()
        .map(String::as_str)
        .collect::<Vec<_>>();
    eprintln!("== {title}: a second look at {}", names.join(", "));
    let mut alone = command();
    alone.args(["--", "--exact", "--test-threads", "1"]).args(&names);
    let (status, second) = watched(&mut alone)?;
    if !status.success() {
        let again = Vec::from_iter(second.failed);
        bail!("{title} failed twice ({status}): {}", again.join(", "));
    }
    ensure!(
        second.passed >= failed.len(),
        "{title} failed ({status}), and at the second look only {} of {} tests were run",
        second.passed,
        failed.len()
    );
    eprintln!(
        "== {title}: UNSTEADY, failed and then passed alone: {}",
        names.join(", ")
    );
    Ok(())
}

/// What the test runners have said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    passed: usize,
    failed: BTreeSet<String>,
    /// Test runners that have begun, and those that have said what came of it: one that crashes does not.
    begun: usize,
    ended: usize,
    /// Whether the list of those that failed is being read.
    listing: bool,
}

impl Told {
    /// Takes a line of libtest's. What it says of a single test is not read: others may have printed amid the line.
    fn take(&mut self, line: &str) {
        let name = line.strip_prefix("    ").filter(|name| !name.starts_with(' '));
        match (line, name) {
            ("failures:", _) => self.listing = true,
            (_, Some(name)) if self.listing => {
                self.failed.insert(name.to_owned());
            }
            ("", _) => {}
            _ => {
                self.listing = false;
                self.begun += usize::from(is_beginning(line));
                if let Some(result) = line.strip_prefix("test result: ") {
                    self.ended += 1;
                    self.passed += passed(result);
                }
            }
        }
    }
}

/// `ok. 3 passed; 0 failed; …`
fn passed(result: &str) -> usize {
    let number = |(before, _): (&str, &str)| before.rsplit(' ').next()?.parse().ok();
    result.split_once(" passed").and_then(number).unwrap_or(0)
}

/// `running 3 tests`
fn is_beginning(line: &str) -> bool {
    let mut words = line.split(' ');
    let number = |word: &str| word.parse::<usize>().is_ok();
    words.next() == Some("running")
        && words.next().is_some_and(number)
        && words.next().is_some_and(|word| word.starts_with("test"))
}

/// Runs a command whose standard output is read and passed on.
fn watched(command: &mut Command) -> anyhow::Result<(ExitStatus, Told)> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut told = Told::default();
    for line in BufReader::new(child.stdout.take().context("no standard output")?).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        told.take(&line);
    }
    Ok((child.wait()?, told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_read_from_their_list_and_not_from_what_tests_print() {
        let text = "
running 3 tests
test one::good ... ok
test one::bad ... FAILED
test one::worse ... FAILED

failures:

---- one::bad stdout ----
thread 'one::bad' panicked at tests/one.rs:1:1:
    indented = words of a test
stack backtrace:
   0: main

---- one::worse stdout ----
no

failures:
    one::bad
    one::worse

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out
    Running a second

running 1 test
test two::good ... ok
";
        let mut told = Told::default();
        text.lines().for_each(|line| told.take(line));
        let names = |all: &[&str]| all.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(told.failed, names(&["one::bad", "one::worse"]));
        assert_eq!(told.passed, 1);
        assert_eq!((told.begun, told.ended), (2, 1), "the second has crashed");
    }

    #[test]
    fn a_test_that_fails_twice_fails_the_run_and_one_that_fails_once_does_not() {
        let place = tempfile::tempdir().expect("a directory");
        let script = |name: &str, second: &str| {
            let seen = place.path().join(name);
            let text = format!(
                "if [ -e {seen} ]; then {second}; else touch {seen}; \
                 printf 'running 1 test\\nfailures:\\n    a\\n{end}'; exit 101; fi",
                end = "test result: FAILED. 0 passed; 1 failed\\n",
                seen = seen.display()
            );
            move || {
                let mut command = Command::new("sh");
                command.args(["-c", &text]);
                command
            }
        };
        run("steady", script("steady", "true"), &[]).expect_err("nothing was run the second time");
        run(
            "unsteady",
            script("unsteady", "echo 'test result: ok. 1 passed; 0 failed'"),
            &[],
        )
        .expect("it passed alone");
        run("wrong", script("wrong", "false"), &[]).expect_err("it failed twice");
    }
}
