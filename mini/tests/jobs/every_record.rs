//! The ApplicationMaster dies after every record of its journal in turn, and what was done stays done.

use std::collections::BTreeMap;
use std::path::Path;

use mini::Options;

use crate::bench::Bench;

/// Two stages with a commit each; one task fails once and runs again, one is slow until another attempt of it, on the
/// other node, is quick. Each task notes that it began and, as its last act, that it ended.
const JOB: &str = "version: 1
name: words
am: { max-attempts: 2 }
executors: { instances: 2, memory: 128MiB, cores: 1 }
conf:
  executor.heartbeat.interval: 100ms
  client.poll-interval: 50ms
  task.kill.grace: 100ms
  speculation.enabled: true
  speculation.quantile: 0.5
  speculation.multiplier: 2
stages:
  - name: work
    tasks: 4
    shell: |
      echo work.$DRAWLOOM_TASK >> DIR/begun
      if [ $DRAWLOOM_TASK = 2 ] && [ ! -e DIR/failed ]; then touch DIR/failed; exit 3; fi
      if [ $DRAWLOOM_TASK = 3 ] && mkdir DIR/slow; then sleep 60; fi
      echo result of $DRAWLOOM_TASK
      echo work.$DRAWLOOM_TASK >> DIR/ended
    output: file://DIR/work
  - name: total
    after: [work]
    inputs: file://DIR/work
    tasks: 1
    shell: |
      echo total.$DRAWLOOM_TASK >> DIR/begun
      sort
      echo total.$DRAWLOOM_TASK >> DIR/ended
    output: file://DIR/total
";

const RESULT: &str = "result of 0\nresult of 1\nresult of 2\nresult of 3\n";

/// Whether a second ApplicationMaster was started, as the logs of the cluster's nodes show.
fn was_followed(cluster: &Path, application: &str) -> bool {
    let second = application.replace("application", "container") + "_02_000001";
    let mut open = vec![cluster.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_name().to_str() == Some(&second) {
                return true;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
    }
    false
}

/// How often each line comes.
fn counts(lines: Vec<String>) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

/// The loop over all records: no task that had ended runs again, whichever record was the last.
#[tokio::test(flavor = "multi_thread")]
async fn the_application_master_may_die_after_any_record() {
    let options = Options {
        nodes: 3,
        ..Options::default()
    };
    let Some(bench) = Bench::new(options).await else {
        return;
    };
    for record in 1..100 {
        bench.write_job(JOB);
        let crash = format!("1:{record}");
        let mut job = bench
            .submit_with(&[], &[("DRAWLOOM_CRASH_AFTER_RECORD", &crash)])
            .await;
        let code = job.end().await;
        let said = job.said();
        assert_eq!(code, Some(0), "after record {record}: {said}");
        assert_eq!(bench.results("total").concat(), RESULT, "after record {record}");
        let mut again = counts(bench.lines("ended"));
        again.retain(|_, times| *times > 1);
        assert_eq!(again, BTreeMap::new(), "ran again after record {record}: {said}");
        let mut begun = counts(bench.lines("begun"));
        begun.retain(|_, times| *times != 1);
        let twice = ["work.2", "work.3"].map(|task| (task.to_owned(), 2));
        assert_eq!(
            begun,
            twice.into(),
            "the task that fails and the slow one, after record {record}: {said}"
        );
        if !was_followed(bench.cluster.directory(), &job.application) {
            assert!(
                record > 8,
                "the journal of this job has more than {record} records"
            );
            return;
        }
    }
    panic!("the journal of so small a job has fewer records");
}
