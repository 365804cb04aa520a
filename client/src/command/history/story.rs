//! From the lines of an event log to what a person wants to know of it. Pure; what it keeps grows with stages,
//! executors and running tasks, not with lines.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::Value;

/// The most failures that are kept: the latest.
const MOST_FAILURES: usize = 50;

/// A whole application, as `-o json` prints it. Additive only.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Story {
    pub(super) application: String,
    pub(super) attempt: String,
    pub(super) name: String,
    pub(super) user: String,
    /// `running`, `succeeded` or `failed`.
    pub(super) state: String,
    pub(super) started_ms: u64,
    pub(super) ended_ms: u64,
    pub(super) jobs: Vec<Job>,
    pub(super) stages: Vec<Stage>,
    pub(super) executors: Vec<Executor>,
    pub(super) failures: VecDeque<Failure>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job {
    pub(super) job: u64,
    pub(super) name: String,
    pub(super) state: String,
    pub(super) cause: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stage {
    pub(super) stage: u64,
    pub(super) attempt: u64,
    pub(super) name: String,
    pub(super) state: String,
    pub(super) cause: String,
    pub(super) tasks: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) killed: u64,
    pub(super) started_ms: u64,
    pub(super) ended_ms: u64,
    pub(super) mean_ms: u64,
    pub(super) longest_ms: u64,
    #[serde(skip)]
    total_ms: u64,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Executor {
    pub(super) id: String,
    pub(super) host: String,
    pub(super) slots: u64,
    pub(super) added_ms: u64,
    pub(super) removed_ms: u64,
    /// Why it went; empty when it was there at the end.
    pub(super) removed: String,
    pub(super) done: u64,
    pub(super) failed: u64,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failure {
    pub(super) at_ms: u64,
    pub(super) stage: String,
    pub(super) task: u64,
    pub(super) attempt: u64,
    pub(super) executor: String,
    pub(super) host: String,
    pub(super) cause: String,
}

/// Takes lines, gives the story.
#[derive(Debug, Default)]
pub(super) struct Teller {
    story: Story,
    jobs: BTreeMap<u64, Job>,
    stages: BTreeMap<(u64, u64), Stage>,
    executors: BTreeMap<String, Executor>,
    ended: bool,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

impl Teller {
    /// Takes a line. One that is no event, or one of a kind that is not known, changes nothing.
    pub(super) fn take(&mut self, line: &[u8]) {
        let Ok(event) = serde_json::from_slice::<Value>(line) else {
            return;
        };
        let name = event["Event"].as_str().unwrap_or_default();
        match name.strip_prefix("SparkListener").unwrap_or_default() {
            "ApplicationStart" => self.begin(&event),
            "ApplicationEnd" => {
                self.ended = true;
                self.story.ended_ms = number(&event["Timestamp"]);
            }
            "JobStart" => self.begin_job(&event),
            "JobEnd" => self.end_job(&event),
            "StageSubmitted" => self.stage(&event["Stage Info"], false),
            "StageCompleted" => self.stage(&event["Stage Info"], true),
            "ExecutorAdded" => self.add_executor(&event),
            "ExecutorRemoved" => self.remove_executor(&event),
            "TaskEnd" => self.end_task(&event),
            _ => {}
        }
    }

    fn begin(&mut self, event: &Value) {
        self.story.application = text(&event["App ID"]);
        self.story.name = text(&event["App Name"]);
        self.story.user = text(&event["User"]);
        self.story.started_ms = number(&event["Timestamp"]);
        self.story.attempt = event["App Attempt ID"].as_str().unwrap_or("1").to_owned();
    }

    fn begin_job(&mut self, event: &Value) {
        let job = number(&event["Job ID"]);
        let name = event["Properties"]["spark.job.description"].as_str();
        let begun = Job {
            job,
            name: name.map_or_else(|| format!("job {job}"), str::to_owned),
            state: "running".to_owned(),
            cause: String::new(),
        };
        self.jobs.insert(job, begun);
    }

    fn end_job(&mut self, event: &Value) {
        let Some(job) = self.jobs.get_mut(&number(&event["Job ID"])) else {
            return;
        };
        let result = &event["Job Result"];
        let succeeded = result["Result"] == "JobSucceeded";
        job.state = if succeeded { "succeeded" } else { "failed" }.to_owned();
        job.cause = text(&result["Exception"]["Message"]);
    }

    fn stage(&mut self, info: &Value, ended: bool) {
        let key = (number(&info["Stage ID"]), number(&info["Stage Attempt ID"]));
        let stage = self.stages.entry(key).or_default();
        (stage.stage, stage.attempt) = key;
        stage.name = text(&info["Stage Name"]);
        stage.tasks = number(&info["Number of Tasks"]);
        stage.started_ms = number(&info["Submission Time"]);
        stage.ended_ms = number(&info["Completion Time"]);
        stage.cause = text(&info["Failure Reason"]);
        stage.state = match (ended, stage.cause.is_empty()) {
            (false, _) => "running",
            (true, true) => "done",
            (true, false) => "failed",
        }
        .to_owned();
    }

    fn add_executor(&mut self, event: &Value) {
        let id = text(&event["Executor ID"]);
        let info = &event["Executor Info"];
        let executor = self.executors.entry(id.clone()).or_default();
        executor.id = id;
        executor.host = text(&info["Host"]);
        executor.slots = number(&info["Total Cores"]);
        executor.added_ms = number(&event["Timestamp"]);
    }

    fn remove_executor(&mut self, event: &Value) {
        if let Some(executor) = self
            .executors
            .get_mut(event["Executor ID"].as_str().unwrap_or_default())
        {
            executor.removed_ms = number(&event["Timestamp"]);
            executor.removed = text(&event["Removed Reason"]);
        }
    }

    fn end_task(&mut self, event: &Value) {
        let info = &event["Task Info"];
        let reason = &event["Task End Reason"];
        let took = number(&info["Finish Time"]).saturating_sub(number(&info["Launch Time"]));
        let key = (number(&event["Stage ID"]), number(&event["Stage Attempt ID"]));
        let stage = self.stages.entry(key).or_default();
        let executor = self
            .executors
            .get_mut(info["Executor ID"].as_str().unwrap_or_default());
        match reason["Reason"].as_str().unwrap_or_default() {
            "Success" => {
                stage.done += 1;
                stage.total_ms += took;
                stage.longest_ms = stage.longest_ms.max(took);
                executor.into_iter().for_each(|executor| executor.done += 1);
            }
            "TaskKilled" | "TaskCommitDenied" => stage.killed += 1,
            _ => {
                stage.failed += 1;
                executor.into_iter().for_each(|executor| executor.failed += 1);
                let failure = failure(stage.name.clone(), info, reason);
                self.note(failure);
            }
        }
    }

    fn note(&mut self, failure: Failure) {
        if self.story.failures.len() == MOST_FAILURES {
            self.story.failures.pop_front();
        }
        self.story.failures.push_back(failure);
    }

    /// The story so far.
    pub(super) fn end(mut self) -> Story {
        for stage in self.stages.values_mut() {
            stage.mean_ms = stage.total_ms.checked_div(stage.done).unwrap_or_default();
        }
        let failed = self.jobs.values().any(|job| job.state == "failed");
        self.story.state = match (self.ended, failed) {
            (false, _) => "running",
            (true, false) => "succeeded",
            (true, true) => "failed",
        }
        .to_owned();
        self.story.jobs = self.jobs.into_values().collect();
        self.story.stages = self.stages.into_values().collect();
        self.story.executors = self.executors.into_values().collect();
        self.story
    }
}

fn failure(stage: String, info: &Value, reason: &Value) -> Failure {
    let words = ["Full Stack Trace", "Description", "Loss Reason", "Reason"];
    let cause = words.iter().find_map(|key| reason[*key].as_str());
    Failure {
        at_ms: number(&info["Finish Time"]),
        stage,
        task: number(&info["Index"]),
        attempt: number(&info["Attempt"]),
        executor: text(&info["Executor ID"]),
        host: text(&info["Host"]),
        cause: cause.unwrap_or_default().trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the ApplicationMaster's own tests have stored.
    const LOG: &str = include_str!(
        "../../../../am/src/history/snapshots/am__history__tests__a_log_is_in_progress_until_the_application_ends.snap"
    );

    #[test]
    fn a_log_is_read_back() {
        let mut teller = Teller::default();
        LOG.lines().for_each(|line| teller.take(line.as_bytes()));
        let story = teller.end();
        assert_eq!(story.application, "application_1795218448194_0007");
        assert_eq!((story.user.as_str(), story.attempt.as_str()), ("ada", "1"));
        assert_eq!((story.state.as_str(), story.jobs.len()), ("failed", 1));
        let stage = &story.stages[0];
        assert_eq!((stage.name.as_str(), stage.tasks, stage.done), ("count", 3, 1));
        assert_eq!((stage.failed, stage.killed), (2, 2));
        assert_eq!(story.executors[1].removed, "its node was lost");
        assert!(
            story.failures[0].cause.starts_with("exit code 3"),
            "{:?}",
            story.failures
        );
    }

    #[test]
    fn half_a_log_is_of_a_running_application() {
        let mut teller = Teller::default();
        LOG.lines().take(20).for_each(|line| teller.take(line.as_bytes()));
        teller.take(b"{\"Event\":\"SparkListen");
        assert_eq!(teller.end().state, "running");
    }
}
